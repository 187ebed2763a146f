"""“Find me a new time”: the patient's link after a visit that did not take place, and the desk's task that comes of it.

Looking changes nothing; a POST asks, once. The wish stands in the task: a part of the day and the days, no words of the
patient's. One link serves all visits of a family that were called off together.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Sequence

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from appointments.codes import new_code
from appointments.models import AbsenceVisit, Appointment, RebookLink
from appointments.states import AWAITED
from core.errors import DomainError
from core.tenancy import system_scope, tenant_scope
from notifications import desk_tasks
from notifications.states import TaskKind

S = Appointment.Status
# Whoever asks a month later may as well call.
USEFUL_FOR = dt.timedelta(days=30)
# What may be wished; the page has the words.
PARTS = ("morning", "afternoon", "evening")


def link_for(appointment: Appointment) -> str:
    """The absolute address. Without a slash at the end, which would jump to the other side in an Arabic text."""
    row, _is_new = RebookLink.objects.get_or_create(
        appointment=appointment,
        defaults={
            "tenant_id": appointment.tenant_id,
            "code": new_code(),
            "expires_at": timezone.now() + USEFUL_FOR,
        },
    )
    return f"{settings.PUBLIC_BASE_URL}/again/{row.code}"


def find(code: str) -> RebookLink | None:
    """The link with its visit; None for an unknown code or a suspended clinic group."""
    with system_scope("the code tells the tenant: a patient opens the link without an account"):
        rows = RebookLink.objects.select_related(
            "tenant", "appointment__tenant", "appointment__patient__tenant", "appointment__location"
        )
        return rows.filter(code=code.strip().lower(), tenant__is_active=True).first()


def visits_of(link: RebookLink) -> list[Appointment]:
    """The visits that the link asks for again, in their order. The tenant's scope is open."""
    mine = AbsenceVisit.objects.filter(appointment=link.appointment_id, outcome=AbsenceVisit.Outcome.CANCELLED)
    row = mine.exclude(family=0).order_by("-created_at").first()
    wanted: Collection[uuid.UUID] = [link.appointment_id]
    if row is not None:
        together = AbsenceVisit.objects.filter(
            absence=row.absence_id, family=row.family, outcome=AbsenceVisit.Outcome.CANCELLED
        )
        wanted = [*together.values_list("appointment_id", flat=True), link.appointment_id]
    rows = Appointment.objects.filter(pk__in=list(wanted), status__in=(S.CANCELLED, S.NO_SHOW))
    rows = rows.exclude(replaced_by__status__in=[*AWAITED, S.ARRIVED, S.IN_PROGRESS, S.COMPLETED])
    return list(rows.select_related("tenant", "patient__tenant", "provider", "location").order_by("starts_at", "pk"))


def refusal(link: RebookLink, visits: Sequence[Appointment], now: dt.datetime | None = None) -> str:
    """Why nothing can be asked: a code for the page; empty while it can."""
    if link.used_at is not None:
        return "asked"
    if not visits:
        return "settled"
    return "expired" if link.expires_at <= (now or timezone.now()) else ""


def ask(code: str, *, parts: Collection[str] = (), weekdays: Collection[int] = ()) -> None:
    """The patient asks for a new time. Raises ``DomainError`` with a sentence for the patient."""
    found = find(code)
    if found is None:
        raise DomainError(_("This link is not valid."), code="link_unknown")
    with tenant_scope(found.tenant_id), transaction.atomic():
        visits = visits_of(found)
        if refusal(found, visits):
            raise DomainError(_("You have asked already, or there is nothing to book any more."), code="link_used")
        # Conditional: of two presses one asks.
        now = timezone.now()
        if not RebookLink.objects.filter(pk=found.pk, used_at=None).update(used_at=now):
            return
        wish = {"parts": [part for part in PARTS if part in parts], "weekdays": sorted(set(weekdays) & set(range(7)))}
        for visit in visits:
            task = desk_tasks.open_task(
                TaskKind.REBOOK,
                tenant_id=visit.tenant_id,
                key=str(visit.pk),
                patient=visit.patient,
                obj=visit,
                location=visit.location,
                details={"because": "asked"},
            )
            desk_tasks.add_details(task, {"asked_at": now.isoformat(), "wish": wish})
