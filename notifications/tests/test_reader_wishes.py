"""What only the reader decides: counted nouns, gender, digits, the Hijri day, and the name in the greeting."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import pytest

from notifications import rendering, wording
from notifications.rendering import AsWished, Code, Count, Gendered, Link, LocalDate, LocalTime, Money, Words

EN = ("# appointment", "# appointments")
AR = ("لا مواعيد", "موعد واحد", "موعدان", "# مواعيد", "# موعدًا", "# موعد")
DAY = LocalDate(dt.date(2026, 11, 23))


@dataclass(frozen=True)
class Reading:
    """A reader with wishes."""

    gender: str = ""
    numerals: str = "latn"
    show_hijri: bool = False

    def name_in(self, language: str | None = None) -> str:
        return "هدى" if language == "ar" else "Huda"


def said(value: object, reader: Reading, language: str = "ar") -> str:
    context = rendering.for_reader({"value": value}, reader)
    return rendering.render("{value}", ["value"], context, language)


@pytest.mark.parametrize(
    ("number", "arabic"),
    [
        (0, "لا مواعيد"),
        (1, "موعد واحد"),
        (2, "موعدان"),
        (3, "3 مواعيد"),
        (10, "10 مواعيد"),
        (11, "11 موعدًا"),
        (99, "99 موعدًا"),
        (100, "100 موعد"),
        (101, "101 موعد"),
        (102, "102 موعد"),
        (103, "103 مواعيد"),
        (111, "111 موعدًا"),
        (1000, "1,000 موعد"),
    ],
)
def test_an_arabic_noun_takes_the_form_of_its_number(number: int, arabic: str) -> None:
    assert Count(number, EN, AR).name_in("ar") == arabic


@pytest.mark.parametrize(
    ("number", "english"),
    [(0, "0 appointments"), (1, "1 appointment"), (2, "2 appointments"), (100, "100 appointments")],
)
def test_an_english_noun_knows_one_and_many(number: int, english: str) -> None:
    assert Count(number, EN, AR).name_in("en") == english


GREETING = Gendered(Words("Dear", "مرحبًا"), Words("Dear", "عزيزتي"), Words("Dear", "عزيزي"), is_of_reader=True)


@pytest.mark.parametrize(("gender", "greeting"), [("F", "عزيزتي"), ("M", "عزيزي"), ("", "مرحبًا")])
def test_the_greeting_fits_the_reader_and_is_neutral_where_nobody_knows(gender: str, greeting: str) -> None:
    assert said(GREETING, Reading(gender=gender)) == greeting


def test_the_child_keeps_its_own_gender_whoever_reads() -> None:
    child = Gendered(Words("child", "الطفل/ة"), Words("girl", "الطفلة"), Words("boy", "الطفل"), gender="M")
    assert said(child, Reading(gender="F")) == "الطفل"


@pytest.mark.parametrize(
    ("value", "arabic"),
    [
        (DAY, "\u2068الاثنين ٢٣ نوفمبر ٢٠٢٦\u2069"),
        (LocalTime(dt.time(10, 30)), "\u2068١٠:٣٠ صباحًا\u2069"),
        (Money(125_000, "SAR"), "\u2068١٬٢٥٠٫٠٠ ريال\u2069"),
        (Count(12, EN, AR), "\u2068١٢ موعدًا\u2069"),
    ],
)
def test_who_wishes_arabic_digits_reads_them(value: object, arabic: str) -> None:
    assert said(value, Reading(numerals="arab")) == arabic


def test_what_is_dialled_typed_or_opened_keeps_its_digits() -> None:
    reader = Reading(numerals="arab", show_hijri=True)
    assert said(Code("+966 11 234 5678"), reader) == "\u2066+966 11 234 5678\u2069"
    assert said(Link("https://agdar.example/c/7kmq2"), reader) == "https://agdar.example/c/7kmq2"
    assert said(Words("Branch 3", "فرع 3"), reader) == "\u2068فرع 3\u2069"


def test_an_english_sentence_has_no_use_for_arabic_digits() -> None:
    assert said(DAY, Reading(numerals="arab"), "en") == "Monday 23 November 2026"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Monday 23 November 2026 (13 Jumada II 1448 AH)"),
        ("ar", "\u2068الاثنين 23 نوفمبر 2026 (13 جمادى الآخرة 1448 هـ)\u2069"),
    ],
)
def test_the_hijri_day_stands_beside_the_gregorian_one(language: str, text: str) -> None:
    assert said(DAY, Reading(show_hijri=True), language) == text


def test_hijri_and_arabic_digits_together() -> None:
    text = said(DAY, Reading(show_hijri=True, numerals="arab"))
    assert text == "\u2068الاثنين ٢٣ نوفمبر ٢٠٢٦ (١٣ جمادى الآخرة ١٤٤٨ هـ)\u2069"


@pytest.mark.parametrize("day", [dt.date(1900, 1, 1), dt.date(2090, 1, 1)])
def test_a_day_outside_of_the_calendars_years_stands_alone(day: dt.date) -> None:
    assert "AH" not in said(LocalDate(day), Reading(show_hijri=True), "en")


@pytest.mark.parametrize(
    ("day", "hijri"),
    [
        # The first days of Ramadan and of the year as Umm al-Qura has announced them.
        (dt.date(2024, 3, 11), "1 رمضان 1445 هـ"),
        (dt.date(2025, 3, 1), "1 رمضان 1446 هـ"),
        (dt.date(2025, 6, 26), "1 محرم 1447 هـ"),
        (dt.date(2026, 2, 18), "1 رمضان 1447 هـ"),
    ],
)
def test_the_calendar_is_umm_al_qura(day: dt.date, hijri: str) -> None:
    assert wording.with_hijri("", day, "ar") == f" ({hijri})"


def test_two_readers_of_one_event_are_each_greeted_by_their_own_name() -> None:
    context = {"recipient_name": Words("Somebody", "أحد"), "date": DAY}
    assert rendering.for_reader(context, Reading())["recipient_name"].name_in("en") == "Huda"
    assert rendering.for_reader(context, None) == context


def test_no_wish_leaves_the_values_alone() -> None:
    assert rendering.for_reader({"date": DAY}, Reading())["date"] is DAY
    assert isinstance(rendering.for_reader({"date": DAY}, Reading(numerals="arab"))["date"], AsWished)


def test_a_sentences_own_punctuation_is_no_separator() -> None:
    assert wording.arabic_digits("1,250.00, 3.") == "١٬٢٥٠٫٠٠, ٣."


def test_another_value_with_numbers_says_so() -> None:
    @dataclass(frozen=True)
    class Times:
        has_numbers = True

        def name_in(self, language: str | None = None) -> str:
            return "سارة 10:00، عمر 10:30"

    assert said(Times(), Reading(numerals="arab")) == "\u2068سارة ١٠:٠٠، عمر ١٠:٣٠\u2069"
