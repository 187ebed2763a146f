"""From one event to its messages and bell rows, exactly once: who gets it, over which channels (the registry says).

Runs in a worker after the commit of the event. Everything it writes and the mark ``processed_at`` are one
transaction, and every row has a unique key, so running twice or at once writes nothing twice.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Sequence
from dataclasses import replace

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from core.contacts import Contact, recipients_for
from core.models import Patient
from core.tenancy import tenant_scope
from integrations import staff
from integrations.messaging_service import MessagingService
from integrations.outbox import Origin
from notifications import events, gate, registry, undeliverable
from notifications.models import Message, NotificationEvent
from notifications.registry import Audience, Delivery, EventType, Slot, Subject
from notifications.states import Channel, Reason

log = structlog.get_logger(__name__)


def process_event(tenant_id: uuid.UUID, event_id: uuid.UUID) -> int:
    """Fans one event out; returns how many messages and notifications it has. A failure is kept on the event."""
    with tenant_scope(tenant_id):
        try:
            made = _process(event_id, may_gather=True)
            # With no row locked: those that are told together are locked in one order.
            return _gather(event_id) if made is None else made
        except Exception as error:
            NotificationEvent.objects.filter(pk=event_id).update(attempts=F("attempts") + 1, error=type(error).__name__)
            # No traceback: its values may be names and numbers (invariant 12).
            log.error("event_failed", event_id=str(event_id), error=type(error).__name__)  # noqa: TRY400
            raise


@transaction.atomic
def _process(event_id: uuid.UUID, *, may_gather: bool) -> int | None:
    """None: the event has waited, and others may be told with it."""
    event = NotificationEvent.objects.select_for_update().get(pk=event_id)
    if event.processed_at is not None or not events.is_due(event):
        return 0
    if may_gather and event.due_at is not None and registry.get(event.key).gather is not None:
        return None
    made = _fan_out(event)
    event.processed_at = timezone.now()
    event.error = ""
    event.save(update_fields=["processed_at", "error"])
    return made


def _gather(event_id: uuid.UUID) -> int:
    event = NotificationEvent.objects.get(pk=event_id)
    gather = registry.get(event.key).gather
    if gather is not None and gather(event):
        return 0
    return _process(event_id, may_gather=False) or 0


def _fan_out(event: NotificationEvent) -> int:
    entry = registry.get(event.key)
    subject = entry.describe(event)
    origin = _origin(event, entry, subject)
    made = 0
    for delivery in entry.deliveries:
        if event.audiences and delivery.audience not in event.audiences:
            continue
        if delivery.audience is Audience.PATIENT:
            made += _to_patient(event, entry, delivery, subject, origin)
            undeliverable.ask_to_call(event)
        elif subject.refusal is None:
            users = subject.users.get(delivery.audience, ())
            made += staff.tell(event, entry, delivery, subject, users=users, origin=origin)
    return made


def tell_patient_again(event: NotificationEvent, *, slots: Collection[Slot]) -> int:
    """The patient's part of an event once more, over these slots, to the readers as they are now: they have a new address.

    Once an address: what stands in the dedupe key. Nothing where the event no longer holds. The scope is open.
    """
    entry = registry.get(event.key)
    subject = entry.describe(event)
    if subject.refusal is not None:
        return 0
    made = 0
    for delivery in entry.deliveries:
        if delivery.audience is Audience.PATIENT:
            wanted = replace(delivery, slots=tuple(slot for slot in delivery.slots if slot in slots))
            made += _to_patient(event, entry, wanted, subject, _origin(event, entry, subject), is_again=True)
    return made


def _origin(event: NotificationEvent, entry: EventType, subject: Subject) -> Origin:
    return Origin(
        lane=entry.lane,
        event=event,
        object_type=event.object_type,
        object_id=event.object_id,
        object_version=event.object_version,
        location=subject.location,
        useful_until=subject.useful_until,
        refusal=subject.refusal,
    )


def _to_patient(
    event: NotificationEvent,
    entry: EventType,
    delivery: Delivery,
    subject: Subject,
    origin: Origin,
    *,
    is_again: bool = False,
) -> int:
    patient = subject.patient
    if patient is None:
        return 0
    made = 0
    order = gate.preferred_order(gate.preference_of(patient))
    if subject.by_phone_only:
        order.remove(Channel.EMAIL)
    channels: dict[Slot, Sequence[str]] = {
        Slot.MOBILE: [channel for channel in order if channel != Channel.EMAIL],
        Slot.PREFERRED: order,
        Slot.EMAIL: [Channel.EMAIL],
    }
    found = recipients_for([patient], notification_type=entry.notification_type)[patient.pk]
    readers: Sequence[Contact | str] = [found] if isinstance(found, str) else found
    if subject.reader is not None and gate.may_be_named(found):
        readers = [subject.reader]
    for slot in delivery.slots:
        if slot is Slot.IN_APP:
            if patient.user is not None and delivery.bell is not None and subject.refusal is None:
                staff.ring_patient(event, delivery.bell, subject, patient.user)
                made += 1
            continue
        for position, reader in enumerate(readers):
            # One row says why the first is not reached; nobody misses the others' letters.
            if position and not _has_address(reader, channels[slot]):
                continue
            key = f"event:{event.pk}:{_person(patient, reader)}:{slot.value}"
            if is_again:
                key += _again(reader)
                if Message.objects.filter(dedupe_key=key).exists():
                    continue
            MessagingService().send_to_patient(
                patient=patient,
                template_code=entry.template_code(delivery.audience),
                channels=channels[slot],
                notification_type=entry.notification_type,
                context=subject.context,
                dedupe_key=key,
                origin=_unless_told(origin, subject, slot, reader),
                keep_fallback=slot is not Slot.EMAIL,
                contact=reader,
            )
            made += 1
    return made


def _unless_told(origin: Origin, subject: Subject, slot: Slot, reader: Contact | str) -> Origin:
    """Who has just written and was answered gets no second message on the phone. The letter with the calendar entry goes."""
    if not subject.told_already or slot is Slot.EMAIL or not isinstance(reader, Contact):
        return origin
    is_reader = subject.told_already == (str(reader.guardian.pk) if reader.guardian is not None else "patient")
    return replace(origin, refusal=origin.refusal or Reason.ACTOR_SELF) if is_reader else origin


def _again(reader: Contact | str) -> str:
    """A mark of the address, which itself stays where it is needed."""
    addresses = f"{reader.phone} {reader.email}" if isinstance(reader, Contact) else reader
    return f":again:{hashlib.sha256(addresses.encode()).hexdigest()[:12]}"


def _has_address(reader: Contact | str, channels: Sequence[str]) -> bool:
    return isinstance(reader, Contact) and any(gate.address_of(reader, channel) for channel in channels)


def _person(patient: Patient, reader: Contact | str) -> str:
    """Part of the dedupe key: one message an event, slot and reader, whatever their address is by then."""
    if isinstance(reader, Contact) and reader.guardian is not None:
        return f"patient:{patient.pk}:guardian:{reader.guardian.pk}"
    return f"patient:{patient.pk}"
