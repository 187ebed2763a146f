"""The invoices of two files that become one (``core.merging``)."""

from __future__ import annotations

from core import merging
from core.models import Patient
from finance.models import Invoice


def register() -> None:
    merging.register_step("invoices", merge_invoices, covers=["finance.Invoice"])


def merge_invoices(survivor: Patient, merged: Patient) -> None:
    """Past the row's own handlers: nothing has happened to any of the invoices."""
    Invoice.objects.filter(patient=merged).update(patient=survivor)
