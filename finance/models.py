"""Just enough money to know whether a visit is paid for, and to tell the payer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.tenancy import TenantModel

if TYPE_CHECKING:
    from core.models import User


class Invoice(TenantModel):
    """A bill, in minor units (halalas) of its currency."""

    # Not a column: who issues it, for the event.
    issued_by: User | None = None

    class Status(models.TextChoices):
        ISSUED = "ISSUED", _("Issued")
        PART_PAID = "PART_PAID", _("Partly paid")
        PAID = "PAID", _("Paid")
        VOID = "VOID", _("Void")

    number = models.CharField(_("number"), max_length=20)
    patient = models.ForeignKey("core.Patient", on_delete=models.PROTECT, related_name="invoices")
    appointment = models.ForeignKey(
        "appointments.Appointment", on_delete=models.PROTECT, null=True, blank=True, related_name="invoices"
    )
    description = models.CharField(_("description"), max_length=200, blank=True)
    amount_minor = models.PositiveBigIntegerField(_("amount in halalas"))
    paid_minor = models.PositiveBigIntegerField(_("paid in halalas"), default=0)
    currency = models.CharField(_("currency"), max_length=3, default="SAR")
    status = models.CharField(_("status"), max_length=9, choices=Status.choices, default=Status.ISSUED)
    due_on = models.DateField(_("due on"))
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("invoice")
        verbose_name_plural = _("invoices")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "number"], name="invoice_number_once"),
            models.CheckConstraint(
                condition=models.Q(paid_minor__lte=models.F("amount_minor")), name="invoice_not_overpaid"
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def open_minor(self) -> int:
        return self.amount_minor - self.paid_minor


class Payment(TenantModel):
    """Money received for an invoice. ``payment_key`` is the form's own key: sent twice is one payment."""

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="payments")
    amount_minor = models.PositiveBigIntegerField(_("amount in halalas"))
    received_by = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+")
    payment_key = models.UUIDField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["tenant", "payment_key"], name="payment_key_once")]
