"""What the numbers need beside messages: the calls of providers behind each message, and how fast arrivals were answered."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import defaultdict

from core.management.demo_data import build as building
from core.management.demo_data.build import Build
from core.management.demo_data.messages import Post
from notifications.models import Escalation, Message, MessageAttempt, MessageLog
from notifications.states import EscalationStatus, LogEvent, Outcome, StopReason

# What the log says after SENDING → what the call came to.
_OUTCOMES = {
    LogEvent.SENT: Outcome.ACCEPTED,
    LogEvent.FAILED: Outcome.TRANSIENT,
    LogEvent.BOUNCED: Outcome.NUMBER,
    LogEvent.UNCONFIRMED: Outcome.AMBIGUOUS,
}
# Providers answer within, in milliseconds; one call in forty takes long.
_USUAL, _SLOW = (90, 420), (900, 3500)
# Of a hundred arrivals nobody answers so many.
_UNANSWERED = 0.03


def build_calls(build: Build, post: Post) -> None:
    """One attempt for each time a message was being sent, and an ended alert for each arrival."""
    steps: dict[object, list[MessageLog]] = defaultdict(list)
    for row in post.logs:
        steps[row.message_id].append(row)
    attempts = [attempt for message in post.messages for attempt in _of(build, message, steps[message.pk])]
    building.save(attempts, [_alert(build, event) for event in post.events if event.key == "appointment.arrived"])
    Message.objects.bulk_update(post.messages, ["attempt_count"], batch_size=500)


def _of(build: Build, message: Message, logs: list[MessageLog]) -> list[MessageAttempt]:
    made: list[MessageAttempt] = []
    logs = sorted(logs, key=lambda row: row.position)
    for row, after in itertools.pairwise(logs):
        outcome = _OUTCOMES.get(after.event) if row.event == LogEvent.SENDING else None
        if outcome is None:
            continue
        took = round(build.rng.uniform(*(_SLOW if build.chance(0.025) else _USUAL)))
        is_accepted = outcome is Outcome.ACCEPTED
        made.append(
            MessageAttempt(
                id=build.new_id(),
                tenant_id=build.tenant.pk,
                message=message,
                number=len(made) + 1,
                provider=message.provider,
                lease_token=build.new_id(),
                started_at=row.created_at,
                finished_at=min(row.created_at + dt.timedelta(milliseconds=took), after.created_at),
                outcome=outcome,
                provider_message_id=message.provider_message_id if is_accepted else "",
                error_code="" if is_accepted else message.error_code,
                duration_ms=took,
                segments=message.segments if is_accepted else 0,
                cost=message.cost if is_accepted else None,
                currency=message.currency if is_accepted else "",
            )
        )
    message.attempt_count = len(made)
    return made


def _alert(build: Build, event: object) -> Escalation:
    minutes = min(build.rng.lognormvariate(0.6, 0.9), 45)
    is_answered = not build.chance(_UNANSWERED)
    return Escalation(
        id=build.new_id(),
        tenant_id=build.tenant.pk,
        event=event,
        object_type=event.object_type,
        object_id=event.object_id,
        status=EscalationStatus.STOPPED if is_answered else EscalationStatus.EXHAUSTED,
        step=0 if minutes < build.tenant.escalate_after_minutes else 1,
        due_at=event.created_at + dt.timedelta(minutes=build.tenant.escalate_after_minutes),
        stop_reason=StopReason.ACKNOWLEDGED if is_answered else "",
        stopped_at=event.created_at + dt.timedelta(minutes=minutes),
        created_at=event.created_at,
    )
