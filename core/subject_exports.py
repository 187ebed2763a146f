"""A copy of all that is kept about one patient: asked for by an admin, made by a worker, fetched by admin and patient.

The only writer of ``SubjectExport``. The file is a zip with one file for machines (``data.json``), one table a section
(CSV) and one page to read. It lies in pieces in the database, since web and worker share no disk, and is deleted after the
tenant's own time for exports. What it may say is ``core.subject_data.Copy``'s to decide.
Must never import anything of the other apps.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import uuid
import zipfile
from collections.abc import Iterator
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from core import audit, rights, tenant_settings
from core.access import Can
from core.csv_rows import csv_lines
from core.errors import DomainError
from core.models import (
    Patient,
    RightsKind,
    RightsRequest,
    SubjectExport,
    SubjectExportPart,
    User,
)
from core.permissions import demand
from core.queueing import enqueue_on_commit
from core.subject_data import Copy, exact, plain, sections
from core.tenancy import tenant_scope

log = structlog.get_logger(__name__)

Status = SubjectExport.Status
# A family's file of many years takes some seconds.
LEASE = dt.timedelta(minutes=5)
MAX_ATTEMPTS = 3
# What one row of the database holds without anybody noticing.
PIECE = 512 * 1024
UNFINISHED = (Status.QUEUED, Status.RUNNING)


# --- reading ---------------------------------------------------------------------------------------------------------


def exports_of(patient: Patient) -> QuerySet[SubjectExport]:
    return SubjectExport.objects.filter(patient=patient).order_by("-created_at", "-pk")


def ready_for(patient: Patient, reader: str) -> QuerySet[SubjectExport]:
    """What this person may fetch: made for them, about this patient, and still there."""
    return exports_of(patient).filter(status=Status.READY, reader=reader, request__isnull=False)


# --- asking ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def export_ask(*, actor: User, request: RightsRequest, language: str) -> SubjectExport:
    """An admin says yes to a request for a copy. Pressed twice it is one; one that failed may be asked for again."""
    from core.tasks import make_subject_export_task

    demand(actor, Can.MANAGE_SETTINGS, request)
    request = RightsRequest.objects.select_for_update(of=("self",)).select_related("patient").get(pk=request.pk)
    if request.kind != RightsKind.EXPORT or not request.is_open:
        raise DomainError(_("This request is not waiting for that any more."), code="request_over")
    there = SubjectExport.objects.filter(request=request, status__in=UNFINISHED).first()
    if there is not None:
        return there
    export = SubjectExport.objects.create(
        tenant_id=request.tenant_id,
        patient=request.patient,
        request=request,
        reader=request.asked_by,
        asked_by=actor,
        language=language,
    )
    audit.record(
        tenant_id=export.tenant_id,
        actor=actor,
        action="subject_export.asked",
        obj=request.patient,
        after={"export": str(export.pk), "request": str(request.pk)},
    )
    enqueue_on_commit(make_subject_export_task, str(export.tenant_id), str(export.pk))
    return export


@transaction.atomic
def download(*, export: SubjectExport, actor: User | None, reader: str = "") -> Iterator[bytes]:
    """The pieces of a ready file: for an admin, or for the person it was made for (``reader``). Audited."""
    if actor is not None:
        demand(actor, Can.MANAGE_SETTINGS, export)
    elif export.reader != reader:
        raise DomainError(_("This file is not there any more."), code="export_gone")
    if export.status != Status.READY:
        raise DomainError(_("This file is not there any more."), code="export_gone")
    audit.record(
        tenant_id=export.tenant_id,
        actor=actor,
        action="subject_export.downloaded",
        obj=export.patient,
        after={"export": str(export.pk), "by": "staff" if actor is not None else reader.partition(":")[0]},
    )
    tenant_id, positions = export.tenant_id, list(export.parts.values_list("position", flat=True))

    def pieces() -> Iterator[bytes]:
        # It runs while the answer is being sent, when the request's own scope is gone.
        for position in positions:
            with tenant_scope(tenant_id):
                part = SubjectExportPart.objects.filter(export=export, position=position)
                data = part.values_list("data", flat=True).first()
            if data is not None:
                yield bytes(data)

    return pieces()


# --- making ----------------------------------------------------------------------------------------------------------


def make(tenant_id: uuid.UUID, export_id: uuid.UUID) -> bool:
    """Makes the file. False when it is somebody else's, done, or failed."""
    lease = uuid.uuid4()
    with tenant_scope(tenant_id):
        now = timezone.now()
        free = Q(status=Status.QUEUED) | Q(status=Status.RUNNING, lease_expires_at__lte=now)
        claimed = SubjectExport.objects.filter(free, pk=export_id).update(
            status=Status.RUNNING, lease_token=lease, lease_expires_at=now + LEASE, attempts=F("attempts") + 1
        )
        if not claimed:
            return False
        export = SubjectExport.objects.select_related("patient__tenant", "request", "asked_by").get(pk=export_id)
        if export.attempts > MAX_ATTEMPTS:
            SubjectExport.objects.filter(pk=export.pk, lease_token=lease).update(
                status=Status.FAILED, finished_at=now, lease_token=None, lease_expires_at=None
            )
            return False
        try:
            with translation.override(export.language):
                data, counts = build(Copy(export.patient, export.reader, export.language))
        except Exception as error:  # noqa: BLE001  # its type is logged; the row is tried again, at most twice
            log.warning("subject_export_failed", export=str(export.pk), error=type(error).__name__)
            # At once, not when the lease is over.
            SubjectExport.objects.filter(pk=export.pk, lease_token=lease).update(lease_expires_at=timezone.now())
            return False
        return _keep(export, lease, data, counts)


@transaction.atomic
def _keep(export: SubjectExport, lease: uuid.UUID, data: bytes, counts: dict[str, int]) -> bool:
    now = timezone.now()
    ours = SubjectExport.objects.filter(pk=export.pk, lease_token=lease, status=Status.RUNNING)
    if not ours.update(
        status=Status.READY,
        counts=counts,
        size=len(data),
        digest=hashlib.sha256(data).hexdigest(),
        finished_at=now,
        expires_at=now + dt.timedelta(days=max(tenant_settings.of(export.tenant_id).export_days, LEAST_DAYS)),
        lease_token=None,
        lease_expires_at=None,
    ):
        return False
    SubjectExportPart.objects.bulk_create(
        [
            SubjectExportPart(
                tenant_id=export.tenant_id, export=export, position=number, data=data[start : start + PIECE]
            )
            for number, start in enumerate(range(0, len(data), PIECE))
        ]
    )
    audit.record(
        tenant_id=export.tenant_id,
        actor=export.asked_by,
        action="subject_export.made",
        obj=export.patient,
        after={"export": str(export.pk), "rows": counts},
    )
    if export.request is not None and export.request.is_open:
        rights.rights_done(actor=None, request=export.request)
    return True


# A patient who is told on a Thursday fetches it after the weekend.
LEAST_DAYS = 14


def build(copy: Copy) -> tuple[bytes, dict[str, int]]:
    """The zip, and how many rows of each section are in it. In the copy's language, which is active."""
    machine: dict[str, Any] = {}
    tables: list[dict[str, Any]] = []
    counts: dict[str, int] = {}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for section in sections():
            rows = [dict(row) for row in section.rows(copy)]
            counts[section.name] = len(rows)
            machine[section.name] = [exact(row) for row in rows]
            headings = [str(title) for title in section.columns.values()]
            lines = [[_cell(row.get(key), copy) for key in section.columns] for row in rows]
            archive.writestr(f"{section.name}.csv", "".join(csv_lines([headings, *lines])))
            tables.append({"name": section.name, "title": str(section.title), "headings": headings, "lines": lines})
        about = {
            "clinic": copy.patient.tenant.name_in(copy.language),
            "file_number": copy.patient.mrn,
            "name": copy.patient.name_in(copy.language),
            "made_at": timezone.now().isoformat(),
            "texts_left_out": copy.withheld,
        }
        whole = json.dumps({"about": about, **machine}, ensure_ascii=False, indent=2)
        archive.writestr("data.json", whole)
        page = render_to_string(
            "core/subject_copy.html",
            {
                "about": about,
                "made_at": plain(timezone.now(), copy.zone),
                "tables": tables,
                "language": copy.language,
                "direction": "rtl" if translation.get_language_bidi() else "ltr",
            },
        )
        archive.writestr("index.html", page)
    return out.getvalue(), counts


def _cell(value: Any, copy: Copy) -> Any:
    shown = plain(value, copy.zone)
    return "" if shown is None else shown


# --- by the clock ----------------------------------------------------------------------------------------------------


def waiting(now: dt.datetime) -> list[uuid.UUID]:
    """Of the open tenant: whose doorbell was lost, and whose worker died."""
    lost = Q(status=Status.QUEUED, created_at__lte=now - dt.timedelta(seconds=5))
    dead = Q(status=Status.RUNNING, lease_expires_at__lte=now)
    return list(SubjectExport.objects.filter(lost | dead).order_by("created_at").values_list("pk", flat=True)[:50])


def delete_old(now: dt.datetime) -> int:
    """Deletes the files of the open tenant whose time is over; returns how many."""
    return delete_files(SubjectExport.objects.filter(status=Status.READY, expires_at__lte=now))


@transaction.atomic
def delete_files(rows: QuerySet[SubjectExport]) -> int:
    """The files go, that they were there stays."""
    keys = list(rows.exclude(status=Status.EXPIRED).values_list("pk", flat=True))
    SubjectExportPart.objects.filter(export__in=keys).delete()
    return SubjectExport.objects.filter(pk__in=keys).update(
        status=Status.EXPIRED, lease_token=None, lease_expires_at=None
    )
