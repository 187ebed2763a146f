"""Writes new rows of the bell: one note for any number of people in two statements, and the folding of many of a kind.

What becomes of the rows afterwards is ``notifications/inbox.py``.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone

from core.bulk import blank_row
from core.ids import ordered_uuid, ordered_uuids
from notifications.models import BellState, Notification, NotificationEvent, NotificationItem
from notifications.states import Category, Level

# Rows a statement: 10,000 people are two statements each of a few MB.
CHUNK = 5000
# How many of a group the list shows by their words.
SAMPLE = 3
# A group that opens and closes under our feet is tried anew as often; each try needs another writer to have got ahead.
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Note:
    """What is told, the same for everybody who is told. Words in both languages, English first.

    ``fold_within``: notes with the same ``group`` join one row while it is unread, for so long after the first.
    """

    title: str
    message: str = ""
    title_ar: str = ""
    message_ar: str = ""
    level: Level = Level.INFO
    category: Category = Category.GENERAL
    is_critical: bool = False
    related_object_type: str | None = None
    related_object_id: uuid.UUID | None = None
    event: NotificationEvent | None = None
    dedupe_key: str = ""
    group: str = ""
    fold_within: dt.timedelta | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who is told, and how the bell behaves (see the fields of ``Notification``)."""

    user_id: uuid.UUID
    is_muted: bool = False
    is_silent: bool = False
    override: str = ""
    instead_of_id: uuid.UUID | None = None


@transaction.atomic
def notify_many(*, tenant_id: uuid.UUID, note: Note, recipients: Iterable[Recipient]) -> dict[uuid.UUID, uuid.UUID]:
    """Writes the note for each recipient once; who has it already (same ``dedupe_key``) is left alone.

    Returns user id → notification id of the rows that are new or have grown. Two statements per ``CHUNK`` people;
    a note that folds is written one by one. All rows before any bell: that order spares writers from deadlocks.
    """
    found = sorted({one.user_id: one for one in recipients}.values(), key=lambda one: one.user_id.int)
    told: dict[uuid.UUID, uuid.UUID] = {}
    grown: dict[uuid.UUID, int] = {}
    size = CHUNK if note.fold_within is None else 1
    for start in range(0, len(found), size):
        chunk = found[start : start + size]
        # What is switched off does not fold, but has its turn: the order of the users holds for all.
        if note.fold_within is not None and not chunk[0].is_muted:
            folded = _fold(tenant_id, note, chunk[0])
            if folded is not None:
                told[chunk[0].user_id], is_new = folded
                grown[chunk[0].user_id] = int(is_new)
            continue
        written = _insert(tenant_id, note, chunk)
        told |= written
        grown |= {one.user_id: 0 if one.is_muted else 1 for one in chunk if one.user_id in written}
    bump(tenant_id, grown)
    return told


def bump(tenant_id: uuid.UUID, changes: Mapping[uuid.UUID, int]) -> None:
    """Adds to the unread counters (user id → by how much, also 0) and raises the versions.

    One statement per ``CHUNK`` of those that grow or stay, one for all that shrink.
    """
    states = f'"{BellState._meta.db_table}"'
    ordered = sorted(changes.items(), key=lambda change: change[0].int)
    growing = [(user_id, by) for user_id, by in ordered if by >= 0]
    # Who has something to lose has a row.
    shrinking = [(user_id, by) for user_id, by in ordered if by < 0]
    if shrinking and len(ordered) > 1:
        # The two halves would each go by user, but one after the other: take all of them in one order first.
        mine = BellState.objects.filter(user__in=list(changes)).order_by("user_id")
        list(mine.select_for_update().values_list("pk"))
    for start in range(0, len(growing), CHUNK):
        source, parameters = _as_table({"user_id": "uuid", "unread": "int"}, growing[start : start + CHUNK])
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {states} (id, tenant_id, user_id, unread, version) "  # noqa: S608  # names of ours only
                f"SELECT {_new_id()}, %s, new.user_id, new.unread, 1 FROM {source} WHERE true "
                f"ON CONFLICT (user_id) DO UPDATE SET unread = {states}.unread + excluded.unread, "
                f"version = {states}.version + 1",
                [_prepared(BellState, "tenant_id", tenant_id), *parameters],
            )
    if shrinking:
        source, parameters = _as_table({"user_id": "uuid", "fewer": "int"}, shrinking)
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {states} SET unread = unread + new.fewer, version = version + 1 "  # noqa: S608  # names of ours only
                f"FROM {source} WHERE {states}.user_id = new.user_id",
                parameters,
            )


def words_of(note: Note) -> dict[str, Any]:
    """The note's own columns of a row."""
    return {
        "event_id": note.event.pk if note.event is not None else None,
        "event_key": note.event.key if note.event is not None else "",
        "category": Category(note.category).value,
        "title": note.title[:200],
        "title_ar": note.title_ar[:200],
        "message": note.message,
        "message_ar": note.message_ar,
        "notification_type": Level(note.level).value,
        "is_critical": note.is_critical,
        "related_object_type": note.related_object_type,
        "related_object_id": note.related_object_id,
    }


# --- one row a person ------------------------------------------------------------------------------------------------


def _insert(tenant_id: uuid.UUID, note: Note, people: Sequence[Recipient]) -> dict[uuid.UUID, uuid.UUID]:
    """One statement; the unique key decides who has it already. User id → row id of the new ones."""
    now = timezone.now()
    kinds = {"id": "uuid", "user_id": "uuid"}
    varied: list[Sequence[Any]] = [ordered_uuids(len(people)), [one.user_id for one in people]]
    fixed = blank_row(Notification) | words_of(note)
    fixed |= {"tenant_id": tenant_id, "dedupe_key": note.dedupe_key, "activity_at": now, "created_at": now}
    # What is the same for all is written once: for thousands of people that is nearly everything.
    for name, kind in (("is_silent", "bool"), ("is_muted", "bool"), ("override", "text"), ("instead_of_id", "uuid")):
        values = [getattr(one, name) for one in people]
        if values.count(values[0]) == len(values):
            fixed[name] = values[0]
        else:
            kinds[name] = kind
            varied.append(values)
    source, parameters = _as_table(kinds, list(zip(*varied, strict=True)))
    columns, selected, given = [], [], []
    for field in Notification._meta.concrete_fields:
        columns.append(f'"{field.column}"')
        if field.attname in kinds:
            selected.append(f"new.{field.column}")
        elif field.attname == "archived_at" and "is_muted" in kinds:
            # Switched off by the reader: straight into the history.
            selected.append("CASE WHEN new.is_muted THEN %s END")
            given.append(_typed_moment(now))
        else:
            selected.append("%s")
            value = now if field.attname == "archived_at" and fixed["is_muted"] else fixed[field.attname]
            given.append(_prepared(Notification, field.attname, value))
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO "{Notification._meta.db_table}" ({", ".join(columns)}) '  # noqa: S608  # names of ours only
            f"SELECT {', '.join(selected)} FROM {source} WHERE true "
            "ON CONFLICT (user_id, dedupe_key) DO NOTHING RETURNING user_id, id",
            [*given, *parameters],
        )
        return {_as_uuid(user_id): _as_uuid(row_id) for user_id, row_id in cursor.fetchall()}


def _as_table(kinds: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> tuple[str, list[Any]]:
    """Rows as a table called ``new`` in one statement: arrays on PostgreSQL, JSON on SQLite."""
    names = ", ".join(kinds)
    if connection.vendor == "postgresql":
        arrays = ", ".join(f"%s::{kind}[]" for kind in kinds.values())
        columns = zip(kinds.values(), zip(*rows, strict=True), strict=True)
        return f"unnest({arrays}) AS new({names})", [_as_array(kind, column) for kind, column in columns]
    picked = ", ".join(f"json_extract(value, '$[{place}]') AS {name}" for place, name in enumerate(kinds))
    plain = [[value.hex if isinstance(value, uuid.UUID) else value for value in row] for row in rows]
    return f"(SELECT {picked} FROM json_each(%s)) AS new", [json.dumps(plain)]  # noqa: S608  # names of ours only


def _as_array(kind: str, values: Sequence[Any]) -> Any:
    """PostgreSQL's own text where it is plain: the driver would quote thousands of values one by one, in Python."""
    if kind == "uuid":
        return "{" + ",".join(["NULL" if value is None else value.hex for value in values]) + "}"
    return "{" + ",".join(map(str, values)) + "}" if kind == "int" else list(values)


def _new_id() -> str:
    """For a row that is seldom new: the database makes its key, and nothing is sent."""
    return "gen_random_uuid()" if connection.vendor == "postgresql" else "lower(hex(randomblob(16)))"


def _prepared(model: type[models.Model], attname: str, value: Any) -> Any:
    field = next(field for field in model._meta.concrete_fields if field.attname == attname)
    return field.get_db_prep_save(value, connection)


def _typed_moment(moment: dt.datetime) -> Any:
    return _prepared(Notification, "archived_at", moment)


def _as_uuid(value: Any) -> uuid.UUID:
    return value if isinstance(value, uuid.UUID) else uuid.UUID(str(value))


# --- many of a kind in one row ---------------------------------------------------------------------------------------


def _fold(tenant_id: uuid.UUID, note: Note, one: Recipient) -> tuple[uuid.UUID, bool] | None:
    """Adds the note to the user's open group, or opens one. (the row's id, whether it is new); None: counted before.

    The database holds the two rules: one open group of a key (``notification_group_open_once``), one item of a note
    (``notification_item_once``). Who loses a race for either looks again.
    """
    for _attempt in range(_TRIES):
        if NotificationItem.objects.filter(user_id=one.user_id, dedupe_key=note.dedupe_key).exists():
            return None
        try:
            with transaction.atomic():
                return _join_or_open(tenant_id, note, one)
        except IntegrityError:
            continue
    raise RuntimeError("a group of notifications opens and closes without end")


def _join_or_open(tenant_id: uuid.UUID, note: Note, one: Recipient) -> tuple[uuid.UUID, bool]:
    assert note.fold_within is not None
    now = timezone.now()
    key = note.group[:200]
    row = Notification.objects.select_for_update(no_key=True).filter(user_id=one.user_id, open_group=key).first()
    if row is not None and row.group_ends_at is not None and row.group_ends_at <= now:
        Notification.objects.filter(pk=row.pk).update(open_group=None)
        row = None
    is_new = row is None
    marks = {"is_silent": one.is_silent, "override": one.override, "instead_of_id": one.instead_of_id}
    newest = {"title": note.title[:200], "title_ar": note.title_ar[:200], "at": now.isoformat()}
    if row is None:
        row = Notification(
            tenant_id=tenant_id,
            user_id=one.user_id,
            dedupe_key=f"group:{ordered_uuid()}",
            open_group=key,
            group_ends_at=now + note.fold_within,
            group_count=0,
        )
    for name, value in (words_of(note) | marks).items():
        setattr(row, name, value)
    row.group_count += 1
    row.sample = [newest, *row.sample][:SAMPLE]
    row.activity_at = now
    row.save(force_insert=is_new)
    NotificationItem.objects.create(
        tenant_id=tenant_id,
        notification=row,
        user_id=one.user_id,
        event=note.event,
        title=note.title[:200],
        title_ar=note.title_ar[:200],
        message=note.message,
        message_ar=note.message_ar,
        dedupe_key=note.dedupe_key,
        created_at=now,
    )
    return row.pk, is_new
