"""The lifecycle table as data: each appointment event, who is told over which slots, and how it reads its visit.

``describe`` reads the visit as it is now, at fan-out and again right before each send: a visit that moved, ended or
passed meanwhile is refused with a reason. Registered from ``AppConfig.ready()``.
"""

from __future__ import annotations

import datetime as dt
import functools
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.utils import timezone

from appointments import arrival_card, calls, first_news, rebooking, reminders, tokens, waking, words
from appointments.models import Appointment, Reminder
from appointments.states import AWAITED, OCCUPYING
from core import phone
from core.arrival import Check, open_points
from core.contacts import DECEASED, MERGED_AWAY, Contact, contact_for
from core.models import Role, User
from core.portal_links import portal_address
from notifications.capabilities import Hint
from notifications.models import NotificationEvent
from notifications.registry import Audience, Delivery, EventType, Slot, Subject
from notifications.rendering import Code, Link, LocalDate, LocalTime, Words
from notifications.states import Lane, NotificationType, Reason

S = Appointment.Status
_TAKING_PLACE = OCCUPYING | {S.COMPLETED}


@dataclass(frozen=True, slots=True)
class _Case:
    """An event and its visit as it is now."""

    appointment: Appointment
    event: NotificationEvent


Extras = Callable[[_Case], dict[str, Any]]
Deadline = Callable[[_Case], dt.datetime | None]
Live = Callable[[Sequence[uuid.UUID]], Mapping[uuid.UUID, Mapping[str, Any]]]


# --- values of placeholders -----------------------------------------------------------------------------------------

_NO_PHONE = Words("the clinic", "العيادة")
NO_REASON = Words("a change in the clinic's schedule", "تغيير في جدول العيادة")
PATIENTS_WISH = Words("at the patient's request", "بناءً على طلب المراجع")
NO_NEXT_STEPS = Words("Please follow what was agreed during the visit.", "نرجو اتباع ما تم الاتفاق عليه خلال الزيارة.")
# A reply is asked for only where it arrives; never by the word “cancel”, which carriers take for an unsubscription.
ASK = Hint(
    by_link=Words("Please confirm or cancel", "نرجو التأكيد أو الإلغاء"),
    by_reply=Words(
        "Please answer 1 to confirm, 2 to cancel, 3 for another time, or use the link",
        "نرجو الرد: 1 للتأكيد، 2 للإلغاء، 3 لوقت آخر، أو عبر الرابط",
    ),
)
SHOW = Words("Details", "التفاصيل")


def _base(appointment: Appointment) -> dict[str, Any]:
    """What every message may say. Neither department nor specialty: not even the envelope tells why somebody comes."""
    contact = contact_for(appointment.patient)
    number = phone.display(appointment.location.phone)
    return {
        "patient_name": appointment.patient,
        "recipient_name": contact if isinstance(contact, Contact) else appointment.patient,
        "provider_name": appointment.provider,
        "clinic_name": appointment.tenant,
        "location_name": appointment.location,
        "date": LocalDate(appointment.local_start.date()),
        "time": LocalTime(appointment.local_start.time()),
        "number": Code(appointment.number),
        "phone": Code(number) if number else _NO_PHONE,
    }


def _link(case: _Case) -> dict[str, Any]:
    return {"link": Link(tokens.link_for(case.appointment))}


def _rebook_link(case: _Case) -> dict[str, Any]:
    return {"link": Link(rebooking.link_for(case.appointment))}


def _reminder_link(case: _Case) -> dict[str, Any]:
    """Who has confirmed is not asked again."""
    return _link(case) | {"link_note": SHOW if case.appointment.status == S.CONFIRMED else ASK}


def _own_page(_case: _Case) -> dict[str, Any]:
    """Behind a sign-in by a code: a message about results is a link, and never what they say."""
    return {"link": Link(portal_address())}


def _reason(case: _Case) -> dict[str, Any]:
    text = str(case.event.payload.get("reason", "")).rstrip(" .،؛")
    by_patient = case.event.payload.get("by") == Appointment.CancelledBy.PATIENT
    return {"reason": text or (PATIENTS_WISH if by_patient else NO_REASON)}


def _move(case: _Case) -> dict[str, Any]:
    recorded = case.event.payload.get("old_starts_at")
    moment = dt.datetime.fromisoformat(recorded) if recorded else case.appointment.starts_at
    old = timezone.localtime(moment, case.appointment.location.zone)
    return _link(case) | _reason(case) | {"old_date": LocalDate(old.date()), "old_time": LocalTime(old.time())}


def _next_steps(case: _Case) -> dict[str, Any]:
    return {"next_steps": case.event.payload.get("next_steps") or NO_NEXT_STEPS}


def _open_points(case: _Case) -> dict[str, Any]:
    return {"open_points": arrival_card.describe_checks(open_points(case.appointment))}


# --- people ---------------------------------------------------------------------------------------------------------


def _providers(appointment: Appointment, event: NotificationEvent) -> list[User]:
    """The provider, and the former one of a visit that changed hands. Who stands in for them: ``core/duty.py``."""
    former = event.payload.get("old_provider_id")
    people = Q(pk=appointment.provider_id)
    if former:
        people |= Q(pk=uuid.UUID(former), is_active=True)
    return list(User.objects.filter(people).order_by("pk"))


def _front_desk(appointment: Appointment) -> list[User]:
    """The desk of that location, and those who work at all of them."""
    return list(
        User.objects.filter(
            Q(location=appointment.location) | Q(location=None), role=Role.FRONT_DESK, is_active=True
        ).order_by("pk")
    )


# --- reading an event -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Rule:
    """How one event reads its visit: in which states it still holds, until when, and what more it says."""

    holds_in: frozenset[str]
    until: Deadline
    extras: tuple[Extras, ...] = ()
    to_provider: bool = False
    to_front_desk: bool = False
    to_patient: bool = True
    # The states in which a critical alert still waits for an answer.
    open_in: frozenset[str] = frozenset()


def _visit(event: NotificationEvent) -> Appointment | None:
    """The visit with its people and place, as it is now."""
    if event.object_id is None:
        return None
    rows = Appointment.objects.select_related(
        "tenant", "patient__tenant", "patient__user", "provider", "location", "department"
    )
    return rows.filter(pk=event.object_id).first()


def _describe(rule: _Rule, event: NotificationEvent) -> Subject:
    appointment = _visit(event)
    if appointment is None:
        return Subject(context={}, refusal=Reason.STATUS_NOT_ELIGIBLE)
    case = _Case(appointment, event)
    context = _base(appointment)
    for extra in rule.extras:
        context |= extra(case)
    until = rule.until(case)
    return Subject(
        context=context,
        patient=appointment.patient if rule.to_patient else None,
        users=_users(rule, appointment, event),
        location=appointment.location,
        useful_until=until,
        refusal=_refusal(rule, appointment, event, until),
        is_answered=bool(rule.open_in) and appointment.status not in rule.open_in,
        told_already=str(event.payload.get("answered", "")),
    )


def _refusal_now(rule: _Rule, event: NotificationEvent) -> Reason | None:
    appointment = _visit(event)
    if appointment is None:
        return Reason.STATUS_NOT_ELIGIBLE
    return _refusal(rule, appointment, event, rule.until(_Case(appointment, event)))


def _users(rule: _Rule, appointment: Appointment, event: NotificationEvent) -> Mapping[Audience, Sequence[User]]:
    """Nobody is told what he did himself."""
    told = {
        Audience.PROVIDER: _providers(appointment, event) if rule.to_provider else [],
        Audience.FRONT_DESK: _front_desk(appointment) if _concerns_front_desk(rule, event) else [],
    }
    return {audience: [user for user in users if user.pk != event.actor_id] for audience, users in told.items()}


def _concerns_front_desk(rule: _Rule, event: NotificationEvent) -> bool:
    """The desk knows what the clinic did; it has to be told what the patient did by the link."""
    return rule.to_front_desk and event.actor_id is None


def _refusal(
    rule: _Rule, appointment: Appointment, event: NotificationEvent, until: dt.datetime | None
) -> Reason | None:
    if event.object_version != appointment.version:
        return Reason.STALE_VERSION
    if appointment.status not in rule.holds_in:
        return Reason.STATUS_NOT_ELIGIBLE
    if rule.to_provider or rule.to_front_desk:
        # The staff must be told all the same; the patient's part is refused by deadline and contact on its own.
        return None
    if until is not None and until <= timezone.now():
        return Reason.PAST_DUE
    contact = contact_for(appointment.patient)
    return Reason(contact) if contact in (DECEASED, MERGED_AWAY) else None


def _never(_case: _Case) -> None:
    return None


def _start(case: _Case) -> dt.datetime:
    return case.appointment.starts_at


def _days(count: int) -> Deadline:
    return lambda case: case.event.created_at + dt.timedelta(days=count)


def _after_no_show(case: _Case) -> dt.datetime:
    """Days from when the patient is told, not from when it was noted: it rests a while (``no_shows.py``)."""
    return (case.event.due_at or case.event.created_at) + dt.timedelta(days=3)


def _reminder(kind: Reminder.Kind) -> Deadline:
    """By the clinic group's rule, which the event's reminder knew; by the house's where there is no reminder."""

    def until(case: _Case) -> dt.datetime:
        planned = case.event.payload.get("until")
        return dt.datetime.fromisoformat(planned) if planned else reminders.useful_until(case.appointment, kind)

    return until


# --- the table ------------------------------------------------------------------------------------------------------

_EXAMPLE: Mapping[str, Any] = {
    "patient_name": Words("Sara Al-Mutairi", "سارة المطيري"),
    "recipient_name": Words("Huda Al-Rashid", "هدى الراشد"),
    "provider_name": Words("Dr. Layla Hassan", "د. ليلى حسن"),
    "clinic_name": Words("Noor Clinics", "عيادات النور"),
    "location_name": Words("Olaya Branch", "فرع العليا"),
    "date": LocalDate(dt.date(2026, 11, 25)),
    "time": LocalTime(dt.time(10, 30)),
    "number": Code("APT-2026-000042"),
    "phone": Code("+966 11 234 5678"),
}
_EXAMPLE_LINK = {"link": Link("https://agdar.example/c/7kmq2xw9b4f")}
_EXAMPLE_REASON = {"reason": Words("the provider is away that day", "اعتذار مقدم الخدمة في ذلك اليوم")}
_EXAMPLE_MOVE = {
    **_EXAMPLE_LINK,
    **_EXAMPLE_REASON,
    "old_date": LocalDate(dt.date(2026, 11, 23)),
    "old_time": LocalTime(dt.time(9, 0)),
}
_EXAMPLE_CHECKS = {
    "open_points": arrival_card.describe_checks(
        [
            Check("Consent", "الموافقة", "verified", "موثّقة", is_clear=True),
            Check("Financial clearance", "التسوية المالية", "pending", "معلّقة", is_clear=False),
        ]
    )
}

_P, _PROVIDER, _DESK = Audience.PATIENT, Audience.PROVIDER, Audience.FRONT_DESK
_STAFF = NotificationType.STAFF


def _entry(
    key: str,
    names: tuple[str, str],
    kind: NotificationType,
    rule: _Rule,
    *deliveries: Delivery,
    example: Mapping[str, Any] | None = None,
    lane: Lane = Lane.TRANSACTIONAL,
    live: Live | None = None,
    gather: Callable[[NotificationEvent], bool] | None = None,
    wakes: Callable[[NotificationEvent], bool] | None = None,
    call: Callable[[NotificationEvent], None] | None = None,
) -> EventType:
    return EventType(
        key=key,
        name_en=names[0],
        name_ar=names[1],
        notification_type=kind,
        deliveries=deliveries,
        describe=functools.partial(_describe, rule),
        refusal=functools.partial(_refusal_now, rule),
        lane=lane,
        live=live,
        gather=gather,
        wakes=wakes,
        call=call,
        example={**_EXAMPLE, **(example or {})},
    )


ENTRIES = (
    _entry(
        "appointment.new",
        ("New appointment", "موعد جديد"),
        _STAFF,
        _Rule(_TAKING_PLACE, _start, to_provider=True, to_patient=False),
        Delivery(_PROVIDER, (Slot.IN_APP, Slot.EMAIL), (words.NEW_EMAIL,), words.NEW_BELL),
    ),
    _entry(
        "appointment.booked",
        ("Appointment booked", "حجز موعد"),
        NotificationType.CONFIRMATION,
        # Moved before anybody was told: then the new time is the news.
        _Rule(frozenset({S.BOOKED, S.RESCHEDULED}), _start, (_link,)),
        Delivery(_P, (Slot.MOBILE,), words.BOOKED),
        example=_EXAMPLE_LINK,
        gather=first_news.gather,
    ),
    _entry(
        "appointment.confirmed",
        ("Appointment confirmed", "تأكيد موعد"),
        NotificationType.CONFIRMATION,
        _Rule(frozenset({S.CONFIRMED}), _start, (_link,)),
        Delivery(_P, (Slot.MOBILE, Slot.EMAIL, Slot.IN_APP), words.CONFIRMED, words.CONFIRMED_BELL),
        example=_EXAMPLE_LINK,
    ),
    _entry(
        "appointment.confirmed_by_patient",
        ("Confirmed by the patient", "تأكيد من المراجع"),
        _STAFF,
        _Rule(_TAKING_PLACE, _never, to_front_desk=True, to_patient=False),
        Delivery(_DESK, (Slot.IN_APP,), bell=words.CONFIRMED_BY_PATIENT_BELL),
    ),
    _entry(
        "appointment.rescheduled",
        ("Appointment moved", "تغيير موعد"),
        NotificationType.CHANGE,
        _Rule(frozenset({S.RESCHEDULED, S.CONFIRMED}), _start, (_move,), to_provider=True, to_front_desk=True),
        Delivery(_P, (Slot.MOBILE, Slot.EMAIL, Slot.IN_APP), words.RESCHEDULED, words.RESCHEDULED_BELL),
        Delivery(_PROVIDER, (Slot.IN_APP, Slot.EMAIL), (words.RESCHEDULED_STAFF_EMAIL,), words.RESCHEDULED_STAFF_BELL),
        Delivery(_DESK, (Slot.IN_APP,), bell=words.MOVED_BY_PATIENT_BELL),
        example=_EXAMPLE_MOVE,
        lane=Lane.URGENT,
        wakes=waking.wakes,
        call=calls.call,
    ),
    _entry(
        "appointment.arrived",
        ("Patient arrived", "حضور مراجع"),
        _STAFF,
        _Rule(
            frozenset({S.ARRIVED, S.IN_PROGRESS, S.COMPLETED}),
            _never,
            (_open_points,),
            to_provider=True,
            to_patient=False,
            open_in=frozenset({S.ARRIVED}),
        ),
        Delivery(_PROVIDER, (Slot.IN_APP,), bell=words.ARRIVED_BELL),
        example=_EXAMPLE_CHECKS,
        live=arrival_card.live_values,
    ),
    _entry(
        "appointment.in_progress",
        ("Visit in progress", "زيارة جارية"),
        _STAFF,
        _Rule(frozenset({S.IN_PROGRESS}), _never, to_patient=False),
    ),
    _entry(
        "appointment.completed",
        ("Visit completed", "اكتمال زيارة"),
        NotificationType.GENERAL,
        _Rule(frozenset({S.COMPLETED}), _days(3), (_next_steps,)),
        Delivery(_P, (Slot.EMAIL,), (words.COMPLETED_EMAIL,)),
        example={
            "next_steps": Words("Drink plenty of water and rest for two days.", "الإكثار من السوائل والراحة يومين.")
        },
    ),
    _entry(
        "appointment.cancelled",
        ("Appointment cancelled", "إلغاء موعد"),
        NotificationType.CHANGE,
        _Rule(frozenset({S.CANCELLED}), _start, (_reason,), to_provider=True, to_front_desk=True),
        Delivery(_P, (Slot.MOBILE, Slot.EMAIL, Slot.IN_APP), words.CANCELLED, words.CANCELLED_BELL),
        Delivery(_PROVIDER, (Slot.IN_APP, Slot.EMAIL), (words.CANCELLED_STAFF_EMAIL,), words.CANCELLED_STAFF_BELL),
        Delivery(_DESK, (Slot.IN_APP,), bell=words.CANCELLED_BY_PATIENT_BELL),
        example=_EXAMPLE_REASON,
        lane=Lane.URGENT,
        wakes=waking.wakes,
        call=calls.call,
    ),
    _entry(
        "appointment.entered_in_error",
        ("Calendar entry taken back", "سحب موعد من التقويم"),
        NotificationType.CHANGE,
        _Rule(frozenset({S.ENTERED_IN_ERROR}), _start),
        # Silent but for the calendar: only the letter can take back what a letter has put there.
        Delivery(_P, (Slot.EMAIL,), (words.VOIDED_EMAIL,)),
    ),
    _entry(
        "appointment.no_show",
        ("No-show", "عدم حضور"),
        NotificationType.CHANGE,
        _Rule(frozenset({S.NO_SHOW}), _after_no_show, (_rebook_link,), to_provider=True),
        Delivery(_P, (Slot.EMAIL, Slot.IN_APP), (words.NO_SHOW_EMAIL,), words.NO_SHOW_BELL),
        Delivery(_PROVIDER, (Slot.IN_APP, Slot.EMAIL), (words.NO_SHOW_STAFF_EMAIL,), words.NO_SHOW_STAFF_BELL),
        example={"link": Link("https://agdar.example/again/7kmq2xw9b4f")},
    ),
    _entry(
        "appointment.reminder_3d",
        ("Reminder days before", "تذكير قبل أيام"),
        NotificationType.REMINDER,
        _Rule(AWAITED, _reminder(Reminder.Kind.EARLY), (_reminder_link,)),
        Delivery(_P, (Slot.PREFERRED,), words.REMINDER_24H),
        example={**_EXAMPLE_LINK, "link_note": ASK},
    ),
    _entry(
        "appointment.reminder_24h",
        ("Reminder 24 hours before", "تذكير قبل 24 ساعة"),
        NotificationType.REMINDER,
        _Rule(AWAITED, _reminder(Reminder.Kind.DAY_BEFORE), (_reminder_link,)),
        Delivery(_P, (Slot.PREFERRED,), words.REMINDER_24H),
        example={**_EXAMPLE_LINK, "link_note": ASK},
    ),
    _entry(
        "appointment.reminder_2h",
        ("Reminder 2 hours before", "تذكير قبل ساعتين"),
        NotificationType.REMINDER,
        _Rule(AWAITED, _reminder(Reminder.Kind.TWO_HOURS), (_reminder_link,)),
        Delivery(_P, (Slot.PREFERRED,), words.REMINDER_2H),
        example={**_EXAMPLE_LINK, "link_note": ASK},
        lane=Lane.URGENT,
    ),
    _entry(
        "results.ready",
        ("Results ready", "جاهزية النتائج"),
        NotificationType.RESULTS,
        _Rule(frozenset({S.IN_PROGRESS, S.COMPLETED}), _days(14), (_own_page,)),
        Delivery(_P, (Slot.PREFERRED, Slot.IN_APP), words.RESULTS_READY, words.RESULTS_READY_BELL),
        example={"link": Link("https://agdar.example/me")},
    ),
)
