"""Forms of the patient pages. They parse and check what a person typed; the services write."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core import phone
from core.models import ConsentVerification, Guardianship, Language, Patient
from core.models.patient import Gender
from core.models.reading import Numerals
from core.patients.guardians import PERSON_FIELDS
from core.selectors import western_digits
from notifications.models import NotificationPreference
from notifications.preferences import AGREED as CONSENT_FIELDS
from notifications.preferences import FIELDS as PREFERENCE_FIELDS
from notifications.states import Channel, NotificationType


class PhoneField(forms.CharField):
    """A mobile number as people type it; clean data is E.164 text."""

    def __init__(self, **kwargs: Any) -> None:
        attrs = {"type": "tel", "dir": "ltr", "inputmode": "tel", "autocomplete": "off", "placeholder": "05X XXX XXXX"}
        super().__init__(max_length=40, widget=forms.TextInput(attrs=attrs), **kwargs)

    def clean(self, value: Any) -> str:
        typed: str = super().clean(value)
        return phone.to_e164(typed) if typed else ""

    def prepare_value(self, value: Any) -> Any:
        return phone.display(value) if isinstance(value, str) and value.startswith("+") else value


class DayField(forms.DateField):
    """A date: the browser's own picker, and Arabic digits where somebody types it."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
        super().__init__(widget=widget, input_formats=["%Y-%m-%d", "%d/%m/%Y"], **kwargs)

    def to_python(self, value: Any) -> dt.date | None:
        return super().to_python(western_digits(value) if isinstance(value, str) else value)


def text_field(label: Any, *, direction: str, help_text: Any = "") -> forms.CharField:
    widget = forms.TextInput(attrs={"dir": direction, "autocomplete": "off"})
    return forms.CharField(label=label, max_length=200, required=False, widget=widget, help_text=help_text)


def email_field() -> forms.EmailField:
    widget = forms.EmailInput(attrs={"dir": "ltr", "autocomplete": "off"})
    return forms.EmailField(label=_("Email"), required=False, max_length=254, widget=widget)


class PatientForm(forms.Form):
    """The patient's own data. Which of both names is given does not matter, one must be."""

    name_en = text_field(_("Name in English"), direction="ltr", help_text=_("One of the two names is enough."))
    name_ar = text_field(_("Name in Arabic"), direction="rtl")
    birth_date = DayField(label=_("Date of birth"))
    gender = forms.ChoiceField(label=_("Gender"), choices=Gender.choices, widget=forms.RadioSelect)
    phone = PhoneField(label=_("Mobile phone"), required=False)
    phone_alternative = PhoneField(label=_("Other phone"), required=False)
    email = email_field()
    language = forms.ChoiceField(label=_("Language"), choices=Language.choices)
    numerals = forms.ChoiceField(label=_("Digits"), choices=Numerals.choices, initial=Numerals.LATIN, required=False)
    show_hijri = forms.BooleanField(label=_("Hijri date beside the Gregorian"), required=False)
    has_left = forms.BooleanField(
        label=_("Has left the clinic"),
        required=False,
        help_text=_("Then only changes of visits, results and bills are told."),
    )
    deceased_at = DayField(
        label=_("Died on"), required=False, help_text=_("From then on nobody gets messages about this patient.")
    )

    # Of a file that is there already.
    LATER = ("is_active", "deceased_at")

    @classmethod
    def initial_of(cls, patient: Patient) -> dict[str, Any]:
        own = {name: getattr(patient, name) for name in cls.base_fields if name != "has_left"}
        return {**own, "has_left": not patient.is_active}

    def clean_birth_date(self) -> dt.date:
        day: dt.date = self.cleaned_data["birth_date"]
        if day > timezone.localdate():
            raise forms.ValidationError(_("The date of birth is in the future."))
        return day

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not data.get("name_en") and not data.get("name_ar") and not {"name_en", "name_ar"} & set(self.errors):
            self.add_error("name_en", _("A name is needed, in English or in Arabic."))
        data["numerals"] = data.get("numerals") or Numerals.LATIN.value
        data["is_active"] = not data.pop("has_left", False)
        return data


class GuardianForm(forms.Form):
    """Who speaks for a minor. Left empty as a whole, it means nobody yet."""

    kind = forms.ChoiceField(label=_("Relation"), choices=Guardianship.Kind.choices, required=False)
    name_en = text_field(_("Guardian's name in English"), direction="ltr")
    name_ar = text_field(_("Guardian's name in Arabic"), direction="rtl")
    phone = PhoneField(label=_("Guardian's mobile phone"), required=False)
    email = email_field()
    language = forms.ChoiceField(label=_("Guardian's language"), choices=Language.choices, required=False)
    is_verified = forms.BooleanField(
        label=_("I have checked a document that shows the guardianship"),
        required=False,
        help_text=_("Until this is checked, nobody gets messages about a minor."),
    )
    evidence = text_field(
        _("Document that was seen"),
        direction="auto",
        help_text=_("Its kind and number, no copy. Needed for a court's guardian and a power of attorney."),
    )

    def __init__(self, *args: Any, guardianship: Guardianship | None = None, **kwargs: Any) -> None:
        self.guardianship = guardianship
        if guardianship is not None:
            guardian = guardianship.guardian
            kwargs["initial"] = {
                "kind": guardianship.kind,
                "name_en": guardian.name_en,
                "name_ar": guardian.name_ar,
                "phone": guardian.phone,
                "email": guardian.email,
                "language": guardian.language,
                "is_verified": guardianship.verified_at is not None,
                "evidence": guardianship.evidence,
                **kwargs.get("initial", {}),
            }
        super().__init__(*args, **kwargs)
        if guardianship is not None:
            # Another relation is another guardianship, and a check cannot be unmade here: remove the guardian instead.
            self.fields["kind"].disabled = True
            if guardianship.verified_at is not None:
                self.fields["is_verified"].disabled = True
                # Changed on the guardian's own page.
                self.fields["evidence"].disabled = True
                self.fields["is_verified"].help_text = ""

    @property
    def is_given(self) -> bool:
        data = getattr(self, "cleaned_data", {})
        return self.guardianship is not None or any(data.get(name) for name in ("name_en", "name_ar", "phone", "email"))

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        self.cleaned_data = data
        if not self.is_given:
            if data.get("is_verified"):
                self.add_error("name_en", _("Write down who the guardian is."))
            return data
        if not data.get("name_en") and not data.get("name_ar") and not {"name_en", "name_ar"} & set(self.errors):
            self.add_error("name_en", _("A name is needed, in English or in Arabic."))
        if not data.get("phone") and not data.get("email") and not {"phone", "email"} & set(self.errors):
            self.add_error("phone", _("The guardian needs a mobile phone or an email to be told."))
        data["kind"] = data.get("kind") or Guardianship.Kind.OTHER
        data["language"] = data.get("language") or Language.ARABIC
        return data


# The kinds that go to patients; a guardian may be left out of each.
GUARDIAN_KINDS = tuple(kind for kind in NotificationType if kind != NotificationType.STAFF)


class GuardianTermsForm(forms.Form):
    """``person`` and ``terms`` are the arguments of the two services."""

    name_en = text_field(_("Guardian's name in English"), direction="ltr")
    name_ar = text_field(_("Guardian's name in Arabic"), direction="rtl")
    gender = forms.ChoiceField(
        label=_("Gender"),
        choices=[("", _("Not known")), *Gender.choices],
        required=False,
        help_text=_("Arabic addresses women and men in different words. Not known: neutral words."),
    )
    phone = PhoneField(label=_("Guardian's mobile phone"), required=False)
    email = email_field()
    language = forms.ChoiceField(label=_("Guardian's language"), choices=Language.choices)
    numerals = forms.ChoiceField(label=_("Digits"), choices=Numerals.choices)
    show_hijri = forms.BooleanField(label=_("Hijri date beside the Gregorian"), required=False)
    valid_from = DayField(label=_("In force from"), required=False)
    valid_until = DayField(
        label=_("In force until"), required=False, help_text=_("The last day. Empty: until the patient is of age.")
    )
    evidence = text_field(
        _("Document that was seen"),
        direction="auto",
        help_text=_("Its kind and number, no copy: family register, court deed, power of attorney."),
    )
    receives_messages = forms.BooleanField(label=_("Gets messages"), required=False)
    told = forms.MultipleChoiceField(
        label=_("Kinds of messages"),
        choices=[(kind.value, kind.label) for kind in GUARDIAN_KINDS],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )

    def __init__(self, *args: Any, guardianship: Guardianship, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.guardianship = guardianship

    @staticmethod
    def initial_of(row: Guardianship) -> dict[str, Any]:
        own = ("valid_from", "valid_until", "evidence", "receives_messages")
        return {
            **{name: getattr(row.guardian, name) for name in PERSON_FIELDS},
            **{name: getattr(row, name) for name in own},
            "told": [kind.value for kind in GUARDIAN_KINDS if kind not in row.not_for],
        }

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not data.get("name_en") and not data.get("name_ar"):
            self.add_error("name_en", _("A name is needed, in English or in Arabic."))
        first, last = data.get("valid_from"), data.get("valid_until")
        if first and last and last < first:
            self.add_error("valid_until", _("The guardianship would end before it begins."))
        return data

    def person(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in PERSON_FIELDS}

    def terms(self) -> dict[str, Any]:
        names = ("valid_from", "valid_until", "evidence", "receives_messages")
        not_for = [kind.value for kind in GUARDIAN_KINDS if kind.value not in self.cleaned_data["told"]]
        return {**{name: self.cleaned_data[name] for name in names}, "not_for": not_for}


class PreferenceForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for the type checker only
    """What the patient wants to get, and how. ``cleaned_data`` goes to ``notifications.preferences``."""

    class Meta:
        model = NotificationPreference
        fields = tuple(name for name in PREFERENCE_FIELDS if name not in CONSENT_FIELDS)

    CHANNELS = ("sms_enabled", "whatsapp_enabled", "email_enabled")
    TYPES = (
        "reminders_enabled",
        "confirmations_enabled",
        "results_enabled",
        "billing_enabled",
        "awareness_enabled",
        "marketing_enabled",
    )

    # Consents, not columns: the service writes a record of each change.
    awareness_enabled = forms.BooleanField(label=_("Health awareness"), required=False)
    marketing_enabled = forms.BooleanField(label=_("Marketing"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in CONSENT_FIELDS:
            self.fields[name].help_text = _("Only when the patient has agreed to it.")
            self.initial[name] = getattr(self.instance, name)
        language, channel = self.fields["preferred_language"], self.fields["preferred_channel"]
        assert isinstance(language, forms.ChoiceField)
        assert isinstance(channel, forms.ChoiceField)
        language.choices = [("", _("As in the patient's file")), *Language.choices]
        language.label = _("Language of messages")
        language.help_text = ""
        # Without the empty choice that a model's field brings.
        channel.choices = Channel.choices

    def channels(self) -> list[forms.BoundField]:
        return [self[name] for name in self.CHANNELS]

    def types(self) -> list[forms.BoundField]:
        return [self[name] for name in self.TYPES]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        switches = {"SMS": "sms_enabled", "WHATSAPP": "whatsapp_enabled", "EMAIL": "email_enabled"}
        preferred = data.get("preferred_channel")
        if preferred and any(data[name] for name in self.CHANNELS) and not data[switches[preferred]]:
            self.add_error("preferred_channel", _("This channel is switched off below. Choose one that is on."))
        return data


class ConsentForm(forms.Form):
    """The outcome of checking a treatment consent."""

    status = forms.ChoiceField(
        choices=[(value, label) for value, label in ConsentVerification.Status.choices if value != "EXPIRED"]
    )
    valid_until = DayField(label=_("Valid until"), required=False)
