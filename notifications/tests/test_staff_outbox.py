from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from conftest import Clinic
from core.tenancy import tenant_scope
from notifications import inbox, staff_outbox
from notifications.models import ChatTarget, Notification, NotificationDelivery
from notifications.staff_outbox import TEAM_STEP, LostClaim, Wish
from notifications.states import DeliveryStatus, DropReason, StaffChannel

EMAIL, PUSH = StaffChannel.EMAIL, StaffChannel.PUSH


@pytest.fixture
def one(clinic: Clinic) -> Notification:
    return inbox.notify(user=clinic.admin, title="News")


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    tenants: list[Any] = []
    monkeypatch.setattr(staff_outbox, "_doorbells", [tenants.append])
    return tenants


def enqueue(one: Notification, *channels: StaffChannel, **more: Any) -> None:
    due_at = more.pop("due_at", timezone.now())
    wishes = [Wish(one.pk, one.user_id, channel, due_at, "") for channel in channels]
    staff_outbox.enqueue(tenant_id=one.tenant_id, deliveries=wishes, **more)


def age_lease() -> None:
    NotificationDelivery.objects.update(lease_expires_at=timezone.now() - dt.timedelta(seconds=1))


def test_a_wish_is_written_once(one: Notification) -> None:
    enqueue(one, EMAIL, PUSH)
    enqueue(one, EMAIL, PUSH)
    assert NotificationDelivery.objects.count() == 2


def test_each_step_goes_over_a_channel_once(one: Notification) -> None:
    enqueue(one, PUSH)
    enqueue(one, PUSH, step=1)
    assert sorted(NotificationDelivery.objects.values_list("step", flat=True)) == [0, 1]


def test_the_bell_itself_is_no_delivery(one: Notification) -> None:
    enqueue(one, StaffChannel.IN_APP)
    assert not NotificationDelivery.objects.exists()


def test_many_wishes_are_one_statement(clinic: Clinic, django_assert_num_queries: Any) -> None:
    rows = [inbox.notify(user=clinic.admin, title="News") for _number in range(50)]
    wishes = [Wish(row.pk, row.user_id, EMAIL, timezone.now()) for row in rows]
    with django_assert_num_queries(1):
        staff_outbox.enqueue(tenant_id=clinic.tenant.pk, deliveries=wishes)


def test_it_rings_after_the_commit_and_only_for_what_is_due(
    one: Notification, rung: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        enqueue(one, EMAIL, due_at=timezone.now() + dt.timedelta(hours=1))
    assert not rung
    with django_capture_on_commit_callbacks(execute=True):
        enqueue(one, PUSH)
        assert not rung
    assert rung == [one.tenant_id]


def test_a_claim_takes_all_that_is_due_to_a_person(one: Notification, clinic: Clinic) -> None:
    enqueue(one, EMAIL, PUSH)
    enqueue(inbox.notify(user=clinic.admin, title="More"), EMAIL)
    enqueue(inbox.notify(user=clinic.admin, title="Later"), EMAIL, due_at=timezone.now() + dt.timedelta(hours=1))
    claim = staff_outbox.claim()
    assert claim is not None
    assert len(claim.rows) == 3
    assert staff_outbox.claim() is None


def test_who_lost_the_lease_changes_nothing(one: Notification) -> None:
    enqueue(one, EMAIL)
    claim = staff_outbox.claim()
    assert claim is not None
    age_lease()
    assert staff_outbox.settle_orphans() == 1
    second = staff_outbox.claim()
    assert second is not None
    for act in (
        lambda: staff_outbox.start_attempt(claim.rows, claim.lease),
        lambda: staff_outbox.finish(claim.rows, claim.lease, DeliveryStatus.SENT),
        lambda: staff_outbox.put_back(claim.rows, claim.lease, until=timezone.now()),
    ):
        with pytest.raises(LostClaim):
            act()
    row = NotificationDelivery.objects.get()
    assert (row.status, row.lease_expires_at, row.attempts) == (DeliveryStatus.SENDING, second.lease, 0)


def test_no_call_begins_after_the_lease(one: Notification) -> None:
    enqueue(one, PUSH)
    claim = staff_outbox.claim()
    assert claim is not None
    over = timezone.now() - dt.timedelta(seconds=1)
    NotificationDelivery.objects.update(lease_expires_at=over)
    with pytest.raises(LostClaim):
        staff_outbox.start_attempt(claim.rows, over)


@pytest.mark.parametrize(
    ("channel", "begun", "status", "reason"),
    [
        (EMAIL, True, DeliveryStatus.PENDING, ""),
        (PUSH, False, DeliveryStatus.PENDING, ""),
        (PUSH, True, DeliveryStatus.FAILED, DropReason.UNREACHABLE),
        (StaffChannel.CHAT, True, DeliveryStatus.FAILED, DropReason.UNREACHABLE),
    ],
)
def test_what_a_dead_sender_left_behind(
    one: Notification, channel: StaffChannel, begun: bool, status: str, reason: str
) -> None:
    enqueue(one, channel)
    claim = staff_outbox.claim()
    assert claim is not None
    if begun:
        staff_outbox.start_attempt(claim.rows, claim.lease)
    assert staff_outbox.settle_orphans() == 0, "its lease is not over"
    age_lease()
    assert staff_outbox.settle_orphans() == 1
    row = NotificationDelivery.objects.get()
    assert (row.status, row.reason) == (status, reason)


def test_a_tenant_claims_its_own(one: Notification, other_clinic: Clinic) -> None:
    enqueue(one, EMAIL)
    with tenant_scope(other_clinic.tenant.pk):
        assert staff_outbox.claim() is None


def test_the_tenants_channels_are_told_once_an_event(clinic: Clinic, one: Notification) -> None:
    for name in ("Operations", "Night"):
        ChatTarget.objects.create(tenant=clinic.tenant, name=name, url="https://x", kind="slack")
    ChatTarget.objects.create(tenant=clinic.tenant, name="Off", url="https://x", kind="slack", is_active=False)
    ChatTarget.objects.create(tenant=clinic.tenant, name="Own", url="https://x", kind="slack", user=clinic.admin)
    other = inbox.notify(user=clinic.front_desk, title="News")
    for _again in range(2):
        staff_outbox.enqueue_for_team(tenant_id=clinic.tenant.pk, notification_ids=[one.pk, other.pk])
    steps = NotificationDelivery.objects.values_list("step", flat=True)
    assert len(steps) == 2
    assert all(step >= TEAM_STEP for step in steps)


@pytest.mark.django_db(transaction=True)
def test_two_claims_at_once_share_no_row_and_split_no_person(clinic: Clinic) -> None:
    for user in (clinic.admin, clinic.front_desk, clinic.provider):
        for number in range(4):
            enqueue(inbox.notify(user=user, title=f"News {number}"), EMAIL)
    barrier = threading.Barrier(4)
    claimed: list[Any] = []

    def work() -> None:
        try:
            with tenant_scope(clinic.tenant.pk):
                barrier.wait(10)
                claim = staff_outbox.claim()
                claimed.extend([(row.pk, row.user_id, id(claim)) for row in claim.rows] if claim else [])
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _sender in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with transaction.atomic():
        left = NotificationDelivery.objects.filter(status=DeliveryStatus.PENDING).count()
    assert len({pk for pk, _user, _claim in claimed}) == len(claimed) == 12 - left
    by_user: dict[Any, set[int]] = {}
    for _pk, user, claim in claimed:
        by_user.setdefault(user, set()).add(claim)
    assert all(len(claims) == 1 for claims in by_user.values())
