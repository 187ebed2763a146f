"""The matrix, the plan for one notification, the summary's hour, and the one writer of staff preferences."""

from __future__ import annotations

import datetime as dt
import json
import zoneinfo
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conftest import Clinic
from core.errors import DomainError
from core.models import AuditEvent, Holiday, Role, User
from core.permissions import NotAllowed
from core.tenancy import tenant_scope
from notifications import staff_preferences
from notifications.models import ChatTarget, PushSubscription, StaffPreference
from notifications.quiet import Schedule
from notifications.staff_preferences import (
    DEFAULT_MATRIX,
    Plan,
    Planned,
    effective_matrix,
    is_on,
    next_digest,
    plans_for,
    preference_of,
    staff_preference_update,
)
from notifications.states import Category, Frequency, StaffChannel
from tests import factories

RIYADH = zoneinfo.ZoneInfo("Asia/Riyadh")
BELL, EMAIL, PUSH, CHAT = StaffChannel.IN_APP, StaffChannel.EMAIL, StaffChannel.PUSH, StaffChannel.CHAT
# Tuesday
NOON = dt.datetime(2026, 9, 1, 12, tzinfo=RIYADH)
NIGHT = dt.datetime(2026, 9, 1, 23, tzinfo=RIYADH)
MORNING = dt.datetime(2026, 9, 2, 7, tzinfo=RIYADH)
SLEEP = {"quiet_starts": dt.time(22), "quiet_ends": dt.time(7)}


def wishes(user: User, **values: Any) -> StaffPreference:
    preference, _ = StaffPreference.objects.update_or_create(user=user, defaults={"tenant": user.tenant, **values})
    return preference


def with_a_browser(user: User) -> User:
    PushSubscription.objects.create(
        tenant=user.tenant, user=user, endpoint=f"https://push.example/{user.pk}", p256dh="k", auth="a"
    )
    return user


def plan(user: User, category: str = Category.ARRIVAL, *, is_critical: bool = False, now: dt.datetime = NOON) -> Plan:
    return plans_for([user], category=category, is_critical=is_critical, now=now)[user.pk]


# --- the matrix ------------------------------------------------------------------------------------------------------
def test_every_category_has_a_default_and_is_in_the_bell() -> None:
    assert set(DEFAULT_MATRIX) == set(Category.values)
    assert all(BELL in channels for channels in DEFAULT_MATRIX.values())


def test_a_category_that_is_missing_has_its_default(clinic: Clinic) -> None:
    preference = wishes(clinic.provider, matrix={Category.ARRIVAL: [EMAIL]})
    matrix = effective_matrix(preference)
    assert matrix[Category.ARRIVAL] == {EMAIL}
    assert matrix[Category.SYSTEM] == DEFAULT_MATRIX[Category.SYSTEM]
    assert effective_matrix(None) == DEFAULT_MATRIX
    assert is_on(preference, category=Category.ARRIVAL, channel=EMAIL)
    assert not is_on(preference, category=Category.ARRIVAL, channel=PUSH)


def test_a_channel_that_is_no_longer_known_is_left_out(clinic: Clinic) -> None:
    assert effective_matrix(wishes(clinic.provider, matrix={Category.ARRIVAL: [BELL, "PAGER"]}))["ARRIVAL"] == {BELL}


# --- the plan --------------------------------------------------------------------------------------------------------
def test_who_never_decided_has_the_defaults(clinic: Clinic) -> None:
    assert plan(clinic.provider, Category.APPOINTMENT) == Plan(deliveries=(Planned(EMAIL, NOON),))
    assert plan(clinic.provider, Category.ARRIVAL) == Plan()


def test_a_way_that_is_not_set_up_is_not_planned(clinic: Clinic) -> None:
    assert plan(with_a_browser(clinic.provider)) == Plan(deliveries=(Planned(PUSH, NOON),))
    room = ChatTarget.objects.create(
        tenant=clinic.tenant, user=clinic.provider, name="Me", url="https://chat.example/x", kind="slack"
    )
    channels = [one.channel for one in plan(clinic.provider, Category.SYSTEM).deliveries]
    assert channels == [EMAIL, PUSH, CHAT]
    ChatTarget.objects.filter(pk=room.pk).update(is_active=False)
    assert CHAT not in [one.channel for one in plan(clinic.provider, Category.SYSTEM).deliveries]


def test_a_muted_category_is_kept_but_not_counted(clinic: Clinic) -> None:
    wishes(clinic.provider, matrix={Category.ARRIVAL: []})
    assert plan(clinic.provider) == Plan(is_muted=True)


def test_in_quiet_time_the_bell_is_silent_and_the_rest_waits(clinic: Clinic) -> None:
    wishes(with_a_browser(clinic.provider), **SLEEP, matrix={Category.ARRIVAL: [BELL, EMAIL, PUSH]})
    assert plan(clinic.provider, now=NIGHT) == Plan(
        is_silent=True, deliveries=(Planned(EMAIL, MORNING, "quiet"), Planned(PUSH, MORNING, "quiet"))
    )
    assert plan(clinic.provider, now=MORNING) == Plan(deliveries=(Planned(EMAIL, MORNING), Planned(PUSH, MORNING)))


def test_email_waits_for_the_summary_and_push_does_not(clinic: Clinic) -> None:
    wishes(
        with_a_browser(clinic.provider),
        matrix={Category.ARRIVAL: [BELL, EMAIL, PUSH]},
        frequency=Frequency.DAILY,
        digest_time=dt.time(8),
    )
    assert plan(clinic.provider).deliveries == (
        Planned(EMAIL, dt.datetime(2026, 9, 2, 8, tzinfo=RIYADH), "digest"),
        Planned(PUSH, NOON),
    )


def test_a_critical_one_is_never_muted_never_silent_and_never_late(clinic: Clinic) -> None:
    wishes(
        with_a_browser(clinic.provider),
        **SLEEP,
        frequency=Frequency.WEEKLY,
        matrix={Category.ARRIVAL: [PUSH], Category.SYSTEM: [BELL, EMAIL]},
    )
    assert plan(clinic.provider, is_critical=True, now=NIGHT) == Plan(
        override="muted", deliveries=(Planned(PUSH, NIGHT),)
    )
    assert plan(clinic.provider, Category.SYSTEM, is_critical=True, now=NIGHT) == Plan(
        override="quiet", deliveries=(Planned(EMAIL, NIGHT),)
    )
    assert plan(clinic.provider, Category.SYSTEM, is_critical=True).override == ""


def test_a_patients_bell_is_never_muted(clinic: Clinic) -> None:
    wishes(with_a_browser(clinic.patient_user), **SLEEP, matrix={category: [] for category in Category.values})
    assert plan(clinic.patient_user, Category.APPOINTMENT, now=NIGHT) == Plan()


def test_the_weekend_is_the_locations_and_the_holiday_the_houses_or_the_locations(
    clinic: Clinic, other_clinic: Clinic
) -> None:
    elsewhere = factories.LocationFactory(tenant=clinic.tenant, weekend=[5, 6])
    clinic.colleague.location = elsewhere
    clinic.colleague.save()
    for user in (clinic.provider, clinic.colleague):
        wishes(user, is_quiet_on_weekends=True, is_quiet_on_holidays=True)

    def silent(now: dt.datetime) -> list[bool]:
        people = [clinic.provider, clinic.colleague]
        plans = plans_for(people, category=Category.GENERAL, is_critical=False, now=now)
        return [plans[user.pk].is_silent for user in people]

    friday, sunday = dt.datetime(2026, 9, 4, 12, tzinfo=RIYADH), dt.datetime(2026, 9, 6, 12, tzinfo=RIYADH)
    assert silent(friday) == [True, False]
    assert silent(sunday) == [False, True]
    day = NOON.date()
    with tenant_scope(other_clinic.tenant.pk):
        Holiday.objects.create(tenant=other_clinic.tenant, name_en="Theirs", first_day=day, last_day=day)
    assert silent(NOON) == [False, False]
    Holiday.objects.create(tenant=clinic.tenant, location=elsewhere, name_en="There", first_day=day, last_day=day)
    assert silent(NOON) == [False, True]
    Holiday.objects.create(tenant=clinic.tenant, name_en="Everywhere", first_day=day, last_day=day)
    assert silent(NOON) == [True, True]


def test_the_clock_is_the_persons_else_the_locations_else_the_houses(clinic: Clinic) -> None:
    preference = wishes(clinic.provider, timezone="America/New_York")
    assert str(staff_preferences.zone_of(preference, clinic.location)) == "America/New_York"
    preference.timezone = ""
    clinic.location.timezone = "Asia/Dubai"
    assert str(staff_preferences.zone_of(preference, clinic.location)) == "Asia/Dubai"
    assert str(staff_preferences.zone_of(preference, None)) == "Asia/Riyadh"


def test_ten_thousand_people_are_three_queries(clinic: Clinic) -> None:
    """Most have wishes of a dozen kinds, some a browser."""
    users = User.objects.bulk_create(
        User(tenant=clinic.tenant, email=f"u{n}@many.example", location=clinic.location, role=Role.PROVIDER)
        for n in range(10_000)
    )
    StaffPreference.objects.bulk_create(
        StaffPreference(
            tenant=clinic.tenant,
            user=user,
            quiet_starts=dt.time(20 + n % 4),
            quiet_ends=dt.time(7),
            is_quiet_on_holidays=True,
            frequency=Frequency.values[n % 4],
            matrix={Category.APPOINTMENT: [BELL, EMAIL]} if n % 3 else {},
        )
        for n, user in enumerate(users[:9_000])
    )
    people = list(User.objects.filter(email__endswith="@many.example"))
    with CaptureQueriesContext(
        connection,
    ) as asked:
        plans = plans_for(people, category=Category.APPOINTMENT, is_critical=False, now=NIGHT)
    assert len(asked) == 3
    assert len(plans) == 10_000
    assert sum(one.is_silent for one in plans.values()) == 9_000
    with CaptureQueriesContext(connection) as asked:
        plans_for(people[:10], category=Category.APPOINTMENT, is_critical=False, now=NIGHT)
    assert len(asked) == 3


def test_nobody_to_tell_asks_nothing(clinic: Clinic) -> None:
    with CaptureQueriesContext(connection) as asked:
        assert plans_for([], category=Category.GENERAL, is_critical=False, now=NOON) == {}
        plan(clinic.patient_user)
    assert len(asked) == 0


# --- the summary's hour ----------------------------------------------------------------------------------------------
def digest(now: dt.datetime, zone: str = "Asia/Riyadh", schedule: Schedule | None = None, **values: Any) -> str:
    clock = zoneinfo.ZoneInfo(zone)
    due = next_digest(StaffPreference(**values), schedule or Schedule(clock), now)
    assert due > now
    return f"{due.astimezone(clock):%a %d %b %H:%M}"


@pytest.mark.parametrize(
    ("values", "due"),
    [
        ({"frequency": Frequency.HOURLY}, "Tue 01 Sep 13:00"),
        ({"frequency": Frequency.DAILY}, "Wed 02 Sep 08:00"),
        ({"frequency": Frequency.DAILY, "digest_time": dt.time(12)}, "Wed 02 Sep 12:00"),
        ({"frequency": Frequency.DAILY, "digest_time": dt.time(12, 1)}, "Tue 01 Sep 12:01"),
        ({"frequency": Frequency.WEEKLY}, "Sun 06 Sep 08:00"),
        ({"frequency": Frequency.WEEKLY, "digest_weekday": 1}, "Tue 08 Sep 08:00"),
        ({"frequency": Frequency.WEEKLY, "digest_weekday": 1, "digest_time": dt.time(18)}, "Tue 01 Sep 18:00"),
    ],
)
def test_the_next_summary(values: dict[str, Any], due: str) -> None:
    assert digest(NOON, **values) == due


def test_a_summary_is_never_sent_into_quiet_time() -> None:
    night, weekend = (dt.time(22), dt.time(9)), frozenset({4, 5})
    schedule = Schedule(RIYADH, night, weekdays=weekend)
    thursday = dt.datetime(2026, 9, 3, 21, 30, tzinfo=RIYADH)
    assert digest(NOON, schedule=schedule, frequency=Frequency.DAILY) == "Wed 02 Sep 09:00"
    assert digest(thursday, schedule=schedule, frequency=Frequency.HOURLY) == "Sun 06 Sep 09:00"


def test_summaries_keep_to_the_dial_where_clocks_are_changed() -> None:
    early = dt.time(2, 30)
    before_spring = dt.datetime(2026, 3, 28, 12, tzinfo=dt.UTC)
    assert digest(before_spring, "Europe/Berlin", frequency=Frequency.DAILY, digest_time=early) == "Sun 29 Mar 03:00"
    first = dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.UTC)
    assert digest(first, "Europe/Berlin", frequency=Frequency.DAILY, digest_time=early) == "Mon 26 Oct 02:30"
    # Half past the hour by the world's clock is the full hour in Kathmandu's quarter and on Lord Howe's new time.
    assert digest(first, "Asia/Kathmandu", frequency=Frequency.HOURLY).endswith(":00")
    lord_howe = dt.datetime(2026, 10, 3, 15, 15, tzinfo=dt.UTC)
    assert digest(lord_howe, "Australia/Lord_Howe", frequency=Frequency.HOURLY) == "Sun 04 Oct 03:00"


# --- writing ---------------------------------------------------------------------------------------------------------
def test_what_is_set_holds_and_the_trail_says_what_changed(clinic: Clinic) -> None:
    staff_preference_update(actor=clinic.provider, values={**SLEEP, "has_sound": False, "timezone": "Asia/Dubai"})
    preference = preference_of(clinic.provider)
    assert (preference.quiet_starts, preference.timezone) == (dt.time(22), "Asia/Dubai")
    row = AuditEvent.objects.get(action="staff_preference.created")
    assert (row.actor, row.object_id) == (clinic.provider, preference.pk)
    assert row.before == {"quiet_starts": None, "quiet_ends": None, "timezone": ""}
    assert row.after == {"quiet_starts": "22:00", "quiet_ends": "07:00", "timezone": "Asia/Dubai"}
    staff_preference_update(actor=clinic.provider, values={"quiet_ends": dt.time(6)})
    row = AuditEvent.objects.get(action="staff_preference.updated")
    assert (row.before, row.after) == ({"quiet_ends": "07:00"}, {"quiet_ends": "06:00"})


def test_saving_what_already_holds_is_no_news(clinic: Clinic) -> None:
    staff_preference_update(actor=clinic.provider, values=SLEEP)
    staff_preference_update(actor=clinic.provider, values=SLEEP)
    assert AuditEvent.objects.count() == 1


def test_only_what_differs_from_the_default_is_stored_and_audited(clinic: Clinic) -> None:
    whole = {category: sorted(channels) for category, channels in DEFAULT_MATRIX.items()}
    staff_preference_update(actor=clinic.provider, values={"matrix": {**whole, Category.ARRIVAL: [PUSH, BELL, EMAIL]}})
    assert preference_of(clinic.provider).matrix == {"ARRIVAL": ["IN_APP", "EMAIL", "PUSH"]}
    staff_preference_update(actor=clinic.provider, values={"matrix": {Category.SYSTEM: []}})
    assert preference_of(clinic.provider).matrix == {"ARRIVAL": ["IN_APP", "EMAIL", "PUSH"], "SYSTEM": []}
    row = AuditEvent.objects.get(action="staff_preference.updated")
    assert (row.before, row.after) == ({"matrix": {}}, {"matrix": {"SYSTEM": []}})
    staff_preference_update(actor=clinic.provider, values={"matrix": whole})
    assert preference_of(clinic.provider).matrix == {}


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"quiet_starts": dt.time(22)}, "half_a_window"),
        ({"ramadan_quiet_ends": dt.time(7)}, "half_a_window"),
        ({"quiet_starts": dt.time(7), "quiet_ends": dt.time(7)}, "empty_window"),
        ({"timezone": "Mars/Olympus"}, "unknown_zone"),
        ({"matrix": {"LUNCH": [BELL]}}, "unknown_choice"),
        ({"matrix": {Category.ARRIVAL: ["PAGER"]}}, "unknown_choice"),
        ({"frequency": "YEARLY"}, "unknown_choice"),
        ({"digest_weekday": 7}, "unknown_choice"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(
    clinic: Clinic, values: dict[str, Any], code: str
) -> None:
    with pytest.raises(DomainError) as refused:
        staff_preference_update(actor=clinic.provider, values=values)
    assert refused.value.code == code
    assert not StaffPreference.objects.exists()
    assert not AuditEvent.objects.exists()


def test_a_window_can_be_taken_away(clinic: Clinic) -> None:
    staff_preference_update(actor=clinic.provider, values=SLEEP)
    staff_preference_update(actor=clinic.provider, values={"quiet_starts": None, "quiet_ends": None})
    assert preference_of(clinic.provider).quiet_starts is None


def test_patients_and_strangers_have_no_matrix(clinic: Clinic) -> None:
    support = User.accounts.create_user("support@agdar.example", is_staff=True)
    for person in (clinic.patient_user, support):
        with pytest.raises(NotAllowed):
            staff_preference_update(actor=person, values={"has_sound": True})


def test_a_name_that_is_no_preference_is_a_mistake_of_the_caller(clinic: Clinic) -> None:
    with pytest.raises(ValueError, match="tenant"):
        staff_preference_update(actor=clinic.provider, values={"tenant": None})


def test_the_trail_can_be_kept_as_text(clinic: Clinic) -> None:
    staff_preference_update(actor=clinic.provider, values={"digest_time": dt.time(6, 30)})
    assert json.loads(json.dumps(AuditEvent.objects.get().after)) == {"digest_time": "06:30"}
