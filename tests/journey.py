"""From the verb to the provider, without a worker: what is due is fanned out and handed over, as the sweepers do it."""

from __future__ import annotations

from django.utils import timezone

from core.tenancy import active_tenant_ids, tenant_scope
from integrations import delivery
from integrations.fanout import process_event
from integrations.sms_providers import Outgoing
from integrations.tests.fakes import FakeProvider
from notifications import events
from notifications.states import Lane


def send_all(provider: FakeProvider) -> list[Outgoing]:
    """Everything that is due leaves; what the provider was given since the last look."""
    before = len(provider.calls)
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            # Bells whose doorbell nobody heard are found after a few seconds; here at once.
            waiting = events.NotificationEvent.objects.filter(processed_at=None).order_by("created_at", "pk")
            for event in list(waiting):
                if event.due_at is None or event.due_at <= timezone.now():
                    process_event(tenant_id, event.pk)
    for lane in (Lane.URGENT, Lane.TRANSACTIONAL):
        delivery.drain(lane)
    return provider.calls[before:]


def to(calls: list[Outgoing], address: str) -> list[Outgoing]:
    return [call for call in calls if call.to == address]
