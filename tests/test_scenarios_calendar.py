"""From the verb to the mail server: what a patient's calendar is told while a visit is confirmed, moved and called off.

The mails are read as a mail program reads them: the bytes that a mail server was given, parsed by the standard library and
by icalendar.
"""

from __future__ import annotations

import datetime as dt
import email
import re
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from typing import Any

import pytest
from icalendar import Calendar, Event

from appointments import services
from appointments.models import Appointment
from appointments.tests.test_booking import book
from conftest import Clinic
from core import discretion
from core.models import Patient
from finance.tests.test_services import issue
from integrations import delivery, sms_providers
from integrations.fanout import process_event
from integrations.tests.smtp_server import MailServer
from notifications import branding, default_words
from notifications.branding import BrandWish
from notifications.models import Message, NotificationEvent
from notifications.states import Channel, Lane
from tests import factories
from tests.test_scenarios_many_visits import weekly

S = Appointment.Status


@pytest.fixture
def server(settings: Any) -> Iterator[MailServer]:
    """A mail server, and nothing else to send with: texts wait."""
    made = MailServer()
    settings.EMAIL_PROVIDER = ["smtp"]
    settings.EMAIL_URL = f"smtp://127.0.0.1:{made.port}"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", made.port
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.DEFAULT_FROM_EMAIL = "Noor <desk@noor.example>"
    settings.SMS_PROVIDER = settings.WHATSAPP_PROVIDER = []
    yield made
    made.stop()
    sms_providers.forget()


@pytest.fixture
def reader(clinic: Clinic) -> None:
    """The patient reads English letters at the address that ``mails`` looks for."""
    default_words.install(clinic.tenant.pk)
    Patient.objects.filter(pk=clinic.patient.pk).update(email="sara@mail.example", language="en")
    clinic.patient.refresh_from_db()


@pytest.fixture
def visit(clinic: Clinic, reader: None, ten_oclock: dt.datetime) -> Appointment:
    return book(clinic, ten_oclock)


def mails(clinic: Clinic, server: MailServer) -> list[EmailMessage]:
    """Everything that is due goes out; what the mail server was given since the last look, for the patient."""
    for pk in NotificationEvent.objects.filter(processed_at=None).values_list("pk", flat=True):
        process_event(clinic.tenant.pk, pk)
    before = len(server.mails)
    for lane in (Lane.URGENT, Lane.TRANSACTIONAL):
        delivery.drain(lane)
    made = [email.message_from_bytes(one, policy=policy.default) for one in server.mails[before:]]
    return [one for one in made if one["To"] == "sara@mail.example"]  # type: ignore[misc]


def entry(mail: EmailMessage) -> tuple[str, Event]:
    """The method and the one event that both calendar parts of a mail agree on."""
    parts = [part for part in mail.walk() if part.get_content_type() == "text/calendar"]
    assert len(parts) == 2
    invitation, file = (part.get_payload(decode=True) for part in parts)
    assert invitation == file
    calendar = Calendar.from_ical(file)
    assert {part.get_param("method") for part in parts} == {str(calendar["METHOD"])}
    [event] = calendar.walk("VEVENT")
    return str(calendar["METHOD"]), event


def test_a_calendar_follows_a_visit_through_all_its_life(
    clinic: Clinic, visit: Appointment, server: MailServer
) -> None:
    seen = []
    services.appointment_confirm(appointment_id=visit.pk, actor=clinic.front_desk)
    [mail] = mails(clinic, server)
    seen.append(entry(mail))
    for hours in (1, 2):
        services.appointment_reschedule(
            appointment_id=visit.pk,
            actor=clinic.front_desk,
            starts_at=visit.starts_at + dt.timedelta(hours=hours),
            reason="x",
        )
        [mail] = mails(clinic, server)
        seen.append(entry(mail))
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")
    [mail] = mails(clinic, server)
    seen.append(entry(mail))

    assert [method for method, _event in seen] == ["REQUEST", "REQUEST", "REQUEST", "CANCEL"]
    assert {str(event["UID"]) for _method, event in seen} == {str(visit.pk)}
    numbers = [int(event["SEQUENCE"]) for _method, event in seen]
    assert numbers == sorted(set(numbers))
    assert [str(event["STATUS"]) for _method, event in seen] == ["CONFIRMED", "TENTATIVE", "TENTATIVE", "CANCELLED"]
    assert [event.decoded("dtstart") for _method, event in seen] == [
        visit.starts_at,
        visit.starts_at + dt.timedelta(hours=1),
        visit.starts_at + dt.timedelta(hours=2),
        visit.starts_at + dt.timedelta(hours=2),
    ]
    # A mail program believes a change only from who has written before.
    assert {event["ORGANIZER"] for _method, event in seen} == {"mailto:desk@noor.example"}
    assert {event["ATTENDEE"] for _method, event in seen} == {"mailto:sara@mail.example"}


def test_scenario_09_two_quick_moves_leave_one_entry_with_a_higher_number(
    clinic: Clinic, visit: Appointment, server: MailServer
) -> None:
    services.appointment_confirm(appointment_id=visit.pk, actor=clinic.front_desk)
    [mail] = mails(clinic, server)
    _method, before = entry(mail)
    for hours in (1, 2):
        services.appointment_reschedule(
            appointment_id=visit.pk, actor=clinic.front_desk, starts_at=visit.starts_at + dt.timedelta(hours=hours)
        )
    [mail] = mails(clinic, server)
    method, after = entry(mail)
    assert method == "REQUEST"
    assert after["UID"] == before["UID"]
    assert int(after["SEQUENCE"]) > int(before["SEQUENCE"])
    assert after.decoded("dtstart") == visit.starts_at + dt.timedelta(hours=2)


def test_a_reminder_brings_no_entry(clinic: Clinic, visit: Appointment, server: MailServer) -> None:
    services.appointment_confirm(appointment_id=visit.pk, actor=clinic.front_desk)
    mails(clinic, server)
    services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk)
    services.appointment_start(appointment_id=visit.pk, actor=clinic.provider)
    services.appointment_complete(appointment_id=visit.pk, actor=clinic.provider)
    [mail] = mails(clinic, server)
    assert "text/calendar" not in [part.get_content_type() for part in mail.walk()]


# --- a place that must not be named ----------------------------------------------------------------------------------


def sensitive(clinic: Clinic, **fields: str) -> None:
    clinic.location.is_sensitive = True
    clinic.location.email_sender = "Noor Psychiatry <desk@noor.example>"
    for name, value in fields.items():
        setattr(clinic.location, name, value)
    clinic.location.save()
    clinic.location.refresh_from_db()


def telling_words(clinic: Clinic) -> list[str]:
    """Every word that would tell a stranger where somebody goes, or to whom."""
    names = [
        name.name_in(language)
        for name in (clinic.tenant, clinic.location, clinic.provider, clinic.department)
        for language in ("en", "ar")
    ]
    return [*names, "Psychiatry", "psychiatrist"]


@pytest.mark.parametrize("language", ["en", "ar"])
def test_nothing_that_reaches_a_patient_of_a_sensitive_place_names_it(
    clinic: Clinic, ten_oclock: dt.datetime, server: MailServer, language: str
) -> None:
    sensitive(clinic, discreet_name_en="The Garden", discreet_name_ar="الحديقة")
    branding.brand_set(
        actor=clinic.admin,
        wish=BrandWish(colour="#0f6b5c", footer_en="Noor Psychiatry, Olaya", footer_ar="Psychiatry", reply_to="a@b.sa"),
    )
    default_words.install(clinic.tenant.pk)
    Patient.objects.filter(pk=clinic.patient.pk).update(email="sara@mail.example", language=language)
    clinic.patient.refresh_from_db()
    visit = book(clinic, ten_oclock)
    services.appointment_confirm(appointment_id=visit.pk, actor=clinic.front_desk)
    sent = mails(clinic, server)
    services.appointment_reschedule(
        appointment_id=visit.pk,
        actor=clinic.front_desk,
        starts_at=visit.starts_at + dt.timedelta(hours=1),
        reason="the psychiatrist is away",
    )
    sent += mails(clinic, server)
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="the psychiatrist is ill")
    sent += mails(clinic, server)

    assert len(sent) == 3
    read = []
    for mail in sent:
        assert str(mail["From"]).startswith("The Garden" if language == "en" else "الحديقة")
        assert mail["Reply-To"] is None
        read.append("\n".join(f"{name}: {value}" for name, value in mail.items()))
        for part in mail.walk():
            if part.get_content_maintype() == "text":
                content = part.get_payload(decode=True)
                assert isinstance(content, bytes)
                read.append(content.decode().replace("\r\n ", ""))
            read.append(part.get_filename() or "")
    # Texts and WhatsApp, and the patient's own bell.
    read += Message.objects.filter(patient=clinic.patient).values_list("body", flat=True)
    bells = list(clinic.patient_user.notifications.values_list("title", "title_ar", "message", "message_ar"))
    assert bells
    read += [text for bell in bells for text in bell]
    assert Message.objects.filter(patient=clinic.patient, channel=Channel.SMS).exists()
    everything = re.sub(r"[\u2066-\u2069]", "", "\n".join(read))
    for word in telling_words(clinic):
        assert word not in everything, word


def test_a_bill_for_a_visit_at_a_sensitive_place_names_it_no_more_than_the_visit_does(
    clinic: Clinic, ten_oclock: dt.datetime, server: MailServer
) -> None:
    sensitive(clinic)
    branding.brand_set(
        actor=clinic.admin, wish=BrandWish(colour="#0f6b5c", footer_en="Psychiatry", footer_ar="Psychiatry")
    )
    default_words.install(clinic.tenant.pk)
    factories.PreferenceFactory(tenant=clinic.tenant, patient=clinic.patient, preferred_channel=Channel.EMAIL)
    Patient.objects.filter(pk=clinic.patient.pk).update(email="sara@mail.example", language="en")
    clinic.patient.refresh_from_db()
    issue(clinic, appointment=book(clinic, ten_oclock), description="Psychiatry session")
    bills = [mail for mail in mails(clinic, server) if "INV-" in mail.as_string()]
    assert bills
    for mail in bills:
        shown = "\n".join(str(value) for value in mail.values())
        shown += "".join(str(part.get_content()) for part in mail.walk() if part.get_content_maintype() == "text")
        for word in telling_words(clinic):
            assert word not in shown, word


def test_staff_read_the_real_names_of_a_sensitive_place(
    clinic: Clinic, ten_oclock: dt.datetime, server: MailServer
) -> None:
    sensitive(clinic)
    default_words.install(clinic.tenant.pk)
    visit = book(clinic, ten_oclock)
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="the psychiatrist is ill")
    mails(clinic, server)
    letters = Message.objects.filter(user=clinic.provider)
    assert any("the psychiatrist is ill" in letter.body for letter in letters)
    assert discretion.CLINIC.en not in "".join(letter.body for letter in letters)


def test_an_entry_of_a_visit_that_never_was_is_taken_back_and_nothing_else_is_said(
    clinic: Clinic, visit: Appointment, server: MailServer
) -> None:
    services.appointment_confirm(appointment_id=visit.pk, actor=clinic.front_desk)
    [mail] = mails(clinic, server)
    _method, put = entry(mail)
    services.appointment_void(appointment_id=visit.pk, actor=clinic.admin, reason="The wrong Sara")
    [mail] = mails(clinic, server)
    method, taken = entry(mail)
    assert (method, str(taken["STATUS"]), taken["UID"]) == ("CANCEL", "CANCELLED", put["UID"])
    assert taken["SEQUENCE"] > put["SEQUENCE"]
    assert "wrong Sara" not in mail.as_string()
    of_it = Message.objects.filter(event__key="appointment.entered_in_error")
    assert set(of_it.values_list("channel", flat=True)) == {"EMAIL"}


@pytest.mark.parametrize("how", ["never written about", "called off before"])
def test_no_letter_takes_back_what_no_calendar_has(
    clinic: Clinic, visit: Appointment, server: MailServer, how: str
) -> None:
    if how == "called off before":
        services.appointment_confirm(appointment_id=visit.pk, actor=clinic.front_desk)
        assert len(mails(clinic, server)) == 1
        services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")
        assert len(mails(clinic, server)) == 1
    services.appointment_void(appointment_id=visit.pk, actor=clinic.admin, reason="x")
    assert mails(clinic, server) == []
    assert not NotificationEvent.objects.filter(key="appointment.entered_in_error").exists()


def test_of_a_series_one_occurrence_that_never_was_is_taken_back(
    clinic: Clinic, reader: None, server: MailServer, ten_oclock: dt.datetime
) -> None:
    made = weekly(clinic, ten_oclock, count=3)
    [mail] = mails(clinic, server)
    [invitation, _file] = [part for part in mail.walk() if part.get_content_type() == "text/calendar"]
    assert invitation.get_param("method") == "REQUEST"
    second = made.visits.order_by("starts_at")[1]
    services.appointment_void(appointment_id=second.pk, actor=clinic.admin, reason="x")
    [mail] = mails(clinic, server)
    method, event = entry(mail)
    assert (method, str(event["UID"])) == ("CANCEL", str(made.pk))
    assert event["RECURRENCE-ID"].dt == second.series_start
