"""A person takes back a message that has not left yet."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import User
from core.permissions import demand
from notifications import lifecycle
from notifications.models import Message
from notifications.states import CANCELLABLE, Reason, Status


def can_cancel(message: Message) -> bool:
    """It waits to be sent, for the first time or again."""
    return message.status in CANCELLABLE and message.next_attempt_at is not None


@transaction.atomic
def cancel(*, message: Message, actor: User) -> None:
    """Ends it as withdrawn, and no other channel takes over. Refused once a worker has it: then it may be on its way."""
    demand(actor, Can.SEND_MESSAGES, message)
    moved = lifecycle.move(
        message.pk,
        Status.CANCELLED,
        only_from=CANCELLABLE,
        where=Q(next_attempt_at__isnull=False),
        fields={
            "reason": Reason.WITHDRAWN,
            "next_attempt_at": None,
            "fallback_due_at": None,
            "fallback_channels": [],
        },
        error=str(Reason.WITHDRAWN),
        actor=actor,
    )
    if not moved:
        raise DomainError(_("It is too late: this message is being sent or has ended."), code="cancel_too_late")
    audit.record(
        tenant_id=message.tenant_id,
        actor=actor,
        action="message.cancelled",
        obj=message,
        before={"status": message.status},
        after={"status": Status.CANCELLED.value},
    )
