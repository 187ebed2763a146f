"""What follows when money rows are saved: the number, and one event each. Sending happens after the commit."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_save, pre_save
from django.dispatch import receiver
from django.utils import timezone

from core.arrival import checks_changed
from core.sequences import next_number
from finance import notices
from finance.models import Invoice, Payment, Refund
from notifications import events


@receiver(pre_save, sender=Invoice)
def invoice_pre_save(sender: type[Invoice], *, instance: Invoice, raw: bool = False, **kwargs: Any) -> None:
    """Gives the number."""
    if raw or instance.number:
        return
    year = timezone.localtime().year
    instance.number = f"INV-{year}-{next_number(instance.tenant_id, f'invoice:{year}'):06d}"


@receiver(post_save, sender=Invoice)
def invoice_post_save(
    sender: type[Invoice], *, instance: Invoice, created: bool, raw: bool = False, **kwargs: Any
) -> None:
    """A new open invoice is told to the payer; the card of a patient who has arrived shows what has changed."""
    if not raw and instance.appointment_id is not None:
        checks_changed.send(sender=Invoice, patient_id=instance.patient_id, appointment_id=instance.appointment_id)
    if raw or not created or instance.status != Invoice.Status.ISSUED:
        return
    events.record(
        notices.ISSUED,
        tenant_id=instance.tenant_id,
        dedupe=str(instance.pk),
        obj=instance,
        actor=instance.issued_by,
    )


@receiver(post_save, sender=Payment)
def payment_post_save(
    sender: type[Payment], *, instance: Payment, created: bool, raw: bool = False, **kwargs: Any
) -> None:
    """A payment is acknowledged."""
    if raw or not created:
        return
    events.record(
        notices.RECEIVED,
        tenant_id=instance.tenant_id,
        dedupe=str(instance.pk),
        obj=instance.invoice,
        actor=instance.received_by,
        payload={"payment_id": str(instance.pk)},
    )


@receiver(post_save, sender=Refund)
def refund_post_save(
    sender: type[Refund], *, instance: Refund, created: bool, raw: bool = False, **kwargs: Any
) -> None:
    """The payer hears what comes back."""
    if raw or not created:
        return
    events.record(
        notices.REFUNDED,
        tenant_id=instance.tenant_id,
        dedupe=str(instance.pk),
        obj=instance.invoice,
        actor=instance.refunded_by,
        payload={"refund_id": str(instance.pk)},
    )
