"""Who is told when somebody is away or has left: never nobody, never the one who is gone."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from conftest import Clinic
from core import duty
from core.duty import Told
from core.models import Absence, DutyShift, Role, User
from tests import factories

NOW = timezone.now()
HOUR = dt.timedelta(hours=1)


def away(clinic: Clinic, user: User, cover: User | None = None, *, starts: dt.timedelta = -HOUR) -> Absence:
    return Absence.objects.create(
        tenant=clinic.tenant, user=user, cover=cover, starts_at=NOW + starts, ends_at=NOW + starts + 8 * HOUR
    )


def on_duty(clinic: Clinic, user: User, **fields: object) -> DutyShift:
    wishes = {"starts_at": NOW - HOUR, "ends_at": NOW + HOUR, "location": clinic.location} | fields
    return DutyShift.objects.create(tenant=clinic.tenant, user=user, **wishes)


def gone(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)
    user.is_active = False


def told(clinic: Clinic, *users: User) -> list[Told]:
    return duty.recipients(users, location=clinic.location, now=NOW)


def test_who_is_here_is_told_with_one_query(clinic: Clinic, django_assert_num_queries) -> None:
    with django_assert_num_queries(1):
        assert told(clinic, clinic.provider, clinic.colleague, clinic.provider) == [
            Told(clinic.provider),
            Told(clinic.colleague),
        ]


def test_the_cover_is_told_at_once_and_who_is_away_for_their_return(clinic: Clinic) -> None:
    away(clinic, clinic.provider, clinic.colleague)
    assert told(clinic, clinic.provider) == [
        Told(clinic.colleague, instead_of=clinic.provider),
        Told(clinic.provider, is_away=True),
    ]


def test_an_absence_counts_from_its_first_moment_to_its_last(clinic: Clinic) -> None:
    away(clinic, clinic.provider, clinic.colleague, starts=HOUR)
    away(clinic, clinic.provider, clinic.colleague, starts=-8 * HOUR)
    assert told(clinic, clinic.provider) == [Told(clinic.provider)]


def test_the_cover_of_a_cover_steps_in(clinic: Clinic) -> None:
    third = factories.UserFactory(tenant=clinic.tenant, role=Role.PROVIDER)
    away(clinic, clinic.provider, clinic.colleague)
    away(clinic, clinic.colleague, third)
    assert told(clinic, clinic.provider)[0] == Told(third, instead_of=clinic.provider)


def test_two_who_cover_each_other_leave_it_to_the_admins(clinic: Clinic) -> None:
    away(clinic, clinic.provider, clinic.colleague)
    away(clinic, clinic.colleague, clinic.provider)
    assert told(clinic, clinic.provider)[0] == Told(clinic.admin, instead_of=clinic.provider)


@pytest.mark.parametrize("is_away", [True, False])
def test_a_cover_who_has_left_is_passed_over(clinic: Clinic, is_away: bool) -> None:
    away(clinic, clinic.provider, clinic.colleague)
    gone(clinic.colleague)
    if is_away:
        on_duty(clinic, clinic.front_desk)
    wanted = clinic.front_desk if is_away else clinic.admin
    assert told(clinic, clinic.provider)[0] == Told(wanted, instead_of=clinic.provider)


def test_who_left_is_told_nothing_and_is_stood_in_for(clinic: Clinic) -> None:
    gone(clinic.provider)
    assert told(clinic, clinic.provider) == [Told(clinic.admin, instead_of=clinic.provider)]


def test_who_is_meant_anyway_is_told_once_on_their_own_account(clinic: Clinic) -> None:
    away(clinic, clinic.provider, clinic.colleague)
    assert told(clinic, clinic.provider, clinic.colleague) == [
        Told(clinic.colleague),
        Told(clinic.provider, is_away=True),
    ]


def test_a_supervisor_on_duty_here_goes_before_the_admins(clinic: Clinic) -> None:
    elsewhere = factories.LocationFactory(tenant=clinic.tenant)
    on_duty(clinic, clinic.admin, location=elsewhere)
    on_duty(clinic, clinic.colleague, starts_at=NOW - 3 * HOUR, ends_at=NOW - HOUR)
    on_duty(clinic, clinic.front_desk, location=None)
    away(clinic, clinic.provider)
    assert told(clinic, clinic.provider)[0] == Told(clinic.front_desk, instead_of=clinic.provider)


def test_further_up_is_the_supervisor_who_is_at_work_and_was_not_told(clinic: Clinic) -> None:
    on_duty(clinic, clinic.provider)
    on_duty(clinic, clinic.front_desk)
    on_duty(clinic, clinic.colleague)
    away(clinic, clinic.front_desk)
    further = duty.further([clinic.provider], location=clinic.location, now=NOW)
    assert further == [Told(clinic.colleague, instead_of=clinic.provider)]


def test_the_last_resort_is_the_desk_of_the_place_and_the_admins(clinic: Clinic, other_clinic: Clinic) -> None:
    elsewhere = factories.LocationFactory(tenant=clinic.tenant)
    factories.UserFactory(tenant=clinic.tenant, role=Role.FRONT_DESK, location=elsewhere)
    roaming = factories.UserFactory(tenant=clinic.tenant, role=Role.FRONT_DESK, location=None)
    gone(factories.UserFactory(tenant=clinic.tenant, role=Role.ADMIN))
    assert set(duty.last_resort(clinic.location)) == {clinic.admin, clinic.front_desk, roaming}
