"""Copies and erasure, looked at byte by byte: nothing of anybody else goes out, and nothing is left in a forgotten table."""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo
from collections.abc import Collection

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from appointments import services
from appointments.models import FamilyNews
from appointments.reminders import family as together
from conftest import Clinic
from core import holds, rights
from core.models import Guardian, Guardianship, Location, Patient, RightsRequest, TenantSettings
from finance.payers import Payer
from finance.services import invoice_issue, payment_record, refund_record
from integrations import delivery
from integrations.fanout import process_event
from integrations.tasks import retention_task
from integrations.tests.fakes import FakeProvider, provider
from notifications import default_words, events, retention
from notifications.models import (
    DeskTask,
    InboundMessage,
    Message,
    NotificationEvent,
    NotificationPreference,
    WhatsAppContent,
)
from notifications.states import Channel, Lane, Status, TaskKind
from tests.test_scenarios_rights import DAY, Family, copy_of, erased, family

__all__ = ["family", "provider"]
pytestmark = pytest.mark.django_db

# What stays by law, or as proof: the trail, consents and stops, and the medical record itself.
KEPT = ("core_auditevent", "core_patient", "notifications_opt", "notifications_consent", "notifications_suppressed")


def tables_with(word: str, but: Collection[str] = ()) -> set[str]:
    """The tables of the whole database in which that word stands, in whatever column."""
    found = set()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            if any(word in _text(value) for row in cursor.fetchall() for value in row):
                found.add(table)
    return {table for table in found if not table.startswith(tuple(but))}


def _text(value: object) -> str:
    return bytes(value).decode("utf-8", "replace") if isinstance(value, bytes | memoryview) else str(value)


def send_all(clinic: Clinic) -> None:
    for pk in NotificationEvent.objects.filter(processed_at=None).values_list("pk", flat=True):
        process_event(clinic.tenant.pk, pk)
    for lane in (Lane.URGENT, Lane.TRANSACTIONAL, Lane.BULK):
        delivery.drain(lane)


# --- the copy --------------------------------------------------------------------------------------------------------


def test_a_copy_for_the_father_holds_no_greeting_number_or_word_of_the_mother_nor_of_who_pays(
    family: Family, provider: FakeProvider
) -> None:
    """Default words greet their reader by name; the uncle pays and is nobody's guardian."""
    clinic = family.clinic
    default_words.install(clinic.tenant.pk)
    Guardian.objects.update(language="en")
    NotificationPreference.objects.update_or_create(
        tenant=clinic.tenant, patient=family.sara, defaults={"preferred_channel": Channel.EMAIL}
    )
    invoice_issue(actor=clinic.front_desk, patient=family.sara, amount_minor=10_000, due_on=timezone.localdate())
    invoice_issue(
        actor=clinic.front_desk, patient=family.sara, amount_minor=10_000, due_on=timezone.localdate(),
        payer=Payer(name="Uncle Saleh", email="saleh@mail.example", language="en"),
    )  # fmt: skip
    send_all(clinic)
    greeted = "\n".join(call.body for call in provider.calls)
    assert "Huda" in greeted
    assert "Saleh" in greeted
    told, whole, _export = copy_of(family, family.ask(family.sara, guardian=family.father))
    for secret in ("Huda", "هدى", "Saleh", "saleh@", family.mother.phone, family.mother.email):
        assert secret not in whole, secret
    assert len(told["messages"]) == 3, "that there was a message is told"
    assert "Faisal" in whole, "his own letter is his to read"


def test_a_patient_who_pays_under_the_own_name_loses_no_text_of_the_own_copy(family: Family) -> None:
    sara = family.sara
    invoice_issue(
        actor=family.clinic.front_desk, patient=sara, amount_minor=10_000, due_on=timezone.localdate(),
        payer=Payer(name=sara.name_en, phone="0501239876"),
    )  # fmt: skip
    family.write(sara, f"For {sara.name_en}")
    told, _whole, _export = copy_of(family, family.ask(sara))
    assert [row["text"] for row in told["messages"]] == [f"For {sara.name_en}"]


def test_what_one_parent_wrote_and_was_answered_is_in_no_copy_of_the_other(family: Family) -> None:
    clinic = family.clinic
    asked = rights.rights_open(
        patient=family.sara, kind="CORRECTION", asked_by=f"guardian:{family.mother.pk}", details="My new street"
    )
    rights.rights_done(actor=clinic.admin, request=asked, answer="Your street is written down.")
    InboundMessage.objects.create(
        tenant=clinic.tenant, channel="SMS", sender=family.mother.phone, patient=family.sara,
        body="Please do not tell the father where we live.", provider_message_id="SM1",
    )  # fmt: skip
    told, whole, _export = copy_of(family, family.ask(family.sara, guardian=family.father))
    assert "street" not in whole
    assert "where we live" not in whole
    assert len(told["replies"]) == 1, "that there was one is told"
    mine, _whole, _export = copy_of(family, family.ask(family.sara))
    assert mine["replies"][0]["text"] == "Please do not tell the father where we live."
    assert [row["answer"] for row in mine["requests"] if row["answer"]] == ["Your street is written down."]


def test_thirty_days_are_days_of_the_clinic(family: Family) -> None:
    Location.objects.update(timezone="America/New_York")
    evening = dt.datetime(2027, 3, 1, 22, tzinfo=zoneinfo.ZoneInfo("America/New_York"))
    with time_machine.travel(evening, tick=False):
        assert family.ask(family.sara).due_on == dt.date(2027, 3, 31)


def test_a_second_correction_waits_for_the_first_and_says_until_when(family: Family) -> None:
    from core.errors import DomainError

    first = family.ask(family.sara, "CORRECTION")
    with pytest.raises(DomainError) as refused:
        family.ask(family.sara, "CORRECTION")
    assert refused.value.code == "already_open"
    assert first.due_on.isoformat() in str(refused.value)
    assert family.ask(family.sara, "CORRECTION", guardian=family.father).is_open, "and the father's waits for nobody"
    rights.rights_done(actor=family.clinic.admin, request=first)
    assert family.ask(family.sara, "CORRECTION").due_on == first.due_on


# --- erasure ---------------------------------------------------------------------------------------------------------


def test_after_erasure_no_table_holds_a_word_or_an_address_of_the_patient(
    family: Family, provider: FakeProvider, ten_oclock: dt.datetime
) -> None:
    clinic, sara = family.clinic, family.sara
    default_words.install(clinic.tenant.pk)
    Guardianship.objects.filter(patient=family.omar).delete()
    family.father.delete() if not Guardianship.objects.filter(guardian=family.father).exists() else None
    visit = family.book(sara, 10)
    send_all(clinic)
    services.appointment_cancel(
        appointment_id=visit.pk, actor=None, reason="Zebrawort flares again", by=visit.CancelledBy.PATIENT
    )
    send_all(clinic)
    letter = family.write(sara, "Your zebrawort results, Zebrawort!")
    WhatsAppContent.objects.create(
        tenant=clinic.tenant, message=letter, content_sid="HX1", variables={"1": "Zebrawort"}
    )
    delivery.drain(letter.lane)
    InboundMessage.objects.create(
        tenant=clinic.tenant, channel="SMS", sender=family.mother.phone, patient=sara,
        body="Zebrawort again", provider_message_id="SM1",
    )  # fmt: skip
    DeskTask.objects.create(
        tenant=clinic.tenant, kind=TaskKind.CALL, key="x", patient=sara, note="Zebrawort", due_at=timezone.now(),
        role="FRONT_DESK",
    )  # fmt: skip
    asked = rights.rights_open(
        patient=sara, kind="CORRECTION", asked_by=f"guardian:{family.mother.pk}", details="No Zebrawort"
    )
    rights.rights_refuse(actor=clinic.admin, request=asked, answer="The Zebrawort is in the file.")
    bill = invoice_issue(
        actor=clinic.front_desk, patient=sara, amount_minor=10_000, due_on=timezone.localdate(),
        payer=Payer(name="Uncle", phone="0501239876", email="zebrawort@mail.example", language="en"),
    )  # fmt: skip
    send_all(clinic)
    payment_record(actor=clinic.front_desk, invoice_id=bill.pk, amount_minor=10_000)
    refund_record(actor=clinic.admin, invoice_id=bill.pk, amount_minor=10_000, reason="Zebrawort")
    send_all(clinic)
    for word in ("Zebrawort", "+966501239876", family.mother.phone, family.mother.email):
        assert tables_with(word, KEPT), f"{word}: nothing to erase"

    assert erased(family, sara).state == "DONE"

    # The visits are a medical record, and the books are kept by law.
    record = (*KEPT, "appointments_appointment", "finance_refund")
    for word in ("ebrawort", "+966501239876", family.mother.phone, family.mother.email):
        assert tables_with(word, record) == set(), word


def test_when_the_last_child_is_erased_the_guardians_go_too(family: Family) -> None:
    for child in (family.sara, family.omar):
        assert erased(family, child).state == "DONE"
    for guardian in (family.mother, family.father):
        guardian.refresh_from_db()
        assert (guardian.phone, guardian.email) == ("", "")
    assert tables_with("+966551112222", KEPT) == set()


def test_a_guardian_who_still_speaks_for_a_child_that_left_keeps_the_number(family: Family) -> None:
    """A file that is closed is not erased: a bill, results, a moved visit may still have to be told."""
    Patient.objects.filter(pk=family.omar.pk).update(is_active=False)
    erased(family, family.sara)
    family.mother.refresh_from_db()
    assert family.mother.phone == "+966551112222"


def test_a_family_message_under_the_siblings_name_loses_the_words_about_the_one_who_was_erased(
    family: Family, provider: FakeProvider
) -> None:
    clinic = family.clinic
    default_words.install(clinic.tenant.pk)
    first, second = family.book(family.sara, 10), family.book(family.omar, 11)
    provider.calls.clear()
    event = together.record(FamilyNews.Kind.DAY_BEFORE, [first, second])
    process_event(clinic.tenant.pk, event.pk)
    delivery.drain(Lane.TRANSACTIONAL)
    message = Message.objects.filter(event=event).earliest("created_at")
    assert message.patient == family.sara
    assert "عمر" in message.body
    words = message.body
    services.appointment_cancel(appointment_id=second.pk, actor=clinic.front_desk, reason="x")
    assert erased(family, family.omar).state == "DONE"
    message.refresh_from_db()
    assert message.body == ""
    assert retention.fits(message.pk, subject=message.subject, body=words) is True
    assert message.recipient == family.mother.phone, "what the sister was told stays as proof"


def test_erasure_with_a_queued_reminder_of_a_bill_and_a_waiting_event_sends_nothing_afterwards(
    family: Family, provider: FakeProvider
) -> None:
    clinic = family.clinic
    default_words.install(clinic.tenant.pk)
    queued = family.write(family.sara, "Waiting")
    bill = invoice_issue(actor=clinic.front_desk, patient=family.sara, amount_minor=10_000, due_on=timezone.localdate())
    # Its receipt is still to be fanned out when the worker comes.
    payment_record(actor=clinic.front_desk, invoice_id=bill.pk, amount_minor=10_000)
    assert erased(family, family.sara).state == "DONE"
    send_all(clinic)
    assert provider.calls == []
    queued.refresh_from_db()
    assert (queued.body, queued.recipient) == ("", "")


def test_a_hold_between_two_steps_of_an_erasure_stops_the_rest(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    message = family.write(family.sara, "Words")
    Message.objects.filter(pk=message.pk).update(status=Status.SENT, next_attempt_at=None)
    real = retention.erase_words_of

    def held_meanwhile(patient: Patient) -> int:
        holds.hold_place(actor=family.clinic.admin, patient=patient, reason="Case")
        return real(patient)

    monkeypatch.setattr(retention, "erase_words_of", held_meanwhile)
    request = erased(family, family.sara)
    assert request.state == "RUNNING"
    message.refresh_from_db()
    assert (message.body, message.recipient) == ("Words", family.mother.phone), "neither the words nor who had them"


# --- what is kept for a time only ------------------------------------------------------------------------------------


def test_when_the_time_for_words_is_over_no_copy_of_them_is_left_beside_the_message(family: Family) -> None:
    clinic = family.clinic
    TenantSettings.objects.update_or_create(tenant=clinic.tenant, defaults={"message_days": 30})
    old, young = family.write(family.sara, "Zebrawort"), family.write(family.omar, "Zebrafish")
    for message, word in ((old, "Zebrawort"), (young, "Zebrafish")):
        WhatsAppContent.objects.create(tenant=clinic.tenant, message=message, content_sid="HX1", variables={"1": word})
    Message.objects.update(status=Status.SENT, next_attempt_at=None)
    Message.objects.filter(pk=old.pk).update(created_at=timezone.now() - 40 * DAY)
    retention_task()
    assert tables_with("Zebrawort") == set()
    assert "notifications_whatsappcontent" in tables_with("Zebrafish")


def test_the_words_under_a_hold_keep_their_content_too(family: Family) -> None:
    clinic = family.clinic
    TenantSettings.objects.update_or_create(tenant=clinic.tenant, defaults={"message_days": 30})
    held = family.write(family.sara, "Zebrawort")
    WhatsAppContent.objects.create(tenant=clinic.tenant, message=held, content_sid="HX1", variables={"1": "x"})
    Message.objects.update(status=Status.SENT, next_attempt_at=None, created_at=timezone.now() - 40 * DAY)
    holds.hold_place(actor=clinic.admin, patient=family.sara, reason="Case")
    retention_task()
    assert WhatsAppContent.objects.filter(message=held).exists()


def test_a_hold_on_one_child_keeps_what_the_family_was_told_of_both_under_the_others_name(
    family: Family, provider: FakeProvider
) -> None:
    clinic = family.clinic
    default_words.install(clinic.tenant.pk)
    TenantSettings.objects.update_or_create(tenant=clinic.tenant, defaults={"message_days": 30})
    visits = [family.book(family.sara, 10), family.book(family.omar, 11)]
    event = together.record(FamilyNews.Kind.DAY_BEFORE, visits)
    process_event(clinic.tenant.pk, event.pk)
    Message.objects.update(status=Status.SENT, next_attempt_at=None, created_at=timezone.now() - 40 * DAY)
    hold = holds.hold_place(actor=clinic.admin, patient=family.omar, reason="Case")
    retention_task()
    message = Message.objects.filter(event=event).earliest("created_at")
    assert message.patient == family.sara
    assert message.body, "the court asks for what was said of the brother"
    holds.hold_lift(actor=clinic.admin, hold=hold)
    retention_task()
    message.refresh_from_db()
    assert message.body == ""


def test_what_is_said_of_a_request_is_told_to_nobody_whose_right_has_ended(family: Family) -> None:
    default_words.install(family.clinic.tenant.pk)
    asked: RightsRequest = family.ask(family.sara, "CORRECTION", guardian=family.father)
    Guardianship.objects.filter(guardian=family.father).update(valid_until=timezone.localdate() - DAY)
    rights.rights_done(actor=family.clinic.admin, request=asked, answer="Done")
    for pk in events.to_sweep(timezone.now() + DAY, max_attempts=5):
        process_event(family.clinic.tenant.pk, pk)
    told = Message.objects.filter(event__key="rights.answered")
    assert [(row.status in (Status.SUPPRESSED, Status.CANCELLED), row.recipient) for row in told] == [(True, "")]
    assert uuid.UUID(asked.asked_by.partition(":")[2]) == family.father.pk
