"""The patient's link: a short random code for one version of one visit, until it starts.

With it the patient confirms (once), calls off, asks for another time, or takes one where the clinic group allows it. Opening
the link only shows (link previews must not confirm); acting is a POST that ends here. The row of the visit is locked before its
token is looked at, so of two clicks, or of a click and a move at the desk, one comes second and is told so.

At a sensitive place the code alone opens nothing: ``second_question.py``.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Sequence

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from appointments import services, slots
from appointments.models import Appointment, ConfirmationToken
from appointments.services.common import locked
from appointments.states import AWAITED
from core import phone, tenant_settings
from core.errors import DomainError
from core.tenancy import system_scope, tenant_scope
from notifications import desk_tasks, events
from notifications.states import TaskKind

S = Appointment.Status

# No 0 and o, no 1, i and l: people read codes out. 31 ** 11 is 54 bits, far too many to try.
ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
CODE_LENGTH = 11
# Whoever wishes for another time hears from the desk within a day.
WISH_WITHIN = dt.timedelta(days=1)
MOST_WISHES = 5


def issue(appointment: Appointment) -> ConfirmationToken:
    """A fresh code for the visit's version; all others of the visit are dead from now on."""
    revoke(appointment)
    token, _is_new = ConfirmationToken.objects.update_or_create(
        appointment=appointment,
        version=appointment.version,
        defaults={
            "tenant_id": appointment.tenant_id,
            "code": "".join(secrets.choice(ALPHABET) for _letter in range(CODE_LENGTH)),
            "expires_at": appointment.starts_at,
            "used_at": None,
            "revoked_at": None,
            # Of the code: who was given one before knows another.
            "created_at": timezone.now(),
        },
    )
    return token


def revoke(appointment: Appointment) -> int:
    """Kills every code of the visit that is still alive."""
    return ConfirmationToken.objects.filter(appointment=appointment, revoked_at=None).update(revoked_at=timezone.now())


def revive(appointment: Appointment, *, unused: bool = False) -> int:
    """A step back within one version: the link the patient already has works again (``unused``: once more)."""
    fields: dict[str, None] = {"revoked_at": None, "used_at": None} if unused else {"revoked_at": None}
    return ConfirmationToken.objects.filter(appointment=appointment, version=appointment.version).update(**fields)


def link_for(appointment: Appointment) -> str:
    """The absolute address of the patient's page for the current version."""
    token = ConfirmationToken.objects.filter(appointment=appointment, version=appointment.version).first()
    return address(token or issue(appointment))


def address(token: ConfirmationToken) -> str:
    """Without a slash at the end, which would jump to the other side of the link in an Arabic text."""
    return f"{settings.PUBLIC_BASE_URL}/c/{token.code}"


def find(code: str) -> ConfirmationToken | None:
    """The token with its visit, whatever its state; None for an unknown code, a suspended clinic group, and a file of which
    nothing may be said to anybody.
    """
    with system_scope("the code tells the tenant: a patient opens the link without an account"):
        return (
            ConfirmationToken.objects.select_related(
                "tenant",
                "appointment__tenant",
                "appointment__patient__tenant",
                "appointment__provider",
                "appointment__location",
                "appointment__department",
            )
            .filter(
                code=code.strip().lower(),
                tenant__is_active=True,
                appointment__patient__deceased_at=None,
                appointment__patient__is_restricted=False,
            )
            .first()
        )


def refusal(token: ConfirmationToken, now: dt.datetime | None = None) -> DomainError | None:
    """Why the link cannot act any more, in a sentence for the patient; None while it can. Makes no query."""
    appointment = token.appointment
    call = phone.display(appointment.location.phone) or _("the clinic")
    if appointment.status == S.CANCELLED:
        return DomainError(
            _("This appointment was cancelled. To book a new one, call %(phone)s.") % {"phone": call},
            code="appointment_cancelled",
        )
    if token.version != appointment.version:
        return DomainError(
            _("This appointment was moved. Please use the link in the latest message."), code="appointment_moved"
        )
    if (now or timezone.now()) >= token.expires_at:
        return DomainError(
            _("This link has expired, because the time of the appointment has passed. Questions? Call %(phone)s.")
            % {"phone": call},
            code="link_expired",
        )
    if token.revoked_at is not None or appointment.status not in AWAITED:
        return DomainError(
            _("This link is no longer needed. Questions? Call %(phone)s.") % {"phone": call}, code="link_revoked"
        )
    return None


def confirm_by_link(code: str) -> Appointment:
    """The patient confirms. Raises ``DomainError`` with a sentence for the patient."""
    token = _found(code)
    with tenant_scope(token.tenant_id), transaction.atomic():
        _use(token, once=True)
        appointment = services.appointment_confirm(appointment_id=token.appointment_id, actor=None)
        events.record(
            "appointment.confirmed_by_patient",
            tenant_id=appointment.tenant_id,
            dedupe=str(token.pk),
            obj=appointment,
            version=appointment.version,
        )
        return appointment


def cancel_by_link(code: str, reason: str = "") -> Appointment:
    """The patient calls the visit off. Raises ``DomainError`` with a sentence for the patient."""
    token = _found(code)
    with tenant_scope(token.tenant_id), transaction.atomic():
        _use(token)
        return services.appointment_cancel(
            appointment_id=token.appointment_id, actor=None, reason=reason, by=Appointment.CancelledBy.PATIENT
        )


def move_by_link(code: str, starts_at: dt.datetime) -> Appointment:
    """The patient takes another free time, where the clinic group allows it: moved and confirmed in one.

    Raises ``DomainError`` with a sentence for the patient.
    """
    token = _found(code)
    with tenant_scope(token.tenant_id), transaction.atomic():
        _use(token)
        now = timezone.now()
        if not slots.may_move(token.appointment, tenant_settings.of(token.tenant_id), now):
            raise DomainError(_("Please ask the clinic for another time."), code="move_not_allowed")
        if not slots.is_free(token.appointment, starts_at, now=now):
            raise DomainError(_("This time is no longer free. Please choose another one."), code="time_taken")
        try:
            services.appointment_reschedule(
                appointment_id=token.appointment_id, actor=None, starts_at=starts_at, confirmed_with_it=True
            )
        except DomainError as error:
            # Between the look and the provider's lock somebody else was faster. Their words name the provider.
            raise DomainError(
                _("This time is no longer free. Please choose another one."), code="time_taken"
            ) from error
        return services.appointment_confirm(appointment_id=token.appointment_id, actor=None)


def wish_by_link(code: str, times: Sequence[dt.datetime] = ()) -> Appointment:
    """The patient would rather come at another time: a task for the desk. The visit stays until somebody moves it.

    Raises ``DomainError`` with a sentence for the patient.
    """
    token = _found(code)
    with tenant_scope(token.tenant_id), transaction.atomic():
        _use(token, is_answer=False)
        appointment = token.appointment
        # What was wished for before holds no longer: the desk has one task a visit, with the latest wish.
        desk_tasks.end_by_key(TaskKind.REBOOK, str(appointment.pk))
        desk_tasks.open_task(
            TaskKind.REBOOK,
            tenant_id=appointment.tenant_id,
            key=str(appointment.pk),
            patient=appointment.patient,
            obj=appointment,
            location=appointment.location,
            due_at=min(appointment.starts_at, timezone.now() + WISH_WITHIN),
            details={"asked_by": "link", "times": [time.isoformat() for time in times[:MOST_WISHES]]},
        )
        return appointment


def _found(code: str) -> ConfirmationToken:
    token = find(code)
    if token is None:
        raise DomainError(
            _("This link is not valid. Please check that you have opened the whole address."), code="link_unknown"
        )
    return token


def _use(token: ConfirmationToken, *, once: bool = False, is_answer: bool = True) -> None:
    """Marks the token used, or raises. The visit is locked first: everybody locks in this order.

    ``once``: the answer counts one time. Who has confirmed may still call off or ask for another time, which is no answer.
    """
    token.appointment = locked(token.appointment_id)
    token.refresh_from_db(fields=["code", "used_at", "revoked_at", "expires_at"])
    refused = refusal(token)
    if refused is not None:
        raise refused
    if once and token.used_at is not None and token.appointment.status == S.CONFIRMED:
        raise DomainError(_("This appointment is already confirmed."), code="already_confirmed")
    if not is_answer:
        return
    token.used_at = timezone.now()
    token.save(update_fields=["used_at"])
