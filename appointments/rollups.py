"""What the rollups learn of visits: how many took place or should have, with and without a reminder that went out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from typing import Any

from django.db.models import Count, Exists, OuterRef
from django.db.models.signals import post_save

from appointments.models import Appointment
from notifications import rollup_marks, rollup_sources
from notifications.models import Dimension, Message
from notifications.rollup_sources import Counts, Key, Source, Span
from notifications.states import NotificationType, Status

REMINDED, UNREMINDED = "reminded", "unreminded"
_TOOK_PLACE = (Appointment.Status.COMPLETED, Appointment.Status.NO_SHOW)
_WENT_OUT = (Status.SENT, Status.DELIVERED, Status.READ)


def count_visits(span: Span, _dimensions: Collection[Dimension]) -> Iterator[tuple[Key, Counts]]:
    """Visits of those days that ended as COMPLETED or NO_SHOW; ``failed`` are the no-shows."""
    reminder = Message.objects.filter(
        object_id=OuterRef("pk"), notification_type=NotificationType.REMINDER, status__in=_WENT_OUT
    )
    rows = Appointment.objects.filter(starts_at__gte=span.start, starts_at__lt=span.end, status__in=_TOOK_PLACE)
    groups = (
        rollup_sources.by_day(rows, "starts_at", span)
        .annotate(is_reminded=Exists(reminder))
        .order_by()
        .values("day", "status", "is_reminded")
        .annotate(n=Count("pk"))
    )
    for row in groups:
        key = Key(row["day"], Dimension.VISIT, REMINDED if row["is_reminded"] else UNREMINDED)
        missed = row["n"] if row["status"] == Appointment.Status.NO_SHOW else 0
        yield key, Counts(messages=row["n"], failed=missed)


def _first_visit() -> dt.datetime | None:
    return Appointment.objects.order_by("starts_at").values_list("starts_at", flat=True).first()


def mark_visit(instance: Appointment, **_: Any) -> None:
    """A visit that is ended, or put right, after its day."""
    rollup_marks.mark(instance.tenant_id, [instance.starts_at])


def register() -> None:
    rollup_sources.register(Source(frozenset({Dimension.VISIT}), count_visits, _first_visit))
    rollup_sources.register_department(
        Appointment._meta.label_lower, lambda key: Appointment.objects.filter(pk=key).values("department_id")
    )
    post_save.connect(mark_visit, sender=Appointment, dispatch_uid="rollups.visit")
