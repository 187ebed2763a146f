"""Every event's own words as their readers see them, kept as files that a person has read.

One file an event: each audience, channel and language, filled with the event's example; and one about what only the
reader decides. The marks that keep directions apart are written out: [FSI], [LRI], [PDI]. After a change of words write
the files anew and read the difference, in both languages::

    GOLDEN=write python -m pytest -q notifications/tests/test_golden.py
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from notifications import address, registry, rendering
from notifications.registry import EventType

FOLDER = Path(__file__).parent / "golden"
MARKS = {rendering.FSI: "[FSI]", rendering.LRI: "[LRI]", rendering.PDI: "[PDI]"}
LANGUAGES = ("en", "ar")


@dataclass(frozen=True)
class Reading:
    """A reader with wishes of their own."""

    name: str
    gender: str = ""
    numerals: str = "latn"
    show_hijri: bool = False

    def name_in(self, language: str | None = None) -> str:
        names = {"F": ("Huda Al-Rashid", "هدى الراشد"), "M": ("Fahad Al-Rashid", "فهد الراشد")}
        english, arabic = names.get(self.gender, ("Noor Al-Rashid", "نور الراشد"))
        return arabic if language == "ar" else english


@dataclass(frozen=True)
class Child:
    gender: str
    is_minor: bool = True


READERS = (
    Reading("a mother", gender="F"),
    Reading("a father", gender="M"),
    Reading("somebody of whom nobody knows it"),
    Reading("Arabic digits", gender="F", numerals="arab"),
    Reading("Hijri beside Gregorian", gender="M", show_hijri=True),
    Reading("both", gender="F", numerals="arab", show_hijri=True),
)


def shown(text: str) -> str:
    for mark, name in MARKS.items():
        text = text.replace(mark, name)
    return text


def texts_of(entry: EventType) -> Iterator[tuple[str, str, str]]:
    """(heading, language, template) of all that the event says out of the box."""
    for delivery in entry.deliveries:
        for words in delivery.words:
            heading = f"{delivery.audience}, {words.channel}"
            for language in LANGUAGES:
                if subject := getattr(words, f"subject_{language}"):
                    yield f"{heading}, subject, {language}", language, subject
                yield f"{heading}, {language}", language, getattr(words, f"body_{language}")
        if delivery.bell is not None:
            for language in LANGUAGES:
                bell = delivery.bell
                yield f"{delivery.audience}, bell, {language}", language, getattr(bell, f"title_{language}")
                if body := getattr(bell, f"body_{language}"):
                    yield f"{delivery.audience}, bell text, {language}", language, body


def of_event(entry: EventType) -> str:
    lines = [entry.key, f"{entry.name_en} / {entry.name_ar}"]
    for heading, language, template in texts_of(entry):
        text = rendering.render(template, entry.example, entry.example, language)
        lines += ["", f"--- {heading}", shown(text)]
    return "\n".join(lines) + "\n"


def of_readers() -> str:
    """One letter and one reminder, by who reads and of whom."""
    lines = ["The same words for different readers"]
    samples = (
        ("appointment.completed", "EMAIL", Child("F")),
        ("appointment.completed", "EMAIL", Child("M", is_minor=False)),
        ("appointment.reminder_24h", "SMS", Child("M")),
        ("billing.payment_due", "SMS", Child("M")),
    )
    for key, channel, child in samples:
        entry = registry.get(key)
        for reader in READERS:
            context = rendering.for_reader({**entry.example, **address.values_for(child)}, reader)
            whose = f"of {'a child' if child.is_minor else 'an adult'}, {child.gender}"
            for language in LANGUAGES:
                template = next(
                    getattr(words, f"body_{language}")
                    for words in entry.deliveries[0].words
                    if words.channel == channel
                )
                text = rendering.render(template, entry.example, context, language)
                lines += ["", f"--- {key}, {channel}, to {reader.name}, {whose}, {language}", shown(text)]
    return "\n".join(lines) + "\n"


def wanted() -> dict[str, str]:
    """File name → what must stand in it."""
    files = {f"{entry.key}.txt": of_event(entry) for entry in registry.all_events() if entry.deliveries}
    return {**files, "_readers.txt": of_readers()}


def test_the_words_are_those_that_were_read() -> None:
    files = wanted()
    if os.environ.get("GOLDEN") == "write":
        for path in FOLDER.glob("*.txt"):
            path.unlink()
        for name, text in files.items():
            (FOLDER / name).write_text(text, encoding="utf-8")
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.txt")}
    assert sorted(there) == sorted(files), "a file for every event that says something: GOLDEN=write, then read them"
    changed = [name for name, text in files.items() if there[name] != text]
    assert changed == [], "these words have changed: GOLDEN=write, then read the difference in both languages"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_isolate_is_closed_in_its_own_line(language: str) -> None:
    for entry in registry.all_events():
        for heading, its_language, template in texts_of(entry):
            if its_language != language:
                continue
            for line in rendering.render(template, entry.example, entry.example, language).splitlines():
                depth = 0
                for char in line:
                    depth += (char in "\u2066\u2067\u2068") - (char == "\u2069")
                    assert depth in (0, 1), f"{entry.key}, {heading}"
                assert depth == 0, f"{entry.key}, {heading}"


def test_no_arabic_sentence_calls_a_reader_by_the_wrong_gender() -> None:
    """A verb or pronoun of one gender in words that everybody gets: only the placeholders may tell."""
    forbidden = ("عزيزي", "عزيزتي", "موعدك ", "حضرتك", "طفلك", "ابنك", "ابنتك")
    for entry in registry.all_events():
        for heading, language, template in texts_of(entry):
            if language == "ar":
                assert not [word for word in forbidden if word in f"{template} "], f"{entry.key}, {heading}"
