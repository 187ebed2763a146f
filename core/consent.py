"""The treatment consent of a sub-file: who checked it, until when it holds. The latest row counts."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from core import audit
from core.access import Can
from core.arrival import Check, Visit, checks_changed
from core.errors import DomainError
from core.models import ConsentVerification, SubFile, User
from core.permissions import demand
from core.subfiles import subfiles_of

Status = ConsentVerification.Status
# Both languages stand in one bell row, so these words cannot wait for the reader's language.
_WORDS = {
    Status.VERIFIED: ("verified", "موثّقة"),
    Status.MISSING: ("missing", "غير موجودة"),
    Status.EXPIRED: ("expired", "منتهية"),
    Status.WITHDRAWN: ("withdrawn", "مسحوبة"),
}


@transaction.atomic
def consent_verify(
    *, actor: User, subfile: SubFile, status: str, valid_until: dt.date | None = None
) -> ConsentVerification:
    """Notes the outcome of a check; the older rows stay as the history. Raises ``DomainError``."""
    demand(actor, Can.EDIT_PATIENTS, subfile)
    if status == Status.VERIFIED and valid_until is not None and valid_until < timezone.localdate():
        raise DomainError(_("The consent cannot end in the past."), code="valid_until_past")
    before = consent_status(subfile, timezone.localdate())
    verification = ConsentVerification.objects.create(
        tenant_id=subfile.tenant_id,
        subfile=subfile,
        status=Status(status),
        verified_by=actor,
        valid_until=valid_until if status == Status.VERIFIED else None,
    )
    audit.record(
        tenant_id=subfile.tenant_id,
        actor=actor,
        action="consent.verified",
        obj=subfile,
        before={"status": before},
        after={"status": status, "valid_until": valid_until.isoformat() if valid_until else None},
    )
    checks_changed.send(sender=ConsentVerification, patient_id=subfile.patient_id)
    return verification


def latest_consent(subfile: SubFile) -> ConsentVerification | None:
    return ConsentVerification.objects.filter(subfile=subfile).order_by("-created_at", "-pk").first()


def consent_status(subfile: SubFile | None, day: dt.date) -> Status:
    """The status on that day: a verification whose ``valid_until`` has passed is expired."""
    return status_of(latest_consent(subfile) if subfile is not None else None, day)


def latest_consents(subfiles: Iterable[SubFile]) -> dict[uuid.UUID, ConsentVerification]:
    """Sub-file → its latest row, for a page that shows several; one query."""
    found: dict[uuid.UUID, ConsentVerification] = {}
    rows = ConsentVerification.objects.filter(subfile__in=list(subfiles)).select_related("verified_by")
    for row in rows.order_by("-created_at", "-pk"):
        found.setdefault(row.subfile_id, row)
    return found


def status_of(latest: ConsentVerification | None, day: dt.date) -> Status:
    """What the latest row means on that day; without a row the consent is missing."""
    if latest is None:
        return Status.MISSING
    if latest.status == Status.VERIFIED and latest.valid_until is not None and latest.valid_until < day:
        return Status.EXPIRED
    return Status(latest.status)


def check_consents(visits: Sequence[Visit]) -> dict[uuid.UUID, Check]:
    """The arrival check: the consent of the sub-file, on the day of the visit where the visit is. Two queries."""
    subfiles = subfiles_of([(visit.patient, visit.department) for visit in visits])
    latest = latest_consents(subfiles.values())
    found = {}
    for visit in visits:
        subfile = subfiles.get((visit.patient.pk, visit.department.pk))
        day = timezone.localdate(visit.starts_at, visit.location.zone)
        status = status_of(latest.get(subfile.pk) if subfile is not None else None, day)
        english, arabic = _WORDS[status]
        found[visit.pk] = Check("Consent", "الموافقة", english, arabic, is_clear=status == Status.VERIFIED)
    return found


def check_consent(visit: Visit) -> Check:
    """``check_consents`` of one."""
    return check_consents([visit])[visit.pk]
