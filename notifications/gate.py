"""May this be sent, to this person, over this channel, now? The answer is None (yes) or a reason staff can read."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils import timezone
from django.utils.translation import gettext as _

from core import portal_sign_in
from core.contacts import (
    CONTACT_FIELDS,
    GUARDIAN_BLOCKED,
    GUARDIAN_UNVERIFIED,
    Contact,
    Readers,
    contact_for,
    contacts_for,
)
from core.models import Patient, Tenant, User
from notifications import registry, sending_rules
from notifications.consent_states import NEED_A_YES, NO, ConsentStatus, Purpose, purpose_of
from notifications.models import Message, NotificationEvent, NotificationPreference, SendingRule
from notifications.states import Channel, Reason
from notifications.suppression import first_stop, stops_of, suppressed

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
    sender: str | None = None,
) -> Reason | None:
    """Consent, preference, address, suppression. The contact's own reasons (deceased, merged, guardian) come first.

    ``contact`` is the reader meant, or why there is none; without it the first of them. ``sender`` is the one of ours
    that would write: it may have been told to stop, and another may not.
    """
    contact = contact or contact_for(patient, notification_type=notification_type)
    refused = _refusal(contact, preference, channel, notification_type, _rule_for(channel, patient.tenant_id))
    if refused is None and isinstance(contact, Contact):
        address = address_of(contact, channel)
        refused = suppressed(channel, [address], sender=sender).get(address)
    return refused


def _refusal(
    contact: Contact | str,
    preference: NotificationPreference,
    channel: str,
    notification_type: str,
    rule: SendingRule | None,
) -> Reason | None:
    """``rule`` may be left out over other channels than WhatsApp."""
    if not isinstance(contact, Contact):
        return Reason(contact)
    refused = _unwanted(preference, channel, notification_type, rule)
    return refused or (None if address_of(contact, channel) else Reason.NO_CONTACT)


def _unwanted(
    preference: NotificationPreference, channel: str, notification_type: str, rule: SendingRule | None
) -> Reason | None:
    needs_consent = rule is not None and rule.whatsapp_needs_consent
    return preference.refusal(channel, notification_type, whatsapp_needs_consent=needs_consent)


def _rule_for(channel: str, tenant_id: uuid.UUID) -> SendingRule | None:
    """Only WhatsApp asks for it before the send."""
    return sending_rules.of(tenant_id) if channel == Channel.WHATSAPP else None


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
    rule = _rule_for(channel, patients[0].tenant_id) if patients else None
    # Most share one object, the defaults: it is asked once.
    unwanted: dict[int, Reason | None] = {}
    for patient in patients:
        contact, preference = contacts[patient.id], preferences[patient.id]
        if not isinstance(contact, Contact):
            answers[patient.id] = (None, preference, Reason(contact))
            continue
        if id(preference) not in unwanted:
            unwanted[id(preference)] = _unwanted(preference, channel, notification_type, rule)
        address = address_of(contact, channel)
        refused = unwanted[id(preference)] or (stopped.get(address) if address else Reason.NO_CONTACT)
        answers[patient.id] = (contact, preference, refused)
    return answers


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a kind of message would go over a channel, and that in a sentence for the person at the screen."""

    reason: Reason | None
    sentence: str


def explain(patient: Patient, channel: str, notification_type: str, *, sender: str | None = None) -> Decision:
    """The same decision as everywhere, in words: why it would go, or which word, wish or address stands against it."""
    preference = preference_of(patient)
    contact = contact_for(patient, notification_type=notification_type)
    reason = refusal_for_patient(
        patient=patient,
        preference=preference,
        channel=channel,
        notification_type=notification_type,
        contact=contact,
        sender=sender,
    )
    return Decision(reason, _sentence(reason, preference, contact, channel, notification_type))


def explain_all(patient: Patient, kinds: Sequence[str]) -> dict[str, list[Decision]]:
    """Kind → ``explain`` for each channel in their order. A fixed number of queries.

    A stop that was told to one of our senders alone is named as well: the reader cannot know which of them would write.
    """
    preference, readers = preference_of(patient), Readers([patient])
    rule = sending_rules.of(patient.tenant_id)
    found = {kind: readers.of(patient.pk, kind) for kind in kinds}
    contacts = {kind: one if isinstance(one, str) else one[0] for kind, one in found.items()}
    stops = {
        channel: stops_of(channel, {address_of(one, channel) for one in contacts.values() if isinstance(one, Contact)})
        for channel in Channel
    }
    decisions: dict[str, list[Decision]] = {}
    for kind, contact in contacts.items():
        decisions[kind] = []
        for channel in Channel:
            reason = _refusal(contact, preference, channel, kind, rule)
            if reason is None and isinstance(contact, Contact):
                reason = first_stop(stops[channel].get(address_of(contact, channel), ()), "")
            decisions[kind].append(Decision(reason, _sentence(reason, preference, contact, channel, kind)))
    return decisions


def _sentence(
    reason: Reason | None,
    preference: NotificationPreference,
    contact: Contact | str,
    channel: str,
    notification_type: str,
) -> str:
    if reason is None and isinstance(contact, Contact):
        return _("It goes to %(name)s.") % {"name": contact.name_in()}
    if reason in (Reason.NO_CONSENT, Reason.CONSENT_WITHDRAWN):
        purpose = purpose_of(notification_type)
        if preference.agreed(purpose, channel) == ConsentStatus.NONE or (
            purpose not in NEED_A_YES and preference.agreed(purpose, channel) not in NO
        ):
            # What stands against it is not the purpose's own consent.
            purpose = Purpose.WHATSAPP if channel == Channel.WHATSAPP and purpose not in NEED_A_YES else purpose
        return _("%(purpose)s: %(status)s.") % {
            "purpose": purpose.label,
            "status": preference.agreed(purpose, channel).label,
        }
    return f"{reason.label}." if reason is not None else ""


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
    rule = sending_rules.of(tenant.pk)
    too_many = sending_rules.over_cap(messages, rule, now)
    stopped = {
        channel: stops_of(channel, {message.recipient for message in messages if message.channel == channel})
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
            contact = reader_among(message, readers)
            reason = _refusal(
                contact, preferences[message.patient_id], message.channel, message.notification_type, rule
            )
            # The family changed its number meanwhile: the frozen address is no longer theirs.
            if (
                reason is None
                and isinstance(contact, Contact)
                and address_of(contact, message.channel) != message.recipient
            ):
                reason = Reason.CONTACT_UNDELIVERABLE
        reason = reason or first_stop(stopped[message.channel].get(message.recipient, ()), message.sender)
        if reason is None and message.pk in too_many:
            reason = Reason.FREQUENCY_CAP
        if reason is not None:
            refused[message.id] = reason
    return refused


def reader_of(message: Message) -> Contact | str:
    """Who this message of a patient was written to, as they are now; or why they must not be told any more."""
    if message.patient is None:
        raise ValueError("only patients' messages have a reader")
    return reader_among(message, Readers([message.patient]))


def reader_among(message: Message, readers: Readers) -> Contact | str:
    """``reader_of`` for who asks about many: ``readers`` are those of the patients among them."""
    if message.patient_id is None:
        raise ValueError("only patients' messages have a reader")
    found = readers.of(message.patient_id, message.notification_type)
    named = named_by_event(message)
    if named is not None:
        return named if may_be_named(found) else str(found)
    if isinstance(found, str):
        return found
    if message.guardian_id is None:
        return found[0]
    # Blocked, ended, of age since: somebody else may be told, this guardian may not.
    mine = (one for one in found if one.guardian is not None and one.guardian.pk == message.guardian_id)
    return next(mine, GUARDIAN_BLOCKED)


def may_be_named(found: Sequence[Contact] | str) -> bool:
    """An event may name its own reader (the payer of a bill) where the patient's are none or others; not where nothing
    may be said about the patient to anybody.
    """
    return not isinstance(found, str) or found in (GUARDIAN_UNVERIFIED, GUARDIAN_BLOCKED)


def named_by_event(message: Message) -> Contact | str | None:
    """The reader that the message's event names (the payer of a bill), or why they must not be told; None: it names none."""
    # Of the few kinds of messages that can name one; the others are spared the query.
    if message.notification_type not in registry.types_with_reader() or message.event is None:
        return None
    names = registry.get(message.event.key).reader
    return names(message.event) if names is not None else None


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
