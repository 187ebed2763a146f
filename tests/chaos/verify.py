"""The judge: the house's rows against the provider's book, promise by promise."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.tenancy import system_scope
from notifications import lifecycle
from notifications.models import Message, MessageAttempt, MessageLog, ProviderReceipt
from notifications.states import Status
from tests.chaos.book import Book
from tests.chaos.plan import ACCEPTED_IN_SILENCE, CLEAN_REFUSALS, WORDS, Fate

# How the house calls what the provider knows in the end.
STATUS_OF_FATE: Mapping[Fate, Status] = {
    Fate.DELIVERED: Status.DELIVERED,
    Fate.READ: Status.READ,
    Fate.DEAD: Status.BOUNCED,
    Fate.LATE_BOUNCE: Status.BOUNCED,
    Fate.STUCK: Status.SENT,
}
_SAYS_IT_LEFT = frozenset({Status.SENT, Status.DELIVERED, Status.READ, Status.BOUNCED})
# The further words of a message's receipts, the strongest first: somebody has read it, the address is dead, it is there.
_STRENGTH = (("read", Status.READ), ("undelivered", Status.BOUNCED), ("delivered", Status.DELIVERED))


@dataclass
class Promise:
    """``broken`` holds one line for each message that breaks it."""

    words: str
    broken: list[str] = field(default_factory=list)

    @property
    def is_kept(self) -> bool:
        return not self.broken


@dataclass
class World:
    """Both sides of the story, read once."""

    messages: list[Message]
    logs: dict[uuid.UUID, list[tuple[int, str, str]]]
    attempts: dict[uuid.UUID, list[MessageAttempt]]
    receipts: list[ProviderReceipt]
    accepted: dict[str, list[Any]]
    requests: dict[str, list[Any]]
    callbacks: list[Any]

    @classmethod
    def read(cls, book: Book) -> World:
        logs: dict[uuid.UUID, list[tuple[int, str, str]]] = defaultdict(list)
        attempts: dict[uuid.UUID, list[MessageAttempt]] = defaultdict(list)
        with system_scope("a judge looks at all clinics"):
            messages = list(Message.objects.order_by("created_at"))
            rows = MessageLog.objects.order_by("message_id", "position")
            for message_id, position, event, status in rows.values_list("message_id", "position", "event", "status"):
                logs[message_id].append((position, event, status))
            for attempt in MessageAttempt.objects.order_by("number"):
                attempts[attempt.message_id].append(attempt)
            receipts = list(ProviderReceipt.objects.all())
        return cls(
            messages=messages,
            logs=logs,
            attempts=attempts,
            receipts=receipts,
            accepted=_by_ref(book.rows("SELECT * FROM accepted ORDER BY number")),
            requests=_by_ref(book.rows("SELECT * FROM request ORDER BY number")),
            callbacks=book.rows("SELECT * FROM callback ORDER BY number"),
        )

    def copies(self, message: Message) -> list[Any]:
        return self.accepted.get(str(message.pk), [])


def verify(world: World, *, made: int) -> list[Promise]:
    """Every promise with what breaks it. ``made``: how many messages were asked for."""
    return [
        Promise("0 lost: every message there, none stuck on its way", [*_lost(world, made)]),
        Promise("0 lost: what is said to have left is at the provider", [*_never_left(world)]),
        Promise("0 sent twice: one accepted copy a message", [*_sent_twice(world)]),
        Promise("0 sent twice: refused or answered cleanly is believed", [*_asked_again(world)]),
        Promise("every ambiguous one settled or visibly UNCONFIRMED", [*_ambiguous(world)]),
        Promise("the provider is well again and time has passed: all is settled", [*_settled(world)]),
        Promise("an attempt is written before the call, and closed", [*_attempts(world)]),
        Promise("status = fold of the log, positions without gaps", [*_folds(world)]),
        Promise("what receipts said and we thanked for is stored and counts", [*_believed(world)]),
        Promise("forged call-backs are refused and change nothing", [*_forged(world)]),
        Promise("no status is better or worse than the truth", [*_truth(world)]),
    ]


def figures(world: World) -> dict[str, int]:
    """Counts for the table: the faults that were really played, and how the messages stand."""
    played = Counter(row["fault"] for rows in world.requests.values() for row in rows)
    found: Counter[str] = Counter({f"requests: {name}": n for name, n in sorted(played.items())})
    silent = [row for rows in world.accepted.values() for row in rows if row["fault"] in ACCEPTED_IN_SILENCE]
    found["accepted copies"] = sum(len(rows) for rows in world.accepted.values())
    found["accepted without a clean answer"] = len(silent)
    found |= Counter(f"call-backs: {row['kind']}, {row['answer'] or 'no answer'}" for row in world.callbacks)
    found |= Counter(f"messages: {message.status}" for message in world.messages)
    return dict(found)


# --- Promises -------------------------------------------------------------------------------------------------------


def _lost(world: World, made: int) -> Iterator[str]:
    if len(world.messages) != made:
        yield f"{made} messages were asked for, {len(world.messages)} rows are there"
    for message in world.messages:
        if message.status in (Status.QUEUED, Status.SENDING):
            yield _line(message, "is still on its way")
        if message.status == Status.FAILED and message.next_attempt_at is not None:
            yield _line(message, "still waits for its retry, which was due")


def _never_left(world: World) -> Iterator[str]:
    """Twins (same words to the same number) are told apart by nobody: as many copies as say that they left."""
    for twins in _twins(world):
        said = [message for message in twins if message.status in _SAYS_IT_LEFT]
        copies = sum(len(world.copies(message)) for message in twins)
        if copies < len(said):
            yield _line(said[0], f"{len(said)} say they left, {copies} arrived")


def _sent_twice(world: World) -> Iterator[str]:
    for twins in _twins(world):
        copies = [copy for message in twins for copy in world.copies(message)]
        if len(copies) > len(twins):
            story = ", ".join(f"attempt {copy['attempt']} ({copy['fault']})" for copy in copies)
            yield _line(twins[0], f"{len(copies)} copies of {len(twins)}: {story}")


def _asked_again(world: World) -> Iterator[str]:
    """Stricter than copies: after a clean answer it is not asked for again; nor more often than a message may be."""
    for message in world.messages:
        asked = world.requests.get(str(message.pk), [])
        if len([row for row in asked if row["fault"] not in CLEAN_REFUSALS]) > 4:
            yield _line(message, f"asked for {len(asked)} times")
    for message in _singles(world):
        asked = world.requests.get(str(message.pk), [])
        clean = [copy["accepted_at"] for copy in world.copies(message) if copy["answered"]]
        if clean and asked[-1]["at"] > min(clean):
            yield _line(message, f"asked for again after a clean answer: {[row['fault'] for row in asked]}")


def _ambiguous(world: World) -> Iterator[str]:
    for message in _singles(world):
        copies = world.copies(message)
        if copies and message.status in (Status.FAILED, Status.SUPPRESSED, Status.CANCELLED, Status.EXPIRED):
            yield _line(message, f"the provider accepted it ({copies[0]['fault']})")


def _settled(world: World) -> Iterator[str]:
    """Who asks a provider in good health gets an answer. Only twins may stay in doubt: one found is not both."""
    for twins in _twins(world):
        for message in twins:
            copies = world.copies(message)
            if message.status == Status.UNCONFIRMED and len(twins) == 1:
                yield _line(message, f"{len(copies)} copies are at the provider")
            if message.status == Status.SENT and copies and Fate(copies[0]["fate"]) is not Fate.STUCK:
                yield _line(message, f"at the provider it is {copies[0]['fate']}")


def _attempts(world: World) -> Iterator[str]:
    for message in world.messages:
        attempts = {str(attempt.number): attempt for attempt in world.attempts.get(message.pk, [])}
        for row in world.requests.get(str(message.pk), []):
            if row["attempt"] not in attempts:
                yield _line(
                    message, f"the provider was asked as attempt {row['attempt'] or '?'}, of which no row tells"
                )
        for attempt in attempts.values():
            if not attempt.outcome:
                yield _line(message, f"attempt {attempt.number} is still open")
        if len(attempts) != message.attempt_count:
            yield _line(message, f"{message.attempt_count} attempts counted, {len(attempts)} rows")


def _folds(world: World) -> Iterator[str]:
    for message in world.messages:
        rows = world.logs.get(message.pk, [])
        if lifecycle.fold([(event, status) for _position, event, status in rows]) != message.status:
            yield _line(message, f"the log ends in {rows[-1][1] if rows else 'nothing'}")
        if [position for position, _event, _status in rows] != list(range(1, message.log_position + 1)):
            yield _line(message, f"positions {[row[0] for row in rows]}, counted {message.log_position}")


def _believed(world: World) -> Iterator[str]:
    """What we answered with 2xx is on file; the strongest word of it is the least that the message may say."""
    stored = {(row.message_ref, row.provider_message_id, row.status) for row in world.receipts}
    words: dict[str, set[str]] = defaultdict(set)
    for row in world.callbacks:
        if row["kind"] == "forged" or row["answer"] is None or not 200 <= row["answer"] < 300:
            continue
        words[row["message_ref"]].add(row["word"])
        if (row["message_ref"], row["sid"], row["word"]) not in stored:
            yield f"{row['message_ref']}: “{row['word']}” was thanked for and is not on file"
    for message in world.messages:
        said = words.get(str(message.pk), set())
        strongest = next((status for word, status in _STRENGTH if word in said), None)
        if strongest and message.status != strongest and not _is_further(message.status, strongest):
            yield _line(message, f"its receipts say {sorted(said)}")
    for receipt in world.receipts:
        if receipt.applied_at is None:
            yield f"{receipt.message_ref}: the receipt “{receipt.status}” was never applied"


def _forged(world: World) -> Iterator[str]:
    true = {(row["message_ref"], row["sid"], row["word"]) for row in world.callbacks if row["kind"] != "forged"}
    for row in world.callbacks:
        if row["kind"] == "forged" and row["answer"] not in (403, None):
            yield f"{row['message_ref']}: a forged “{row['word']}” was answered with {row['answer']}"
        if row["kind"] == "unknown" and row["answer"] is not None and not 200 <= row["answer"] < 300:
            yield f"{row['message_ref']}: a call-back about a stranger was answered with {row['answer']}"
    for receipt in world.receipts:
        if (receipt.message_ref, receipt.provider_message_id, receipt.status) not in true:
            yield f"{receipt.message_ref}: “{receipt.status}” is on file, and nobody true said so"


def _truth(world: World) -> Iterator[str]:
    """Where the house has settled on an end, it is the end that the provider knows."""
    for message in world.messages:
        copies = world.copies(message)
        if len(copies) != 1 or message.status not in _SAYS_IT_LEFT:
            continue
        fate = Fate(copies[0]["fate"])
        if message.status == Status.SENT and "sent" in {word for word, _code in WORDS[fate]}:
            continue  # not told yet, which is another promise
        on_its_way = {Status.DELIVERED} if fate in (Fate.READ, Fate.LATE_BOUNCE) else set()
        if message.status not in {STATUS_OF_FATE[fate], *on_its_way}:
            yield _line(message, f"at the provider it is {fate.value}")


# --- Helpers --------------------------------------------------------------------------------------------------------


def _by_ref(rows: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[row["message_ref"]].append(row)
    return found


def _twins(world: World) -> Iterable[list[Message]]:
    groups: dict[tuple[str, str, str], list[Message]] = defaultdict(list)
    for message in world.messages:
        groups[message.channel, message.recipient, message.body].append(message)
    return groups.values()


def _singles(world: World) -> Iterator[Message]:
    """Those without a twin: whatever the provider's list shows can only be theirs."""
    return (twins[0] for twins in _twins(world) if len(twins) == 1)


def _is_further(status: str, said: str) -> bool:
    """A look-up may know more than the receipts that reached us."""
    order = [Status.SENT, Status.DELIVERED, Status.BOUNCED, Status.READ]
    return status in order and order.index(Status(status)) > order.index(Status(said))


def _line(message: Message, words: str) -> str:
    return f"{message.pk} {message.status} {message.error_code}: {words}"
