"""Reminders of open bills: on the clinic's days, once a step, never for what was paid, and made up for while it helps."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conftest import Clinic
from core.errors import DomainError
from core.models import AuditEvent
from core.tenancy import tenant_scope
from finance import payment_reminders, services
from finance.models import BillingPolicy, Invoice
from finance.tests.test_services import issue, pay
from notifications.models import NotificationEvent

RIYADH = dt.timezone(dt.timedelta(hours=3))
DUE = dt.date(2027, 3, 10)
ISSUED_AT = dt.datetime(2027, 2, 20, 9, tzinfo=RIYADH)


def at(day: int, hour: int = 10, minute: int = 1) -> dt.datetime:
    return dt.datetime(2027, 3, day, hour, minute, tzinfo=RIYADH)


def tick(moment: dt.datetime) -> int:
    with time_machine.travel(moment, tick=False):
        return payment_reminders.send_due()["reminded"]


def told() -> list[tuple[str, int | None]]:
    rows = NotificationEvent.objects.filter(key__in=("billing.payment_due", "billing.payment_overdue"))
    return [
        (event.key.removeprefix("billing.payment_"), event.payload.get("step")) for event in rows.order_by("created_at")
    ]


@pytest.fixture
def bill(clinic: Clinic) -> Invoice:
    with time_machine.travel(ISSUED_AT, tick=False):
        return issue(clinic, due_on=DUE)


def test_three_days_before_the_day_after_and_a_week_after(bill: Invoice) -> None:
    sent = [day for day in range(1, 25) if tick(at(day))]
    assert sent == [7, 11, 17]
    assert told() == [("due", -3), ("overdue", 1), ("overdue", 7)]


def test_the_moment_is_ten_on_the_wall_clock_of_the_place(clinic: Clinic, bill: Invoice) -> None:
    assert tick(at(7, 9, 59)) == 0
    assert tick(at(7, 10, 0)) == 1
    type(clinic.location).objects.update(timezone="America/New_York")
    with time_machine.travel(ISSUED_AT, tick=False):
        issue(clinic, due_on=DUE)
    assert tick(at(7, 17, 59)) == 0, "10:00 there is 18:00 here"
    assert tick(at(7, 18, 0)) == 1


def test_any_number_of_ticks_remind_once(bill: Invoice) -> None:
    assert [tick(at(7, 10, minute)) for minute in range(0, 50, 10)] == [1, 0, 0, 0, 0]
    assert tick(at(8)) == 0
    assert len(told()) == 1


def test_a_part_payment_leaves_the_reminders_and_the_whole_ends_them(clinic: Clinic, bill: Invoice) -> None:
    pay(clinic, bill, 20_000)
    assert tick(at(7)) == 1
    assert NotificationEvent.objects.get(key="billing.payment_due").payload["open_minor"] == 25_000
    pay(clinic, bill, 25_000)
    assert (tick(at(11)), tick(at(17))) == (0, 0)


def test_void_and_refunded_bills_are_not_reminded_of(clinic: Clinic, bill: Invoice) -> None:
    with time_machine.travel(ISSUED_AT, tick=False):
        other = issue(clinic, due_on=DUE)
    services.invoice_void(actor=clinic.admin, invoice_id=bill.pk)
    pay(clinic, other, 10_000)
    services.refund_record(actor=clinic.admin, invoice_id=other.pk, amount_minor=10_000)
    assert (tick(at(7)), tick(at(11))) == (0, 0)


def test_after_an_outage_only_the_latest_step_is_made_up_for_and_not_when_it_is_stale(bill: Invoice) -> None:
    assert tick(at(12)) == 1, "the day after was yesterday; three days before is not caught up"
    assert told() == [("overdue", 1)]
    assert tick(at(19, 10, 0)) == 0, "two days late is too late"


def test_steps_that_were_over_when_the_bill_was_issued_are_not_caught_up(clinic: Clinic) -> None:
    with time_machine.travel(at(8, 15), tick=False):
        issue(clinic, due_on=DUE)
    assert [day for day in range(8, 20) if tick(at(day, 16))] == [11, 17]


def test_the_desk_and_the_clock_never_remind_on_one_day(clinic: Clinic, bill: Invoice) -> None:
    with time_machine.travel(at(7, 8), tick=False):
        services.payment_remind(actor=clinic.front_desk, invoice_id=bill.pk)
    assert tick(at(7)) == 0
    assert tick(at(8)) == 1, "the step itself follows the day after"
    with time_machine.travel(at(8, 15), tick=False), pytest.raises(DomainError) as refusal:
        services.payment_remind(actor=clinic.front_desk, invoice_id=bill.pk)
    assert refusal.value.code == "already_reminded"


def test_a_reminder_by_hand_says_overdue_once_it_is(clinic: Clinic, bill: Invoice) -> None:
    for day in (10, 11):
        with time_machine.travel(at(day, 8), tick=False):
            services.payment_remind(actor=clinic.front_desk, invoice_id=bill.pk)
    assert [kind for kind, _step in told()] == ["due", "overdue"]


def set_policy(clinic: Clinic, days: Sequence[int], *, is_on: bool = True, at: dt.time = dt.time(10)) -> BillingPolicy:
    return payment_reminders.policy_set(actor=clinic.admin, is_on=is_on, reminder_days=days, remind_at=at)


def test_the_days_are_the_clinics_own(clinic: Clinic, other_clinic: Clinic, bill: Invoice) -> None:
    set_policy(clinic, [5, -1, 5], at=dt.time(18))
    assert payment_reminders.policy_of(clinic.tenant.pk).reminder_days == [-1, 5]
    assert AuditEvent.objects.get(action="billing_policy.set").after == {"reminder_days": [-1, 5], "remind_at": "18:00"}
    assert [day for day in range(1, 20) if tick(at(day, 18))] == [9, 15]
    with tenant_scope(other_clinic.tenant.pk):
        assert payment_reminders.policy_of(other_clinic.tenant.pk).reminder_days == [-3, 1, 7]


def test_a_clinic_can_do_without(clinic: Clinic, bill: Invoice) -> None:
    set_policy(clinic, [], is_on=False)
    assert [day for day in range(1, 25) if tick(at(day))] == []


@pytest.mark.parametrize(
    ("days", "code"), [([], "days_missing"), ([61], "days_out_of_range"), (list(range(7)), "days_too_many")]
)
def test_days_that_make_no_sense_are_refused(clinic: Clinic, days: list[int], code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        set_policy(clinic, days)
    assert refusal.value.code == code


def test_only_who_manages_settings_sets_them(clinic: Clinic) -> None:
    with pytest.raises(DomainError) as refusal:
        payment_reminders.policy_set(actor=clinic.front_desk, is_on=True, reminder_days=[1], remind_at=dt.time(10))
    assert refusal.value.code == "not_allowed"


def test_bills_that_were_reminded_of_cost_the_tick_no_query_each(clinic: Clinic, bill: Invoice) -> None:
    tick(at(7))

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert tick(at(7, 11)) == 0
        return len(found)

    one = queries()
    with time_machine.travel(ISSUED_AT, tick=False):
        for _more in range(5):
            issue(clinic, due_on=DUE)
    assert tick(at(7, 10, 30)) == 5
    assert queries() == one
    assert timezone.now().year != 2027, "the clock is back"
