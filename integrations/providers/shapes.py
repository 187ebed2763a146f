"""What goes out to a provider, what comes back, and what a failure means. Data, and the brake of a batch.

Everybody else takes these from ``integrations.sms_providers``.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from notifications.states import Status


class Kind(StrEnum):
    """What a failure means for the message. Everybody acts on this; nobody reads the provider's sentences."""

    TRANSIENT = "transient"  # proven not accepted: try again later
    NUMBER = "number"  # the address is dead
    OPTED_OUT = "opted_out"  # the recipient said no, or blocked us
    CONTENT = "content"  # this text will not go through, however often it is sent
    CONFIGURATION = "configuration"  # our account or set-up: somebody has to look
    AMBIGUOUS = "ambiguous"  # it may have been accepted: never send again before that is settled


class Scope(StrEnum):
    """What a CONFIGURATION error concerns, so what has to stop until somebody has looked."""

    MESSAGE = "message"  # this one only; others of the same sender may go
    SENDER = "sender"  # whatever this sender sends
    ACCOUNT = "account"  # whatever this account sends


class ProviderError(Exception):
    """A provider did not accept a message, or we cannot know.

    ``code`` is the provider's own, ``detail`` our words for it without personal data, ``response`` raw ids and
    codes (empty when there was no answer at all), ``retry_after`` the seconds that the provider asked us to wait.
    """

    def __init__(
        self,
        kind: Kind,
        *,
        code: str = "",
        detail: str = "",
        response: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
        scope: Scope = Scope.MESSAGE,
    ) -> None:
        super().__init__(f"{kind.value} {code} {detail}".strip())
        self.kind = kind
        self.scope = scope
        self.code = code
        self.detail = detail
        self.response = dict(response or {})
        self.retry_after = retry_after

    @property
    def permanent(self) -> bool:
        """Sending the same again later cannot help."""
        return self.kind in (Kind.NUMBER, Kind.OPTED_OUT, Kind.CONTENT, Kind.CONFIGURATION)


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """A clinic group's own account, as its adapter needs it. ``senders``: channel → the sender where none is named.

    ``login`` is what is no secret (Twilio's SID, the mail server's user), ``server`` the mail server's address
    (smtp+tls://host:587), ``webhook_key`` what we write into the call-backs of a provider that signs nothing.
    """

    name: str
    login: str
    server: str
    secret: str = field(repr=False)
    senders: Mapping[str, str]
    webhook_key: str = field(default="", repr=False)


class ChannelDisabled(Exception):
    """No provider carries this channel here."""


class CannotList(Exception):
    """This provider has no list of messages by date: it can only be asked about one."""


@dataclass(frozen=True, slots=True)
class Letterhead:
    """How a clinic group's emails look in one language. Texts are plain; an empty one is left out.

    ``colour`` is read on white, ``colour_dark`` on a dark ground; the logo's sizes are those it is shown in, in pixels.
    """

    name: str
    colour: str
    colour_dark: str
    logo_url: str = ""
    logo_width: int = 0
    logo_height: int = 0
    footer: str = ""
    reply_to: str = ""


@dataclass(frozen=True, slots=True)
class CalendarFile:
    """An entry for the reader's calendar: an .ics file, and what a mail program shall do with it (RFC 5546)."""

    method: str
    content: bytes
    name: str


@dataclass(frozen=True, slots=True)
class Approved:
    """The approved content that a WhatsApp message is sent as; ``variables`` is JSON: {"1": "Sara"}."""

    content_sid: str
    variables: str


@dataclass(frozen=True, slots=True)
class Approval:
    """What a provider says about one approved content. ``status`` and ``category`` are its own words, lower case."""

    status: str
    category: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message as it leaves. ``to`` is E.164 or an email address; an empty ``sender`` is the provider's default."""

    message_id: str
    channel: str
    to: str
    sender: str
    subject: str
    body: str
    language: str
    callback_url: str
    valid_seconds: int | None
    # 1 for the first call for this message.
    attempt: int = 1
    # Email: whose paper it is written on (None: plain), and the picture that tells of its opening (empty: none).
    letterhead: Letterhead | None = None
    pixel_url: str = ""
    # Where the reader chooses what they get, and where their mail program unsubscribes by itself (RFC 8058); or empty.
    preferences_url: str = ""
    unsubscribe_url: str = ""
    # One is an invitation that mail programs show; several are files to open.
    calendars: tuple[CalendarFile, ...] = ()
    # WhatsApp: sent as this instead of as free text.
    approved: Approved | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took it. ``response`` holds ids and codes of the raw answer, never the text or the address."""

    provider_message_id: str
    status: Status = Status.SENT
    segments: int | None = None
    cost: Decimal | None = None
    currency: str = ""
    response: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of ``Provider.send_many`` and what came of it."""

    outgoing: Outgoing
    result: Accepted | ProviderError
    milliseconds: int


@dataclass(frozen=True, slots=True)
class LookUp:
    """What the provider knows about a message. ``status`` is its own word, for ``Provider.parse_status``.

    ``created_at`` is when the provider took it; ``message_id`` is ours, where the provider keeps it.
    """

    status: str
    provider_message_id: str
    error_code: str = ""
    segments: int | None = None
    cost: Decimal | None = None
    currency: str = ""
    created_at: dt.datetime | None = None
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of an adapter's error table."""

    kind: Kind
    why: str
    scope: Scope = Scope.MESSAGE


class Brake:
    """Ends a batch that gets nowhere: a provider that is down or has locked us out costs a few attempts, not all.

    On: no new call of the batch starts; those that run come to their end.
    """

    # Calls in a row that were put off or remained unanswered, and none accepted or clearly refused in between.
    FAILURES = 10
    # The last call starts within this, and takes at most 20 s more: the batch ends within its lease of 45 s.
    SECONDS = 20.0

    def __init__(self, until: float | None = None) -> None:
        """``until``: on the monotonic clock, when the last call may start, if that is sooner."""
        self._is_pulled = False
        self._failures = 0
        self._ends_at = time.monotonic() + self.SECONDS
        if until is not None:
            self._ends_at = min(self._ends_at, until)

    @property
    def is_on(self) -> bool:
        return self._is_pulled or time.monotonic() > self._ends_at

    def pull(self) -> None:
        self._is_pulled = True

    def note(self, result: Accepted | ProviderError) -> None:
        """Counts one call. The threads of a batch may miscount each other by one or two, which does no harm."""
        if isinstance(result, Accepted):
            self._failures = 0
        elif result.kind in (Kind.TRANSIENT, Kind.AMBIGUOUS):
            self._failures += 1
            if self._failures >= self.FAILURES:
                self.pull()
        else:
            self._failures = 0
            if result.kind is Kind.CONFIGURATION and result.scope is not Scope.MESSAGE:
                self.pull()
