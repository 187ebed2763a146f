"""Whoever was named as somebody's cover hears of it: from when to when they are told instead.

``core/roster.py`` writes the absence and knows nothing above it; ``staff_signals.py`` listens. The event reads the absence as it is when
it is fanned out, so one that was taken back meanwhile tells nobody.
"""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from core.models import Absence
from core.selectors import zone_of
from notifications import events
from notifications.models import NotificationEvent
from notifications.registry import Audience, Bell, Delivery, EventType, Slot, Subject
from notifications.rendering import LocalDate, LocalTime, Words
from notifications.states import Category, NotificationType, Reason

EVENT = "staff.cover"


def tell(absence: Absence) -> None:
    """Records that somebody was named; once for an absence."""
    if absence.cover_id is not None:
        events.record(EVENT, tenant_id=absence.tenant_id, dedupe=str(absence.pk), payload={"id": str(absence.pk)})


def _describe(event: NotificationEvent) -> Subject:
    rows = Absence.objects.select_related("user", "cover__location", "cover__tenant")
    absence = rows.filter(pk=event.payload["id"], ends_at__gt=timezone.now()).first()
    if absence is None or absence.cover is None:
        return Subject(context={}, refusal=Reason.STATUS_NOT_ELIGIBLE)
    zone = zone_of(absence.cover)
    first, last = timezone.localtime(absence.starts_at, zone), timezone.localtime(absence.ends_at, zone)
    return Subject(
        context={
            "name": Words(absence.user.name_in("en"), absence.user.name_in("ar")),
            "first_day": LocalDate(first.date()),
            "first_time": LocalTime(first.time()),
            "last_day": LocalDate(last.date()),
            "last_time": LocalTime(last.time()),
        },
        users={Audience.STAFF: [absence.cover]},
        useful_until=absence.ends_at,
    )


ENTRIES = (
    EventType(
        key=EVENT,
        name_en="You cover a colleague",
        name_ar="تنوب عن زميل",
        notification_type=NotificationType.STAFF,
        deliveries=(
            Delivery(
                Audience.STAFF,
                (Slot.IN_APP,),
                bell=Bell(
                    title_en="You cover {name}",
                    title_ar="تنوب عن {name}",
                    body_en=(
                        "From {first_day}, {first_time} until {last_day}, {last_time} what is meant for {name} comes to you."
                    ),
                    body_ar="من {first_day}، {first_time} حتى {last_day}، {last_time} يصلك ما يخص {name}.",
                    category=Category.GENERAL,
                ),
            ),
        ),
        describe=_describe,
        example={
            "name": Words("Dr. Layla Hassan", "د. ليلى حسن"),
            "first_day": LocalDate(dt.date(2026, 11, 29)),
            "first_time": LocalTime(dt.time(8)),
            "last_day": LocalDate(dt.date(2026, 12, 3)),
            "last_time": LocalTime(dt.time(17)),
        },
    ),
)
