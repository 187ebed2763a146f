"""The timeline of a message as the page shows it: what happened, newest first, and what is still expected.

Makes no query: the caller hands in the rows.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from notifications import default_words
from notifications.models import Message, MessageLog
from notifications.states import MAX_RETRIES, NEVER_LEFT, Channel, LogEvent, Reason, Status

E = LogEvent
_LOOKS = {
    E.CREATED: ("", "calendar-event"),
    E.QUEUED: ("", "clock"),
    E.SENDING: ("info", "send"),
    E.SENT: ("info", "check"),
    E.DELIVERED: ("ok", "checks"),
    E.READ: ("ok", "eye"),
    E.FAILED: ("bad", "alert-triangle"),
    E.RETRY: ("warn", "refresh"),
    E.BOUNCED: ("bad", "circle-x"),
    E.SUPPRESSED: ("warn", "lock"),
    E.CANCELLED: ("", "x"),
    E.EXPIRED: ("warn", "clock"),
    E.UNCONFIRMED: ("warn", "alert-circle"),
    E.FALLBACK: ("info", "external-link"),
    E.RECEIPT: ("", "inbox"),
}
# Nothing more is expected to happen by itself.
_CLOSED = NEVER_LEFT | {Status.READ, Status.BOUNCED}
_PATH = (Status.SENDING, Status.SENT, Status.DELIVERED, Status.READ)
# A receipt that has not come for this long will hardly come: the page stops asking.
_QUIET_AFTER = dt.timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Step:
    """One line. ``code`` is the provider's id, ``error`` its words, left to right; ``clock`` is empty when expected."""

    tone: str
    icon: str
    title: str
    detail: str = ""
    code: str = ""
    error: str = ""
    clock: str = ""
    day: str = ""
    is_expected: bool = False


def steps(message: Message, logs: Sequence[MessageLog], zone: zoneinfo.ZoneInfo) -> list[Step]:
    """The lines from the top: what is expected, then the log from its end. The day stands where it changes."""
    lines = []
    day_above: dt.date | None = timezone.localdate(timezone=zone)
    for log in reversed(logs):
        local = timezone.localtime(log.created_at, zone)
        lines.append(_step(message, log, logs, local, shows_day=local.date() != day_above))
        day_above = local.date()
    return [*reversed(expected(message)), *lines]


def expected(message: Message) -> list[Step]:
    """The steps still to come, in their order; none once the message is at its end."""
    if message.status in _CLOSED:
        return []
    if message.status == Status.FAILED:
        if message.next_attempt_at is None:
            return []
        path: Sequence[Status] = _PATH
    elif message.status == Status.UNCONFIRMED:
        path = _PATH[1:]
    else:
        path = _PATH[_PATH.index(Status(message.status)) + 1 :] if message.status in _PATH else _PATH
    return [
        Step("", "circle-dashed", Status(status).label, detail=_expected_detail(message, status), is_expected=True)
        for status in path
        if not _never_reported(message.channel, status)
    ]


def report_note(message: Message) -> str:
    """What this channel will never tell us; empty when it tells everything."""
    if message.status in _CLOSED or message.status == Status.FAILED:
        return ""
    if message.channel == Channel.SMS:
        return _("SMS does not report reading.")
    if message.channel == Channel.EMAIL:
        return _("Email reports a dead address, but neither delivery nor reading.")
    return ""


def is_moving(message: Message) -> bool:
    """May the message still change by itself soon? Then the page looks again every two seconds."""
    if message.status in (Status.QUEUED, Status.SENDING):
        return True
    if message.status == Status.FAILED:
        return message.next_attempt_at is not None
    if message.status not in (Status.SENT, Status.DELIVERED, Status.UNCONFIRMED):
        return False
    return bool(expected(message)) and timezone.now() - message.updated_at < _QUIET_AFTER


def _never_reported(channel: str, status: Status) -> bool:
    if channel == Channel.SMS:
        return status == Status.READ
    return channel == Channel.EMAIL and status in (Status.DELIVERED, Status.READ)


def _expected_detail(message: Message, status: Status) -> str:
    if status == Status.SENDING and message.next_attempt_at is not None and message.status == Status.FAILED:
        return _("The next try starts by itself.")
    return _("Expected")


def _step(
    message: Message, log: MessageLog, logs: Sequence[MessageLog], local: dt.datetime, *, shows_day: bool
) -> Step:
    event = E(log.event)
    tone, icon = _LOOKS[event]
    code = log.provider_response.get("provider_message_id") or message.provider_message_id if event is E.SENT else ""
    error = log.error if log.error not in Reason.values else ""
    return Step(
        tone=tone,
        icon=icon,
        title=str(event.label),
        detail=_detail(message, log, logs),
        code=str(code),
        error=error,
        clock=f"{local:%H:%M:%S}",
        day=f"{local:%Y-%m-%d}" if shows_day else "",
    )


def _detail(message: Message, log: MessageLog, logs: Sequence[MessageLog]) -> str:
    """The second line of a step, in our words."""
    match log.event:
        case E.CREATED:
            return _created(message, log)
        case E.QUEUED if log.actor:
            return _("Sent again by %(name)s.") % {"name": log.actor.name}
        case E.SENT:
            return _("Accepted by %(provider)s.") % {"provider": provider_name(message.provider)}
        case E.DELIVERED | E.READ:
            return _reported(message, log, logs)
        case E.RETRY:
            number = sum(1 for row in logs if row.event == E.RETRY and row.position <= log.position)
            return _("Retry %(number)s of %(most)s.") % {"number": number, "most": MAX_RETRIES}
        case E.FALLBACK:
            channel = str(log.provider_response.get("channel", ""))
            label = Channel(channel).label if channel in Channel.values else channel
            return _("Tried by %(channel)s instead.") % {"channel": label}
        case E.UNCONFIRMED:
            return _("Handed over, but no answer came. We ask the provider and do not send it twice.")
    return str(Reason(log.error).label) if log.error in Reason.values else ""


def _created(message: Message, log: MessageLog) -> str:
    instead = str(log.provider_response.get("instead_of", ""))
    if instead in Channel.values:
        return _("Takes the place of the one by %(channel)s, which did not arrive.") % {
            "channel": Channel(instead).label
        }
    if message.template is not None:
        return _("Template “%(name)s”, version %(version)s.") % {
            "name": default_words.title(message.template),
            "version": message.template_version,
        }
    if log.actor is not None:
        return _("Written by %(name)s.") % {"name": log.actor.name}
    return ""


def _reported(message: Message, log: MessageLog, logs: Sequence[MessageLog]) -> str:
    sent = next((row.created_at for row in reversed(logs) if row.event == E.SENT and row.position < log.position), None)
    provider = provider_name(message.provider)
    seconds = (log.created_at - sent).total_seconds() if sent is not None else None
    # After a minute nobody counts seconds; the clock at the end of the line says it.
    if seconds is None or seconds >= 60:
        return _("Reported by %(provider)s.") % {"provider": provider}
    return _("Reported by %(provider)s, %(seconds)s s after it was sent.") % {
        "provider": provider,
        "seconds": f"{seconds:.1f}",
    }


def provider_name(code: str) -> str:
    """The name people know a provider by."""
    names = {"twilio": "Twilio", "unifonic": "Unifonic", "sandbox": _("Sandbox"), "smtp": _("the mail server")}
    return names.get(code, code) or _("the provider")


def verdict(message: Message) -> tuple[str, str]:
    """One sentence for the top of the page when the message needs explaining, with its tone; empty when all is well."""
    left = MAX_RETRIES - message.retry_count
    if message.status == Status.BOUNCED:
        return _("The address does not work. Correct it in the patient's file, then send a new message."), "bad"
    if message.status in NEVER_LEFT and message.reason:
        return _("Not sent: %(reason)s.") % {"reason": message.get_reason_display()}, "warn"
    if message.status == Status.UNCONFIRMED:
        return _("We do not know whether it arrived. It is not sent again before the provider has answered."), "warn"
    if message.status != Status.FAILED:
        return "", ""
    if message.next_attempt_at is not None:
        return ngettext(
            "The last try failed. One more try follows by itself.",
            "The last try failed. Up to %(count)s more tries follow by themselves.",
            left,
        ) % {"count": left}, "warn"
    if message.can_retry():
        return _("This message failed. You can try again, or send a new one."), "bad"
    return _("This message failed, and all tries are used up. Send a new one."), "bad"
