"""One message instead of many: visits of one day at one place that are read on one phone.

The message's event is about a ``FamilyNews`` row that names its visits. Its words are frozen when it is queued; when one
of the visits or its readers change before it leaves, the message is refused, and ``settle`` tells what still holds visit
by visit.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from appointments.models import Appointment, FamilyNews, FamilyVisit, Reminder
from appointments.reminders import said
from appointments.reminders.rules import EVENT_KEYS
from appointments.states import AWAITED
from core.contacts import Contact, recipients_for
from core.models import Guardianship, Patient
from notifications import events, gate
from notifications.models import Message, NotificationEvent
from notifications.states import NEVER_LEFT, Channel, NotificationType, Reason, Status

Kind = Reminder.Kind
News = FamilyNews.Kind

BOOKED_KEY, REMINDER_KEY = "appointment.booked_together", "appointment.reminder_together"
# What is told together lies so close together; the earlier reminders tell of the whole day.
_WHOLE_DAY = dt.timedelta(days=1)
REACH = {Kind.EARLY: _WHOLE_DAY, Kind.DAY_BEFORE: _WHOLE_DAY, Kind.TWO_HOURS: dt.timedelta(hours=2)}
TOLD_AS_BOOKED = AWAITED - {Appointment.Status.CONFIRMED}
# A text longer than this is read by nobody; the next ones get a message of their own.
MOST = 6
_UNDER_WAY = (Status.QUEUED, Status.SENDING)
_NOT_RECEIVED = NEVER_LEFT | {Status.FAILED, Status.BOUNCED}
# What may stand against one of them only: alone, each goes through the gate. Not what stands against the address.
_OF_ONE = frozenset(
    {
        *(Reason.STALE_VERSION, Reason.STATUS_NOT_ELIGIBLE, Reason.PAST_DUE, Reason.QUIET_DROPPED),
        *(Reason.DECEASED, Reason.RESTRICTED, Reason.PATIENT_LEFT, Reason.MERGED_AWAY),
        *(Reason.GUARDIAN_BLOCKED, Reason.GUARDIAN_UNVERIFIED, Reason.OPT_OUT_TYPE, Reason.OPT_OUT_CHANNEL),
        *(Reason.NO_CONSENT, Reason.CONSENT_WITHDRAWN, Reason.FREQUENCY_CAP),
    }
)
_Place: TypeAlias = tuple[uuid.UUID, dt.date]


@dataclass(slots=True)
class Group:
    """Reminders that go in one message, the first visit first; ``address`` is where it goes, empty: nowhere."""

    address: str
    reminders: list[Reminder]


@dataclass(frozen=True, slots=True)
class Reading:
    """How somebody gets the messages about a patient. Equal: they can be told in one.

    Whoever is told on a phone is known by the phone alone: the emails of those who share it may differ, and then the
    one message goes to no email (``is_by_phone_only``).
    """

    addresses: tuple[tuple[str, str], ...]
    channel: str
    language: str

    @property
    def address(self) -> str:
        phone, email = self.addresses[0]
        return phone or email


def readings(
    patients: Iterable[Patient], notification_type: NotificationType
) -> dict[uuid.UUID, tuple[str, Reading | None]]:
    """Patient id → the first address, and how it is read; None: not to be told together with others."""
    people = {patient.pk: patient for patient in patients}
    readers = recipients_for(people.values(), notification_type=notification_type)
    preferences = gate.preferences_of(list(people.values()))
    found: dict[uuid.UUID, tuple[str, Reading | None]] = {}
    for patient_id in people:
        known = readers[patient_id]
        if isinstance(known, str) or not known:
            found[patient_id] = ("", None)
            continue
        preference = preferences[patient_id]
        first: Contact = known[0]
        channel = str(preference.preferred_channel)
        is_mobile = channel != Channel.EMAIL
        reading = Reading(
            addresses=tuple((one.phone, "" if is_mobile and one.phone else one.email) for one in known),
            channel=channel,
            language=preference.preferred_language or first.language,
        )
        is_wished = preference.combine_family and preference.refusal(channel, notification_type) is None
        found[patient_id] = (reading.address, reading if is_wished and reading.address else None)
    return found


def is_by_phone_only(visits: Iterable[Appointment]) -> bool:
    """A letter would not reach all who are reminded of these visits: their emails differ."""
    found = recipients_for({visit.patient for visit in visits}, notification_type=NotificationType.REMINDER)
    return len({tuple(one.email for one in each) for each in found.values() if not isinstance(each, str)}) > 1


def is_read_together(patients: Iterable[Patient], notification_type: NotificationType) -> bool:
    """The same people on the same phones still read about all of them. A guardian may be blocked for one child, a number
    be put right in one file, while the message waits.
    """
    found = list(recipients_for(patients, notification_type=notification_type).values())
    if len(found) > 1 and any(isinstance(each, str) for each in found):
        return False
    readers = {tuple(sorted(one.phone or one.email for one in each)) for each in found if not isinstance(each, str)}
    return len(readers) <= 1


def gather(ready: Sequence[Reminder], now: dt.datetime) -> list[Group]:
    """Groups due reminders by who reads them; what is due a little later for the same reader comes along.

    The rows that come along are locked and looked at like the others: same day, same place, the same kind. What must not
    be told now stays planned.
    """
    if not ready:
        return []
    known = readings({row.appointment.patient for row in ready}, NotificationType.REMINDER)
    more = said.may_come_along(_due_later(ready, known, now), now)
    known |= readings(
        {row.appointment.patient for row in more if row.appointment.patient_id not in known}, NotificationType.REMINDER
    )
    alone: list[Group] = []
    by_reader: dict[tuple[str, _Place, Reading], list[Reminder]] = defaultdict(list)
    for row in [*ready, *more]:
        address, reading = known[row.appointment.patient_id]
        if reading is None:
            if row not in more:
                alone.append(Group(address, [row]))
            continue
        by_reader[row.kind, _place(row.appointment), reading].append(row)
    leading = {row.pk for row in ready}
    groups = list(alone)
    for (_kind, _where, reading), rows in by_reader.items():
        groups.extend(Group(reading.address, part) for part in _parts(rows, leading))
    return sorted(groups, key=lambda group: group.reminders[0].appointment.starts_at)


def _parts(rows: list[Reminder], leading: set[uuid.UUID]) -> list[list[Reminder]]:
    """Cut where the reach or the length of a message ends. A part that holds nothing that is due stays planned."""
    rows.sort(key=lambda row: (row.appointment.starts_at, str(row.pk)))
    parts: list[list[Reminder]] = []
    for row in rows:
        last = parts[-1] if parts else None
        fits = (
            last is not None
            and len(last) < MOST
            and row.appointment.starts_at - last[0].appointment.starts_at <= REACH[Kind(row.kind)]
        )
        if last is not None and fits:
            last.append(row)
        else:
            parts.append([row])
    return [part for part in parts if any(row.pk in leading for row in part)]


def _place(appointment: Appointment) -> _Place:
    return appointment.location_id, appointment.local_start.date()


def _due_later(
    ready: Sequence[Reminder], known: dict[uuid.UUID, tuple[str, Reading | None]], now: dt.datetime
) -> list[Reminder]:
    """The planned reminders of relatives' visits on the same days: who has the same phone or address."""
    readings_there = [reading for _address, reading in known.values() if reading is not None]
    if not readings_there:
        return []
    latest = max(row.appointment.starts_at for row in ready) + _WHOLE_DAY
    rows = Reminder.objects.filter(
        status=Reminder.Status.PLANNED,
        due_at__gt=now,
        # Nobody is told of tomorrow what is planned for next week.
        due_at__lte=now + _WHOLE_DAY,
        kind__in={row.kind for row in ready},
        appointment__patient__in=relatives(readings_there),
        appointment__starts_at__lte=latest,
        appointment__status__in=AWAITED,
        appointment__is_silent=False,
    )
    found = rows.select_for_update(skip_locked=True, no_key=True, of=("self",)).select_related(
        "appointment__location", "appointment__patient__tenant"
    )
    return [row for row in found if row.version == row.appointment.version]


def relatives(readings_there: Sequence[Reading]) -> list[uuid.UUID]:
    """Everybody who is, or whose guardian is, at one of the addresses. Two queries."""
    phones = {phone for one in readings_there for phone, _email in one.addresses if phone}
    emails = {email for one in readings_there for phone, email in one.addresses if email and not phone}
    own = Q(phone__in=phones) | Q(email__in=emails) if emails else Q(phone__in=phones)
    guards = Q(guardian__phone__in=phones)
    if emails:
        guards |= Q(guardian__email__in=emails)
    found = set(Patient.objects.filter(own, is_active=True).values_list("pk", flat=True))
    found.update(Guardianship.objects.filter(guards).values_list("patient_id", flat=True))
    return list(found)


def tell(group: Group) -> NotificationEvent:
    """Records the event of a group of reminders."""
    visits = [row.appointment for row in group.reminders]
    return record(FamilyNews.Kind(group.reminders[0].kind), visits)


def record(kind: FamilyNews.Kind, visits: Sequence[Appointment]) -> NotificationEvent:
    """The row that names the visits, and its event. The caller's transaction."""
    tenant_id = visits[0].tenant_id
    news = FamilyNews.objects.create(tenant_id=tenant_id, kind=kind)
    FamilyVisit.objects.bulk_create(
        FamilyVisit(tenant_id=tenant_id, news=news, appointment=visit, version=visit.version) for visit in visits
    )
    return events.record(_key(kind), tenant_id=tenant_id, dedupe=str(news.pk), obj=news)


def _key(kind: str) -> str:
    return BOOKED_KEY if kind == News.BOOKED else REMINDER_KEY


def settle(now: dt.datetime) -> int:
    """What of combined news was refused is told again, visit by visit, where it still holds; returns how many.

    The open tenant's. Safe to run twice at once.
    """
    told = 0
    for news_id in list(FamilyNews.objects.filter(settled_at=None).order_by("created_at").values_list("pk", flat=True)):
        with transaction.atomic():
            rows = FamilyNews.objects.filter(pk=news_id, settled_at=None)
            news = rows.select_for_update(skip_locked=True, no_key=True).first()
            if news is not None:
                told += _settle(news, now)
    return told


def _settle(news: FamilyNews, now: dt.datetime) -> int:
    event = NotificationEvent.objects.filter(object_id=news.pk, key=_key(news.kind)).first()
    if event is None or event.processed_at is None:
        return 0
    messages = list(Message.objects.filter(event=event).values_list("status", "reason", "next_attempt_at"))
    if any(status in _UNDER_WAY or next_at is not None for status, _reason, next_at in messages):
        return 0
    has_left = any(status not in NEVER_LEFT for status, _reason, _next_at in messages)
    is_of_one = any(reason in _OF_ONE for _status, reason, _next_at in messages)
    is_lost = all(status in _NOT_RECEIVED for status, _reason, _next_at in messages)
    told = 0
    if (not has_left and is_of_one) or (messages and is_lost and _was_by_phone_only(news)):
        told = _tell_again(news)
    news.settled_at = now
    news.save(update_fields=["settled_at"])
    return told


def _was_by_phone_only(news: FamilyNews) -> bool:
    """Each visit's own message may still go to its own reader's email. Bookings are told on phones only, alone too."""
    if news.kind == News.BOOKED:
        return False
    return is_by_phone_only(row.appointment for row in news.visits.select_related("appointment__patient__tenant"))


def _tell_again(news: FamilyNews) -> int:
    """Each visit that still is as it was told gets a message of its own."""
    key = "appointment.booked" if news.kind == News.BOOKED else EVENT_KEYS[Kind(news.kind)]
    rows = news.visits.select_related("appointment").order_by("appointment__starts_at")
    still = [row for row in rows if holds(news, row)]
    for row in still:
        events.record(
            key,
            tenant_id=news.tenant_id,
            dedupe=f"{row.appointment_id}:{row.version}:{news.kind}:{news.pk}",
            obj=row.appointment,
            version=row.version,
            payload=_until(news, row),
        )
    return len(still)


def is_told_apart(news: FamilyNews, rows: Sequence[FamilyVisit]) -> bool:
    """``settle`` has told of them one by one: the whole is not told again, though a number be put right later."""
    if news.settled_at is None:
        return False
    mine = NotificationEvent.objects.filter(object_id__in=[row.appointment_id for row in rows])
    return mine.filter(dedupe_key__endswith=f":{news.pk}").exists()


def _until(news: FamilyNews, row: FamilyVisit) -> dict[str, str]:
    reminder = Reminder.objects.filter(appointment=row.appointment_id, version=row.version, kind=news.kind).first()
    return {"until": reminder.expires_at.isoformat()} if reminder is not None else {}


def told_by(appointment: Appointment) -> list[uuid.UUID]:
    """The ids of what messages about this visit may be about: itself, and news of several in which it is named.

    A list, not a subquery: with one beside the visit's own id the messages would be read from end to end.
    """
    news = FamilyVisit.objects.filter(appointment=appointment).values_list("news_id", flat=True)
    return [appointment.pk, *news]


def companions(appointment: Appointment) -> list[Appointment]:
    """The other visits that the reader of this one was told of in the same message, and that still are as they were told.

    Only what everybody may know who reads about this one: its link is theirs too, also of who began to read since then.
    """
    told = FamilyNews.objects.filter(visits__appointment=appointment, visits__version=appointment.version)
    rows = FamilyVisit.objects.filter(news__in=told).exclude(appointment=appointment)
    found: dict[uuid.UUID, Appointment] = {}
    for row in rows.select_related("news", "appointment__patient__tenant", "appointment__location"):
        if row.version == row.appointment.version and row.appointment.status in AWAITED:
            found[row.appointment_id] = row.appointment
    soon = [visit for visit in found.values() if visit.starts_at > timezone.now()]
    if not soon:
        return []
    told_of = _addresses_of([appointment, *soon])
    mine = told_of[appointment.patient_id]
    return sorted(
        (visit for visit in soon if mine and mine <= told_of[visit.patient_id]), key=lambda one: one.starts_at
    )


def _addresses_of(visits: Iterable[Appointment]) -> dict[uuid.UUID, set[str]]:
    """Patient id → where each of the readers is known; empty where nobody is told."""
    found = recipients_for({visit.patient for visit in visits}, notification_type=NotificationType.REMINDER)
    return {
        patient_id: set() if isinstance(readers, str) else {one.phone or one.email for one in readers}
        for patient_id, readers in found.items()
    }


def holds(news: FamilyNews, row: FamilyVisit) -> bool:
    """The visit is as it was told, and still to come. Who has confirmed is told that, not that it was booked."""
    visit = row.appointment
    states = TOLD_AS_BOOKED if news.kind == News.BOOKED else AWAITED
    return visit.version == row.version and visit.status in states and visit.starts_at > timezone.now()
