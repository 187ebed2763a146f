"""An uploaded list of 100,000 rows, CSV and XLSX: read, checked, matched with the patients and written down.

Every tenth row has something wrong with it. No baseline: the goal is the clinic's patience, and the memory of a web worker.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import memory, ours
from benchmarks.measure import Measure

SIZE = 100_000
GOAL_SECONDS = 5.0
GOAL_GROWTH_MB = 150.0
HEADER = ("File number", "Mobile", "Name", "Visit date", "Doctor")


def run(folder: Path, size: int = SIZE) -> Iterator[Measure]:
    from agdar.heap import keep_loaded

    group = ours.found_group("bench", size)
    _read(group.tenant_id, _csv(folder, min(size, 1000)))  # imports, plans
    keep_loaded()  # as every web process does
    for kind, write in (("csv", _csv), ("xlsx", _xlsx)):
        path = write(folder, size)
        with memory.watched(os.getpid()) as watch:
            began = time.perf_counter()
            _read(group.tenant_id, path)
            elapsed = time.perf_counter() - began
        yield Measure(f"upload_{kind}", elapsed, "s", None, GOAL_SECONDS)
        yield Measure(f"upload_{kind}_memory_growth", watch.growth(0.0), "MB", None, GOAL_GROWTH_MB)


def _read(tenant_id, path: Path) -> None:  # type: ignore[no-untyped-def]  # a UUID; no Django at import
    from core.models import Role, User
    from core.tenancy import tenant_scope
    from integrations.bulk import control, upload
    from notifications.models import BulkRowError

    with tenant_scope(tenant_id):
        admin = User.objects.filter(role=Role.ADMIN).first() or User.accounts.create_user(
            "bench@clinic.example", tenant_id=tenant_id, role=Role.ADMIN, name_en="Bench"
        )
        with path.open("rb") as file:
            bulk = control.draft(
                actor=admin,
                name=path.name,
                source="UPLOAD",
                message_class="SERVICE",
                people=lambda new: upload.read(new, file, path.name),
            )
        written = bulk.recipients.count() + BulkRowError.objects.filter(bulk=bulk).count()
    if written != bulk.row_count:
        raise RuntimeError(f"{written} rows of {bulk.row_count} are accounted for")


def _rows(size: int) -> Iterator[tuple[str, ...]]:
    yield HEADER
    for number in range(size):
        phone = f"05{number:08d}" if number % 10 else "12"
        # Half of them are found by their phone.
        file_number = str(number) if number % 2 else ""
        yield file_number, phone, "سارة المطيري", "2026-12-01", f"Dr. {number % 50}"


def _csv(folder: Path, size: int) -> Path:
    path = folder / "list.csv"
    path.write_text("\r\n".join(";".join(row) for row in _rows(size)), encoding="utf-8-sig")
    return path


def _xlsx(folder: Path, size: int) -> Path:
    import xlsxwriter

    path = folder / "list.xlsx"
    with xlsxwriter.Workbook(str(path), {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(_rows(size)):
            sheet.write_row(number, 0, row)
    return path
