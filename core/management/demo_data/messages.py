"""Makes the rows of messaging from what happened: events, messages with their logs, bells and their counters.

Who gets what, over which channels and in which words is read from the event registry and the tenant's templates, as
``integrations.fanout`` and ``MessagingService`` do it; the fate of each message comes from ``timelines``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.management.demo_data import build as building
from core.management.demo_data import extras
from core.management.demo_data.build import Build
from core.management.demo_data.happenings import BELL_DAYS, Happening, reader_of
from core.management.demo_data.people import People
from core.management.demo_data.timelines import Fate, Outage, Timeline, roll_fate
from core.models import Guardian, Patient, User
from notifications import registry, rendering, segments
from notifications.gate import preferred_order
from notifications.models import (
    BellState,
    Message,
    MessageLog,
    MessageTemplate,
    Notification,
    NotificationEvent,
    NotificationPreference,
)
from notifications.registry import Audience, Bell, Delivery, EventType, Slot
from notifications.states import Channel, NotificationType, Reason, Status

# A bell nobody has looked at since: this many lines are unread.
UNREAD = (2, 5)
PATIENT_BELL_DAYS = 30


@dataclass(slots=True)
class Post:
    """Everything that was written, before it is saved."""

    events: list[NotificationEvent] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    logs: list[MessageLog] = field(default_factory=list)
    bells: list[Notification] = field(default_factory=list)


def build_messages(
    build: Build,
    people: People,
    happenings: Iterable[Happening],
    *,
    notes: Sequence[extras.Note] = (),
    outage: Outage | None = None,
) -> Post:
    """Writes and saves the month."""
    writer = _Writer(build, people, outage)
    for happening in sorted(happenings, key=lambda one: (one.at, one.key)):
        writer.tell(happening)
    for note in notes:
        writer.by_hand(note)
    post = writer.post
    answers = extras.replies(build, post.messages)
    for _reply, happening in answers:
        writer.tell(happening)
    _read_bells(build, post.bells)
    conversations = {reply.conversation_id: reply.conversation for reply, _happening in answers if reply.conversation}
    building.save(
        post.events,
        post.messages,
        post.logs,
        [row for row in conversations.values() if row._state.adding],
        [reply for reply, _happening in answers],
        post.bells,
    )
    # Conversations of an earlier day of the demo go on.
    for row in conversations.values():
        row.save(update_fields=["unread", "last_reply_at", "state"])
    _count_bells(build, post.bells)
    return post


class _Writer:
    def __init__(self, build: Build, people: People, outage: Outage | None) -> None:
        self.build = build
        self.people = people
        self.outage = outage
        self.post = Post()
        self.templates: dict[str, dict[str, MessageTemplate]] = {}
        for template in MessageTemplate.objects.all():
            template.tenant = build.tenant
            self.templates.setdefault(template.code, {})[template.channel] = template

    def tell(self, happening: Happening) -> None:
        """One event, fanned out."""
        entry = registry.get(happening.key)
        event = NotificationEvent(
            id=self.build.new_id(),
            tenant_id=self.build.tenant.pk,
            key=happening.key,
            object_type=happening.object_type,
            object_id=happening.object_id,
            object_version=happening.version,
            actor=happening.actor,
            payload=dict(happening.payload),
            dedupe_key=f"{happening.key}:{happening.dedupe}",
            created_at=happening.at,
            processed_at=self.build.after(happening.at, 0.05, 0.8) if entry.deliveries else happening.at,
        )
        self.post.events.append(event)
        for delivery in entry.deliveries:
            if delivery.audience is Audience.PATIENT:
                self._to_patient(event, entry, delivery, happening)
                continue
            for user in happening.users.get(delivery.audience, ()):
                self._to_user(event, entry, delivery, happening, user)

    def by_hand(self, note: extras.Note) -> None:
        """A single message to one patient, typed at the desk; it belongs to no event."""
        wishes = self.people.preferences[note.patient.pk]
        channel = next((c for c in preferred_order(wishes) if c != Channel.EMAIL), Channel.SMS)
        reader = self._reader(note.patient, note.at)
        message = self._message(None, None, channel, NotificationType.GENERAL, "", note.at)
        message.dedupe_key = f"send:{message.pk}"
        message.patient, message.sent_by, message.body = note.patient, note.author, note.body
        message.language = note.patient.language
        if not isinstance(reader, Reason):
            message.guardian = reader if isinstance(reader, Guardian) else None
            message.recipient, message.language = reader.phone, reader.language
        self._words(message, None, {})
        refusal = self._refusal(note.patient, reader, channel, NotificationType.GENERAL)
        self.post.logs += self._run(message, refusal, {}).rows

    # --- patients ---------------------------------------------------------------------------------------------------

    def _to_patient(self, event: NotificationEvent, entry: EventType, delivery: Delivery, happening: Happening) -> None:
        patient = happening.patient
        if patient is None:
            return
        order = preferred_order(self.people.preferences[patient.pk])
        channels: dict[Slot, Sequence[str]] = {
            Slot.MOBILE: [channel for channel in order if channel != Channel.EMAIL],
            Slot.PREFERRED: order,
            Slot.EMAIL: [Channel.EMAIL],
        }
        for slot in delivery.slots:
            if slot is Slot.IN_APP:
                if patient.user is not None and delivery.bell is not None:
                    self._ring(event, delivery.bell, happening, patient.user, PATIENT_BELL_DAYS)
                continue
            self._send(
                event,
                happening,
                patient,
                code=entry.template_code(delivery.audience),
                channels=channels[slot],
                kind=entry.notification_type,
                dedupe_key=f"event:{event.pk}:patient:{patient.pk}:{slot.value}",
                at=event.processed_at or happening.at,
            )

    def _send(
        self,
        event: NotificationEvent,
        happening: Happening,
        patient: Patient,
        *,
        code: str,
        channels: Sequence[str],
        kind: str,
        dedupe_key: str,
        at: dt.datetime,
        instead_of: Message | None = None,
    ) -> Message:
        """One message over the first channel that is allowed, and its fate; another channel when it failed for good."""
        templates = self.templates.get(code, {})
        reader = self._reader(patient, at)
        passed_over: list[dict[str, str]] = []
        refusal: Reason | None = None
        for channel in channels:
            refusal = self._refusal(patient, reader, channel, kind)
            if refusal is None and channel not in templates:
                refusal = Reason.TEMPLATE_MISSING
            if refusal is None:
                break
            passed_over.append({"channel": str(channel), "reason": str(refusal)})
        else:
            channel = channels[0]
            refusal = self._refusal(patient, reader, channel, kind) or Reason.TEMPLATE_MISSING
        rest = [c for c in channels[list(channels).index(channel) + 1 :] if c in templates] if refusal is None else []
        message = self._message(event, happening, channel, kind, dedupe_key, at)
        message.patient = patient
        message.guardian = reader if isinstance(reader, Guardian) else None
        message.fallback_channels = [] if list(channels) == [Channel.EMAIL] else [str(c) for c in rest]
        if not isinstance(reader, Reason):
            message.recipient = reader.email if channel == Channel.EMAIL else reader.phone
        message.language = patient.language if isinstance(reader, Reason) else reader.language
        message.conversation_id = instead_of.conversation_id if instead_of is not None else message.pk
        self._words(message, templates.get(channel), happening.context)
        details: dict[str, Any] = {"instead_of": str(instead_of.channel)} if instead_of is not None else {}
        if passed_over:
            details["passed_over"] = passed_over
        line = self._run(message, refusal, details)
        failed_for_good = message.status in (Status.FAILED, Status.BOUNCED) and message.fallback_channels
        if failed_for_good and line.clock + dt.timedelta(seconds=20) < self.build.now:
            copy = self._send(
                event,
                happening,
                patient,
                code=code,
                channels=message.fallback_channels,
                kind=kind,
                dedupe_key=f"{dedupe_key}:after:{channel}",
                at=self.build.after(line.clock, 0.05, 0.4),
                instead_of=message,
            )
            line.clock = copy.created_at
            line.fell_back(copy.channel)
        self.post.logs += line.rows
        return message

    def _reader(self, patient: Patient, at: dt.datetime) -> Patient | Guardian | Reason:
        if patient.deceased_at is not None and at.astimezone(self.build.zone).date() >= patient.deceased_at:
            return Reason.DECEASED
        return reader_of(self.build, self.people, patient) or Reason.GUARDIAN_UNVERIFIED

    def _refusal(self, patient: Patient, reader: Patient | Guardian | Reason, channel: str, kind: str) -> Reason | None:
        if isinstance(reader, Reason):
            return reader
        wishes: NotificationPreference = self.people.preferences[patient.pk]
        refused = wishes.refusal(channel, NotificationType(kind))
        if refused is not None:
            return refused
        return None if (reader.email if channel == Channel.EMAIL else reader.phone) else Reason.NO_CONTACT

    # --- staff ------------------------------------------------------------------------------------------------------

    def _to_user(
        self, event: NotificationEvent, entry: EventType, delivery: Delivery, happening: Happening, user: User
    ) -> None:
        if Slot.IN_APP in delivery.slots and delivery.bell is not None:
            self._ring(event, delivery.bell, happening, user, BELL_DAYS)
        if Slot.EMAIL in delivery.slots:
            message = self._message(
                event,
                happening,
                Channel.EMAIL,
                NotificationType.STAFF,
                f"event:{event.pk}:user:{user.pk}:email",
                event.processed_at or happening.at,
            )
            message.user, message.recipient, message.language = user, user.email, user.language
            template = self.templates[entry.template_code(delivery.audience)][Channel.EMAIL]
            self._words(message, template, happening.context)
            self.post.logs += self._run(message, None, {}).rows

    def _ring(self, event: NotificationEvent, bell: Bell, happening: Happening, user: User, days: int) -> None:
        if happening.at < self.build.now - dt.timedelta(days=days):
            return

        def words(text: str, language: str) -> str:
            return rendering.render(text, happening.context.keys(), happening.context, language)

        self.post.bells.append(
            Notification(
                id=self.build.new_id(),
                tenant=self.build.tenant,
                user=user,
                event=event,
                event_key=event.key,
                title=words(bell.title_en, "en")[:200],
                title_ar=words(bell.title_ar, "ar")[:200],
                message=words(bell.body_en, "en"),
                message_ar=words(bell.body_ar, "ar"),
                notification_type=bell.level,
                category=bell.category,
                is_critical=bell.is_critical,
                # An alert of the last minutes may still be waiting; the older ones are over.
                resolved_at=_over_at(self.build, event) if bell.is_critical else None,
                activity_at=event.processed_at,
                related_object_type=event.object_type or None,
                related_object_id=event.object_id,
                dedupe_key=f"event:{event.pk}",
                created_at=event.processed_at,
                updated_at=event.processed_at,
            )
        )

    # --- rows -------------------------------------------------------------------------------------------------------

    def _message(
        self,
        event: NotificationEvent | None,
        happening: Happening | None,
        channel: str,
        kind: str,
        dedupe_key: str,
        at: dt.datetime,
    ) -> Message:
        message = Message(
            id=self.build.new_id(),
            tenant_id=self.build.tenant.pk,
            event=event,
            notification_type=kind,
            channel=channel,
            dedupe_key=dedupe_key,
            created_at=at,
            updated_at=at,
        )
        message.conversation_id = message.pk
        if happening is not None:
            message.object_type, message.object_id = happening.object_type, happening.object_id
            message.object_version, message.expires_at = happening.version, happening.useful_until
        if happening is not None and happening.location is not None:
            place = happening.location
            message.sender = {
                Channel.SMS: place.sms_sender,
                Channel.WHATSAPP: place.whatsapp_sender,
                Channel.EMAIL: place.email_sender,
            }[Channel(channel)]
        return message

    @staticmethod
    def _words(message: Message, template: MessageTemplate | None, context: Mapping[str, Any]) -> None:
        """Freezes the words."""
        if template is not None:
            message.template, message.template_version = template, template.version
            message.body = template.render(message.language, **context)
            message.subject = template.render_subject(message.language, **context)
        if message.channel == Channel.SMS:
            message.segments = segments.count(message.body).parts

    def _run(self, message: Message, refusal: Reason | None, details: dict[str, Any]) -> Timeline:
        """Its way, and the row into the pile. The log's rows are the caller's to take."""
        self.post.messages.append(message)
        line = Timeline(self.build, message, details=details)
        if refusal is not None:
            line.refuse(refusal)
            return line
        outage = self.outage
        is_hit = outage is not None and outage.began <= message.created_at < outage.ended
        line.run(Fate.DELIVERED if is_hit else roll_fate(self.build, message), outage if is_hit else None)
        return line


def _over_at(build: Build, event: NotificationEvent) -> dt.datetime | None:
    assert event.processed_at is not None
    over = event.processed_at + dt.timedelta(minutes=build.rng.randint(3, 25))
    return over if over < build.now else None


def _read_bells(build: Build, bells: Sequence[Notification]) -> None:
    """All but the latest few of each user were read."""
    by_user: dict[Any, list[Notification]] = {}
    for bell in bells:
        by_user.setdefault(bell.user.pk, []).append(bell)
    for found in by_user.values():
        rows = sorted(found, key=lambda bell: bell.created_at)
        unread = min(build.rng.randint(*UNREAD), len(rows))
        for bell in rows[: len(rows) - unread]:
            bell.is_read = True
            bell.read_at = bell.updated_at = min(build.after(bell.created_at, 20, 5400), build.now)
            if bell.is_critical:
                bell.acknowledged_at, bell.acknowledged_by = bell.read_at, bell.user


def _count_bells(build: Build, bells: Sequence[Notification]) -> None:
    """The counters, one change for each new row and each that was read, as ``notifications.inbox`` keeps them."""
    states = {state.user_id: state for state in BellState.objects.all()}
    new = [
        BellState(id=build.new_id(), tenant=build.tenant, user=user)
        for user in build.users.values()
        if user.pk not in states
    ]
    states |= {state.user_id: state for state in new}
    for bell in bells:
        state = states[bell.user.pk]
        state.unread += 0 if bell.is_read else 1
        state.version += 2 if bell.is_read else 1
    building.save(new)
    BellState.objects.bulk_update(states.values(), ["unread", "version"])
