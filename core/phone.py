"""Mobile numbers as people type them, stored as E.164 text."""

from __future__ import annotations

import re

import phonenumbers
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

_E164 = re.compile(r"\+[1-9][0-9]{7,14}", re.ASCII)
_TYPED = re.compile(r"[\d٠-٩۰-۹\s()+\-.\u200e\u200f\u2066-\u2069\u202a-\u202e]+")
_MOBILE = {phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE}


def to_e164(typed: str, region: str = "SA") -> str:
    """``05…``, ``+966…``, ``00966…``, Arabic digits → ``+9665…``; anything that is no mobile number → ValidationError.

    Rules and examples: facts on Saudi numbers, phonenumbers 9 (region SA). Landlines, shared and toll-free
    numbers cannot get a message and are refused here.
    """
    text = typed.strip()
    try:
        if not _TYPED.fullmatch(text):
            raise phonenumbers.NumberParseException(phonenumbers.NumberParseException.NOT_A_NUMBER, "letters")
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise ValidationError(
            _("This is not a phone number. Write it like 0501234567 or +966501234567."), code="phone_invalid"
        ) from error
    if not phonenumbers.is_valid_number(number):
        raise ValidationError(
            _("This phone number has too many, too few or wrong digits. Write it like 0501234567."),
            code="phone_invalid",
        )
    if phonenumbers.number_type(number) not in _MOBILE:
        raise ValidationError(
            _("This is not a mobile number, so it cannot get messages. Write it like 0501234567."),
            code="phone_not_mobile",
        )
    result = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if not _E164.fullmatch(result):
        raise ValidationError(_("This is not a phone number."), code="phone_invalid")
    return result


def display(e164: str) -> str:
    """``+966501234567`` → ``+966 50 123 4567``; text that is no number comes back as it is."""
    try:
        number = phonenumbers.parse(e164, None)
    except phonenumbers.NumberParseException:
        return e164
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
