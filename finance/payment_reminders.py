"""Reminds of open bills before and after their due day, by the clinic group's own days (``BillingPolicy``).

Nothing is planned ahead: at each tick the open bills are asked whose day it is, so a bill that is paid, void or put off is
simply not there any more. A step is one event by its key, so any number of ticks at once remind once; after an outage only
the latest step is made up for, and not when it is stale. Needs no scope open: goes through the tenants itself.
"""

from __future__ import annotations

import datetime as dt
import itertools
import uuid
from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from core import changes
from core.access import Can
from core.errors import DomainError
from core.models import Tenant, User
from core.permissions import NotAllowed, demand
from core.tenancy import tenant_scope
from finance import notices
from finance.models import BillingPolicy, Invoice
from finance.services import OPEN
from notifications.models import NotificationEvent

# Later than that the reminder would come as a surprise: the next step says it better.
STALE_AFTER_DAYS = 2
# Further away nobody connects it with the bill.
FURTHEST_DAYS = 60
MOST_STEPS = 6
# Bills held in memory at once.
CHUNK = 500


# --- the clinic's days ------------------------------------------------------------------------------------------------


def policy_of(tenant_id: uuid.UUID) -> BillingPolicy:
    """The tenant's own, or an unsaved row with the defaults. One query."""
    return BillingPolicy.objects.filter(tenant_id=tenant_id).first() or BillingPolicy(tenant_id=tenant_id)


@transaction.atomic
def policy_set(*, actor: User, is_on: bool, reminder_days: Sequence[int], remind_at: dt.time) -> BillingPolicy:
    """Whether and when open bills are reminded of. Raises ``DomainError``."""
    if actor.tenant_id is None:
        raise NotAllowed
    demand(actor, Can.MANAGE_SETTINGS)
    days = sorted(set(reminder_days))
    if is_on and not days:
        raise DomainError(_("Choose at least one day, or turn the reminders off."), code="days_missing")
    if len(days) > MOST_STEPS:
        raise DomainError(_("At most six reminders for one bill."), code="days_too_many")
    if any(abs(day) > FURTHEST_DAYS for day in days):
        raise DomainError(_("At most 60 days before or after the due day."), code="days_out_of_range")
    row, _is_new = BillingPolicy.objects.select_for_update().get_or_create(tenant_id=actor.tenant_id)
    values = {"is_on": is_on, "reminder_days": days, "remind_at": remind_at}
    changes.apply(actor=actor, row=row, values=values, action="billing_policy.set")
    return row


# --- the tick ---------------------------------------------------------------------------------------------------------


def send_due() -> dict[str, int]:
    """Records the reminders whose moment has come, of all tenants. Safe to run twice at once."""
    counts = {"reminded": 0}
    for tenant_id in Tenant.objects.filter(is_active=True).values_list("pk", flat=True):
        with tenant_scope(tenant_id):
            counts["reminded"] += _of_tenant(tenant_id)
    return counts


def _of_tenant(tenant_id: uuid.UUID) -> int:
    policy = policy_of(tenant_id)
    if not policy.is_on or not policy.reminder_days:
        return 0
    now = timezone.now()
    # The day may be another one at each place; whose it is exactly is asked bill by bill.
    around = [timezone.localdate(now, dt.UTC) + dt.timedelta(days=shift) for shift in (-1, 0, 1)]
    due_days = {
        day - dt.timedelta(days=step + late)
        for day in around
        for step in policy.reminder_days
        for late in range(STALE_AFTER_DAYS + 1)
    }
    open_bills = Invoice.objects.select_related("appointment__location").filter(status__in=OPEN, due_on__in=due_days)
    reminded = 0
    rows = open_bills.order_by("due_on", "pk").iterator(CHUNK)
    while chunk := list(itertools.islice(rows, CHUNK)):
        reminded += sum(_remind_one(pk, policy, now) for pk in _due_among(chunk, policy, now))
    return reminded


def _due_among(invoices: Sequence[Invoice], policy: BillingPolicy, now: dt.datetime) -> list[uuid.UUID]:
    """Those whose step has come and was not taken; one query for all."""
    keys: dict[str, uuid.UUID] = {}
    main = notices.main_place()
    for invoice in invoices:
        step = due_step(invoice, policy, now, notices.zone_at(notices.place_of(invoice, main)))
        if step is not None:
            keys |= dict.fromkeys(_keys_of(invoice, step), invoice.pk)
    taken = set(NotificationEvent.objects.filter(dedupe_key__in=list(keys)).values_list("dedupe_key", flat=True))
    done = {keys[key] for key in taken}
    return [pk for pk in dict.fromkeys(keys.values()) if pk not in done]


def _dedupe(invoice: Invoice, step: int) -> str:
    return f"{invoice.pk}:{invoice.due_on.isoformat()}:{step}"


def _keys_of(invoice: Invoice, step: int) -> list[str]:
    return [f"{key}:{_dedupe(invoice, step)}" for key in notices.REMINDERS]


@transaction.atomic
def _remind_one(pk: uuid.UUID, policy: BillingPolicy, now: dt.datetime) -> bool:
    """One bill under its lock: a payment that comes at once is before or after, never beside it. Somebody else's lock
    is a payment or another tick; the next one looks again.
    """
    rows = Invoice.objects.select_related("appointment__location")
    invoice = rows.select_for_update(of=("self",), no_key=True, skip_locked=True).filter(pk=pk, status__in=OPEN).first()
    if invoice is None:
        return False
    zone = notices.zone_of(invoice)
    step = due_step(invoice, policy, now, zone)
    if step is None or NotificationEvent.objects.filter(dedupe_key__in=_keys_of(invoice, step)).exists():
        return False
    if notices.was_reminded_on(invoice, timezone.localdate(now, zone)):
        # The desk has, today. The step itself follows tomorrow, while it is not stale.
        return False
    notices.remind(invoice, dedupe=_dedupe(invoice, step), step=step)
    return True


def due_step(invoice: Invoice, policy: BillingPolicy, now: dt.datetime, zone: dt.tzinfo) -> int | None:
    """The latest step whose moment has come, in days from the due day; None: none, or it is too late for it.

    Steps that were over when the bill was issued are never caught up.
    """
    passed = [step for step in policy.reminder_days if _moment(invoice, step, policy.remind_at, zone) <= now]
    if not passed:
        return None
    step: int = max(passed)
    moment = _moment(invoice, step, policy.remind_at, zone)
    is_stale = now >= moment + dt.timedelta(days=STALE_AFTER_DAYS)
    return None if is_stale or moment <= invoice.created_at else step


def _moment(invoice: Invoice, step: int, at: dt.time, zone: dt.tzinfo) -> dt.datetime:
    return dt.datetime.combine(invoice.due_on + dt.timedelta(days=step), at, zone)


def open_steps(invoice: Invoice, policy: BillingPolicy) -> list[dt.date]:
    """The days on which reminders are still to come, for the bill's page."""
    if not policy.is_on or invoice.status not in OPEN:
        return []
    zone, now = notices.zone_of(invoice), timezone.now()
    return [
        invoice.due_on + dt.timedelta(days=step)
        for step in policy.reminder_days
        if _moment(invoice, step, policy.remind_at, zone) > now
    ]
