"""May this be sent, to this person, over this channel, now? The answer is None (yes) or a reason staff can read."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from django.utils import timezone

from core import portal_sign_in
from core.contacts import CONTACT_FIELDS, GUARDIAN_BLOCKED, Contact, Readers, contact_for, contacts_for
from core.models import Patient, Tenant, User
from notifications import registry
from notifications.models import Message, NotificationEvent, NotificationPreference
from notifications.states import Channel, NotificationType, Reason
from notifications.suppression import suppressed

# The order in which other channels are tried when the preferred one cannot be used (contract, lifecycle table).
FALLBACK_ORDER = (Channel.SMS, Channel.WHATSAPP, Channel.EMAIL)


def preference_of(patient: Patient) -> NotificationPreference:
    """The patient's preferences; the defaults when there is no row (not saved)."""
    found = NotificationPreference.objects.filter(patient=patient).first()
    return found or NotificationPreference(tenant_id=patient.tenant_id, patient=patient)


def preferred_order(preference: NotificationPreference) -> list[str]:
    """The preferred channel first, then SMS, WhatsApp, email."""
    first = preference.preferred_channel
    return [first, *(channel for channel in FALLBACK_ORDER if channel != first)]


def address_of(contact: Contact, channel: str) -> str:
    """The contact's address on a channel; empty when there is none."""
    return contact.email if channel == Channel.EMAIL else contact.phone


def refusal_for_patient(
    *,
    patient: Patient,
    preference: NotificationPreference,
    channel: str,
    notification_type: str,
    contact: Contact | str | None = None,
) -> Reason | None:
    """Consent, preference, address, suppression. The contact's own reasons (deceased, merged, guardian) come first.

    ``contact`` is the reader meant, or why there is none; without it the first of them.
    """
    contact = contact or contact_for(patient, notification_type=notification_type)
    refused = _refusal(contact, preference, channel, notification_type)
    if refused is None and isinstance(contact, Contact):
        address = address_of(contact, channel)
        refused = suppressed(channel, [address]).get(address)
    return refused


def _refusal(
    contact: Contact | str, preference: NotificationPreference, channel: str, notification_type: str
) -> Reason | None:
    if not isinstance(contact, Contact):
        return Reason(contact)
    refused = preference.refusal(channel, NotificationType(notification_type))
    if refused is not None:
        return refused
    return None if address_of(contact, channel) else Reason.NO_CONTACT


def refusals_for_patients(
    patients: Sequence[Patient],
    preferences: Mapping[uuid.UUID, NotificationPreference],
    *,
    channel: str,
    notification_type: str,
) -> dict[uuid.UUID, tuple[Contact | None, NotificationPreference, Reason | None]]:
    """``refusal_for_patient`` for many: patient id → (contact, preference, reason or None). Two queries.

    ``preferences`` is what ``preferences_of`` gives for them.
    """
    contacts = contacts_for(patients, notification_type=notification_type)
    stopped = suppressed(channel, {address_of(one, channel) for one in contacts.values() if isinstance(one, Contact)})
    answers: dict[uuid.UUID, tuple[Contact | None, NotificationPreference, Reason | None]] = {}
    for patient in patients:
        contact, preference = contacts[patient.id], preferences[patient.id]
        refused = _refusal(contact, preference, channel, notification_type)
        reachable = contact if isinstance(contact, Contact) else None
        if refused is None and reachable is not None:
            refused = stopped.get(address_of(reachable, channel))
        answers[patient.id] = (reachable, preference, refused)
    return answers


def recheck(message: Message) -> Reason | None:
    """Everything again, right before the send (invariant 7): the world may have changed since it was queued."""
    return recheck_many([message]).get(message.id)


def recheck_many(messages: Sequence[Message]) -> dict[uuid.UUID, Reason]:
    """``recheck`` for messages of one tenant, whose scope is open: the refused ones with their reasons.

    A handful of queries, and one for each event among them.
    """
    if not messages:
        return {}
    tenant = Tenant.objects.get(pk=messages[0].tenant_id)
    if not tenant.is_active:
        return dict.fromkeys((message.id for message in messages), Reason.TENANT_SUSPENDED)
    now = timezone.now()
    patients = _patients_of(messages, tenant)
    readers = Readers(patients.values())
    preferences = preferences_of(list(patients.values()))
    stopped = {
        channel: suppressed(channel, {message.recipient for message in messages if message.channel == channel})
        for channel in {message.channel for message in messages}
    }
    of_events = _refusals_of_events(messages)
    gone_users = _inactive_users(messages)
    codes = portal_sign_in.alive_among(messages)
    refused: dict[uuid.UUID, Reason] = {}
    for message in messages:
        reason: Reason | None = None
        if message.expires_at is not None and message.expires_at <= now:
            reason = Reason.PAST_DUE
        elif message.event_id is not None and message.event_id in of_events:
            reason = of_events[message.event_id]
        elif message.user_id is not None:
            reason = Reason.STAFF_INACTIVE if message.user_id in gone_users else None
        elif message.patient_id is None:
            reason = Reason.NO_CONTACT
        elif portal_sign_in.is_code(message.dedupe_key):
            # Asked for by whoever holds the address, a minute ago: no wish stands against it.
            reason = None if message.id in codes else Reason.PAST_DUE
        else:
            contact = _reader_of(message, readers)
            reason = _refusal(contact, preferences[message.patient_id], message.channel, message.notification_type)
            # The family changed its number meanwhile: the frozen address is no longer theirs.
            if (
                reason is None
                and isinstance(contact, Contact)
                and address_of(contact, message.channel) != message.recipient
            ):
                reason = Reason.CONTACT_UNDELIVERABLE
        reason = reason or stopped[message.channel].get(message.recipient)
        if reason is not None:
            refused[message.id] = reason
    return refused


def reader_of(message: Message) -> Contact | str:
    """Who this message of a patient was written to, as they are now; or why they must not be told any more."""
    if message.patient is None:
        raise ValueError("only patients' messages have a reader")
    return _reader_of(message, Readers([message.patient]))


def _reader_of(message: Message, readers: Readers) -> Contact | str:
    if message.patient_id is None:
        raise ValueError("only patients' messages have a reader")
    found = readers.of(message.patient_id, message.notification_type)
    if isinstance(found, str):
        return found
    if message.guardian_id is None:
        return found[0]
    # Blocked, ended, of age since: somebody else may be told, this guardian may not.
    mine = (one for one in found if one.guardian is not None and one.guardian.pk == message.guardian_id)
    return next(mine, GUARDIAN_BLOCKED)


def _patients_of(messages: Sequence[Message], tenant: Tenant) -> dict[uuid.UUID, Patient]:
    ids = {message.patient_id for message in messages if message.patient_id is not None}
    rows = Patient.objects.filter(pk__among=ids).only(*CONTACT_FIELDS).order_by()
    found = {patient.id: patient for patient in rows}
    for patient in found.values():
        patient.tenant = tenant
    return found


def preferences_of(patients: Sequence[Patient]) -> dict[uuid.UUID, NotificationPreference]:
    """``preference_of`` for many: patient id → preferences."""
    rows = NotificationPreference.objects.filter(patient__among=[patient.id for patient in patients])
    found = {row.patient_id: row for row in rows}
    # One for all who have none: the defaults.
    default = NotificationPreference()
    return {patient.id: found.get(patient.id, default) for patient in patients}


def _refusals_of_events(messages: Sequence[Message]) -> dict[uuid.UUID, Reason]:
    """The events among them that no longer hold: a visit that moved, a bill that was paid."""
    ids = {message.event_id for message in messages if message.event_id is not None}
    refused: dict[uuid.UUID, Reason] = {}
    for event in NotificationEvent.objects.filter(pk__among=ids) if ids else ():
        reason = registry.get(event.key).refusal_now(event)
        if reason is not None:
            refused[event.pk] = reason
    return refused


def _inactive_users(messages: Sequence[Message]) -> set[uuid.UUID]:
    ids = {message.user_id for message in messages if message.user_id is not None}
    if not ids:
        return set()
    return set(User.objects.filter(pk__among=ids, is_active=False).values_list("pk", flat=True))
