"""Booking, moving and reinstating: what takes a place in the provider's day."""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo

import pytest
import time_machine
from django.utils import timezone

from appointments import services
from appointments.models import Appointment, AppointmentEvent, ConfirmationToken, Reminder
from conftest import Clinic
from core.errors import DomainError
from core.models import AuditEvent, SubFile
from core.tenancy import tenant_scope
from notifications.models import NotificationEvent

S = Appointment.Status
HALF_HOUR = dt.timedelta(minutes=30)


def book(clinic: Clinic, starts_at: dt.datetime, **fields: object) -> Appointment:
    wish = {
        "actor": clinic.front_desk,
        "patient": clinic.patient,
        "provider": clinic.provider,
        "location": clinic.location,
        "department": clinic.department,
        "starts_at": starts_at,
        "duration": HALF_HOUR,
    }
    return services.appointment_book(**{**wish, **fields})  # type: ignore[arg-type]


def keys(appointment: Appointment) -> list[str]:
    return sorted(NotificationEvent.objects.filter(object_id=appointment.pk).values_list("key", flat=True))


def test_a_booking_has_number_subfile_history_audit_link_reminders_and_events(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    appointment = book(clinic, ten_oclock, notes=" first visit ")
    assert appointment.number == f"APT-{timezone.localtime().year}-000001"
    assert (appointment.status, appointment.version, appointment.notes) == (S.BOOKED, 1, "first visit")
    subfile = SubFile.objects.get(patient=clinic.patient, department=clinic.department)
    assert subfile.number == f"{clinic.patient.mrn}-{clinic.department.code}"
    event = AppointmentEvent.objects.get(appointment=appointment)
    assert (event.from_status, event.to_status, event.actor) == ("", S.BOOKED, clinic.front_desk)
    audit = AuditEvent.objects.get(object_id=appointment.pk)
    assert (audit.action, audit.actor) == ("appointment.booked", clinic.front_desk)
    token = ConfirmationToken.objects.get(appointment=appointment)
    assert (token.version, token.expires_at) == (1, ten_oclock)
    due = dict(Reminder.objects.values_list("kind", "due_at"))
    assert due == {"24H": ten_oclock - dt.timedelta(days=1), "2H": ten_oclock - dt.timedelta(hours=2)}
    assert keys(appointment) == ["appointment.booked", "appointment.new"]


def test_numbers_count_up_within_each_tenant(clinic: Clinic, other_clinic: Clinic, ten_oclock: dt.datetime) -> None:
    first = book(clinic, ten_oclock)
    second = book(clinic, ten_oclock + HALF_HOUR)
    with tenant_scope(other_clinic.tenant.pk):
        foreign = book(other_clinic, ten_oclock)
    assert second.number == first.number[:-1] + "2"
    assert foreign.number == first.number


def test_the_form_sent_twice_is_one_booking(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    key = uuid.uuid4()
    first = book(clinic, ten_oclock, booking_key=key)
    assert book(clinic, ten_oclock, booking_key=key).pk == first.pk
    assert Appointment.objects.count() == AppointmentEvent.objects.count() == 1
    assert NotificationEvent.objects.filter(key="appointment.new").count() == 1


@pytest.mark.parametrize(
    ("minutes", "code"),
    [(-1, "start_past"), (0, "start_past"), (3 * 365 * 24 * 60, "start_far")],
)
def test_the_start_is_still_to_come_and_not_years_away(clinic: Clinic, minutes: int, code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        book(clinic, timezone.now() + dt.timedelta(minutes=minutes))
    assert refusal.value.code == code
    assert not Appointment.objects.exists()


@pytest.mark.parametrize("minutes", [0, -30, 8 * 60 + 1])
def test_a_visit_has_a_sensible_length(clinic: Clinic, ten_oclock: dt.datetime, minutes: int) -> None:
    with pytest.raises(DomainError) as refusal:
        book(clinic, ten_oclock, duration=dt.timedelta(minutes=minutes))
    assert refusal.value.code == "duration_invalid"


@pytest.mark.parametrize(("offset", "length"), [(0, 30), (-15, 30), (15, 30), (-60, 120), (5, 10)])
def test_an_overlap_is_refused_and_names_the_other_time(
    clinic: Clinic, ten_oclock: dt.datetime, offset: int, length: int
) -> None:
    book(clinic, ten_oclock)
    with pytest.raises(DomainError) as refusal:
        book(clinic, ten_oclock + dt.timedelta(minutes=offset), duration=dt.timedelta(minutes=length))
    assert refusal.value.code == "overlap"
    assert "10:00 to 10:30" in str(refusal.value)


@pytest.mark.parametrize("offset", [-30, 30])
def test_visits_may_touch(clinic: Clinic, ten_oclock: dt.datetime, offset: int) -> None:
    book(clinic, ten_oclock)
    book(clinic, ten_oclock + dt.timedelta(minutes=offset))
    assert Appointment.objects.count() == 2


def test_another_provider_is_free_at_the_same_time(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    book(clinic, ten_oclock)
    book(clinic, ten_oclock, provider=clinic.colleague)
    assert Appointment.objects.count() == 2


def test_a_cancelled_visit_gives_its_time_back(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    first = book(clinic, ten_oclock)
    services.appointment_cancel(appointment_id=first.pk, actor=clinic.front_desk, reason="moved away")
    assert book(clinic, ten_oclock).status == S.BOOKED


def test_only_active_providers_of_the_own_tenant_are_booked(
    clinic: Clinic, other_clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    for provider, code in [(clinic.front_desk, "not_a_provider"), (other_clinic.provider, "not_allowed")]:
        with pytest.raises(DomainError) as refusal:
            book(clinic, ten_oclock, provider=provider)
        assert refusal.value.code == code
    clinic.provider.is_active = False
    clinic.provider.save()
    with pytest.raises(DomainError) as refusal:
        book(clinic, ten_oclock)
    assert refusal.value.code == "provider_inactive"


def test_the_dead_the_merged_and_closed_files_are_not_booked(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    patient = clinic.patient
    for field, value, code in [
        ("deceased_at", dt.date(2026, 1, 1), "deceased"),
        ("merged_into_id", patient.pk, "merged_away"),
        ("is_active", False, "patient_inactive"),
    ]:
        before = getattr(patient, field)
        setattr(patient, field, value)
        with pytest.raises(DomainError) as refusal:
            book(clinic, ten_oclock)
        assert refusal.value.code == code
        setattr(patient, field, before)


def test_only_the_desk_and_admins_book(clinic: Clinic, other_clinic: Clinic, ten_oclock: dt.datetime) -> None:
    for actor in (clinic.provider, clinic.patient_user, other_clinic.front_desk):
        with pytest.raises(DomainError) as refusal:
            book(clinic, ten_oclock, actor=actor)
        assert refusal.value.code == "not_allowed"
    assert book(clinic, ten_oclock, actor=clinic.admin).booked_by == clinic.admin


def test_a_silent_booking_tells_nobody(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    appointment = book(clinic, ten_oclock, is_silent=True)
    services.appointment_cancel(appointment_id=appointment.pk, actor=clinic.front_desk, reason="import")
    assert not NotificationEvent.objects.exists()
    reasons = set(Reminder.objects.values_list("status", "reason"))
    assert reasons == {("CANCELLED", "bulk_import_silent")}, "nobody is reminded, and everybody can see why"
    assert not ConfirmationToken.objects.exists()
    assert AppointmentEvent.objects.count() == 2


def test_a_move_is_a_new_version_with_new_link_and_new_reminders(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    appointment = book(clinic, ten_oclock)
    services.appointment_confirm(appointment_id=appointment.pk, actor=clinic.front_desk)
    later = ten_oclock + dt.timedelta(days=3)
    moved = services.appointment_reschedule(
        appointment_id=appointment.pk, actor=clinic.front_desk, starts_at=later, reason="  provider   is away "
    )
    assert (moved.status, moved.version, moved.starts_at) == (S.RESCHEDULED, 2, later)
    assert (moved.ends_at, moved.confirmed_at, moved.reason) == (later + HALF_HOUR, None, "provider is away")
    event = AppointmentEvent.objects.get(appointment=appointment, to_status=S.RESCHEDULED)
    assert dt.datetime.fromisoformat(event.details["old_starts_at"]) == ten_oclock
    assert sorted(Reminder.objects.values_list("version", "kind", "status", "reason")) == [
        (1, "24H", "CANCELLED", "stale_version"),
        (1, "2H", "CANCELLED", "stale_version"),
        (2, "24H", "PLANNED", ""),
        (2, "2H", "PLANNED", ""),
    ]
    old, new = ConfirmationToken.objects.order_by("version")
    assert old.revoked_at is not None
    assert new.revoked_at is None
    assert old.code != new.code
    assert AuditEvent.objects.filter(action="appointment.rescheduled").count() == 1


def test_a_moved_visit_may_move_again_and_overlap_its_own_old_time(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    appointment = book(clinic, ten_oclock)
    for minutes in (10, 20):
        services.appointment_reschedule(
            appointment_id=appointment.pk,
            actor=clinic.front_desk,
            starts_at=ten_oclock + dt.timedelta(minutes=minutes),
        )
    appointment.refresh_from_db()
    assert (appointment.version, appointment.status) == (3, S.RESCHEDULED)
    assert NotificationEvent.objects.filter(key="appointment.rescheduled").count() == 2


def test_a_move_to_another_provider_keeps_the_time(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    appointment = book(clinic, ten_oclock)
    moved = services.appointment_reschedule(
        appointment_id=appointment.pk, actor=clinic.admin, starts_at=ten_oclock, provider=clinic.colleague
    )
    assert (moved.provider, moved.version) == (clinic.colleague, 2)


def test_a_move_to_where_it_is_changes_nothing(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    appointment = book(clinic, ten_oclock)
    with pytest.raises(DomainError) as refusal:
        services.appointment_reschedule(appointment_id=appointment.pk, actor=clinic.front_desk, starts_at=ten_oclock)
    assert refusal.value.code == "nothing_changed"
    appointment.refresh_from_db()
    assert appointment.version == 1


def test_a_move_onto_another_visit_is_refused(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    book(clinic, ten_oclock)
    second = book(clinic, ten_oclock + dt.timedelta(hours=1))
    with pytest.raises(DomainError) as refusal:
        services.appointment_reschedule(appointment_id=second.pk, actor=clinic.front_desk, starts_at=ten_oclock)
    assert refusal.value.code == "overlap"


def test_a_reinstated_visit_is_booked_anew(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    appointment = book(clinic, ten_oclock)
    services.appointment_cancel(appointment_id=appointment.pk, actor=clinic.front_desk, reason="by mistake")
    again = services.appointment_reinstate(appointment_id=appointment.pk, actor=clinic.front_desk)
    assert (again.status, again.version, again.cancelled_by) == (S.BOOKED, 2, "")
    assert Reminder.objects.filter(version=2, status="PLANNED").count() == 2
    assert NotificationEvent.objects.filter(key="appointment.booked").count() == 2


def test_a_reinstatement_needs_the_time_to_be_free(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    appointment = book(clinic, ten_oclock)
    services.appointment_cancel(appointment_id=appointment.pk, actor=clinic.front_desk, reason="ill")
    book(clinic, ten_oclock)
    with pytest.raises(DomainError) as refusal:
        services.appointment_reinstate(appointment_id=appointment.pk, actor=clinic.front_desk)
    assert refusal.value.code == "overlap"


def test_a_visit_lasts_as_long_as_it_says_when_the_clock_changes(clinic: Clinic) -> None:
    london = zoneinfo.ZoneInfo("Europe/London")
    with time_machine.travel("2026-03-20T08:00:00Z", tick=False):
        # At 01:00 the clock goes forward to 02:00.
        start = dt.datetime(2026, 3, 29, 0, 45, tzinfo=london)
        visit = book(clinic, start, duration=dt.timedelta(minutes=30))
    assert (visit.ends_at - visit.starts_at.astimezone(dt.UTC)).total_seconds() == 30 * 60
    assert visit.ends_at.astimezone(london).strftime("%H:%M") == "02:15"


def test_a_start_without_a_zone_is_a_mistake_of_the_caller(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    with pytest.raises(ValueError, match="time zone"):
        book(clinic, ten_oclock.replace(tzinfo=None))
