"""Just enough money to know whether a visit is paid for, and to tell the payer."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.models.tenant import Language
from core.tenancy import TenantModel

if TYPE_CHECKING:
    from core.models import User


class Invoice(TenantModel):
    """A bill, in minor units (halalas) of its currency.

    The payer is who reads the patient's messages, unless the bill names one: a guardian of the patient, or somebody who
    is nobody's guardian, by name and address. ``paid_minor`` is all that was ever received, ``refunded_minor`` what went
    back of it.
    """

    # Not a column: who issues it, for the event.
    issued_by: User | None = None

    class Status(models.TextChoices):
        ISSUED = "ISSUED", _("Issued")
        PART_PAID = "PART_PAID", _("Partly paid")
        PAID = "PAID", _("Paid")
        VOID = "VOID", _("Void")
        REFUNDED = "REFUNDED", _("Refunded")

    number = models.CharField(_("number"), max_length=20)
    patient = models.ForeignKey("core.Patient", on_delete=models.PROTECT, related_name="invoices")
    appointment = models.ForeignKey(
        "appointments.Appointment", on_delete=models.PROTECT, null=True, blank=True, related_name="invoices"
    )
    description = models.CharField(_("description"), max_length=200, blank=True)
    amount_minor = models.PositiveBigIntegerField(_("amount in halalas"))
    paid_minor = models.PositiveBigIntegerField(_("paid in halalas"), default=0)
    refunded_minor = models.PositiveBigIntegerField(_("refunded in halalas"), default=0)
    currency = models.CharField(_("currency"), max_length=3, default="SAR")
    status = models.CharField(_("status"), max_length=9, choices=Status.choices, default=Status.ISSUED)
    due_on = models.DateField(_("due on"))
    payer_guardian = models.ForeignKey(
        "core.Guardian", on_delete=models.PROTECT, null=True, blank=True, related_name="invoices"
    )
    payer_name = models.CharField(_("payer's name"), max_length=200, blank=True)
    payer_phone = models.CharField(_("payer's mobile phone"), max_length=20, blank=True)
    payer_email = models.EmailField(_("payer's email"), blank=True)
    payer_language = models.CharField(_("payer's language"), max_length=2, choices=Language.choices, blank=True)
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
            models.CheckConstraint(
                condition=models.Q(refunded_minor__lte=models.F("paid_minor")), name="invoice_not_overrefunded"
            ),
            models.CheckConstraint(
                condition=models.Q(payer_guardian=None) | models.Q(payer_name=""), name="invoice_one_payer"
            ),
        ]
        indexes = [
            # used by the payment reminders: what is open and due about now
            models.Index(
                fields=["tenant", "due_on"],
                condition=models.Q(status__in=["ISSUED", "PART_PAID"]),
                name="invoice_open_by_due",
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def open_minor(self) -> int:
        return self.amount_minor - self.paid_minor

    @property
    def kept_minor(self) -> int:
        """What is still with the clinic of what was paid: the most that can go back."""
        return self.paid_minor - self.refunded_minor


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


class Refund(TenantModel):
    """Money that went back to the payer. ``refund_key`` is the form's own key: sent twice is one refund."""

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="refunds")
    amount_minor = models.PositiveBigIntegerField(_("amount in halalas"))
    # For the books; never part of a message.
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    refunded_by = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+")
    refund_key = models.UUIDField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["tenant", "refund_key"], name="refund_key_once")]


def _usual_days() -> list[int]:
    return [-3, 1, 7]


class BillingPolicy(TenantModel):
    """When a clinic group reminds of open bills. A tenant without a row has the defaults."""

    is_on = models.BooleanField(_("reminders of open bills"), default=True)
    # Whole days from the due day: -3 is three days before it, 1 the day after. Sorted, each once.
    reminder_days = models.JSONField(_("days from the due day"), default=_usual_days, blank=True)
    # The wall clock of the place of the bill.
    remind_at = models.TimeField(_("time of the day"), default=dt.time(10))
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("payment reminder policy")
        verbose_name_plural = _("payment reminder policies")
        constraints = [models.UniqueConstraint(fields=["tenant"], name="billing_policy_once")]
