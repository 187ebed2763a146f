"""The check of a send: exact numbers before anything is written to the outbox.

Every recipient is rendered and asked of the gate as the send itself will do, so the numbers are those of the send if
nothing changes until then. Who would get the same words at the same address as a relative is told together with them.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone

from core.bulk import update_rows
from core.models import Patient
from integrations.bulk import checks, told, words
from integrations.bulk_send import CHUNK, Job, Recipient
from notifications import bulk_values
from notifications.models import BulkRecipient, BulkSend, Message
from notifications.states import Channel, Reason

READ = ("position", "patient_id", "values", "object_id", "object_version")
# A relative's name beside the first one's: “Sara and Omar”; more than this many are not listed.
MOST_NAMES = 4
# Of so many newest messages with a price the price of the next is taken.
PRICED = 200


@dataclass(slots=True)
class _Sums:
    """What the check adds up while it walks."""

    send: int = 0
    channels: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    segments: int = 0
    excluded: Counter[str] = field(default_factory=Counter)
    folded: int = 0
    samples: dict[str, int] = field(default_factory=dict)
    longest: int = 0


@transaction.atomic
def check(bulk: BulkSend) -> dict[str, Any]:
    """Marks who is left out and who is folded, and returns the totals (shape: the end of this function). The scope is open."""
    _forget(bulk)
    job = words.job_of(bulk)
    sums = _Sums()
    # Address and words → the position of the first who gets them.
    heads: dict[bytes, int] = {}
    followers: dict[int, list[int]] = defaultdict(list)
    for chunk in chunks(BulkRecipient.objects.filter(bulk=bulk)):
        marks = _look(job, bulk, chunk, sums, heads, followers)
        update_rows(BulkRecipient, marks, ("reason", "folded_into"))
    _name_together(job, bulk, followers, sums)
    return {
        "people": BulkRecipient.objects.filter(bulk=bulk).count(),
        "send": sums.send,
        "by_channel": dict(sums.channels),
        "by_language": dict(sums.languages),
        "segments": sums.segments,
        "excluded": dict(sums.excluded.most_common()),
        "folded": sums.folded,
        "cost": _cost(sums),
        # Positions of an English, an Arabic and the longest message.
        "samples": list(dict.fromkeys(sums.samples.values())),
    }


def chunks(recipients: QuerySet[BulkRecipient], *, after: int = 0) -> Iterator[list[tuple[Any, ...]]]:
    """Recipients of one send in order, by the chunk: the id and then ``READ``."""
    while True:
        rows = recipients.filter(position__gt=after).order_by("position")
        chunk = list(rows.values_list("id", *READ)[:CHUNK])
        if not chunk:
            return
        yield chunk
        after = chunk[-1][1]


def as_recipients(bulk: BulkSend, rows: Sequence[tuple[Any, ...]]) -> list[Recipient]:
    """Rows of ``chunks`` as the writer takes them, each with what its visit and the sends before it say by now."""
    objects = [(row[4], row[5]) for row in rows if row[4] is not None]
    gone = checks.refusals(bulk.object_type, objects) if bulk.object_type else {}
    repeated = told.already(bulk, [(row[2], row[4], row[5]) for row in rows])
    return [
        Recipient(
            patient_id=patient_id,
            values={name: bulk_values.unpack(value) for name, value in values.items()},
            object_id=object_id,
            object_version=version,
            refusal=(gone.get(object_id) if object_id is not None else None) or repeated.get(patient_id),
        )
        for _id, _position, patient_id, values, object_id, version in rows
    ]


def samples(bulk: BulkSend) -> list[dict[str, Any]]:
    """Real renderings of the check's samples: rows of messages as they would be written."""
    rows = BulkRecipient.objects.filter(bulk=bulk, position__in=bulk.totals.get("samples", []))
    found = list(rows.order_by("position").values_list("id", *READ))
    messages, _failed = words.job_of(bulk).rows(as_recipients(bulk, found), timezone.now())
    names = {patient.pk: patient for patient in Patient.objects.filter(pk__in=[row["patient_id"] for row in messages])}
    return [{**row, "patient": names[row["patient_id"]]} for row in messages]


@transaction.atomic
def regrouped(job: Job, bulk: BulkSend, chunk: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The chunk with its families as they are now: who was folded into a relative at the check may have died, said no,
    or have another reader since. Nobody is named who would get nothing, and nothing is told to an address that is no
    longer theirs: they are left out, or written to on their own.
    """
    positions = [row[1] for row in chunk]
    folded = BulkRecipient.objects.filter(bulk=bulk, reason=Reason.COMBINED, folded_into__among=positions)
    followers = list(folded.select_related("patient").order_by("position"))
    if not followers:
        return list(chunk)
    rows = {row[1]: row for row in chunk}
    mine = {one.position: (one.pk, *(getattr(one, name) for name in READ)) for one in followers}
    place_of = {one.position: one.folded_into for one in followers if one.folded_into is not None}
    heads = [rows[place] for place in sorted(set(place_of.values()))]
    messages, _failed = job.rows(as_recipients(bulk, [*heads, *mine.values()]), timezone.now())
    now = {message["patient_id"]: message for message in messages}
    marks: list[dict[str, Any]] = []
    changed: set[int] = set()
    for one in followers:
        place = place_of[one.position]
        head, message = now.get(rows[place][2]), now.get(one.patient_id)
        if head is None or head["reason"] is not None:
            # Nothing goes out to share; ``run`` then writes to each of them.
            continue
        reason = Reason.VARIABLE_MISSING if message is None else message["reason"]
        if message is not None and reason is None:
            if _address(message) == _address(head):
                continue
            # One that stands further on comes by itself.
            if one.position <= positions[-1]:
                rows[one.position] = mine[one.position]
        marks.append({"id": one.pk, "reason": reason.value if reason else "", "folded_into": None})
        changed.add(place)
        one.folded_into = None
    update_rows(BulkRecipient, marks, ("reason", "folded_into"))
    _rename(bulk, changed, followers, rows)
    return [rows[position] for position in sorted(rows)]


def _rename(
    bulk: BulkSend, heads: set[int], followers: Sequence[BulkRecipient], rows: dict[int, tuple[Any, ...]]
) -> None:
    """Puts the names of those who still share it into the heads' messages."""
    changed = []
    for head in BulkRecipient.objects.filter(bulk=bulk, position__among=heads).select_related("patient"):
        if head.values.pop("patient_name", None) is None:
            continue
        family = [head.patient, *(one.patient for one in followers if one.folded_into == head.position)]
        if len(family) > 1:
            head.values["patient_name"] = _names_of(family)
        changed.append({"id": head.pk, "values": head.values})
        rows[head.position] = (head.pk, *(getattr(head, name) for name in READ))
    update_rows(BulkRecipient, changed, ("values",))


def _address(message: Mapping[str, Any]) -> tuple[Any, ...]:
    return message["channel"], message["recipient"], message["language"]


def _forget(bulk: BulkSend) -> None:
    """What an earlier check has marked."""
    rows = BulkRecipient.objects.filter(bulk=bulk)
    named = rows.filter(position__in=rows.filter(folded_into__isnull=False).values("folded_into"))
    changed = []
    for key, values in named.values_list("id", "values"):
        values.pop("patient_name", None)
        changed.append({"id": key, "values": values})
    update_rows(BulkRecipient, changed, ("values",))
    rows.exclude(reason="").update(reason="")
    rows.filter(folded_into__isnull=False).update(folded_into=None)


def _look(
    job: Job,
    bulk: BulkSend,
    chunk: Sequence[tuple[Any, ...]],
    sums: _Sums,
    heads: dict[bytes, int],
    followers: dict[int, list[int]],
) -> list[dict[str, Any]]:
    """Counts a chunk; returns the marks of those who are left out or folded."""
    by_patient = {row[2]: row for row in chunk}
    used = {channel: words.used_in(texts[name] for name in words.TEXTS) for channel, texts in bulk.words.items()}
    messages, failed = job.rows(as_recipients(bulk, chunk), timezone.now())
    marks = [_mark(sums, by_patient[one.patient_id][0], Reason.VARIABLE_MISSING) for one in failed]
    for message in sorted(messages, key=lambda row: int(by_patient[row["patient_id"]][1])):
        key, position, _patient, values, *_rest = by_patient[message["patient_id"]]
        if message["reason"] is not None:
            marks.append(_mark(sums, key, message["reason"]))
            continue
        # What the words do not tell makes no difference: a brother's visit may be with another provider.
        told_values = {name: value for name, value in values.items() if name in used[message["channel"]]}
        fingerprint = _fingerprint(message, told_values)
        head = heads.setdefault(fingerprint, position)
        if head != position:
            sums.folded += 1
            followers[head].append(position)
            marks.append({"id": key, "reason": Reason.COMBINED.value, "folded_into": head})
            continue
        _count(sums, message, position)
    return marks


def _mark(sums: _Sums, key: Any, reason: Reason) -> dict[str, Any]:
    sums.excluded[reason.value] += 1
    return {"id": key, "reason": reason.value, "folded_into": None}


def _fingerprint(message: Mapping[str, Any], values: Mapping[str, Any]) -> bytes:
    """Same address, language and values: the same words but for the name."""
    text = json.dumps([*_address(message), values], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _count(sums: _Sums, message: Mapping[str, Any], position: int) -> None:
    sums.send += 1
    sums.channels[message["channel"]] += 1
    sums.languages[message["language"]] += 1
    parts = message["segments"]
    sums.segments += parts
    sums.samples.setdefault(message["language"], position)
    if len(message["body"]) > sums.longest:
        sums.longest = len(message["body"])
        sums.samples["longest"] = position


def _name_together(job: Job, bulk: BulkSend, followers: Mapping[int, Sequence[int]], sums: _Sums) -> None:
    """Writes both names into the message of those who share it, and counts its segments anew."""
    texts = [words[name] for words in bulk.words.values() for name in ("body_en", "body_ar")]
    if not followers or not any("{patient_name}" in text for text in texts):
        return
    positions = [*followers, *(one for them in followers.values() for one in them)]
    rows: dict[int, BulkRecipient] = {}
    for start in range(0, len(positions), CHUNK):
        part = BulkRecipient.objects.filter(bulk=bulk, position__in=positions[start : start + CHUNK])
        rows |= {row.position: row for row in part.select_related("patient")}
    heads = list(followers)
    for start in range(0, len(heads), CHUNK):
        part_of = heads[start : start + CHUNK]
        before = _segments(job, bulk, [rows[head] for head in part_of])
        for head in part_of:
            family = [rows[position].patient for position in (head, *followers[head])]
            rows[head].values["patient_name"] = _names_of(family)
        sums.segments += _segments(job, bulk, [rows[head] for head in part_of]) - before
        changed = [{"id": rows[head].pk, "values": rows[head].values} for head in part_of]
        update_rows(BulkRecipient, changed, ("values",))


def _segments(job: Job, bulk: BulkSend, rows: Sequence[BulkRecipient]) -> int:
    values = [(row.pk, *(getattr(row, name) for name in READ)) for row in rows]
    return sum(message["segments"] for message in job.rows(as_recipients(bulk, values), timezone.now())[0])


def _names_of(family: Sequence[Patient]) -> dict[str, str]:
    shown = family[:MOST_NAMES]
    return {
        "en": _joined([one.name_in("en") for one in shown], " and "),
        "ar": _joined([one.name_in("ar") for one in shown], " و"),
    }


def _joined(names: Sequence[str], last: str) -> str:
    """“Sara, Huda and Omar”."""
    comma = "، " if last == " و" else ", "
    return comma.join(names[:-1]) + last + names[-1] if len(names) > 1 else "".join(names)


def _cost(sums: _Sums) -> dict[str, Any]:
    """Currency → amount, from what the latest messages of each channel have cost; channels without a price are named."""
    amounts: dict[str, Decimal] = defaultdict(Decimal)
    unknown = []
    for channel, count in sums.channels.items():
        if channel == Channel.EMAIL:
            continue
        price = price_of(channel)
        if price is None:
            unknown.append(channel)
            continue
        units = sums.segments if channel == Channel.SMS else count
        amounts[price[1]] += price[0] * units
    return {"amounts": {currency: f"{amount:.2f}" for currency, amount in amounts.items()}, "unknown": unknown}


def price_of(channel: str) -> tuple[Decimal, str] | None:
    """What a segment (SMS) or a message has cost lately, with its currency; None when none has told its price."""
    newest = Message.objects.filter(channel=channel, cost__gt=0).order_by("-created_at")
    currency = newest.values_list("currency", flat=True).first()
    if currency is None:
        return None
    keys = list(newest.filter(currency=currency).values_list("pk", flat=True)[:PRICED])
    sums = Message.objects.filter(pk__in=keys).aggregate(cost=Sum("cost"), parts=Sum("segments"))
    units = (sums["parts"] if channel == Channel.SMS else len(keys)) or len(keys)
    return Decimal(sums["cost"]) / units, currency
