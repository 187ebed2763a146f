"""The one door for sending. It checks preference and consent, renders, writes the row and its log, and enqueues.

It never talks to a provider: the workers do, after the commit (invariants 3 and 9). Refused messages are rows too,
with a reason staff can read.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from core.contacts import Contact, contact_for
from core.errors import DomainError
from core.models import Patient, User
from core.tenancy import current_tenant_id, tenant_scope
from integrations import bulk_send, outbox, sync, trial_send, whatsapp
from integrations.outbox import Origin
from notifications import (
    address,
    analytics,
    capabilities,
    gate,
    languages,
    lifecycle,
    registry,
    rendering,
    undeliverable,
)
from notifications.models import Message, MessageTemplate, NotificationPreference
from notifications.models.template import TemplateWords
from notifications.selectors import tenant_of_message
from notifications.states import (
    SUCCESS,
    Channel,
    Lane,
    LogEvent,
    NotificationType,
    Reason,
    Status,
)


class MessagingService:
    """Opens the tenant's scope where none is open. Inside one, a message of another tenant does not exist."""

    # --- sending ----------------------------------------------------------------------------------------------------

    def send_from_template(
        self,
        *,
        tenant_id: uuid.UUID,
        template_code: str,
        patient: Patient | None = None,
        patient_id: uuid.UUID | None = None,
        channel: str | None = None,
        context: Mapping[str, Any] | None = None,
        language: str | None = None,
        dedupe_key: str | None = None,
        sent_by: User | None = None,
        origin: Origin | None = None,
    ) -> Message:
        """Sends a template to a patient (or the guardian) over ``channel``, or the preferred one that has a template.

        Raises ``TemplateError`` when a placeholder has no value, ``MessageTemplate.DoesNotExist`` without a template.
        """
        with tenant_scope(tenant_id):
            who = patient if patient is not None else Patient.objects.get(pk=patient_id or "")
            preference = gate.preference_of(who)
            templates = MessageTemplate.objects.filter(code=template_code, is_active=True)
            if channel is None:
                offered = set(templates.values_list("channel", flat=True))
                wanted = [c for c in gate.preferred_order(preference) if c in offered]
                channel = wanted[0] if wanted else preference.preferred_channel
            template = templates.get(channel=channel)
            return self._to_patient(
                patient=who,
                preference=preference,
                channel=channel,
                notification_type=template.notification_type,
                template=template,
                context=context or {},
                language=language,
                dedupe_key=dedupe_key or f"send:{uuid.uuid4()}",
                origin=origin or Origin(sent_by=sent_by),
            )

    def send_message(
        self,
        *,
        tenant_id: uuid.UUID,
        patient_id: uuid.UUID,
        channel: str,
        body: str,
        subject: str = "",
        notification_type: str = NotificationType.GENERAL,
        sent_by: User | None = None,
        dedupe_key: str | None = None,
    ) -> Message:
        """Sends words typed by a person. The same key with the same content is the same message."""
        if not body.strip():
            raise DomainError(_("Write the message first."), code="body_empty")
        with tenant_scope(tenant_id):
            patient = Patient.objects.get(pk=patient_id)
            return self._to_patient(
                patient=patient,
                preference=gate.preference_of(patient),
                channel=channel,
                notification_type=notification_type,
                body=body.strip(),
                subject=subject.strip(),
                dedupe_key=dedupe_key or f"send:{uuid.uuid4()}",
                origin=Origin(sent_by=sent_by),
            )

    def send_bulk_messages(
        self,
        *,
        tenant_id: uuid.UUID,
        patient_ids: Iterable[uuid.UUID],
        template_code: str,
        channel: str | None = None,
        context: Mapping[str, Any] | None = None,
        sent_by: User | None = None,
        bulk_key: str,
    ) -> dict[str, int]:
        """One message a patient; the same ``bulk_key`` again sends nobody a second one. Returns counts.

        A patient whose message cannot be rendered does not stop the others: ``failed``. Raises ``MessageConflict``
        when the key was used for other words. Made for 100,000 patients: see ``integrations/bulk_send.py``.
        """
        return bulk_send.send(
            tenant_id=tenant_id,
            patient_ids=patient_ids,
            template_code=template_code,
            channel=channel,
            context=context or {},
            sent_by=sent_by,
            bulk_key=bulk_key,
        )

    def send_to_user(
        self,
        *,
        user: User,
        dedupe_key: str,
        origin: Origin,
        template: MessageTemplate | None = None,
        context: Mapping[str, Any] | None = None,
        subject: str = "",
        body: str = "",
    ) -> Message:
        """A staff notice by email, in the user's language: a template's words, or ``subject`` and ``body``.

        The caller's tenant scope is open.
        """
        if user.tenant_id is None:
            raise ValueError("a staff notice needs a user of a tenant")
        return outbox.write(
            Message(
                tenant_id=user.tenant_id,
                user=user,
                channel=Channel.EMAIL,
                notification_type=NotificationType.STAFF,
                recipient=user.email,
                language=user.language,
                subject=subject,
                body=body,
                dedupe_key=dedupe_key,
            ),
            origin=origin,
            refusal=None if user.is_active else Reason.STAFF_INACTIVE,
            template=template,
            context=context or {},
        )

    def send_test(
        self,
        *,
        user: User,
        template: MessageTemplate,
        words: TemplateWords,
        language: str,
        phone: str = "",
        key: uuid.UUID,
    ) -> Message:
        """A template's words with example data to the user's own email, or to ``phone``. See ``trial_send.py``."""
        return trial_send.send(user=user, template=template, words=words, language=language, phone=phone, key=key)

    def send_to_patient(
        self,
        *,
        patient: Patient,
        template_code: str,
        channels: Sequence[str],
        notification_type: str,
        context: Mapping[str, Any],
        dedupe_key: str,
        origin: Origin,
        keep_fallback: bool,
        contact: Contact | str | None = None,
    ) -> Message:
        """Sends over the first of ``channels`` that the gate allows; the rest wait as fallback when ``keep_fallback``.

        ``contact`` is the one of the patient's readers that is meant, or why there is none; without it the first.
        When none is allowed, one refused row says why the first was not. The caller's tenant scope is open.
        """
        preference = gate.preference_of(patient)
        contact = contact or contact_for(patient, notification_type=notification_type)
        templates = {t.channel: t for t in MessageTemplate.objects.filter(code=template_code, is_active=True)}
        passed_over: list[dict[str, str]] = []
        for position, channel in enumerate(channels):
            refusal = gate.refusal_for_patient(
                patient=patient,
                preference=preference,
                channel=channel,
                notification_type=notification_type,
                contact=contact,
                sender=outbox.sender_for(origin.location, channel),
            )
            if refusal is None and channel not in templates:
                refusal = Reason.TEMPLATE_MISSING
            elif refusal is None:
                refusal = self._whatsapp_refusal(patient, preference, templates[channel], contact)
            if refusal is None:
                rest = [c for c in channels[position + 1 :] if c in templates] if keep_fallback else []
                break
            passed_over.append({"channel": str(channel), "reason": str(refusal)})
        else:
            channel, rest = channels[0], []
        details = {**origin.details, **({"passed_over": passed_over} if passed_over else {})}
        return self._to_patient(
            patient=patient,
            preference=preference,
            channel=channel,
            notification_type=notification_type,
            template=templates.get(channel),
            context=context,
            dedupe_key=dedupe_key,
            origin=replace(origin, fallback_channels=rest, details=details),
            contact=contact,
        )

    def fall_back(self, message: Message) -> Message | None:
        """The next channel for a message that failed for good, or of whose delivery no word came in time.

        None when there is none left. Once per message.
        """
        with tenant_scope(message.tenant_id), transaction.atomic():
            # Not once it has arrived, nor while it is tried again over its own channel.
            waiting = Message.objects.filter(
                pk=message.pk,
                fallback_due_at__isnull=False,
                next_attempt_at=None,
                status__in=[Status.FAILED, Status.BOUNCED, Status.SENT, Status.UNCONFIRMED],
            )
            if not waiting.update(fallback_due_at=None) or self._is_silent_by_nature(message):
                return None
            copy = self._over_next_channel(message)
            # The copy may be refused too, or there was none to make.
            undeliverable.note_ended([message.pk])
            return copy

    def _is_silent_by_nature(self, message: Message) -> bool:
        """It left, and its sender reports no deliveries: silence is no sign that it was lost."""
        if message.status != Status.SENT:
            return False
        return not capabilities.of(message.tenant_id, message.channel, message.sender).dlr

    def _over_next_channel(self, message: Message) -> Message | None:
        if message.patient is None or message.template is None or message.event is None:
            return None
        channels = [str(channel) for channel in message.fallback_channels]
        if not channels or self._has_arrived(message):
            return None
        # Read afresh: the visit may have moved since.
        subject = registry.get(message.event.key).describe(message.event)
        copy = self.send_to_patient(
            patient=message.patient,
            template_code=message.template.code,
            channels=channels,
            notification_type=message.notification_type,
            context=subject.context,
            dedupe_key=f"{message.dedupe_key}:after:{message.channel}"[:200],
            origin=Origin(
                event=message.event,
                object_type=message.object_type,
                object_id=message.object_id,
                object_version=message.object_version,
                location=subject.location,
                useful_until=message.expires_at,
                refusal=subject.refusal,
                conversation_id=message.conversation_id,
                lane=Lane(message.lane),
                details={"instead_of": message.channel},
            ),
            keep_fallback=True,
            contact=gate.reader_of(message),
        )
        lifecycle.note(message, LogEvent.FALLBACK, response={"channel": copy.channel})
        return copy

    def _has_arrived(self, message: Message) -> bool:
        """Some copy of it has, over whatever channel."""
        copies = Message.objects.filter(patient=message.patient, conversation_id=message.conversation_id)
        return copies.filter(status__in=SUCCESS).exists()

    # --- afterwards -------------------------------------------------------------------------------------------------

    def retry_failed_message(self, message_id: uuid.UUID, actor: User | None = None) -> Message:
        """Puts a failed message back into the queue, under the rules of the automatic retry."""
        with _scope_of(message_id):
            return self._retry(Message.objects.get(pk=message_id), actor)

    def _retry(self, message: Message, actor: User | None) -> Message:
        if not message.can_retry():
            raise DomainError(
                _("Only a failed message can be sent again, and at most three times."), code="retry_not_allowed"
            )
        if message.expires_at is not None and message.expires_at <= timezone.now():
            raise DomainError(_("It is too late for this message to be useful."), code="retry_too_late")
        with transaction.atomic():
            moved = lifecycle.move(
                message.pk,
                Status.QUEUED,
                only_from=[Status.FAILED],
                fields={
                    "next_attempt_at": timezone.now(),
                    "fallback_due_at": None,
                    "retry_count": message.retry_count + 1,
                    "reason": "",
                },
                where=Q(retry_count=message.retry_count),
                actor=actor,
            )
            if not moved:
                raise DomainError(_("This message is already being sent."), code="retry_not_allowed")
            outbox.enqueue_send(message)
        message.refresh_from_db()
        return message

    def update_message_status(self, message_id: uuid.UUID) -> Message:
        """Asks the provider how a message stands, and applies the answer."""
        with _scope_of(message_id):
            message = Message.objects.get(pk=message_id)
            sync.sync_message(message)
            message.refresh_from_db()
            return message

    def get_message_statistics(self, *, tenant_id: uuid.UUID, days: int = 7) -> dict[str, Any]:
        """Counts of today and the ``days - 1`` local days before; success = (DELIVERED + READ) / total × 100, one
        decimal. The same numbers as the dashboard's.
        """
        with tenant_scope(tenant_id):
            book = analytics.open_book()
            found = analytics.totals(analytics.last_days(days, book), book)
        return {
            "total": found.all.messages,
            "by_channel": {channel: counts.messages for channel, counts in found.by_channel.items()},
            "by_status": dict(found.by_status),
            "success_rate": found.success_rate,
        }

    def _check_patient_preferences(self, patient_id: uuid.UUID, channel: str, notification_type: str) -> bool:
        patient = Patient.objects.get(pk=patient_id)
        return gate.preference_of(patient).can_send(channel, notification_type)

    def _to_patient(
        self,
        *,
        patient: Patient,
        preference: NotificationPreference,
        channel: str,
        notification_type: str,
        dedupe_key: str,
        origin: Origin,
        template: MessageTemplate | None = None,
        context: Mapping[str, Any] | None = None,
        body: str = "",
        subject: str = "",
        language: str | None = None,
        contact: Contact | str | None = None,
    ) -> Message:
        contact = contact or contact_for(patient, notification_type=notification_type)
        refusal = gate.refusal_for_patient(
            patient=patient,
            preference=preference,
            channel=channel,
            notification_type=notification_type,
            contact=contact,
            sender=outbox.sender_for(origin.location, channel),
        )
        reachable = contact if isinstance(contact, Contact) else None
        choice = languages.choose(
            language or _language_of(patient, preference, reachable),
            tenant_default=patient.tenant.default_language,
            written=template.written_in if template is not None else languages.KNOWN,
        )
        if refusal is None and template is not None:
            refusal = self._whatsapp_refusal(patient, preference, template, contact, choice.language)
        return outbox.write(
            Message(
                tenant_id=patient.tenant_id,
                patient=patient,
                guardian=reachable.guardian if reachable else None,
                channel=channel,
                notification_type=notification_type,
                recipient=gate.address_of(reachable, channel) if reachable else "",
                language=choice.language,
                body=body,
                subject=subject,
                dedupe_key=dedupe_key,
            ),
            origin=replace(origin, details={**origin.details, **choice.note()}),
            refusal=refusal,
            template=template,
            # Each of several readers is greeted by their own name, and reads the digits and calendar they wish.
            context=rendering.for_reader({**(context or {}), **address.values_for(patient)}, reachable),
        )

    def _whatsapp_refusal(
        self,
        patient: Patient,
        preference: NotificationPreference,
        template: MessageTemplate,
        contact: Contact | str,
        language: str | None = None,
    ) -> Reason | None:
        """What only WhatsApp asks for: words that it has approved, or an open conversation."""
        if template.channel != Channel.WHATSAPP or not isinstance(contact, Contact):
            return None
        return whatsapp.refusal(
            patient=patient,
            template=template,
            language=language or _language_of(patient, preference, contact),
            address=gate.address_of(contact, Channel.WHATSAPP),
        )


def _language_of(patient: Patient, preference: NotificationPreference, reachable: Contact | None) -> str:
    """The language that the reader gets: a guardian's or a payer's own, else what the patient chose."""
    if reachable is not None and reachable.person_key != f"patient:{patient.pk}":
        return reachable.language
    return preference.preferred_language or patient.language


def _scope_of(message_id: uuid.UUID) -> AbstractContextManager[None]:
    """The scope that is open, else that of the message's tenant."""
    tenant_id = current_tenant_id() or tenant_of_message(message_id)
    if tenant_id is None:
        raise Message.DoesNotExist
    return tenant_scope(tenant_id)
