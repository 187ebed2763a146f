"""An export of a million messages, made as the worker makes it: rows a second, and what the process grows by.

The file is written to the database in pieces, with its lease renewed, as in the product; once as CSV and once, of a
tenth, as an Excel file.
"""

from __future__ import annotations

import os
import time
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Goal, Measure
from benchmarks.memory import resident_mb, watched
from benchmarks.year import seed

SIZE = 1_000_000
GOAL_ROWS = 50_000.0
GOAL_MB = 150.0


def run(folder: Path, size: int = SIZE) -> Iterator[Measure]:  # noqa: ARG001  # every benchmark is called alike
    # One group has them all: the longest export there is.
    year = seed.found(size, tenants=1)
    group = year.groups[0]
    made("CSV", group, {"period": "7"})  # plans, catalogues
    before = resident_mb(os.getpid())
    with watched(os.getpid()) as watch:
        rows, seconds = made("CSV", group, {})
    if rows != size:
        raise RuntimeError(f"{rows} of {size} rows were exported")
    yield Measure("export_csv_rows_per_second", rows / seconds, "/s", None, GOAL_ROWS, Goal.AT_LEAST)
    yield Measure("export_csv_memory_growth", watch.peak() - before, "MB", None, GOAL_MB)
    before = resident_mb(os.getpid())
    with watched(os.getpid()) as watch:
        rows, seconds = made("XLSX", group, {"period": "30"})
    yield Measure("export_xlsx_rows_per_second", rows / seconds, "/s", None, None)
    yield Measure("export_xlsx_memory_growth", watch.peak() - before, "MB", None, GOAL_MB)


def made(file_format: str, group: seed.Group, query: dict[str, str]) -> tuple[int, float]:
    """Asks for an export and makes it; gives its rows and the seconds that took. Raises RuntimeError for a broken file."""
    from core.models import User
    from core.tenancy import tenant_scope
    from notifications import exports
    from notifications.message_filters import MessageFilterForm
    from notifications.models import ExportStatus, MessageExport, MessageExportPart

    with tenant_scope(group.tenant_id):
        form = MessageFilterForm(query)
        if not form.is_valid():
            raise RuntimeError(str(form.errors))
        export = exports.ask(
            user=User.objects.get(pk=group.admin_id),
            key=uuid.uuid4(),
            form=form,
            file_format=file_format,
            with_text=False,
        )
    began = time.perf_counter()
    exports.make(group.tenant_id, export.pk)
    seconds = time.perf_counter() - began
    with tenant_scope(group.tenant_id):
        done = MessageExport.objects.get(pk=export.pk)
        if done.status != ExportStatus.READY:
            raise RuntimeError(f"the export is {done.status}")
        lines = 0
        for pk in MessageExportPart.objects.filter(export=done).values_list("pk", flat=True):
            lines += zlib.decompress(MessageExportPart.objects.get(pk=pk).data).count(b"\n")
        if file_format == "CSV" and lines != done.rows + 1:
            raise RuntimeError(f"{lines} lines for {done.rows} rows")
        return done.rows, seconds
