"""Replies that do harm when they are understood too quickly: what was chosen, what was listed, what a person asked, what is
late, and who it is that writes.
"""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
import time_machine
from django.utils import timezone

from appointments import services
from appointments.models import Appointment
from conftest import Clinic
from core.models import Guardianship
from integrations import reply_handling
from integrations.messaging_service import MessagingService
from notifications import replies
from notifications.models import Conversation, InboundMessage, Message, OptEvent
from notifications.states import Status, TaskKind
from tests import factories
from tests.test_scenarios_replies import (
    OURS,
    Family,
    S,
    acknowledgements,
    book,
    child,
    combined,
    family,
    noor,
    provider,
    set_up,
    settle,
    status_of,
    tasks,
    text_of,
    write,
)

__all__ = ["family", "noor", "provider", "set_up"]


@pytest.fixture
def two(noor: Clinic, family: Family, ten_oclock: dt.datetime) -> tuple[Appointment, Appointment]:
    """Sara's visit and Omar's, an hour later, each told by a message of its own."""
    return (
        book(noor, ten_oclock, patient=family.sara),
        book(noor, ten_oclock + dt.timedelta(hours=1), patient=family.omar),
    )


def outcome(reply: InboundMessage | None) -> str:
    assert reply is not None
    return reply.outcome


def sid_of(visit: Appointment) -> str:
    return Message.objects.get(object_id=visit.pk, event__key="appointment.booked").provider_message_id


def plain(text: str) -> str:
    return text.translate({0x2066: None, 0x2068: None, 0x2069: None})


# --- what WhatsApp says was chosen -----------------------------------------------------------------------------------


def test_the_same_word_to_two_chosen_messages_is_two_answers(
    noor: Clinic, family: Family, two: tuple[Appointment, Appointment]
) -> None:
    for visit in two:
        write(family.phone, "1", OriginalRepliedMessageSid=sid_of(visit))
    assert [status_of(visit) for visit in two] == [S.CONFIRMED, S.CONFIRMED]


def test_the_same_word_to_the_numbers_of_two_places_is_two_answers(noor: Clinic, ten_oclock: dt.datetime) -> None:
    other = factories.LocationFactory(tenant=noor.tenant, whatsapp_sender="+966920000001")
    here = book(noor, ten_oclock)
    there = book(noor, ten_oclock + dt.timedelta(hours=3), location=other)
    write(noor.patient.phone, "2")
    write(noor.patient.phone, "2", to="+966920000001")
    assert [status_of(visit) for visit in (here, there)] == [S.CANCELLED, S.CANCELLED]


@pytest.mark.parametrize("words", ["لا", "2", "إلغاء", "نعم"])
def test_an_answer_to_a_chosen_message_that_asks_nothing_touches_no_visit(
    noor: Clinic, ten_oclock: dt.datetime, words: str
) -> None:
    visit = book(noor, ten_oclock)
    typed = by_hand(noor, "هل لديكم حساسية من البنسلين؟")
    reply = write(noor.patient.phone, words, OriginalRepliedMessageSid=typed.provider_message_id)
    assert status_of(visit) == S.BOOKED
    assert (outcome(reply), acknowledgements(reply)) == ("STAFF", [])


def test_an_answer_to_a_chosen_message_that_nobody_knows_touches_no_visit(
    noor: Clinic, ten_oclock: dt.datetime
) -> None:
    visit = book(noor, ten_oclock)
    reply = write(noor.patient.phone, "2", OriginalRepliedMessageSid="SMof-another-system")
    assert status_of(visit) == S.BOOKED
    assert outcome(reply) == "STAFF"


def test_a_chosen_question_goes_before_the_list_that_waits_for_its_number(
    noor: Clinic, family: Family, two: tuple[Appointment, Appointment]
) -> None:
    """“Which one do you want to cancel? 1. Sara …”, and then “1” to Omar's own message."""
    sara, omar = two
    assert outcome(write(family.phone, "الغاء")) == "ASKED"
    write(family.phone, "1", OriginalRepliedMessageSid=sid_of(omar))
    assert (status_of(sara), status_of(omar)) == (S.BOOKED, S.CONFIRMED)


def test_a_number_under_the_chosen_list_is_its_number(
    noor: Clinic, family: Family, two: tuple[Appointment, Appointment]
) -> None:
    sara, omar = two
    (asked,) = acknowledgements(write(family.phone, "الغاء"))
    write(family.phone, "2", OriginalRepliedMessageSid=asked.provider_message_id)
    assert (status_of(sara), status_of(omar)) == (S.BOOKED, S.CANCELLED)


# --- what a person has asked -----------------------------------------------------------------------------------------


def by_hand(noor: Clinic, words: str) -> Message:
    """Somebody at the desk writes to the patient."""
    message = MessagingService().send_message(
        tenant_id=noor.tenant.pk,
        patient_id=noor.patient.pk,
        channel="WHATSAPP",
        body=words,
        sent_by=noor.front_desk,
    )
    settle()
    message.refresh_from_db()
    assert message.status == Status.SENT, message.reason
    return message


@pytest.mark.parametrize("words", ["لا", "no", "نعم", "1"])
def test_a_bare_word_after_a_person_has_written_answers_that_person(
    noor: Clinic, ten_oclock: dt.datetime, words: str
) -> None:
    """“Do you need a wheelchair?” “No.” And the visit was called off."""
    visit = book(noor, ten_oclock)
    by_hand(noor, "هل تحتاجون كرسيًا متحركًا؟")
    reply = write(noor.patient.phone, words)
    assert status_of(visit) == S.BOOKED
    assert (outcome(reply), acknowledgements(reply)) == ("STAFF", [])
    assert tasks(TaskKind.REPLY)


def test_a_new_question_after_a_person_has_written_is_answered_as_ever(noor: Clinic, ten_oclock: dt.datetime) -> None:
    book(noor, ten_oclock)
    by_hand(noor, "هل تحتاجون كرسيًا متحركًا؟")
    later = book(noor, ten_oclock + dt.timedelta(days=1))
    write(noor.patient.phone, "1", OriginalRepliedMessageSid=sid_of(later))
    assert status_of(later) == S.CONFIRMED


@pytest.mark.parametrize("words", ["لا", "no", "نعم", "الغاء"])
def test_a_bare_word_after_an_offer_of_ours_is_asked_about(noor: Clinic, ten_oclock: dt.datetime, words: str) -> None:
    """“An earlier time is free. Take it, or leave it to others.” “No.” And the kept visit was called off."""
    visit = book(noor, ten_oclock)
    by_itself(noor, "يتوفر موعد أقرب. للقبول أو الاعتذار:")
    asked = write(noor.patient.phone, words)
    assert (status_of(visit), outcome(asked)) == (S.BOOKED, "ASKED")
    assert "1. سارة" in plain(text_of(asked))
    write(noor.patient.phone, "1")
    assert status_of(visit) == (S.CONFIRMED if words == "نعم" else S.CANCELLED)


@pytest.mark.parametrize(("digit", "status"), [("1", S.CONFIRMED), ("٢", S.CANCELLED)])
def test_a_digit_is_an_answer_to_the_question_that_offered_it_whatever_came_after(
    noor: Clinic, ten_oclock: dt.datetime, digit: str, status: str
) -> None:
    visit = book(noor, ten_oclock)
    by_itself(noor, "فاتورتكم جاهزة")
    write(noor.patient.phone, digit)
    assert status_of(visit) == status


def by_itself(noor: Clinic, words: str) -> None:
    """The house writes, and asks for no reply."""
    MessagingService().send_message(
        tenant_id=noor.tenant.pk, patient_id=noor.patient.pk, channel="WHATSAPP", body=words
    )
    settle()


@pytest.mark.parametrize("words", ["غلط", "wrong", "Wrong!"])
def test_wrong_said_to_an_acknowledgement_or_to_a_person_is_not_about_the_number(
    noor: Clinic, ten_oclock: dt.datetime, words: str
) -> None:
    """“Cancelled, as you asked.” “Wrong!” And the family heard nothing more."""
    book(noor, ten_oclock)
    write(noor.patient.phone, "2")
    assert outcome(write(noor.patient.phone, words)) == "STAFF"
    by_hand(noor, "الموعد الجديد يوم الاثنين؟")
    assert outcome(write(noor.patient.phone, f"{words}.")) in ("STAFF", "SILENT")
    assert not tasks(TaskKind.WRONG_NUMBER)
    assert tasks(TaskKind.REPLY)
    assert outcome(write(noor.patient.phone, "رقم خاطئ")) == "WRONG_NUMBER"


# --- what was listed -------------------------------------------------------------------------------------------------


@pytest.fixture
def three(noor: Clinic, family: Family, ten_oclock: dt.datetime) -> list[Appointment]:
    """Sara, Omar and Lina in one message, in this order."""
    guardian = Guardianship.objects.filter(patient=family.sara).get().guardian
    lina = child(noor, "Lina Al-Rashid", "لينا الراشد", guardian)
    visits = [
        book(noor, ten_oclock + dt.timedelta(hours=hour), patient=patient)
        for hour, patient in enumerate((family.sara, family.omar, lina))
    ]
    combined(noor, visits)
    return visits


def test_the_numbers_are_those_of_the_message_although_one_visit_is_off(
    noor: Clinic, family: Family, three: list[Appointment]
) -> None:
    """“1 2” was Sara and Omar when it was read; with Sara's visit off it must not become Omar and Lina."""
    services.appointment_cancel(appointment_id=three[0].pk, actor=noor.front_desk, reason="x")
    reply = write(family.phone, "1 2")
    assert status_of(three[2]) == S.BOOKED
    assert outcome(reply) in ("ASKED", "STAFF", "TOLD")


def test_the_numbers_are_those_of_the_message_although_one_visit_has_moved(
    noor: Clinic, family: Family, three: list[Appointment]
) -> None:
    services.appointment_reschedule(
        appointment_id=three[0].pk, actor=noor.front_desk, starts_at=three[2].starts_at + dt.timedelta(days=3)
    )
    Message.objects.filter(event__key="appointment.rescheduled").delete()
    write(family.phone, "1 2")
    assert status_of(three[2]) == S.BOOKED


def test_of_visits_at_one_time_the_numbers_are_in_the_order_of_the_text(
    noor: Clinic, family: Family, ten_oclock: dt.datetime
) -> None:
    guardian = Guardianship.objects.filter(patient=family.sara).get().guardian
    lina = child(noor, "Lina Al-Rashid", "لينا الراشد", guardian)
    third = factories.UserFactory(tenant=noor.tenant, role="PROVIDER", department=noor.department)
    people = {"سارة": family.sara, "عمر": family.omar, "لينا": lina}
    visits = {
        name: book(noor, ten_oclock, patient=patient, provider=who)
        for (name, patient), who in zip(people.items(), (noor.provider, noor.colleague, third), strict=True)
    }
    combined(noor, list(visits.values()))
    text = Message.objects.get(event__key="appointment.reminder_together", status=Status.SENT).body
    listed = sorted(visits, key=text.index)
    write(family.phone, "1 2")
    assert [status_of(visits[name]) for name in listed] == [S.CONFIRMED, S.CONFIRMED, S.BOOKED]


def test_a_name_that_two_children_share_chooses_nobody(noor: Clinic, family: Family, ten_oclock: dt.datetime) -> None:
    guardian = Guardianship.objects.filter(patient=family.sara).get().guardian
    twin = child(noor, "Sara Al-Otaibi", "سارة العتيبي", guardian)
    visits = [
        book(noor, ten_oclock, patient=family.sara),
        book(noor, ten_oclock + dt.timedelta(hours=1), patient=twin),
    ]
    combined(noor, visits)
    reply = write(family.phone, "سارة")
    assert [status_of(visit) for visit in visits] == [S.BOOKED, S.BOOKED]
    assert outcome(reply) == "STAFF"


@pytest.mark.parametrize("words", ["١ و٢", "1 و2", "١،٢", "1 & 2", "1, 2", "1️⃣ 2️⃣", "١\u200f و \u200f٢"])
def test_two_numbers_however_they_are_joined(
    noor: Clinic, family: Family, two: tuple[Appointment, Appointment], words: str
) -> None:
    combined(noor, list(two))
    write(family.phone, words)
    assert [status_of(visit) for visit in two] == [S.CONFIRMED, S.CONFIRMED]


# --- late, early, half known -----------------------------------------------------------------------------------------


def test_a_reply_that_is_understood_late_is_about_what_stood_there_when_it_was_written(
    noor: Clinic, family: Family, ten_oclock: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers were away; meanwhile the next child was asked about. “2” was the first one's."""
    sara = book(noor, ten_oclock, patient=family.sara)
    Message.objects.filter(object_id=sara.pk).update(sent_at=timezone.now() - dt.timedelta(hours=30))
    reply = receive(family.phone, "2")
    InboundMessage.objects.filter(pk=reply.pk).update(created_at=timezone.now() - dt.timedelta(minutes=20))
    omar = book(noor, ten_oclock + dt.timedelta(hours=1), patient=family.omar)
    reply_handling.handle_waiting()
    assert (status_of(sara), status_of(omar)) == (S.CANCELLED, S.BOOKED)


def receive(number: str, body: str, **fields: str) -> InboundMessage:
    """A reply that has come in and that no worker has looked at."""
    values = {"provider": "twilio", "channel": "WHATSAPP", "to": OURS, "provider_message_id": f"SM{uuid.uuid4().hex}"}
    reply = replies.receive(sender=number, body=body, **(values | fields))
    assert reply is not None
    return reply


@pytest.mark.parametrize("status", [Status.UNCONFIRMED, Status.SENDING])
def test_a_question_of_which_nobody_knows_yet_whether_it_arrived_is_a_question(
    noor: Clinic, family: Family, two: tuple[Appointment, Appointment], status: Status
) -> None:
    """It may have: then “2” is about both, and never about the older one alone."""
    sara, omar = two
    Message.objects.filter(object_id=omar.pk, channel="WHATSAPP").update(status=status, sent_at=None)
    reply = write(family.phone, "2")
    assert (status_of(sara), status_of(omar)) == (S.BOOKED, S.BOOKED)
    assert outcome(reply) == "ASKED"


def test_a_reply_to_the_only_message_is_kept_although_nobody_knows_yet_whether_it_arrived(
    noor: Clinic, ten_oclock: dt.datetime
) -> None:
    book(noor, ten_oclock)
    Message.objects.filter(channel="WHATSAPP").update(status=Status.UNCONFIRMED, sent_at=None)
    assert outcome(write(noor.patient.phone, "STOP")) == "STOPPED"


@pytest.mark.parametrize("days", [31, 400])
def test_a_stop_counts_however_long_ago_the_last_message_was(noor: Clinic, ten_oclock: dt.datetime, days: int) -> None:
    book(noor, ten_oclock)
    Message.objects.update(sent_at=timezone.now() - dt.timedelta(days=days))
    assert outcome(write(noor.patient.phone, "STOP")) == "STOPPED"
    assert OptEvent.objects.get().address == noor.patient.phone


def test_words_of_danger_reach_the_desk_however_long_ago_the_last_message_was(
    noor: Clinic, ten_oclock: dt.datetime
) -> None:
    visit = book(noor, ten_oclock)
    Message.objects.update(sent_at=timezone.now() - dt.timedelta(days=45))
    assert outcome(write(noor.patient.phone, "أفكر في الانتحار")) == "EMERGENCY"
    # An answer to a question of then is read by a person.
    assert outcome(write(noor.patient.phone, "نعم")) == "STAFF"
    assert status_of(visit) == S.BOOKED


def test_a_number_that_we_never_wrote_to_is_nobodys(noor: Clinic) -> None:
    assert write("+966509999999", "STOP") is None
    assert not Conversation.objects.exists()


def test_who_has_arrived_is_not_told_that_it_is_over(noor: Clinic, ten_oclock: dt.datetime) -> None:
    with time_machine.travel(ten_oclock - dt.timedelta(hours=6), tick=True):
        visit = book(noor, ten_oclock)
    with time_machine.travel(ten_oclock + dt.timedelta(minutes=5), tick=True):
        services.appointment_arrive(appointment_id=visit.pk, actor=noor.front_desk)
        reply = write(noor.patient.phone, "2")
        assert status_of(visit) == S.ARRIVED
        assert "انتهى" not in text_of(reply)
        assert "ملغى" not in text_of(reply)
