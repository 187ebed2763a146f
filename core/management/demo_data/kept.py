"""What admins have kept of the message list: filters under a name, and a file that waits to be downloaded."""

from __future__ import annotations

import datetime as dt
import zlib

from django.utils import translation

from core.management.demo_data import build as building
from core.management.demo_data.build import Build
from core.models import Role
from notifications import export_rows
from notifications.message_filters import MessageFilterForm
from notifications.models import ExportFormat, ExportStatus, MessageExport, MessageExportPart, SavedFilter

_FILTERS = (
    ("Needs attention this week", {"status": "problem", "period": "7"}, True),
    ("واتساب: لم تُقرأ بعد", {"channel": "WHATSAPP", "status": "DELIVERED", "period": "30"}, True),
    ("Not sent, and why", {"status": "SUPPRESSED", "period": "30"}, False),
)


def build_kept(build: Build) -> None:
    """Two filters for everybody, one of the admin's own, and last week's messages as a file."""
    admin = build.staff(Role.ADMIN)[0]
    yesterday = build.now - dt.timedelta(days=1)
    filters = [
        SavedFilter(
            id=build.new_id(),
            tenant=build.tenant,
            owner=admin,
            name=name,
            query=query,
            is_shared=is_shared,
            created_at=yesterday,
        )
        for name, query, is_shared in _FILTERS
    ]
    day = build.today - dt.timedelta(days=1)
    export = MessageExport(
        id=build.new_id(),
        tenant=build.tenant,
        user=admin,
        format=ExportFormat.CSV,
        language=admin.language,
        timezone=str(build.zone),
        query={"since": f"{day - dt.timedelta(days=6)}", "until": f"{day}"},
        status=ExportStatus.READY,
        attempts=1,
        created_at=yesterday,
        finished_at=yesterday + dt.timedelta(seconds=2),
        expires_at=yesterday + dt.timedelta(days=7),
    )
    parts = _file(build, export)
    building.save(filters, [export], parts)


def _file(build: Build, export: MessageExport) -> list[MessageExportPart]:
    form = MessageFilterForm(export.query)
    if not form.is_valid():
        raise ValueError(form.errors)
    made = []
    with translation.override(export.language):
        table = export_rows.Table(zone=build.zone, language=export.language, with_text=False, is_safe=True)
        for position, part in enumerate(export_rows.csv_parts(table, form.rows(build.zone)), start=1):
            export.rows += part.rows
            export.size += len(part.data)
            made.append(
                MessageExportPart(
                    id=build.new_id(),
                    tenant=build.tenant,
                    export=export,
                    position=position,
                    after=part.after,
                    rows=part.rows,
                    data=zlib.compress(part.data, 1),
                )
            )
    return made
