"""How a message fared: its log, row by row, and the stamps on the message that follow from it.

The order of rows is what ``notifications.lifecycle`` and ``integrations.delivery`` write; times only grow, and nothing
is written that would lie in the future. A message that left is never left waiting: no row is due for the sweeper.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext_noop

from core.management.demo_data.build import Build
from core.models import User
from integrations import sms_providers
from notifications import lifecycle
from notifications.models import Message, MessageLog
from notifications.states import RETRY_DELAYS, Channel, LogEvent, Reason, Status

# A part of an SMS, a WhatsApp message, in SAR: the order of magnitude of Saudi price lists.
SMS_PART = Decimal("0.13500")
WHATSAPP_MESSAGE = Decimal("0.04200")
# So long after the deadline the sweeper finds a message that waits in vain.
SWEPT = dt.timedelta(seconds=8)


class Fate(StrEnum):
    """What happens to a message once it is handed over."""

    READ = "read"
    DELIVERED = "delivered"
    SENT = "sent"
    RECOVERED = "recovered"  # one or two failures, then delivered
    UNSURE = "unsure"  # the provider's answer was lost; the receipt settled it
    GAVE_UP = "gave_up"  # four attempts, all failed
    REFUSED = "refused"  # refused at once: the address is dead
    BOUNCED = "bounced"  # accepted, and came back
    TOO_LATE = "too_late"  # still queued when it stopped being useful


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error as the provider would have told it."""

    code: str
    detail: str


BUSY = Trouble("503", gettext_noop("The provider is not available."))
NO_SUCH_NUMBER = Trouble("21211", "This is not a phone number.")
UNREACHABLE = Trouble("30006", "The number is a landline, or its carrier cannot be reached.")
NO_SUCH_MAILBOX = Trouble("550", "There is no such mailbox.")

_FATES: dict[str, tuple[tuple[Fate, ...], tuple[int, ...]]] = {
    Channel.SMS: (
        (Fate.DELIVERED, Fate.SENT, Fate.RECOVERED, Fate.UNSURE, Fate.GAVE_UP),
        (952, 16, 20, 6, 6),
    ),
    Channel.WHATSAPP: ((Fate.READ, Fate.DELIVERED, Fate.SENT, Fate.RECOVERED, Fate.GAVE_UP), (700, 258, 12, 24, 6)),
    Channel.EMAIL: ((Fate.READ, Fate.DELIVERED, Fate.SENT, Fate.RECOVERED, Fate.BOUNCED), (410, 538, 22, 18, 12)),
}


@dataclass(frozen=True, slots=True)
class Outage:
    """A morning on which the SMS provider did not answer."""

    began: dt.datetime
    ended: dt.datetime


def roll_fate(build: Build, message: Message) -> Fate:
    """The dice for one message. The sandbox's magic numbers decide for themselves."""
    if message.channel != Channel.EMAIL:
        if message.recipient.endswith("0001"):
            return Fate.REFUSED
        if message.recipient.endswith("0002"):
            return Fate.BOUNCED
    if _was_urgent(build, message) and build.chance(0.01):
        return Fate.TOO_LATE
    fates, weights = _FATES[message.channel]
    return build.rng.choices(fates, weights=weights)[0]


def _was_urgent(build: Build, message: Message) -> bool:
    """Useful for a few hours only, and those are over."""
    if message.expires_at is None or message.expires_at + SWEPT >= build.now:
        return False
    return message.expires_at - message.created_at < dt.timedelta(hours=3)


class Timeline:
    """Writes one message's log in memory, each row later than the one before."""

    def __init__(self, build: Build, message: Message, *, details: dict[str, Any] | None = None) -> None:
        self.build = build
        self.message = message
        self.rows: list[MessageLog] = []
        self.clock = message.created_at
        self._row(LogEvent.CREATED, actor=message.sent_by, response=details)

    def refuse(self, reason: Reason) -> None:
        """The gate said no."""
        self.message.reason = reason
        status = lifecycle.status_of_refusal(reason)
        self._row(LogEvent(status.value), status, error=str(reason))

    def run(self, fate: Fate, outage: Outage | None = None) -> None:
        """From the queue to the end, as far as there was time for it until now."""
        self.message.next_attempt_at = None
        self._row(LogEvent.QUEUED, Status.QUEUED)
        if fate is Fate.TOO_LATE:
            self._too_late()
            return
        self.message.provider = sms_providers.chosen(self.message.channel)
        self._wait(0.05, 1.8)
        self._row(LogEvent.SENDING, Status.SENDING)
        if outage is not None and self.message.channel == Channel.SMS:
            answered = self._attempts(lambda: outage.began <= self.clock < outage.ended)
        elif fate is Fate.RECOVERED:
            left = self.build.rng.choice((1, 1, 2))
            answered = self._attempts(lambda: self.message.retry_count < left)
        elif fate is Fate.GAVE_UP:
            answered = self._attempts(lambda: True)
        elif fate is Fate.REFUSED:
            self._wait(0.2, 0.9)
            self._fail(Status.BOUNCED, NO_SUCH_NUMBER, Reason.CONTACT_UNDELIVERABLE)
            return
        else:
            answered = True
        if answered:
            self._answered(fate)

    def fell_back(self, channel: str) -> None:
        """Another channel took over; no move of this message."""
        self._row(LogEvent.FALLBACK, response={"channel": str(channel)})

    # --- the parts --------------------------------------------------------------------------------------------------

    def _attempts(self, fails: Any) -> bool:
        """Attempts until one is answered; False when the last was used up or it is too late for another."""
        while fails():
            self._wait(0.4, 5)
            self._fail(Status.FAILED, BUSY)
            if self.message.retry_count == len(RETRY_DELAYS):
                return False
            delay = RETRY_DELAYS[self.message.retry_count]
            again = self.clock + dt.timedelta(seconds=delay)
            if self.message.expires_at is not None and again >= self.message.expires_at:
                return False
            if again + dt.timedelta(minutes=2) >= self.build.now:
                # No time left before now: the rest of the story would be the future.
                return False
            self.clock = again
            self._wait(0.1, 9)
            self.message.retry_count += 1
            self._row(LogEvent.RETRY, Status.SENDING)
        return True

    def _answered(self, fate: Fate) -> None:
        """The provider took it, and told what became of it."""
        message = self.message
        if fate is Fate.UNSURE:
            self._wait(10, 15)
            self._row(LogEvent.UNCONFIRMED, Status.UNCONFIRMED, error="timeout The provider did not answer in time.")
            self._wait(2, 20)
        else:
            self._wait(0.15, 0.9)
        self._price()
        message.provider_message_id = _provider_id(self.build, message)
        answer = {"provider_message_id": message.provider_message_id}
        if fate is not Fate.UNSURE:
            message.sent_at = self.clock
            self._row(LogEvent.SENT, Status.SENT, response=answer)
        message.failed_at = None
        message.error_code = message.error_message = ""
        if fate is Fate.SENT or not self._wait(1.5, 40 if message.channel == Channel.EMAIL else 9):
            return
        if fate is Fate.BOUNCED:
            trouble = NO_SUCH_MAILBOX if message.channel == Channel.EMAIL else UNREACHABLE
            self._fail(Status.BOUNCED, trouble, Reason.CONTACT_UNDELIVERABLE)
            return
        message.delivered_at = self.clock
        self._row(LogEvent.DELIVERED, Status.DELIVERED, response={**answer, "status": "delivered"})
        slow = 5 * 3600 if message.channel == Channel.EMAIL else 2400
        if fate is Fate.READ and self._wait(20, slow):
            message.read_at = self.clock
            self._row(LogEvent.READ, Status.READ, response={**answer, "status": "read"})

    def _too_late(self) -> None:
        """The workers were stopped for an upgrade that took too long."""
        assert self.message.expires_at is not None
        self.clock = max(self.clock, self.message.expires_at + SWEPT)
        self.message.reason = Reason.PAST_DUE
        self._row(LogEvent.EXPIRED, Status.EXPIRED, error=str(Reason.PAST_DUE))

    def _fail(self, status: Status, trouble: Trouble, reason: Reason | None = None) -> None:
        message = self.message
        message.failed_at = self.clock
        message.error_code, message.error_message = trouble.code, trouble.detail
        message.reason = reason or ""
        self._row(
            LogEvent(status.value), status, response={"code": trouble.code}, error=f"{trouble.code} {trouble.detail}"
        )

    def _price(self) -> None:
        message = self.message
        if message.channel == Channel.SMS:
            message.cost, message.currency = SMS_PART * message.segments, "SAR"
        elif message.channel == Channel.WHATSAPP:
            message.cost, message.currency = WHATSAPP_MESSAGE, "SAR"

    def _wait(self, low: float, high: float) -> bool:
        """Lets time pass; False, and no time passes, when that would lie after now."""
        later = self.build.after(self.clock, low, high)
        if later >= self.build.now:
            return False
        self.clock = later
        return True

    def _row(
        self,
        event: LogEvent,
        status: Status | None = None,
        *,
        actor: User | None = None,
        response: dict[str, Any] | None = None,
        error: str = "",
    ) -> None:
        message = self.message
        if status is not None:
            message.status = status
        message.updated_at = self.clock
        self.rows.append(
            MessageLog(
                id=self.build.new_id(),
                # By id: forty thousand rows feel the price of assigning an object.
                tenant_id=self.build.tenant.pk,
                message_id=message.pk,
                event=event,
                status=status or "",
                actor=actor,
                provider_response=response or {},
                error=error,
                created_at=self.clock,
                position=len(self.rows) + 1,
            )
        )


def _provider_id(build: Build, message: Message) -> str:
    """SM and 32 hex digits; an email has its Message-ID."""
    if message.channel == Channel.EMAIL:
        return f"<{message.pk}@agdar.example>"
    return f"SM{build.rng.getrandbits(128):032x}"


def outage_of(build: Build, days: Sequence[dt.date]) -> Outage | None:
    """Twenty minutes on a morning about two weeks ago, if the clinic was open then."""
    past = [day for day in days if 10 <= (build.today - day).days <= 16]
    if not past:
        return None
    began = build.at(past[len(past) // 2], dt.time(9, 30))
    return Outage(began, began + dt.timedelta(minutes=25))
