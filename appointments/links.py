"""Where a notification about a visit leads. Registered at start; see ``notifications/links.py``."""

from __future__ import annotations

import uuid

from django.urls import reverse

from appointments import selectors
from core.access import Can, allows
from core.models import User


def appointment_address(user: User, appointment_id: uuid.UUID) -> str | None:
    """The visit's page for staff, the own care page for a patient; None when the visit is not for this user."""
    if not selectors.appointments_for(user).filter(pk=appointment_id).exists():
        return None
    if allows(user, Can.SEE_APPOINTMENTS):
        return reverse("appointments:detail", args=[appointment_id])
    return reverse("core:home")
