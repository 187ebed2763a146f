"""What goes out with an email about a visit beside its words: the calendar entry, and no letterhead that names the place.

Registered at start; see ``integrations/enclosures.py``. Two queries for a whole batch.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db.models import Q

from appointments import calendar_file
from appointments.calendar_file import Method
from appointments.models import AbsenceVisit, Appointment, FamilyNews, FamilyVisit, ProviderAbsence, Series
from core import discretion
from core.models import Location
from integrations import enclosures
from integrations.sms_providers import CalendarFile
from notifications.models import Message, NotificationEvent
from notifications.states import NEVER_LEFT, Channel

# The news that change a calendar. A reminder changes nothing, so it brings no entry that would have to be answered.
PUTS_ENTRY = frozenset({"appointment.booked", "appointment.confirmed", "appointment.rescheduled"})
_WITH_ENTRY = PUTS_ENTRY | {"appointment.cancelled", "appointment.entered_in_error"}
Fields = dict[str, Any]


def register() -> None:
    enclosures.register(Appointment._meta.label_lower, of_visits)
    enclosures.register(Series._meta.label_lower, of_series)
    enclosures.register(ProviderAbsence._meta.label_lower, of_absences)
    enclosures.register(FamilyNews._meta.label_lower, of_family_news)


def of_visits(messages: Sequence[Message]) -> Mapping[uuid.UUID, Mapping[str, Any]]:
    emails = _emails(messages)
    if not emails:
        return {}
    keys = _event_keys(emails)
    rows = Appointment.objects.filter(pk__among=list({email.object_id for email in emails}))
    visits = {row.pk: row for row in rows.select_related("tenant", "patient", "location", "series__location")}
    found: dict[uuid.UUID, Fields] = {}
    for email in emails:
        visit = visits.get(email.object_id) if email.object_id is not None else None
        if visit is None:
            continue
        fields = _plain_paper(visit.location)
        if keys.get(email.event_id) in _WITH_ENTRY:
            method = calendar_file.method_of(visit)
            content = calendar_file.ics_for(visit, method, language=email.language, attendee=email.recipient)
            fields["calendars"] = (CalendarFile(method.value, content, calendar_file.FILE_NAME),)
        found[email.pk] = fields
    return found


def is_in_a_calendar(visit: Appointment) -> bool:
    """A letter has left that put the visit, alone or with its series, into a calendar."""
    about = [visit.pk] if visit.series_id is None else [visit.pk, visit.series_id]
    letters = Message.objects.filter(object_id__in=about, channel=Channel.EMAIL, patient__isnull=False)
    with_entry = Q(event__key__in=PUTS_ENTRY) | Q(object_type=Series._meta.label_lower)
    return letters.filter(with_entry).exclude(status__in=NEVER_LEFT).exists()


def of_series(messages: Sequence[Message]) -> Mapping[uuid.UUID, Mapping[str, Any]]:
    """Every email about a whole series brings the whole series. A clinic books few at once: three queries each."""
    found: dict[uuid.UUID, Fields] = {}
    for email in _emails(messages):
        if email.object_id is None:
            continue
        series = Series.objects.select_related("location").filter(pk=email.object_id).first()
        if series is None:
            continue
        fields = _plain_paper(series.location)
        visits = list(
            series.visits.select_related("tenant", "patient", "location", "series").order_by("series_start", "pk")
        )
        if visits:
            is_over = all(calendar_file.method_of(visit) is Method.CANCEL for visit in visits)
            method = Method.CANCEL if is_over else Method.REQUEST
            content = calendar_file.ics_for_series(
                series, visits, method, language=email.language, attendee=email.recipient
            )
            fields["calendars"] = (CalendarFile(method.value, content, calendar_file.FILE_NAME),)
        found[email.pk] = fields
    return found


def of_absences(messages: Sequence[Message]) -> Mapping[uuid.UUID, Mapping[str, Any]]:
    """A letter that calls off the visits of a family takes each of them out of the calendar."""
    emails = _emails(messages)
    if not emails:
        return {}
    events = NotificationEvent.objects.filter(pk__among=list({email.event_id for email in emails if email.event_id}))
    families: dict[uuid.UUID | None, int] = dict(events.values_list("pk", "payload__family"))
    rows = AbsenceVisit.objects.filter(
        absence__among=list({email.object_id for email in emails}), outcome=AbsenceVisit.Outcome.CANCELLED
    )
    joined = (f"appointment__{name}" for name in ("tenant", "patient", "location", "series__location"))
    told: dict[tuple[uuid.UUID | None, int | None], list[Appointment]] = defaultdict(list)
    for row in rows.select_related(*joined).order_by("appointment__starts_at", "pk"):
        # What was taken back meanwhile is in the words no more.
        if calendar_file.method_of(row.appointment) is Method.CANCEL:
            told[row.absence_id, row.family].append(row.appointment)
    found: dict[uuid.UUID, Fields] = {}
    for email in emails:
        visits = told[email.object_id, families.get(email.event_id)]
        found[email.pk] = _plain_paper(*(visit.location for visit in visits))
        found[email.pk]["calendars"] = tuple(_taken_out(visits, email))
    return found


def _taken_out(visits: Sequence[Appointment], email: Message) -> Iterator[CalendarFile]:
    for number, visit in enumerate(visits, 1):
        content = calendar_file.ics_for(visit, Method.CANCEL, language=email.language, attendee=email.recipient)
        name = calendar_file.FILE_NAME if len(visits) == 1 else calendar_file.FILE_NAME.replace(".", f"-{number}.")
        yield CalendarFile(Method.CANCEL.value, content, name)


def of_family_news(messages: Sequence[Message]) -> Mapping[uuid.UUID, Mapping[str, Any]]:
    """Reminders of several visits bring no entries. One of the places may be one that is not named."""
    emails = _emails(messages)
    places: dict[uuid.UUID | None, list[Location]] = defaultdict(list)
    rows = FamilyVisit.objects.filter(news__among=list({email.object_id for email in emails}))
    for row in rows.select_related("appointment__location") if emails else ():
        places[row.news_id].append(row.appointment.location)
    return {email.pk: _plain_paper(*places[email.object_id]) for email in emails}


def _emails(messages: Sequence[Message]) -> list[Message]:
    return [message for message in messages if message.channel == Channel.EMAIL]


def _plain_paper(*locations: Location) -> Fields:
    """The letterhead has the clinic's name, logo and address, and so does what counts openings on its host."""
    return {"letterhead": None} if any(map(discretion.is_discreet, locations)) else {}


def _event_keys(emails: Sequence[Message]) -> dict[uuid.UUID | None, str]:
    rows = NotificationEvent.objects.filter(pk__among=list({email.event_id for email in emails if email.event_id}))
    return dict(rows.values_list("pk", "key"))
