"""Exports of the message list: small ones at once, long ones by a worker. The only writer of ``MessageExport``.

A long export is a row with a lease and a file in pieces beside it, in the database: the web and the worker share nothing
else, and what is deleted there is deleted everywhere. Each piece is committed with its row count. A worker that dies
leaves a lease that runs out; the sweeper then has a CSV continued below its last piece, an Excel file made anew.
"""

from __future__ import annotations

import datetime as dt
import uuid
import zlib
import zoneinfo
from collections.abc import Iterator, Mapping
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core import audit, tenant_settings
from core.access import Can, allows
from core.errors import DomainError
from core.models import Language, User
from core.permissions import NotAllowed, demand
from core.queueing import enqueue_on_commit
from core.selectors import zone_of
from core.tenancy import tenant_scope
from notifications import export_rows, message_filters
from notifications.export_rows import Part, Table
from notifications.inbox import notify
from notifications.message_filters import MessageFilterForm
from notifications.models import ExportFormat, ExportStatus, Message, MessageExport, MessageExportPart
from notifications.states import Category, Level

log = structlog.get_logger(__name__)

# Up to this many rows people wait for the file: a second or so.
AT_ONCE = 10_000
# Longer than a piece takes on a bad day; each piece renews it.
LEASE = dt.timedelta(minutes=2)
MAX_ATTEMPTS = 3
# Of one person at a time. A third one is somebody pressing the button again.
MOST_UNFINISHED = 2
OBJECT_TYPE = "notifications.messageexport"


class ExportLost(Exception):
    """Another worker has the export now."""


# --- asking ----------------------------------------------------------------------------------------------------------


def is_long(form: MessageFilterForm, user: User) -> bool:
    return message_filters.bounded_count(form.rows(zone_of(user)), AT_ONCE) > AT_ONCE


def at_once(*, user: User, form: MessageFilterForm, file_format: str, with_text: bool) -> Iterator[bytes]:
    """The file of a small list, piece by piece. Audited before the first piece leaves."""
    demand(user, Can.EXPORT_MESSAGES)
    if user.tenant_id is None:
        raise NotAllowed
    zone, tenant_id, language = zone_of(user), user.tenant_id, _language()
    rows = form.rows(zone)
    audit.record(
        tenant_id=tenant_id,
        actor=user,
        action="messages.exported",
        after={
            **_told(form.asked, file_format, with_text=with_text),
            "rows": message_filters.bounded_count(rows, AT_ONCE),
        },
    )

    def pieces() -> Iterator[bytes]:
        # It runs while the answer is being sent, when the request's own scope and language are gone.
        with tenant_scope(tenant_id), translation.override(language):
            table = _table(file_format, zone=zone, language=language, with_text=with_text)
            for part in _parts(table, rows, file_format):
                yield part.data

    return pieces()


@transaction.atomic
def ask(*, user: User, key: uuid.UUID, form: MessageFilterForm, file_format: str, with_text: bool) -> MessageExport:
    """A long export, for a worker. The same ``key`` again is the same export. Days are fixed now, not when it is made."""
    demand(user, Can.EXPORT_MESSAGES)
    if user.tenant_id is None:
        raise NotAllowed
    if (there := of_user(user).filter(pk=key).first()) is not None:
        return there
    if of_user(user).filter(status__in=[ExportStatus.QUEUED, ExportStatus.RUNNING]).count() >= MOST_UNFINISHED:
        raise DomainError(_("Two of your exports are still being made. Wait for them first."), code="export_limit")
    zone = zone_of(user)
    export = MessageExport.objects.create(
        pk=key,
        tenant_id=user.tenant_id,
        user=user,
        format=ExportFormat(file_format),
        language=_language(),
        timezone=str(zone),
        query=form.fixed(zone),
        with_text=with_text,
    )
    audit.record(
        tenant_id=user.tenant_id,
        actor=user,
        action="messages.export_asked",
        obj=export,
        after=_told(form.asked, file_format, with_text=with_text),
    )
    from notifications.tasks import export_messages_task

    enqueue_on_commit(export_messages_task, str(export.tenant_id), str(export.pk))
    return export


def of_user(user: User) -> QuerySet[MessageExport]:
    """Their own exports, the latest first; nobody sees another's."""
    return MessageExport.objects.filter(user=user).order_by("-created_at", "-pk")


def ready(user: User) -> QuerySet[MessageExport]:
    """Those whose file may be fetched. Its time is over when it is over, not when the housekeeping comes by."""
    return of_user(user).filter(status=ExportStatus.READY, expires_at__gt=timezone.now())


def download(*, user: User, export: MessageExport) -> Iterator[bytes]:
    """The pieces of a ready file, for who asked for it. Audited."""
    demand(user, Can.EXPORT_MESSAGES, export)
    if export.user_id != user.pk or export.status != ExportStatus.READY:
        raise DomainError(_("This file is not there any more."), code="export_gone")
    audit.record(tenant_id=export.tenant_id, actor=user, action="messages.export_downloaded", obj=export)
    tenant_id, positions = export.tenant_id, list(export.parts.values_list("position", flat=True))

    def pieces() -> Iterator[bytes]:
        for position in positions:
            with tenant_scope(tenant_id):
                data = MessageExportPart.objects.filter(export=export, position=position).values_list("data", flat=True)
                found = data.first()
            if found is not None:
                yield zlib.decompress(found)

    return pieces()


@transaction.atomic
def remove(*, user: User, export: MessageExport) -> None:
    """Deletes the file, or gives up one that is being made. The row stays, as a trace."""
    demand(user, Can.EXPORT_MESSAGES, export)
    if export.user_id != user.pk:
        raise NotAllowed
    _expire(MessageExport.objects.filter(pk=export.pk))
    audit.record(tenant_id=export.tenant_id, actor=user, action="messages.export_removed", obj=export)


# --- making ----------------------------------------------------------------------------------------------------------


def make(tenant_id: uuid.UUID, export_id: uuid.UUID) -> bool:
    """Makes the file, or goes on with it. False when it is somebody else's, done, or given up."""
    lease = uuid.uuid4()
    with tenant_scope(tenant_id):
        now = timezone.now()
        free = Q(status=ExportStatus.QUEUED) | Q(status=ExportStatus.RUNNING, lease_expires_at__lte=now)
        claimed = MessageExport.objects.filter(free, pk=export_id).update(
            status=ExportStatus.RUNNING, lease_token=lease, lease_expires_at=now + LEASE, attempts=F("attempts") + 1
        )
        if not claimed:
            return False
        export = MessageExport.objects.select_related("user").get(pk=export_id)
        if export.attempts > MAX_ATTEMPTS or not (export.user.is_active and allows(export.user, Can.EXPORT_MESSAGES)):
            _fail(export)
            return False
        try:
            with translation.override(export.language):
                _write_file(export, lease)
        except ExportLost:
            return False
        except Exception as error:  # noqa: BLE001  # its type is logged; the row is tried again, at most twice
            log.warning("export_failed", export=str(export.pk), error=type(error).__name__)
            # At once, not when the lease is over.
            MessageExport.objects.filter(pk=export.pk, lease_token=lease).update(lease_expires_at=timezone.now())
            return False
    return True


def _write_file(export: MessageExport, lease: uuid.UUID) -> None:
    form = MessageFilterForm(export.query)
    if not form.is_valid():
        # A template or a colleague that it asked for is gone.
        _fail(export)
        return
    zone = zoneinfo.ZoneInfo(export.timezone)
    # What is written meanwhile is not part of it.
    rows = form.rows(zone).filter(created_at__lte=export.created_at)
    table = _table(export.format, zone=zone, language=export.language, with_text=export.with_text)
    done = export.parts.order_by("position").last() if export.format == ExportFormat.CSV else None
    if done is None:
        MessageExportPart.objects.filter(export=export).delete()
        MessageExport.objects.filter(pk=export.pk).update(rows=0, size=0)
    position = done.position + 1 if done is not None else 1

    def renew(_written: int) -> None:
        _renew(export, lease, rows=0, size=0)

    for part in _parts(table, rows, export.format, after=done.after if done is not None else "", on_batch=renew):
        with transaction.atomic():
            _renew(export, lease, rows=part.rows, size=len(part.data))
            MessageExportPart.objects.create(
                tenant_id=export.tenant_id,
                export=export,
                position=position,
                after=part.after,
                rows=part.rows,
                # The fastest: it is text, and shrinks to a fifth all the same.
                data=zlib.compress(part.data, 1),
            )
        position += 1
    _finish(export, lease)


def _table(file_format: str, *, zone: zoneinfo.ZoneInfo, language: str, with_text: bool) -> Table:
    """A workbook says of each cell that it is text; a text file cannot."""
    return Table(zone=zone, language=language, with_text=with_text, is_safe=file_format == ExportFormat.CSV)


def _parts(
    table: Table,
    rows: QuerySet[Message],
    file_format: str,
    *,
    after: str = "",
    on_batch: Any = lambda _rows: None,
) -> Iterator[Part]:
    if file_format == ExportFormat.XLSX:
        return export_rows.xlsx_parts(table, rows, on_batch=on_batch)
    return export_rows.csv_parts(table, rows, after=after)


def _renew(export: MessageExport, lease: uuid.UUID, *, rows: int, size: int) -> None:
    ours = MessageExport.objects.filter(pk=export.pk, lease_token=lease, status=ExportStatus.RUNNING)
    if not ours.update(lease_expires_at=timezone.now() + LEASE, rows=F("rows") + rows, size=F("size") + size):
        raise ExportLost


@transaction.atomic
def _finish(export: MessageExport, lease: uuid.UUID) -> None:
    now = timezone.now()
    ours = MessageExport.objects.filter(pk=export.pk, lease_token=lease, status=ExportStatus.RUNNING)
    kept = dt.timedelta(days=tenant_settings.of(export.tenant_id).export_days)
    if not ours.update(
        status=ExportStatus.READY, finished_at=now, expires_at=now + kept, lease_token=None, lease_expires_at=None
    ):
        raise ExportLost
    export.refresh_from_db()
    audit.record(
        tenant_id=export.tenant_id,
        actor=export.user,
        action="messages.exported",
        obj=export,
        after={**_told(export.query, export.format, with_text=export.with_text), "rows": export.rows},
    )
    _tell(export, is_ready=True)


@transaction.atomic
def _fail(export: MessageExport) -> None:
    MessageExportPart.objects.filter(export=export).delete()
    MessageExport.objects.filter(pk=export.pk).update(
        status=ExportStatus.FAILED, finished_at=timezone.now(), lease_token=None, lease_expires_at=None
    )
    if export.user.is_active:
        _tell(export, is_ready=False)


def _tell(export: MessageExport, *, is_ready: bool) -> None:
    """One line in the bell, in both languages."""
    words = {}
    for language in Language.values:
        with translation.override(language):
            words[language] = _ready_words(export) if is_ready else _failed_words()
    english, arabic = words[Language.ENGLISH], words[Language.ARABIC]
    notify(
        user=export.user,
        title=english[0],
        message=english[1],
        title_ar=arabic[0],
        message_ar=arabic[1],
        level=Level.SUCCESS if is_ready else Level.ERROR,
        category=Category.SYSTEM,
        related_object_type=OBJECT_TYPE,
        related_object_id=export.pk,
        dedupe_key=f"export:{export.pk}:{'ready' if is_ready else 'failed'}",
    )


def _ready_words(export: MessageExport) -> tuple[str, str]:
    text = ngettext(
        "%(count)s message. The file is deleted after some days.",
        "%(count)s messages. The file is deleted after some days.",
        export.rows,
    )
    return _("Your export is ready"), text % {"count": f"{export.rows:,}"}


def _failed_words() -> tuple[str, str]:
    return _("Your export could not be made"), _("Please start it again from the list of messages.")


# --- by the clock ----------------------------------------------------------------------------------------------------


def waiting(now: dt.datetime) -> list[uuid.UUID]:
    """Of the open tenant: whose doorbell was lost, and whose worker died."""
    lost = Q(status=ExportStatus.QUEUED, created_at__lte=now - dt.timedelta(seconds=5))
    dead = Q(status=ExportStatus.RUNNING, lease_expires_at__lte=now)
    return list(MessageExport.objects.filter(lost | dead).order_by("created_at").values_list("pk", flat=True)[:50])


def delete_old(now: dt.datetime) -> int:
    """Deletes the files of the open tenant whose time is over; returns how many."""
    return _expire(MessageExport.objects.filter(status=ExportStatus.READY, expires_at__lte=now))


def forget_files() -> int:
    """Deletes every file of the open tenant, because words in them were erased; returns how many.

    Which of them hold some cannot be known any more: what they were filtered by, a status or an address, has changed
    since. They can be made anew.
    """
    deleted = 0
    # What waits is written from what is left.
    written = MessageExport.objects.filter(status__in=[ExportStatus.READY, ExportStatus.RUNNING])
    for export in written.order_by("created_at"):
        with transaction.atomic():
            if not _expire(written.filter(pk=export.pk)):
                continue
            audit.record(
                tenant_id=export.tenant_id,
                actor=None,
                action="messages.export_removed",
                obj=export,
                after={"because": "erasure"},
            )
        deleted += 1
    return deleted


@transaction.atomic
def _expire(rows: QuerySet[MessageExport]) -> int:
    keys = list(rows.exclude(status=ExportStatus.EXPIRED).values_list("pk", flat=True)[:100])
    MessageExportPart.objects.filter(export__in=keys).delete()
    return MessageExport.objects.filter(pk__in=keys).update(
        status=ExportStatus.EXPIRED, lease_token=None, lease_expires_at=None
    )


def _told(query: Mapping[str, str], file_format: str, *, with_text: bool) -> dict[str, Any]:
    """What the audit trail keeps of a filter: not what was searched for, which may be a name or a number."""
    filters = {name: value for name, value in query.items() if name != "q"}
    return {
        "filters": filters,
        "is_search": "q" in query,
        "format": str(file_format),
        "with_text": with_text,
    }


def _language() -> str:
    return (translation.get_language() or settings.LANGUAGE_CODE)[:2]
