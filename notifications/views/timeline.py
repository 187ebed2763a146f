"""The timeline of a message as the page shows it: what happened, newest first, and what is still expected.

Makes no query: the caller hands in the rows.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.models import Language
from integrations import health
from integrations.health import Way
from integrations.models import ProviderState
from notifications import default_words
from notifications.models import Message, MessageAttempt, MessageLog
from notifications.selectors import is_stuck
from notifications.states import MAX_RETRIES, NEVER_LEFT, Channel, LogEvent, Outcome, Reason, Status
from notifications.views.words import hours_or_days, milliseconds, moment

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
_OUTCOME_TONES = {
    "": "info",
    Outcome.ACCEPTED: "ok",
    Outcome.TRANSIENT: "warn",
    Outcome.AMBIGUOUS: "warn",
    Outcome.NOT_FOUND: "warn",
}
# What a row says that went back into the queue untouched.
_HANDED_BACK = "handed_back"
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


@dataclass(frozen=True, slots=True)
class Try:
    """One call of a provider, as the page shows it. ``code`` is the provider's, ``why`` our words for it."""

    number: int
    provider: str
    started: str
    took: str
    outcome: str
    tone: str
    code: str
    why: str
    row: MessageAttempt


def tries(message: Message, attempts: Sequence[MessageAttempt], zone: zoneinfo.ZoneInfo) -> list[Try]:
    """The calls, the latest first."""
    return [_try(message, row, zone) for row in reversed(attempts)]


def _try(message: Message, row: MessageAttempt, zone: zoneinfo.ZoneInfo) -> Try:
    outcome, tone = str(row.get_outcome_display()), _OUTCOME_TONES.get(row.outcome, "bad")
    if not row.outcome and message.status == Status.SENDING:
        outcome = _("Under way")
    elif not row.outcome:
        outcome, tone = str(Outcome.AMBIGUOUS.label), "warn"
    return Try(
        number=row.number,
        provider=provider_name(row.provider),
        started=moment(row.started_at, zone),
        took=milliseconds(row.duration_ms) if row.duration_ms is not None else "",
        outcome=outcome,
        tone=tone,
        code=row.error_code,
        why=health.explain(row.provider, row.error_code),
        row=row,
    )


def steps(
    message: Message, logs: Sequence[MessageLog], attempts: Sequence[MessageAttempt], zone: zoneinfo.ZoneInfo
) -> list[Step]:
    """The lines from the top: what is expected, then the log from its end. The day stands where it changes."""
    carriers = {row.provider_message_id: row.provider for row in attempts if row.provider_message_id}
    lines = []
    day_above: dt.date | None = timezone.localdate(timezone=zone)
    for log in reversed(logs):
        local = timezone.localtime(log.created_at, zone)
        lines.append(_step(message, log, logs, carriers, local, shows_day=local.date() != day_above))
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
    message: Message,
    log: MessageLog,
    logs: Sequence[MessageLog],
    carriers: Mapping[str, str],
    local: dt.datetime,
    *,
    shows_day: bool,
) -> Step:
    event = E(log.event)
    tone, icon = _LOOKS[event]
    code = log.provider_response.get("provider_message_id") or message.provider_message_id if event is E.SENT else ""
    error = "" if log.error in Reason.values or log.error == _HANDED_BACK else log.error
    return Step(
        tone=tone,
        icon=icon,
        title=str(event.label),
        detail=_detail(message, log, logs, carriers.get(str(code), message.provider)),
        code=str(code),
        error=error,
        clock=f"{local:%H:%M:%S}",
        day=f"{local:%Y-%m-%d}" if shows_day else "",
    )


def _detail(message: Message, log: MessageLog, logs: Sequence[MessageLog], carrier: str) -> str:
    """The second line of a step, in our words."""
    match log.event:
        case E.CREATED:
            return _created(message, log)
        case E.QUEUED if log.actor:
            return _("Sent again by %(name)s.") % {"name": log.actor.name}
        case E.CANCELLED if log.actor:
            return _("Cancelled by %(name)s.") % {"name": log.actor.name}
        case _ if _is_handed_back(log, logs):
            return _("Handed back: no provider has it, so it waits for the next turn.")
        case E.SENT:
            return _("Accepted by %(provider)s.") % {"provider": provider_name(carrier)}
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


def _is_handed_back(log: MessageLog, logs: Sequence[MessageLog]) -> bool:
    """Queued once more by nobody's wish, after it had been taken for sending."""
    was_taken = any(row.event == E.SENDING and row.position < log.position for row in logs)
    return log.event == E.QUEUED and log.actor is None and was_taken


def _created(message: Message, log: MessageLog) -> str:
    instead = str(log.provider_response.get("instead_of", ""))
    if instead in Channel.values:
        return _("Takes the place of the one by %(channel)s, which did not arrive.") % {
            "channel": Channel(instead).label
        }
    if message.template is not None:
        sentence = _("Template “%(name)s”, version %(version)s.") % {
            "name": default_words.title(message.template),
            "version": message.template_version,
        }
        # The reader chose another language than there are words in.
        return f"{sentence} {_other_language(log)}".rstrip()
    if log.actor is not None:
        return _("Written by %(name)s.") % {"name": log.actor.name}
    return ""


def _other_language(log: MessageLog) -> str:
    chosen = log.provider_response.get("language")
    if not isinstance(chosen, dict):
        return ""
    used = chosen.get("used", "")
    return _("Not in the reader's language: there were words in %(language)s only.") % {
        "language": Language(used).label if used in Language.values else used
    }


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
    """The name people know a provider by; the same for a clinic group's own account ("twilio@4f9a0c21de")."""
    code = code.partition("@")[0]
    names = {
        "twilio": "Twilio",
        "unifonic": "Unifonic",
        "sandbox": _("Sandbox"),
        "smtp": _("the mail server"),
        "anymail": _("the mail service"),
    }
    return names.get(code, code) or _("the provider")


def verdict(
    message: Message, logs: Sequence[MessageLog], obstacle: Way | None, zone: zoneinfo.ZoneInfo
) -> tuple[str, str]:
    """One sentence for the top of the page when the message needs explaining, with its tone; empty when all is well.

    ``obstacle`` is what holds the messages of its channel and sender, if anything does.
    """
    if message.status == Status.BOUNCED:
        return _("The address does not work. Correct it in the patient's file, then send a new message."), "bad"
    if message.status in NEVER_LEFT and message.reason:
        return _("Not sent: %(reason)s.") % {"reason": message.get_reason_display()}, "warn"
    if message.status == Status.UNCONFIRMED:
        return _unconfirmed(message, zone), "warn"
    if is_stuck(message) and message.sent_at is not None:
        return _(
            "%(provider)s took it %(time)s ago, but WhatsApp has not delivered it: the phone may be off, or the "
            "patient has blocked the clinic."
        ) % {
            "provider": provider_name(message.provider),
            "time": hours_or_days(timezone.now() - message.sent_at),
        }, "warn"
    if obstacle is not None and waits(message):
        return _held(obstacle, zone), "warn"
    if message.status == Status.QUEUED and logs and _is_handed_back(logs[-1], logs):
        return _("Handed back: no provider has it, so it waits for the next turn."), ""
    if message.status != Status.FAILED:
        return "", ""
    return _failed(message)


def waits(message: Message) -> bool:
    """Is it to be sent by itself, now or later?"""
    return message.status in (Status.QUEUED, Status.FAILED) and message.next_attempt_at is not None


def _unconfirmed(message: Message, zone: zoneinfo.ZoneInfo) -> str:
    words = {"provider": provider_name(message.provider)}
    if message.next_check_at is None:
        return (
            _("We do not know whether it was sent, and %(provider)s cannot tell. It is not sent again by itself.")
            % words
        )
    if message.next_check_at <= timezone.now():
        return _("We do not know whether it was sent; we are asking %(provider)s.") % words
    return _("We do not know whether it was sent; we ask %(provider)s again at %(time)s.") % {
        **words,
        "time": moment(message.next_check_at, zone),
    }


def _held(obstacle: Way, zone: zoneinfo.ZoneInfo) -> str:
    words = {"provider": provider_name(obstacle.provider)}
    if obstacle.state == ProviderState.State.STOPPED:
        return _("Waiting: %(provider)s refuses our account or sender. Your admin has been told.") % words
    if obstacle.since is None:
        return _("Waiting: %(provider)s is down. It goes by itself when %(provider)s answers again.") % words
    return _(
        "Waiting: %(provider)s has been down since %(time)s. It goes by itself when %(provider)s answers again."
    ) % {**words, "time": moment(obstacle.since, zone)}


def _failed(message: Message) -> tuple[str, str]:
    left = MAX_RETRIES - message.retry_count
    if message.next_attempt_at is not None:
        return ngettext(
            "The last try failed. One more try follows by itself.",
            "The last try failed. Up to %(count)s more tries follow by themselves.",
            left,
        ) % {"count": left}, "warn"
    if message.can_retry():
        return _("This message failed. You can try again, or send a new one."), "bad"
    return _("This message failed, and all tries are used up. Send a new one."), "bad"
