"""“Send a test”: one real message to the admin's own phone or mailbox, through one very provider or account.

It takes the way of every message (queue, claim, adapter, receipt), so what it proves holds for the others.
"""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from core import audit, phone
from core.access import Can
from core.errors import DomainError
from core.models import User
from core.permissions import NotAllowed, demand
from integrations import credentials, outbox
from integrations.outbox import Origin
from notifications import trials
from notifications.models import Message
from notifications.states import Channel, Lane, NotificationType

# A test costs money and goes to any number that an admin types.
MOST = 5
WITHIN = dt.timedelta(minutes=10)
# Whoever waits at the screen has gone by then.
USEFUL_FOR = dt.timedelta(minutes=10)


@transaction.atomic
def trial_send(*, actor: User, provider: str, channel: str, number: str = "") -> Message:
    """Queues the test. ``number`` is the admin's phone (SMS, WhatsApp); an email goes to the address of their account.

    Raises DomainError: the provider does not carry the channel here, the number is none, too many tests.
    """
    demand(actor, Can.MANAGE_SETTINGS)
    if actor.tenant_id is None:
        raise NotAllowed
    carriers = {one.name for one in credentials.providers_for(channel, actor.tenant_id)}
    if provider not in carriers:
        raise DomainError(_("This channel is not set up. Save the account first."), code="provider_unknown")
    User.objects.select_for_update(no_key=True).get(pk=actor.pk)
    lately = Message.objects.filter(trials.IS_TRIAL, user=actor, created_at__gte=timezone.now() - WITHIN)
    if lately.count() >= MOST:
        raise DomainError(
            _("That were %(count)d tests in ten minutes. Please wait a little.") % {"count": MOST}, code="too_many"
        )
    recipient = actor.email if channel == Channel.EMAIL else phone.to_e164(number)
    with translation.override(actor.language):
        subject = _("Test message") if channel == Channel.EMAIL else ""
        body = _("This is a test from %(clinic)s. Messages of this kind arrive here.") % {
            "clinic": actor.tenant.name if actor.tenant is not None else ""
        }
    message = outbox.write(
        Message(
            tenant_id=actor.tenant_id,
            user=actor,
            channel=channel,
            notification_type=NotificationType.STAFF,
            recipient=recipient,
            language=actor.language,
            subject=subject,
            body=body,
            dedupe_key=trials.new_key(provider),
        ),
        origin=Origin(sent_by=actor, useful_until=timezone.now() + USEFUL_FOR, lane=Lane.URGENT),
        refusal=None,
        template=None,
        context={},
    )
    audit.record(
        tenant_id=actor.tenant_id,
        actor=actor,
        action="provider.tested",
        obj=message,
        after={"provider": provider, "channel": channel},
    )
    return message
