"""The messages behind a figure of the analytics that the message list has no filter for.

As many rows as the figure says, of the same days: each filter is the other side of a rule in ``rollup_sources``.
"""

from __future__ import annotations

import uuid

from django.db.models import Q, QuerySet

from notifications import rollup_sources
from notifications.models import Message
from notifications.rollup_sources import FAILED, NOT_ARRIVED, Span
from notifications.states import SUCCESS, Reason, Status

STAGES = ("sent", "delivered", "read", "clicked")
NO_DEPARTMENT = "none"


def rows(
    span: Span, *, stage: str = "", cause: str | None = None, channel: str = "", department: str = ""
) -> QuerySet[Message]:
    """Of the open tenant, the latest first. What is not asked for lets everything pass; nonsense lets nothing pass."""
    found = Message.objects.filter(created_at__gte=span.start, created_at__lt=span.end)
    if stage:
        found = _at_stage(found, stage)
    if cause is not None:
        found = found.filter(_because(cause))
    if channel:
        found = found.filter(channel=channel)
    if department:
        found = _of_department(found, department)
    return found.order_by("-created_at", "-pk")


def _at_stage(found: QuerySet[Message], stage: str) -> QuerySet[Message]:
    match stage:
        case "sent":
            return found.filter(sent_at__isnull=False)
        case "delivered":
            return found.filter(status__in=SUCCESS)
        case "read":
            return found.filter(status=Status.READ)
        case "clicked":
            return found.filter(rollup_sources.was_clicked())
        case _:
            return found.none()


def _because(cause: str) -> Q:
    """A provider's code says more than the reason that we made of it."""
    coded = Q(status__in=FAILED) & ~Q(error_code="")
    provider, colon, code = cause.partition(":")
    if colon and cause not in Reason.values:
        own = Q(provider=provider) | Q(provider__startswith=f"{provider}@")
        return coded & own & Q(error_code=code)
    return Q(status__in=NOT_ARRIVED, reason=cause) & ~coded


def _of_department(found: QuerySet[Message], department: str) -> QuerySet[Message]:
    found = found.annotate(department=rollup_sources.in_department())
    if department == NO_DEPARTMENT:
        return found.filter(department=None)
    try:
        return found.filter(department=uuid.UUID(department))
    except ValueError:
        return found.none()
