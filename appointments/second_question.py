"""At a sensitive place the patient's link alone shows nothing: who opens it must know the date of birth of the patient.

A phone is shared and a message is forwarded; so before a word is shown, the link asks. Five wrong answers lock it, and the
desk calls the patient. The tries are counted under the token's lock, so that guesses made at once are counted one by one.
An answer that is right is remembered for half an hour, for that link and in that browser only (``views/link``).
"""

from __future__ import annotations

import datetime as dt
import uuid

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from appointments import selectors
from appointments.models import Appointment, ConfirmationToken
from core import audit, discretion
from core.access import Can
from core.errors import DomainError
from core.models import User
from core.permissions import demand
from core.tenancy import tenant_scope
from notifications import desk_tasks
from notifications.states import TaskKind

# A parent of four who confuses the birthdays gets in; a stranger among 30,000 days does not.
MOST_TRIES = 5


def is_asked(token: ConfirmationToken) -> bool:
    return discretion.is_discreet(token.appointment.location)


def is_locked(token: ConfirmationToken) -> bool:
    return token.locked_at is not None


def answer(token: ConfirmationToken, birth_date: dt.date) -> bool:
    """Whether that is the patient's date of birth. The fifth wrong one locks the link; a locked one is never right."""
    with tenant_scope(token.tenant_id), transaction.atomic():
        row = ConfirmationToken.objects.select_for_update(of=("self",)).get(pk=token.pk)
        if is_locked(row):
            return False
        is_right = token.appointment.patient.birth_date == birth_date
        if is_right:
            row.wrong_tries = 0
        else:
            row.wrong_tries += 1
            if row.wrong_tries >= MOST_TRIES:
                row.locked_at = timezone.now()
                _tell_the_desk(token.appointment)
        row.save(update_fields=["wrong_tries", "locked_at"])
        return is_right


@transaction.atomic
def unlock(*, actor: User, appointment_id: uuid.UUID) -> Appointment:
    """The desk has spoken to the patient: the link asks again."""
    appointment = selectors.appointments_for(actor).get(pk=appointment_id)
    demand(actor, Can.MANAGE_APPOINTMENTS, appointment)
    tokens = ConfirmationToken.objects.filter(appointment=appointment, locked_at__isnull=False)
    if not tokens.update(locked_at=None, wrong_tries=0):
        raise DomainError(_("This link is not locked."), code="not_locked")
    desk_tasks.end_by_key(TaskKind.CALL, _key(appointment))
    audit.record(tenant_id=appointment.tenant_id, actor=actor, action="appointment.link_unlocked", obj=appointment)
    return appointment


def _tell_the_desk(appointment: Appointment) -> None:
    desk_tasks.open_task(
        TaskKind.CALL,
        tenant_id=appointment.tenant_id,
        key=_key(appointment),
        patient=appointment.patient,
        obj=appointment,
        location=appointment.location,
        due_at=appointment.starts_at,
        details={"because": "link_locked"},
    )
    audit.record(tenant_id=appointment.tenant_id, actor=None, action="appointment.link_locked", obj=appointment)


def _key(appointment: Appointment) -> str:
    return f"link:{appointment.pk}"
