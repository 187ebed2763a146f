"""What providers tell us: stored raw by the web in one statement, applied in batches by a worker.

Applying twice, late or out of order changes nothing wrong: ``receipt_rules.py`` says what each word means for a
message as it stands. The web rings after storing; what a crash left behind the sweeper applies.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Field
from django.utils import timezone

from core.bulk import update_rows
from core.ids import ordered_uuid
from core.tenancy import system_scope, tenant_scope
from integrations.sms_providers import get
from notifications.models import Message, MessageAttempt, ProviderReceipt
from notifications.receipt_case import Case
from notifications.receipt_rules import Word
from notifications.states import AWAITING_RECEIPT

log = structlog.get_logger(__name__)

# A report that nobody signed: its word is not believed, but makes us ask the provider.
HINT = "hint:"
# What one transaction takes: a few hundred milliseconds of work.
BATCH = 1000
# A worker goes on for this long before it gives its place to others.
TURN_SECONDS = 20.0
# A receipt that cannot be applied is tried again this long; then it is kept for support only.
GIVE_UP = dt.timedelta(days=1)

# All but what is known when it is applied.
_FIELDS = [
    field
    for field in ProviderReceipt._meta.concrete_fields
    if field.attname not in {"tenant_id", "message_id", "applied_at"}
]
_INSERT = (
    f"INSERT INTO {ProviderReceipt._meta.db_table} ({', '.join(str(field.column) for field in _FIELDS)}) "  # noqa: S608  # names of ours only
    f"VALUES ({', '.join(['%s'] * len(_FIELDS))}) ON CONFLICT (dedupe_key) DO NOTHING"
)


# --- Store ----------------------------------------------------------------------------------------------------------


def store(
    *,
    provider: str,
    message_ref: str,
    provider_message_id: str,
    status: str,
    payload: Mapping[str, str],
    error_code: str = "",
    attempt: int | None = None,
) -> bool:
    """Keeps a receipt as it came, in one statement. True when it is new.

    ``message_ref`` is our id from the call-back's address; nonsense is kept too. The same words about the same attempt
    are one row. ``payload`` must not hold the address or the text.
    """
    key = f"{provider}:{message_ref}:{attempt or ''}:{provider_message_id}:{status}:{error_code}"
    values: dict[str, Any] = {
        "id": ordered_uuid(),
        "provider": provider,
        "message_ref": _clean(message_ref, 40),
        "attempt": attempt,
        "provider_message_id": _clean(provider_message_id, 80),
        "status": _clean(status, 30),
        "error_code": _clean(error_code, 40),
        "payload": json.dumps({name: _clean(value, 200) for name, value in payload.items()}),
        "dedupe_key": _clean(key, 200) if len(key) <= 200 else hashlib.sha256(key.encode()).hexdigest(),
        "received_at": timezone.now(),
    }
    try:
        return _insert(values)
    except (OperationalError, InterfaceError):
        if connection.in_atomic_block:
            raise
        # The database was restarted under a connection that was kept open; the provider may not report again.
        connection.close()
        return _insert(values)


def _insert(values: Mapping[str, Any]) -> bool:
    with connection.cursor() as cursor:
        # Not by the ORM: it would begin and end a transaction around it, and could not say whether the row is new.
        cursor.execute(_INSERT, [_prepared(field, values[field.attname]) for field in _FIELDS])
        return bool(cursor.rowcount == 1)


def _prepared(field: Field[Any, Any], value: Any) -> Any:
    """As the database takes it; texts and numbers are taken as they are."""
    return value if isinstance(value, str | int | None) else field.get_db_prep_save(value, connection)


def _clean(text: str, length: int) -> str:
    """Databases hold no NUL in a text."""
    return text.replace("\x00", "")[:length]


# --- Apply ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Round:
    """What one batch came to. ``busy``: another worker has their message just now; ``broken``: an error."""

    taken: int = 0
    applied: int = 0
    moved: int = 0
    unknown: int = 0
    busy: set[uuid.UUID] = field(default_factory=set)
    broken: set[uuid.UUID] = field(default_factory=set)


def apply_stored(*, limit: int = BATCH, seconds: float = TURN_SECONDS) -> dict[str, int]:
    """Applies what is stored, the oldest first, until nothing is left or the time is over.

    Counts: ``applied`` receipts, ``moved`` messages, ``unknown`` (no message of ours), ``broken`` (left for later).
    Safe to run several times at once: each takes what no other has taken.
    """
    ends = time.monotonic() + seconds
    counts: Counter[str] = Counter()
    broken: set[uuid.UUID] = set()
    busy: set[uuid.UUID] = set()
    while time.monotonic() < ends:
        result = _apply_batch(limit, broken | busy)
        counts.update(applied=result.applied, moved=result.moved, unknown=result.unknown, broken=len(result.broken))
        broken |= result.broken
        busy |= result.busy
        if result.taken:
            continue
        if not busy:
            break
        # Their message is being sent or judged at this moment.
        busy.clear()
        time.sleep(0.05)
    return {name: counts[name] for name in ("applied", "moved", "unknown", "broken")}


@transaction.atomic
def _apply_batch(limit: int, passing_over: Collection[uuid.UUID]) -> _Round:
    waiting = ProviderReceipt.objects.filter(applied_at=None).exclude(status__startswith=HINT)
    if passing_over:
        waiting = waiting.exclude(pk__in=passing_over)
    taken = list(waiting.order_by("received_at", "pk").select_for_update(skip_locked=True)[:limit])
    result = _Round(taken=len(taken))
    for tenant_id, theirs in _by_tenant(taken).items():
        if tenant_id is None:
            result.unknown += len(theirs)
            _finish(theirs)
            log.warning("receipts_of_unknown_messages", count=len(theirs))
            continue
        with tenant_scope(tenant_id):
            _apply_surely(theirs, result)
    return result


def _by_tenant(taken: Sequence[ProviderReceipt]) -> dict[uuid.UUID | None, list[ProviderReceipt]]:
    """Finds each receipt's message: by our id in the call-back's address, else by the provider's id. None: no message."""
    refs = {receipt.pk: ref for receipt in taken if (ref := _as_uuid(receipt.message_ref)) is not None}
    with system_scope("a provider's call-back carries the message's id only"):
        ours = dict(Message.objects.filter(pk__among=set(refs.values())).values_list("pk", "tenant_id"))
        others = {r.provider_message_id for r in taken if r.provider_message_id and refs.get(r.pk) not in ours}
        by_provider_id: dict[str, tuple[uuid.UUID, uuid.UUID]] = {}
        if others:
            # Every send has its attempt, which keeps the id also when the message has moved on to another one.
            tried = MessageAttempt.objects.filter(provider_message_id__among=others).exclude(provider_message_id="")
            for provider_id, pk, tenant_id in tried.values_list("provider_message_id", "message_id", "tenant_id"):
                by_provider_id[provider_id] = (pk, tenant_id)
    groups: dict[uuid.UUID | None, list[ProviderReceipt]] = defaultdict(list)
    for receipt in taken:
        ref = refs.get(receipt.pk)
        if ref is not None and ref in ours:
            receipt.message_id, receipt.tenant_id = ref, ours[ref]
        elif receipt.provider_message_id in by_provider_id:
            receipt.message_id, receipt.tenant_id = by_provider_id[receipt.provider_message_id]
        groups[receipt.tenant_id].append(receipt)
    return groups


def _as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _apply_surely(theirs: Sequence[ProviderReceipt], result: _Round) -> None:
    """All of a tenant's at once; if that fails, message by message, so that one that cannot be applied stops no other."""
    try:
        with transaction.atomic():
            _apply(theirs, result)
    except Exception as error:  # noqa: BLE001  # whatever it is, it must not block the receipts of others
        log.warning("receipts_one_by_one", count=len(theirs), error=type(error).__name__)
    else:
        return
    by_message: dict[uuid.UUID | None, list[ProviderReceipt]] = defaultdict(list)
    for receipt in theirs:
        by_message[receipt.message_id].append(receipt)
    for its in by_message.values():
        try:
            with transaction.atomic():
                _apply(its, result)
        except Exception as error:  # noqa: BLE001  # its text may quote an address: only its type is told
            result.broken |= {receipt.pk for receipt in its}
            for receipt in its:
                log.error("receipt_broken", receipt_id=str(receipt.pk), error=type(error).__name__)  # noqa: TRY400
            _finish([receipt for receipt in its if receipt.received_at < timezone.now() - GIVE_UP])


def _apply(theirs: Sequence[ProviderReceipt], result: _Round) -> None:
    """One tenant's receipts, in the order they came. Those of a message that another worker holds are left for later."""
    case = Case({receipt.message_id for receipt in theirs if receipt.message_id is not None})
    done = []
    for receipt in theirs:
        if receipt.message_id not in case.messages:
            result.busy.add(receipt.pk)
            continue
        done.append(receipt)
        case.hear(
            receipt.message_id,
            Word(
                provider=receipt.provider,
                word=receipt.status,
                attempt=receipt.attempt,
                provider_message_id=receipt.provider_message_id,
                error_code=receipt.error_code,
                response=receipt.payload,
            ),
            get(receipt.provider),
        )
    moved = case.close()
    _finish(done)
    result.applied += len(done)
    result.moved += len(moved)


def _finish(theirs: Iterable[ProviderReceipt]) -> None:
    now = timezone.now()
    update_rows(
        ProviderReceipt,
        [
            {"id": receipt.pk, "tenant_id": receipt.tenant_id, "message_id": receipt.message_id, "applied_at": now}
            for receipt in theirs
        ],
        ("tenant_id", "message_id", "applied_at"),
    )


def settle(
    message: Message,
    *,
    word: str,
    provider: str,
    provider_message_id: str = "",
    error_code: str = "",
    response: Mapping[str, Any] | None = None,
) -> bool:
    """Applies one word about one message, when the provider was asked. True when it moved. The tenant's scope is open."""
    said = Word(
        provider=provider,
        word=word,
        provider_message_id=provider_message_id,
        error_code=error_code,
        response=response or {},
    )
    return bool(settle_many([(message.pk, said)]))


@transaction.atomic
def settle_many(words: Sequence[tuple[uuid.UUID, Word]]) -> set[uuid.UUID]:
    """``settle`` for many: (message id, word). The ids of the messages that moved."""
    case = Case({message_id for message_id, _said in words}, waits=True)
    for message_id, said in words:
        case.hear(message_id, said, get(said.provider))
    return case.close()


# --- Hints ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def take_hints(limit: int = BATCH) -> list[tuple[uuid.UUID, uuid.UUID]]:
    """The (tenant, message) ids of unsigned reports, for who asks the provider. Each is given once.

    From here on they are due for provider sync as well, so none is forgotten when asking fails half-way.
    """
    waiting = ProviderReceipt.objects.filter(applied_at=None, status__startswith=HINT).order_by("received_at", "pk")
    hints = list(waiting.select_for_update(skip_locked=True)[:limit])
    for tenant_id, theirs in _by_tenant(hints).items():
        if tenant_id is not None:
            with tenant_scope(tenant_id):
                Message.objects.filter(pk__in={hint.message_id for hint in theirs}, status__in=AWAITING_RECEIPT).update(
                    next_check_at=timezone.now()
                )
        _finish(theirs)
    return list(
        dict.fromkeys(
            (h.tenant_id, h.message_id) for h in hints if h.tenant_id is not None and h.message_id is not None
        )
    )
