"""Judges messages word by word in memory and writes what follows in a few statements. Used by ``receipts.py`` only."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db.models import Q
from django.utils import timezone

from core.bulk import update_rows
from integrations.sms_providers import Provider
from notifications import lifecycle, undeliverable
from notifications.lifecycle import Move
from notifications.models import Message, MessageAttempt
from notifications.receipt_rules import Verdict, Word, judge
from notifications.states import SUCCESS, LogEvent, Reason, Status
from notifications.suppression import release, suppress

# What the rules look at. Whole rows take three times as long to load, and there are hundreds in a batch.
_JUDGED = (
    *("tenant", "patient", "conversation_id", "notification_type", "channel", "recipient", "status", "reason"),
    *("provider", "provider_message_id", "retry_count", "attempt_count", "next_attempt_at", "expires_at"),
    *("next_check_at", "fallback_due_at", "fallback_channels", "error_code", "cost", "lease_token"),
)
# What an attempt learns from a receipt.
_TAUGHT = ("provider_message_id", "outcome", "finished_at")


class Case:
    """Messages that are locked, judged in memory word by word, and then written at once. Inside a transaction."""

    def __init__(self, message_ids: Collection[uuid.UUID], *, waits: bool = False) -> None:
        # Not waiting for locks: who never waits is in no deadlock with the deliveries.
        locked = Message.objects.select_for_update(no_key=True, skip_locked=not waits).filter(pk__among=message_ids)
        self.messages = {message.pk: message for message in locked.only(*_JUDGED)}
        self._attempts: dict[uuid.UUID, list[MessageAttempt]] = defaultdict(list)
        for attempt in MessageAttempt.objects.filter(message__among=self.messages).order_by("number"):
            self._attempts[attempt.message_id].append(attempt)
        self._now = timezone.now()
        self._moves: dict[uuid.UUID, list[Move]] = defaultdict(list)
        # Messages whose fields change without a move: rare, so each is written in its own order of steps.
        self._steps: dict[uuid.UUID, list[Move | dict[str, Any]]] = {}
        self._taught: dict[uuid.UUID, MessageAttempt] = {}
        self._suppressed: dict[tuple[uuid.UUID, Reason], str] = {}
        self._arrived: list[Message] = []
        self._read: list[uuid.UUID] = []

    def hear(self, message_id: uuid.UUID, said: Word, adapter: Provider) -> None:
        """Notes what follows from a word, so that the next one meets the message as this one leaves it."""
        message = self.messages[message_id]
        verdict = judge(message, self._attempts[message_id], said, adapter, self._now)
        self._note(message, said, verdict)

    def _note(self, message: Message, said: Word, verdict: Verdict) -> None:
        if verdict.attempt is not None and verdict.taught:
            _change(verdict.attempt, verdict.taught)
            self._taught[verdict.attempt.pk] = verdict.attempt
        if verdict.suppress is not None:
            self._suppressed[message.pk, verdict.suppress] = said.error_code
        if verdict.rewrite is not None:
            steps = self._steps.setdefault(message.pk, list(self._moves.pop(message.pk, [])))
            steps.append(verdict.rewrite)
            _change(message, verdict.rewrite)
        if verdict.move is not None:
            if verdict.move.to in SUCCESS and message.status not in SUCCESS:
                self._arrived.append(message)
            if verdict.move.to == Status.READ:
                self._read.append(message.pk)
                self._suppressed.pop((message.pk, Reason.CONTACT_UNDELIVERABLE), None)
            (self._steps.get(message.pk) or self._moves[message.pk]).append(verdict.move)
            _change(message, {**verdict.move.fields, "status": verdict.move.to})

    def close(self) -> set[uuid.UUID]:
        """Writes all that follows. The ids of the messages that moved."""
        moved = lifecycle.move_many([move for moves in self._moves.values() for move in moves])
        for message_id, steps in self._steps.items():
            moved |= self._write_steps(self.messages[message_id], steps)
        update_rows(
            MessageAttempt,
            [{"id": pk, **{name: getattr(attempt, name) for name in _TAUGHT}} for pk, attempt in self._taught.items()],
            _TAUGHT,
        )
        if self._read:
            release(self._read)
        for (message_id, reason), code in self._suppressed.items():
            message = self.messages[message_id]
            suppress(
                tenant_id=message.tenant_id,
                channel=message.channel,
                address=message.recipient,
                reason=reason,
                code=code,
                message_id=message_id,
            )
        # One may have bounced again within the batch.
        _stop_copies([message for message in self._arrived if message.status in SUCCESS])
        return moved

    @staticmethod
    def _write_steps(message: Message, steps: Sequence[Move | dict[str, Any]]) -> set[uuid.UUID]:
        moved: set[uuid.UUID] = set()
        for step in steps:
            if isinstance(step, Move):
                moved |= lifecycle.move_many([step])
                continue
            Message.objects.filter(pk=message.pk).update(**step)
            lifecycle.note(message, LogEvent.RECEIPT, response={"error_code": step.get("error_code", "")})
        # A worse word about the same failure can be the last one.
        undeliverable.note_ended([message.pk])
        return moved


def _change(row: Message | MessageAttempt, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        setattr(row, name, value)


def _stop_copies(arrived: Sequence[Message]) -> None:
    """It has arrived: copies of it over other channels that still wait are withdrawn, those that left are told.

    By patient, who has an index; a message without other channels and not itself a copy has none.
    """
    by_conversation = {m.conversation_id: m for m in arrived if m.fallback_channels or m.conversation_id != m.pk}
    if not by_conversation:
        return
    copies = (
        Message.objects.filter(
            patient__in={m.patient_id for m in by_conversation.values()}, conversation_id__in=by_conversation
        )
        .exclude(pk__in=[m.pk for m in arrived])
        .defer("subject", "body")
    )
    waits = Q(status=Status.QUEUED) | Q(status=Status.FAILED, next_attempt_at__isnull=False)
    lifecycle.refuse_many(dict.fromkeys(copies.filter(waits).values_list("pk", flat=True), Reason.DELIVERED_OTHERWISE))
    for copy in copies.filter(
        Q(status__in=[Status.SENDING, Status.SENT, Status.UNCONFIRMED]) | Q(fallback_due_at__isnull=False)
    ):
        Message.objects.filter(pk=copy.pk).update(fallback_due_at=None)
        channel = by_conversation[copy.conversation_id].channel
        lifecycle.note(copy, LogEvent.FALLBACK, response={"delivered_by": channel})
