"""Makes the words of a message: placeholders, values in the reader's language, bidi isolation.

A placeholder is ``{name}`` and nothing else: no attribute, index, conversion or format is followed, so a template
cannot reach into an object. A missing or unknown name is an error before anything is queued, never a blank.
Digits are Western in both languages and the calendar is Gregorian, unless the reader wishes otherwise: ``for_reader``
gives the values what only the reader decides. The formats themselves are in ``notifications/wording.py``.

Must never import a model.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import string
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from django.utils.translation import gettext as _

from notifications.wording import arabic_digits, counted, format_date, format_money, format_time, with_hijri

# Isolates (UAX #9): FSI takes its direction from the first strong character, LRI is left to right.
FSI, LRI, PDI = "\u2068", "\u2066", "\u2069"
_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_MARKS = re.compile("[\u2066-\u2069]")
_PARSER = string.Formatter()


class TemplateError(Exception):
    """A template cannot be rendered; the text tells a person what to mend."""


class MissingPlaceholder(TemplateError):
    """The template asks for something the event does not have."""


class Bilingual(Protocol):
    """A value that knows its own name in both languages (a patient, a provider, a location)."""

    def name_in(self, language: str | None = None) -> str: ...


@dataclass(frozen=True, slots=True)
class Words:
    """A value written in both languages."""

    en: str
    ar: str

    def name_in(self, language: str | None = None) -> str:
        return (self.ar or self.en) if language == "ar" else (self.en or self.ar)


@dataclass(frozen=True, slots=True)
class LocalDate:
    """A day, written out: “Monday 23 November 2026”."""

    day: dt.date


@dataclass(frozen=True, slots=True)
class LocalTime:
    """A wall clock time: “10:00 AM”."""

    time: dt.time


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units."""

    minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Code:
    """A number or phone: always left to right."""

    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """An address to open. It stays bare: phones take an isolate's end mark into the link, and it needs none.

    It must begin with a letter and end with one or with a digit, so that it is one left-to-right run.
    """

    url: str


@dataclass(frozen=True, slots=True)
class Count:
    """A number with its noun in the right form: “3 appointments”, «3 مواعيد», «11 موعدًا».

    ``en`` is (one, other). ``ar`` is CLDR's zero, one, two, few, many, other, as they stand in the sentence; a form
    that has the number in it writes ``#``, the others (none, one, two) say it by themselves.
    """

    number: int
    en: tuple[str, str]
    ar: tuple[str, str, str, str, str, str]

    def name_in(self, language: str | None = None) -> str:
        return counted(self.number, self.ar if language == "ar" else self.en)


@dataclass(frozen=True, slots=True)
class Gendered:
    """Words that a person's gender changes. The neutral ones are not optional: of many readers nobody knows it.

    Whose gender: the reader's where ``is_of_reader`` (``for_reader`` fills it in), else that of whom it speaks of.
    """

    neutral: Words
    feminine: Words
    masculine: Words
    gender: str = ""
    is_of_reader: bool = False

    def name_in(self, language: str | None = None) -> str:
        return {"F": self.feminine, "M": self.masculine}.get(self.gender, self.neutral).name_in(language)


class Reader(Protocol):
    """Who will read it: ``core.contacts.Contact``. ``numerals`` is "latn", "arab" or empty."""

    @property
    def gender(self) -> str: ...
    @property
    def numerals(self) -> str: ...
    @property
    def show_hijri(self) -> bool: ...
    def name_in(self, language: str | None = None) -> str: ...


@dataclass(frozen=True, slots=True)
class AsWished:
    """A value with the digits and the calendar its reader asked for."""

    value: Any
    has_arabic_digits: bool
    has_hijri: bool


# Numbers that are read, not dialled or typed in again: a file's number and a phone keep their digits. Another type of
# value says so by ``has_numbers``.
_READ = (LocalDate, LocalTime, Money, Count)


def for_reader(context: Mapping[str, Any], reader: Reader | None) -> dict[str, Any]:
    """The values as this reader wishes them: their own name in the greeting, gender, digits, Hijri beside the date.

    None (nobody can be reached): as they are.
    """
    if reader is None:
        return dict(context)
    suited = {name: _suited(value, reader) for name, value in context.items()}
    if "recipient_name" in suited:
        suited["recipient_name"] = reader
    return suited


def _suited(value: Any, reader: Reader) -> Any:
    if isinstance(value, Gendered) and value.is_of_reader:
        return replace(value, gender=reader.gender)
    has_arabic_digits = reader.numerals == "arab"
    if (isinstance(value, _READ) or getattr(value, "has_numbers", False)) and (has_arabic_digits or reader.show_hijri):
        return AsWished(value, has_arabic_digits, reader.show_hijri)
    return value


def placeholders(text: str) -> list[str]:
    """The names in the text, in order. Raises ``TemplateError`` for braces that are no plain name."""
    names: list[str] = []
    try:
        parts = list(_PARSER.parse(text))
    except ValueError as error:
        raise TemplateError(_("A curly bracket is open or closed without its partner.")) from error
    for literal, field, spec, conversion in parts:
        if "{" in literal or "}" in literal:
            # What Python writes for a single one. People know it from other programs, and the patient would read the name.
            raise TemplateError(
                _("Two curly brackets together are no placeholder. Write one on each side, such as {patient_name}.")
            )
        if field is None:
            continue
        if spec or conversion or not _NAME.fullmatch(field):
            raise TemplateError(
                _("“{%(field)s}” is not a placeholder. Write only a name in curly brackets, such as {patient_name}.")
                % {"field": field}
            )
        names.append(field)
    return names


def check_text(text: str, variables: Iterable[str]) -> None:
    """Raises ``TemplateError`` when the text uses a name that is not in ``variables``."""
    compiled(text, tuple(variables))


@dataclass(frozen=True, slots=True)
class Compiled:
    """A checked text and the names it asks for. ``fill`` takes values that ``fill_value`` has made."""

    text: str
    names: tuple[str, ...]

    def fill(self, values: Mapping[str, str]) -> str:
        return self.text.format_map(values)


@functools.lru_cache(maxsize=1024)
def compiled(text: str, variables: tuple[str, ...]) -> Compiled:
    """Parses and checks a text once. Raises ``TemplateError``; ``variables`` are the declared names."""
    names = tuple(dict.fromkeys(placeholders(text)))
    for name in names:
        if name not in variables:
            raise TemplateError(_("There is no placeholder “{%(name)s}” for this message.") % {"name": name})
    return Compiled(text, names)


def render(text: str, variables: Iterable[str], context: Mapping[str, Any], language: str) -> str:
    """Fills the placeholders. ``variables`` are the declared names, ``context`` the values."""
    ready = compiled(text, tuple(variables))
    return ready.fill({name: fill_value(name, context.get(name), language) for name in ready.names})


def fill_value(name: str, value: Any, language: str) -> str:
    """One value as it stands in the text, isolated where it must be. Raises ``MissingPlaceholder`` for none."""
    # A name that nobody has written down is as missing as none.
    text = "" if value is None else value_text(value, language)
    if not text.strip():
        raise MissingPlaceholder(_("There is no value for “{%(name)s}”.") % {"name": name})
    return text if isinstance(value, Link) else isolate(text, language, code=isinstance(value, Code))


def value_text(value: Any, language: str) -> str:
    """One value in the reader's language."""
    match value:
        case AsWished():
            return _as_wished(value, language)
        case LocalDate():
            return format_date(value.day, language)
        case LocalTime():
            return format_time(value.time, language)
        case Money():
            return format_money(value.minor, value.currency, language)
        case Code():
            return value.text
        case Link():
            return value.url
    name_in = getattr(value, "name_in", None)
    return str(name_in(language)) if name_in else str(value)


def _as_wished(wished: AsWished, language: str) -> str:
    text = value_text(wished.value, language)
    if wished.has_hijri and isinstance(wished.value, LocalDate):
        text = with_hijri(text, wished.value.day, language)
    # The wish is about Arabic: an English sentence has no use for its digits.
    return arabic_digits(text) if wished.has_arabic_digits and language == "ar" else text


def isolate(text: str, language: str, *, code: bool = False) -> str:
    """Wraps text of the other direction, so that it cannot disturb the sentence around it.

    In Arabic that is anything with Latin letters or digits; in English anything with Arabic letters. Text of the
    sentence's own direction stays bare: an isolate costs two of the 70 units of an Arabic SMS.
    """
    if language != "ar" and text.isascii():
        # Most values of English messages: nothing to look up.
        return text
    bare = _MARKS.sub("", text)
    kinds = set(map(unicodedata.bidirectional, bare))
    foreign = kinds & ({"L", "EN", "AN"} if language == "ar" else {"R", "AL", "AN"})
    if not foreign:
        return bare
    return f"{LRI if code else FSI}{bare}{PDI}"
