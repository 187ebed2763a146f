"""Patients write back: from the clinic's verb over the provider to the reply, what it does and what is written back.

The scenarios are those of two-way messaging: a reply in either script acts once, nothing dead is ever confirmed, what is
not plain goes to a person.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from twilio.request_validator import RequestValidator

from appointments import services
from appointments.models import Appointment
from conftest import Clinic
from core.models import Location, Patient
from core.tenancy import system_scope, tenant_scope
from integrations import delivery
from integrations.fanout import process_event
from integrations.tasks import answer_replies_task
from integrations.tests.fakes import FakeProvider, play
from notifications import default_words
from notifications.models import (
    Conversation,
    DeskTask,
    InboundMessage,
    Message,
    Notification,
    NotificationEvent,
    NotificationPreference,
    OptEvent,
    SenderCapability,
)
from notifications.states import Lane, Reason, Status, TaskKind
from tests import factories

BASE = "https://clinic.example"
OURS = "+966920000000"
S = Appointment.Status
_SIDS = itertools.count(1)


@pytest.fixture(autouse=True)
def set_up(settings: Any) -> None:
    settings.PUBLIC_BASE_URL = BASE
    settings.TWILIO_AUTH_TOKEN = "the-token"
    settings.ALLOWED_HOSTS = ["*"]


@pytest.fixture
def provider(set_up: None) -> Iterator[FakeProvider]:
    """Gone again before the settings come back, which the providers listen to."""
    with pytest.MonkeyPatch.context() as patch:
        yield play(patch)


def prepare(clinic: Clinic) -> None:
    """WhatsApp from a number that several clinic groups may share."""
    default_words.install(clinic.tenant.pk)
    Location.objects.filter(pk=clinic.location.pk).update(whatsapp_sender=OURS)
    clinic.location.refresh_from_db()
    wish = {"preferred_channel": "WHATSAPP", "preferred_language": "ar"}
    NotificationPreference.objects.update_or_create(tenant=clinic.tenant, patient=clinic.patient, defaults=wish)


@pytest.fixture
def noor(clinic: Clinic, provider: FakeProvider) -> Clinic:
    prepare(clinic)
    return clinic


def settle() -> None:
    """Fans out and sends whatever waits, as workers would, news that still rests included."""
    for _turn in range(5):
        with system_scope("the test plays all workers"):
            NotificationEvent.objects.filter(processed_at=None).update(due_at=None)
            waiting = list(NotificationEvent.objects.filter(processed_at=None).values_list("tenant_id", "pk"))
        for tenant_id, pk in waiting:
            process_event(tenant_id, pk)
        for lane in Lane:
            delivery.drain(lane.value)
        if not waiting:
            return


def book(clinic: Clinic, starts_at: dt.datetime, **fields: object) -> Appointment:
    wishes = {
        "actor": clinic.front_desk,
        "patient": clinic.patient,
        "provider": clinic.provider,
        "location": clinic.location,
        "department": clinic.department,
        "starts_at": starts_at,
        "duration": dt.timedelta(minutes=30),
    }
    visit = services.appointment_book(**(wishes | fields))
    settle()
    return visit


def write(number: str, body: str, *, channel: str = "WHATSAPP", to: str = OURS, **more: str) -> InboundMessage | None:
    """The patient writes; the provider calls us, a worker answers. The reply as it was kept."""
    prefix = "whatsapp:" if channel == "WHATSAPP" else ""
    sid = f"SMin{next(_SIDS)}"
    form = {"From": f"{prefix}{number}", "To": f"{prefix}{to}", "Body": body, "MessageSid": sid, **more}
    signature = RequestValidator("the-token").compute_signature(f"{BASE}/webhooks/twilio/inbound/", form)
    answer = Client(enforce_csrf_checks=True).post(
        "/webhooks/twilio/inbound/", form, headers={"X-Twilio-Signature": signature}
    )
    assert answer.status_code == 200
    assert answer_replies_task()["failed"] == 0
    settle()
    with system_scope("the test looks at all clinics"):
        return InboundMessage.objects.filter(provider_message_id=sid).first()


def status_of(visit: Appointment) -> str:
    return Appointment.objects.get(pk=visit.pk).status


def acknowledgements(reply: InboundMessage | None) -> list[Message]:
    assert reply is not None
    with system_scope("the test looks at all clinics"):
        return list(Message.objects.filter(dedupe_key=f"reply:{reply.pk}"))


def text_of(reply: InboundMessage | None) -> str:
    (message,) = acknowledgements(reply)
    assert message.status == Status.SENT, message.reason
    return message.body


def tasks(kind: TaskKind) -> list[DeskTask]:
    return list(DeskTask.objects.filter(kind=kind, state="OPEN"))


def child(clinic: Clinic, name_en: str, name_ar: str, guardian: Any) -> Patient:
    made: Patient = factories.PatientFactory(
        tenant=clinic.tenant,
        name_en=name_en,
        name_ar=name_ar,
        birth_date=timezone.localdate() - dt.timedelta(days=8 * 365),
        phone="",
        email="",
    )
    factories.GuardianshipFactory(tenant=clinic.tenant, patient=made, guardian=guardian)
    factories.PreferenceFactory(tenant=clinic.tenant, patient=made, preferred_channel="WHATSAPP")
    return made


@dataclass
class Family:
    phone: str
    sara: Patient
    omar: Patient


@pytest.fixture
def family(noor: Clinic) -> Family:
    mother = factories.GuardianFactory(tenant=noor.tenant)
    return Family(
        mother.phone,
        child(noor, "Sara Al-Rashid", "سارة الراشد", mother),
        child(noor, "Omar Al-Rashid", "عمر الراشد", mother),
    )


# --- one visit -------------------------------------------------------------------------------------------------------


def test_scenario_04_a_whatsapp_reply_in_arabic_digits_cancels_once(
    noor: Clinic, provider: FakeProvider, ten_oclock: dt.datetime
) -> None:
    visit = book(noor, ten_oclock)
    reply = write(noor.patient.phone, "٢")
    visit.refresh_from_db()
    assert (visit.status, visit.cancelled_by) == (S.CANCELLED, "PATIENT")
    assert reply is not None
    assert (reply.outcome, reply.meaning) == ("CANCELLED", "cancel")
    # One acknowledgement over the same channel and from the same number, no echo beyond it.
    assert "تم الإلغاء" in text_of(reply)
    ack = acknowledgements(reply)[0]
    assert (ack.channel, ack.recipient, ack.sender, ack.lane) == ("WHATSAPP", noor.patient.phone, OURS, Lane.URGENT)
    echo = Message.objects.get(event__key="appointment.cancelled", patient=noor.patient, channel="WHATSAPP")
    assert (echo.status, echo.reason) == (Status.SUPPRESSED, Reason.ACTOR_SELF)
    assert Notification.objects.filter(user=noor.provider, event_key="appointment.cancelled").exists()
    # The slot is free again.
    other = factories.PatientFactory(tenant=noor.tenant)
    book(noor, ten_oclock, patient=other)


@pytest.mark.parametrize("yes", ["1", "١", "نعم", "Yes!", "أكّد 👍"])
def test_a_yes_confirms_once_and_the_desk_learns_of_it(noor: Clinic, ten_oclock: dt.datetime, yes: str) -> None:
    visit = book(noor, ten_oclock)
    reply = write(noor.patient.phone, yes)
    assert status_of(visit) == S.CONFIRMED
    assert "تم التأكيد" in text_of(reply)
    assert Notification.objects.filter(user=noor.front_desk, event_key="appointment.confirmed_by_patient").count() == 1
    again = write(noor.patient.phone, yes)
    assert again is not None
    assert (again.outcome, acknowledgements(again)) == ("SILENT", [])
    assert not tasks(TaskKind.REPLY)


def test_another_time_opens_a_task_and_the_visit_stands(noor: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(noor, ten_oclock)
    reply = write(noor.patient.phone, "موعد آخر")
    assert status_of(visit) == S.BOOKED
    assert [task.object_id for task in tasks(TaskKind.REBOOK)] == [visit.pk]
    assert "https://clinic.example/" in text_of(reply)


@pytest.mark.parametrize("words", ["not coming", "ما راح اجي", "yes but later", "نعم بس متأخرين", "👍"])
def test_words_that_are_not_in_the_table_are_read_by_a_person(
    noor: Clinic, ten_oclock: dt.datetime, words: str
) -> None:
    visit = book(noor, ten_oclock)
    reply = write(noor.patient.phone, words)
    assert status_of(visit) == S.BOOKED
    assert reply is not None
    assert (reply.outcome, acknowledgements(reply)) == ("STAFF", [])
    assert len(tasks(TaskKind.REPLY)) == 1
    assert Conversation.objects.get().unread == 1
    assert Notification.objects.filter(user=noor.front_desk, event_key="message.reply_received").exists()


# --- what is dead ----------------------------------------------------------------------------------------------------


def test_a_yes_to_a_cancelled_visit_tells_that_it_is_cancelled(noor: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(noor, ten_oclock)
    services.appointment_cancel(appointment_id=visit.pk, actor=noor.front_desk, reason="x")
    reply = write(noor.patient.phone, "1")
    assert status_of(visit) == S.CANCELLED
    assert "ملغى" in text_of(reply)
    assert "التأكيد" not in text_of(reply)


def test_a_yes_to_the_old_time_does_not_confirm_the_new_one(noor: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(noor, ten_oclock)
    # Moved, and the news has not gone out yet.
    services.appointment_reschedule(
        appointment_id=visit.pk, actor=noor.front_desk, starts_at=ten_oclock + dt.timedelta(days=1)
    )
    reply = write(noor.patient.phone, "1")
    assert status_of(visit) == S.RESCHEDULED
    assert "الموعد الآن" in text_of(reply)


def test_a_yes_to_the_news_of_the_new_time_confirms_it(noor: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(noor, ten_oclock)
    services.appointment_reschedule(
        appointment_id=visit.pk, actor=noor.front_desk, starts_at=ten_oclock + dt.timedelta(days=1)
    )
    settle()
    write(noor.patient.phone, "1")
    assert status_of(visit) == S.CONFIRMED


def test_a_visit_that_is_past_is_not_confirmed(noor: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(noor, ten_oclock)
    past = timezone.now() - dt.timedelta(hours=3)
    Appointment.objects.filter(pk=visit.pk).update(starts_at=past, ends_at=past + dt.timedelta(minutes=30))
    reply = write(noor.patient.phone, "نعم")
    assert status_of(visit) == S.BOOKED
    assert "انتهى" in text_of(reply)


def test_a_cancel_without_anything_to_cancel_unsubscribes_nobody(noor: Clinic) -> None:
    from integrations.messaging_service import MessagingService

    MessagingService().send_message(
        tenant_id=noor.tenant.pk, patient_id=noor.patient.pk, channel="WHATSAPP", body="مرحبًا"
    )
    settle()
    # It left by the provider's default number.
    reply = write(noor.patient.phone, "إلغاء")
    assert reply is not None
    assert reply.outcome == "STAFF"
    assert "لم نجد" in text_of(reply)
    assert not OptEvent.objects.exists()
    no = write(noor.patient.phone, "لا")
    assert no is not None
    assert (no.outcome, acknowledgements(no)) == ("STAFF", [])


# --- which one -------------------------------------------------------------------------------------------------------


def test_a_yes_with_two_open_questions_asks_once_and_then_does_what_was_chosen(
    noor: Clinic, family: Family, ten_oclock: dt.datetime
) -> None:
    sara = book(noor, ten_oclock, patient=family.sara)
    omar = book(noor, ten_oclock + dt.timedelta(hours=1), patient=family.omar)
    asked = write(family.phone, "نعم")
    assert (status_of(sara), status_of(omar)) == (S.BOOKED, S.BOOKED)
    assert "1. سارة" in text_of(asked).translate({0x2066: None, 0x2068: None, 0x2069: None})
    write(family.phone, "2")
    assert (status_of(sara), status_of(omar)) == (S.BOOKED, S.CONFIRMED)


def test_a_second_unclear_answer_is_read_by_a_person(noor: Clinic, family: Family, ten_oclock: dt.datetime) -> None:
    sara = book(noor, ten_oclock, patient=family.sara)
    omar = book(noor, ten_oclock + dt.timedelta(hours=1), patient=family.omar)
    write(family.phone, "الغاء")
    reply = write(family.phone, "الكبير")
    assert reply is not None
    assert (reply.outcome, acknowledgements(reply)) == ("STAFF", [])
    assert (status_of(sara), status_of(omar)) == (S.BOOKED, S.BOOKED)


def test_a_name_chooses_and_all_means_all(noor: Clinic, family: Family, ten_oclock: dt.datetime) -> None:
    sara = book(noor, ten_oclock, patient=family.sara)
    omar = book(noor, ten_oclock + dt.timedelta(hours=1), patient=family.omar)
    write(family.phone, "2")
    write(family.phone, "سارة")
    assert (status_of(sara), status_of(omar)) == (S.CANCELLED, S.BOOKED)
    write(family.phone, "1")
    assert status_of(omar) == S.CONFIRMED


def test_a_whatsapp_answer_to_a_chosen_message_is_about_that_one(
    noor: Clinic, family: Family, ten_oclock: dt.datetime
) -> None:
    sara = book(noor, ten_oclock, patient=family.sara)
    omar = book(noor, ten_oclock + dt.timedelta(hours=1), patient=family.omar)
    message = Message.objects.get(object_id=sara.pk, event__key="appointment.booked")
    write(family.phone, "1", OriginalRepliedMessageSid=message.provider_message_id)
    assert (status_of(sara), status_of(omar)) == (S.CONFIRMED, S.BOOKED)


def test_two_clinic_groups_on_one_number_and_one_phone_never_mix(
    noor: Clinic, other_clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    ours = book(noor, ten_oclock)
    with tenant_scope(other_clinic.tenant.pk):
        Patient.objects.filter(pk=other_clinic.patient.pk).update(phone=noor.patient.phone)
        other_clinic.patient.refresh_from_db()
        prepare(other_clinic)
        theirs = book(other_clinic, ten_oclock)
    reply = write(noor.patient.phone, "1")
    assert status_of(ours) == S.BOOKED
    with tenant_scope(other_clinic.tenant.pk):
        assert status_of(theirs) == S.BOOKED
    text = text_of(reply)
    assert "https://clinic.example/" in text
    assert not any(name in text for name in ("Noor", "Amal", "noor", "amal"))
    # Each clinic group sees what is its own, and a STOP is kept by both.
    write(noor.patient.phone, "STOP")
    for clinic in (noor, other_clinic):
        with tenant_scope(clinic.tenant.pk):
            assert OptEvent.objects.filter(act="STOP").count() == 1
    with tenant_scope(noor.tenant.pk):
        assert not InboundMessage.objects.exclude(tenant=noor.tenant).exists()


# --- stop, start, wrong, help ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["STOP", "إيقاف", "الغاء الاشتراك"])
def test_a_stop_is_kept_with_its_words_and_holds_until_start(noor: Clinic, ten_oclock: dt.datetime, word: str) -> None:
    visit = book(noor, ten_oclock)
    reply = write(noor.patient.phone, word)
    assert status_of(visit) == S.BOOKED
    assert reply is not None
    assert (reply.outcome, acknowledgements(reply)) == ("STOPPED", [])
    kept = OptEvent.objects.get()
    assert (kept.raw, kept.sender, kept.address) == (word, OURS, noor.patient.phone)
    book(noor, ten_oclock + dt.timedelta(hours=2))
    refused = Message.objects.filter(event__key="appointment.booked").order_by("-created_at").first()
    assert refused is not None
    assert refused.channel != "WHATSAPP" or refused.reason == Reason.OPT_OUT_SENDER
    back = write(noor.patient.phone, "START")
    assert "من جديد" in text_of(back)


def test_a_wrong_number_stops_everything_and_tells_nobody_anything(noor: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(noor, ten_oclock)
    reply = write(noor.patient.phone, "رقم خاطئ")
    assert status_of(visit) == S.BOOKED
    assert reply is not None
    assert (reply.outcome, acknowledgements(reply)) == ("WRONG_NUMBER", [])
    assert tasks(TaskKind.WRONG_NUMBER)


def test_help_names_the_clinics_phone(noor: Clinic, ten_oclock: dt.datetime) -> None:
    book(noor, ten_oclock)
    assert "+966 11 234 5678" in text_of(write(noor.patient.phone, "مساعدة"))


# --- danger and machines ---------------------------------------------------------------------------------------------


def test_words_of_danger_ring_the_desk_and_get_one_emergency_text(noor: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(noor, ten_oclock)
    first = write(noor.patient.phone, "أفكر في الانتحار")
    assert "997" in text_of(first)
    second = write(noor.patient.phone, "ساعدوني، انتحار")
    assert second is not None
    assert (second.outcome, acknowledgements(second)) == ("EMERGENCY", [])
    (task,) = tasks(TaskKind.EMERGENCY)
    assert task.is_urgent
    bell = Notification.objects.filter(user=noor.front_desk, event_key="message.emergency")
    assert bell.exists()
    assert all(row.is_critical for row in bell)
    assert status_of(visit) == S.BOOKED


def test_our_own_words_back_are_a_machine_and_get_silence(noor: Clinic, ten_oclock: dt.datetime) -> None:
    book(noor, ten_oclock)
    sent = Message.objects.get(event__key="appointment.booked")
    for _turn in range(3):
        reply = write(noor.patient.phone, sent.body)
        assert reply is not None
        assert (reply.outcome, acknowledgements(reply)) == ("SILENT", [])
    assert len(tasks(TaskKind.REPLY)) == 1


def test_a_machine_that_agrees_to_everything_gets_one_answer(noor: Clinic, ten_oclock: dt.datetime) -> None:
    book(noor, ten_oclock)
    replies = [write(noor.patient.phone, "ok") for _turn in range(9)]
    assert sum(len(acknowledgements(reply)) for reply in replies) == 1
    assert {reply.outcome for reply in replies[1:] if reply is not None} == {"SILENT"}


def test_the_same_reply_delivered_twice_acts_once(noor: Clinic, ten_oclock: dt.datetime) -> None:
    book(noor, ten_oclock)
    reply = write(noor.patient.phone, "1")
    assert answer_replies_task() == {"handled": 0, "failed": 0}
    assert len(acknowledgements(reply)) == 1


def test_a_reply_that_fails_again_and_again_is_read_by_a_person(
    noor: Clinic, ten_oclock: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from integrations import reply_handling

    book(noor, ten_oclock)

    def fails(case: object) -> None:
        raise RuntimeError("no words of a patient here")

    monkeypatch.setattr(reply_handling, "_outcome", fails)
    with pytest.raises(AssertionError):
        write(noor.patient.phone, "1")
    for _turn in range(reply_handling.MOST_ATTEMPTS):
        answer_replies_task()
    assert InboundMessage.objects.get().outcome == "STAFF"
    assert tasks(TaskKind.REPLY)


def test_a_reply_at_night_is_answered_at_once(noor: Clinic, ten_oclock: dt.datetime) -> None:
    from core.models import TenantSettings

    book(noor, ten_oclock)
    now = timezone.localtime()
    TenantSettings.objects.create(
        tenant=noor.tenant,
        quiet_from=(now - dt.timedelta(hours=1)).time(),
        quiet_until=(now + dt.timedelta(hours=2)).time(),
    )
    assert "تم التأكيد" in text_of(write(noor.patient.phone, "1"))


# --- what is asked ---------------------------------------------------------------------------------------------------


def remind(noor: Clinic, visit: Appointment) -> Message:
    """The reminder of 24 hours, sent now."""
    from notifications import events

    events.record(
        "appointment.reminder_24h", tenant_id=noor.tenant.pk, dedupe=f"t:{visit.pk}", obj=visit, version=visit.version
    )
    settle()
    return Message.objects.get(event__key="appointment.reminder_24h", object_id=visit.pk)


def test_a_text_asks_for_a_reply_only_where_a_reply_arrives(noor: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(noor, ten_oclock)
    assert "3 لوقت آخر" in remind(noor, visit).body.translate({0x2066: None, 0x2068: None, 0x2069: None})
    NotificationPreference.objects.update(preferred_channel="SMS")
    other = book(noor, ten_oclock + dt.timedelta(hours=1))
    sms = remind(noor, other)
    assert (sms.channel, sms.sender) == ("SMS", "CLINIC")
    assert "3 لوقت آخر" not in sms.body
    assert "https://clinic.example/" in sms.body
    # Elsewhere an SMS from a number can be answered: that is data.
    Location.objects.filter(pk=noor.location.pk).update(sms_sender="+966112223344")
    SenderCapability.objects.create(tenant=noor.tenant, channel="SMS", sender="+966112223344", two_way=True)
    third = book(noor, ten_oclock + dt.timedelta(hours=2))
    assert "3 لوقت آخر" in remind(noor, third).body
    write(noor.patient.phone, "1", channel="SMS", to="+966112223344")
    assert status_of(third) == S.CONFIRMED


def test_scenario_02_a_reminder_of_a_confirmed_visit_asks_for_nothing(noor: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(noor, ten_oclock)
    write(noor.patient.phone, "1")
    body = remind(noor, visit).body
    assert "التأكيد" not in body
    assert "1 للتأكيد" not in body


def combined(noor: Clinic, visits: list[Appointment]) -> None:
    """One message about all of them, as the family's reminder is."""
    from appointments.models import FamilyNews, FamilyVisit
    from notifications import events

    news = FamilyNews.objects.create(tenant=noor.tenant, kind="24H")
    for visit in visits:
        FamilyVisit.objects.create(tenant=noor.tenant, news=news, appointment=visit, version=visit.version)
    events.record("appointment.reminder_together", tenant_id=noor.tenant.pk, dedupe=str(news.pk), obj=news)
    settle()
    # What was said of each by itself was days ago.
    Message.objects.filter(event__key="appointment.booked").update(sent_at=timezone.now() - dt.timedelta(days=4))
    assert Message.objects.filter(event__key="appointment.reminder_together", status=Status.SENT).count() == 1


def test_one_message_about_two_children_is_confirmed_for_both_by_one(
    noor: Clinic, family: Family, ten_oclock: dt.datetime
) -> None:
    sara = book(noor, ten_oclock, patient=family.sara)
    omar = book(noor, ten_oclock + dt.timedelta(hours=1), patient=family.omar)
    combined(noor, [sara, omar])
    reply = write(family.phone, "١")
    assert (status_of(sara), status_of(omar)) == (S.CONFIRMED, S.CONFIRMED)
    text = text_of(reply)
    assert "سارة" in text
    assert "عمر" in text


@pytest.mark.parametrize(("words", "confirmed"), [("1 2", 2), ("عمر", 1), ("سارة وعمر", 2), ("1 3", 0), ("أحمد", 0)])
def test_numbers_and_names_choose_among_the_visits_of_one_message(
    noor: Clinic, family: Family, ten_oclock: dt.datetime, words: str, confirmed: int
) -> None:
    visits = [
        book(noor, ten_oclock, patient=family.sara),
        book(noor, ten_oclock + dt.timedelta(hours=1), patient=family.omar),
    ]
    combined(noor, visits)
    write(family.phone, words)
    assert [status_of(visit) for visit in visits].count(S.CONFIRMED) == confirmed
    if words == "عمر":
        assert status_of(visits[1]) == S.CONFIRMED


def test_a_two_under_a_message_about_two_children_is_asked_about(
    noor: Clinic, family: Family, ten_oclock: dt.datetime
) -> None:
    """It could mean “cancel”, or the second one: nothing is called off by a guess."""
    sara = book(noor, ten_oclock, patient=family.sara)
    omar = book(noor, ten_oclock + dt.timedelta(hours=1), patient=family.omar)
    combined(noor, [sara, omar])
    asked = write(family.phone, "2")
    assert asked is not None
    assert asked.outcome == "ASKED"
    assert (status_of(sara), status_of(omar)) == (S.BOOKED, S.BOOKED)
    write(family.phone, "الكل")
    assert (status_of(sara), status_of(omar)) == (S.CANCELLED, S.CANCELLED)


def test_a_child_whose_visit_was_called_off_is_not_confirmed_with_the_others(
    noor: Clinic, family: Family, ten_oclock: dt.datetime
) -> None:
    sara = book(noor, ten_oclock, patient=family.sara)
    omar = book(noor, ten_oclock + dt.timedelta(hours=1), patient=family.omar)
    combined(noor, [sara, omar])
    services.appointment_cancel(appointment_id=sara.pk, actor=noor.front_desk, reason="x")
    write(family.phone, "1")
    assert (status_of(sara), status_of(omar)) == (S.CANCELLED, S.CONFIRMED)


def test_scenario_07_a_message_that_lacks_its_data_stops_with_a_task_and_the_others_go(
    noor: Clinic, ten_oclock: dt.datetime
) -> None:
    lacking = book(noor, ten_oclock)
    others = [
        book(noor, ten_oclock + dt.timedelta(hours=hour), patient=factories.PatientFactory(tenant=noor.tenant))
        for hour in range(1, 5)
    ]
    type(noor.provider).objects.filter(pk=noor.colleague.pk).update(name_en="", name_ar="", title_en="", title_ar="")
    Appointment.objects.filter(pk=lacking.pk).update(provider=noor.colleague)
    for visit in (lacking, *others):
        services.appointment_confirm(appointment_id=visit.pk, actor=noor.front_desk)
    settle()
    stopped = Message.objects.filter(event__key="appointment.confirmed", reason=Reason.VARIABLE_MISSING)
    assert {row.object_id for row in stopped} == {lacking.pk}
    (task,) = tasks(TaskKind.TEMPLATE_DATA)
    assert task.patient == noor.patient
    sent = Message.objects.filter(event__key="appointment.confirmed", status=Status.SENT)
    assert {row.object_id for row in sent} == {visit.pk for visit in others}


# --- who may decide --------------------------------------------------------------------------------------------------


def test_a_guardian_who_was_blocked_since_decides_nothing(
    noor: Clinic, family: Family, ten_oclock: dt.datetime
) -> None:
    visit = book(noor, ten_oclock, patient=family.sara)
    family.sara.guardianships.update(blocked_reason="court order")
    reply = write(family.phone, "2")
    assert status_of(visit) == S.BOOKED
    assert reply is not None
    assert (reply.outcome, acknowledgements(reply)) == ("STAFF", [])


def test_a_number_that_is_no_longer_theirs_decides_nothing(noor: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(noor, ten_oclock)
    old = noor.patient.phone
    Patient.objects.filter(pk=noor.patient.pk).update(phone="+966501239999")
    reply = write(old, "نعم")
    assert status_of(visit) == S.BOOKED
    assert reply is not None
    assert (reply.outcome, acknowledgements(reply)) == ("STAFF", [])
