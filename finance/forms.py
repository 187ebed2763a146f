"""What the desk types about money. Amounts are riyals on the page (150 or 150.50) and halalas everywhere else."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.clocks import ClockField
from core.errors import DomainError
from core.models import Guardianship, Language, Patient
from core.selectors import western_digits
from core.settings_forms import SettingsForm
from finance.models import BillingPolicy, Invoice
from finance.payers import Payer

# Arabic keyboards have their own decimal sign; a comma in a group of three separates thousands.
_AMOUNT = re.compile(r"(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d{1,2}))?", re.ASCII)
# The choice that opens the fields of a payer by name.
SOMEBODY_ELSE = "other"
# Until when an invoice is to be paid, unless the desk says otherwise.
USUAL_DAYS = 14

_FIELD_OF = {
    "amount_invalid": "amount",
    "overpaid": "amount",
    "overrefunded": "amount",
    "due_past": "due_on",
    "payer_not_verified": "payer",
    "payer_name_missing": "payer_name",
    "payer_unreachable": "payer_phone",
    "payer_phone_invalid": "payer_phone",
    "payer_email_invalid": "payer_email",
}


def show_refusal(form: forms.BaseForm, error: DomainError) -> None:
    """Puts the service's refusal next to its field, or above the form."""
    field = _FIELD_OF.get(error.code)
    if error.code == "form_used":
        # What is sent next is an act of its own.
        form.data = form.data.copy()
        for name in {"payment_key", "refund_key"} & set(form.fields):
            form.data[name] = str(uuid.uuid4())
    form.add_error(field if field in form.fields else None, str(error))


def to_minor(typed: str) -> int:
    """``150`` → 15000, ``150.5`` → 15050, ``١٥٠٫٥٠`` → 15050. Raises ``ValidationError`` for anything else."""
    text = western_digits(typed).translate(str.maketrans({"٫": ".", "٬": ","})).strip()
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise ValidationError(_("Write the amount in riyals, like 150 or 150.50."), code="amount_invalid")
    whole, decimals = found.group(1).replace(",", ""), (found.group(2) or "").ljust(2, "0")
    return int(whole) * 100 + int(decimals)


def to_typed(minor: int) -> str:
    """15050 → ``150.50``, 15000 → ``150``."""
    whole, halalas = divmod(minor, 100)
    return f"{whole}.{halalas:02d}" if halalas else str(whole)


class AmountField(forms.CharField):
    """Riyals as people type them; the cleaned value is halalas."""

    def __init__(self, **kwargs: Any) -> None:
        attrs = {"inputmode": "decimal", "dir": "ltr", "autocomplete": "off", "class": "num"}
        kwargs.setdefault("max_length", 20)
        kwargs.setdefault("error_messages", {"required": _("Write the amount.")})
        super().__init__(widget=forms.TextInput(attrs=attrs), **kwargs)

    def clean(self, value: Any) -> Any:
        return to_minor(super().clean(value))


class PayerForm(forms.Form):
    """Who reads about the bill: the patient's own readers, one of a child's guardians, or somebody by name."""

    payer = forms.ChoiceField(label=_("Who pays?"), required=False, widget=forms.RadioSelect)
    payer_name = forms.CharField(
        label=_("Payer's name"), required=False, max_length=200, widget=forms.TextInput(attrs={"dir": "auto"})
    )
    payer_phone = forms.CharField(
        label=_("Payer's mobile phone"),
        required=False,
        max_length=20,
        widget=forms.TextInput(attrs={"dir": "ltr", "inputmode": "tel", "class": "num", "autocomplete": "off"}),
    )
    payer_email = forms.CharField(
        label=_("Payer's email"),
        required=False,
        max_length=254,
        widget=forms.TextInput(attrs={"dir": "ltr", "inputmode": "email", "autocomplete": "off"}),
    )
    payer_language = forms.ChoiceField(label=_("Payer's language"), required=False, choices=Language.choices)

    def __init__(self, *args: Any, patient: Patient, invoice: Invoice | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = Guardianship.objects.filter(patient=patient).select_related("guardian") if patient.is_minor else ()
        self._guardians = {str(row.guardian_id): row.guardian for row in rows}
        reads = _("Who reads the patient's messages") if patient.is_minor else _("The patient")
        self.fields["payer"].choices = [
            ("", reads),
            *((pk, guardian.name) for pk, guardian in self._guardians.items()),
            (SOMEBODY_ELSE, _("Somebody else")),
        ]
        self.fields["payer_language"].initial = patient.language
        if invoice is not None:
            self.initial = {
                "payer": str(invoice.payer_guardian_id or (SOMEBODY_ELSE if invoice.payer_name else "")),
                "payer_name": invoice.payer_name,
                "payer_phone": invoice.payer_phone,
                "payer_email": invoice.payer_email,
                "payer_language": invoice.payer_language or patient.language,
            }

    def payer_wish(self) -> Payer:
        """What was chosen; the fields of somebody else count only where that is chosen."""
        chosen = self.cleaned_data["payer"]
        if chosen == SOMEBODY_ELSE:
            data = self.cleaned_data
            return Payer(
                name=data["payer_name"],
                phone=data["payer_phone"],
                email=data["payer_email"],
                language=data["payer_language"],
            )
        return Payer(guardian=self._guardians.get(chosen))

    def clean(self) -> dict[str, Any] | None:
        if self.cleaned_data.get("payer") == SOMEBODY_ELSE and not self.cleaned_data.get("payer_name"):
            self.add_error("payer_name", _("Write the payer's name."))
        return super().clean()


class InvoiceForm(PayerForm):
    amount = AmountField(label=_("Amount in riyals"))
    description = forms.CharField(
        label=_("What for?"),
        required=False,
        max_length=200,
        help_text=_("For the books of the clinic."),
        widget=forms.TextInput(attrs={"dir": "auto"}),
    )
    due_on = forms.DateField(
        label=_("To be paid until"),
        input_formats=["%Y-%m-%d"],
        error_messages={"required": _("Choose the day.")},
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "class": "num", "dir": "ltr"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["due_on"].initial = timezone.localdate() + dt.timedelta(days=USUAL_DAYS)


class PaymentForm(forms.Form):
    amount = AmountField(label=_("Amount received in riyals"))
    payment_key = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, invoice: Invoice, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["amount"].initial = to_typed(invoice.open_minor)
        self.fields["payment_key"].initial = uuid.uuid4


class RefundForm(forms.Form):
    amount = AmountField(label=_("Amount given back in riyals"))
    reason = forms.CharField(
        label=_("Why?"),
        required=False,
        max_length=200,
        help_text=_("For the books of the clinic. The payer does not read it."),
        widget=forms.TextInput(attrs={"dir": "auto"}),
    )
    refund_key = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, invoice: Invoice, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["amount"].initial = to_typed(invoice.kept_minor)
        self.fields["refund_key"].initial = uuid.uuid4


class DaysField(forms.CharField):
    """Whole days as people list them: ``1, 7`` or ``١، ٧``."""

    def __init__(self, **kwargs: Any) -> None:
        attrs = {"inputmode": "text", "dir": "ltr", "autocomplete": "off", "class": "num"}
        super().__init__(widget=forms.TextInput(attrs=attrs), max_length=60, required=False, **kwargs)

    def clean(self, value: Any) -> Any:
        text = western_digits(super().clean(value)).replace("،", ",")
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if not all(part.isascii() and part.isdigit() and len(part) <= 3 for part in parts):
            raise ValidationError(_("Write whole days with commas between them, like 1, 7."), code="days_invalid")
        return [int(part) for part in parts]


class BillingPolicyForm(SettingsForm):
    """When open bills are reminded of."""

    field_of: ClassVar[dict[str, str]] = dict.fromkeys(
        ("days_missing", "days_out_of_range", "days_too_many"), "days_after"
    )
    is_on = forms.BooleanField(label=_("Remind of open bills by itself"), required=False)
    days_before = DaysField(label=_("Days before the due day"), help_text=_("Such as 3. Empty: none."))
    days_after = DaysField(label=_("Days after the due day"), help_text=_("Such as 1, 7. Zero is the due day itself."))
    remind_at = ClockField(label=_("At"))

    def wish(self) -> dict[str, Any]:
        data = self.cleaned_data
        days = [-day for day in data["days_before"]] + data["days_after"]
        return {"is_on": data["is_on"], "reminder_days": days, "remind_at": data["remind_at"]}

    @staticmethod
    def initial_of(policy: BillingPolicy) -> dict[str, Any]:
        return {
            "is_on": policy.is_on,
            "days_before": ", ".join(str(-day) for day in reversed(policy.reminder_days) if day < 0),
            "days_after": ", ".join(str(day) for day in policy.reminder_days if day >= 0),
            "remind_at": policy.remind_at,
        }
