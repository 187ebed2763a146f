"""Who is at work, as people write it down: what is allowed, what is refused, what the lists say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.utils import timezone

from conftest import Clinic
from core import roster
from core.errors import DomainError
from core.models import Absence, AuditEvent, DutyShift, Holiday, Location, Role, Tenant, User
from core.permissions import NotAllowed
from tests.factories import LocationFactory, UserFactory

HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


def away(
    clinic: Clinic,
    user: User | None = None,
    *,
    actor: User | None = None,
    cover: User | None = None,
    starts: dt.timedelta = DAY,
    length: dt.timedelta = DAY,
) -> Absence:
    user = user or clinic.provider
    start = timezone.now() + starts
    return roster.absence_create(actor=actor or user, user=user, cover=cover, starts_at=start, ends_at=start + length)


def on_duty(
    clinic: Clinic,
    user: User | None = None,
    *,
    location: Location | None = None,
    starts: dt.timedelta = -HOUR,
    length: dt.timedelta = DAY,
) -> DutyShift:
    start = timezone.now() + starts
    return roster.shift_create(
        actor=clinic.admin,
        user=user or clinic.front_desk,
        location=location,
        starts_at=start,
        ends_at=start + length,
    )


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(DomainError) as caught:
        act()
    return caught.value.code


# --- absences --------------------------------------------------------------------------------------------------------


def test_staff_write_down_their_own_absence_and_it_is_audited(clinic: Clinic) -> None:
    row = away(clinic, cover=clinic.colleague)
    assert (row.user, row.cover) == (clinic.provider, clinic.colleague)
    audit = AuditEvent.objects.get(action="absence.created")
    assert (audit.actor, audit.object_id, audit.after["cover"]) == (clinic.provider, row.pk, str(clinic.colleague.pk))


def test_an_admin_writes_down_anybodys_and_nobody_else_does(clinic: Clinic) -> None:
    away(clinic, clinic.provider, actor=clinic.admin)
    for actor in (clinic.front_desk, clinic.colleague, clinic.patient_user):
        with pytest.raises(NotAllowed):
            away(clinic, clinic.admin, actor=actor)
    with pytest.raises(NotAllowed):
        away(clinic, clinic.patient_user)
    assert refusal(lambda: away(clinic, clinic.patient_user, actor=clinic.admin)) == "user_not_staff"


def test_people_of_another_clinic_group_are_out_of_reach(clinic: Clinic, other_clinic: Clinic) -> None:
    with pytest.raises(NotAllowed):
        away(clinic, other_clinic.provider, actor=clinic.admin)
    with pytest.raises(NotAllowed):
        away(clinic, cover=other_clinic.colleague)
    with pytest.raises(NotAllowed):
        on_duty(clinic, other_clinic.front_desk)
    with pytest.raises(NotAllowed):
        on_duty(clinic, location=other_clinic.location)
    assert not Absence.objects.exists()


def test_two_absences_of_one_person_do_not_overlap(clinic: Clinic) -> None:
    away(clinic, length=2 * DAY)
    for starts, length in ((2 * DAY, DAY), (HOUR, 30 * HOUR), (HOUR, 9 * DAY)):
        assert refusal(lambda starts=starts, length=length: away(clinic, starts=starts, length=length)) == "overlap"
    # One ends where the next begins; a colleague may be away too.
    first = Absence.objects.get()
    roster.absence_create(
        actor=clinic.provider,
        user=clinic.provider,
        cover=None,
        starts_at=first.ends_at,
        ends_at=first.ends_at + DAY,
    )
    away(clinic, clinic.colleague)


@pytest.mark.parametrize(
    ("starts", "length", "code"),
    [
        (DAY, dt.timedelta(0), "span_empty"),
        (DAY, -HOUR, "span_empty"),
        (-2 * DAY, DAY, "span_past"),
        (400 * DAY, DAY, "span_far"),
        (DAY, 367 * DAY, "span_long"),
    ],
)
def test_a_time_that_cannot_be_meant_is_refused(
    clinic: Clinic, starts: dt.timedelta, length: dt.timedelta, code: str
) -> None:
    assert refusal(lambda: away(clinic, starts=starts, length=length)) == code


def test_somebody_who_fell_ill_this_morning_is_away_since_then(clinic: Clinic) -> None:
    away(clinic, starts=-3 * HOUR)
    assert [one.is_now for one in roster.absences()] == [True]


def test_a_cover_can_do_the_same_and_is_at_work(clinic: Clinic) -> None:
    gone = UserFactory(tenant=clinic.tenant, role=Role.PROVIDER, is_active=False)
    for cover, code in (
        (clinic.provider, "cover_is_self"),
        (gone, "cover_not_staff"),
        (clinic.patient_user, "cover_not_staff"),
        (clinic.front_desk, "cover_other_role"),
    ):
        assert refusal(lambda cover=cover: away(clinic, cover=cover)) == code
    away(clinic, clinic.colleague, starts=36 * HOUR)
    with pytest.raises(DomainError) as caught:
        away(clinic, cover=clinic.colleague)
    assert caught.value.code == "cover_away"
    assert "Nasser" not in str(caught.value)
    assert away(clinic, cover=clinic.admin).cover == clinic.admin
    assert clinic.colleague in roster.covers_for(clinic.provider)
    assert not {clinic.provider, clinic.front_desk, clinic.patient_user, gone} & set(roster.covers_for(clinic.provider))


def test_an_absence_ends_now_or_was_never_there(clinic: Clinic) -> None:
    running, coming = away(clinic, starts=-HOUR), away(clinic, starts=9 * DAY)
    roster.absence_end(actor=clinic.provider, absence=running)
    running.refresh_from_db()
    assert running.ends_at <= timezone.now()
    roster.absence_end(actor=clinic.admin, absence=coming)
    assert list(Absence.objects.all()) == [running]
    assert roster.absences() == []
    # Twice is once.
    roster.absence_end(actor=clinic.provider, absence=running)
    roster.absence_end(actor=clinic.admin, absence=coming)
    actions = AuditEvent.objects.filter(action__startswith="absence.").values_list("action", flat=True)
    assert sorted(actions) == ["absence.created", "absence.created", "absence.ended", "absence.removed"]


def test_nobody_ends_a_colleagues_absence(clinic: Clinic) -> None:
    row = away(clinic, cover=clinic.colleague)
    for actor in (clinic.colleague, clinic.front_desk, clinic.patient_user):
        with pytest.raises(NotAllowed):
            roster.absence_end(actor=actor, absence=row)


def test_the_list_says_when_a_cover_will_not_do(clinic: Clinic) -> None:
    away(clinic, cover=clinic.colleague)
    assert [one.gap for one in roster.absences(clinic.provider)] == [roster.Gap.NONE]
    away(clinic, clinic.colleague, starts=36 * HOUR)
    assert [one.gap for one in roster.absences(clinic.provider)] == [roster.Gap.AWAY]
    User.objects.filter(pk=clinic.colleague.pk).update(is_active=False)
    assert [one.gap for one in roster.absences()] == [roster.Gap.LEFT]


# --- supervisors on duty ---------------------------------------------------------------------------------------------


def test_a_supervisor_is_on_duty_once_in_a_time_and_place(clinic: Clinic) -> None:
    branch = LocationFactory(tenant=clinic.tenant, name_en="Malaz")
    on_duty(clinic, location=clinic.location)
    assert refusal(lambda: on_duty(clinic, location=clinic.location)) == "overlap"
    assert refusal(lambda: on_duty(clinic)) == "overlap"
    on_duty(clinic, location=branch)
    on_duty(clinic, clinic.admin)
    assert refusal(lambda: on_duty(clinic, clinic.admin, location=branch)) == "overlap"
    assert [one.is_now for one in roster.shifts()] == [True, True, True]


def test_who_is_away_or_no_staff_is_not_on_duty(clinic: Clinic) -> None:
    away(clinic, clinic.front_desk, starts=HOUR)
    assert refusal(lambda: on_duty(clinic)) == "user_away"
    assert refusal(lambda: on_duty(clinic, clinic.patient_user)) == "user_not_staff"
    assert refusal(lambda: on_duty(clinic, length=32 * DAY, starts=3 * DAY)) == "span_long"


def test_the_list_says_when_a_supervisor_will_not_be_there(clinic: Clinic) -> None:
    shift = on_duty(clinic)
    away(clinic, clinic.front_desk, starts=HOUR)
    assert [one.gap for one in roster.shifts()] == [roster.Gap.AWAY]
    User.objects.filter(pk=clinic.front_desk.pk).update(is_active=False)
    assert [one.gap for one in roster.shifts()] == [roster.Gap.LEFT]
    roster.shift_remove(actor=clinic.admin, shift=shift)
    assert roster.shifts() == []
    shift.refresh_from_db()
    assert shift.ends_at <= timezone.now()


def test_a_duty_that_has_not_begun_is_removed(clinic: Clinic) -> None:
    shift = on_duty(clinic, starts=DAY)
    roster.shift_remove(actor=clinic.admin, shift=shift)
    roster.shift_remove(actor=clinic.admin, shift=shift)
    assert not DutyShift.objects.exists()
    assert AuditEvent.objects.filter(action="shift.removed").count() == 1


# --- holidays and the minutes ----------------------------------------------------------------------------------------


def holiday(clinic: Clinic, first: dt.date, last: dt.date | None = None, **fields: object) -> Holiday:
    wish = {"name_en": "National Day", "name_ar": "اليوم الوطني", **fields}
    return roster.holiday_create(actor=clinic.admin, first_day=first, last_day=last or first, **wish)  # type: ignore[arg-type]


def test_a_holiday_needs_a_name_and_days_that_can_be_meant(clinic: Clinic) -> None:
    today = timezone.localdate()
    tomorrow = today + DAY
    assert refusal(lambda: holiday(clinic, tomorrow, name_en=" ", name_ar="")) == "name_missing"
    assert refusal(lambda: holiday(clinic, tomorrow, today)) == "last_before_first"
    assert refusal(lambda: holiday(clinic, today - 5 * DAY, today - DAY)) == "holiday_past"
    assert refusal(lambda: holiday(clinic, tomorrow, tomorrow + 31 * DAY)) == "holiday_long"
    assert refusal(lambda: holiday(clinic, dt.date(today.year + 2, 1, 1))) == "holiday_far"
    row = holiday(clinic, tomorrow, name_en="", name_ar=" اليوم   الوطني ")
    assert row.name == "اليوم الوطني"
    assert refusal(lambda: holiday(clinic, tomorrow)) == "holiday_twice"
    holiday(clinic, tomorrow, location=clinic.location)
    assert len(roster.holidays(today)) == 2


def test_a_holiday_that_is_removed_is_gone_once(clinic: Clinic) -> None:
    row = holiday(clinic, timezone.localdate())
    roster.holiday_remove(actor=clinic.admin, holiday=row)
    roster.holiday_remove(actor=clinic.admin, holiday=row)
    assert not Holiday.objects.exists()
    assert AuditEvent.objects.filter(action="holiday.removed").count() == 1


def test_the_minutes_stay_between_one_and_sixty(clinic: Clinic) -> None:
    for minutes in (0, 61, -5):
        assert (
            refusal(lambda minutes=minutes: roster.escalation_minutes_set(actor=clinic.admin, minutes=minutes))
            == "minutes_out_of_range"
        )
    roster.escalation_minutes_set(actor=clinic.admin, minutes=12)
    roster.escalation_minutes_set(actor=clinic.admin, minutes=12)
    assert Tenant.objects.get(pk=clinic.tenant.pk).escalate_after_minutes == 12
    audit = AuditEvent.objects.get(action="escalation.minutes_set")
    assert (audit.before, audit.after) == ({"minutes": 5}, {"minutes": 12})


def test_all_but_absences_is_the_admins(clinic: Clinic) -> None:
    shift, free_day = on_duty(clinic), holiday(clinic, timezone.localdate())
    now = timezone.now()
    for actor in (clinic.front_desk, clinic.provider, clinic.patient_user):
        for act in (
            lambda actor=actor: roster.shift_create(
                actor=actor, user=clinic.colleague, location=None, starts_at=now, ends_at=now + DAY
            ),
            lambda actor=actor: roster.shift_remove(actor=actor, shift=shift),
            lambda actor=actor: roster.holiday_create(
                actor=actor, name_en="x", name_ar="", first_day=now.date(), last_day=now.date()
            ),
            lambda actor=actor: roster.holiday_remove(actor=actor, holiday=free_day),
            lambda actor=actor: roster.escalation_minutes_set(actor=actor, minutes=9),
        ):
            with pytest.raises(NotAllowed):
                act()


def test_the_lists_cost_the_same_however_long_they_are(
    clinic: Clinic, django_assert_num_queries: Callable[[int], object]
) -> None:
    for number in range(4):
        colleague = UserFactory(tenant=clinic.tenant, role=Role.PROVIDER, location=clinic.location)
        away(clinic, colleague, cover=clinic.provider, starts=number * HOUR)
        on_duty(clinic, colleague, starts=9 * DAY)
    with django_assert_num_queries(2):  # type: ignore[attr-defined]
        assert [one.row.user.location.name for one in roster.absences()]
    with django_assert_num_queries(2):  # type: ignore[attr-defined]
        assert [one.row.user.location.name for one in roster.shifts()]
