"""What an audit row changed, as a person reads it: field by field, before and after, names instead of ids.

One query for each kind of row that the events of a page point at, however many events. Must never import anything of
the other apps.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.models import Field, ForeignKey, Model
from django.utils.translation import gettext as _

from core.audit import WITHHELD
from core.audit_words import column_of, field_label
from core.models import AuditEvent
from core.templatetags.agdar_ui import day_text, daytime_text

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NOTHING = "—"

# (model's label, id) → the row, for those that still exist and belong to the open tenant.
Rows = Mapping[tuple[str, uuid.UUID], Model]


@dataclass(frozen=True, slots=True)
class Change:
    """A line of the diff. ``before`` is empty for an act that only tells something."""

    label: str
    before: str
    after: str

    @property
    def is_told_only(self) -> bool:
        return not self.before


def rows_of(events: Iterable[AuditEvent]) -> Rows:
    """The objects of the events, and the rows that their values point at."""
    wanted: dict[type[Model], set[uuid.UUID]] = defaultdict(set)
    for event in events:
        model = _model(event.object_type)
        if model is not None and event.object_id is not None:
            wanted[model].add(event.object_id)
        for name, value in [*event.before.items(), *event.after.items()]:
            target = _target(event.object_type, name)
            if target is not None and isinstance(value, str) and _UUID.fullmatch(value):
                wanted[target].add(uuid.UUID(value))
    found: dict[tuple[str, uuid.UUID], Model] = {}
    for model, keys in wanted.items():
        for row in model.objects.filter(pk__in=keys):  # type: ignore[attr-defined]  # every model of ours has it
            found[model._meta.label_lower, row.pk] = row
    return found


def changes_of(event: AuditEvent, rows: Rows, place: object = None) -> list[Change]:
    """The values that differ, in the order in which they were recorded. ``place``: whose wall clock times are told by."""
    lines = []
    for name in dict.fromkeys([*event.before, *event.after]):
        before, after = event.before.get(name), event.after.get(name)
        # Two values that were withheld are a change, too.
        if before == after and before != WITHHELD:
            continue
        show = _Words(event.object_type, name, rows, place)
        lines.append(Change(field_label(event.object_type, name), show(before) if event.before else "", show(after)))
    return lines


class _Words:
    """One field's values in words."""

    def __init__(self, object_type: str, name: str, rows: Rows, place: object) -> None:
        self._object_type = object_type
        self._name = name
        self._column: Field[Any, Any] | None = column_of(object_type, name)
        self._choices = dict(self._column.flatchoices) if self._column is not None and self._column.choices else {}
        self._target = _target(object_type, name)
        self._rows = rows
        self._place = place

    def __call__(self, value: Any) -> str:
        if value is None or value in ("", [], {}):
            return NOTHING
        if isinstance(value, bool):
            return _("Yes") if value else _("No")
        if isinstance(value, list):
            return _(", ").join(self._item(item) for item in value)
        if isinstance(value, dict):
            return _(", ").join(f"{field_label(self._object_type, key)}: {self(item)}" for key, item in value.items())
        return self._text(value)

    def _item(self, value: Any) -> str:
        if self._name == "changed" and isinstance(value, str):
            return field_label(self._object_type, value)
        return self(value)

    def _text(self, value: Any) -> str:
        if value in self._choices:
            return str(self._choices[value])
        text = str(value)
        if text == WITHHELD:
            return _("(not kept)")
        if _UUID.fullmatch(text):
            row = self._rows.get((self._target._meta.label_lower, uuid.UUID(text))) if self._target else None
            return str(getattr(row, "name", None) or row) if row is not None else text[:8]
        if _MOMENT.match(text):
            return daytime_text(dt.datetime.fromisoformat(text), self._place)
        return day_text(dt.date.fromisoformat(text)) if _DAY.fullmatch(text) else text


def _model(object_type: str) -> type[Model] | None:
    try:
        return apps.get_model(object_type) if object_type else None
    except (LookupError, ValueError):
        return None


# Values that are recorded under another name than their column's.
_PEOPLE = frozenset({"user", "actor", "cover", "covered_by", "supervisor", "approved_by", "reviewed_by"})


def _target(object_type: str, name: str) -> type[Model] | None:
    """The model whose id the value is, or None."""
    column = column_of(object_type, name)
    if isinstance(column, ForeignKey):
        # "self" while the models are still being loaded, never later.
        related: Any = column.related_model
        return related if isinstance(related, type) else None
    bare = name.removesuffix("_id")
    if bare in _PEOPLE:
        return apps.get_model("core.user")
    return apps.get_model(f"core.{bare}") if bare in {"patient", "guardian", "location", "department"} else None
