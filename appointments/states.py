"""The legal moves of an appointment: the one table, who may make them, and when.

The rules are those of the clinic's domain; ``services`` carry the moves out. A move that is not in ``ALLOWED`` raises
``IllegalMove`` with a sentence that names both states. Data and pure functions: no query is made here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from enum import StrEnum

from django.utils import timezone
from django.utils.translation import gettext as _

from appointments.models import Appointment
from core.access import Can, allows
from core.errors import DomainError
from core.models import Role, User
from core.permissions import NotAllowed

S = Appointment.Status

# A patient who is a little late has not stayed away.
NO_SHOW_GRACE = dt.timedelta(minutes=15)
# Long enough to notice the wrong line was clicked; after it the provider may have acted on the alert.
UNDO_ARRIVAL_WITHIN = dt.timedelta(minutes=15)
# Many no-shows are slips at the desk; after two days the figures of that day are settled.
CORRECT_NO_SHOW_WITHIN = dt.timedelta(hours=48)


class Verb(StrEnum):
    """The moves, as the buttons and the address of the page name them."""

    CONFIRM = "confirm"
    UNCONFIRM = "unconfirm"
    RESCHEDULE = "reschedule"
    ARRIVE = "arrive"
    UNDO_ARRIVAL = "undo_arrival"
    START = "start"
    COMPLETE = "complete"
    REOPEN = "reopen"
    CANCEL = "cancel"
    REINSTATE = "reinstate"
    NO_SHOW = "no_show"
    CORRECT_NO_SHOW = "correct_no_show"
    VOID = "void"


_STILL_TO_COME: Mapping[str, Verb] = {
    S.CONFIRMED: Verb.CONFIRM,
    S.RESCHEDULED: Verb.RESCHEDULE,
    S.ARRIVED: Verb.ARRIVE,
    S.CANCELLED: Verb.CANCEL,
    S.NO_SHOW: Verb.NO_SHOW,
    S.ENTERED_IN_ERROR: Verb.VOID,
}
# from → to → the verb that leads there. What is not here is refused.
ALLOWED: Mapping[str, Mapping[str, Verb]] = {
    S.BOOKED: _STILL_TO_COME,
    # Behaves exactly like BOOKED, with a new version; it may move again.
    S.RESCHEDULED: _STILL_TO_COME,
    S.CONFIRMED: {
        S.BOOKED: Verb.UNCONFIRM,
        S.RESCHEDULED: Verb.RESCHEDULE,
        S.ARRIVED: Verb.ARRIVE,
        S.CANCELLED: Verb.CANCEL,
        S.NO_SHOW: Verb.NO_SHOW,
        S.ENTERED_IN_ERROR: Verb.VOID,
    },
    S.ARRIVED: {
        S.IN_PROGRESS: Verb.START,
        S.CANCELLED: Verb.CANCEL,
        # Back to where it came from, and nowhere else (``services.appointment_undo_arrival``).
        S.BOOKED: Verb.UNDO_ARRIVAL,
        S.CONFIRMED: Verb.UNDO_ARRIVAL,
        S.RESCHEDULED: Verb.UNDO_ARRIVAL,
        S.ENTERED_IN_ERROR: Verb.VOID,
    },
    S.IN_PROGRESS: {S.COMPLETED: Verb.COMPLETE, S.CANCELLED: Verb.CANCEL, S.ENTERED_IN_ERROR: Verb.VOID},
    S.COMPLETED: {S.IN_PROGRESS: Verb.REOPEN, S.ENTERED_IN_ERROR: Verb.VOID},
    S.CANCELLED: {S.BOOKED: Verb.REINSTATE, S.ENTERED_IN_ERROR: Verb.VOID},
    S.NO_SHOW: {S.ARRIVED: Verb.CORRECT_NO_SHOW, S.COMPLETED: Verb.CORRECT_NO_SHOW, S.ENTERED_IN_ERROR: Verb.VOID},
    S.ENTERED_IN_ERROR: {},
}

# The visit is still to come; it can be reminded, confirmed by link, moved.
AWAITED = frozenset({S.BOOKED, S.CONFIRMED, S.RESCHEDULED})
# The visit takes the provider's time.
OCCUPYING = AWAITED | {S.ARRIVED, S.IN_PROGRESS}

_CAPABILITY: Mapping[Verb, Can] = {
    Verb.START: Can.TREAT,
    Verb.COMPLETE: Can.TREAT,
    Verb.REOPEN: Can.ADMINISTER,
    Verb.VOID: Can.ADMINISTER,
}


class IllegalMove(DomainError):
    """The state machine does not know this move."""

    def __init__(self, status: str, wanted: str) -> None:
        super().__init__(
            _("This appointment is “%(status)s”, so it cannot become “%(wanted)s”.")
            % {"status": S(status).label, "wanted": S(wanted).label},
            code="illegal_move",
        )


def verb_for(status: str, wanted: str) -> Verb:
    """The verb that leads from one status to the other, or ``IllegalMove``."""
    verb = ALLOWED[status].get(wanted)
    if verb is None:
        raise IllegalMove(status, wanted)
    return verb


def check_move(appointment: Appointment, wanted: str, verb: Verb, now: dt.datetime) -> None:
    """Raises ``IllegalMove`` or the refusal of the verb's guard."""
    if verb_for(appointment.status, wanted) is not verb:
        raise IllegalMove(appointment.status, wanted)
    refusal = too_early_or_late(appointment, verb, now)
    if refusal is not None:
        raise refusal


def check_actor(appointment: Appointment, verb: Verb, actor: User) -> None:
    """Raises ``NotAllowed`` for the wrong tenant, the wrong role, or another provider's visit."""
    if appointment.tenant_id != actor.tenant_id or not actor.is_active:
        raise NotAllowed
    capability = _CAPABILITY.get(verb, Can.MANAGE_APPOINTMENTS)
    if verb is Verb.CANCEL and appointment.status == S.IN_PROGRESS:
        capability = Can.ADMINISTER
    if not allows(actor, capability):
        raise NotAllowed
    if actor.role == Role.PROVIDER and appointment.provider_id != actor.pk:
        raise NotAllowed(_("This appointment is with another provider."))


def too_early_or_late(appointment: Appointment, verb: Verb, now: dt.datetime) -> DomainError | None:
    """The refusal of the clock, or None."""
    guard = _GUARDS.get(verb)
    return guard(appointment, now) if guard is not None else None


def legal_moves(appointment: Appointment, user: User, now: dt.datetime | None = None) -> list[Verb]:
    """The verbs this user may use on this appointment now, in the order of the buttons. Makes no query."""
    now = now or timezone.now()
    possible = set(ALLOWED[appointment.status].values())
    moves = []
    for verb in Verb:
        if verb not in possible or too_early_or_late(appointment, verb, now) is not None:
            continue
        try:
            check_actor(appointment, verb, user)
        except NotAllowed:
            continue
        moves.append(verb)
    return moves


def _before_start(appointment: Appointment, now: dt.datetime) -> DomainError | None:
    if now < appointment.starts_at:
        return None
    return DomainError(_("The appointment has already begun or is over."), code="already_begun")


def _after_grace(appointment: Appointment, now: dt.datetime) -> DomainError | None:
    if now >= appointment.starts_at + NO_SHOW_GRACE:
        return None
    return DomainError(
        _("A no-show can be noted %(minutes)d minutes after the start at the earliest.")
        % {"minutes": NO_SHOW_GRACE.total_seconds() // 60},
        code="too_early",
    )


def _soon_after_arrival(appointment: Appointment, now: dt.datetime) -> DomainError | None:
    if appointment.arrived_at is None or now <= appointment.arrived_at + UNDO_ARRIVAL_WITHIN:
        return None
    return DomainError(
        _("An arrival can be taken back within %(minutes)d minutes. Cancel the appointment instead.")
        % {"minutes": UNDO_ARRIVAL_WITHIN.total_seconds() // 60},
        code="too_late",
    )


def _soon_after_no_show(appointment: Appointment, now: dt.datetime) -> DomainError | None:
    if appointment.no_show_at is None or now <= appointment.no_show_at + CORRECT_NO_SHOW_WITHIN:
        return None
    return DomainError(
        _("A no-show can be corrected within %(hours)d hours.")
        % {"hours": CORRECT_NO_SHOW_WITHIN.total_seconds() // 3600},
        code="too_late",
    )


_GUARDS: Mapping[Verb, Callable[[Appointment, dt.datetime], DomainError | None]] = {
    Verb.CONFIRM: _before_start,
    Verb.REINSTATE: _before_start,
    Verb.NO_SHOW: _after_grace,
    Verb.UNDO_ARRIVAL: _soon_after_arrival,
    Verb.CORRECT_NO_SHOW: _soon_after_no_show,
}
