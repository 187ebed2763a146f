"""The log of stops and starts: append-only, and each row sealed together with the one before it.

The seal is SHA-256 over what the row says and the seal before. So a row that was changed, taken out or put in by whoever
can get past the triggers shows: ``broken_at`` finds the first that does not fit. A clinic group's rows stand in one line;
its end is known to the counter that numbers them, so a tail cut off shows too.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Iterator

from django.db import transaction
from django.utils import timezone

from core.models import NumberSequence, Patient, User
from core.sequences import next_number
from notifications.consent_states import OptAct, OptSource, stamp
from notifications.models import OptEvent
from notifications.states import Channel

_SEQUENCE = "opt_log"
# What the first row of a clinic group is sealed with.
_BEGINNING = "0" * 64
HEADER = ("position", "time", "act", "channel", "sender", "address", "as_it_came", "source", "patient", "seal")


@transaction.atomic
def append(
    *,
    tenant_id: uuid.UUID,
    act: OptAct,
    channel: str,
    sender: str,
    address: str,
    raw: str,
    source: str,
    patient: Patient | None = None,
    actor: User | None = None,
    at: dt.datetime | None = None,
) -> OptEvent:
    """Adds a row. The counter's row is locked, so two come one after the other. The tenant's scope is open."""
    position = next_number(tenant_id, _SEQUENCE)
    before = OptEvent.objects.filter(tenant_id=tenant_id, position=position - 1).values_list("seal", flat=True).first()
    row = OptEvent(
        tenant_id=tenant_id,
        position=position,
        act=OptAct(act),
        channel=Channel(channel),
        sender=sender,
        address=address,
        # PostgreSQL holds no NUL in a text, and somebody's phone may send one.
        raw=raw.replace("\x00", ""),
        source=OptSource(source),
        patient=patient,
        actor=actor,
        at=at or timezone.now(),
    )
    row.seal = seal(row, before or _BEGINNING)
    row.save(force_insert=True)
    return row


def seal(row: OptEvent, before: str) -> str:
    """The seal of a row that follows one sealed with ``before``."""
    said = {
        "tenant": str(row.tenant_id),
        "position": row.position,
        "act": str(row.act),
        "channel": str(row.channel),
        "sender": row.sender,
        "address": row.address,
        "raw": row.raw,
        "source": str(row.source),
        "patient": str(row.patient_id or ""),
        "actor": str(row.actor_id or ""),
        "at": stamp(row.at),
        "before": before,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def broken_at(tenant_id: uuid.UUID) -> int | None:
    """The first position at which the line does not fit any more; None: it is whole. The tenant's scope is open."""
    before, expected = _BEGINNING, 1
    for row in OptEvent.objects.filter(tenant_id=tenant_id).order_by("position").iterator(chunk_size=1000):
        if row.position != expected or row.seal != seal(row, before):
            return expected
        before, expected = row.seal, expected + 1
    drawn = NumberSequence.objects.filter(tenant_id=tenant_id, name=_SEQUENCE).values_list("value", flat=True).first()
    return expected if (drawn or 0) != expected - 1 else None


def proof_rows(tenant_id: uuid.UUID) -> Iterator[tuple[str, ...]]:
    """``HEADER`` and a line a row, as a proof that others can recompute. The file number names the patient."""
    yield HEADER
    rows = OptEvent.objects.filter(tenant_id=tenant_id).select_related("patient").order_by("position")
    for row in rows.iterator(chunk_size=1000):
        yield (
            str(row.position),
            stamp(row.at),
            str(row.act),
            str(row.channel),
            row.sender,
            row.address,
            row.raw,
            str(row.source),
            row.patient.mrn if row.patient is not None else "",
            row.seal,
        )
