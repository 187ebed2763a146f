"""Plans reminders in the visit's own transaction, many visits at a time, and plans anew when the rules have changed.

A kind that is not sent leaves a row with its reason, so that everybody can see why: booked too late for it, no time left
beside the quiet hours, entered afterwards.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from appointments.models import Appointment, Reminder, ReminderTiming
from appointments.reminders import rules
from appointments.reminders.clock import Rule, Slot, slot
from appointments.states import AWAITED, UNDO_ARRIVAL_WITHIN
from core import tenant_settings
from core.tenancy import active_tenant_ids, tenant_scope
from notifications.models import NotificationPreference
from notifications.quiet import Schedule
from notifications.states import Reason

Kind = Reminder.Kind
Status = Reminder.Status

# What another look may bring back: an arrival that was taken back, quiet hours or a rule that are others now.
_MAY_COME_BACK = frozenset({Reason.STATUS_NOT_ELIGIBLE, Reason.QUIET_DROPPED, Reason.WITHDRAWN})
# Visits of one transaction while planning anew.
BATCH = 500
_WRITTEN = ("due_at", "expires_at", "status", "reason", "updated_at")


class QuietTimes:
    """The quiet times that hold for patients of a tenant: the clinic group's and their own. Two queries."""

    def __init__(self, tenant_id: uuid.UUID, patient_ids: Sequence[uuid.UUID]) -> None:
        own = tenant_settings.of(tenant_id)
        self._clinic = (own.quiet_from, own.quiet_until) if own.quiet_from and own.quiet_until else None
        rows = NotificationPreference.objects.filter(patient__in=set(patient_ids), quiet_from__isnull=False)
        self._patients = {
            patient_id: (start, end)
            for patient_id, start, end in rows.values_list("patient_id", "quiet_from", "quiet_until")
            if start is not None and end is not None
        }

    def of(self, appointment: Appointment) -> list[Schedule]:
        """On the wall clock of the visit's location."""
        windows = (self._clinic, self._patients.get(appointment.patient_id))
        return [Schedule(appointment.location.zone, window) for window in windows if window is not None]


def plan(appointment: Appointment) -> list[Reminder]:
    """``plan_many`` for one visit."""
    return plan_many([appointment])


@transaction.atomic
def plan_many(appointments: Sequence[Appointment], *, is_booking: bool = True) -> list[Reminder]:
    """Plans what is still ahead of the current versions and cancels what was planned for older ones; returns the planned.

    The visits are of one tenant, whose scope is open, and have their location. Repeatable. ``is_booking``: the visits are
    just booked or moved; a kind that comes too late for that is written down as such.
    """
    if not appointments:
        return []
    plan = _Plan(appointments, is_booking=is_booking)
    for appointment in appointments:
        plan.add(appointment)
    Reminder.objects.bulk_create(plan.new, ignore_conflicts=True, batch_size=BATCH)
    if plan.changed:
        Reminder.objects.bulk_update(plan.changed, _WRITTEN, batch_size=BATCH)
    return plan.planned


class _Plan:
    """The rows to write for a batch of visits."""

    def __init__(self, appointments: Sequence[Appointment], *, is_booking: bool) -> None:
        self.now = timezone.now()
        self.is_booking = is_booking
        self.book = rules.rulebook()
        tenant_id = appointments[0].tenant_id
        self.quiet = QuietTimes(tenant_id, [one.patient_id for one in appointments])
        self.rows: dict[uuid.UUID, list[Reminder]] = defaultdict(list)
        there = Reminder.objects.filter(appointment__in=[one.pk for one in appointments])
        # Held: the sweep of due ones must not take a row that is being moved.
        for row in there.select_for_update(no_key=True).order_by("pk"):
            self.rows[row.appointment_id].append(row)
        self.new: list[Reminder] = []
        self.changed: list[Reminder] = []
        self.planned: list[Reminder] = []

    def add(self, appointment: Appointment) -> None:
        current: dict[str, Reminder] = {}
        for row in self.rows[appointment.pk]:
            if row.version == appointment.version:
                current[row.kind] = row
            elif row.status == Status.PLANNED:
                self._write(row, Status.CANCELLED, Reason.STALE_VERSION)
        if appointment.status not in AWAITED or appointment.starts_at <= self.now:
            return
        for kind in Kind:
            rule = self.book.rule(kind, appointment.department_id)
            there = current.get(kind)
            if there is not None:
                self._look_again(there, rule, appointment)
            elif rule.is_on:
                self._first_time(kind, rule, appointment)

    def _first_time(self, kind: Kind, rule: Rule, appointment: Appointment) -> None:
        found = self._slot(rule, appointment, self.now)
        reason = Reason.IMPORT_SILENT if appointment.is_silent else found.reason
        if reason is Reason.BOOKED_INSIDE_WINDOW and not self.is_booking:
            # A rule that is new: nobody has missed anything.
            return
        row = Reminder(
            tenant_id=appointment.tenant_id,
            appointment=appointment,
            version=appointment.version,
            kind=kind,
            due_at=found.due_at,
            expires_at=found.expires_at,
            status=Status.CANCELLED if reason else Status.PLANNED,
            reason=reason or "",
        )
        self.new.append(row)
        if reason is None:
            self.planned.append(row)

    def _look_again(self, row: Reminder, rule: Rule, appointment: Appointment) -> None:
        may_come_back = row.status == Status.CANCELLED and row.reason in _MAY_COME_BACK
        if row.status != Status.PLANNED and not may_come_back:
            return
        if not rule.is_on:
            self._write(row, Status.CANCELLED, Reason.WITHDRAWN)
            return
        found = self._slot(rule, appointment, row.created_at)
        if row.status == Status.PLANNED and row.due_at <= self.now:
            # The sweep is about to take it.
            self.planned.append(row)
        elif row.status == Status.CANCELLED and found.due_at <= self.now - self._slack(row):
            # Its time has gone by meanwhile: it stays as it is.
            return
        elif found.reason is not None:
            self._write(row, Status.CANCELLED, found.reason)
        else:
            row.due_at, row.expires_at = found.due_at, found.expires_at
            self._write(row, Status.PLANNED, None)
            self.planned.append(row)

    @staticmethod
    def _slack(row: Reminder) -> dt.timedelta:
        """An arrival noted by a slip costs no reminder, though its time came just then."""
        return UNDO_ARRIVAL_WITHIN if row.reason == Reason.STATUS_NOT_ELIGIBLE else dt.timedelta(0)

    def _slot(self, rule: Rule, appointment: Appointment, booked_at: dt.datetime) -> Slot:
        return slot(
            rule,
            start=appointment.starts_at,
            zone=appointment.location.zone,
            quiet=self.quiet.of(appointment),
            booked_at=booked_at,
        )

    def _write(self, row: Reminder, status: Reminder.Status, reason: Reason | None) -> None:
        row.status, row.reason, row.updated_at = status, reason or "", self.now
        self.changed.append(row)


def cancel(appointment: Appointment, reason: Reason) -> int:
    """The visit calls for no reminder any more."""
    return Reminder.objects.filter(appointment=appointment, status=Status.PLANNED).update(
        status=Status.CANCELLED, reason=reason, updated_at=timezone.now()
    )


def replan_for_patient(patient_id: uuid.UUID) -> None:
    """The patient's own quiet hours have changed."""
    rows = _to_come().filter(patient=patient_id)
    plan_many(list(rows), is_booking=False)


def replan() -> dict[str, int]:
    """Plans anew what changed rules or quiet hours concern, tenant by tenant, a batch each time; returns counts."""
    counts = {"visits": 0, "tenants": 0}
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            for count in _replan_tenant(tenant_id):
                counts["visits"] += count
                counts["tenants"] += 1 if not count else 0
    return counts


def _replan_tenant(tenant_id: uuid.UUID) -> Iterator[int]:
    """Batch after batch until every visit to come was looked at; the last one is empty."""
    while True:
        with transaction.atomic():
            waiting = ReminderTiming.objects.filter(tenant_id=tenant_id, replan_after__isnull=False)
            row = waiting.select_for_update(skip_locked=True).first()
            if row is None:
                return
            batch = list(_to_come().filter(pk__gt=row.replan_after).order_by("pk")[:BATCH])
            plan_many(batch, is_booking=False)
            row.replan_after = batch[-1].pk if batch else None
            row.save(update_fields=["replan_after"])
        yield len(batch)


def _to_come() -> QuerySet[Appointment]:
    return Appointment.objects.filter(status__in=AWAITED, starts_at__gt=timezone.now()).select_related("location")
