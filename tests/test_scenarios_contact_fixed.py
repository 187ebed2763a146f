"""A number that is dead, the desk that puts it right, and what would still be of use then: from the verb to the provider."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from appointments import services
from appointments.models import Appointment
from appointments.tests.test_booking import book
from conftest import Clinic
from core.models import Patient
from integrations import contact_fixes
from integrations.sms_providers import Kind, Outgoing
from integrations.tests.fakes import FakeProvider, error, provider
from notifications import default_words, suppression
from notifications.models import DeskTask, Message, SuppressedAddress
from tests.factories import GuardianFactory, GuardianshipFactory
from tests.journey import send_all, to

__all__ = ["provider"]
pytestmark = pytest.mark.django_db

NEW = "+966505550123"


@pytest.fixture(autouse=True)
def noon(clinic: Clinic) -> Iterator[None]:
    default_words.install(clinic.tenant.pk)
    with time_machine.travel(timezone.localtime().replace(hour=9, minute=0, second=0, microsecond=0)):
        yield


@pytest.fixture
def dead(clinic: Clinic, provider: FakeProvider) -> str:
    """The number in the file takes nothing, on any channel."""
    number = clinic.patient.phone

    def refuse(outgoing: Outgoing) -> None:
        if outgoing.to == number:
            raise error(Kind.NUMBER, "21211")

    provider.on_send = refuse
    return number


@pytest.fixture
def visit(clinic: Clinic) -> Appointment:
    return book(clinic, timezone.now() + dt.timedelta(days=3))


def task() -> DeskTask:
    return DeskTask.objects.get(kind="FIX_CONTACT")


def fix(clinic: Clinic, **fields: Any) -> None:
    patient = Patient.objects.get(pk=clinic.patient.pk)
    for name, value in fields.items():
        setattr(patient, name, value)
    patient.save()
    for row in DeskTask.objects.filter(kind="FIX_CONTACT"):
        contact_fixes.look_after(row.pk)


def test_scenario_06_a_dead_number_is_one_task_and_once_it_is_put_right_what_still_holds_goes_out_once(
    clinic: Clinic, provider: FakeProvider, dead: str, visit: Appointment
) -> None:
    calls = send_all(provider)
    # WhatsApp is next in the chain, and as dead.
    assert {call.channel for call in to([*calls, *send_all(provider)], dead)} == {"SMS", "WHATSAPP"}
    assert SuppressedAddress.objects.filter(address=dead, lifted_at=None).exists()
    assert task().state == "OPEN"
    assert task().patient_id == clinic.patient.pk

    fix(clinic, phone=NEW)
    [again] = to(send_all(provider), NEW)
    assert visit.tokens.get().code in again.body
    assert task().state == "OVER"
    fix(clinic, phone=NEW, name_en="Sara Al-Mutairi")
    assert send_all(provider) == []


def test_what_no_longer_holds_does_not_go_out_when_the_number_is_put_right(
    clinic: Clinic, provider: FakeProvider, dead: str, visit: Appointment
) -> None:
    send_all(provider)
    send_all(provider)
    Patient.objects.filter(pk=clinic.patient.pk).update(email="")
    services.appointment_reschedule(
        appointment_id=visit.pk, actor=clinic.front_desk, starts_at=visit.starts_at + dt.timedelta(hours=1)
    )
    send_all(provider)
    send_all(provider)
    fix(clinic, phone=NEW)
    sent = to(send_all(provider), NEW)
    assert len(sent) == 1, "the move, not the booking before it"
    message = Message.objects.get(pk=sent[0].message_id)
    assert message.event is not None
    assert message.event.key == "appointment.rescheduled"


def test_another_field_saved_sends_nothing_and_leaves_the_task(
    clinic: Clinic, provider: FakeProvider, dead: str, visit: Appointment
) -> None:
    send_all(provider)
    send_all(provider)
    fix(clinic, name_en="Sarah Al-Mutairi")
    assert send_all(provider) == []
    assert task().state == "OPEN"
    assert "fixed_at" not in task().details


def test_what_failed_for_another_cause_is_not_sent_again_because_a_name_was_put_right(
    clinic: Clinic, provider: FakeProvider, visit: Appointment
) -> None:
    def refuse(outgoing: Outgoing) -> None:
        if outgoing.to == clinic.patient.phone:
            raise error(Kind.CONTENT, "30007")

    provider.on_send = refuse
    send_all(provider)
    send_all(provider)
    assert task().state == "OPEN"
    provider.on_send = None
    fix(clinic, name_en="Sarah Al-Mutairi")
    assert send_all(provider) == []
    assert task().state == "OPEN"


def test_a_number_that_was_right_all_along_is_opened_again_and_used(
    clinic: Clinic, provider: FakeProvider, dead: str, visit: Appointment
) -> None:
    send_all(provider)
    send_all(provider)
    provider.on_send = None
    for row in SuppressedAddress.objects.filter(address=dead):
        suppression.lift(suppressed=row, actor=clinic.front_desk)
    assert "fixed_at" in task().details
    # The doorbell was lost: the sweep finds it.
    with time_machine.travel(timezone.now() + dt.timedelta(seconds=30)):
        assert contact_fixes.look_after_all()["sent"] == 1
        assert contact_fixes.look_after_all()["sent"] == 0
        assert len(to(send_all(provider), dead)) == 1
    assert task().state == "OVER"


def test_too_late_is_too_late_even_with_a_new_number(
    clinic: Clinic, provider: FakeProvider, dead: str, visit: Appointment
) -> None:
    send_all(provider)
    send_all(provider)
    with time_machine.travel(visit.starts_at + dt.timedelta(minutes=1)):
        fix(clinic, phone=NEW)
        assert send_all(provider) == []


def test_a_child_whose_guardian_is_verified_at_last_is_told_what_was_held_back(
    clinic: Clinic, provider: FakeProvider
) -> None:
    Patient.objects.filter(pk=clinic.patient.pk).update(birth_date=dt.date(2020, 1, 1))
    clinic.patient.refresh_from_db()
    guardian = GuardianFactory(tenant=clinic.tenant)
    guardianship = GuardianshipFactory(
        tenant=clinic.tenant, patient=clinic.patient, guardian=guardian, verified_at=None
    )
    book(clinic, timezone.now() + dt.timedelta(days=3))
    assert to(send_all(provider), guardian.phone) == []
    assert task().state == "OPEN"
    guardianship.verified_at = timezone.now()
    guardianship.save()
    contact_fixes.look_after(task().pk)
    assert len(to(send_all(provider), guardian.phone)) == 1
    assert task().state == "OVER"
