"""What an admin types about templates. The forms parse; ``template_versions`` decides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from core.errors import DomainError
from core.forms import PhoneField
from notifications import template_context
from notifications.models import MessageTemplate, TemplateVersion
from notifications.models.template import TEXTS
from notifications.states import Channel, NotificationType
from notifications.template_checks import MAX_BODY_EMAIL, fields_of
from notifications.template_versions import NotPublishable

# Of what an admin sends; a staff notice has no patient to send it to.
OWN_TYPES = [kind for kind in NotificationType if kind is not NotificationType.STAFF]
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_FIELD_OF = {"name_missing": "name", "name_long": "name", "note_missing": "note"}


class TemplateFilterForm(forms.Form):
    """The filters of the list, from the address."""

    STATES = [("published", _("Published")), ("draft", _("With a draft")), ("review", _("In review"))]

    q = forms.CharField(label=_("Search"), max_length=100, required=False)
    channel = forms.ChoiceField(label=_("Channel"), required=False, choices=[("", _("Any channel")), *Channel.choices])
    type = forms.ChoiceField(label=_("Type"), required=False, choices=[("", _("Any type")), *NotificationType.choices])
    state = forms.ChoiceField(label=_("Words"), required=False, choices=[("", _("Any state")), *STATES])
    active = forms.ChoiceField(
        label=_("In use"),
        required=False,
        choices=[
            ("", _("All but archived")),
            ("on", _("Switched on")),
            ("off", _("Switched off")),
            ("archived", _("Archived")),
        ],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["class"] = "in"
        self.fields["q"].widget.attrs |= {"type": "search", "placeholder": _("Name or words")}

    @property
    def is_filtered(self) -> bool:
        return any(self.data.get(name) for name in self.fields)


def _text(label: Any, language: str) -> forms.CharField:
    attrs = {"lang": language, "dir": "rtl" if language == "ar" else "ltr", "autocomplete": "off"}
    return forms.CharField(label=label, max_length=200, required=False, widget=forms.TextInput(attrs=attrs))


def _body(label: Any, language: str) -> forms.CharField:
    attrs = {"lang": language, "dir": "rtl" if language == "ar" else "ltr", "rows": 8, "spellcheck": "true"}
    return forms.CharField(label=label, max_length=MAX_BODY_EMAIL, required=False, widget=forms.Textarea(attrs=attrs))


class WordsForm(forms.Form):
    """Both languages side by side. A draft may be unfinished, so nothing is required; publishing checks all of it."""

    subject_en = _text(_("Subject in English"), "en")
    subject_ar = _text(_("Subject in Arabic"), "ar")
    body_en = _body(_("Text in English"), "en")
    body_ar = _body(_("Text in Arabic"), "ar")
    extra = forms.CharField(
        label=_("Your own placeholders"),
        max_length=300,
        required=False,
        help_text=_("Names of columns in the lists that you upload, such as amount, branch. Small English letters."),
        widget=forms.TextInput(attrs={"dir": "ltr", "lang": "en", "autocomplete": "off", "spellcheck": "false"}),
    )
    # The draft that was on the screen, so that nobody overwrites what somebody else has saved meanwhile.
    revision = forms.IntegerField(required=False, min_value=0, widget=forms.HiddenInput)

    def clean_extra(self) -> list[str]:
        names = [name for name in re.split(r"[\s,،;{}]+", self.cleaned_data["extra"].strip()) if name]
        for name in names:
            if not _NAME.fullmatch(name):
                raise forms.ValidationError(
                    _("“%(name)s” is no name of a placeholder: small English letters, digits and _ only."),
                    params={"name": name},
                )
        return list(dict.fromkeys(names))

    def words(self) -> dict[str, str]:
        return {name: self.cleaned_data.get(name, "") for name in TEXTS}

    def refuse(self, error: DomainError) -> None:
        """Shows a refusal where it belongs: each of its reasons at its field."""
        if isinstance(error, NotPublishable):
            for finding in error.findings:
                self.add_error(finding.field if finding.field in self.fields else None, finding.text)
            return
        field = _FIELD_OF.get(error.code)
        self.add_error(field if field in self.fields else None, str(error))

    @staticmethod
    def initial_of(words: MessageTemplate | TemplateVersion) -> dict[str, Any]:
        return {name: getattr(words, name) for name in TEXTS} | {
            "extra": ", ".join(template_context.own_names(words.variables))
        }


class TemplateForm(WordsForm):
    """A template that is there: its name, and the words of its draft."""

    name = forms.CharField(
        label=_("Name"), max_length=120, required=False, help_text=_("For staff only; patients never see it.")
    )

    def __init__(self, *args: Any, template: MessageTemplate, is_of_event: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in set(TEXTS) - set(fields_of(template.channel)):
            del self.fields[name]
        if is_of_event:
            # Its name comes from the system, in the reader's language, and so do its placeholders.
            del self.fields["extra"], self.fields["name"]


class TemplateCreateForm(WordsForm):
    """A new one of the clinic's own."""

    name = forms.CharField(label=_("Name"), max_length=120, help_text=_("For staff only; patients never see it."))
    channel = forms.ChoiceField(label=_("Channel"), choices=Channel.choices, widget=forms.RadioSelect)
    notification_type = forms.ChoiceField(
        label=_("Type"),
        choices=[(kind.value, kind.label) for kind in OWN_TYPES],
        help_text=_("Decides who may get it: marketing goes only to those who have agreed to it."),
    )


class TemplateTestForm(forms.Form):
    """A test to oneself. The phone is kept nowhere but in that one message."""

    language = forms.ChoiceField(
        label=_("Language"), choices=[("en", _("English")), ("ar", _("Arabic"))], widget=forms.RadioSelect
    )
    words = forms.ChoiceField(label=_("Words"), widget=forms.RadioSelect)
    phone = PhoneField(label=_("Your own mobile phone"), help_text=_("It is not kept in your account."))
    # Pressed twice, or sent again by the browser, is one message.
    key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, channel: str, choices: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["words"].choices = list(choices.items())  # type: ignore[attr-defined]
        if channel == Channel.EMAIL:
            del self.fields["phone"]

    def refuse(self, error: DomainError) -> None:
        self.add_error(None, str(error))
