"""The providers' common base, and the registry. What goes out and comes back: ``integrations/providers/shapes.py``.

An adapter is one file in ``integrations/providers``: how it sends, its ``_look_up``, and beside them two tables,
the provider's status words and its error codes. This file and the adapters know HTTP and status codes; they must
never import a model. How to add one: ``docs/adding-a-provider.md``.
"""

from __future__ import annotations

import datetime as dt
import functools
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

import structlog
from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext_noop as _

from integrations.providers.shapes import (
    Accepted,
    Approval,
    Approved,
    Brake,
    CalendarFile,
    Call,
    CannotList,
    ChannelDisabled,
    Kind,
    Letterhead,
    LookUp,
    Outgoing,
    OwnAccount,
    ProviderError,
    Rule,
    Scope,
)
from notifications.states import Channel, Status

log = structlog.get_logger(__name__)


__all__ = [
    "Accepted",
    "Approval",
    "Approved",
    "Brake",
    "CalendarFile",
    "Call",
    "CannotList",
    "ChannelDisabled",
    "Kind",
    "Letterhead",
    "LookUp",
    "Outgoing",
    "OwnAccount",
    "Provider",
    "ProviderError",
    "Rule",
    "Scope",
]

# Threads that a batch starts with, and how long before the rest of them are started too.
AT_FIRST = 2
PATIENCE_SECONDS = 0.1


class Provider(ABC):
    """One adapter. Instances are shared by the threads of a process and keep nothing about a message."""

    # Of the house's account the adapter's name, of a clinic group's own one the account's ("twilio@4f9a0c21de").
    name: str
    channels: ClassVar[frozenset[str]]
    # The piece of /webhooks/<webhook>/status/<message id>/ that its call-backs use; empty: it has none.
    webhook: ClassVar[str] = ""
    # The provider's status word, in lower case → ours.
    statuses: ClassVar[Mapping[str, Status]] = {}
    # The provider's error code → what it means.
    errors: ClassVar[Mapping[str, Rule]] = {}
    # It tells what a message cost when it is asked some minutes later: worth asking for that alone.
    reports_prices: ClassVar[bool] = False
    # Channels on which it takes, outside a conversation, only words that were approved before.
    requires_approval: ClassVar[frozenset[str]] = frozenset()
    # Calls that one process makes at the same time.
    max_in_flight: int = 10

    @classmethod
    def missing_settings(cls, channel: str) -> list[str]:  # noqa: ARG003  # for those with several channels
        """The settings that this adapter needs for the channel and that are empty."""
        return []

    @classmethod
    def of_account(cls, account: OwnAccount) -> Provider:
        """The adapter of a clinic group's own account. Only those in ``ProviderAccount.Kind`` have it."""
        raise NotImplementedError

    def is_usable(self, channel: str) -> bool:
        """It can be asked and sent over: nothing that it needs is empty."""
        return not self.missing_settings(channel)

    def rate_limit(self, channel: str, sender: str) -> float | None:
        """The provider's documented messages a second for a sender. None: no limit known, or it queues for us."""
        return None

    def send(self, outgoing: Outgoing) -> Accepted:
        """Hands one message over once. Raises ProviderError."""
        calls = self.send_many([outgoing])
        if not calls:
            raise ProviderError(Kind.TRANSIENT, code="held_back", detail=_("It waited too long for its turn."))
        result = calls[0].result
        if isinstance(result, ProviderError):
            raise result from None  # what it came from may quote the message
        return result

    def send_many(self, outgoings: Sequence[Outgoing], *, until: float | None = None) -> list[Call]:
        """Hands each message over once, ``max_in_flight`` at a time; the calls in the order in which they ended.

        No call starts after ``until`` (monotonic clock): a call takes 20 s at most, and must end within the lease.

        Never raises ProviderError: that is a result. What the brake held back was not called and is not in the list.
        """
        if not outgoings:
            return []
        calls = self._send_many(outgoings, Brake(until))
        outcomes = Counter(
            call.result.kind.value if isinstance(call.result, ProviderError) else "accepted" for call in calls
        )
        log.info(
            "provider_called",
            provider=self.name,
            channel=outgoings[0].channel,
            held_back=len(outgoings) - len(calls),
            ms_max=max((call.milliseconds for call in calls), default=0),
            **outcomes,
        )
        return calls

    def look_up(
        self,
        *,
        message_id: str,
        to: str,
        sent_after: dt.datetime,
        channel: str = Channel.SMS,
        body: str = "",
        provider_message_id: str = "",
        known_ids: Collection[str] = (),
    ) -> LookUp | None:
        """Asks what became of a message. None: it never arrived there. Raises ProviderError when nobody can tell.

        Without ``provider_message_id`` it is searched for; ``known_ids`` are the provider's ids of other messages and
        attempts, which cannot be what is meant.
        """
        return self._look_up(
            message_id=message_id,
            to=to,
            sent_after=sent_after,
            channel=channel,
            body=body,
            provider_message_id=provider_message_id,
            known_ids=known_ids,
        )

    def look_up_many(self, sent_after: dt.datetime, sent_before: dt.datetime) -> Iterator[LookUp]:
        """What became of everything sent between two times. Raises CannotList, ProviderError.

        What it does not yield is not proven absent: the provider may list it later, or the list was too long.
        """
        raise CannotList(self.name)

    def needs_approval(self, channel: str) -> bool:
        """Whether it takes, outside a conversation, only words that were approved before."""
        return channel in self.requires_approval

    def approval_of(self, content_sid: str) -> Approval | None:
        """What the provider says about an approved content; None when it knows none of that id. Raises ProviderError."""
        raise NotImplementedError

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
        return ProviderError(
            rule.kind, code=code, detail=rule.why, response=response, retry_after=retry_after, scope=rule.scope
        )

    def _send(self, outgoing: Outgoing) -> Accepted:
        """One blocking call. Raises ProviderError. Not needed by an adapter with its own ``_send_many``."""
        raise NotImplementedError

    def _send_many(self, outgoings: Sequence[Outgoing], brake: Brake) -> list[Call]:
        """For adapters with a blocking ``_send``: threads that take one message after the other."""
        waiting = iter(outgoings)
        turn = threading.Lock()
        calls: list[Call] = []

        def work() -> None:
            while not brake.is_on:
                with turn:
                    outgoing = next(waiting, None)
                if outgoing is None:
                    return
                calls.append(timed(self._send, outgoing, brake))

        if len(outgoings) == 1:
            work()
            return calls
        threads = [threading.Thread(target=work) for _ in range(min(self.max_in_flight, len(outgoings)))]
        # A server next door keeps two busy, and more would only wait for each other. One that is far away gets all.
        for number, thread in enumerate(threads):
            if number == AT_FIRST:
                threads[0].join(PATIENCE_SECONDS)
            if number < AT_FIRST or threads[0].is_alive():
                thread.start()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        return calls

    @abstractmethod
    def _look_up(
        self,
        *,
        message_id: str,
        to: str,
        sent_after: dt.datetime,
        channel: str,
        body: str,
        provider_message_id: str,
        known_ids: Collection[str],
    ) -> LookUp | None: ...


# --- What adapters share ---------------------------------------------------------------------------------------------


def timed(send: Callable[[Outgoing], Accepted], outgoing: Outgoing, brake: Brake) -> Call:
    """Calls ``send`` and notes its result. A fault of our own code proves nothing: the message may have left."""
    began = time.perf_counter()
    result: Accepted | ProviderError
    try:
        result = send(outgoing)
    except ProviderError as error:
        result = error
    except Exception as error:  # noqa: BLE001  # the other calls of the batch must not be lost with this one
        result = crashed(error)
    brake.note(result)
    return Call(outgoing, result, round((time.perf_counter() - began) * 1000))


def crashed(error: Exception) -> ProviderError:
    """The result of a call in which our own code failed. Its text may quote the message, so only its type is told."""
    log.error("adapter_crashed", error=type(error).__name__)
    return ProviderError(
        Kind.AMBIGUOUS, code=type(error).__name__, detail=_("Our own program failed while it was handing over.")
    )


def empty_settings(*names: str) -> list[str]:
    return [name for name in names if not getattr(settings, name)]


# No message has more parts or costs more, in any currency; and the columns hold it.
_COUNT_AT_MOST = 1000
_COST_AT_MOST = 10_000


def to_count(value: object) -> int | None:
    """A count as providers write it, often as text. 0 means "not known yet", so it is None; so is nonsense."""
    try:
        count = int(str(value))
    except ValueError:
        return None
    return count if 0 < count <= _COUNT_AT_MOST else None


def to_cost(value: object) -> Decimal | None:
    """A price as providers write it: text, sometimes negative. 0 and nonsense are None: not known."""
    try:
        cost = abs(Decimal(str(value)))
    except InvalidOperation:
        return None
    return cost if cost.is_finite() and 0 < cost < _COST_AT_MOST else None


# --- Registry --------------------------------------------------------------------------------------------------------

ADAPTERS: dict[str, str] = {
    "twilio": "integrations.providers.twilio.TwilioProvider",
    "sandbox": "integrations.providers.sandbox.SandboxProvider",
    "unifonic": "integrations.providers.unifonic.UnifonicProvider",
    "smtp": "integrations.providers.smtp_email.SmtpEmailProvider",
    "anymail": "integrations.providers.anymail_email.AnymailEmailProvider",
}


def is_own(name: str) -> bool:
    """The name of a clinic group's own account, not of a provider of the house."""
    return "@" in name


def kind_of_name(name: str) -> str:
    """``twilio`` of ``twilio`` and of ``twilio@4f9a0c21de``."""
    return name.partition("@")[0]


def adapter_class(name: str) -> type[Provider]:
    """The class of that name; KeyError for an unknown one."""
    found: type[Provider] = import_string(ADAPTERS[kind_of_name(name)])
    return found


# Where the clinic groups' own accounts come from. This file knows no model: ``integrations/apps.py`` connects it.
_load_own: Callable[[str], OwnAccount | None] = lambda _name: None  # noqa: E731


def connect_own_accounts(load: Callable[[str], OwnAccount | None]) -> None:
    global _load_own
    _load_own = load


@functools.cache
def get(name: str) -> Provider:
    """The adapter of that name, one a process. Made at the first call, so after a worker has forked.

    Kept for as long as the process lives: an account of that name never gets other credentials.
    """
    if not is_own(name):
        return adapter_class(name)()
    account = _load_own(name)
    if account is None:
        raise KeyError(name)
    return adapter_class(name).of_account(account)


def chosen_all(channel: str) -> list[str]:
    """The names of the providers that the settings choose for a channel, the preferred first; empty: switched off."""
    names = {
        Channel.SMS: settings.SMS_PROVIDER,
        Channel.WHATSAPP: settings.WHATSAPP_PROVIDER,
        # Email is switched on by the address of a mail server, or by a service that needs none.
        Channel.EMAIL: [name for name in settings.EMAIL_PROVIDER if name != "smtp" or settings.EMAIL_URL],
    }
    return list(dict.fromkeys(names[Channel(channel)]))


def chosen(channel: str) -> str:
    """The name of the provider that the settings prefer for a channel; empty when it is switched off."""
    return next(iter(chosen_all(channel)), "")


def providers_for(channel: str) -> list[Provider]:
    """The adapters that can carry a channel, the preferred first. ``manage.py check`` says what others lack."""
    return [get(name) for name in chosen_all(channel) if _can_carry(name, channel)]


def provider_for(channel: str) -> Provider:
    """The adapter that is preferred for a channel. Raises ChannelDisabled when there is none."""
    for provider in providers_for(channel):
        return provider
    raise ChannelDisabled(channel)


def _can_carry(name: str, channel: str) -> bool:
    if name not in ADAPTERS:
        return False
    adapter = adapter_class(name)
    return channel in adapter.channels and not adapter.missing_settings(channel)


def forget(**_signal: object) -> None:
    """Drops the adapters that were made. Connected to ``setting_changed``, so that tests may change settings."""
    get.cache_clear()
