"""Where a notification about money leads. Registered at start; see ``notifications/links.py``."""

from __future__ import annotations

import uuid

from django.urls import reverse

from core.access import Can, allows
from core.models import User
from finance import selectors


def invoice_address(user: User, invoice_id: uuid.UUID) -> str | None:
    """The invoice's page for the desk, the own care page for a patient, else None."""
    invoice = selectors.invoices_for(user).filter(pk=invoice_id).first()
    if invoice is None:
        return None
    if not allows(user, Can.TAKE_PAYMENTS):
        return reverse("core:home")
    return reverse("finance:invoice_detail", args=[invoice.pk])
