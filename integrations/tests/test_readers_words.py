"""What a reader gets is in their language, digits and calendar, and the log says when it is not the language they chose."""

from __future__ import annotations

import datetime as dt

import pytest

from conftest import Clinic
from core.models import Patient
from integrations.messaging_service import MessagingService
from notifications import languages
from notifications.models import Message, MessageTemplate
from notifications.rendering import Gendered, LocalDate, Words

DATE = LocalDate(dt.date(2026, 11, 23))
GREETING = Gendered(Words("Dear", "مرحبًا"), Words("Dear", "عزيزتي"), Words("Dear", "عزيزي"), is_of_reader=True)


@pytest.fixture
def template(clinic: Clinic) -> MessageTemplate:
    return MessageTemplate.objects.create(
        tenant=clinic.tenant,
        code="test.dates",
        name="Dates",
        channel="SMS",
        notification_type="GENERAL",
        variables=["date", "recipient_name", "greeting"],
        body_en="{greeting} {recipient_name}: {date}",
        body_ar="{greeting} {recipient_name}: {date}",
    )


def send(clinic: Clinic, **wishes: object) -> Message:
    Patient.objects.filter(pk=clinic.patient.pk).update(**wishes)
    return MessagingService().send_from_template(
        tenant_id=clinic.tenant.pk,
        template_code="test.dates",
        patient_id=clinic.patient.pk,
        channel="SMS",
        context={"date": DATE, "recipient_name": Words("Nobody", "أحد"), "greeting": GREETING},
    )


def bare(message: Message) -> str:
    return message.body.translate({ord(mark): None for mark in "\u2066\u2067\u2068\u2069"})


def log(message: Message) -> dict[str, object]:
    response: dict[str, object] = message.logs.get(event="CREATED").provider_response
    return response


def test_a_woman_who_reads_arabic_digits_and_hijri(clinic: Clinic, template: MessageTemplate) -> None:
    message = send(
        clinic, language="ar", gender="F", numerals="arab", show_hijri=True, name_ar="سارة المطيري", name_en="Sara"
    )
    assert bare(message) == "عزيزتي سارة المطيري: الاثنين ٢٣ نوفمبر ٢٠٢٦ (١٣ جمادى الآخرة ١٤٤٨ هـ)"
    assert "language" not in log(message)


def test_without_wishes_it_is_western_digits_and_the_gregorian_day(clinic: Clinic, template: MessageTemplate) -> None:
    message = send(clinic, language="en", gender="M", name_en="Omar")
    assert message.body == "Dear Omar: Monday 23 November 2026"


def test_a_name_in_the_wrong_script_is_better_than_none_and_is_isolated(
    clinic: Clinic, template: MessageTemplate
) -> None:
    message = send(clinic, language="ar", gender="M", name_en="Omar", name_ar="")
    assert message.body == "عزيزي \u2068Omar\u2069: \u2068الاثنين 23 نوفمبر 2026\u2069"


def test_words_that_are_missing_in_the_readers_language_are_noted_on_the_message(
    clinic: Clinic, template: MessageTemplate
) -> None:
    MessageTemplate.objects.filter(pk=template.pk).update(body_ar="")
    clinic.tenant.default_language = "ar"
    clinic.tenant.save(update_fields=["default_language"])
    message = send(clinic, language="ar", name_en="Omar")
    assert (message.language, message.body[:5]) == ("en", "Dear ")
    assert log(message)["language"] == {"wanted": "ar", "used": "en", "because": "english"}


@pytest.mark.parametrize(
    ("wanted", "default", "written", "language", "step"),
    [
        ("ar", "en", {"ar", "en"}, "ar", "exact"),
        ("ar-SA", "en", {"ar", "en"}, "ar", "base"),
        ("EN_GB", "ar", {"ar", "en"}, "en", "base"),
        ("fr", "ar", {"ar", "en"}, "ar", "tenant"),
        ("fr", "ur", {"ar", "en"}, "en", "english"),
        ("en", "en", {"ar"}, "ar", "only"),
        ("", "ar", {"ar", "en"}, "ar", "tenant"),
        ("ar", "ar", set(), "ar", "exact"),
    ],
)
def test_the_language_falls_back_step_by_step(
    wanted: str, default: str, written: set[str], language: str, step: str
) -> None:
    choice = languages.choose(wanted, tenant_default=default, written=written)
    assert (choice.language, choice.step) == (language, step)


def test_the_messages_page_tells_the_staff_that_it_is_not_the_readers_language(
    clinic: Clinic, template: MessageTemplate
) -> None:
    MessageTemplate.objects.filter(pk=template.pk).update(body_ar="")
    message = send(clinic, language="ar", name_en="Omar")
    page = clinic.client(clinic.admin).get(f"/notifications/messages/{message.pk}/").content.decode()
    assert "there were words in English only" in page
