"""May this be sent, to this person, over this channel, now? The answer is None (yes) or a reason staff can read."""

from __future__ import annotations

from django.utils import timezone

from core.contacts import Contact, contact_for
from core.models import Patient
from notifications import registry
from notifications.models import Message, NotificationPreference
from notifications.states import Channel, NotificationType, Reason


def preference_of(patient: Patient) -> NotificationPreference:
    """The patient's preferences; the defaults when there is no row (not saved)."""
    found = NotificationPreference.objects.filter(patient=patient).first()
    return found or NotificationPreference(tenant_id=patient.tenant_id, patient=patient)


def address_of(contact: Contact, channel: str) -> str:
    """The contact's address on a channel; empty when there is none."""
    return contact.email if channel == Channel.EMAIL else contact.phone


def refusal_for_patient(
    *, patient: Patient, preference: NotificationPreference, channel: str, notification_type: str
) -> Reason | None:
    """Consent, preference and address. The contact's own reasons (deceased, merged, guardian) come first."""
    contact = contact_for(patient)
    if not isinstance(contact, Contact):
        return Reason(contact)
    refused = preference.refusal(channel, NotificationType(notification_type))
    if refused is not None:
        return refused
    return None if address_of(contact, channel) else Reason.NO_CONTACT


def recheck(message: Message) -> Reason | None:
    """Everything again, right before the send (invariant 7): the world may have changed since it was queued."""
    if not message.tenant.is_active:
        return Reason.TENANT_SUSPENDED
    if message.expires_at is not None and message.expires_at <= timezone.now():
        return Reason.PAST_DUE
    if message.event is not None:
        refused = registry.get(message.event.key).describe(message.event).refusal
        if refused is not None:
            return refused
    if message.user is not None:
        return None if message.user.is_active else Reason.STAFF_INACTIVE
    if message.patient is None:
        return Reason.NO_CONTACT
    refused = refusal_for_patient(
        patient=message.patient,
        preference=preference_of(message.patient),
        channel=message.channel,
        notification_type=message.notification_type,
    )
    if refused is not None:
        return refused
    # The family changed its number meanwhile: the frozen address is no longer theirs.
    contact = contact_for(message.patient)
    if isinstance(contact, Contact) and address_of(contact, message.channel) != message.recipient:
        return Reason.CONTACT_UNDELIVERABLE
    return None
