"""What messaging tells in a copy of a patient's data: messages, replies, wishes, consents, stops. Registered at start."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from core import subject_data
from core.contacts import recipients_for
from core.subject_data import Copy, Row, Section
from notifications import subject_erasing
from notifications.gate import preference_of
from notifications.models import (
    ConsentRecord,
    InboundMessage,
    Message,
    NotificationPreference,
    OptEvent,
    SuppressedAddress,
)

# Rows of the database that are held in memory at a time.
CHUNK = 500


def _messages(copy: Copy) -> Iterator[Row]:
    """Every message about the patient, those too that were not sent, with the reason why."""
    rows = Message.objects.filter(patient=copy.patient).order_by("created_at", "pk")
    for row in rows.iterator(chunk_size=CHUNK):
        body = copy.text(row.body)
        yield {
            "id": str(row.pk),
            "time": row.created_at,
            "kind": row.get_notification_type_display(),
            "channel": row.get_channel_display(),
            "to": copy.address(row.recipient),
            "language": row.get_language_display(),
            "subject": copy.text(row.subject) if body is not None else None,
            "text": body,
            "status": row.get_status_display(),
            "reason": row.get_reason_display() if row.reason else "",
            "sent": row.sent_at,
            "delivered": row.delivered_at,
            "read": row.read_at,
        }


def _replies(copy: Copy) -> Iterator[Row]:
    rows = InboundMessage.objects.filter(patient=copy.patient).order_by("created_at", "pk")
    for row in rows.iterator(chunk_size=CHUNK):
        yield {
            "time": row.created_at,
            "channel": row.get_channel_display(),
            "from": copy.address(row.sender),
            "text": copy.words_from(row.sender, row.body),
            "outcome": row.get_outcome_display() if row.outcome else "",
        }


def _wishes(copy: Copy) -> Iterator[Row]:
    """The row of wishes as it is, field by field: what is added to it later is told too."""
    wishes = preference_of(copy.patient)
    for column in NotificationPreference._meta.concrete_fields:
        if column.name in ("id", "tenant", "patient"):
            continue
        value = getattr(wishes, column.attname)
        yield {"key": column.name, "what": column.verbose_name, "value": _yes_or_no(value)}


def _consents(copy: Copy) -> Iterator[Row]:
    """Every word about consent, also those that were taken back."""
    rows = ConsentRecord.objects.filter(patient__in=copy.files).select_related("captured_by")
    for row in rows.order_by("at", "created_at", "pk"):
        by = "" if row.guardian_id is None else _("A guardian")
        yield {
            "time": row.at,
            "purpose": row.get_purpose_display(),
            "channel": row.get_channel_display() if row.channel else _("Every channel"),
            "status": row.get_status_display(),
            "method": row.get_method_display(),
            "by": by or copy.staff(row.captured_by),
            "words": row.text_version,
            "language": row.language,
            "evidence": copy.text(row.evidence),
            "until": row.valid_until,
        }


def _opt_events(copy: Copy) -> Iterator[Row]:
    """Stops and starts of the addresses at which the patient's messages arrive, whoever of the family wrote them."""
    addresses = set(copy.own_addresses)
    readers = recipients_for([copy.patient])[copy.patient.pk]
    for reader in readers if not isinstance(readers, str) else ():
        addresses |= {reader.phone, reader.email}
    addresses.discard("")
    which = Q(patient__in=copy.files) | Q(address__in=addresses)
    for row in OptEvent.objects.filter(which).order_by("position"):
        yield {
            "time": row.at,
            "act": row.get_act_display(),
            "channel": row.get_channel_display(),
            "sender": row.sender,
            "address": copy.address(row.address),
            "text": copy.words_from(row.address, row.raw),
            "source": row.get_source_display(),
            "seal": row.seal,
        }


def _stopped(copy: Copy) -> Iterator[Row]:
    for row in SuppressedAddress.objects.filter(address__in=copy.own_addresses).order_by("created_at", "pk"):
        yield {
            "since": row.created_at,
            "channel": row.get_channel_display(),
            "address": row.address,
            "reason": row.get_reason_display(),
            "lifted": row.lifted_at,
        }


def _yes_or_no(value: object) -> object:
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    return value


def register() -> None:
    for section in _SECTIONS:
        subject_data.register_section(section)
    subject_data.leave_out("notifications.DeskTask", "a note to the staff that something is to be done; ids only")
    subject_data.leave_out("notifications.Conversation", "the frame around replies, which are told one by one")
    subject_data.leave_out("notifications.BulkRecipient", "the plan of a send, whose messages are told one by one")
    subject_data.register_eraser("messages", subject_erasing.erase)


_SECTIONS = (
    Section(
        "messages",
        _("Messages to you"),
        {
            "time": _("Time"),
            "kind": _("Kind"),
            "channel": _("Channel"),
            "to": _("To"),
            "language": _("Language"),
            "subject": _("Subject"),
            "text": _("Text"),
            "status": _("Status"),
            "reason": _("Why not sent"),
            "sent": _("Sent"),
            "delivered": _("Delivered"),
            "read": pgettext_lazy("message", "Read"),
        },
        _messages,
        ("notifications.Message",),
    ),
    Section(
        "replies",
        _("Your replies"),
        {
            "time": _("Time"),
            "channel": _("Channel"),
            "from": _("From"),
            "text": _("Text"),
            "outcome": _("What became of it"),
        },
        _replies,
        ("notifications.InboundMessage",),
    ),
    Section(
        "wishes",
        _("Your wishes"),
        {"what": _("What"), "value": _("Value")},
        _wishes,
        ("notifications.NotificationPreference",),
    ),
    Section(
        "consents",
        _("Consents"),
        {
            "time": _("Time"),
            "purpose": _("Purpose"),
            "channel": _("Channel"),
            "status": _("Status"),
            "method": _("How"),
            "by": _("Taken by"),
            "words": _("Version of the words"),
            "language": _("Language"),
            "evidence": _("Evidence"),
            "until": _("Valid until"),
        },
        _consents,
        ("notifications.ConsentRecord",),
    ),
    Section(
        "opt_events",
        _("Stops and starts"),
        {
            "time": _("Time"),
            "act": _("What"),
            "channel": _("Channel"),
            "sender": _("Sender"),
            "address": _("Address"),
            "text": _("As it came"),
            "source": _("Source"),
            "seal": _("Seal"),
        },
        _opt_events,
        ("notifications.OptEvent",),
    ),
    Section(
        "stopped",
        _("Addresses that are not written to"),
        {
            "since": _("Since"),
            "channel": _("Channel"),
            "address": _("Address"),
            "reason": _("Reason"),
            "lifted": _("Lifted"),
        },
        _stopped,
        ("notifications.SuppressedAddress",),
    ),
)
