"""Several visits told as one: a weekly series, a provider who cannot come, times that become free."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator

import pytest
import time_machine
from django.utils import timezone

from appointments import absences, free_slots, offers, series, services, waiting
from appointments.models import AbsenceVisit, Appointment, FreedSlot, Reminder, Series, SlotOffer, VisitPolicy
from appointments.tests.test_booking import book
from conftest import Clinic
from core.errors import DomainError
from core.models import Patient
from integrations.tests.fakes import FakeProvider, provider
from notifications import default_words
from notifications.models import DeskTask, Message, Notification, NotificationEvent
from notifications.states import Reason
from tests.factories import GuardianFactory, GuardianshipFactory, PatientFactory
from tests.journey import send_all, to

__all__ = ["provider"]
pytestmark = pytest.mark.django_db

S = Appointment.Status
WEEK = dt.timedelta(weeks=1)


@pytest.fixture(autouse=True)
def noon(clinic: Clinic) -> Iterator[None]:
    """In the middle of a working day: nothing waits for the morning."""
    default_words.install(clinic.tenant.pk)
    with time_machine.travel(timezone.localtime().replace(hour=9, minute=0, second=0, microsecond=0)):
        yield


@pytest.fixture
def soon(noon: None) -> dt.datetime:
    """26 hours ahead."""
    return timezone.now() + dt.timedelta(hours=26)


def weekly(clinic: Clinic, start: dt.datetime, count: int = 12, **fields: object) -> Series:
    wishes: dict[str, object] = {
        "actor": clinic.front_desk,
        "patient": clinic.patient,
        "provider": clinic.provider,
        "location": clinic.location,
        "department": clinic.department,
        "starts_at": start,
        "duration": dt.timedelta(minutes=45),
        "count": count,
    }
    return series.series_book(**(wishes | fields))  # type: ignore[arg-type]


def visits_of(row: Series) -> list[Appointment]:
    return list(row.visits.order_by("series_start"))


# --- scenario 11 -----------------------------------------------------------------------------------------------------


def test_scenario_11_a_weekly_series_is_one_message_and_moving_one_touches_only_it(
    clinic: Clinic, provider: FakeProvider, soon: dt.datetime
) -> None:
    row = weekly(clinic, soon)
    told = send_all(provider)
    patient = to(told, clinic.patient.phone)
    assert len(patient) == 1
    assert f"/series/{row.code}" in patient[0].body
    assert "12 موعدًا" in patient[0].body
    assert len(to(told, clinic.patient.email)) == 1
    assert Notification.objects.filter(user=clinic.provider).count() == 1
    visits = visits_of(row)
    assert [visit.starts_at for visit in visits] == [soon + number * WEEK for number in range(12)]
    assert Reminder.objects.filter(appointment__in=visits, status="PLANNED").count() >= 23

    fourth = visits[3]
    services.appointment_reschedule(
        appointment_id=fourth.pk, actor=clinic.front_desk, starts_at=fourth.starts_at + dt.timedelta(hours=2)
    )
    moved = to(send_all(provider), clinic.patient.phone)
    assert len(moved) == 1
    assert f"/series/{row.code}" not in moved[0].body
    changed = [visit for visit in visits_of(row) if visit.version > 1]
    assert [visit.pk for visit in changed] == [fourth.pk]
    assert changed[0].series_start == fourth.starts_at
    row.refresh_from_db()
    assert row.version == 1


def test_the_rest_of_a_series_is_called_off_with_one_message(
    clinic: Clinic, provider: FakeProvider, soon: dt.datetime
) -> None:
    row = weekly(clinic, soon, count=6)
    send_all(provider)
    since = visits_of(row)[2].starts_at
    gone = series.series_cancel(series_id=row.pk, actor=clinic.front_desk, reason="Therapy ends", since=since)
    assert len(gone) == 4
    told = send_all(provider)
    assert len(to(told, clinic.patient.phone)) == 1
    assert "4 مواعيد" in to(told, clinic.patient.phone)[0].body
    assert [visit.status for visit in visits_of(row)] == [S.BOOKED] * 2 + [S.CANCELLED] * 4
    assert not series.series_cancel(series_id=row.pk, actor=clinic.front_desk, reason="again", since=since)
    assert send_all(provider) == []


def test_a_series_called_off_before_anybody_heard_of_it_is_never_mentioned(
    clinic: Clinic, provider: FakeProvider, soon: dt.datetime
) -> None:
    from appointments.reminders import rules

    rules.timing_set(actor=clinic.admin, undo_minutes=3, recent_hours=2, at_once_per_address=2)
    row = weekly(clinic, soon, count=3)
    assert send_all(provider) == []
    series.series_cancel(series_id=row.pk, actor=clinic.front_desk, reason="slip")
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=5)):
        assert to(send_all(provider), clinic.patient.phone) == []
    other = weekly(clinic, soon, count=3)
    series.series_cancel(
        series_id=other.pk, actor=clinic.front_desk, reason="one too many", since=visits_of(other)[2].starts_at
    )
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=5)):
        [message] = to(send_all(provider), clinic.patient.phone)
        assert "موعدان" in message.body, "the news is what is left"


def test_a_series_is_booked_whole_or_not_at_all_and_once(clinic: Clinic, soon: dt.datetime) -> None:
    taken = book(clinic, soon + 2 * WEEK)
    with pytest.raises(DomainError) as refused:
        weekly(clinic, soon, count=4)
    assert refused.value.code == "overlap"
    assert f"{taken.local_start:%Y-%m-%d}" in str(refused.value)
    assert not Series.objects.exists()
    key = uuid.uuid4()
    later = soon + dt.timedelta(hours=3)
    assert weekly(clinic, later, count=4, booking_key=key) == weekly(clinic, later, count=4, booking_key=key)
    assert Appointment.objects.filter(series__isnull=False).count() == 4


def test_the_clock_of_a_series_stays_where_the_clocks_change(clinic: Clinic) -> None:
    clinic.location.timezone = "Europe/London"
    clinic.location.save()
    with time_machine.travel(dt.datetime(2026, 10, 15, 9, tzinfo=dt.UTC)):
        row = weekly(clinic, dt.datetime(2026, 10, 19, 9, tzinfo=dt.UTC), count=3)
        assert {f"{visit.local_start:%H:%M}" for visit in row.visits.select_related("location")} == {"10:00"}


# --- a provider who cannot come --------------------------------------------------------------------------------------


def call_off(clinic: Clinic, start: dt.datetime, **fields: object) -> object:
    wishes: dict[str, object] = {
        "actor": clinic.front_desk,
        "provider": clinic.provider,
        "starts_at": start - dt.timedelta(hours=4),
        "ends_at": start + dt.timedelta(hours=10),
        "reason": "ill",
        "key": uuid.uuid4(),
    }
    return absences.call_off(**(wishes | fields))  # type: ignore[arg-type]


@pytest.fixture
def family(clinic: Clinic) -> list[Patient]:
    """Two children, whose mother reads one phone."""
    mother = GuardianFactory(tenant=clinic.tenant)
    children = [
        PatientFactory(tenant=clinic.tenant, name_ar=name, birth_date=dt.date(2020, 1, 1), phone="", email="")
        for name in ("سارة المطيري", "عمر المطيري")
    ]
    for child in children:
        GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=mother)
    return children


def test_scenario_10_a_providers_day_is_called_off_once_and_a_family_reads_one_message(
    clinic: Clinic, provider: FakeProvider, family: list[Patient], soon: dt.datetime
) -> None:
    half = dt.timedelta(minutes=30)
    siblings = [book(clinic, soon + half * number, patient=child) for number, child in enumerate(family)]
    alone = book(clinic, soon + 2 * half)
    unreachable = book(
        clinic, soon + 3 * half, patient=PatientFactory(tenant=clinic.tenant, birth_date=dt.date(2020, 1, 1))
    )
    colleague = book(clinic, soon, provider=clinic.colleague, patient=PatientFactory(tenant=clinic.tenant))
    send_all(provider)
    seen = absences.preview(
        provider=clinic.provider, starts_at=soon, ends_at=soon + dt.timedelta(hours=8), location=None
    )
    assert (len(seen.lines), seen.messages, len(seen.calls)) == (4, 2, 1)

    key = uuid.uuid4()
    call_off(clinic, soon, key=key)
    told = [call for call in send_all(provider) if call.to.startswith("+")]
    mother = siblings[0].patient.guardianships.get().guardian
    assert sorted(call.to for call in told) == sorted([mother.phone, clinic.patient.phone])
    [to_mother] = to(told, mother.phone)
    assert "سارة" in to_mother.body
    assert "عمر" in to_mother.body
    assert "/again/" in to_mother.body
    assert "ill" not in to_mother.body
    for visit in (*siblings, alone, unreachable):
        visit.refresh_from_db()
        assert visit.status == S.CANCELLED
    colleague.refresh_from_db()
    assert colleague.status == S.BOOKED
    assert DeskTask.objects.filter(kind="REBOOK", state="OPEN").count() == 4
    assert DeskTask.objects.get(kind="CALL", state="OPEN").object_id == unreachable.pk
    assert not Reminder.objects.filter(appointment__provider=clinic.provider, status="PLANNED").exists()

    # The second click, and a second absence over the same day.
    call_off(clinic, soon, key=key)
    call_off(clinic, soon)
    assert send_all(provider) == []
    assert AbsenceVisit.objects.filter(outcome="CANCELLED").count() == 4


def test_who_is_here_already_stays_and_nobody_books_into_an_absence(clinic: Clinic, soon: dt.datetime) -> None:
    here = book(clinic, soon)
    services.appointment_arrive(appointment_id=here.pk, actor=clinic.front_desk)
    call_off(clinic, soon)
    here.refresh_from_db()
    assert here.status == S.ARRIVED
    assert AbsenceVisit.objects.get().outcome == "KEPT"
    with pytest.raises(DomainError) as refused:
        book(clinic, soon + dt.timedelta(hours=1))
    assert refused.value.code == "provider_away"
    absence = absences.ProviderAbsence.objects.get()
    absences.lift(absence_id=absence.pk, actor=clinic.front_desk)
    assert book(clinic, soon + dt.timedelta(hours=1)).pk


def test_a_crash_in_the_middle_leaves_nothing_half_told(
    clinic: Clinic, provider: FakeProvider, soon: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = book(clinic, soon)
    send_all(provider)
    with monkeypatch.context() as broken:
        broken.setattr(absences, "_ask_the_desk", lambda gone: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            call_off(clinic, soon)
    visit.refresh_from_db()
    assert visit.status == S.BOOKED
    with pytest.raises(DomainError):
        book(clinic, soon + dt.timedelta(hours=1))
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=3)):
        assert absences.finish_all()["finished"] == 1
        assert absences.finish_all()["finished"] == 0
        assert len(to(send_all(provider), clinic.patient.phone)) == 1


def test_nobody_on_the_waiting_list_is_offered_the_time_of_an_absence(
    clinic: Clinic, provider: FakeProvider, soon: dt.datetime
) -> None:
    book(clinic, soon)
    wait(clinic, PatientFactory(tenant=clinic.tenant), soon)
    call_off(clinic, soon)
    assert free_slots.tend()["offered"] == 0
    assert not FreedSlot.objects.exists()


def test_a_visit_nobody_was_told_of_is_not_apologised_for(
    clinic: Clinic, provider: FakeProvider, soon: dt.datetime
) -> None:
    from appointments.reminders import rules

    rules.timing_set(actor=clinic.admin, undo_minutes=3, recent_hours=2, at_once_per_address=2)
    book(clinic, soon)
    call_off(clinic, soon)
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=5)):
        assert to(send_all(provider), clinic.patient.phone) == []


# --- scenario 12 -----------------------------------------------------------------------------------------------------


def wait(clinic: Clinic, patient: Patient, around: dt.datetime, **fields: object) -> object:
    wishes: dict[str, object] = {
        "actor": clinic.front_desk,
        "patient": patient,
        "department": clinic.department,
        "first_day": timezone.localdate(),
        "last_day": (around + dt.timedelta(days=30)).date(),
    }
    return waiting.entry_add(**(wishes | fields))  # type: ignore[arg-type]


@pytest.fixture
def three(clinic: Clinic, soon: dt.datetime) -> list[Patient]:
    people = [PatientFactory(tenant=clinic.tenant) for _number in range(3)]
    for person in people:
        wait(clinic, person, soon)
    return people


def free(clinic: Clinic, soon: dt.datetime) -> None:
    visit = book(clinic, soon)
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")


def test_scenario_12_two_accept_one_gets_it_the_other_and_the_third_read_that_it_is_gone(
    clinic: Clinic, provider: FakeProvider, three: list[Patient], soon: dt.datetime
) -> None:
    VisitPolicy.objects.create(tenant=clinic.tenant, offers_at_once=3)
    free(clinic, soon)
    send_all(provider)
    assert free_slots.tend()["offered"] == 3
    asked = [call for call in send_all(provider) if call.to.startswith("+")]
    assert sorted(call.to for call in asked) == sorted(person.phone for person in three)
    first, second, third = SlotOffer.objects.order_by("created_at")
    visit = offers.accept(first.code)
    assert (visit.patient_id, visit.starts_at, visit.status) == (first.entry.patient_id, soon, S.BOOKED)
    with pytest.raises(DomainError) as refused:
        offers.accept(second.code)
    assert refused.value.code == "slot_gone"
    assert offers.accept(first.code) == visit, "the same press twice"
    states = {row.pk: row.state for row in SlotOffer.objects.all()}
    assert states == {first.pk: "ACCEPTED", second.pk: "LOST", third.pk: "LOST"}
    told = [call for call in send_all(provider) if call.to in {person.phone for person in three}]
    gone = [call for call in told if "لم يعد متاحًا" in call.body]
    assert sorted(call.to for call in gone) == sorted([second.entry.patient.phone, third.entry.patient.phone])
    assert Notification.objects.filter(user=clinic.front_desk, event_key="waitlist.taken").exists()


def test_one_after_the_other_in_the_order_of_the_list(
    clinic: Clinic, provider: FakeProvider, three: list[Patient], soon: dt.datetime
) -> None:
    free(clinic, soon)
    send_all(provider)
    for number, person in enumerate(three):
        with time_machine.travel(timezone.now() + number * dt.timedelta(minutes=31)):
            free_slots.tend()
            [asked] = [call for call in send_all(provider) if call.to.startswith("+") and "/offer/" in call.body]
            assert asked.to == person.phone
    assert sorted(SlotOffer.objects.values_list("state", flat=True)) == ["EXPIRED", "EXPIRED", "OPEN"]
    with time_machine.travel(timezone.now() + dt.timedelta(hours=2)), pytest.raises(DomainError):
        offers.accept(SlotOffer.objects.order_by("created_at")[0].code)


def test_the_kept_visit_stays_until_the_earlier_one_is_accepted_and_then_moves(
    clinic: Clinic, provider: FakeProvider, soon: dt.datetime
) -> None:
    mine = book(clinic, soon + 2 * WEEK)
    wait(clinic, clinic.patient, soon, appointment=mine)
    other = book(clinic, soon, patient=PatientFactory(tenant=clinic.tenant))
    services.appointment_cancel(appointment_id=other.pk, actor=clinic.front_desk, reason="x")
    send_all(provider)
    free_slots.tend()
    send_all(provider)
    mine.refresh_from_db()
    assert (mine.version, mine.starts_at) == (1, soon + 2 * WEEK)
    moved = offers.accept(SlotOffer.objects.get().code)
    assert (moved.pk, moved.version, moved.starts_at) == (mine.pk, 2, soon)
    assert Appointment.objects.filter(patient=clinic.patient).count() == 1


def test_never_in_quiet_hours_and_not_too_late(
    clinic: Clinic, provider: FakeProvider, three: list[Patient], soon: dt.datetime
) -> None:
    from core import tenant_settings

    tenant_settings.quiet_hours_set(actor=clinic.admin, quiet_from=dt.time(22), quiet_until=dt.time(8))
    visit = book(clinic, soon + dt.timedelta(days=1))
    send_all(provider)
    night = timezone.localtime().replace(hour=23)
    with time_machine.travel(night):
        services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")
        assert free_slots.tend()["offered"] == 0
    with time_machine.travel(night + dt.timedelta(hours=9, minutes=1)):
        assert free_slots.tend()["offered"] == 1
    late = book(clinic, timezone.now() + dt.timedelta(minutes=90))
    services.appointment_cancel(appointment_id=late.pk, actor=clinic.front_desk, reason="x")
    assert not FreedSlot.objects.filter(appointment=late).exists()
    assert DeskTask.objects.get(kind="WAITLIST").object_id == late.pk, "somebody may still call"


def test_a_person_is_asked_so_often_a_day_whatever_they_wait_for(
    clinic: Clinic, provider: FakeProvider, family: list[Patient], soon: dt.datetime
) -> None:
    VisitPolicy.objects.create(tenant=clinic.tenant, offers_at_once=5, offers_per_day=1)
    for child in family:
        wait(clinic, child, soon)
    for hours in (0, 1, 2):
        free(clinic, soon + dt.timedelta(hours=hours))
    for look in range(3):
        with time_machine.travel(timezone.now() + look * dt.timedelta(hours=1)):
            FreedSlot.objects.update(due_at=timezone.now())
            free_slots.tend()
    assert SlotOffer.objects.get().state == "EXPIRED", "unanswered, and still the one of that day"


def test_who_is_somewhere_else_at_that_time_is_left_out_and_so_is_whose_days_do_not_fit(
    clinic: Clinic, three: list[Patient], soon: dt.datetime
) -> None:
    VisitPolicy.objects.create(tenant=clinic.tenant, offers_at_once=5)
    book(clinic, soon, patient=three[0], provider=clinic.colleague)
    three[1].waitlist_entries.update(first_day=(soon + 2 * WEEK).date())
    local = timezone.localtime(soon)
    three[2].waitlist_entries.update(time_from=local.time(), time_until=dt.time(23, 59))
    free(clinic, soon)
    free_slots.tend()
    assert [offer.entry.patient for offer in SlotOffer.objects.all()] == [three[2]]


def test_an_offer_whose_time_is_taken_at_the_desk_is_closed(
    clinic: Clinic, provider: FakeProvider, three: list[Patient], soon: dt.datetime
) -> None:
    free(clinic, soon)
    free_slots.tend()
    book(clinic, soon, patient=PatientFactory(tenant=clinic.tenant))
    with pytest.raises(DomainError):
        offers.accept(SlotOffer.objects.get().code)
    FreedSlot.objects.update(due_at=timezone.now())
    assert free_slots.tend()["closed"] == 1
    assert SlotOffer.objects.get().state == "LOST"


# --- after a no-show -------------------------------------------------------------------------------------------------


def test_a_no_show_is_told_after_the_hold_and_never_once_it_is_corrected(
    clinic: Clinic, provider: FakeProvider, soon: dt.datetime
) -> None:
    kept, corrected = book(clinic, soon), book(clinic, soon + dt.timedelta(minutes=30))
    send_all(provider)
    missed = corrected.starts_at + dt.timedelta(minutes=20)
    with time_machine.travel(missed):
        for visit in (kept, corrected):
            services.appointment_no_show(appointment_id=visit.pk, actor=clinic.front_desk)
        assert to(send_all(provider), clinic.patient.email) == []
        assert Notification.objects.filter(user=clinic.provider, event_key="appointment.no_show").exists()
    with time_machine.travel(missed + dt.timedelta(hours=1)):
        services.appointment_correct_no_show(
            appointment_id=corrected.pk, actor=clinic.front_desk, to="COMPLETED", reason="wrong line"
        )
    with time_machine.travel(missed + dt.timedelta(hours=2, minutes=1)):
        mails = [mail for mail in to(send_all(provider), clinic.patient.email) if "/again/" in mail.body]
        assert len(mails) == 1
    waited = NotificationEvent.objects.get(key="appointment.no_show", object_id=corrected.pk, due_at__isnull=False)
    assert waited.dropped_because == Reason.STATUS_NOT_ELIGIBLE
    assert (
        Message.objects.filter(object_id=corrected.pk, event__key="appointment.no_show", patient__isnull=False).count()
        == 0
    )


def test_where_somebody_decides_nothing_goes_by_itself(
    clinic: Clinic, provider: FakeProvider, soon: dt.datetime
) -> None:
    from appointments import no_shows

    VisitPolicy.objects.create(tenant=clinic.tenant, no_show_needs_ok=True)
    visit = book(clinic, soon)
    send_all(provider)
    with time_machine.travel(visit.starts_at + dt.timedelta(hours=4)):
        services.appointment_no_show(appointment_id=visit.pk, actor=clinic.front_desk)
        visit.refresh_from_db()
        assert no_shows.may_follow_up(visit)
        assert DeskTask.objects.get(kind="REBOOK").details["because"] == "no_show"
    with time_machine.travel(visit.starts_at + dt.timedelta(hours=7)):
        assert to(send_all(provider), clinic.patient.email) == []
        no_shows.follow_up(appointment_id=visit.pk, actor=clinic.front_desk)
        no_shows.follow_up(appointment_id=visit.pk, actor=clinic.front_desk)
        assert len(to(send_all(provider), clinic.patient.email)) == 1
        assert DeskTask.objects.get(kind="REBOOK").state == "OVER"
