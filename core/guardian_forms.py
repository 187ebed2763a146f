"""The form of one guardianship: the person, the time for which it holds, and what they are told."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from core.forms import DayField, PhoneField, email_field, text_field
from core.models import Guardianship, Language
from core.models.patient import Gender
from core.models.reading import Numerals
from core.patients.guardians import PERSON_FIELDS
from notifications.states import NotificationType

# The kinds that go to patients; a guardian may be left out of each.
KINDS = tuple(kind for kind in NotificationType if kind != NotificationType.STAFF)


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
        choices=[(kind.value, kind.label) for kind in KINDS],
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
            "told": [kind.value for kind in KINDS if kind not in row.not_for],
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
        not_for = [kind.value for kind in KINDS if kind.value not in self.cleaned_data["told"]]
        return {**{name: self.cleaned_data[name] for name in names}, "not_for": not_for}
