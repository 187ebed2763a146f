"""Is a visit paid for? The arrival check of the finances."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.arrival import Check, Visit
from finance.models import Invoice
from finance.services import OPEN

# Neither ever owed: taken back, or paid and given back.
NO_BILL = (Invoice.Status.VOID, Invoice.Status.REFUNDED)


class Clearance(models.TextChoices):
    CLEARED = "CLEARED", _("Cleared")
    PENDING = "PENDING", _("Pending")
    NOT_REQUIRED = "NOT_REQUIRED", _("Not required")


# Both languages stand in one bell row, so these words cannot wait for the reader's language.
_WORDS = {
    Clearance.CLEARED: ("cleared", "مكتملة"),
    Clearance.PENDING: ("pending", "معلّقة"),
    Clearance.NOT_REQUIRED: ("not required", "غير مطلوبة"),
}


def clearances_for(visits: Sequence[Visit]) -> dict[uuid.UUID, Clearance]:
    """PENDING while an invoice of the visit is open, CLEARED when all are paid, NOT_REQUIRED without any. One query."""
    statuses: dict[uuid.UUID, set[str]] = defaultdict(set)
    rows = Invoice.objects.filter(appointment__in=[visit.pk for visit in visits]).exclude(status__in=NO_BILL)
    for visit_id, status in rows.order_by().values_list("appointment", "status"):
        statuses[visit_id].add(status)
    return {visit.pk: _clearance(statuses[visit.pk]) for visit in visits}


def clearance_for(appointment: Visit) -> Clearance:
    """``clearances_for`` one visit."""
    return clearances_for([appointment])[appointment.pk]


def check_clearances(visits: Sequence[Visit]) -> dict[uuid.UUID, Check]:
    """The arrival check, read afresh each time: a payment a minute later shows."""
    return {visit_id: _check(clearance) for visit_id, clearance in clearances_for(visits).items()}


def check_clearance(visit: Visit) -> Check:
    """``check_clearances`` of one."""
    return check_clearances([visit])[visit.pk]


def _clearance(statuses: set[str]) -> Clearance:
    if not statuses:
        return Clearance.NOT_REQUIRED
    return Clearance.PENDING if statuses & OPEN else Clearance.CLEARED


def _check(clearance: Clearance) -> Check:
    english, arabic = _WORDS[clearance]
    return Check("Financial clearance", "التسوية المالية", english, arabic, is_clear=clearance is not Clearance.PENDING)
