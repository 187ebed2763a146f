"""Which provider carries a channel now: a breaker for each provider and channel, shared by all workers.

    CLOSED ──(half of the calls fail or hang)──> OPEN ──(10 to 30 s)──> HALF_OPEN ──(5 good probes)──> CLOSED
       └──(our account or sender is refused)──> STOPPED ──(5 to 30 min, or a person)──> HALF_OPEN ──(1 probe)──> CLOSED

``ProviderState`` holds it: the row with an empty ``sender`` is the account's on that channel, any other row is one
sender that the provider has refused. No row is CLOSED. The rules are in ``breaker_rules``, their reasons in
``docs/adr/0012-breaker-and-buckets.md``.

``choose`` → ``allowance`` → the calls → ``report``; and ``settle`` every ten seconds by the sweeper.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Sequence

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from core import audit
from core.models import User
from core.tenancy import active_tenant_ids, tenant_scope
from integrations import breaker_rules as rules
from integrations import credentials, incidents, sms_providers
from integrations.breaker_rules import Change, State, Tally
from integrations.models import Incident, ProviderState
from integrations.sms_providers import Call, Provider, ProviderError

log = structlog.get_logger(__name__)

# The row of a refused sender where the messages name none: brackets are in nobody's sender name.
DEFAULT_SENDER = "(default)"
_MESSAGING_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
_FIELDS = (
    "state", "window_at", "calls", "failures", "slow", "former_calls", "former_failures", "former_slow",
    "probes_good", "openings", "opened_at", "retry_at", "code", "last_success_at", "updated_at",
)  # fmt: skip


# --- Before the calls ------------------------------------------------------------------------------------------------


def choose(channel: str, sender: str, tenant_id: uuid.UUID | None = None) -> Provider | None:
    """The first provider of the channel that may be called now for that tenant; None: hold the messages.

    One query, and a turn to be taken when the provider is only being tried: then the caller makes at most
    ``allowance`` calls and reports them. A turn of which nobody reports is over after ``breaker_rules.TURN``.
    """
    now = timezone.now()
    troubled = _troubled(channel, sender)
    for provider in credentials.providers_for(channel, tenant_id):
        rows = troubled.get(provider.name, [])
        if all(rules.is_due(row, now) for row in rows) and all(_take_turn(row, now) for row in rows):
            return provider
    return None


def would_choose(channel: str, sender: str, tenant_id: uuid.UUID | None = None) -> Provider | None:
    """What ``choose`` would answer; takes no turn."""
    now = timezone.now()
    troubled = _troubled(channel, sender)
    for provider in credentials.providers_for(channel, tenant_id):
        if all(rules.is_due(row, now) for row in troubled.get(provider.name, [])):
            return provider
    return None


def allowance(provider_name: str, channel: str, sender: str) -> int | None:
    """How many calls may be made after ``choose``; None: no limit."""
    rows = _troubled(channel, sender).get(provider_name, [])
    if not rows:
        return None
    if any(row.state != State.HALF_OPEN for row in rows):
        return 0
    return min(1 if row.code else rules.PROBES for row in rows)


def held(channel: str) -> bool:
    """No provider of the channel may be called now, whoever sends. False for a channel that is switched off."""
    return channel in held_channels()


def held_channels() -> set[str]:
    """All channels that are held, by one query."""
    return {channel for channel, sender in held_places() if sender is None}


def held_places() -> set[tuple[str, str | None]]:
    """All that is held for who sends over the house's accounts, by one query: (channel, None) for a whole channel,
    (channel, sender) for one sender of it.
    """
    return held_among(waiting_places(), None)


def waiting_places() -> set[tuple[str, str, str]]:
    """(provider, channel, sender) of all that may not be called now, by one query."""
    now = timezone.now()
    rows = ProviderState.objects.exclude(state=State.CLOSED)
    return {(row.provider, row.channel, row.sender) for row in rows if not rules.is_due(row, now)}


def held_among(waiting: set[tuple[str, str, str]], tenant_id: uuid.UUID | None) -> set[tuple[str, str | None]]:
    """What that tenant cannot send: see ``held_places``."""
    found: set[tuple[str, str | None]] = set()
    for channel, sender in {(channel, sender) for _name, channel, sender in waiting}:
        names = [provider.name for provider in credentials.providers_for(channel, tenant_id)]
        if names and all({(name, channel, ""), (name, channel, sender)} & waiting for name in names):
            found.add((channel, None if not sender else "" if sender == DEFAULT_SENDER else sender))
    return found


def sender_at(provider: Provider, channel: str, sender: str, tenant_id: uuid.UUID | None = None) -> str:
    """The location's own sender as that provider may be given it; empty: the provider's default.

    A sender name is registered with the operators and goes everywhere, and so does an email address. A number or a
    Messaging Service belongs to the preferred provider; any other would refuse it.
    """
    if sms_providers.is_own(provider.name) and sender == settings.DEFAULT_FROM_EMAIL:
        # The house's address, where a location has none: the account's own goes before it.
        return ""
    is_name = any(char.isalpha() for char in sender) and not _MESSAGING_SERVICE.fullmatch(sender)
    preferred = credentials.providers_for(channel, tenant_id)
    if is_name or not preferred or preferred[0].name == provider.name:
        return sender
    return ""


def _troubled(channel: str, sender: str) -> dict[str, list[ProviderState]]:
    """Provider → its rows that are not CLOSED: the account's, the sender's."""
    found: dict[str, list[ProviderState]] = {}
    rows = ProviderState.objects.filter(channel=channel, sender__in=_keys(sender)).exclude(state=State.CLOSED)
    for row in rows.order_by("sender"):
        found.setdefault(row.provider, []).append(row)
    return found


def _keys(sender: str) -> tuple[str, str]:
    return "", sender or DEFAULT_SENDER


def _take_turn(row: ProviderState, now: dt.datetime) -> bool:
    """True for one of those who ask at once. It never waits for a row lock: whoever holds it is taking the turn."""
    with transaction.atomic():
        same = ProviderState.objects.filter(pk=row.pk, state=row.state, retry_at=row.retry_at)
        if not list(same.select_for_update(skip_locked=True).values_list("pk")):
            return False
        begun = {} if row.state == State.HALF_OPEN else {"state": State.HALF_OPEN, "probes_good": 0}
        return same.update(retry_at=now + rules.TURN, updated_at=now, **begun) == 1


# --- After the calls -------------------------------------------------------------------------------------------------


def report(
    provider_name: str, channel: str, sender: str, calls: Sequence[Call], *, tenant_id: uuid.UUID | None
) -> None:
    """Notes what a batch came to; opens, closes or stops. Once a batch and sender, after the outcomes are recorded.

    No calls at all gives back the turn to probe. ``tenant_id`` is whose sender it is. One row lock, for milliseconds.
    """
    tally = rules.tally_of(calls)
    key = sender or DEFAULT_SENDER
    with transaction.atomic():
        rows = _lock(provider_name, channel, sender)
        account = rows.get("") or _new_row(provider_name, channel, "")
        _note(account, tally, tally.of_account, tenant_id=None)
        if tally.of_sender is not None or key in rows:
            row = rows.get(key) or _new_row(provider_name, channel, key)
            _note(row, tally, tally.of_sender, tenant_id=tenant_id if sender else None)


def _lock(provider_name: str, channel: str, sender: str) -> dict[str, ProviderState]:
    """Sender → row, locked; always in the same order, so that two reports do not wait for each other."""
    rows = ProviderState.objects.select_for_update().filter(
        provider=provider_name, channel=channel, sender__in=_keys(sender)
    )
    return {row.sender: row for row in rows.order_by("sender")}


def _new_row(provider_name: str, channel: str, sender: str) -> ProviderState:
    ProviderState.objects.get_or_create(provider=provider_name, channel=channel, sender=sender)
    return ProviderState.objects.select_for_update().get(provider=provider_name, channel=channel, sender=sender)


def _note(row: ProviderState, tally: Tally, refusal: ProviderError | None, *, tenant_id: uuid.UUID | None) -> None:
    # Trouble of a clinic group's own account is nobody else's.
    tenant_id = credentials.owner_of(row.provider) or tenant_id
    names = [provider.name for provider in credentials.providers_for(row.channel, tenant_id)]
    change = rules.note(row, tally, refusal, timezone.now(), has_other=any(name != row.provider for name in names))
    row.save(update_fields=_FIELDS)
    if change is not None:
        log.warning(
            "provider_state",
            change=change.value,
            provider=row.provider,
            channel=row.channel,
            code=row.code,
            openings=row.openings,
        )
    if change is Change.OPENED:
        failure = tally.failure
        incidents.begin(
            Incident.Kind.OUTAGE,
            provider=row.provider,
            channel=row.channel,
            tenant_id=credentials.owner_of(row.provider),
            code=failure.code if failure else "slow",
            detail=failure.detail if failure else _("It answers too slowly."),
            stand_in=_stand_in(row, names),
        )
    elif change is Change.STOPPED and refusal is not None:
        # It answers again, if only to refuse us: the refusal is what the admins need to hear now.
        outages = incidents.open_ones(Incident.Kind.OUTAGE)
        for outage in outages.filter(provider=row.provider, channel=row.channel, sender=row.sender):
            incidents.end(outage, at=timezone.now(), is_told=False)
        incidents.begin(
            Incident.Kind.CONFIGURATION,
            provider=row.provider,
            channel=row.channel,
            sender=row.sender,
            tenant_id=tenant_id,
            code=row.code,
            detail=refusal.detail,
            stand_in=_stand_in(row, names),
        )


def _stand_in(row: ProviderState, names: Sequence[str]) -> str:
    """The name of the provider that takes over; empty: there is none, or it is in trouble itself."""
    sender = "" if row.sender == DEFAULT_SENDER else row.sender
    troubled = _troubled(row.channel, sender)
    return next((name for name in names if name != row.provider and name not in troubled), "")


# --- By the clock, and by hand ---------------------------------------------------------------------------------------


def settle() -> int:
    """Closes what only lacks traffic, and ends the incidents of what has kept closed. Returns how many ended."""
    now = timezone.now()
    since = now - rules.IDLE
    idle = ProviderState.objects.filter(state=State.HALF_OPEN, code="", probes_good__gt=0, retry_at__lte=since)
    for pk in idle.values_list("pk", flat=True):
        with transaction.atomic():
            row = ProviderState.objects.select_for_update().get(pk=pk)
            if row.state == State.HALF_OPEN and row.probes_good and rules.is_due(row, since):
                rules.close(row, now)
                row.save(update_fields=_FIELDS)
    return sum(_settle_incident(incident, now) for incident in incidents.open_ones(*incidents.OF_PROVIDERS))


@transaction.atomic
def _settle_incident(incident: Incident, now: dt.datetime) -> bool:
    carriers = credentials.providers_for(incident.channel, incident.tenant_id)
    if incident.provider not in {provider.name for provider in carriers}:
        # It was taken out of the settings: that is an end, but no “works again”.
        return incidents.end(incident, at=now, is_told=False)
    places = ProviderState.objects.select_for_update()
    row = places.filter(provider=incident.provider, channel=incident.channel, sender=incident.sender).first()
    since = rules.over_since(row, now) if row is not None else now
    return since is not None and incidents.end(incident, at=max(since, incident.started_at))


@transaction.atomic
def start_again(state_id: uuid.UUID, actor: User) -> None:
    """A person has mended it, or wants to know: it is tried again with the next message. Audited.

    Nothing happens to what works or is just being tried.
    """
    row = ProviderState.objects.select_for_update().get(pk=state_id)
    if row.state not in (State.OPEN, State.STOPPED):
        return
    before = {"state": row.state, "retry_at": row.retry_at.isoformat() if row.retry_at else None}
    row.retry_at, row.openings = timezone.now(), 0
    row.save(update_fields=_FIELDS)
    # The platform's own support has no clinic group: then the act is in the trail of each that it concerns.
    for tenant_id in [actor.tenant_id] if actor.tenant_id else active_tenant_ids():
        with tenant_scope(tenant_id):
            audit.record(
                tenant_id=tenant_id,
                actor=actor,
                action="provider.started_again",
                obj=row,
                before=before,
                after={"provider": row.provider, "channel": row.channel, "sender": row.sender},
            )
