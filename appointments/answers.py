"""What a patient's reply does to a visit: confirm, cancel, ask for another time. Registered with messaging at start.

An answer counts for the version that was asked about, and only while the visit is still to come. The verbs are the
services'; here is only which of them a reply may call, and how a visit is named in what is written back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from appointments import services, tokens
from appointments.models import Appointment, FamilyNews, FamilyVisit
from appointments.services.common import locked
from appointments.states import AWAITED
from core.errors import DomainError
from integrations import answering
from notifications import desk_tasks, events
from notifications.models import InboundMessage, NotificationEvent
from notifications.questions import Look, Thing
from notifications.rendering import Link
from notifications.reply_words import Meaning
from notifications.states import TaskKind
from notifications.wording import format_date, format_time

S = Appointment.Status
OBJECT_TYPE = Appointment._meta.label_lower

# The messages that ask for an answer, or that a patient answers all the same.
ASKING = frozenset(
    {
        "appointment.booked",
        "appointment.rescheduled",
        "appointment.confirmed",
        "appointment.reminder_3d",
        "appointment.reminder_24h",
        "appointment.reminder_2h",
        "appointment.booked_together",
        "appointment.reminder_together",
    }
)
_TO_CONFIRM = frozenset({S.BOOKED, S.RESCHEDULED})
_ALL = frozenset({Meaning.CONFIRM, Meaning.CANCEL, Meaning.CHANGE})
_NOT_CONFIRM = frozenset({Meaning.CANCEL, Meaning.CHANGE})


@dataclass(frozen=True, slots=True)
class _Line:
    """“Sara Al-Mutairi, Monday 23 November 2026, 10:00 AM”: neither place nor provider, a phone lies on a table."""

    visit: Appointment
    en: str = "{name}, {date}, {time}"
    ar: str = "{name}، {date}، {time}"

    def name_in(self, language: str | None = None) -> str:
        wanted = (language or "en")[:2]
        start = self.visit.local_start
        return (self.ar if wanted == "ar" else self.en).format(
            name=self.visit.patient.name_in(wanted),
            date=format_date(start.date(), wanted),
            time=format_time(start.time(), wanted),
        )


_HERE = ("{name}: arrived for {date}, {time}.", "{name}: تم تسجيل الحضور لموعد {date}، {time}.")
_STATES: Mapping[str, tuple[str, str]] = {
    S.BOOKED: ("{name}: the appointment is now on {date}, {time}.", "{name}: الموعد الآن {date}، {time}."),
    S.RESCHEDULED: ("{name}: the appointment is now on {date}, {time}.", "{name}: الموعد الآن {date}، {time}."),
    S.CONFIRMED: ("{name}: confirmed for {date}, {time}.", "{name}: الموعد مؤكد {date}، {time}."),
    S.CANCELLED: (
        "{name}: the appointment on {date}, {time} is cancelled.",
        "{name}: الموعد الذي كان {date}، {time} ملغى.",
    ),
    S.ARRIVED: _HERE,
    S.IN_PROGRESS: _HERE,
}
# True whatever the clock says. Who sits in the waiting room must not read that it is over.
_STANDS = frozenset({S.CANCELLED, S.ARRIVED, S.IN_PROGRESS})
_OVER = ("{name}: the appointment on {date}, {time} is over.", "{name}: موعد {date}، {time} انتهى وقته.")


class VisitAnswers:
    """The handler that messaging calls."""

    asking = ASKING

    def things_of(self, event: NotificationEvent) -> list[Thing]:
        """One visit, or all that a message to a family lists."""
        if event.object_type == FamilyNews._meta.label_lower:
            # In the order of the message's text: patients answer with its numbers.
            listed = FamilyVisit.objects.filter(news=event.object_id).order_by("appointment__starts_at", "pk")
            return [Thing(OBJECT_TYPE, row.appointment_id, row.version) for row in listed]
        if event.object_id is None or event.object_type != OBJECT_TYPE:
            return []
        return [Thing(OBJECT_TYPE, event.object_id, event.object_version)]

    def look(self, things: Collection[Thing]) -> dict[Thing, Look]:
        rows = Appointment.objects.select_related("tenant", "patient__tenant", "location")
        visits = {row.pk: row for row in rows.filter(pk__in=[thing.object_id for thing in things])}
        return {thing: _look(thing, visits[thing.object_id]) for thing in things if thing.object_id in visits}

    def act(self, thing: Thing, meaning: Meaning, reply: InboundMessage) -> bool:
        """One step of its own: what is refused for one visit of a list leaves the others done."""
        try:
            with transaction.atomic():
                visit = locked(thing.object_id)
                if meaning not in _can(thing, visit):
                    return False
                _DEEDS[meaning](visit, reply)
        except DomainError:
            return False
        return True


def _look(thing: Thing, visit: Appointment) -> Look:
    can = _can(thing, visit)
    is_awaited = visit.status in AWAITED and visit.starts_at > timezone.now()
    return Look(
        thing=thing,
        patient=visit.patient,
        location=visit.location,
        can=can,
        is_dead=not can,
        names=(visit.patient.name_en, visit.patient.name_ar),
        line=_Line(visit),
        state=_Line(visit, *(_STATES[visit.status] if is_awaited or visit.status in _STANDS else _OVER)),
        link=Link(tokens.link_for(visit)) if is_awaited else None,
        starts_at=visit.starts_at,
    )


def _can(thing: Thing, visit: Appointment) -> frozenset[Meaning]:
    if thing.version != visit.version or visit.status not in AWAITED or visit.starts_at <= timezone.now():
        return frozenset()
    return _ALL if visit.status in _TO_CONFIRM else _NOT_CONFIRM


def _who(visit: Appointment, reply: InboundMessage) -> str:
    """Who has written, as the fan-out names them: nobody is told by SMS what they did by SMS."""
    reader = answering.reader_at(reply, visit.patient)
    return str(reader.guardian.pk) if reader is not None and reader.guardian is not None else "patient"


def _confirm(visit: Appointment, reply: InboundMessage) -> None:
    services.appointment_confirm(appointment_id=visit.pk, actor=None, answered=_who(visit, reply))
    events.record(
        "appointment.confirmed_by_patient",
        tenant_id=visit.tenant_id,
        dedupe=f"{reply.pk}:{visit.pk}",
        obj=visit,
        version=visit.version,
    )


def _cancel(visit: Appointment, reply: InboundMessage) -> None:
    services.appointment_cancel(
        appointment_id=visit.pk, actor=None, by=Appointment.CancelledBy.PATIENT, answered=_who(visit, reply)
    )


def _change(visit: Appointment, _reply: InboundMessage) -> None:
    """A person finds the time; until then the visit stands."""
    desk_tasks.open_task(
        TaskKind.REBOOK,
        tenant_id=visit.tenant_id,
        key=str(visit.pk),
        patient=visit.patient,
        obj=visit,
        location=visit.location,
        details={"asked_by": "reply"},
    )


_DEEDS = {Meaning.CONFIRM: _confirm, Meaning.CANCEL: _cancel, Meaning.CHANGE: _change}
