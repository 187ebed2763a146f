"""What the checks find in a text, and what they leave alone; the word-level difference."""

from __future__ import annotations

from typing import Any

import pytest

from conftest import Clinic
from notifications import registry, rendering, segments, template_checks
from notifications.models import Brand, MessageTemplate, TemplateVersion
from notifications.template_diff import Piece, pieces
from notifications.tests.test_template_versions import make


def findings(channel: str = "SMS", kind: str = "GENERAL", **words: str) -> list[tuple[str, str]]:
    template = MessageTemplate(code="own.x", channel=channel, notification_type=kind, version=0)
    given: dict[str, Any] = {"body_en": "Hello {patient_name}", "body_ar": "مرحبًا {patient_name}", **words}
    version = TemplateVersion(template=template, variables=[], **given)
    return [(finding.code, finding.field) for finding in template_checks.look_over(template, version)]


def test_a_plain_text_in_both_languages_has_nothing_to_say() -> None:
    assert findings() == []


@pytest.mark.parametrize(
    "text", ["Hello – {patient_name}", "Hello {patient_name}, it’s time", "Hi\u00a0{patient_name}"]
)
def test_a_character_that_makes_an_sms_dearer_is_named(text: str) -> None:
    assert findings(body_en=text) == [("ucs2", "body_en")]
    assert findings(channel="WHATSAPP", body_en=text) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{patient_name} see bit.ly/x1", "shortener"),
        ("{patient_name} see https://evil.example/pay", "foreign_link"),
        ("{patient_name} see www.other.example", "foreign_link"),
        ("{patient_name} at 10:30. Thank you", None),
    ],
)
def test_links_that_lead_away_are_found(text: str, code: str | None) -> None:
    assert findings(body_en=text) == ([(code, "body_en")] if code else [])


@pytest.mark.parametrize(
    ("language", "word", "is_found"),
    [
        ("en", "Your HIV test", True),
        ("en", "your diabetes clinic", True),
        ("en", "still, aidsn", False),
        ("en", "the best steps", False),
        ("ar", "موعد علاج السكّري", True),
        ("ar", "عيادة الأورام", True),
        ("ar", "للسرطان", True),
        ("ar", "موعدكم غدًا", False),
    ],
)
def test_words_that_tell_what_somebody_is_treated_for(language: str, word: str, *, is_found: bool) -> None:
    start = {"en": "Hello {patient_name}. ", "ar": "مرحبًا {patient_name}. "}[language]
    found = findings(**{f"body_{language}": start + word})
    assert found == ([("health", f"body_{language}")] if is_found else [])


def test_marketing_says_how_to_stop() -> None:
    assert findings(kind="MARKETING") == [("opt_out", "body_en"), ("opt_out", "body_ar")]
    assert (
        findings(
            kind="MARKETING",
            body_en="Hi {patient_name}. Unsubscribe: desk",
            body_ar="مرحبًا {patient_name}. لإلغاء الاشتراك: الاستقبال",
        )
        == []
    )


def test_an_arabic_text_in_english_letters_is_refused() -> None:
    assert findings(body_ar="Hello {patient_name}") == [("not_arabic", "body_ar")]


def test_a_bracket_without_its_partner_is_refused_with_a_sentence() -> None:
    assert ("brackets", "body_en") in findings(body_en="Hello {patient_name")


def test_the_words_of_every_event_may_be_published_as_they_are() -> None:
    """Else no clinic could publish a change of them."""
    for entry in registry.all_events():
        for delivery in entry.deliveries:
            for words in delivery.words:
                template = MessageTemplate(
                    code=entry.template_code(delivery.audience),
                    channel=words.channel,
                    notification_type=entry.notification_type,
                )
                version = TemplateVersion(
                    template=template,
                    variables=sorted(entry.example),
                    subject_en=words.subject_en,
                    subject_ar=words.subject_ar,
                    body_en=words.body_en,
                    body_ar=words.body_ar,
                )
                found = template_checks.look_over(template, version)
                assert [one.text for one in found if one.is_blocker] == [], entry.key
                assert [one for one in found if one.code in ("health", "ucs2", "foreign_link")] == [], entry.key


def test_the_worst_case_is_never_shorter_than_the_example() -> None:
    for entry in registry.all_events():
        for delivery in entry.deliveries:
            for words in delivery.words:
                template = MessageTemplate(code=entry.template_code(delivery.audience), channel=words.channel)
                version = TemplateVersion(template=template, variables=[], body_en=words.body_en, body_ar=words.body_ar)
                for language, body in (("en", words.body_en), ("ar", words.body_ar)):
                    usual = rendering.render(body, entry.example, entry.example, language)
                    longest = template_checks.longest_text(template, version, language)
                    assert longest is not None
                    assert segments.count(longest).units >= segments.count(usual).units


def test_a_difference_is_told_in_words_and_keeps_placeholders_whole() -> None:
    assert pieces("At {time} today", "At {date} today") == [
        Piece("same", "At "),
        Piece("gone", "{time}"),
        Piece("new", "{date}"),
        Piece("same", " today"),
    ]
    old, new = "We open at eight on Monday.", "We close at nine on Monday."
    found = pieces(old, new)
    assert "".join(one.text for one in found if one.kind != "new") == old
    assert "".join(one.text for one in found if one.kind != "gone") == new
    assert pieces("same", "same") == [Piece("same", "same")]
    assert pieces("", "all") == [Piece("new", "all")]


def test_the_clinics_own_short_links_are_no_strangers(clinic: Clinic) -> None:
    template = make(clinic).template
    words = TemplateVersion(
        template=template,
        variables=[],
        body_en="{patient_name}: https://go.noor.example/x",
        body_ar="مرحبًا {patient_name}",
    )
    assert [one.code for one in template_checks.look_over(template, words)] == ["foreign_link"]
    Brand.objects.create(tenant=clinic.tenant, link_host="go.noor.example")
    assert template_checks.look_over(template, words) == []
