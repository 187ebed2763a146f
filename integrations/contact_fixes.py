"""A contact that was put right: what reached nobody and would still be of use goes out, once.

A message that reached nobody opens a task of the desk (``notifications/undeliverable.py``). Whoever then saves another
number or email, verifies a guardian, or opens a stopped address again marks that task, in the same transaction; a worker,
or the sweep, looks at what is left: the events that still hold are told again to the readers as they are now. The task is
over when somebody can be reached. A mistake here undoes no saved file.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Q
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.utils import timezone

from core.contacts import readers_changed, recipients_for
from core.models import Guardian, Patient
from core.queueing import enqueue_on_commit
from core.tenancy import active_tenant_ids, tenant_scope
from integrations import fanout
from notifications import desk_tasks, gate, registry, undeliverable
from notifications.models import DeskTask, Message, NotificationEvent
from notifications.registry import Slot
from notifications.states import Channel, TaskKind, TaskState
from notifications.suppression import address_lifted, suppressed

log = structlog.get_logger(__name__)

# Of these fields depends where somebody is reached.
_ADDRESSES = frozenset({"phone", "email"})
# Whoever looks after one needs seconds.
_LEFT_AFTER = dt.timedelta(seconds=20)
BATCH = 200


# --- somebody has put something right --------------------------------------------------------------------------------


@receiver(post_save, sender=Patient)
def patient_saved(*, instance: Patient, created: bool, raw: bool = False, **signal: Any) -> None:
    if not raw and not created and _touches(signal.get("update_fields")):
        mark([instance.pk])


@receiver(post_save, sender=Guardian)
def guardian_saved(*, instance: Guardian, created: bool, raw: bool = False, **signal: Any) -> None:
    if not raw and not created and _touches(signal.get("update_fields")):
        mark(instance.guardianships.values_list("patient_id", flat=True))


@receiver(readers_changed)
def reader_changed(*, patient: Patient, **_signal: Any) -> None:
    """A guardian was verified, or another one reads now."""
    mark([patient.pk])


@receiver(address_lifted)
def address_opened(*, address: str, **_signal: Any) -> None:
    """The number was right all along, somebody says: what was refused for it may go."""
    own = Q(phone=address) | Q(email=address)
    held = own | Q(guardianships__guardian__phone=address) | Q(guardianships__guardian__email=address)
    mark(Patient.objects.filter(held).values_list("pk", flat=True), is_checked=True)


def _touches(written: Iterable[str] | None) -> bool:
    return written is None or bool(_ADDRESSES & set(written))


def mark(patient_ids: Iterable[uuid.UUID], *, is_checked: bool = False) -> None:
    """Notes on the open tasks of these patients that there is something to look at. One query where there is none."""
    # By the patient, not by its key: the task may come from a file that was merged into this one.
    wanted = DeskTask.objects.filter(kind=TaskKind.FIX_CONTACT, state=TaskState.OPEN, patient__in=list(patient_ids))
    for task in wanted:
        checked = is_checked or bool(task.details.get("is_checked"))
        desk_tasks.add_details(task, {"fixed_at": timezone.now().isoformat(), "is_checked": checked})
        from integrations.tasks import resend_fixed_task

        enqueue_on_commit(resend_fixed_task, str(task.tenant_id), str(task.pk))


# --- what follows ----------------------------------------------------------------------------------------------------


def look_after_all() -> dict[str, int]:
    """Every task that was marked and not looked at: its doorbell was lost. One that fails does not stop the others."""
    counts = {"sent": 0, "failed": 0}
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            marked = DeskTask.objects.filter(
                kind=TaskKind.FIX_CONTACT, state=TaskState.OPEN, details__has_key="fixed_at"
            )
            before = (timezone.now() - _LEFT_AFTER).isoformat()
            found = [task.pk for task in marked.order_by("created_at")[:BATCH] if task.details["fixed_at"] <= before]
            for pk in found:
                try:
                    counts["sent"] += look_after(pk)
                except Exception as error:  # noqa: BLE001  # logged and tried again; others were put right too
                    log.error("contact_fix_failed", task_id=str(pk), error=type(error).__name__)  # noqa: TRY400
                    counts["failed"] += 1
    return counts


@transaction.atomic
def look_after(task_id: uuid.UUID) -> int:
    """Tells again what still holds, where somebody can be reached now; returns how many messages that made."""
    task = DeskTask.objects.select_for_update(no_key=True).filter(pk=task_id, state=TaskState.OPEN).first()
    if task is None or task.patient_id is None or "fixed_at" not in task.details:
        return 0
    is_checked = bool(task.details.get("is_checked"))
    details = {name: value for name, value in task.details.items() if name not in ("fixed_at", "is_checked")}
    desk_tasks.replace_details(task, details)
    patient = Patient.objects.select_related("tenant").get(pk=task.patient_id)
    open_to = _reachable(patient)
    made, left = 0, 0
    for event, messages in _by_event(patient.pk).items():
        slots = _slots(messages)
        # Something else was saved, or what was put right does not help here: the address is the one that failed.
        failed_at = set() if is_checked else {message.recipient for message in messages}
        if not _for_slots(open_to, slots) - failed_at:
            left += 1
        elif registry.get(event.key).refusal_now(event) is None:
            made += fanout.tell_patient_again(event, slots=slots)
    if not left and any(open_to.values()):
        desk_tasks.end_by_key(TaskKind.FIX_CONTACT, task.key.partition(":")[2])
    return made


def _by_event(patient_id: uuid.UUID) -> dict[NotificationEvent, list[Message]]:
    found: dict[NotificationEvent, list[Message]] = defaultdict(list)
    for message in undeliverable.unreached_of(patient_id):
        if message.event is not None:
            found[message.event].append(message)
    return found


def _reachable(patient: Patient) -> dict[Channel, set[str]]:
    """Channel → the addresses at which this patient's readers can be written to now."""
    readers = recipients_for([patient])[patient.pk]
    found: dict[Channel, set[str]] = {}
    for channel in Channel:
        addresses = set() if isinstance(readers, str) else {gate.address_of(one, channel) for one in readers} - {""}
        found[channel] = addresses - set(suppressed(channel, addresses))
    return found


def _for_slots(open_to: Mapping[Channel, set[str]], slots: Collection[Slot]) -> set[str]:
    found: set[str] = set()
    if set(slots) & {Slot.EMAIL, Slot.PREFERRED}:
        found |= open_to[Channel.EMAIL]
    if set(slots) & {Slot.MOBILE, Slot.PREFERRED}:
        found |= open_to[Channel.SMS] | open_to[Channel.WHATSAPP]
    return found


def _slots(messages: Iterable[Message]) -> set[Slot]:
    """The slots that these messages were to fill, from their keys (``fanout``)."""
    values = {slot.value: slot for slot in Slot}
    return {values[part] for message in messages for part in message.dedupe_key.split(":") if part in values}
