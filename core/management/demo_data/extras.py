"""What happens beside the calendar: results, an alert, replies of patients, words typed at the desk."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from appointments.models import Appointment
from core.management.demo_data.build import Build
from core.management.demo_data.happenings import Happening, base_context
from core.management.demo_data.names import HAND_WRITTEN, REPLIES, Pair
from core.management.demo_data.people import People
from core.management.demo_data.visits import History
from core.models import Language, Patient, Role, User
from core.portal_links import portal_address
from notifications.models import Conversation, InboundMessage, Message
from notifications.registry import Audience
from notifications.rendering import Link, Words
from notifications.states import SUCCESS, Channel

S = Appointment.Status
DAY = dt.timedelta(days=1)
REPLY_DAYS = 6
REPLIES_A_CLINIC = 8
NOTES_A_CLINIC = 14
ALERT = Words("The SMS provider was not available", "لم يكن مزود الرسائل النصية متاحًا")
ALERT_TEXT = Words(
    "It answers again. Every waiting message has been sent, none twice.",
    "عادت الخدمة، وأُرسلت كل الرسائل المنتظرة دون تكرار.",
)


@dataclass(frozen=True, slots=True)
class Note:
    """A single message that somebody at the desk typed."""

    at: dt.datetime
    patient: Patient
    author: User
    body: str


def results(build: Build, people: People, history: History) -> Iterator[Happening]:
    """Some of the doctor's visits had results, a few days later."""
    for life in history.lives:
        completed = life.step(S.COMPLETED)
        visit = life.visit
        if completed is None or visit.department.code not in ("FAM", "PED") or not build.chance(0.25):
            continue
        at = build.at(completed.at.astimezone(build.zone).date(), dt.time(16, 40)) + build.rng.randint(1, 3) * DAY
        if build.now - 30 * DAY <= at < build.now:
            yield Happening(
                key="results.ready",
                at=at,
                dedupe=str(visit.pk),
                context=base_context(build, people, visit.patient, visit.location, visit.number)
                | {"link": Link(portal_address())},
                object_type="appointments.appointment",
                object_id=visit.pk,
                version=visit.version,
                actor=visit.provider,
                patient=visit.patient,
                location=visit.location,
                useful_until=at + 14 * DAY,
            )


def alert(build: Build) -> Happening:
    """The admins heard of the morning on which the SMS provider was away."""
    return Happening(
        key="system.alert",
        at=build.now - 2 * DAY,
        dedupe=f"sms-provider:{build.today.isoformat()}",
        context={"title": ALERT, "text": ALERT_TEXT},
        object_type="",
        object_id=None,
        payload={
            "title_en": ALERT.en,
            "title_ar": ALERT.ar,
            "text_en": ALERT_TEXT.en,
            "text_ar": ALERT_TEXT.ar,
        },
        users={Audience.ADMIN: build.staff(Role.ADMIN)},
    )


def notes(build: Build, people: People) -> list[Note]:
    """Typed at the desk in the last weeks, to patients who can be reached."""
    desks = build.staff(Role.FRONT_DESK)
    able = [patient for patient in people.patients if patient.phone and patient.deceased_at is None]
    written = []
    for patient in build.rng.sample(able, NOTES_A_CLINIC):
        words: Pair = build.rng.choice(HAND_WRITTEN)
        at = build.now - build.rng.randint(1, 27) * DAY - dt.timedelta(minutes=build.rng.randint(1, 300))
        body = words.ar if patient.language == Language.ARABIC else words.en
        written.append(Note(at, patient, build.rng.choice(desks), body))
    return written


def _conversation(build: Build, conversations: dict[str, Conversation], reply: InboundMessage) -> Conversation:
    """The number's conversation, which waits for the desk."""
    row = conversations.setdefault(
        reply.sender,
        Conversation(
            id=build.new_id(),
            tenant=build.tenant,
            address=reply.sender,
            channel=reply.channel,
            patient=reply.patient,
            state=Conversation.State.OPEN,
            last_reply_at=reply.created_at,
        ),
    )
    row.state = Conversation.State.OPEN
    row.unread += 1
    row.last_reply_at = max(row.last_reply_at or reply.created_at, reply.created_at)
    return row


def replies(build: Build, messages: Sequence[Message]) -> list[tuple[InboundMessage, Happening]]:
    """A few answers to messages of the last days, and the bells they ring at the desk."""
    since = build.now - REPLY_DAYS * DAY
    heard = [
        message
        for message in messages
        if message.patient is not None
        and message.channel != Channel.EMAIL
        and message.status in SUCCESS
        and message.created_at >= since
        and message.delivered_at is not None
        and message.delivered_at < build.now - dt.timedelta(hours=2)
    ]
    found = []
    # Of an earlier day of the demo: the same number goes on writing in the same conversation.
    conversations = {row.address: row for row in Conversation.objects.filter(tenant=build.tenant)}
    for message in build.rng.sample(heard, min(REPLIES_A_CLINIC, len(heard))):
        assert message.patient is not None
        assert message.delivered_at is not None
        words: Pair = build.rng.choice(REPLIES)
        body = words.ar if message.language == Language.ARABIC else words.en
        reply = InboundMessage(
            id=build.new_id(),
            tenant=build.tenant,
            channel=message.channel,
            sender=message.recipient,
            body=body,
            provider=message.provider,
            provider_message_id=f"SM{build.rng.getrandbits(128):032x}",
            patient=message.patient,
            in_reply_to=message,
            created_at=build.after(message.delivered_at, 60, 6000),
            meaning="free",
            outcome=InboundMessage.Outcome.STAFF,
        )
        reply.handled_at = reply.created_at
        reply.conversation = _conversation(build, conversations, reply)
        happening = Happening(
            key="message.reply_received",
            at=reply.created_at,
            dedupe=str(reply.pk),
            context={"patient_name": message.patient, "text": body},
            object_type="notifications.conversation",
            object_id=conversations[reply.sender].pk,
            payload={"reply_id": str(reply.pk)},
            users={Audience.FRONT_DESK: build.staff(Role.FRONT_DESK)},
        )
        found.append((reply, happening))
    return sorted(found, key=lambda pair: pair[0].created_at)
