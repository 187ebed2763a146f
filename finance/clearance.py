"""Is a visit paid for? The arrival check of the finances."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.arrival import Check, Visit
from finance.models import Invoice
from finance.services import OPEN


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


def clearance_for(appointment: Visit) -> Clearance:
    """PENDING while an invoice of the visit is open, CLEARED when all are paid, NOT_REQUIRED without any."""
    statuses = set(
        Invoice.objects.filter(appointment_id=appointment.pk)
        .exclude(status=Invoice.Status.VOID)
        .order_by()
        .values_list("status", flat=True)
    )
    if not statuses:
        return Clearance.NOT_REQUIRED
    return Clearance.PENDING if statuses & OPEN else Clearance.CLEARED


def check_clearance(visit: Visit) -> Check:
    """The arrival check, read afresh each time: a payment a minute later shows."""
    clearance = clearance_for(visit)
    english, arabic = _WORDS[clearance]
    return Check("Financial clearance", "التسوية المالية", english, arabic, is_clear=clearance is not Clearance.PENDING)
