"""What messaging lets go of when a patient's data is erased: words and addresses. Proof stays.

That a message was sent, when, of what kind and with what outcome stays, with a digest of its words; consents, stops and
addresses that must not be written to stay too, since they keep somebody from being written to again. In short
transactions, and safe to run again from anywhere.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection

from django.db.models import Q
from django.utils import timezone

from core import holds
from core.models import Patient, RightsRequest
from core.subject_data import NotYet
from notifications import exports, lifecycle, retention
from notifications.models import (
    Conversation,
    DeskTask,
    InboundMessage,
    Message,
    Notification,
    NotificationEvent,
    NotificationItem,
    ProviderReceipt,
    WhatsAppContent,
)
from notifications.states import CANCELLABLE, Reason, Status

BATCH = 500


def erase(patient: Patient) -> int:
    """Raises ``NotYet`` while a message of theirs is with a provider: it needs its words until the answer is there; and
    under a legal hold.
    """
    erased = _withdraw(patient)
    _stop_if_held(patient)
    if Message.objects.filter(patient=patient, status__in=[Status.QUEUED, Status.SENDING]).exists():
        raise NotYet
    erased += retention.erase_words_of(patient)
    # Each step is by itself, and a hold counts from the moment it is placed.
    _stop_if_held(patient)
    messages = Message.objects.filter(patient=patient)
    erased += _of_messages(list(messages.values_list("pk", flat=True)))
    about = {key for key in messages.values_list("object_id", flat=True) if key is not None}
    replies = InboundMessage.objects.filter(patient=patient)
    about |= {patient.pk} | set(replies.values_list("pk", flat=True))
    about |= set(RightsRequest.objects.filter(patient=patient).values_list("pk", flat=True))
    # What the desk's bell said of a reply is about its conversation.
    about |= set(replies.exclude(conversation=None).values_list("conversation_id", flat=True))
    erased += erase_news(about)
    erased += replies.exclude(sender="").update(sender="")
    erased += DeskTask.objects.filter(patient=patient).exclude(note="").update(note="")
    erased += retention.erase_values_of(patient)
    # Last: what begins to be written now finds the words gone.
    erased += exports.forget_files()
    return erased + _conversations(patient)


def erase_news(object_ids: Collection[uuid.UUID]) -> int:
    """Empties what bells and letters told the staff about these objects: it names the patient. Rows and counters stay. What
    is still to be told about them is not told any more, and the reasons that people wrote go.
    """
    erased = 0
    for ids in _batches(list(object_ids)):
        rows = Notification.objects.filter(related_object_id__in=ids)
        NotificationItem.objects.filter(notification__in=rows).update(title="…", title_ar="", message="", message_ar="")
        erased += rows.exclude(title="…").update(title="…", title_ar="", message="", message_ar="", sample=[])
        news = NotificationEvent.objects.filter(object_id__in=ids)
        erased += news.filter(processed_at=None).update(processed_at=timezone.now(), dropped_because=Reason.WITHDRAWN)
        for event in news.filter(payload__has_key="reason").exclude(payload__reason=""):
            event.payload["reason"] = ""
            event.save(update_fields=["payload"])
            erased += 1
        letters = Message.objects.filter(user__isnull=False, object_id__in=ids)
        erased += letters.exclude(subject="", body="").update(subject="", body="")
    return erased


def _stop_if_held(patient: Patient) -> None:
    if holds.is_held(patient):
        raise NotYet


def _withdraw(patient: Patient) -> int:
    waiting = Message.objects.filter(
        Q(next_attempt_at__isnull=False) | Q(fallback_due_at__isnull=False), patient=patient
    )
    waiting.exclude(status__in=CANCELLABLE).update(fallback_due_at=None, fallback_channels=[])
    ids = list(waiting.filter(status__in=CANCELLABLE).values_list("pk", flat=True))
    return len(lifecycle.refuse_many(dict.fromkeys(ids, Reason.WITHDRAWN)))


def _of_messages(ids: list[uuid.UUID]) -> int:
    """Addresses, what a provider was given beside the words, and what it reported word by word."""
    erased = 0
    for batch in _batches(ids):
        erased += (
            Message.objects.filter(pk__in=batch)
            .exclude(recipient="", error_message="")
            .update(recipient="", error_message="")
        )
        WhatsAppContent.objects.filter(message__in=batch).delete()
        # Reports that are still to be applied are needed for that; the nightly clean-up takes them.
        ProviderReceipt.objects.filter(message__in=batch, applied_at__isnull=False).delete()
    return erased


def _conversations(patient: Patient) -> int:
    """The frame of their replies loses its number, unless others of the clinic write from it too."""
    erased = 0
    for row in Conversation.objects.filter(patient=patient).exclude(address__startswith="erased:"):
        adults = Patient.objects.filter(Q(phone=row.address) | Q(phone_alternative=row.address)).exclude(pk=patient.pk)
        children = Patient.objects.filter(guardianships__guardian__phone=row.address).exclude(pk=patient.pk)
        is_shared = adults.exists() or children.exists()
        fields = {"patient": None} if is_shared else {"patient": None, "address": f"erased:{row.pk}"}
        erased += Conversation.objects.filter(pk=row.pk).update(**fields, pending={})
    return erased


def _batches(ids: list[uuid.UUID]) -> list[list[uuid.UUID]]:
    return [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
