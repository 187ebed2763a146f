"""Times that are offered while the world goes on: the desk books, the place closes, the patient has something else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
import time_machine
from django.utils import timezone

from appointments import absences, free_slots, offers, services, waiting
from appointments.models import Appointment, FreedSlot, SlotOffer, VisitPolicy, WaitlistEntry
from appointments.tests.test_booking import book
from conftest import Clinic
from core import tenant_settings
from core.errors import DomainError
from core.models import Absence, Holiday, Patient
from integrations.tests.fakes import FakeProvider, provider
from notifications import default_words
from tests.factories import PatientFactory
from tests.journey import send_all, to

__all__ = ["provider"]
pytestmark = pytest.mark.django_db

S = Appointment.Status
MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def morning(clinic: Clinic) -> Iterator[time_machine.Coordinates]:
    default_words.install(clinic.tenant.pk)
    with time_machine.travel(
        timezone.localtime().replace(hour=9, minute=0, second=0, microsecond=0), tick=False
    ) as clock:
        yield clock


@pytest.fixture
def soon(morning: time_machine.Coordinates) -> dt.datetime:
    """Eleven o'clock the day after tomorrow."""
    return timezone.now() + 2 * DAY + 2 * HOUR


@pytest.fixture
def lina(clinic: Clinic) -> Patient:
    made: Patient = PatientFactory(tenant=clinic.tenant)
    return made


def wait(clinic: Clinic, patient: Patient, appointment: Appointment | None = None) -> WaitlistEntry:
    return waiting.entry_add(
        actor=clinic.front_desk,
        patient=patient,
        department=clinic.department,
        appointment=appointment,
        first_day=timezone.localdate(),
        last_day=timezone.localdate() + dt.timedelta(days=30),
    )


def freed(clinic: Clinic, start: dt.datetime) -> Appointment:
    visit = book(clinic, start)
    return services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")


def offer_to(clinic: Clinic, patient: Patient, start: dt.datetime) -> SlotOffer:
    wait(clinic, patient)
    freed(clinic, start)
    free_slots.tend()
    return SlotOffer.objects.get(entry__patient=patient)


def refused(code: str) -> str:
    with pytest.raises(DomainError) as error:
        offers.accept(code)
    return error.value.code


def test_who_was_booked_elsewhere_at_that_time_meanwhile_cannot_be_in_two_places(
    clinic: Clinic, provider: FakeProvider, soon: dt.datetime, lina: Patient
) -> None:
    offer = offer_to(clinic, lina, soon)
    other = book(clinic, soon + 15 * MINUTE, patient=lina, provider=clinic.colleague)
    assert refused(offer.code) == "slot_gone"
    assert list(Appointment.objects.filter(patient=lina)) == [other]
    services.appointment_cancel(appointment_id=other.pk, actor=clinic.front_desk, reason="x")
    assert offers.accept(offer.code).starts_at == soon, "while the hold lasts"


@pytest.mark.parametrize("everywhere", [True, False])
def test_a_day_on_which_the_place_is_closed_is_offered_to_nobody(
    clinic: Clinic, provider: FakeProvider, soon: dt.datetime, lina: Patient, *, everywhere: bool
) -> None:
    """The visits of a feast are called off one by one; each leaves a time that nobody can come to."""
    wait(clinic, lina)
    day = timezone.localtime(soon, clinic.location.zone).date()
    Holiday.objects.create(
        tenant=clinic.tenant,
        location=None if everywhere else clinic.location,
        name_en="Founding Day",
        name_ar="يوم التأسيس",
        first_day=day,
        last_day=day,
    )
    freed(clinic, soon)
    free_slots.tend()
    assert not SlotOffer.objects.exists()
    assert FreedSlot.objects.get().state == "CLOSED"


def test_a_day_that_is_closed_after_the_offer_is_taken_by_nobody(
    clinic: Clinic, provider: FakeProvider, soon: dt.datetime, lina: Patient
) -> None:
    offer = offer_to(clinic, lina, soon)
    day = timezone.localtime(soon, clinic.location.zone).date()
    Holiday.objects.create(tenant=clinic.tenant, name_en="Eid", name_ar="عيد", first_day=day, last_day=day)
    assert refused(offer.code) == "slot_gone"


def test_the_time_of_a_provider_who_is_on_leave_is_offered_to_nobody(
    clinic: Clinic, provider: FakeProvider, soon: dt.datetime, lina: Patient
) -> None:
    wait(clinic, lina)
    Absence.objects.create(
        tenant=clinic.tenant, user=clinic.provider, starts_at=soon - 3 * HOUR, ends_at=soon + 8 * HOUR
    )
    freed(clinic, soon)
    free_slots.tend()
    assert not SlotOffer.objects.exists()


def test_an_offer_is_worth_nothing_from_the_end_of_its_hold_on(
    clinic: Clinic, provider: FakeProvider, soon: dt.datetime, lina: Patient, morning: time_machine.Coordinates
) -> None:
    offer = offer_to(clinic, lina, soon)
    morning.move_to(offer.hold_until)
    assert refused(offer.code) == "slot_gone"
    assert not Appointment.objects.filter(patient=lina).exists()


def test_a_time_that_the_desk_filled_and_freed_again_goes_by_its_own_rules(
    clinic: Clinic, provider: FakeProvider, soon: dt.datetime, lina: Patient
) -> None:
    first = offer_to(clinic, lina, soon)
    filled = book(clinic, soon, patient=PatientFactory(tenant=clinic.tenant))
    assert refused(first.code) == "slot_gone"
    free_slots.tend()
    first.refresh_from_db()
    assert first.state in ("OPEN", "LOST")
    services.appointment_cancel(appointment_id=filled.pk, actor=clinic.front_desk, reason="x")
    free_slots.tend()
    for offer in SlotOffer.objects.all():
        try:
            offers.accept(offer.code)
        except DomainError:
            continue
    assert Appointment.objects.filter(starts_at=soon, status=S.BOOKED).count() == 1


def test_a_visit_that_is_reinstated_keeps_its_time_from_who_was_offered_it(
    clinic: Clinic, provider: FakeProvider, soon: dt.datetime, lina: Patient
) -> None:
    wait(clinic, lina)
    visit = freed(clinic, soon)
    free_slots.tend()
    offer = SlotOffer.objects.get()
    send_all(provider)
    services.appointment_reinstate(appointment_id=visit.pk, actor=clinic.front_desk)
    assert refused(offer.code) == "slot_gone"
    before = len(provider.calls)
    FreedSlot.objects.update(due_at=timezone.now())
    free_slots.tend()
    send_all(provider)
    assert len(to(provider.calls[before:], lina.phone)) == 1, "that it is gone"


def test_the_kept_visit_stands_when_the_provider_of_the_offered_time_falls_ill(
    clinic: Clinic, provider: FakeProvider, soon: dt.datetime, lina: Patient
) -> None:
    import uuid

    kept = book(clinic, soon + 5 * DAY, patient=lina)
    wait(clinic, lina, kept)
    freed(clinic, soon)
    free_slots.tend()
    offer = SlotOffer.objects.get()
    absences.call_off(
        actor=clinic.front_desk,
        provider=clinic.provider,
        starts_at=soon - HOUR,
        ends_at=soon + HOUR,
        reason="ill",
        key=uuid.uuid4(),
    )
    assert refused(offer.code) == "slot_gone"
    kept.refresh_from_db()
    assert (kept.status, kept.version, kept.starts_at) == (S.BOOKED, 1, soon + 5 * DAY)


def test_a_visit_that_the_desk_moved_earlier_than_the_offer_is_not_moved_back_by_it(
    clinic: Clinic, provider: FakeProvider, soon: dt.datetime, lina: Patient
) -> None:
    """The offer was to come earlier; by now it would be later."""
    kept = book(clinic, soon + 5 * DAY, patient=lina)
    wait(clinic, lina, kept)
    freed(clinic, soon)
    free_slots.tend()
    offer = SlotOffer.objects.get()
    services.appointment_reschedule(appointment_id=kept.pk, actor=clinic.front_desk, starts_at=soon - DAY)
    assert refused(offer.code) == "slot_gone"
    kept.refresh_from_db()
    assert kept.starts_at == soon - DAY


def test_who_is_here_for_the_kept_visit_gets_no_second_one_by_an_old_offer(
    clinic: Clinic, provider: FakeProvider, soon: dt.datetime, lina: Patient
) -> None:
    kept = book(clinic, soon + 5 * DAY, patient=lina)
    wait(clinic, lina, kept)
    freed(clinic, soon)
    free_slots.tend()
    offer = SlotOffer.objects.get()
    services.appointment_arrive(appointment_id=kept.pk, actor=clinic.front_desk)
    assert refused(offer.code) == "slot_gone"
    assert Appointment.objects.filter(patient=lina).count() == 1


@pytest.mark.parametrize("what", ["deceased_at", "is_active"])
def test_nobody_takes_a_time_for_who_died_or_left(
    clinic: Clinic, provider: FakeProvider, soon: dt.datetime, lina: Patient, what: str
) -> None:
    offer = offer_to(clinic, lina, soon)
    setattr(lina, what, {"deceased_at": timezone.now(), "is_active": False}[what])
    lina.save()
    before = len(provider.calls)
    assert refused(offer.code) in ("deceased", "patient_inactive", "slot_gone")
    send_all(provider)
    assert to(provider.calls[before:], lina.phone) == []
    assert FreedSlot.objects.get().state == "OPEN", "it is still there for the next"


def test_who_takes_a_time_by_night_reads_of_it_at_once(
    clinic: Clinic, provider: FakeProvider, soon: dt.datetime, lina: Patient, morning: time_machine.Coordinates
) -> None:
    """It is their own act: they are awake and wait for the answer."""
    VisitPolicy.objects.create(tenant=clinic.tenant, offer_hold_minutes=24 * 60)
    tenant_settings.quiet_hours_set(actor=clinic.admin, quiet_from=dt.time(22), quiet_until=dt.time(8))
    offer = offer_to(clinic, lina, soon)
    send_all(provider)
    morning.shift(14 * HOUR)
    before = len(provider.calls)
    offers.accept(offer.code)
    send_all(provider)
    assert len(to(provider.calls[before:], lina.phone)) == 1
