"""How a date, a time, an amount and a counted noun are written in each language. Text only.

Must never import a model, nor anything of the other apps.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal

from hijridate import Gregorian

_DAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "ar": ("الاثنين", "الثلاثاء", "الأربعاء", "الخميس", "الجمعة", "السبت", "الأحد"),
}
_MONTHS = {
    "en": (
        "January", "February", "March", "April", "May", "June",
        "July", "August", "September", "October", "November", "December",
    ),
    "ar": (
        "يناير", "فبراير", "مارس", "أبريل", "مايو", "يونيو",
        "يوليو", "أغسطس", "سبتمبر", "أكتوبر", "نوفمبر", "ديسمبر",
    ),
}  # fmt: skip
# The English ones in plain letters: one that is not in GSM-7 more than doubles the price of an SMS.
_HIJRI_MONTHS = {
    "en": (
        "Muharram", "Safar", "Rabi I", "Rabi II", "Jumada I", "Jumada II",
        "Rajab", "Shaban", "Ramadan", "Shawwal", "Dhul Qadah", "Dhul Hijjah",
    ),
    "ar": (
        "محرم", "صفر", "ربيع الأول", "ربيع الآخر", "جمادى الأولى", "جمادى الآخرة",
        "رجب", "شعبان", "رمضان", "شوال", "ذو القعدة", "ذو الحجة",
    ),
}  # fmt: skip
_HIJRI_ERA = {"en": "AH", "ar": "هـ"}
_CURRENCIES = {"SAR": {"en": "SAR", "ar": "ريال"}}
_TO_ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
# Between digits only: a full stop may also end a sentence.
_SEPARATORS = {",": "٬", ".": "٫"}


def format_date(day: dt.date, language: str) -> str:
    """“Monday 23 November 2026”, «الاثنين 23 نوفمبر 2026»."""
    return f"{_DAYS[language][day.weekday()]} {day.day} {_MONTHS[language][day.month - 1]} {day.year}"


def with_hijri(text: str, day: dt.date, language: str) -> str:
    """The day by the Umm al-Qura calendar behind its Gregorian text; the text alone outside of the calendar's years."""
    try:
        hijri = Gregorian(day.year, day.month, day.day).to_hijri()
    except OverflowError:
        return text
    month = _HIJRI_MONTHS[language][hijri.month - 1]
    return f"{text} ({hijri.day} {month} {hijri.year} {_HIJRI_ERA[language]})"


def format_time(time: dt.time, language: str) -> str:
    """“10:00 AM”, «10:00 صباحًا»."""
    hour = time.hour % 12 or 12
    half = ("AM", "PM") if language == "en" else ("صباحًا", "مساءً")
    return f"{hour}:{time.minute:02d} {half[time.hour >= 12]}"


def format_money(minor: int, currency: str, language: str) -> str:
    """“1,250.00 SAR”, «1,250.00 ريال»."""
    name = _CURRENCIES.get(currency, {}).get(language, currency)
    return f"{Decimal(minor) / 100:,.2f} {name}"


def arabic_digits(text: str) -> str:
    """«١٬٢٥٠٫٠٠ ريال»: the digits, and the separators that stand between them."""
    marked = "".join(
        _SEPARATORS[char] if char in _SEPARATORS and _is_between_digits(text, place) else char
        for place, char in enumerate(text)
    )
    return marked.translate(_TO_ARABIC)


def _is_between_digits(text: str, place: int) -> bool:
    return 0 < place < len(text) - 1 and text[place - 1].isdigit() and text[place + 1].isdigit()


def plural_place(number: int) -> int:
    """The place of CLDR's Arabic form for a whole number: zero, one, two, few, many, other."""
    if number in (0, 1, 2):
        return number
    rest = number % 100
    return 3 if 3 <= rest <= 10 else 4 if 11 <= rest <= 99 else 5


def counted(number: int, forms: Sequence[str]) -> str:
    """The form for the number with the number in it: two forms are English (one, other), six are Arabic."""
    form = forms[plural_place(number)] if len(forms) == 6 else forms[0 if number == 1 else 1]
    return form.replace("#", f"{number:,}")
