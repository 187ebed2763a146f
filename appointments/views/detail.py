"""One visit: its facts, what is open on arrival, its history, its reminders and its messages."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Prefetch, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from appointments import no_shows, selectors
from appointments.models import Appointment, AppointmentEvent, ConfirmationToken, Reminder
from appointments.reminders import family
from appointments.states import AWAITED, Verb, legal_moves
from appointments.views.history import history_of, reminders_of
from appointments.views.verbs import MOVES, Move
from core import looks
from core.access import Can, allows, get_or_404, require
from core.arrival import open_points
from core.models import Look, SubFile, User
from core.models.tenant import in_language
from notifications import desk_tasks, registry
from notifications.models import Message
from notifications.states import Status, TaskKind

S = Appointment.Status
# The checks matter until the patient is with the provider.
_BEFORE_THE_VISIT = AWAITED | {S.ARRIVED}
# The next step of the day; the first of these that is legal is the one filled button.
_FORWARD = (Verb.COMPLETE, Verb.START, Verb.ARRIVE, Verb.CONFIRM, Verb.REINSTATE, Verb.CORRECT_NO_SHOW)
# The messages of a move appear within a second or two; after these the card stops asking.
_JUST_NOW = dt.timedelta(seconds=30)
_MOVING = frozenset({Status.QUEUED, Status.SENDING})
_GIVE_UP = dt.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class MessageLine:
    message: Message
    title: str


@require(Can.SEE_APPOINTMENTS)
@require_safe
def detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    return render_detail(request, pk)


@require(Can.SEE_APPOINTMENTS)
@require_safe
def checks(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """What is open for one arrived patient; the provider's day asks for it row by row."""
    appointment = get_or_404(selectors.appointments_for(request.user), pk)
    context = {"appointment": appointment, "checks": open_points(appointment)}
    return render(request, "appointments/partials/appointment_checks.html", context)


@require(Can.SEE_MESSAGES)
@require_safe
def messages(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The messages' card; it asks for itself until they have left."""
    appointment = get_or_404(selectors.appointments_for(request.user), pk)
    context = {"appointment": appointment, **_messages(appointment, request.user)}
    return render(request, "appointments/partials/appointment_messages.html", context)


def render_detail(request: HttpRequest, pk: uuid.UUID, *, refused: str = "", status: int = 200) -> HttpResponse:
    """The page; ``refused`` is a wish the rules said no to, shown on top of the state as it really is."""
    user = request.user
    appointment = get_or_404(_rows(user), pk)
    context: dict[str, Any] = {"appointment": appointment, "refused": refused, **_buttons(appointment, user)}
    context["is_desk"] = is_desk = allows(user, Can.MANAGE_APPOINTMENTS)
    context["checks"] = open_points(appointment) if appointment.status in _BEFORE_THE_VISIT else []
    context["invoices"] = list(appointment.invoices.order_by("created_at")) if allows(user, Can.TAKE_PAYMENTS) else []
    if allows(user, Can.SEE_MESSAGES):
        context.update(_messages(appointment, user))
    context["wish"] = _wish(appointment) if is_desk and appointment.status in AWAITED else None
    context["may_wait"] = appointment.status in AWAITED
    if is_desk and appointment.status == S.NO_SHOW:
        context["may_follow_up"] = no_shows.may_follow_up(appointment)
        context["follow_up"] = no_shows.planned_for(appointment)
    if is_desk and appointment.link_code and appointment.status in AWAITED:
        context["link"] = f"{settings.PUBLIC_BASE_URL}{reverse('appointments:link', args=[appointment.link_code])}"
    context["history"] = history_of(appointment.events.all())
    context["reminders"] = reminders_of(appointment.reminders.all())
    return render(request, "appointments/detail.html", context, status=status)


def _wish(appointment: Appointment) -> dict[str, Any] | None:
    """That the patient would rather come at another time, and at which; None: nobody has asked."""
    task = desk_tasks.open_about(appointment.pk, {TaskKind.REBOOK}).first()
    if task is None:
        return None
    return {"times": [dt.datetime.fromisoformat(time) for time in task.details.get("times", [])]}


def _messages(appointment: Appointment, user: User) -> dict[str, Any]:
    """Everything that was sent, or refused, about this visit, the latest first; and whether to look again soon."""
    looks.record_look(user=user, patient=appointment.patient, page=Look.Page.APPOINTMENT)
    now = timezone.now()
    rows = list(
        Message.objects.filter(object_id__in=family.told_by(appointment))
        .select_related("user", "guardian", "event")
        .order_by("-created_at", "-pk")
    )
    is_moving = any(row.status in _MOVING and row.created_at > now - _GIVE_UP for row in rows)
    return {
        "appointment_messages": [MessageLine(message, _title(message)) for message in rows],
        "is_live": is_moving or (appointment.updated_at > now - _JUST_NOW and not appointment.is_silent),
    }


def _title(message: Message) -> str:
    """What the message is about: the name of its event, else its type."""
    if message.event is None:
        return str(message.get_notification_type_display())
    entry = registry.get(message.event.key)
    return in_language(entry.name_en, entry.name_ar)


def _rows(user: User) -> QuerySet[Appointment]:
    """The visit with its sub-file's number, its open link, its history and its reminders."""
    subfile = SubFile.objects.filter(patient=OuterRef("patient"), department=OuterRef("department"))
    token = ConfirmationToken.objects.filter(
        appointment=OuterRef("pk"),
        version=OuterRef("version"),
        revoked_at=None,
        used_at=None,
        expires_at__gt=timezone.now(),
    )
    return (
        selectors.appointments_for(user)
        .annotate(
            subfile_number=Subquery(subfile.values("number")[:1]),
            link_code=Subquery(token.values("code")[:1]),
            is_link_locked=Exists(
                ConfirmationToken.objects.filter(appointment=OuterRef("pk"), locked_at__isnull=False)
            ),
        )
        .prefetch_related(
            Prefetch("events", AppointmentEvent.objects.select_related("actor").order_by("-created_at", "-pk")),
            Prefetch("reminders", Reminder.objects.order_by("-version", "due_at")),
        )
    )


def _buttons(appointment: Appointment, user: User) -> dict[str, Any]:
    """The legal moves: the one filled button, the others, and whether results can be announced."""
    moves: list[Move] = [MOVES[verb.value] for verb in legal_moves(appointment, user)]
    by_verb = {move.verb: move for move in moves}
    is_today = appointment.local_start.date() <= timezone.localdate(timezone=appointment.location.zone)
    forward = [verb for verb in _FORWARD if verb is not Verb.ARRIVE or is_today]
    primary = next((by_verb[verb] for verb in forward if verb in by_verb), None)
    return {
        "primary": primary,
        "moves": [move for move in moves if move is not primary],
        "can_tell_results": appointment.status in (S.IN_PROGRESS, S.COMPLETED),
    }
