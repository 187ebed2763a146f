"""Tells staff of one event: the bell, and beside it what each has chosen; and goes further when nobody answers.

Who is told stands in ``core/duty.py``, what each wants in ``notifications/staff_preferences.py``. Everything is written in
the caller's transaction; sending follows after the commit.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace

import structlog
from django.db import transaction
from django.utils import timezone

from core import discretion, duty
from core.duty import Told
from core.models import Tenant, User
from integrations.messaging_service import MessagingService
from integrations.outbox import Origin
from notifications import escalation, registry, rendering, staff_outbox, staff_preferences
from notifications.inbox_writing import Note, Recipient, notify_many
from notifications.models import (
    Escalation,
    MessageTemplate,
    Notification,
    NotificationDelivery,
    NotificationEvent,
    PushSubscription,
)
from notifications.registry import Bell, Delivery, EventType, Slot, Subject
from notifications.staff_outbox import Wish
from notifications.staff_preferences import Plan
from notifications.states import Category, Channel, EscalationStatus, StaffChannel, StopReason

log = structlog.get_logger(__name__)

# Rows a tenant's sweep takes; each is a handful of statements.
BATCH = 200


# --- telling ---------------------------------------------------------------------------------------------------------


def tell(
    event: NotificationEvent,
    entry: EventType,
    delivery: Delivery,
    subject: Subject,
    *,
    users: Iterable[User],
    origin: Origin,
) -> int:
    """Bell and channels for those the event is meant for, or who stand in for them. Returns how many rows it made."""
    now = timezone.now()
    told = duty.recipients(users, location=subject.location, now=now)
    if delivery.bell is None or not told:
        return 0
    bell = _as_it_is_now(delivery.bell, subject)
    plans = _plans(told, bell, now)
    new = _ring(event, bell, subject, told, plans)
    made = len(new)
    emailed: set[uuid.UUID] = set()
    if Slot.EMAIL in delivery.slots:
        emailed = _send_letters(event, entry, delivery, subject, told, plans, new, origin)
        made += len(emailed)
    staff_outbox.enqueue(
        tenant_id=event.tenant_id,
        deliveries=[
            Wish(new[one.user.pk], one.user.pk, planned.channel, planned.due_at, planned.held_for)
            for one in told
            if one.user.pk in new and not one.is_away
            for planned in plans[one.user.pk].deliveries
            if not (planned.channel is StaffChannel.EMAIL and one.user.pk in emailed)
        ],
        useful_until=useful_until(event, bell, subject),
    )
    if bell.category is Category.SYSTEM and new:
        # Once for the whole clinic group, however many admins there are.
        staff_outbox.enqueue_for_team(
            tenant_id=event.tenant_id,
            notification_ids=list(new.values()),
            useful_until=useful_until(event, bell, subject),
        )
    if bell.is_critical and new:
        escalation.start(
            event,
            after=patience(event.tenant_id),
            useful_until=event.created_at + bell.useful_for if bell.useful_for is not None else None,
        )
    return made


def ring_patient(event: NotificationEvent, bell: Bell, subject: Subject, user: User) -> None:
    """A patient's own bell: no matrix, no quiet hours, no stand-in."""
    # Who looks over their shoulder reads it too.
    subject = replace(subject, context=discretion.discreet_context(subject.context, subject.location))
    notify_many(tenant_id=event.tenant_id, note=_note(event, bell, subject), recipients=[Recipient(user.pk)])


def useful_until(event: NotificationEvent, bell: Bell, subject: Subject) -> dt.datetime | None:
    """The earlier of the subject's deadline and the bell's own."""
    moments = [subject.useful_until, event.created_at + bell.useful_for if bell.useful_for is not None else None]
    return min((moment for moment in moments if moment is not None), default=None)


def patience(tenant_id: uuid.UUID) -> dt.timedelta:
    """How long the tenant waits for an answer."""
    return dt.timedelta(minutes=Tenant.objects.values_list("escalate_after_minutes", flat=True).get(pk=tenant_id))


def _as_it_is_now(bell: Bell, subject: Subject) -> Bell:
    """An alert that comes when the patient has been called in already is news like any other."""
    return replace(bell, is_critical=False) if subject.is_answered else bell


def _plans(told: Sequence[Told], bell: Bell, now: dt.datetime) -> dict[uuid.UUID, Plan]:
    return staff_preferences.plans_for(
        [one.user for one in told], category=bell.category, is_critical=bell.is_critical, now=now
    )


def _ring(
    event: NotificationEvent, bell: Bell, subject: Subject, told: Sequence[Told], plans: dict[uuid.UUID, Plan]
) -> dict[uuid.UUID, uuid.UUID]:
    return notify_many(
        tenant_id=event.tenant_id,
        note=_note(event, bell, subject),
        recipients=[
            Recipient(
                one.user.pk,
                is_muted=plans[one.user.pk].is_muted,
                # Who is away is not to be woken by what the cover takes care of.
                is_silent=plans[one.user.pk].is_silent or one.is_away,
                override=plans[one.user.pk].override,
                instead_of_id=one.instead_of.pk if one.instead_of is not None else None,
            )
            for one in told
        ],
    )


def _note(event: NotificationEvent, bell: Bell, subject: Subject) -> Note:
    """The bell's words in both languages."""

    def words(text: str, language: str) -> str:
        return rendering.render(text, subject.context.keys(), subject.context, language)

    return Note(
        title=words(bell.title_en, "en"),
        title_ar=words(bell.title_ar, "ar"),
        message=words(bell.body_en, "en"),
        message_ar=words(bell.body_ar, "ar"),
        level=bell.level,
        category=bell.category,
        is_critical=bell.is_critical,
        related_object_type=event.object_type or None,
        related_object_id=event.object_id,
        event=event,
        dedupe_key=f"event:{event.pk}",
        group=f"{event.key}:{subject.fold_key or event.object_id or ''}",
        fold_within=bell.fold_within,
    )


def _send_letters(
    event: NotificationEvent,
    entry: EventType,
    delivery: Delivery,
    subject: Subject,
    told: Sequence[Told],
    plans: dict[uuid.UUID, Plan],
    new: dict[uuid.UUID, uuid.UUID],
    origin: Origin,
) -> set[uuid.UUID]:
    """The event's own email for those who want email at once; who has it gathered gets the bell's words later."""
    wanting = [
        one.user
        for one in told
        if one.user.pk in new
        and not one.is_away
        and any(
            planned.channel is StaffChannel.EMAIL and not planned.held_for for planned in plans[one.user.pk].deliveries
        )
    ]
    if not wanting:
        return set()
    template = MessageTemplate.objects.filter(
        code=entry.template_code(delivery.audience), channel=Channel.EMAIL, is_active=True
    ).first()
    if template is None:
        # The plain notice takes its place: nobody goes without.
        log.error("template_missing", event_key=event.key, audience=delivery.audience.value)
        return set()
    for user in wanting:
        MessagingService().send_to_user(
            user=user,
            template=template,
            context=subject.context,
            dedupe_key=f"event:{event.pk}:user:{user.pk}:email",
            origin=origin,
        )
    return {user.pk for user in wanting}


# --- going further ---------------------------------------------------------------------------------------------------


def escalate_due() -> dict[str, int]:
    """Takes the next step of whatever nobody of the open tenant has answered in time. Safe to run twice at once."""
    counts = {"stepped": 0, "ended": 0}
    due = Escalation.objects.filter(status=EscalationStatus.OPEN, due_at__lte=timezone.now()).order_by("due_at")
    for pk in list(due.values_list("pk", flat=True)[:BATCH]):
        result = _step(pk)
        if result:
            counts[result] += 1
    return counts


@transaction.atomic
def _step(pk: uuid.UUID) -> str:
    """One step of one escalation, under its lock: whoever answers meanwhile waits for it, or has been first."""
    now = timezone.now()
    row = (
        Escalation.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("event")
        .filter(pk=pk, status=EscalationStatus.OPEN, due_at__lte=now)
        .first()
    )
    if row is None:
        return ""
    entry = registry.get(row.event.key)
    subject = entry.describe(row.event)
    if subject.refusal is not None or subject.is_answered:
        escalation.stop_for_events([row.event_id], StopReason.CHANGED)
        return "ended"
    if row.useful_until is not None and row.useful_until <= now:
        return _exhausted(row)
    step = row.step
    while step < len(_STEPS):
        step += 1
        if _STEPS[step - 1](row, entry, subject, step):
            escalation.stepped(row, step=step, due_at=now + patience(row.tenant_id))
            return "stepped"
    return _exhausted(row)


def _exhausted(row: Escalation) -> str:
    escalation.exhausted(row)
    log.error("escalation_exhausted", escalation_id=str(row.pk), event_key=row.event.key)
    return "ended"


def _over_another_channel(row: Escalation, entry: EventType, subject: Subject, step: int) -> int:
    """Those who were told, over the first channel that has not been tried: push where there is a browser, else email."""
    bell = _critical_bell(entry)
    rows = list(Notification.objects.filter(event=row.event_id, instead_of=None, user__is_active=True))
    tried = set(
        NotificationDelivery.objects.filter(notification__in=[one.pk for one in rows]).values_list(
            "notification", "channel"
        )
    )
    with_push = set(
        PushSubscription.objects.filter(user__in=[one.user_id for one in rows]).values_list("user", flat=True)
    )
    wishes = []
    for one in rows:
        order = [StaffChannel.PUSH, StaffChannel.EMAIL] if one.user_id in with_push else [StaffChannel.EMAIL]
        channel = next((channel for channel in order if (one.pk, channel.value) not in tried), None)
        if channel is not None:
            wishes.append(Wish(one.pk, one.user_id, channel, timezone.now(), ""))
    staff_outbox.enqueue(
        tenant_id=row.tenant_id,
        deliveries=wishes,
        step=step,
        useful_until=useful_until(row.event, bell, subject),
    )
    return len(wishes)


def _to_stand_ins(row: Escalation, entry: EventType, subject: Subject, step: int) -> int:
    """The covers were told already; now the supervisors on duty."""
    people = [
        one.user
        for one in Notification.objects.filter(event=row.event_id).select_related("user").order_by("created_at", "pk")
    ]
    return _tell_more(row, entry, subject, step, duty.further(people, location=subject.location, now=timezone.now()))


def _to_everybody(row: Escalation, entry: EventType, subject: Subject, step: int) -> int:
    """The desk and the admins."""
    first = Notification.objects.filter(event=row.event_id).select_related("user").order_by("created_at", "pk").first()
    told = [
        Told(user, instead_of=first.user if first is not None and first.user_id != user.pk else None)
        for user in duty.last_resort(subject.location)
    ]
    return _tell_more(row, entry, subject, step, told)


# In this order; one that finds nobody new gives way to the next at once.
_STEPS = (_over_another_channel, _to_stand_ins, _to_everybody)


def _tell_more(row: Escalation, entry: EventType, subject: Subject, step: int, told: Sequence[Told]) -> int:
    if not told:
        return 0
    bell = _critical_bell(entry)
    now = timezone.now()
    plans = _plans(told, bell, now)
    new = _ring(row.event, bell, subject, told, plans)
    staff_outbox.enqueue(
        tenant_id=row.tenant_id,
        deliveries=[
            Wish(new[one.user.pk], one.user.pk, planned.channel, planned.due_at, planned.held_for)
            for one in told
            if one.user.pk in new
            for planned in plans[one.user.pk].deliveries
        ],
        step=step,
        useful_until=useful_until(row.event, bell, subject),
    )
    return len(new)


def _critical_bell(entry: EventType) -> Bell:
    return next(one.bell for one in entry.deliveries if one.bell is not None and one.bell.is_critical)
