"""What the home pages show, one function a role. Roof: may import every app. Each makes a fixed number of queries."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q
from django.utils import timezone

from appointments import selectors as visits
from appointments.models import Appointment, ConfirmationToken
from appointments.states import AWAITED
from core import arrival
from core.models import Patient, User
from core.selectors import unreachable, zone_of
from integrations.messaging_service import MessagingService
from notifications import cards, gate, inbox, selectors
from notifications.models import Message
from notifications.states import NEVER_LEFT, Channel, Status

S = Appointment.Status
# Longer lists belong to the pages behind the links.
UP_NEXT = 8
ATTENTION = 8
# As far ahead as the desk can still mend an address in peace.
_HORIZON = dt.timedelta(days=7)
_NOT_YET_CONFIRMED = (S.BOOKED, S.RESCHEDULED)
# The day's visits as people count them: neither called off nor a slip.
_COUNTED = Q(status__in=[status for status in S.values if status not in (S.CANCELLED, S.ENTERED_IN_ERROR)])
_CONFIRMED = Q(status__in=(S.CONFIRMED, S.ARRIVED, S.IN_PROGRESS, S.COMPLETED))
_UNDELIVERED = (Status.FAILED, Status.BOUNCED)


@dataclass(frozen=True, slots=True)
class Line:
    """A visit with the copy of its latest news that tells the desk most; ``message`` is None when nothing was sent."""

    appointment: Appointment
    message: Message | None


@dataclass(frozen=True, slots=True)
class Attention:
    """One line of “Needs attention”. ``kind`` is untold, unreachable or unconfirmed, the worst first."""

    kind: str
    appointment: Appointment
    message: Message | None = None


def front_desk(user: User) -> dict[str, Any]:
    """The day at the front desk; for admins also the messages of the last seven days."""
    now = timezone.now()
    first, after = visits.day_bounds(visits.today(user), zone_of(user))
    day = Appointment.objects.filter(starts_at__gte=first, starts_at__lt=after)
    counts = day.aggregate(
        visits=Count("pk", filter=_COUNTED),
        confirmed=Count("pk", filter=_CONFIRMED),
        awaiting=Count("pk", filter=Q(status__in=_NOT_YET_CONFIRMED, starts_at__gt=now)),
        left=Count("pk", filter=Q(status__in=AWAITED, ends_at__gt=now)),
    )
    next_visits = list(
        visits.appointments_for(user)
        .filter(starts_at__gte=first, starts_at__lt=after, status__in=AWAITED, ends_at__gt=now)
        .order_by("starts_at", "pk")[:UP_NEXT]
    )
    worrying = _worrying(user, now, tomorrow_ends=after + dt.timedelta(days=1))
    sent = selectors.by_object({visit.pk for visit in [*next_visits, *worrying]})
    attention = _attention(worrying, sent, tomorrow_ends=after + dt.timedelta(days=1))
    return {
        "today": visits.today(user),
        "counts": counts,
        "confirmed_share": round(100 * counts["confirmed"] / counts["visits"]) if counts["visits"] else 0,
        "undelivered": Message.objects.filter(
            status__in=_UNDELIVERED, failed_at__gte=now - dt.timedelta(hours=24)
        ).count(),
        "up_next": [Line(visit, selectors.telling(sent.get(visit.pk, []))) for visit in next_visits],
        "attention": attention[:ATTENTION],
        "attention_left": max(0, len(attention) - ATTENTION),
        "location": user.location,
    }


def message_totals(user: User, days: int = 7) -> dict[str, Any]:
    """The admins' card: totals by channel and by status, in the order of the lists, without the empty ones."""
    assert user.tenant_id is not None
    figures = MessagingService().get_message_statistics(tenant_id=user.tenant_id, days=days)
    return {
        **figures,
        "channels": [(channel, figures["by_channel"].get(channel, 0)) for channel in Channel],
        "statuses": [
            (status, status.label, figures["by_status"][status])
            for status in Status
            if figures["by_status"].get(status)
        ],
    }


def provider(user: User) -> dict[str, Any]:
    """The provider's own day: who is waiting, who comes next, what is open for that one."""
    now = timezone.now()
    rows = list(visits.day_of(user).exclude(status__in=(S.CANCELLED, S.ENTERED_IN_ERROR)))
    waiting = [row for row in rows if row.status == S.ARRIVED]
    coming = [row for row in rows if row.status in AWAITED and row.ends_at > now]
    inside = [row for row in rows if row.status == S.IN_PROGRESS]
    # Who has waited longest comes first, then whoever is booked next.
    following = next(iter([*sorted(waiting, key=lambda row: row.arrived_at or row.starts_at), *coming]), None)
    return {
        "today": visits.today(user),
        "visits": rows,
        "waiting": len(waiting),
        "done": sum(1 for row in rows if row.status == S.COMPLETED),
        "inside": inside[0] if inside else None,
        "following": following,
        "checks": arrival.open_points(following) if following is not None else [],
        "notifications": cards.freshen(list(inbox.for_user(user).filter(is_read=False)[:5])),
    }


def patient(user: User) -> dict[str, Any]:
    """The patient's own page: visits to come with their links, the messages' texts, the preferences."""
    person = Patient.objects.select_related("tenant").filter(user=user).first()
    if person is None:
        return {"patient": None}
    upcoming = list(visits.upcoming(user)[:10])
    codes = _codes(upcoming)
    return {
        "patient": person,
        "upcoming": [
            {"visit": visit, "code": codes.get(visit.pk, ""), "is_open": visit.status in _NOT_YET_CONFIRMED}
            for visit in upcoming
        ],
        "sent_messages": selectors.messages_of(person).exclude(status__in=NEVER_LEFT | {Status.QUEUED, Status.SENDING})[
            :5
        ],
        "preference": gate.preference_of(person),
    }


def _codes(upcoming: list[Appointment]) -> dict[uuid.UUID, str]:
    """Visit → the code of its link, while the link can still act."""
    versions = {visit.pk: visit.version for visit in upcoming}
    tokens = ConfirmationToken.objects.filter(
        appointment__in=list(versions), used_at=None, revoked_at=None, expires_at__gt=timezone.now()
    )
    return {token.appointment_id: token.code for token in tokens if versions[token.appointment_id] == token.version}


def _worrying(user: User, now: dt.datetime, tomorrow_ends: dt.datetime) -> list[Appointment]:
    """Visits of the next days that somebody may have to look at, the next first."""
    trouble = Message.objects.filter(object_id=OuterRef("pk"), patient__isnull=False).exclude(
        status__in=selectors.UNDER_WAY
    )
    out_of_reach = Patient.objects.filter(pk=OuterRef("patient")).filter(unreachable(user.tenant))
    rows = (
        visits.appointments_for(user)
        .filter(status__in=AWAITED, starts_at__gt=now, starts_at__lt=now + _HORIZON)
        .annotate(is_out_of_reach=Exists(out_of_reach))
        .filter(
            Q(Exists(trouble)) | Q(is_out_of_reach=True) | Q(status__in=_NOT_YET_CONFIRMED, starts_at__lt=tomorrow_ends)
        )
        .order_by("starts_at", "pk")
    )
    # A page of worries is enough; the list of appointments has the rest.
    return list(rows[:100])


def _attention(
    worrying: list[Appointment], sent: dict[uuid.UUID, list[Message]], *, tomorrow_ends: dt.datetime
) -> list[Attention]:
    """One line a visit, by its worst trouble; the worst first, then by time."""
    lines = []
    for visit in worrying:
        message = selectors.untold(selectors.latest_news(sent.get(visit.pk, [])))
        if visit.is_out_of_reach:
            lines.append(Attention("unreachable", visit, message))
        elif message is not None:
            lines.append(Attention("untold", visit, message))
        elif visit.status in _NOT_YET_CONFIRMED and visit.starts_at < tomorrow_ends:
            lines.append(Attention("unconfirmed", visit))
    order = {"untold": 0, "unreachable": 1, "unconfirmed": 2}
    return sorted(lines, key=lambda line: (order[line.kind], line.appointment.starts_at))
