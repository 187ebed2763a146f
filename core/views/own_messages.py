"""What the clinic has written to the patient who is signed in. Roof: may import every app."""

from __future__ import annotations

import datetime as dt

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from core import keyset
from core.access import Can, require
from core.models import Patient
from notifications import selectors
from notifications.models import Message
from notifications.states import NEVER_LEFT, Status

PAGE_SIZE = 20
# What is older is a matter for the clinic's records.
SHOWN_FOR = dt.timedelta(days=365)


@require(Can.SEE_OWN_CARE)
@require_safe
def own_messages(request: HttpRequest) -> HttpResponse:
    """The messages of the last year that left the clinic, the latest first; empty for an account without a file."""
    person = Patient.objects.filter(user=request.user).first()
    page: keyset.Page[Message] = keyset.Page([])
    if person is not None:
        rows = (
            selectors.messages_of(person)
            .filter(created_at__gte=timezone.now() - SHOWN_FOR)
            .exclude(status__in=NEVER_LEFT | {Status.QUEUED, Status.SENDING})
        )
        older, newer = request.GET.get("older", ""), request.GET.get("newer", "")
        page = keyset.page_of(rows, by="created_at", size=PAGE_SIZE, older=older, newer=newer)
    return render(request, "core/own_messages.html", {"page": page})
