"""What the desk types about money. Amounts are riyals on the page (150 or 150.50) and halalas everywhere else."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.errors import DomainError
from core.selectors import western_digits
from finance.models import Invoice

# Arabic keyboards have their own decimal sign; a comma in a group of three separates thousands.
_AMOUNT = re.compile(r"(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d{1,2}))?", re.ASCII)
# Until when an invoice is to be paid, unless the desk says otherwise.
USUAL_DAYS = 14

_FIELD_OF = {"amount_invalid": "amount", "overpaid": "amount", "due_past": "due_on"}


def show_refusal(form: forms.BaseForm, error: DomainError) -> None:
    """Puts the service's refusal next to its field, or above the form."""
    field = _FIELD_OF.get(error.code)
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


class InvoiceForm(forms.Form):
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
