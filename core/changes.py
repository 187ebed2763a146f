"""Writes what a form has changed on a row, and the audit row that tells of it: the changed fields only, before and after.

Must never import anything of the other apps.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

from django.db.models import Model

from core import audit
from core.models import Tenant, User

# What the audit trail says of a field whose value it may not hold.
WITHHELD = audit.WITHHELD


def apply(
    *, actor: User, row: Model, values: Mapping[str, Any], action: str, withheld: Collection[str] = ()
) -> list[str]:
    """Saves those of ``values`` that differ and audits them; the names of what has changed.

    ``withheld``: fields whose values are personal data or secrets; the trail learns only that they changed. The row is
    locked by the caller, whose transaction this is part of. Nothing different: nothing is written.
    """
    before = {name: getattr(row, name) for name in values}
    changed = [name for name, value in values.items() if before[name] != value]
    if not changed:
        return []
    for name in changed:
        setattr(row, name, values[name])
    touched = ["updated_at"] if any(field.name == "updated_at" for field in row._meta.concrete_fields) else []
    row.save(update_fields=[*changed, *touched])
    tenant_id = row.pk if isinstance(row, Tenant) else row.tenant_id  # type: ignore[attr-defined]  # all others have one
    audit.record(
        tenant_id=tenant_id,
        actor=actor,
        action=action,
        obj=row,
        before={name: WITHHELD if name in withheld else plain(before[name]) for name in changed},
        after={name: WITHHELD if name in withheld else plain(values[name]) for name in changed},
    )
    return changed


def plain(value: Any) -> Any:
    """A field's value as JSON holds it: rows by their id, times as text."""
    if isinstance(value, Model):
        return str(value.pk)
    if isinstance(value, dt.time):
        return f"{value:%H:%M}"
    return value.isoformat() if isinstance(value, dt.date) else value
