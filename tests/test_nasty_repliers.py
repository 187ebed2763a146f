"""Who it is that writes back, in what dress a text comes, and which of two clinic groups on one number it is meant for."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
import time_machine
from django.utils import timezone

from appointments.models import Appointment
from conftest import Clinic
from core import patients
from core.merging import patient_merge
from core.models import Patient
from core.tenancy import tenant_scope
from integrations import answering
from integrations.messaging_service import MessagingService
from notifications import conversations
from notifications.models import ConsentRecord, Conversation, InboundMessage, Message, Notification, OptEvent
from notifications.reply_words import Meaning, is_danger, read
from notifications.states import Reason, Status, TaskKind
from notifications.whatsapp_approval import is_window_open
from tests import factories
from tests.test_nasty_replies import outcome, plain, sid_of, two
from tests.test_scenarios_replies import (
    Family,
    S,
    acknowledgements,
    book,
    combined,
    family,
    noor,
    prepare,
    provider,
    set_up,
    settle,
    status_of,
    tasks,
    text_of,
    write,
)

__all__ = ["family", "noor", "provider", "set_up", "two"]


# --- who writes ------------------------------------------------------------------------------------------------------


def test_a_mother_who_is_a_patient_too_is_asked_which_and_answered(
    noor: Clinic, family: Family, ten_oclock: dt.datetime
) -> None:
    herself = factories.PatientFactory(tenant=noor.tenant, name_ar="هدى الراشد", phone=family.phone)
    factories.PreferenceFactory(tenant=noor.tenant, patient=herself, preferred_channel="WHATSAPP")
    own = book(noor, ten_oclock, patient=herself)
    sara = book(noor, ten_oclock + dt.timedelta(hours=1), patient=family.sara)
    assert "1. هدى" in plain(text_of(write(family.phone, "نعم")))
    assert "تم التأكيد" in text_of(write(family.phone, "1"))
    assert (status_of(own), status_of(sara)) == (S.CONFIRMED, S.BOOKED)
    assert "تم الإلغاء" in text_of(write(family.phone, "2", OriginalRepliedMessageSid=sid_of(sara)))
    assert status_of(sara) == S.CANCELLED
    # Neither deed is told once more to who did it.
    echo = Message.objects.filter(event__key="appointment.cancelled", channel="WHATSAPP", patient=family.sara)
    assert [(row.status, row.reason) for row in echo] == [(Status.SUPPRESSED, Reason.ACTOR_SELF)]


@pytest.mark.parametrize("words", ["1", "2", "3"])
def test_whoever_has_a_number_that_was_said_to_be_wrong_decides_nothing(
    noor: Clinic, ten_oclock: dt.datetime, words: str
) -> None:
    visit = book(noor, ten_oclock)
    write(noor.patient.phone, "رقم خاطئ")
    reply = write(noor.patient.phone, words)
    assert status_of(visit) == S.BOOKED
    assert (outcome(reply), acknowledgements(reply)) == ("STAFF", [])
    assert not tasks(TaskKind.REBOOK)


def test_a_start_does_not_open_a_wrong_number(noor: Clinic, ten_oclock: dt.datetime) -> None:
    book(noor, ten_oclock)
    write(noor.patient.phone, "رقم خاطئ")
    reply = write(noor.patient.phone, "START")
    assert [row.status for row in acknowledgements(reply)] == [Status.SUPPRESSED]
    later = book(noor, ten_oclock + dt.timedelta(hours=2))
    rows = Message.objects.filter(object_id=later.pk, recipient=noor.patient.phone)
    assert {row.status for row in rows} == {Status.SUPPRESSED}


def test_a_guardian_whose_right_ended_yesterday_decides_nothing(
    noor: Clinic, family: Family, ten_oclock: dt.datetime
) -> None:
    visit = book(noor, ten_oclock, patient=family.sara)
    family.sara.guardianships.update(valid_until=timezone.localdate() - dt.timedelta(days=1))
    reply = write(family.phone, "2")
    assert status_of(visit) == S.BOOKED
    assert (outcome(reply), acknowledgements(reply)) == ("STAFF", [])


def test_of_two_children_the_one_whose_guardian_was_blocked_stops_the_common_answer(
    noor: Clinic, family: Family, two: tuple[Appointment, Appointment]
) -> None:
    combined(noor, list(two))
    family.omar.guardianships.update(blocked_reason="court order")
    reply = write(family.phone, "1")
    assert [status_of(visit) for visit in two] == [S.BOOKED, S.BOOKED]
    assert (outcome(reply), acknowledgements(reply)) == ("STAFF", [])


def test_the_second_guardian_reads_that_the_first_has_confirmed(
    noor: Clinic, family: Family, ten_oclock: dt.datetime
) -> None:
    father = factories.GuardianFactory(tenant=noor.tenant, name_en="Khalid", name_ar="خالد")
    factories.GuardianshipFactory(
        tenant=noor.tenant, patient=family.sara, guardian=father, kind="FATHER", is_primary=False
    )
    visit = book(noor, ten_oclock, patient=family.sara)
    write(family.phone, "1")
    reply = write(father.phone, "1")
    assert status_of(visit) == S.CONFIRMED
    assert "مؤكد" in text_of(reply)
    assert acknowledgements(reply)[0].guardian == father


def test_a_patient_of_age_since_the_question_is_not_decided_for(
    noor: Clinic, family: Family, ten_oclock: dt.datetime
) -> None:
    visit = book(noor, ten_oclock, patient=family.sara)
    Patient.objects.filter(pk=family.sara.pk).update(birth_date=dt.date(timezone.localdate().year - 18, 1, 1))
    reply = write(family.phone, "2")
    assert status_of(visit) == S.BOOKED
    assert outcome(reply) == "STAFF"


def test_a_reply_about_a_file_that_was_merged_counts_for_the_one_that_stays(
    noor: Clinic, ten_oclock: dt.datetime
) -> None:
    visit = book(noor, ten_oclock)
    survivor = factories.PatientFactory(tenant=noor.tenant, phone=noor.patient.phone)
    patient_merge(actor=noor.admin, survivor=survivor, merged=noor.patient)
    reply = write(noor.patient.phone, "1")
    assert status_of(visit) == S.CONFIRMED
    assert reply is not None
    assert reply.patient == survivor
    assert "تم التأكيد" in text_of(reply)


def test_the_dead_are_not_confirmed_nor_written_to(noor: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(noor, ten_oclock)
    Patient.objects.filter(pk=noor.patient.pk).update(deceased_at=timezone.localdate())
    reply = write(noor.patient.phone, "1")
    assert status_of(visit) == S.BOOKED
    assert (outcome(reply), acknowledgements(reply)) == ("STAFF", [])


# --- texts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("S\u200bT\u200cO\u200dP", Meaning.STOP),
        ("\u202bإِيقَافُ\u202c", Meaning.STOP),
        ("ايـــقاف.", Meaning.STOP),
        ("YES!!", Meaning.CONFIRM),
        ("ＳＴＯＰ", Meaning.STOP),
        ("۱.", Meaning.CONFIRM),
        ("«٢»", Meaning.CANCEL),
        ("STOP CALLING ME", Meaning.FREE),
        ("not yes", Meaning.FREE),
        ("ok thanks", Meaning.FREE),
        ("نعم ان شاء الله", Meaning.FREE),
        ("2 please", Meaning.FREE),
        ("الغاء الغاء", Meaning.FREE),
        ("🙏🙏🙏", Meaning.FREE),
        ("\ud800", Meaning.FREE),
        ("نعم\x00", Meaning.CONFIRM),
    ],
)
def test_what_a_text_means_however_it_is_dressed(words: str, meaning: Meaning) -> None:
    assert read(words).meaning is meaning


@pytest.mark.parametrize(
    "words",
    [
        "ابني يحاول ينتحر",
        "بنتي تبي تنتحر",
        "قال إنه سيقتل نفسه",
        "my son wants to kill himself",
        "she is going to kill herself",
        "s\u200bu\u200bi\u200bc\u200bi\u200bd\u200be",
        "اِنْتِـحَـار",
    ],
)
def test_who_is_in_danger_may_be_the_child_of_who_writes(words: str) -> None:
    assert is_danger(words)


@pytest.mark.parametrize("before", ["كلام طويل ", "a long story "])
@pytest.mark.parametrize("danger", ["suicide", "أفكر في الانتحار", "سأنتحر"])
def test_words_of_danger_at_the_end_of_a_very_long_text_are_found(
    noor: Clinic, ten_oclock: dt.datetime, before: str, danger: str
) -> None:
    book(noor, ten_oclock)
    assert outcome(write(noor.patient.phone, before * 300 + danger)) == "EMERGENCY"


@pytest.mark.parametrize("words", ["", " ", "\n\t", "\u200f\u2069", "🙏", "x" * 2000, "نعم " * 600])
def test_what_says_nothing_plain_is_read_by_a_person(noor: Clinic, ten_oclock: dt.datetime, words: str) -> None:
    """A picture without a text comes as an empty one."""
    visit = book(noor, ten_oclock)
    reply = write(noor.patient.phone, words, NumMedia="1", MediaUrl0="https://x.example/1")
    assert status_of(visit) == S.BOOKED
    assert (outcome(reply), acknowledgements(reply)) == ("STAFF", [])
    assert Notification.objects.filter(user=noor.front_desk, event_key="message.reply_received").exists()


def test_blanks_before_words_of_danger_do_not_keep_the_bell_from_ringing(noor: Clinic, ten_oclock: dt.datetime) -> None:
    book(noor, ten_oclock)
    assert outcome(write(noor.patient.phone, "\n" * 400 + "suicide")) == "EMERGENCY"
    assert Notification.objects.filter(user=noor.front_desk, event_key="message.emergency").exists()


def test_a_text_that_no_database_takes_is_kept_all_the_same(noor: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(noor, ten_oclock)
    reply = write(noor.patient.phone, "نعم\x00")
    assert status_of(visit) == S.CONFIRMED
    assert reply is not None
    assert "\x00" not in reply.body


def test_the_provider_that_calls_twice_is_thanked_twice_and_acts_once(noor: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(noor, ten_oclock)
    write(noor.patient.phone, "1", MessageSid="SMtwice")
    write(noor.patient.phone, "1", MessageSid="SMtwice")
    assert status_of(visit) == S.CONFIRMED
    assert InboundMessage.objects.filter(provider_message_id="SMtwice").count() == 1


def test_a_yes_and_then_a_no_is_a_no(noor: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(noor, ten_oclock)
    write(noor.patient.phone, "1")
    write(noor.patient.phone, "2")
    assert status_of(visit) == S.CANCELLED
    assert "ملغى" in text_of(write(noor.patient.phone, "1"))
    assert status_of(visit) == S.CANCELLED


# --- one number, two clinic groups -----------------------------------------------------------------------------------


@pytest.fixture
def amal(noor: Clinic, other_clinic: Clinic) -> Clinic:
    """Another clinic group on the same WhatsApp number, whose patient has the same phone."""
    with tenant_scope(other_clinic.tenant.pk):
        Patient.objects.filter(pk=other_clinic.patient.pk).update(phone=noor.patient.phone)
        other_clinic.patient.refresh_from_db()
        prepare(other_clinic)
    return other_clinic


def test_words_after_the_other_clinics_message_are_not_shown_to_the_one_that_asked_weeks_ago(
    noor: Clinic, amal: Clinic, ten_oclock: dt.datetime
) -> None:
    """The visit is over, so its question is none any more: what is written now answers the last message."""
    visit = book(noor, ten_oclock)
    Message.objects.update(sent_at=timezone.now() - dt.timedelta(days=20))
    past = timezone.now() - dt.timedelta(days=18)
    Appointment.objects.filter(pk=visit.pk).update(starts_at=past, ends_at=past + dt.timedelta(minutes=30))
    with tenant_scope(amal.tenant.pk):
        MessagingService().send_message(
            tenant_id=amal.tenant.pk, patient_id=amal.patient.pk, channel="WHATSAPP", body="فاتورتكم جاهزة"
        )
        settle()
    reply = write(noor.patient.phone, "لم أفهم الفاتورة")
    assert reply is not None
    assert reply.tenant == amal.tenant
    with tenant_scope(noor.tenant.pk):
        assert not Conversation.objects.exists()


def test_a_stop_reaches_the_others_although_the_last_to_ask_is_suspended(
    noor: Clinic, amal: Clinic, ten_oclock: dt.datetime
) -> None:
    book(noor, ten_oclock)
    with tenant_scope(amal.tenant.pk):
        book(amal, ten_oclock)
        type(amal.tenant).objects.filter(pk=amal.tenant.pk).update(is_active=False)
    write(noor.patient.phone, "STOP")
    assert OptEvent.objects.filter(act="STOP").count() == 1


def test_a_reply_that_the_provider_brings_twice_stays_with_the_clinic_that_got_it_first(
    noor: Clinic, amal: Clinic, ten_oclock: dt.datetime
) -> None:
    """Our answer was lost, and before the second call the other clinic group wrote."""
    book(noor, ten_oclock)
    write(noor.patient.phone, "عندي ألم بعد الزيارة", MessageSid="SMonce")
    with tenant_scope(amal.tenant.pk):
        book(amal, ten_oclock)
    write(noor.patient.phone, "عندي ألم بعد الزيارة", MessageSid="SMonce")
    with tenant_scope(amal.tenant.pk):
        assert not InboundMessage.objects.exists()
    with tenant_scope(noor.tenant.pk):
        assert InboundMessage.objects.count() == 1


# --- machines, windows -----------------------------------------------------------------------------------------------


def test_an_autoresponder_that_speaks_of_an_emergency_is_answered_once(noor: Clinic, ten_oclock: dt.datetime) -> None:
    book(noor, ten_oclock)
    words = "I am travelling. In an emergency call my brother."
    sent = [len(acknowledgements(write(noor.patient.phone, words))) for _turn in range(5)]
    assert sent == [1, 0, 0, 0, 0]
    assert len(tasks(TaskKind.EMERGENCY)) == 1


def test_no_emergency_is_an_emergency_until_somebody_has_looked(noor: Clinic, ten_oclock: dt.datetime) -> None:
    book(noor, ten_oclock)
    assert outcome(write(noor.patient.phone, "ليست حالة طوارئ")) == "EMERGENCY"


@pytest.mark.parametrize(("seconds", "is_open"), [(-1, True), (0, False), (1, False)])
def test_free_words_end_with_the_twenty_fourth_hour(
    noor: Clinic, ten_oclock: dt.datetime, seconds: int, is_open: bool
) -> None:
    book(noor, ten_oclock)
    reply = write(noor.patient.phone, "شكرا جزيلا")
    assert reply is not None
    with time_machine.travel(reply.created_at + dt.timedelta(hours=24, seconds=seconds), tick=False):
        assert (conversations.window_until(Conversation.objects.get()) is not None) is is_open
        assert is_window_open(noor.patient, noor.patient.phone) is is_open


def test_who_wrote_back_by_hand_to_an_old_number_is_told_at_once(noor: Clinic, ten_oclock: dt.datetime) -> None:
    """The file has another number by now: what is typed to the old one does not leave."""
    book(noor, ten_oclock)
    write(noor.patient.phone, "متى الموعد؟")
    old = noor.patient.phone
    patients.patient_update(actor=noor.front_desk, patient_id=noor.patient.pk, phone="+966501239999")
    sent = answering.answer_by_hand(
        conversation=Conversation.objects.get(address=old),
        actor=noor.front_desk,
        channel="WHATSAPP",
        body="غدا",
        key=uuid.uuid4(),
    )
    settle()
    sent.refresh_from_db()
    assert sent.status == Status.SUPPRESSED


def test_the_proof_of_a_mothers_stop_says_that_it_was_hers(
    noor: Clinic, family: Family, ten_oclock: dt.datetime
) -> None:
    factories.agree(family.sara, "promotion")
    book(noor, ten_oclock, patient=family.sara)
    write(family.phone, "STOP")
    kept = ConsentRecord.objects.get(patient=family.sara, status="withdrawn")
    assert kept.guardian is not None
    assert (kept.guardian.phone, kept.method) == (family.phone, "reply")
