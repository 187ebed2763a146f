"""Values of placeholders that differ from one recipient to the next, written down as JSON and read back.

A plain text stays a text; what a language writes in its own way is an object with one key: ``{"day": "2026-11-28"}``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from notifications.rendering import Code, LocalDate, LocalTime, Words

# Of a text in an uploaded list; a name or a place is shorter, an essay is a mistake.
LONGEST = 200


def pack(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as rendering takes them → JSON."""
    return {name: _pack(value) for name, value in values.items()}


def _pack(value: Any) -> Any:
    match value:
        case LocalDate():
            return {"day": value.day.isoformat()}
        case LocalTime():
            return {"time": f"{value.time:%H:%M}"}
        case Words():
            return {"en": value.en, "ar": value.ar}
        case Code():
            return {"code": value.text}
    name_in = getattr(value, "name_in", None)
    return {"en": name_in("en"), "ar": name_in("ar")} if name_in is not None else str(value)


def unpack(value: Any) -> Any:
    """One JSON value → as rendering takes it."""
    if not isinstance(value, dict):
        return value
    if "day" in value:
        return LocalDate(dt.date.fromisoformat(value["day"]))
    if "time" in value:
        return LocalTime(dt.time.fromisoformat(value["time"]))
    if "code" in value:
        return Code(value["code"])
    return Words(value.get("en", ""), value.get("ar", ""))
