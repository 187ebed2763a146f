"""Events about a series, a provider's absence and the waiting list: who is told, in which words, and until when it holds.

Each ``describe`` reads its object as it is now, at fan-out and again before each send (``events.py`` says more).
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from appointments import absences, free_slots, offers, rebooking, series, tokens, words_more
from appointments.models import AbsenceVisit, Appointment, ProviderAbsence, Series, SlotOffer
from appointments.reminders import family
from appointments.states import AWAITED
from appointments.told_together import VisitLine, VisitList, context_of, counted, listed
from core import discretion
from core.models import Role, User
from notifications.models import NotificationEvent
from notifications.registry import Audience, Delivery, EventType, Slot, Subject
from notifications.rendering import Code, Link, LocalDate, LocalTime, Words
from notifications.states import NotificationType, Reason

S = Appointment.Status
_JOINED = ("tenant", "patient__tenant", "patient__user", "provider", "location", "department")
# A time that is gone is no news any more after so long.
_LOST_FOR = dt.timedelta(hours=2)
_GONE = Subject(context={}, refusal=Reason.STATUS_NOT_ELIGIBLE)


def _staff(event: NotificationEvent, users: Sequence[User]) -> list[User]:
    """Nobody is told what he did himself."""
    return [user for user in users if user.pk != event.actor_id]


def _object_id(event: NotificationEvent) -> uuid.UUID:
    assert event.object_id is not None
    return event.object_id


# --- a series --------------------------------------------------------------------------------------------------------


def series_link(row: Series, first: Appointment) -> str:
    """The page with all dates. At a sensitive place the first visit's own, which asks who is looking."""
    if discretion.is_discreet(row.location):
        return tokens.link_for(first)
    return f"{settings.PUBLIC_BASE_URL}/series/{row.code}"


def _series_booked(event: NotificationEvent) -> Subject:
    row = Series.objects.filter(pk=_object_id(event)).first()
    visits = list(
        Appointment.objects.filter(series=row, status__in=AWAITED, starts_at__gt=timezone.now())
        .select_related(*_JOINED)
        .order_by("starts_at", "pk")
    )
    if row is None or not visits:
        return _GONE
    patient = visits[0].patient
    return Subject(
        context={**context_of(patient, visits), "link": Link(series_link(row, visits[0]))},
        patient=patient,
        users={Audience.PROVIDER: _staff(event, [visits[0].provider])},
        location=row.location,
        useful_until=visits[0].starts_at,
        refusal=Reason.STALE_VERSION if event.object_version != row.version else None,
    )


def _series_cancelled(event: NotificationEvent) -> Subject:
    """Those of the visits that are still off: one may have been taken back meanwhile."""
    rows = Appointment.objects.filter(pk__in=event.payload.get("visits", []), status=S.CANCELLED)
    visits = list(rows.select_related(*_JOINED, "series").order_by("starts_at", "pk"))
    if not visits:
        return _GONE
    until = visits[-1].starts_at
    return Subject(
        context=context_of(visits[0].patient, visits),
        patient=visits[0].patient,
        users={Audience.PROVIDER: _staff(event, [visits[0].provider])},
        location=visits[0].location,
        useful_until=until,
        refusal=Reason.PAST_DUE if until <= timezone.now() else None,
    )


# --- a provider who cannot come --------------------------------------------------------------------------------------


def _called_off(event: NotificationEvent) -> Subject:
    """What was called off of one family, and still is."""
    rows = AbsenceVisit.objects.filter(
        absence=_object_id(event), family=event.payload.get("family"), outcome=AbsenceVisit.Outcome.CANCELLED
    )
    ids = list(rows.values_list("appointment_id", flat=True))
    found = Appointment.objects.filter(pk__in=ids, status=S.CANCELLED, is_silent=False)
    visits = list(found.select_related(*_JOINED).order_by("starts_at", "pk"))
    if not visits:
        return _GONE
    until = visits[-1].starts_at
    refusal = Reason.PAST_DUE if until <= timezone.now() else None
    if not family.is_read_together({visit.patient for visit in visits}, NotificationType.CHANGE):
        # It names all of them: each is told alone (``absences.finish_all``).
        refusal = refusal or Reason.STALE_VERSION
    return Subject(
        context={
            **context_of(visits[0].patient, visits),
            "visit_list": listed(visits),
            "link": Link(rebooking.link_for(visits[0])),
        },
        patient=visits[0].patient,
        location=discretion.strictest(visit.location for visit in visits),
        useful_until=until,
        refusal=refusal,
    )


def _recorded(event: NotificationEvent) -> Subject:
    """For the provider: what is no longer in the calendar."""
    absence = ProviderAbsence.objects.select_related("provider", "location").get(pk=_object_id(event))
    rows = AbsenceVisit.objects.filter(absence=absence, outcome=AbsenceVisit.Outcome.CANCELLED)
    first = rows.select_related("appointment__location").order_by("appointment__starts_at").first()
    if first is None:
        return _GONE
    zone = first.appointment.location.zone
    begins, ends = timezone.localtime(absence.starts_at, zone), timezone.localtime(absence.ends_at, zone)
    return Subject(
        context={
            "visits": counted(rows.count()),
            "date": LocalDate(begins.date()),
            "time": LocalTime(begins.time()),
            "last_date": LocalDate(ends.date()),
            "last_time": LocalTime(ends.time()),
        },
        users={Audience.PROVIDER: _staff(event, [absence.provider])},
        location=absence.location or first.appointment.location,
    )


# --- the waiting list ------------------------------------------------------------------------------------------------


def _offer_of(event: NotificationEvent) -> SlotOffer | None:
    rows = SlotOffer.objects.select_related(
        *("slot__provider", "slot__location", "entry__patient__tenant", "entry__patient__user", "entry__appointment")
    )
    return rows.filter(pk=_object_id(event)).first()


def _offer_context(offer: SlotOffer) -> dict[str, Any]:
    """The time as if it were the patient's visit already."""
    slot = offer.slot
    visit = Appointment(
        tenant=offer.entry.patient.tenant,
        patient=offer.entry.patient,
        provider=slot.provider,
        location=slot.location,
        starts_at=slot.starts_at,
        ends_at=slot.ends_at,
    )
    until = timezone.localtime(offer.hold_until, slot.location.zone)
    return {
        **context_of(offer.entry.patient, [visit]),
        "hold_time": LocalTime(until.time()),
        "link": Link(f"{settings.PUBLIC_BASE_URL}/offer/{offer.code}"),
    }


def _offered(event: NotificationEvent) -> Subject:
    offer = _offer_of(event)
    if offer is None:
        return _GONE
    refused = offers.refusal(offer)
    return Subject(
        context=_offer_context(offer),
        patient=offer.entry.patient,
        location=offer.slot.location,
        useful_until=offer.hold_until,
        refusal=None if not refused else Reason.PAST_DUE if refused == "expired" else Reason.STATUS_NOT_ELIGIBLE,
    )


def _lost(event: NotificationEvent) -> Subject:
    offer = _offer_of(event)
    if offer is None or offer.state != SlotOffer.State.LOST:
        return _GONE
    return Subject(
        context=_offer_context(offer),
        patient=offer.entry.patient,
        location=offer.slot.location,
        useful_until=min(event.created_at + _LOST_FOR, offer.slot.starts_at),
    )


def _taken(event: NotificationEvent) -> Subject:
    """For the desk of that place: nobody there has done it."""
    offer = _offer_of(event)
    if offer is None:
        return _GONE
    here = Q(location=offer.slot.location) | Q(location=None)
    desk = User.objects.filter(here, role=Role.FRONT_DESK, is_active=True).order_by("pk")
    return Subject(context=_offer_context(offer), users={Audience.FRONT_DESK: list(desk)}, location=offer.slot.location)


# --- the table -------------------------------------------------------------------------------------------------------

_DAY = dt.date(2026, 11, 25)
_EXAMPLE: Mapping[str, Any] = {
    "patient_name": Words("Sara Al-Mutairi", "سارة المطيري"),
    "recipient_name": Words("Huda Al-Rashid", "هدى الراشد"),
    "provider_name": Words("Dr. Layla Hassan", "د. ليلى حسن"),
    "clinic_name": Words("Noor Clinics", "عيادات النور"),
    "location_name": Words("Olaya Branch", "فرع العليا"),
    "date": LocalDate(_DAY),
    "time": LocalTime(dt.time(10, 30)),
    "last_date": LocalDate(_DAY + dt.timedelta(weeks=11)),
    "visits": counted(12),
    "phone": Code("+966 11 234 5678"),
}
_EXAMPLE_ABSENCE: Mapping[str, Any] = {
    **{name: _EXAMPLE[name] for name in ("date", "time", "visits")},
    "last_date": LocalDate(_DAY),
    "last_time": LocalTime(dt.time(18)),
}
_EXAMPLE_LIST = VisitList(
    (
        VisitLine(_EXAMPLE["patient_name"], dt.datetime(2026, 11, 25, 10, 30, tzinfo=dt.UTC)),
        VisitLine(Words("Omar Al-Mutairi", "عمر المطيري"), dt.datetime(2026, 11, 25, 11, 0, tzinfo=dt.UTC)),
    )
)
_EXAMPLE_OFFER: Mapping[str, Any] = {
    **_EXAMPLE,
    "last_date": LocalDate(_DAY),
    "visits": counted(1),
    "hold_time": LocalTime(dt.time(9, 45)),
    "link": Link("https://agdar.example/offer/7kmq2xw9b4f"),
}
_P, _PROVIDER, _DESK = Audience.PATIENT, Audience.PROVIDER, Audience.FRONT_DESK

ENTRIES = (
    EventType(
        key=series.BOOKED,
        name_en="Series booked",
        name_ar="حجز سلسلة مواعيد",
        notification_type=NotificationType.CONFIRMATION,
        deliveries=(
            Delivery(_P, (Slot.MOBILE, Slot.EMAIL), words_more.SERIES_BOOKED),
            Delivery(_PROVIDER, (Slot.IN_APP,), bell=words_more.SERIES_BOOKED_STAFF_BELL),
        ),
        describe=_series_booked,
        example={**_EXAMPLE, "link": Link("https://agdar.example/series/7kmq2xw9b4f")},
    ),
    EventType(
        key=series.CANCELLED,
        name_en="Series cancelled",
        name_ar="إلغاء سلسلة مواعيد",
        notification_type=NotificationType.CHANGE,
        deliveries=(
            Delivery(
                _P,
                (Slot.MOBILE, Slot.EMAIL, Slot.IN_APP),
                words_more.SERIES_CANCELLED,
                words_more.SERIES_CANCELLED_BELL,
            ),
            Delivery(_PROVIDER, (Slot.IN_APP,), bell=words_more.SERIES_CANCELLED_STAFF_BELL),
        ),
        describe=_series_cancelled,
        example=_EXAMPLE,
    ),
    EventType(
        key=absences.CALLED_OFF,
        name_en="Appointments called off",
        name_ar="إلغاء مواعيد لغياب مقدم الخدمة",
        notification_type=NotificationType.CHANGE,
        deliveries=(
            Delivery(_P, (Slot.MOBILE, Slot.EMAIL, Slot.IN_APP), words_more.CALLED_OFF, words_more.CALLED_OFF_BELL),
        ),
        describe=_called_off,
        example={
            **_EXAMPLE,
            "visits": counted(2),
            "last_date": LocalDate(_DAY),
            "visit_list": _EXAMPLE_LIST,
            "link": Link("https://agdar.example/again/7kmq2xw9b4f"),
        },
    ),
    EventType(
        key=absences.RECORDED,
        name_en="Provider's absence recorded",
        name_ar="تسجيل غياب مقدم الخدمة",
        notification_type=NotificationType.STAFF,
        deliveries=(Delivery(_PROVIDER, (Slot.IN_APP,), bell=words_more.ABSENCE_BELL),),
        describe=_recorded,
        example=_EXAMPLE_ABSENCE,
    ),
    EventType(
        key=free_slots.OFFERED,
        name_en="Earlier time offered",
        name_ar="عرض موعد أقرب",
        notification_type=NotificationType.GENERAL,
        deliveries=(Delivery(_P, (Slot.MOBILE,), words_more.OFFERED),),
        describe=_offered,
        example=_EXAMPLE_OFFER,
    ),
    EventType(
        key=free_slots.LOST,
        name_en="Earlier time no longer available",
        name_ar="الموعد الأقرب لم يعد متاحًا",
        notification_type=NotificationType.GENERAL,
        deliveries=(Delivery(_P, (Slot.MOBILE,), words_more.OFFER_LOST),),
        describe=_lost,
        example=_EXAMPLE_OFFER,
    ),
    EventType(
        key=offers.TAKEN,
        name_en="Earlier time accepted",
        name_ar="قبول موعد أقرب",
        notification_type=NotificationType.STAFF,
        deliveries=(Delivery(_DESK, (Slot.IN_APP,), bell=words_more.OFFER_TAKEN_BELL),),
        describe=_taken,
        example=_EXAMPLE_OFFER,
    ),
)
