"""One message about several children, and what becomes of it when one of them changes while it waits."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator

import pytest
import time_machine
from django.utils import timezone

from appointments import absences, services
from appointments.models import ProviderAbsence, Reminder, ReminderTiming
from appointments.tasks import send_due_reminders_task
from appointments.tests.test_booking import book
from conftest import Clinic
from core import tenant_settings
from core.models import Guardian, Guardianship, Patient
from integrations import contact_fixes
from integrations.fanout import process_event
from integrations.tests.fakes import FakeProvider, provider
from notifications import default_words, lifecycle
from notifications.models import Message, NotificationEvent
from notifications.states import Reason
from tests.factories import GuardianFactory, GuardianshipFactory, PatientFactory
from tests.journey import send_all, to

__all__ = ["provider"]
pytestmark = pytest.mark.django_db

MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)
PHONE, NEW_PHONE = "+966551234567", "+966557654321"
SARA, OMAR, LINA = "سارة", "عمر", "لينا"
SHORT = {"S": SARA, "O": OMAR, "L": LINA}


@pytest.fixture(autouse=True)
def morning(clinic: Clinic) -> Iterator[time_machine.Coordinates]:
    default_words.install(clinic.tenant.pk)
    ReminderTiming.objects.all().delete()
    with time_machine.travel(
        timezone.localtime().replace(hour=9, minute=0, second=0, microsecond=0), tick=False
    ) as clock:
        yield clock


@pytest.fixture
def ten(morning: time_machine.Coordinates) -> dt.datetime:
    """Ten o'clock in five days."""
    return timezone.now() + 5 * DAY + HOUR


@pytest.fixture
def mother(clinic: Clinic) -> Guardian:
    made: Guardian = GuardianFactory(tenant=clinic.tenant, phone=PHONE, email="")
    return made


def child(clinic: Clinic, name_en: str, name_ar: str, guardian: Guardian) -> Patient:
    made: Patient = PatientFactory(
        tenant=clinic.tenant,
        name_en=name_en,
        name_ar=name_ar,
        birth_date=timezone.localdate() - dt.timedelta(days=8 * 365),
        phone="",
        email="",
    )
    GuardianshipFactory(tenant=clinic.tenant, patient=made, guardian=guardian)
    return made


@pytest.fixture
def sara(clinic: Clinic, mother: Guardian) -> Patient:
    return child(clinic, "Sara Al-Harbi", f"{SARA} الحربي", mother)


@pytest.fixture
def omar(clinic: Clinic, mother: Guardian) -> Patient:
    return child(clinic, "Omar Al-Harbi", f"{OMAR} الحربي", mother)


def said(clock: time_machine.Coordinates, pause: dt.timedelta, provider: FakeProvider) -> list[str]:
    """All that leaves after a pause for the family's phones."""
    clock.shift(pause)
    send_due_reminders_task()
    calls = send_all(provider) + send_all(provider)
    return [call.body for call in calls if call.to in (PHONE, NEW_PHONE)]


def names(texts: list[str]) -> list[str]:
    """Which of the children each text speaks of."""
    return sorted("".join(short for short, name in SHORT.items() if name in text) for text in texts)


def wait_for_the_reminder(clock: time_machine.Coordinates, at: dt.datetime, provider: FakeProvider) -> Message:
    """The reminder of both is written down, and not handed over yet: the provider is slow to answer."""
    clock.move_to(at)
    send_due_reminders_task()
    event = NotificationEvent.objects.get(key="appointment.reminder_together", processed_at=None)
    process_event(event.tenant_id, event.pk)
    return Message.objects.get(event=event)


def test_a_visit_that_was_put_off_does_not_cost_the_family_its_reminder(
    clinic: Clinic,
    provider: FakeProvider,
    morning: time_machine.Coordinates,
    ten: dt.datetime,
    sara: Patient,
    omar: Patient,
) -> None:
    """The deadline of his first date is over when both are reminded of the new one."""
    his = book(clinic, ten - 4 * DAY, patient=omar, provider=clinic.colleague)
    book(clinic, ten, patient=sara)
    said(morning, 4 * MINUTE, provider)
    services.appointment_reschedule(
        appointment_id=his.pk, actor=clinic.front_desk, starts_at=ten + 30 * MINUTE, reason="x"
    )
    said(morning, 4 * MINUTE, provider)
    morning.move_to(ten - DAY)
    assert names(said(morning, dt.timedelta(0), provider)) == ["SO"]
    morning.move_to(ten - 2 * HOUR)
    assert names(said(morning, dt.timedelta(0), provider)) == ["SO"]


def test_a_mother_who_is_blocked_for_one_child_meanwhile_reads_of_the_other_alone(
    clinic: Clinic,
    provider: FakeProvider,
    morning: time_machine.Coordinates,
    ten: dt.datetime,
    mother: Guardian,
    sara: Patient,
    omar: Patient,
) -> None:
    father = GuardianFactory(tenant=clinic.tenant, phone=NEW_PHONE, email="")
    for one in (sara, omar):
        GuardianshipFactory(
            tenant=clinic.tenant, patient=one, guardian=father, kind=Guardianship.Kind.FATHER, is_primary=False
        )
    book(clinic, ten, patient=sara)
    book(clinic, ten + 30 * MINUTE, patient=omar, provider=clinic.colleague)
    said(morning, 10 * MINUTE, provider)
    morning.move_to(ten - DAY)
    send_due_reminders_task()
    event = NotificationEvent.objects.get(key="appointment.reminder_together")
    process_event(event.tenant_id, event.pk)
    row = Guardianship.objects.get(patient=omar, guardian=mother)
    row.blocked_reason = "court order"
    row.save()
    before = len(provider.calls)
    said(morning, MINUTE, provider)
    said(morning, MINUTE, provider)
    calls = provider.calls[before:]
    assert names([call.body for call in to(calls, PHONE)]) == ["S"]
    assert names([call.body for call in to(calls, NEW_PHONE)]) == ["O", "S"]


def test_a_phone_that_is_put_right_for_one_of_two_takes_the_message_apart(
    clinic: Clinic,
    provider: FakeProvider,
    morning: time_machine.Coordinates,
    ten: dt.datetime,
    sara: Patient,
) -> None:
    """The same mother stands twice in the files; in his the number was wrong."""
    again = GuardianFactory(tenant=clinic.tenant, phone=PHONE, email="")
    omar = child(clinic, "Omar Al-Harbi", f"{OMAR} الحربي", again)
    book(clinic, ten, patient=sara)
    book(clinic, ten + 30 * MINUTE, patient=omar, provider=clinic.colleague)
    said(morning, 10 * MINUTE, provider)
    wait_for_the_reminder(morning, ten - DAY, provider)
    again.phone = NEW_PHONE
    again.save()
    before = len(provider.calls)
    said(morning, MINUTE, provider)
    said(morning, MINUTE, provider)
    calls = provider.calls[before:]
    assert names([call.body for call in to(calls, PHONE)]) == ["S"]
    assert names([call.body for call in to(calls, NEW_PHONE)]) == ["O"]


@pytest.mark.parametrize("who", [0, 1])
@pytest.mark.parametrize("what", ["is_restricted", "deceased_at", "is_active"])
def test_when_nothing_may_be_said_of_one_any_more_the_other_is_reminded(
    clinic: Clinic,
    provider: FakeProvider,
    morning: time_machine.Coordinates,
    ten: dt.datetime,
    sara: Patient,
    omar: Patient,
    who: int,
    what: str,
) -> None:
    book(clinic, ten, patient=sara)
    book(clinic, ten + 30 * MINUTE, patient=omar, provider=clinic.colleague)
    said(morning, 10 * MINUTE, provider)
    wait_for_the_reminder(morning, ten - DAY, provider)
    gone = (sara, omar)[who]
    setattr(gone, what, {"is_restricted": True, "deceased_at": timezone.now(), "is_active": False}[what])
    gone.save()
    texts = said(morning, MINUTE, provider) + said(morning, MINUTE, provider)
    assert names(texts) == ["SO"[1 - who]]
    assert said(morning, HOUR, provider) == []


def test_one_of_three_moves_arrives_or_goes_while_the_reminder_waits_and_each_hears_what_holds(
    clinic: Clinic,
    provider: FakeProvider,
    morning: time_machine.Coordinates,
    ten: dt.datetime,
    mother: Guardian,
    sara: Patient,
    omar: Patient,
) -> None:
    lina = child(clinic, "Lina Al-Harbi", f"{LINA} الحربي", mother)
    hers = book(clinic, ten, patient=sara)
    his = book(clinic, ten + 30 * MINUTE, patient=omar, provider=clinic.colleague)
    book(clinic, ten + 60 * MINUTE, patient=lina)
    said(morning, 10 * MINUTE, provider)
    wait_for_the_reminder(morning, ten - DAY, provider)
    services.appointment_arrive(appointment_id=hers.pk, actor=clinic.front_desk)
    services.appointment_reschedule(appointment_id=his.pk, actor=clinic.front_desk, starts_at=ten + 3 * DAY)
    texts = said(morning, MINUTE, provider) + said(morning, 5 * MINUTE, provider)
    assert names(texts) == ["L", "O"], "Lina's reminder, and Omar's new time"
    assert Reminder.objects.filter(appointment=his, version=2, status="PLANNED").count() == 2


def test_what_still_rests_is_not_told_before_its_time_beside_a_sisters_reminder(
    clinic: Clinic,
    provider: FakeProvider,
    morning: time_machine.Coordinates,
    ten: dt.datetime,
    sara: Patient,
    omar: Patient,
) -> None:
    """Booked by a slip a minute before her reminder: it is taken back before anybody hears of it."""
    book(clinic, ten, patient=sara)
    said(morning, 4 * MINUTE, provider)
    morning.move_to(ten - DAY - MINUTE)
    slip = book(clinic, ten + 30 * MINUTE, patient=omar, provider=clinic.colleague)
    assert names(said(morning, MINUTE, provider)) == ["S"]
    services.appointment_cancel(appointment_id=slip.pk, actor=clinic.front_desk, reason="a slip")
    assert said(morning, 10 * MINUTE, provider) == []


def test_a_later_deadline_of_one_is_not_lost_with_the_earlier_one_of_another(
    clinic: Clinic,
    provider: FakeProvider,
    morning: time_machine.Coordinates,
    ten: dt.datetime,
    sara: Patient,
    omar: Patient,
) -> None:
    """The message waits until her part is too late; his is still of use."""
    book(clinic, ten, patient=sara)
    book(clinic, ten + 8 * HOUR, patient=omar, provider=clinic.colleague)
    said(morning, 10 * MINUTE, provider)
    wait_for_the_reminder(morning, ten - DAY, provider)
    morning.move_to(ten - 2 * HOUR - 30 * MINUTE)
    texts = said(morning, dt.timedelta(0), provider) + said(morning, MINUTE, provider)
    assert names(texts) == ["O"]


def test_booked_together_by_night_and_one_moved_each_hears_of_a_booking(
    clinic: Clinic,
    provider: FakeProvider,
    morning: time_machine.Coordinates,
    ten: dt.datetime,
    sara: Patient,
    omar: Patient,
) -> None:
    tenant_settings.quiet_hours_set(actor=clinic.admin, quiet_from=dt.time(22), quiet_until=dt.time(8))
    morning.shift(14 * HOUR)
    book(clinic, ten, patient=sara)
    his = book(clinic, ten + 30 * MINUTE, patient=omar)
    assert said(morning, 5 * MINUTE, provider) == []
    services.appointment_reschedule(appointment_id=his.pk, actor=clinic.front_desk, starts_at=ten + 3 * HOUR)
    assert said(morning, 5 * MINUTE, provider) == []
    assert names(said(morning, 10 * HOUR, provider)) == ["O", "S"]
    keys = {message.event.key for message in Message.objects.filter(status="SENT", channel="SMS") if message.event}
    assert keys == {"appointment.booked"}, "nobody had heard of the first time"


def test_booked_together_by_night_and_one_called_off_nobody_hears_of_it(
    clinic: Clinic,
    provider: FakeProvider,
    morning: time_machine.Coordinates,
    ten: dt.datetime,
    sara: Patient,
    omar: Patient,
) -> None:
    tenant_settings.quiet_hours_set(actor=clinic.admin, quiet_from=dt.time(22), quiet_until=dt.time(8))
    morning.shift(14 * HOUR)
    book(clinic, ten, patient=sara)
    his = book(clinic, ten + 30 * MINUTE, patient=omar)
    assert said(morning, 5 * MINUTE, provider) == []
    services.appointment_cancel(appointment_id=his.pk, actor=clinic.front_desk, reason="a slip")
    assert names(said(morning, 10 * HOUR, provider) + said(morning, HOUR, provider)) == ["S"]


def test_a_visit_that_never_was_is_left_out_of_the_familys_reminder(
    clinic: Clinic,
    provider: FakeProvider,
    morning: time_machine.Coordinates,
    ten: dt.datetime,
    sara: Patient,
    omar: Patient,
) -> None:
    book(clinic, ten, patient=sara)
    his = book(clinic, ten + 30 * MINUTE, patient=omar)
    said(morning, 10 * MINUTE, provider)
    wait_for_the_reminder(morning, ten - DAY, provider)
    services.appointment_void(appointment_id=his.pk, actor=clinic.admin, reason="the wrong child")
    assert names(said(morning, MINUTE, provider) + said(morning, HOUR, provider)) == ["S"]


# --- called off together ---------------------------------------------------------------------------------------------


def call_off(clinic: Clinic, ten: dt.datetime) -> ProviderAbsence:
    return absences.call_off(
        actor=clinic.front_desk,
        provider=clinic.provider,
        starts_at=ten - HOUR,
        ends_at=ten + 8 * HOUR,
        reason="ill",
        key=uuid.uuid4(),
    )


def test_a_mother_who_is_blocked_for_one_child_by_night_reads_that_the_others_visit_is_off(
    clinic: Clinic,
    provider: FakeProvider,
    morning: time_machine.Coordinates,
    ten: dt.datetime,
    mother: Guardian,
    sara: Patient,
    omar: Patient,
) -> None:
    father = GuardianFactory(tenant=clinic.tenant, phone=NEW_PHONE, email="")
    for one in (sara, omar):
        GuardianshipFactory(
            tenant=clinic.tenant, patient=one, guardian=father, kind=Guardianship.Kind.FATHER, is_primary=False
        )
    tenant_settings.quiet_hours_set(actor=clinic.admin, quiet_from=dt.time(22), quiet_until=dt.time(8))
    book(clinic, ten, patient=sara)
    book(clinic, ten + 30 * MINUTE, patient=omar)
    said(morning, 10 * MINUTE, provider)
    morning.shift(14 * HOUR)
    call_off(clinic, ten)
    assert said(morning, MINUTE, provider) == []
    row = Guardianship.objects.get(patient=omar, guardian=mother)
    row.blocked_reason = "court order"
    row.save()
    before = len(provider.calls)
    morning.shift(10 * HOUR)
    for _round in range(2):
        send_all(provider)
        absences.finish_all()
    send_all(provider)
    calls = provider.calls[before:]
    assert names([call.body for call in to(calls, PHONE)]) == ["S"]
    assert names([call.body for call in to(calls, NEW_PHONE)]) == ["O", "S"]
    absences.finish_all()
    assert said(morning, HOUR, provider) == []


def test_a_letter_that_calls_off_names_nobody_who_does_not_read_it(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    """Two grown-up sisters share the family's phone, and each has a letter box of her own."""
    people = [
        PatientFactory(tenant=clinic.tenant, name_en=name, name_ar=name, phone=PHONE, email=f"{name}@mail.example")
        for name in ("Huda", "Rim")
    ]
    for number, person in enumerate(people):
        book(clinic, ten + number * 30 * MINUTE, patient=person)
    said(morning, 10 * MINUTE, provider)
    before = len(provider.calls)
    call_off(clinic, ten)
    send_all(provider)
    for person, other in (people, reversed(people)):
        letters = to(provider.calls[before:], person.email)
        assert len(letters) == 1
        assert person.name_en in letters[0].body
        assert other.name_en not in letters[0].body


def test_a_child_of_two_who_had_not_been_told_of_is_left_out_when_the_day_is_called_off(
    clinic: Clinic,
    provider: FakeProvider,
    morning: time_machine.Coordinates,
    ten: dt.datetime,
    sara: Patient,
    omar: Patient,
) -> None:
    book(clinic, ten, patient=sara)
    said(morning, 10 * MINUTE, provider)
    book(clinic, ten + 30 * MINUTE, patient=omar)
    call_off(clinic, ten)
    assert names(said(morning, MINUTE, provider)) == ["S"]
    assert said(morning, HOUR, provider) == []


def test_what_was_told_apart_is_not_told_together_when_the_guardian_is_verified_again(
    clinic: Clinic,
    provider: FakeProvider,
    morning: time_machine.Coordinates,
    ten: dt.datetime,
    mother: Guardian,
    sara: Patient,
    omar: Patient,
) -> None:
    book(clinic, ten, patient=sara)
    book(clinic, ten + 30 * MINUTE, patient=omar, provider=clinic.colleague)
    said(morning, 10 * MINUTE, provider)
    wait_for_the_reminder(morning, ten - DAY, provider)
    row = Guardianship.objects.get(patient=sara)
    row.verified_at = None
    row.save()
    assert names(said(morning, MINUTE, provider) + said(morning, MINUTE, provider)) == ["O"]
    # And her number is another one by now.
    mother.phone = NEW_PHONE
    mother.save()
    row.verified_at = timezone.now()
    row.save()
    morning.shift(MINUTE)
    contact_fixes.look_after_all()
    assert names(said(morning, MINUTE, provider)) == ["S"]
    assert said(morning, HOUR, provider) == []


def test_a_reminder_withdrawn_by_hand_is_not_told_by_another_way(
    clinic: Clinic,
    provider: FakeProvider,
    morning: time_machine.Coordinates,
    ten: dt.datetime,
    sara: Patient,
    omar: Patient,
) -> None:
    book(clinic, ten, patient=sara)
    book(clinic, ten + 30 * MINUTE, patient=omar, provider=clinic.colleague)
    said(morning, 10 * MINUTE, provider)
    message = wait_for_the_reminder(morning, ten - DAY, provider)
    lifecycle.refuse_many({message.pk: Reason.WITHDRAWN})
    assert said(morning, MINUTE, provider) + said(morning, HOUR, provider) == []
