from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from core import phone


@pytest.mark.parametrize(
    "typed",
    [
        "0501234567",
        "501234567",
        "00966501234567",
        "966501234567",
        "+966 50 123 4567",
        "+966 050 123 4567",
        "٠٥٠١٢٣٤٥٦٧",
        "۰۵۰۱۲۳۴۵۶۷",
        "(050) 123-4567",
        "\u202a0501234567\u202c",
    ],
)
def test_every_way_to_write_a_saudi_mobile_is_one_number(typed: str) -> None:
    assert phone.to_e164(typed) == "+966501234567"


def test_a_foreign_mobile_keeps_its_country() -> None:
    assert phone.to_e164("+971 50 123 4567") == "+971501234567"


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", "phone_invalid"),
        ("hello", "phone_invalid"),
        ("O501234567", "phone_invalid"),
        ("050123456", "phone_invalid"),
        ("05012345678", "phone_invalid"),
        ("0501234567, 0507654321", "phone_invalid"),
        ("whatsapp:+966501234567", "phone_invalid"),
        ("0501234567;ext=5", "phone_invalid"),
        ("0112345678", "phone_not_mobile"),
        ("920012345", "phone_not_mobile"),
        ("8001234567", "phone_not_mobile"),
    ],
)
def test_what_cannot_get_a_message_is_refused_in_words(typed: str, code: str) -> None:
    with pytest.raises(ValidationError) as caught:
        phone.to_e164(typed)
    assert caught.value.code == code


def test_display_groups_the_digits() -> None:
    assert phone.display("+966501234567") == "+966 50 123 4567"
    assert phone.display("someone@mail.example") == "someone@mail.example"
