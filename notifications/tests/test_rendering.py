from __future__ import annotations

import datetime as dt

import pytest

from notifications import rendering
from notifications.rendering import Code, Link, LocalDate, LocalTime, Money, Words

NAMES = ["patient_name", "date", "time", "phone", "amount"]


def test_values_stand_where_the_placeholders_were() -> None:
    text = rendering.render(
        "Hi {patient_name}, your appointment is on {date} at {time}",
        NAMES,
        {
            "patient_name": "Ahmed Al-Saud",
            "date": LocalDate(dt.date(2026, 11, 23)),
            "time": LocalTime(dt.time(10, 5)),
        },
        "en",
    )
    assert text == "Hi Ahmed Al-Saud, your appointment is on Monday 23 November 2026 at 10:05 AM"


def test_plain_strings_work_as_values() -> None:
    text = rendering.render("{date} {time}", NAMES, {"date": "2025-11-15", "time": "10:00 AM"}, "en")
    assert text == "2025-11-15 10:00 AM"


@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_value_is_an_error_and_never_a_blank(value: str | None) -> None:
    with pytest.raises(rendering.MissingPlaceholder, match="patient_name"):
        rendering.render("Hi {patient_name}", NAMES, {"patient_name": value}, "en")


def test_an_undeclared_placeholder_is_an_error() -> None:
    with pytest.raises(rendering.TemplateError, match="diagnosis"):
        rendering.render("{diagnosis}", NAMES, {"diagnosis": "x"}, "en")


@pytest.mark.parametrize(
    "text",
    ["{patient_name.__class__}", "{patient_name[0]}", "{patient_name!r}", "{patient_name:>10}", "{}", "{0}", "{Name}"],
)
def test_nothing_but_a_plain_name_is_a_placeholder(text: str) -> None:
    with pytest.raises(rendering.TemplateError):
        rendering.check_text(text, NAMES)


@pytest.mark.parametrize("text", ["{patient_name", "patient_name}", "{{patient_name}"])
def test_a_lonely_bracket_is_an_error(text: str) -> None:
    with pytest.raises(rendering.TemplateError):
        rendering.check_text(text, NAMES)


def test_a_value_with_brackets_is_not_read_as_a_template() -> None:
    assert rendering.render("{patient_name}", NAMES, {"patient_name": "{date}"}, "en") == "{date}"


def test_latin_text_and_digits_are_isolated_in_arabic() -> None:
    context = {"patient_name": Words("Sara", "سارة"), "time": LocalTime(dt.time(14)), "phone": Code("+966501234567")}
    text = rendering.render("{patient_name} {time} {phone}", NAMES, context, "ar")
    assert text == "سارة \u20682:00 مساءً\u2069 \u2066+966501234567\u2069"


def test_an_arabic_name_is_isolated_in_english_and_a_latin_one_is_not() -> None:
    assert rendering.isolate("سارة", "en") == "\u2068سارة\u2069"
    assert rendering.isolate("Sara", "en") == "Sara"
    assert rendering.isolate("سارة", "ar") == "سارة"


def test_a_link_stays_bare_or_phones_would_take_the_end_mark_into_it() -> None:
    text = rendering.render("للتأكيد: {link}", ["link"], {"link": Link("https://agdar.example/c/7kmq2xw9b4f")}, "ar")
    assert text == "للتأكيد: https://agdar.example/c/7kmq2xw9b4f"


def test_isolates_typed_into_a_value_cannot_escape() -> None:
    assert rendering.isolate("a\u2069b", "ar") == "\u2068ab\u2069"


@pytest.mark.parametrize(
    ("hour", "english", "arabic"),
    [(0, "12:30 AM", "12:30 صباحًا"), (12, "12:30 PM", "12:30 مساءً"), (23, "11:30 PM", "11:30 مساءً")],
)
def test_the_clock_has_twelve_hours(hour: int, english: str, arabic: str) -> None:
    assert rendering.format_time(dt.time(hour, 30), "en") == english
    assert rendering.format_time(dt.time(hour, 30), "ar") == arabic


def test_money_has_western_digits_in_both_languages() -> None:
    assert rendering.value_text(Money(125000, "SAR"), "en") == "1,250.00 SAR"
    assert rendering.value_text(Money(125000, "SAR"), "ar") == "1,250.00 ريال"
