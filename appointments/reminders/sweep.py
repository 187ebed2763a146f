"""Hands the reminders that are due to messaging, once: the tenants in turn, a batch at a time, the nearest visits first.

Each row is looked at once more: is it still the visit's version and time, is it quiet now, was the same just said? What
cannot go now stays planned for a little later; what cannot go at all ends with a reason. After a standstill whatever is
too late falls away and one phone gets only a few at once: the others are rows that are due later, nobody sleeps.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence

import structlog
from django.db import transaction
from django.utils import timezone

from appointments.models import Appointment, Reminder
from appointments.reminders import family, rules
from appointments.reminders.clock import out_of_quiet
from appointments.reminders.planning import QuietTimes
from appointments.reminders.said import AFTER_FAILURE, Said
from appointments.states import AWAITED
from core.tenancy import active_tenant_ids, current_tenant_id, tenant_scope
from notifications import events
from notifications.states import Reason

log = structlog.get_logger(__name__)

Kind = Reminder.Kind
Status = Reminder.Status

# Rows of one transaction.
BATCH = 500
# Beat comes every 20 seconds: one round leaves the rest to the next.
SECONDS = 15.0
# What has to wait for the next round; what failed waits a bit longer.
NEXT_ROUND = dt.timedelta(seconds=20)


class _Round:
    """One sweep: its moment, its counts, and how many went to each address in it."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now
        self.counts = {"sent": 0, "cancelled": 0, "expired": 0, "failed": 0}
        self.to_address: Counter[tuple[uuid.UUID, str]] = Counter()


def send_due_reminders(now: dt.datetime | None = None) -> dict[str, int]:
    """Hands every due reminder of every tenant to messaging, once; returns counts. Safe to run twice at once."""
    this = _Round(now or timezone.now())
    ends = time.monotonic() + SECONDS
    waiting = deque(active_tenant_ids())
    while waiting and time.monotonic() < ends:
        tenant_id = waiting.popleft()
        with tenant_scope(tenant_id):
            family.settle(this.now)
            if _batch(this):
                # The others first: a tenant with thousands due does not stand before one with a single one.
                waiting.append(tenant_id)
    return this.counts


def _batch(this: _Round) -> bool:
    """One batch of the open tenant; whether there may be more."""
    due = Reminder.objects.filter(status=Status.PLANNED, due_at__lte=this.now)
    ids = list(due.order_by("appointment__starts_at", "pk").values_list("pk", flat=True)[:BATCH])
    if not ids:
        return False
    try:
        _hand_over(ids, this)
    except Exception as error:  # noqa: BLE001  # one of them is bad: they are tried one by one, the others must go
        log.warning("reminders_one_by_one", error=type(error).__name__)
        for reminder_id in ids:
            _one(reminder_id, this)
    return len(ids) == BATCH


def _one(reminder_id: uuid.UUID, this: _Round) -> None:
    """What fails stays planned, a minute later, so that it stands in nobody's way."""
    try:
        _hand_over([reminder_id], this)
    except Exception as error:  # noqa: BLE001  # logged and tried again; the other patients' reminders must go
        # No traceback: its text could name the patient (invariant 12).
        log.error(  # noqa: TRY400
            "reminder_failed", reminder_id=str(reminder_id), error=type(error).__name__
        )
        Reminder.objects.filter(pk=reminder_id, status=Status.PLANNED).update(due_at=this.now + AFTER_FAILURE)
        this.counts["failed"] += 1


@transaction.atomic
def _hand_over(ids: Sequence[uuid.UUID], this: _Round) -> None:
    """Looks at the rows as they and their visits are now, and writes what becomes of them in a few statements."""
    mine = Reminder.objects.filter(pk__in=ids, status=Status.PLANNED, due_at__lte=this.now)
    rows = list(
        mine.select_for_update(skip_locked=True, no_key=True, of=("self",))
        .select_related("appointment__location", "appointment__patient__tenant")
        .order_by("appointment__starts_at", "pk")
    )
    tenant_id = current_tenant_id()
    if not rows or tenant_id is None:
        return
    counts = Counter[str]()
    ready = _look(rows, tenant_id, this, counts)
    timing = rules.timing(tenant_id)
    singles: list[Reminder] = []
    written = {row.pk: row for row in rows}
    for group in family.gather(ready, this.now):
        address = (tenant_id, group.address)
        if group.address and this.to_address[address] >= timing.at_once_per_address:
            for row in group.reminders:
                row.due_at = this.now + NEXT_ROUND
            continue
        this.to_address[address] += 1
        for row in group.reminders:
            row.status = Status.SENT
        counts["sent"] += len(group.reminders)
        if len(group.reminders) == 1:
            singles.append(group.reminders[0])
            continue
        for row in group.reminders:
            row.reason = Reason.COMBINED
        family.tell(group)
        written.update({row.pk: row for row in group.reminders})
    _tell(singles, tenant_id)
    for row in written.values():
        row.updated_at = this.now
    Reminder.objects.bulk_update(list(written.values()), ("due_at", "status", "reason", "updated_at"), batch_size=BATCH)
    # Only what is written counts.
    for name, count in counts.items():
        this.counts[name] += count


def _look(rows: Iterable[Reminder], tenant_id: uuid.UUID, this: _Round, counts: Counter[str]) -> list[Reminder]:
    """Ends or puts off what cannot go now; returns the others."""
    rows = list(rows)
    book = rules.rulebook()
    quiet = QuietTimes(tenant_id, [row.appointment.patient_id for row in rows])
    said = Said(rows, this.now, dt.timedelta(hours=rules.timing(tenant_id).recent_hours))
    ready = []
    for row in rows:
        visit = row.appointment
        refused, later = _refusal(row, visit, this.now), None
        if refused is None:
            rule = book.rule(row.kind, visit.department_id)
            # What was planned before the quiet hours were set, or comes after a standstill.
            later = out_of_quiet(
                this.now, visit.starts_at.astimezone(dt.UTC), quiet.of(visit), rule.lead, not_before=this.now
            )
            refused = Reason.QUIET_DROPPED if later is None else said.refusal(row)
        if refused is None and later == this.now:
            later = said.wait_until(row) or this.now
        if refused is not None:
            row.status = Status.EXPIRED if refused is Reason.PAST_DUE else Status.CANCELLED
            row.reason = refused
            counts["expired" if refused is Reason.PAST_DUE else "cancelled"] += 1
        elif later is not None and later > this.now:
            row.due_at = later
        else:
            ready.append(row)
    return ready


def _refusal(reminder: Reminder, appointment: Appointment, now: dt.datetime) -> Reason | None:
    if reminder.version != appointment.version:
        return Reason.STALE_VERSION
    if appointment.is_silent:
        return Reason.IMPORT_SILENT
    if appointment.status not in AWAITED:
        return Reason.STATUS_NOT_ELIGIBLE
    if now >= reminder.expires_at or now >= appointment.starts_at:
        return Reason.PAST_DUE
    return None


def _tell(reminders: Sequence[Reminder], tenant_id: uuid.UUID) -> None:
    """One event each, written by kind."""
    by_kind: dict[Kind, list[Reminder]] = defaultdict(list)
    for row in reminders:
        by_kind[Kind(row.kind)].append(row)
    for kind, rows in by_kind.items():
        keys: Mapping[str, Reminder] = {f"{row.appointment_id}:{row.version}:{row.kind}": row for row in rows}
        events.record_many(
            rules.EVENT_KEYS[kind],
            tenant_id=tenant_id,
            object_type=Appointment._meta.label_lower,
            objects={dedupe: row.appointment_id for dedupe, row in keys.items()},
            extras={
                dedupe: {"object_version": row.version, "payload": {"until": row.expires_at.isoformat()}}
                for dedupe, row in keys.items()
            },
            rings=len(rows),
        )
