"""The day on which a patient comes of age: from then on the guardians get nothing, so somebody has to ask the patient.

Who reads is decided by the birth date (``core.contacts``); here is the desk's task for it, opened in time. Never twice
for one patient, whatever became of the first one. And on the day itself the guardians are shut out of what they hold.
"""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from core.models import Patient, Tenant
from core.patients.guardians import guardian_shut_out
from core.selectors import years_before
from core.tenancy import active_tenant_ids, tenant_scope
from notifications import desk_tasks
from notifications.models import DeskTask
from notifications.states import TaskKind

# Two visits of most patients fall into it: the family can be asked in person before.
NOTICE = dt.timedelta(days=30)


def open_majority_tasks(today: dt.date | None = None) -> dict[str, int]:
    """One task for each patient with a guardian who comes of age within the notice, or came of age within as many days
    before (nobody was here then). Safe to run twice at once. Returns counts.
    """
    counts = {"opened": 0}
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            counts["opened"] += _of_tenant(Tenant.objects.get(pk=tenant_id), today or timezone.localdate())
    return counts


def shut_out_guardians(today: dt.date | None = None) -> None:
    """Of everybody who came of age within the notice; again and again, since what was given after the day stays."""
    day = today or timezone.localdate()
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            years = Tenant.objects.get(pk=tenant_id).age_of_majority
            born = (years_before(since, years) for since in (day - NOTICE, day))
            for patient in Patient.objects.filter(birth_date__range=born, guardianships__isnull=False).distinct():
                since = dt.datetime.combine(majority_of(patient.birth_date, years), dt.time.min)
                guardian_shut_out.send(sender=Patient, patient=patient, until=timezone.make_aware(since))


def _of_tenant(tenant: Tenant, today: dt.date) -> int:
    born = (years_before(day, tenant.age_of_majority) for day in (today - NOTICE, today + NOTICE))
    opened = 0
    there = DeskTask.objects.filter(kind=TaskKind.OWN_CONTACT)
    rows = Patient.objects.filter(
        birth_date__range=born, guardianships__isnull=False, deceased_at=None, merged_into=None, is_active=True
    )
    for patient in rows.exclude(pk__in=there.values("patient")).distinct():
        day = majority_of(patient.birth_date, tenant.age_of_majority)
        desk_tasks.open_task(
            TaskKind.OWN_CONTACT,
            tenant_id=tenant.pk,
            key=str(patient.pk),
            patient=patient,
            obj=patient,
            due_at=timezone.make_aware(dt.datetime.combine(day, dt.time.min)),
            details={"day": day.isoformat(), "has_contact": bool(patient.phone or patient.email)},
        )
        opened += 1
    return opened


def majority_of(birth_date: dt.date, years: int) -> dt.date:
    """The birthday; who was born on 29 February has it on 1 March where there is none."""
    try:
        return birth_date.replace(year=birth_date.year + years)
    except ValueError:
        return dt.date(birth_date.year + years, 3, 1)
