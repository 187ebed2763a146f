"""A patient's message that has ended without reaching anybody, and nothing else is under way: the front desk is told.

The one home of that rule. Whoever ends a message calls ``note_ended`` in the same transaction (``lifecycle`` does, and
who takes away the last hope without a move); whoever brings one home calls ``note_reached``. What is asked is asked in a
few statements for a whole batch, and nothing at all for a batch in which all goes well.

All messages of one event to a patient count as one: an SMS that arrived makes up for an email that bounced.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone, translation

from core.contacts import CONTACT_FIELDS, Contact, contacts_for
from core.models import Location, Patient, Role, User
from notifications import desk_tasks, events, inbox, registry
from notifications.models import Message, Notification, NotificationEvent, NotificationItem
from notifications.registry import Audience, Subject
from notifications.rendering import Words
from notifications.states import SUCCESS, Channel, Lane, NotificationType, Reason, Status, TaskKind

KEY = "message.undeliverable"

# There is nobody to send it to. Other refusals are the patient's own wish, or a message that is no longer true.
_NOBODY = frozenset({Reason.CONTACT_UNDELIVERABLE, Reason.NO_CONTACT, Reason.GUARDIAN_UNVERIFIED})
# The patient's own wish. It holds, but that their visit is off they must hear from somebody.
_UNWANTED = frozenset(
    {Reason.OPT_OUT_CHANNEL, Reason.OPT_OUT_TYPE, Reason.OPT_OUT_SENDER, Reason.OPTED_OUT, Reason.COMPLAINED}
) | {Reason.CONSENT_WITHDRAWN, Reason.NO_CONSENT}
# It has ended, and has reached nobody. What came too late is told in a summary of its own (``Incident.Kind.EXPIRED``).
_UNREACHED = Q(fallback_due_at=None) & (
    Q(status=Status.BOUNCED)
    | Q(status=Status.FAILED, next_attempt_at=None)
    | Q(status=Status.SUPPRESSED, reason__in=_NOBODY)
)
# It has arrived, or may still.
_HOPEFUL = (
    Q(status__in=[Status.QUEUED, Status.SENDING, Status.SENT, Status.UNCONFIRMED, *SUCCESS])
    | Q(status=Status.FAILED, next_attempt_at__isnull=False)
    | Q(fallback_due_at__isnull=False)
)
_NO_REASON = Words("it could not be delivered", "تعذّر إيصالها")


def follow(befores: Mapping[uuid.UUID, Mapping[str, Any]], changes: Mapping[uuid.UUID, Mapping[str, Any]]) -> None:
    """What follows from the moves of a batch: message id → its fields before, and what was written."""
    note_ended([pk for pk, change in changes.items() if may_be_the_end(change)])
    note_unwanted([pk for pk, change in changes.items() if change.get("reason") in _UNWANTED])
    note_reached(
        [
            pk
            for pk, change in changes.items()
            if change["status"] in SUCCESS
            # Only of these can anybody have been told that they reached nobody.
            and (befores[pk]["status"] in (Status.FAILED, Status.BOUNCED) or befores[pk]["retry_count"])
        ]
    )


def may_be_the_end(fields: Mapping[str, Any]) -> bool:
    """Whether a message with these fields has ended by itself; its siblings are looked at in ``note_ended``."""
    if fields.get("fallback_due_at") is not None or fields.get("next_attempt_at") is not None:
        return False
    if fields["status"] == Status.SUPPRESSED:
        return fields.get("reason") in _NOBODY
    return fields["status"] in (Status.FAILED, Status.BOUNCED)


def note_ended(message_ids: Collection[uuid.UUID]) -> None:
    """Records that these have reached nobody, where that is so and nothing else is under way. The scope is open.

    Not for bulk messages and marketing: nobody is to call thousands of people about those.
    """
    if not message_ids:
        return
    rows = list(
        Message.objects.filter(_UNREACHED, pk__among=message_ids, patient__isnull=False)
        .exclude(lane=Lane.BULK)
        .exclude(notification_type__in=[NotificationType.AWARENESS, NotificationType.MARKETING])
        .only("tenant", "event", "patient", "conversation_id", "channel", "reason")
    )
    rows = _without_those_who_have_no_email(rows)
    by_event = {row.event_id for row in rows if row.event_id is not None}
    if by_event:
        # Two copies that end at the same moment would each wait for the other.
        list(NotificationEvent.objects.select_for_update(no_key=True).filter(pk__in=by_event).order_by("pk").only("pk"))
        hopeful = set(Message.objects.filter(_HOPEFUL, event__in=by_event).values_list("event_id", "patient_id"))
        rows = [row for row in rows if (row.event_id, row.patient_id) not in hopeful]
    if rows:
        events.record_many(
            KEY,
            tenant_id=rows[0].tenant_id,
            object_type=Message._meta.label_lower,
            objects={_told_once(row.event_id, row.conversation_id): row.pk for row in rows},
        )
        # Four messages to one dead number are one thing to do; put right, they go out (integrations/contact_fixes.py).
        desk_tasks.open_for_patients(
            TaskKind.FIX_CONTACT,
            tenant_id=rows[0].tenant_id,
            objects={row.patient_id: row for row in rows if row.patient_id is not None},
        )


def _without_those_who_have_no_email(rows: Sequence[Message]) -> list[Message]:
    """What only ever goes by email does not reach people who have none; that is no news while they have a phone."""
    doubtful = [
        row.patient_id
        for row in rows
        if row.patient_id is not None and row.reason == Reason.NO_CONTACT and row.channel == Channel.EMAIL
    ]
    if not doubtful:
        return list(rows)
    patients = Patient.objects.filter(pk__among=doubtful).select_related("tenant").only(*CONTACT_FIELDS, "tenant")
    contacts = contacts_for(patients)
    with_phone = {pk for pk, found in contacts.items() if isinstance(found, Contact) and found.phone}
    return [
        row
        for row in rows
        if not (row.reason == Reason.NO_CONTACT and row.channel == Channel.EMAIL and row.patient_id in with_phone)
    ]


def note_unwanted(message_ids: Collection[uuid.UUID]) -> None:
    """These were refused because the patient wants no messages, when they were about to leave. The scope is open."""
    if message_ids:
        for event in NotificationEvent.objects.filter(messages__in=message_ids).distinct().order_by("pk"):
            ask_to_call(event)


def ask_to_call(event: NotificationEvent) -> None:
    """Has the patient told by a person, where all that an event had to say to them went against their wish.

    Asked when everything that an event says is written, and when one of it is refused later.
    """
    call = registry.get(event.key).call
    mine = Message.objects.filter(event=event, patient__isnull=False)
    if call is not None and mine.filter(reason__in=_UNWANTED).exists() and not mine.filter(_HOPEFUL).exists():
        call(event)


def unreached_of(patient_id: uuid.UUID) -> list[Message]:
    """What has reached nobody of this patient's messages and would still be of use, the oldest first."""
    rows = Message.objects.filter(_UNREACHED, patient=patient_id, event__isnull=False, expires_at__gt=timezone.now())
    rows = rows.exclude(lane=Lane.BULK).select_related("event").order_by("created_at", "pk")
    by_event = {row.event_id for row in rows}
    hopeful = set(
        Message.objects.filter(_HOPEFUL, event__in=by_event, patient=patient_id).values_list("event_id", flat=True)
    )
    return [row for row in rows if row.event_id not in hopeful]


def _told_once(event_id: uuid.UUID | None, conversation_id: uuid.UUID) -> str:
    """All copies of a message share it, and all messages of one event: nobody is told twice of the same."""
    return str(event_id or conversation_id)


# --- it has arrived after all ----------------------------------------------------------------------------------------


def note_reached(message_ids: Collection[uuid.UUID]) -> None:
    """Who was told that one of these reached nobody sees that it is settled. The tenant's scope is open."""
    if not message_ids:
        return
    rows = Message.objects.filter(pk__among=message_ids, patient__isnull=False)
    keys = {f"{KEY}:{_told_once(*ids)}" for ids in rows.values_list("event_id", "conversation_id")}
    told = list(NotificationEvent.objects.filter(dedupe_key__in=keys).values_list("pk", flat=True))
    if told:
        _settle(told)
        for patient_id in set(rows.values_list("patient_id", flat=True)):
            if not unreached_of(patient_id):
                desk_tasks.end_by_key(TaskKind.FIX_CONTACT, str(patient_id))


def _settle(told: Sequence[uuid.UUID]) -> None:
    """A row of the bell that gathers several is settled when all of them are."""
    rows = Notification.objects.filter(Q(event__in=told) | Q(items__event__in=told), resolved_at=None)
    objects = dict(rows.values_list("pk", "related_object_id"))
    gathered: dict[uuid.UUID, set[uuid.UUID]] = {pk: {found} for pk, found in objects.items() if found is not None}
    items = NotificationItem.objects.filter(notification__in=gathered, event__isnull=False)
    for pk, message_id in items.values_list("notification_id", "event__object_id"):
        if message_id is not None:
            gathered[pk].add(message_id)
    reached = _reached(set().union(*gathered.values()))
    over: dict[uuid.UUID, set[uuid.UUID]] = defaultdict(set)
    for pk, message_ids in gathered.items():
        if message_ids <= reached:
            over[objects[pk] or pk].add(pk)
    for object_id, notifications in over.items():
        inbox.resolve(object_id=object_id, event_key=KEY, among=notifications)


def _reached(message_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Those of them that have arrived, over whatever channel."""
    rows = list(Message.objects.filter(pk__in=message_ids).only("event", "patient", "status"))
    by_event = {row.event_id for row in rows if row.event_id is not None}
    arrived = set(Message.objects.filter(event__in=by_event, status__in=SUCCESS).values_list("event_id", "patient_id"))
    return {row.pk for row in rows if row.status in SUCCESS or (row.event_id, row.patient_id) in arrived}


# --- who is told, in which words -------------------------------------------------------------------------------------


def describe(event: NotificationEvent) -> Subject:
    with transaction.atomic():
        message = _message_of(event)
        # Until the bell is rung nothing arrives, so that what arrives then finds the bell.
        list(_alike(message).select_for_update(no_key=True, of=("self",)).order_by("pk").only("pk"))
    assert message.patient is not None
    location, refusal = _of_origin(message.event)
    if _alike(message).filter(status__in=SUCCESS).exists():
        refusal = Reason.DELIVERED_OTHERWISE
    return Subject(
        context={
            "patient_name": message.patient,
            "kind": _both(NotificationType(message.notification_type).label),
            "channel": _both(Channel(message.channel).label),
            "reason": _both(Reason(message.reason).label) if message.reason else _NO_REASON,
        },
        users={Audience.FRONT_DESK: _desk(location)},
        location=location,
        refusal=refusal,
        # Four messages to one dead number are one thing to do.
        fold_key=str(message.patient_id),
    )


def refusal_now(event: NotificationEvent) -> Reason | None:
    """It has arrived after all, or what it was about no longer holds."""
    message = _message_of(event)
    if _alike(message).filter(status__in=SUCCESS).exists():
        return Reason.DELIVERED_OTHERWISE
    return registry.get(message.event.key).refusal_now(message.event) if message.event is not None else None


def _message_of(event: NotificationEvent) -> Message:
    assert event.object_id is not None
    return Message.objects.select_related("patient", "event").get(pk=event.object_id)


def _alike(message: Message) -> QuerySet[Message]:
    if message.event_id is None:
        return Message.objects.filter(pk=message.pk)
    return Message.objects.filter(event=message.event_id, patient=message.patient_id)


def _of_origin(event: NotificationEvent | None) -> tuple[Location | None, Reason | None]:
    """Where the message comes from, and whether what it was about still holds."""
    if event is None:
        return None, None
    try:
        subject = registry.get(event.key).describe(event)
    except ObjectDoesNotExist:
        return None, Reason.STATUS_NOT_ELIGIBLE
    return subject.location, subject.refusal


def _desk(location: Location | None) -> list[User]:
    """The front desk of the place; where it has none the whole front desk; where there is none the admins."""
    staff = User.objects.filter(is_active=True).order_by("pk")
    desk = staff.filter(role=Role.FRONT_DESK)
    circles: Iterable[QuerySet[User]] = (
        desk.filter(location=location) if location is not None else desk.none(),
        desk,
        staff.filter(role=Role.ADMIN),
    )
    return next((found for circle in circles if (found := list(circle))), [])


def _both(label: Any) -> Words:
    """A label of the catalogue in both languages."""
    found = {}
    for language in ("en", "ar"):
        with translation.override(language):
            found[language] = str(label)
    return Words(found["en"], found["ar"])
