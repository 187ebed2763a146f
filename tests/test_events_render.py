"""Every event's own words, filled with its example, as a reader would see them: both languages, every channel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from notifications import registry, rendering, segments
from notifications.registry import Audience
from notifications.states import Channel

ARABIC = re.compile(r"[\u0600-\u06ff]")
ARABIC_DIGITS = re.compile(r"[\u0660-\u0669\u06f0-\u06f9]")
# Three parts of an Arabic SMS: what a reminder may cost.
MOST_PARTS = 3


@dataclass(frozen=True)
class Sample:
    """One text of one event in one language, filled."""

    name: str
    audience: Audience
    channel: str
    language: str
    template: str
    text: str


def samples() -> Iterator[Sample]:
    for entry in registry.all_events():
        for delivery in entry.deliveries:
            texts: list[tuple[str, str, str]] = []
            for words in delivery.words:
                texts += [(words.channel, "en", words.body_en), (words.channel, "ar", words.body_ar)]
                if words.subject_en:
                    texts += [("SUBJECT", "en", words.subject_en), ("SUBJECT", "ar", words.subject_ar)]
            if delivery.bell is not None:
                bell = delivery.bell
                texts += [("TITLE", "en", bell.title_en), ("TITLE", "ar", bell.title_ar)]
                if bell.body_en:
                    texts += [("BELL", "en", bell.body_en), ("BELL", "ar", bell.body_ar)]
            for channel, language, template in texts:
                yield Sample(
                    name=f"{entry.key}.{delivery.audience}-{channel}-{language}",
                    audience=delivery.audience,
                    channel=channel,
                    language=language,
                    template=template,
                    text=rendering.render(template, entry.example, entry.example, language),
                )


ALL = list(samples())
every_sample = pytest.mark.parametrize("sample", ALL, ids=lambda sample: sample.name)


@every_sample
def test_the_example_fills_every_placeholder(sample: Sample) -> None:
    assert sample.text.strip()
    assert "{" not in sample.text
    assert "}" not in sample.text
    # Every isolate that is opened is closed.
    assert len(re.findall("[\u2066-\u2068]", sample.text)) == sample.text.count("\u2069")


@every_sample
def test_each_language_is_itself(sample: Sample) -> None:
    assert not ARABIC_DIGITS.search(sample.text), "Western digits in both languages"
    if sample.language == "en":
        # What a person wrote, and is isolated, is theirs.
        assert not ARABIC.search(re.sub("[\u2066-\u2068].*?\u2069", "", sample.text))
    else:
        bare = re.sub(r"\{\w+\}", "", sample.template)
        assert not re.search(r"[A-Za-z]", bare), "an Arabic text has no Latin words of its own"
        assert not re.search(r"[,;?]", bare), "Arabic punctuation: ، ؛ ؟"


@pytest.mark.parametrize("sample", [s for s in ALL if s.channel == Channel.SMS], ids=lambda sample: sample.name)
def test_an_sms_stays_within_three_parts_and_asks_for_no_reply(sample: Sample) -> None:
    counted = segments.count(sample.text)
    assert counted.parts <= MOST_PARTS, f"{counted.units} units in {counted.parts} parts"
    assert "\n" not in sample.text
    # A sender with a name cannot get a reply, and carriers take CANCEL for an unsubscription.
    assert not re.search(r"\b(reply|YES|NO|CANCEL|STOP)\b", sample.text)
    assert "رد" not in sample.text.split()
    assert sample.text.startswith(("Noor Clinics", "عيادات النور")), "an SMS says first who writes"


@pytest.mark.parametrize("sample", [s for s in ALL if s.audience is Audience.PATIENT], ids=lambda sample: sample.name)
def test_a_patients_text_names_no_department(sample: Sample) -> None:
    """A phone lies on the table: neither specialty nor the reason of the visit."""
    assert not {"department", "specialty", "notes", "description"} & set(rendering.placeholders(sample.template))


@pytest.mark.parametrize("sample", [s for s in ALL if s.channel == "TITLE"], ids=lambda sample: sample.name)
def test_a_bells_title_is_short(sample: Sample) -> None:
    assert len(sample.text) <= 60


@pytest.mark.parametrize("sample", [s for s in ALL if s.channel == "SUBJECT"], ids=lambda sample: sample.name)
def test_a_subject_is_one_short_line_without_a_patients_name(sample: Sample) -> None:
    assert "\n" not in sample.text
    assert len(sample.text) <= 78, "RFC 5322: the line a mail program shows"
    assert not {"patient_name", "recipient_name"} & set(rendering.placeholders(sample.template))


def test_there_is_something_to_test() -> None:
    assert {sample.channel for sample in ALL} == {"SMS", "WHATSAPP", "EMAIL", "SUBJECT", "TITLE", "BELL"}
