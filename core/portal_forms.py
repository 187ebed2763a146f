"""The forms of the patient's own view, and those with which admins answer its requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from core.forms import DayField
from core.models import Guardianship, RightsKind
from core.rights import DETAILS_LENGTH


class AddressForm(forms.Form):
    address = forms.CharField(
        label=_("Mobile number or email"),
        max_length=254,
        widget=forms.TextInput(
            attrs={"dir": "ltr", "autocomplete": "username", "inputmode": "email", "spellcheck": "false"}
        ),
        help_text=_("The one at which our messages reach you, like 0501234567."),
    )


class CodeForm(forms.Form):
    code = forms.CharField(
        label=_("Code"),
        max_length=20,
        widget=forms.TextInput(
            attrs={"dir": "ltr", "autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}
        ),
    )


class BirthDateForm(forms.Form):
    """Asked only where several people share the address."""

    birth_date = DayField(label=_("Date of birth"), required=False)


class RequestForm(forms.Form):
    kind = forms.ChoiceField(label=_("What do you ask for?"), choices=RightsKind.choices, widget=forms.RadioSelect)
    details = forms.CharField(
        label=_("In your own words"),
        required=False,
        max_length=DETAILS_LENGTH,
        widget=forms.Textarea(attrs={"rows": 4, "dir": "auto"}),
        help_text=_("For a correction: what is wrong, and what is right."),
    )


class AnswerForm(forms.Form):
    answer = forms.CharField(
        label=_("Answer"),
        required=False,
        max_length=DETAILS_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3, "dir": "auto"}),
        help_text=_("The patient reads it. A refusal needs its reason here."),
    )


class HoldForm(forms.Form):
    reason = forms.CharField(label=_("Reason"), max_length=300)
    until = DayField(label=_("Last day"), required=False, help_text=_("Empty: until somebody lifts it."))


class TakenRequestForm(RequestForm):
    """A request that is made at the desk: by the patient, or by one of the guardians."""

    field_order = ("asked_by", "kind", "details")

    def __init__(self, *args: Any, guardianships: Sequence[Guardianship], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        guardians = [(str(row.guardian_id), row.guardian.name_in()) for row in guardianships]
        choices = [("", str(_("The patient"))), *guardians]
        self.fields["asked_by"] = forms.ChoiceField(label=_("Who asks?"), required=False, choices=choices)
        self.order_fields(self.field_order)
