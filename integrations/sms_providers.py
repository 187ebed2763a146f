"""The providers' common shape: what goes out, what comes back, and what a failure means. And the registry.

An adapter is one file in ``integrations/providers``: its ``_send``, its ``_look_up``, and beside them two tables,
the provider's status words and its error codes. This file and the adapters know HTTP and status codes; they must
never import a model. How to add one: ``docs/adding-a-provider.md``.
"""

from __future__ import annotations

import datetime as dt
import functools
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, ClassVar

import structlog
from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext_noop as _

from notifications.states import Channel, Status

log = structlog.get_logger(__name__)


class Kind(StrEnum):
    """What a failure means for the message. Everybody acts on this; nobody reads the provider's sentences."""

    TRANSIENT = "transient"  # proven not accepted: try again later
    NUMBER = "number"  # the address is dead
    OPTED_OUT = "opted_out"  # the recipient said no, or blocked us
    CONTENT = "content"  # this text will not go through, however often it is sent
    CONFIGURATION = "configuration"  # our account or set-up: somebody has to look
    AMBIGUOUS = "ambiguous"  # it may have been accepted: never send again before that is settled


class ProviderError(Exception):
    """A provider did not accept a message, or we cannot know.

    ``code`` is the provider's own, ``detail`` our words for it without personal data, ``response`` raw ids and
    codes, ``retry_after`` the seconds that the provider asked us to wait.
    """

    def __init__(
        self,
        kind: Kind,
        *,
        code: str = "",
        detail: str = "",
        response: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{kind.value} {code} {detail}".strip())
        self.kind = kind
        self.code = code
        self.detail = detail
        self.response = dict(response or {})
        self.retry_after = retry_after

    @property
    def permanent(self) -> bool:
        """Sending the same again later cannot help."""
        return self.kind in (Kind.NUMBER, Kind.OPTED_OUT, Kind.CONTENT, Kind.CONFIGURATION)


class ChannelDisabled(Exception):
    """No provider carries this channel here."""


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
class LookUp:
    """What the provider knows about a message. ``status`` is its own word, for ``Provider.parse_status``."""

    status: str
    provider_message_id: str
    error_code: str = ""
    segments: int | None = None
    cost: Decimal | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of an adapter's error table."""

    kind: Kind
    why: str


class Provider(ABC):
    """One adapter. Instances are shared by the threads of a process and keep nothing about a message."""

    name: ClassVar[str]
    channels: ClassVar[frozenset[str]]
    # The piece of /webhooks/<webhook>/status/<message id>/ that its call-backs use; empty: it has none.
    webhook: ClassVar[str] = ""
    # The provider's status word, in lower case → ours.
    statuses: ClassVar[Mapping[str, Status]] = {}
    # The provider's error code → what it means.
    errors: ClassVar[Mapping[str, Rule]] = {}

    @classmethod
    def missing_settings(cls, channel: str) -> list[str]:  # noqa: ARG003  # for those with several channels
        """The settings that this adapter needs for the channel and that are empty."""
        return []

    def send(self, outgoing: Outgoing) -> Accepted:
        """Hands the message over once. Raises ProviderError; logs ids and the time it took, nothing else."""
        began = time.perf_counter()
        outcome, code = "accepted", ""
        try:
            return self._send(outgoing)
        except ProviderError as error:
            outcome, code = error.kind.value, error.code
            raise
        finally:
            log.info(
                "provider_called",
                provider=self.name,
                channel=outgoing.channel,
                message_id=outgoing.message_id,
                outcome=outcome,
                code=code,
                ms=round((time.perf_counter() - began) * 1000),
            )

    def look_up(
        self,
        *,
        message_id: str,
        to: str,
        sent_after: dt.datetime,
        channel: str = Channel.SMS,
        body: str = "",
        provider_message_id: str = "",
    ) -> LookUp | None:
        """Asks what became of a message. None: it never arrived there. Raises ProviderError when nobody can tell."""
        return self._look_up(
            message_id=message_id,
            to=to,
            sent_after=sent_after,
            channel=channel,
            body=body,
            provider_message_id=provider_message_id,
        )

    def parse_status(self, word: str) -> Status | None:
        """Our status for the provider's word; None, and a loud line in the log, for a word nobody has seen yet."""
        status = self.statuses.get(word.lower())
        if status is None:
            log.error("provider_status_unknown", provider=self.name, word=word[:40])
        return status

    def kind_of(self, code: str) -> Kind:
        """What a failure reported after acceptance means. An unknown one is never sent again by itself."""
        rule = self.errors.get(code)
        if rule is None:
            log.error("provider_code_unknown", provider=self.name, code=code[:40])
            return Kind.CONFIGURATION
        return rule.kind

    def explain(self, code: str) -> str:
        """Our words for the provider's code; empty for an unknown one."""
        rule = self.errors.get(code)
        return rule.why if rule else ""

    def refused(self, code: str, *, response: Mapping[str, Any], retry_after: float | None = None) -> ProviderError:
        """The error of a call that the provider answered with a refusal. An unknown code: later, and an alert."""
        rule = self.errors.get(code)
        if rule is None:
            log.error("provider_code_unknown", provider=self.name, code=code[:40])
            rule = Rule(Kind.TRANSIENT, _("The provider refused with a code that is not in our table."))
        return ProviderError(rule.kind, code=code, detail=rule.why, response=response, retry_after=retry_after)

    @abstractmethod
    def _send(self, outgoing: Outgoing) -> Accepted: ...

    @abstractmethod
    def _look_up(
        self, *, message_id: str, to: str, sent_after: dt.datetime, channel: str, body: str, provider_message_id: str
    ) -> LookUp | None: ...


# --- What adapters share ---------------------------------------------------------------------------------------------


def empty_settings(*names: str) -> list[str]:
    return [name for name in names if not getattr(settings, name)]


def to_count(value: object) -> int | None:
    """A count as providers write it, often as text. 0 means "not known yet", so it is None."""
    try:
        return int(str(value)) or None
    except ValueError:
        return None


def to_cost(value: object) -> Decimal | None:
    """A price as providers write it: text, sometimes negative. 0 and nonsense are None: not known."""
    try:
        cost = abs(Decimal(str(value)))
    except InvalidOperation:
        return None
    return cost if cost.is_finite() and cost else None


# --- Registry --------------------------------------------------------------------------------------------------------

ADAPTERS: dict[str, str] = {
    "twilio": "integrations.providers.twilio.TwilioProvider",
    "sandbox": "integrations.providers.sandbox.SandboxProvider",
    "unifonic": "integrations.providers.unifonic.UnifonicProvider",
    "smtp": "integrations.providers.smtp_email.SmtpEmailProvider",
}


def adapter_class(name: str) -> type[Provider]:
    """The class of that name; KeyError for an unknown one."""
    found: type[Provider] = import_string(ADAPTERS[name])
    return found


@functools.cache
def get(name: str) -> Provider:
    """The adapter of that name, one a process. Made at the first call, so after a worker has forked."""
    return adapter_class(name)()


def chosen(channel: str) -> str:
    """The name of the provider that the settings choose for a channel; empty when it is switched off."""
    names = {
        Channel.SMS: settings.SMS_PROVIDER,
        Channel.WHATSAPP: settings.WHATSAPP_PROVIDER,
        Channel.EMAIL: "smtp" if settings.EMAIL_URL else "",
    }
    return str(names[Channel(channel)])


def provider_for(channel: str) -> Provider:
    """The adapter that carries a channel. Raises ChannelDisabled; ``manage.py check`` says what is missing."""
    name = chosen(channel)
    if name not in ADAPTERS:
        raise ChannelDisabled(channel)
    adapter = adapter_class(name)
    if channel not in adapter.channels or adapter.missing_settings(channel):
        raise ChannelDisabled(channel)
    return get(name)


def forget(**_signal: object) -> None:
    """Drops the adapters that were made. Connected to ``setting_changed``, so that tests may change settings."""
    get.cache_clear()
