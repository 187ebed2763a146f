"""Sends what is due to staff beside the bell: email through the messages' own pipeline, push and chat by calls from here.

Claim, check everything again, call without a transaction, record. An email's message and the end of its rows are one
transaction, so there is never a second one. A call that was begun and has no record is not made again; one that the
service did not take is tried anew, three times in all, and never after it could be useful.
"""

from __future__ import annotations

import datetime as dt
import itertools
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog
from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from django.utils import timezone

from core.models import Tenant
from core.queueing import ring
from core.tenancy import tenant_scope
from integrations import chat_targets, push, staff_words
from integrations.messaging_service import MessagingService
from integrations.outbox import Origin
from integrations.push import Result
from notifications import chat, registry, staff_outbox, staff_preferences
from notifications import push as browsers
from notifications.models import (
    Escalation,
    NotificationDelivery,
    NotificationEvent,
    PushSubscription,
    StaffPreference,
)
from notifications.staff_outbox import TEAM_STEP, Claim, LostClaim
from notifications.states import DeliveryStatus, DropReason, EscalationStatus, StaffChannel

log = structlog.get_logger(__name__)

MAX_TRIES = 3
# Before the second and the third try.
PAUSES = (dt.timedelta(seconds=30), dt.timedelta(minutes=2))
# A tenant's turn ends after this; what is left has rung again by then, or the clock finds it.
TURN = dt.timedelta(seconds=20)
# Calls at the same time.
_CALLERS = 8
# No call begins so shortly before the lease's end.
_MARGIN = dt.timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class _Bundle:
    """Rows that go as one: of one person over one channel."""

    rows: tuple[NotificationDelivery, ...]

    @property
    def first(self) -> NotificationDelivery:
        return self.rows[0]

    @property
    def is_summary(self) -> bool:
        return len(self.rows) > 1

    @property
    def useful_until(self) -> dt.datetime | None:
        ends = [row.useful_until for row in self.rows]
        return max(end for end in ends if end is not None) if all(ends) else None


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of a service, ready to be made by any thread; ``record`` writes what it came to, in ours."""

    bundle: _Bundle
    make: Callable[[], Result]
    record: Callable[[Result], None]


def send_due(tenant_id: uuid.UUID) -> dict[str, int]:
    """Sends what is due to the staff of a tenant. Safe to run twice at once. Returns counts of rows."""
    counts: Counter[str] = Counter()
    began = timezone.now()
    if not Tenant.objects.filter(pk=tenant_id, is_active=True).exists():
        # A ring from before the clinic group was suspended. Its rows wait, and are checked again when it is back.
        return {}
    with tenant_scope(tenant_id):
        counts["settled"] = staff_outbox.settle_orphans()
        while timezone.now() - began < TURN:
            claim = staff_outbox.claim()
            if claim is None:
                break
            counts.update(_send(claim))
    if counts.total():
        log.info("staff_deliveries_sent", tenant_id=str(tenant_id), **counts)
    return dict(counts)


def _send(claim: Claim) -> Counter[str]:
    counts: Counter[str] = Counter()
    rows, dropped = _check(claim.rows)
    for why, gone in dropped.items():
        counts += _end(gone, claim.lease, DeliveryStatus.DROPPED, why)
    calls: list[_Call] = []
    for bundle in _bundles(rows):
        if bundle.first.channel == StaffChannel.EMAIL:
            counts += _write_email(bundle, claim.lease)
            continue
        ready, reason = _push_calls(bundle) if bundle.first.channel == StaffChannel.PUSH else _chat_calls(bundle)
        if reason is not None:
            counts += _end(bundle.rows, claim.lease, DeliveryStatus.DROPPED, reason)
        elif _begin(bundle, claim.lease):
            calls += ready
    return counts + _make(calls, claim.lease)


def _end(
    rows: Sequence[NotificationDelivery], lease: dt.datetime, status: DeliveryStatus, reason: DropReason | None = None
) -> Counter[str]:
    try:
        staff_outbox.finish(rows, lease, status, reason=reason)
    except LostClaim:
        log.warning("staff_claim_lost", rows=len(rows))
        return Counter()
    return Counter({status.value.lower(): len(rows)})


def _begin(bundle: _Bundle, lease: dt.datetime) -> bool:
    try:
        staff_outbox.start_attempt(bundle.rows, lease)
    except LostClaim:
        log.warning("staff_claim_lost", rows=len(bundle.rows))
        return False
    return True


def _bundles(rows: Iterable[NotificationDelivery]) -> list[_Bundle]:
    """What was held back goes together, everything else by itself."""

    def person(row: NotificationDelivery) -> tuple[str, str]:
        return str(row.user_id), row.channel

    alone = [_Bundle((row,)) for row in rows if not row.held_for]
    held = sorted((row for row in rows if row.held_for), key=person)
    return alone + [_Bundle(tuple(together)) for _person, together in itertools.groupby(held, key=person)]


# --- everything once more --------------------------------------------------------------------------------------------


def _check(
    rows: Sequence[NotificationDelivery],
) -> tuple[list[NotificationDelivery], dict[DropReason, list[NotificationDelivery]]]:
    """What still makes sense, and what no longer does by its reason."""
    now = timezone.now()
    preferences = {one.user_id: one for one in StaffPreference.objects.filter(user__in={row.user_id for row in rows})}
    void = _void_events(rows)
    answered = set(
        Escalation.objects.filter(
            event__in={row.notification.event_id for row in rows if 0 < row.step < TEAM_STEP},
            status=EscalationStatus.STOPPED,
        ).values_list("event", flat=True)
    )
    good: list[NotificationDelivery] = []
    dropped: dict[DropReason, list[NotificationDelivery]] = {}
    for row in rows:
        notification = row.notification
        is_for_team = row.step >= TEAM_STEP
        reason: DropReason | None = None
        if not row.user.is_active and not is_for_team:
            reason = DropReason.STAFF_INACTIVE
        elif (
            notification.resolved_at is not None
            or notification.event_id in void
            or (0 < row.step < TEAM_STEP and notification.event_id in answered)
        ):
            reason = DropReason.NO_LONGER_TRUE
        elif not is_for_team and _is_dealt_with(row):
            reason = DropReason.ALREADY_READ
        elif row.useful_until is not None and row.useful_until <= now:
            reason = DropReason.PAST_DUE
        elif row.step == 0 and not staff_preferences.is_on(
            preferences.get(row.user_id), category=notification.category, channel=row.channel
        ):
            reason = DropReason.SWITCHED_OFF
        if reason is None:
            good.append(row)
        else:
            dropped.setdefault(reason, []).append(row)
    return good, dropped


def _is_dealt_with(row: NotificationDelivery) -> bool:
    one = row.notification
    return one.is_read or any((one.acknowledged_at, one.archived_at, one.snoozed_until))


def _void_events(rows: Iterable[NotificationDelivery]) -> set[uuid.UUID]:
    """The events among them that no longer hold: a visit that moved, was called off."""
    events = {row.notification.event_id: row.notification.event for row in rows}
    return {event.pk for event in events.values() if event is not None and _is_void(event)}


def _is_void(event: NotificationEvent) -> bool:
    """Also when what it was about is gone: one such event must not stop the others."""
    try:
        return registry.get(event.key).refusal_now(event) is not None
    except (KeyError, ObjectDoesNotExist) as error:
        log.warning("staff_event_unknown", event_id=str(event.pk), error=type(error).__name__)
        return True


# --- email -----------------------------------------------------------------------------------------------------------


def _write_email(bundle: _Bundle, lease: dt.datetime) -> Counter[str]:
    """The message and the end of its rows in one transaction; from there on it is a message like any other."""
    user, rows = bundle.first.user, bundle.rows
    status = DeliveryStatus.MERGED if bundle.is_summary else DeliveryStatus.SENT
    notifications = [row.notification for row in rows]
    if bundle.is_summary:
        preference = staff_preferences.preference_of(user)
        zone = staff_preferences.zone_of(preference, user.location)
        text = staff_words.summary(notifications, user.language, zone)
        key = f"staff-summary:{bundle.first.pk}"
    else:
        text = staff_words.letter(notifications[0], user.language)
        key = f"staff:{bundle.first.pk}"
    event = None if bundle.is_summary else notifications[0].event
    try:
        with transaction.atomic():
            message = MessagingService().send_to_user(
                user=user,
                subject=text.title,
                body=text.body,
                dedupe_key=key,
                origin=Origin(event=event, location=user.location, useful_until=bundle.useful_until),
            )
            staff_outbox.finish(rows, lease, status, email_id=message.pk)
    except LostClaim:
        log.warning("staff_claim_lost", rows=len(rows))
        return Counter()
    return Counter({status.value.lower(): len(rows)})


# --- push and chat ---------------------------------------------------------------------------------------------------


def _push_calls(bundle: _Bundle) -> tuple[list[_Call], DropReason | None]:
    """A call for each of the person's browsers."""
    if not browsers.is_set_up():
        return [], DropReason.SWITCHED_OFF
    devices = browsers.devices(bundle.first.user)
    if not devices:
        return [], DropReason.NO_DEVICE
    notifications = [row.notification for row in bundle.rows]
    notice = staff_words.notice(notifications, bundle.first.user.language, is_summary=bundle.is_summary)
    is_urgent = any(one.is_critical for one in notifications)

    def call(device: PushSubscription) -> _Call:
        where = push.Device(device.endpoint, device.p256dh, device.auth)

        def record(result: Result) -> None:
            if result is Result.ACCEPTED:
                browsers.note_success(device.pk)
            elif result is Result.GONE:
                browsers.remove_dead(device.pk, device.endpoint)

        return _Call(
            bundle,
            lambda: push.send(where, notice, is_urgent=is_urgent, useful_until=bundle.useful_until),
            record,
        )

    return [call(device) for device in devices], None


def _chat_calls(bundle: _Bundle) -> tuple[list[_Call], DropReason | None]:
    """A call for the tenant's channel that the step stands for, or for each of the person's own."""
    row = bundle.first
    if row.step >= TEAM_STEP:
        targets = [one for one in chat.team_targets() if staff_outbox.team_step(one.pk) == row.step]
        language = row.user.tenant.default_language if row.user.tenant is not None else row.user.language
    else:
        targets, language = chat.own_targets(row.user), row.user.language
    # An address that was encrypted with a key we no longer have is None.
    targets = [one for one in targets if one.url]
    if not targets:
        return [], DropReason.NO_TARGET
    text = staff_words.chat([one.notification for one in bundle.rows], language, is_summary=bundle.is_summary)

    def call(target_id: uuid.UUID, url: str) -> _Call:
        def make() -> Result:
            return Result.ACCEPTED if chat_targets.send(url, title=text.title, body=text.body) else Result.TRANSIENT

        return _Call(bundle, make, lambda result: chat.note_result(target_id, is_success=result is Result.ACCEPTED))

    return [call(one.pk, one.url) for one in targets], None


def _make(calls: Sequence[_Call], lease: dt.datetime) -> Counter[str]:
    """Makes the calls, a few at a time, and records what each person's came to."""
    counts: Counter[str] = Counter()
    if not calls:
        return counts
    latest = lease - _MARGIN

    def make(call: _Call) -> Result:
        # Out of time: not called at all, so it may be tried again.
        return call.make() if timezone.now() < latest else Result.TRANSIENT

    with ThreadPoolExecutor(max_workers=min(_CALLERS, len(calls))) as pool:
        results = list(pool.map(make, calls))
    by_bundle: dict[int, tuple[_Bundle, list[Result]]] = {}
    for call, result in zip(calls, results, strict=True):
        call.record(result)
        by_bundle.setdefault(id(call.bundle), (call.bundle, []))[1].append(result)
    for bundle, came_to in by_bundle.values():
        counts += _conclude(bundle, came_to, lease)
    return counts


def _conclude(bundle: _Bundle, results: Sequence[Result], lease: dt.datetime) -> Counter[str]:
    """One browser that took it is enough: a second try would show it twice there."""
    if Result.ACCEPTED in results:
        return _end(bundle.rows, lease, DeliveryStatus.MERGED if bundle.is_summary else DeliveryStatus.SENT)
    if all(result is Result.GONE for result in results):
        return _end(bundle.rows, lease, DeliveryStatus.DROPPED, DropReason.NO_DEVICE)
    tries = max(row.attempts for row in bundle.rows) + 1
    if Result.TRANSIENT not in results or tries >= MAX_TRIES:
        return _end(bundle.rows, lease, DeliveryStatus.FAILED, DropReason.UNREACHABLE)
    try:
        staff_outbox.put_back(bundle.rows, lease, until=timezone.now() + PAUSES[tries - 1])
    except LostClaim:
        log.warning("staff_claim_lost", rows=len(bundle.rows))
        return Counter()
    return Counter({"again": len(bundle.rows)})


# --- the doorbell ----------------------------------------------------------------------------------------------------


def ring_for(tenant_id: uuid.UUID) -> None:
    from integrations.tasks import send_staff_deliveries_task

    ring(send_staff_deliveries_task, str(tenant_id))
