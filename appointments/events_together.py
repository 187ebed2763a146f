"""Events that tell of several visits of a family at once (``reminders/family.py``): all of it holds, or none leaves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from appointments import tokens, words_together
from appointments.events import ASK, SHOW
from appointments.models import Appointment, FamilyNews, FamilyVisit, Reminder
from appointments.reminders import family
from appointments.told_together import VisitLine, VisitList, context_of, listed
from notifications.models import Message, NotificationEvent
from notifications.registry import Audience, Delivery, EventType, Slot, Subject
from notifications.rendering import Code, Link, LocalDate, LocalTime, Words
from notifications.states import Channel, NotificationType, Reason

S = Appointment.Status


def _news(event: NotificationEvent) -> tuple[FamilyNews, list[FamilyVisit]] | None:
    """The row and its visits in their order, with people and places, as they are now."""
    news = FamilyNews.objects.filter(pk=event.object_id).first() if event.object_id is not None else None
    if news is None:
        return None
    rows = news.visits.select_related(
        *("appointment__tenant", "appointment__patient__tenant", "appointment__patient__user"),
        *("appointment__provider", "appointment__location", "appointment__department"),
    )
    return news, list(rows.order_by("appointment__starts_at", "pk"))


def _describe(event: NotificationEvent) -> Subject:
    found = _news(event)
    if found is None or not found[1]:
        return Subject(context={}, refusal=Reason.STATUS_NOT_ELIGIBLE)
    news, rows = found
    visits = [row.appointment for row in rows]
    is_open = any(visit.status != S.CONFIRMED for visit in visits)
    until = _until(news, rows)
    return Subject(
        context={
            **context_of(visits[0].patient, visits),
            "visit_list": listed(visits),
            "link": Link(tokens.link_for(visits[0])),
            # Who has confirmed all is not asked again.
            "link_note": ASK if is_open else SHOW,
        },
        patient=visits[0].patient,
        location=visits[0].location,
        useful_until=until,
        refusal=_refusal(news, rows, until),
        by_phone_only=family.is_by_phone_only(visits),
    )


def _refusal_now(event: NotificationEvent) -> Reason | None:
    found = _news(event)
    if found is None or not found[1]:
        return Reason.STATUS_NOT_ELIGIBLE
    news, rows = found
    refused = _refusal(news, rows, _until(news, rows))
    letters = Message.objects.filter(event=event, channel=Channel.EMAIL)
    if refused is None and family.is_by_phone_only(row.appointment for row in rows) and letters.exists():
        # One email when it was written down, two by now.
        return Reason.STALE_VERSION
    return refused


def _refusal(news: FamilyNews, rows: list[FamilyVisit], until: dt.datetime) -> Reason | None:
    """Its words are one: what no longer holds of one visit, or a reader who is not everybody's any more, stops the
    message, and ``family.settle`` tells of the others.
    """
    if until <= timezone.now():
        return Reason.PAST_DUE
    kind = NotificationType.CONFIRMATION if news.kind == FamilyNews.Kind.BOOKED else NotificationType.REMINDER
    is_shared = family.is_read_together({row.appointment.patient for row in rows}, kind)
    if not is_shared or not all(family.holds(news, row) for row in rows) or family.is_told_apart(news, rows):
        return Reason.STALE_VERSION
    return None


def _until(news: FamilyNews, rows: list[FamilyVisit]) -> dt.datetime:
    """The first deadline among them."""
    first = min(row.appointment.starts_at for row in rows)
    if news.kind == FamilyNews.Kind.BOOKED:
        return first
    told = {(row.appointment_id, row.version) for row in rows}
    planned = Reminder.objects.filter(kind=news.kind, appointment__in=[row.appointment_id for row in rows])
    # A visit that was put off has reminders of its old date as well.
    ends = planned.values_list("appointment", "version", "expires_at")
    return min([first, *(end for visit, version, end in ends if (visit, version) in told)])


_MORNING = dt.datetime(2026, 11, 25, 10, tzinfo=dt.UTC)
_EXAMPLE: Mapping[str, Any] = {
    "patient_name": Words("Sara Al-Mutairi", "سارة المطيري"),
    "recipient_name": Words("Huda Al-Rashid", "هدى الراشد"),
    "provider_name": Words("Dr. Layla Hassan", "د. ليلى حسن"),
    "clinic_name": Words("Noor Clinics", "عيادات النور"),
    "location_name": Words("Olaya Branch", "فرع العليا"),
    "date": LocalDate(_MORNING.date()),
    "time": LocalTime(_MORNING.time()),
    "last_date": LocalDate(_MORNING.date()),
    "visits": Words("2 appointments", "موعدان"),
    "visit_list": VisitList(
        (
            VisitLine(Words("Sara Al-Mutairi", "سارة المطيري"), _MORNING),
            VisitLine(Words("Omar Al-Mutairi", "عمر المطيري"), _MORNING + dt.timedelta(minutes=30)),
        )
    ),
    "phone": Code("+966 11 234 5678"),
    "link": Link("https://agdar.example/c/7kmq2xw9b4f"),
    "link_note": ASK,
}

ENTRIES = (
    EventType(
        key=family.BOOKED_KEY,
        name_en="Appointments of a family booked",
        name_ar="حجز مواعيد عائلة",
        notification_type=NotificationType.CONFIRMATION,
        deliveries=(Delivery(Audience.PATIENT, (Slot.MOBILE,), words_together.BOOKED),),
        describe=_describe,
        refusal=_refusal_now,
        example=_EXAMPLE,
    ),
    EventType(
        key=family.REMINDER_KEY,
        name_en="Reminder of a family's appointments",
        name_ar="تذكير بمواعيد عائلة",
        notification_type=NotificationType.REMINDER,
        deliveries=(Delivery(Audience.PATIENT, (Slot.PREFERRED,), words_together.REMINDER),),
        describe=_describe,
        refusal=_refusal_now,
        example=_EXAMPLE,
    ),
)
