from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from conftest import Clinic
from core.models import User
from core.tasks import cleanup_old_notifications, create_notification_task
from core.tenancy import tenant_scope
from notifications import inbox
from notifications.models import BellState, Notification


def unread(user: User) -> tuple[int, int]:
    """The counter, and the truth."""
    state = BellState.objects.filter(user=user).first()
    return (state.unread if state else 0, Notification.objects.filter(user=user, is_read=False).count())


def test_a_notification_raises_count_and_version(clinic: Clinic) -> None:
    inbox.notify(user=clinic.provider, title="A")
    inbox.notify(user=clinic.provider, title="B")
    assert unread(clinic.provider) == (2, 2)
    assert BellState.objects.get(user=clinic.provider).version == 2


def test_the_same_key_rings_once(clinic: Clinic) -> None:
    first = inbox.notify(user=clinic.provider, title="A", dedupe_key="k")
    again = inbox.notify(user=clinic.provider, title="A", dedupe_key="k")
    assert first.pk == again.pk
    assert unread(clinic.provider) == (1, 1)


def test_reading_twice_counts_once(clinic: Clinic) -> None:
    row = inbox.notify(user=clinic.provider, title="A")
    assert inbox.mark_read(clinic.provider, row.pk)
    assert not inbox.mark_read(clinic.provider, row.pk)
    assert unread(clinic.provider) == (0, 0)


def test_nobody_reads_for_somebody_else(clinic: Clinic) -> None:
    row = inbox.notify(user=clinic.provider, title="A")
    assert not inbox.mark_read(clinic.colleague, row.pk)
    assert unread(clinic.provider) == (1, 1)


def test_mark_all_read_leaves_other_users_alone(clinic: Clinic) -> None:
    for _ in range(3):
        inbox.notify(user=clinic.provider, title="A")
    inbox.notify(user=clinic.colleague, title="B")
    assert inbox.mark_all_read(clinic.provider)[0] == 3
    assert unread(clinic.provider) == (0, 0)
    assert unread(clinic.colleague) == (1, 1)


def test_the_task_writes_into_the_users_own_tenant(clinic: Clinic, other_clinic: Clinic) -> None:
    create_notification_task(str(other_clinic.provider.pk), "Title", "Text", "WARNING")
    assert not Notification.objects.filter(title="Title").exists()
    with tenant_scope(other_clinic.tenant.pk):
        row = Notification.objects.get(title="Title")
    assert (row.user_id, row.notification_type, row.is_read) == (other_clinic.provider.pk, "WARNING", False)


def test_the_task_refuses_an_unknown_level(clinic: Clinic) -> None:
    with pytest.raises(ValueError, match="LOUD"):
        create_notification_task(str(clinic.provider.pk), "Title", "Text", "LOUD")


def test_cleanup_deletes_only_old_read_rows(clinic: Clinic) -> None:
    old_read, old_unread, new_read = (inbox.notify(user=clinic.provider, title=t) for t in "abc")
    for row in (old_read, new_read):
        inbox.mark_read(clinic.provider, row.pk)
    Notification.objects.filter(pk__in=[old_read.pk, old_unread.pk]).update(
        activity_at=timezone.now() - dt.timedelta(days=91)
    )
    assert cleanup_old_notifications() == {"deleted": 1}
    assert set(Notification.objects.values_list("pk", flat=True)) == {old_unread.pk, new_read.pk}
    assert unread(clinic.provider) == (1, 1)
