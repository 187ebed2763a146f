"""What is kept for a time only: the words of messages and replies, and the raw reports of the providers.

How long is the tenant's decision (``core.tenant_settings``). Only the words go: that a message was sent, to whom, when and
with what outcome stays as proof, and with it a digest of the words (``core.models.ErasedWords``), against which a text
that somebody shows can be held. A patient under a legal hold is left out, and looked through when the hold is over. In
short transactions, so that nobody waits; safe to run twice at once.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Callable, Collection
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from core import holds, tenant_settings
from core.models import ErasedWords, Guardian, Patient, TenantSettings
from notifications.models import BulkRecipient, InboundMessage, Message, ProviderReceipt, WhatsAppContent
from notifications.states import Status

# Rows of one transaction: some tens of milliseconds.
BATCH = 1000
# Patients → the objects whose messages name them beside the one under whom they stand.
_NAMED_IN: list[Callable[[Any], QuerySet[Any, Any]]] = []
# What may still leave needs its words.
_UNSENT = (Status.QUEUED, Status.SENDING)


def register_named_in(function: Callable[[Any], QuerySet[Any, Any]]) -> None:
    """``function``: ids of patients → ids of the objects of messages that tell of several people, them among others."""
    _NAMED_IN.append(function)


def erase_words(tenant_id: uuid.UUID, now: dt.datetime) -> int:
    """Empties what is older than the tenant keeps words; returns of how many messages, replies and rows of sends.

    Begins where it last ended, so a night looks at one day; and at all that holds have kept which are over. Who shortens
    the time is followed in the next night, and who lengthens it gets nothing back. The tenant's scope is open.
    """
    own = tenant_settings.of(tenant_id)
    if own.message_days is None:
        return 0
    until = now - dt.timedelta(days=own.message_days)
    erased = _after_holds(until)
    since = own.words_erased_until
    if since is not None and since >= until:
        return erased
    span = Q(created_at__lt=until) & (Q(created_at__gte=since) if since is not None else Q())
    erased += _erase(span)
    # What is still to be sent needs its values, so a send counts from its end.
    ended = Q(bulk__finished_at__lt=until) & (Q(bulk__finished_at__gte=since) if since is not None else Q())
    erased += _erase_values(ended)
    TenantSettings.objects.filter(tenant_id=tenant_id).update(words_erased_until=until)
    return erased


def erase_words_of(patient: Patient) -> int:
    """All words of one patient, whatever their age: on request. Unsent messages are the caller's to withdraw first."""
    return _erase(Q(patient=patient))


def erase_words_about(object_ids: Collection[uuid.UUID]) -> int:
    """The words of messages about these objects, whoever's they are: those that tell of several people at once."""
    return _erase_messages(Q(object_id__in=object_ids, patient__isnull=False)) if object_ids else 0


def erase_values_of(patient: Patient) -> int:
    """What was filled into the words of sends to many for this patient, and their name beside a relative's."""
    erased = _erase_values(Q(patient=patient))
    heads = BulkRecipient.objects.filter(pk__in=_naming([patient.pk]), values__has_key="patient_name")
    for row in heads.exclude(patient__in=holds.held_patients()):
        values = {name: value for name, value in row.values.items() if name != "patient_name"}
        erased += BulkRecipient.objects.filter(pk=row.pk).update(values=values)
    return erased


def digest_of(row_id: uuid.UUID, subject: str, body: str) -> str:
    """What stays of the words. The same for whoever is shown the text later."""
    return hashlib.sha256(f"{row_id}\n{subject}\n{body}".encode()).hexdigest()


def fits(row_id: uuid.UUID, *, subject: str, body: str) -> bool | None:
    """Whether these were the words; None when nothing was erased from that row."""
    kept = ErasedWords.objects.filter(pk=row_id).values_list("digest", flat=True).first()
    return None if kept is None else kept == digest_of(row_id, subject, body)


def delete_receipts(tenant_id: uuid.UUID | None, days: int, now: dt.datetime) -> int:
    """Deletes applied raw reports that are older than ``days``; of no tenant (None): those on messages unknown to us."""
    # Their keys are ordered by time, and older ones are gone: this reads what it deletes.
    until = now - dt.timedelta(days=days)
    whose = Q(tenant=tenant_id) if tenant_id is not None else Q(tenant=None)
    old = ProviderReceipt.objects.filter(
        whose, pk__lt=_first_key(until), received_at__lt=until, applied_at__isnull=False
    )
    deleted = 0
    while keys := list(_spared(old, tenant_id).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        count, _each = _spared(ProviderReceipt.objects.filter(pk__in=keys), tenant_id).delete()
        deleted += count
    return deleted


def _spared(rows: QuerySet[ProviderReceipt], tenant_id: uuid.UUID | None) -> QuerySet[ProviderReceipt]:
    """Without the reports on messages of patients under a hold: what came back is part of what is held."""
    if tenant_id is None:
        return rows
    held = Message.objects.filter(patient__in=holds.held_patients()).order_by()
    return rows.filter(Q(message=None) | ~Q(message__in=held.values("pk")))


def _after_holds(until: dt.datetime) -> int:
    """What ended holds have kept beyond its time."""
    erased = 0
    for hold in holds.over_and_unsettled():
        erased += _erase(Q(patient=hold.patient_id, created_at__lt=until))
        for named_in in _NAMED_IN:
            erased += _erase_messages(Q(object_id__in=named_in([hold.patient_id]), created_at__lt=until))
        erased += _erase_replies(Q(sender__in=_addresses([hold.patient_id]), created_at__lt=until))
        theirs = Q(patient=hold.patient_id) | Q(pk__in=_naming([hold.patient_id]))
        erased += _erase_values(theirs & Q(bulk__finished_at__lt=until))
        holds.settle(hold)
    return erased


def _erase(which: Q) -> int:
    return _erase_messages(which) + _erase_replies(which)


def _erase_messages(which: Q) -> int:
    messages = Message.objects.filter(which).exclude(status__in=_UNSENT).exclude(body="", subject="")
    for named_in in _NAMED_IN:
        messages = messages.exclude(object_id__in=named_in(holds.held_patients()))
    return _empty(messages.exclude(patient__in=holds.held_patients()), subject="", body="")


def _erase_replies(which: Q) -> int:
    replies = InboundMessage.objects.filter(which).exclude(body="")
    # A reply that belongs to nobody yet may be from somebody under a hold.
    held = _addresses(list(holds.held_patients().values_list("patient_id", flat=True)))
    return _empty(replies.exclude(patient__in=holds.held_patients()).exclude(patient=None, sender__in=held), body="")


def _erase_values(which: Q) -> int:
    """What was filled into the words of sends to many; one send after the other, in its own order."""
    rows = BulkRecipient.objects.filter(which).exclude(values={}).exclude(patient__in=holds.held_patients())
    rows = rows.exclude(pk__in=_naming(list(holds.held_patients().values_list("patient_id", flat=True))))
    count = 0
    for bulk in list(rows.order_by().values_list("bulk", flat=True).distinct()):
        mine, after = rows.filter(bulk=bulk).order_by("position"), 0
        while found := list(mine.filter(position__gt=after).values_list("position", flat=True)[:BATCH]):
            count += mine.filter(position__in=found).update(values={})
            after = found[-1]
    return count


def _naming(patient_ids: Collection[uuid.UUID]) -> list[uuid.UUID]:
    """Recipients whose message names one of these as well, folded into it at the check: one phone, one message."""
    if not patient_ids:
        return []
    folded = BulkRecipient.objects.filter(patient__in=patient_ids, folded_into__isnull=False)
    heads = [Q(bulk=bulk, position=into) for bulk, into in folded.values_list("bulk", "folded_into")]
    return [pk for head in heads for pk in BulkRecipient.objects.filter(head).values_list("pk", flat=True)]


def _addresses(patient_ids: Collection[uuid.UUID]) -> list[str]:
    """The phones of these patients and of their guardians."""
    if not patient_ids:
        return []
    own = Patient.objects.filter(pk__in=patient_ids).values_list("phone", "phone_alternative")
    told = Guardian.objects.filter(guardianships__patient__in=patient_ids).values_list("phone", flat=True)
    return [phone for phone in [*(one for pair in own for one in pair), *told] if phone]


def _empty(rows: QuerySet[Message] | QuerySet[InboundMessage], **empty: str) -> int:
    """The oldest first, ``BATCH`` a transaction. What is emptied falls out of ``rows``, and is not walked over again."""
    count, rest = 0, rows
    while batch := list(rest.order_by("created_at").values_list("pk", "created_at")[:BATCH]):
        count += _empty_batch(rows, [key for key, _at in batch], empty)
        rest = rows.filter(created_at__gte=batch[-1][1])
    return count


@transaction.atomic
def _empty_batch(
    rows: QuerySet[Message] | QuerySet[InboundMessage], keys: list[uuid.UUID], empty: dict[str, str]
) -> int:
    """Proof first, then the words. Locked, so that of two at once one writes both; asked again, for a hold since then."""
    locked = rows.filter(pk__in=keys).select_for_update(of=("self",), no_key=True).order_by("pk")
    found = list(locked.values_list("pk", "tenant_id", *empty))
    now = timezone.now()
    ErasedWords.objects.bulk_create(
        [
            # A reply has no subject.
            ErasedWords(
                pk=key,
                tenant_id=tenant_id,
                digest=digest_of(key, *(texts if len(texts) > 1 else ("", *texts))),
                erased_at=now,
            )
            for key, tenant_id, *texts in found
        ],
        ignore_conflicts=True,
    )
    if rows.model is Message:
        # The same words once more, as WhatsApp was given them.
        WhatsAppContent.objects.filter(message__in=[key for key, *_rest in found]).delete()
    # Not ``save``: the message has not changed, so its last change stays what it was.
    return rows.filter(pk__in=[key for key, *_rest in found]).update(**empty)


def _first_key(moment: dt.datetime) -> uuid.UUID:
    """The least key that ``core.ids.ordered_uuid`` could have made at that moment."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)
