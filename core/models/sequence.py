"""Counters behind the numbers people read out: appointments, invoices, files."""

from __future__ import annotations

from django.db import models

from core.tenancy import TenantModel


class NumberSequence(TenantModel):
    """The last number given out under a name. Drawn by ``core.sequences.next_number``."""

    name = models.CharField(max_length=40)
    value = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="sequence_name_once")]
