"""The calendar entry of a visit, or of a series of visits, as an .ics file (RFC 5545, RFC 5546).

Calendars find an entry again by its UID, which is the visit's id for all its life, and believe the highest SEQUENCE.
Each version of a visit has two numbers, one for the entry and the next for its cancellation, so that a cancellation
beats its entry and a visit that was taken back beats its cancellation. No counter is kept: the number follows from the
version, so the same version gives the same number however often it is written.

A calendar is shared: with a family, with an employer, with whoever looks at a phone. So an entry holds no link (who has
it may cancel the visit), no department, no provider, and at a sensitive place no name at all. Makes no query when the visit
has its people and place joined.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from email.utils import parseaddr
from enum import StrEnum
from typing import cast

from django.conf import settings
from django.utils import timezone
from icalendar import Calendar, Event, vCalAddress, vText

from appointments.models import Appointment, Series
from core import discretion, phone
from core.models import Patient
from core.models.tenant import in_language

S = Appointment.Status

# Says what it is and not whose: a file name is read on a lock screen and in a list of downloads.
FILE_NAME = "appointment.ics"
_PRODUCT = "-//Agdar//Appointments//EN"
# Outlook and Apple's calendar write so where somebody has no address.
_NOBODY = "invalid:nomail"
_GONE = frozenset({S.CANCELLED, S.ENTERED_IN_ERROR, S.NO_SHOW})


class Method(StrEnum):
    """What a mail program shall do with it (RFC 5546)."""

    REQUEST = "REQUEST"
    CANCEL = "CANCEL"


def method_of(appointment: Appointment) -> Method:
    """What the visit's state asks of a calendar."""
    return Method.CANCEL if appointment.status in _GONE else Method.REQUEST


def sequence_of(appointment: Appointment, method: str) -> int:
    return 2 * (appointment.version - 1) + (method == Method.CANCEL)


def ics_for(appointment: Appointment, method: str, *, language: str = "en", attendee: str = "") -> bytes:
    """One visit; of a series the one occurrence, so that the others stay where they are.

    ``attendee``: the address of who gets it, without which mail programs show no invitation.
    """
    calendar = _calendar(method)
    series, planned = appointment.series, appointment.series_start
    if series is None or planned is None:
        sequence = sequence_of(appointment, method)
        calendar.add_component(_event(appointment, method, language, attendee, str(appointment.pk), sequence))
    else:
        sequence = series_sequence(series, list(series.visits.all()))
        event = _event(appointment, method, language, attendee, str(series.pk), sequence)
        # On the clock of the rule, by which a calendar finds it, wherever the visit is now.
        event.add("recurrence-id", timezone.localtime(planned, series.location.zone))
        calendar.add_component(event)
    return _written(calendar)


def ics_for_series(
    series: Series, visits: Sequence[Appointment], method: str, *, language: str = "en", attendee: str = ""
) -> bytes:
    """A whole series: one entry with a rule, one more for each visit that is not where the rule has it.

    ``visits``: all of it in their order, the cancelled ones too, people and place joined.
    """
    zone = series.location.zone
    sequence = series_sequence(series, visits) + (method == Method.CANCEL)
    calendar = _calendar(method)
    master = _event(visits[0], method, language, attendee, str(series.pk), sequence)
    for name in ("DTSTART", "DTEND", "STATUS"):
        master.pop(name)
    start = timezone.localtime(series.first_starts_at, zone)
    master.add("dtstart", start)
    # The length is elapsed time: reckoned in UTC, since the clock may change meanwhile.
    master.add("dtend", timezone.localtime(series.first_starts_at.astimezone(dt.UTC) + series.duration, zone))
    master.add("rrule", {"freq": "weekly", "count": series.count})
    master.add("status", _status(method, is_confirmed=all(visit.status == S.CONFIRMED for visit in visits)))
    calendar.add_component(master)
    if method == Method.REQUEST:
        planned = [(visit, timezone.localtime(visit.series_start or visit.starts_at, zone)) for visit in visits]
        if gone := [moment for visit, moment in planned if method_of(visit) is Method.CANCEL]:
            master.add("exdate", gone)
        for visit, moment in planned:
            is_elsewhere = visit.starts_at != moment or visit.ends_at - visit.starts_at != series.duration
            if is_elsewhere and method_of(visit) is Method.REQUEST:
                event = _event(visit, method, language, attendee, str(series.pk), sequence)
                event.add("recurrence-id", moment)
                calendar.add_component(event)
    return _written(calendar)


def series_sequence(series: Series, visits: Iterable[Appointment]) -> int:
    """Grows with each change of the whole and of any visit: an occurrence is never older than the rule it is part of.

    A patient who stayed away adds nothing: that may be put right within one version, and the number would fall.
    """
    return 2 * (series.version - 1) + sum(
        sequence_of(visit, Method.REQUEST if visit.status == S.NO_SHOW else method_of(visit)) for visit in visits
    )


def summary_of(appointment: Appointment, language: str) -> str:
    """What stands in the calendar. At a sensitive place: that there is something, and nothing else."""
    names = discretion.names_for(appointment.tenant, appointment.location)
    if names.is_discreet:
        return in_language("Appointment", "موعد", language)
    who = short_name(appointment.patient, language)
    clinic = names.clinic.name_in(language)
    return in_language(f"Appointment for {who}, {clinic}", f"موعد {who}، {clinic}", language)


def short_name(patient: Patient, language: str) -> str:
    """“Sara M.”: enough for a mother of three, too little for a stranger."""
    words = patient.name_in(language).split()
    if len(words) < 2:
        return " ".join(words)
    last = words[-1].removeprefix("Al-").removeprefix("al-").removeprefix("ال") or words[-1]
    return f"{words[0]} {last[0].upper()}."


def _calendar(method: str) -> Calendar:
    calendar = Calendar()
    calendar.add("prodid", _PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", str(method))
    return calendar


def _event(
    appointment: Appointment,
    method: str,
    language: str,
    attendee: str,
    uid: str,
    sequence: int,
) -> Event:
    location = appointment.location
    event = Event()
    event.add("uid", uid)
    event.add("sequence", sequence)
    event.add("dtstamp", timezone.now().astimezone(dt.UTC))
    event.add("last-modified", appointment.updated_at.astimezone(dt.UTC))
    event.add("dtstart", appointment.local_start)
    event.add("dtend", appointment.local_end)
    event.add("summary", summary_of(appointment, language), parameters={"LANGUAGE": language})
    event.add("status", _status(method, is_confirmed=appointment.status == S.CONFIRMED))
    event.add("class", "PRIVATE")
    event.add("transp", "OPAQUE")
    if not discretion.is_discreet(location):
        place = [location.name_in(language), location.address_in(language)]
        event.add("location", ", ".join(part for part in place if part), parameters={"LANGUAGE": language})
        if location.phone:
            event.add("description", phone.display(location.phone))
    event.add("organizer", _organizer(appointment, language))
    event.add("attendee", _attendee(appointment, method, attendee))
    return event


def _status(method: str, *, is_confirmed: bool) -> str:
    if method == Method.CANCEL:
        return "CANCELLED"
    return "CONFIRMED" if is_confirmed else "TENTATIVE"


def _organizer(appointment: Appointment, language: str) -> vCalAddress:
    """The address that the mail comes from: mail programs take changes from nobody else."""
    _name, address = parseaddr(appointment.location.email_sender or str(settings.DEFAULT_FROM_EMAIL))
    organizer = vCalAddress(f"mailto:{address}" if address else _NOBODY)
    names = discretion.names_for(appointment.tenant, appointment.location)
    organizer.params["CN"] = vText(names.clinic.name_in(language))
    return organizer


def _attendee(appointment: Appointment, method: str, address: str) -> vCalAddress:
    person = vCalAddress(f"mailto:{address}" if address else _NOBODY)
    person.params["ROLE"] = vText("REQ-PARTICIPANT")
    accepted = appointment.status == S.CONFIRMED and method == Method.REQUEST
    person.params["PARTSTAT"] = vText("ACCEPTED" if accepted else "NEEDS-ACTION")
    # Answers come by the link: nobody reads what a calendar would send back.
    person.params["RSVP"] = vText("FALSE")
    return person


def _written(calendar: Calendar) -> bytes:
    calendar.add_missing_timezones()
    return cast("bytes", calendar.to_ical())
