"""Quiet time in plain words, as the preferences page says it while somebody is choosing. No queries."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from core.clocks import weekday
from core.models import Holiday
from core.templatetags.agdar_ui import clock_text, day_text
from notifications import quiet
from notifications.quiet import Schedule

_DAY = dt.timedelta(days=1)
_WEEK = 7


@dataclass(frozen=True, slots=True)
class QuietWords:
    """``now`` is the sentence that counts; ``more`` says what the calendar adds to it."""

    is_quiet: bool
    now: str
    more: tuple[str, ...] = ()


def quiet_words(schedule: Schedule, holidays: Iterable[Holiday], now: dt.datetime) -> QuietWords:
    """``holidays`` are those of the person's place, in the order of their days."""
    zone = schedule.zone
    end = quiet.quiet_until(schedule, now)
    is_quiet = end is not None
    if end is not None:
        first = _("Quiet now until %(end)s.") % {"end": when(end, zone, now)}
    else:
        following = quiet.next_quiet(schedule, now)
        if following is None:
            return QuietWords(is_quiet=False, now=_("Never quiet: you are told at any time."))
        start, end = following
        first = _("Not quiet now. The next quiet time is from %(start)s until %(end)s.") % {
            "start": when(start, zone, now),
            "end": when(end, zone, now),
        }
    more = (_weekend(schedule, now, end), _holiday(schedule, holidays, now, end), _ramadan(schedule, now))
    return QuietWords(is_quiet=is_quiet, now=first, more=tuple(sentence for sentence in more if sentence))


def when(moment: dt.datetime, zone: zoneinfo.ZoneInfo, now: dt.datetime) -> str:
    """“22:00 today”, “07:00 tomorrow”, “Sunday 07:00”, and from a week on the date."""
    time = clock_text(moment, zone)
    days = (moment.astimezone(zone).date() - now.astimezone(zone).date()).days
    if days == 0:
        return _("%(time)s today") % {"time": time}
    if days == 1:
        return _("%(time)s tomorrow") % {"time": time}
    if days < _WEEK:
        return _("%(weekday)s %(time)s") % {"weekday": weekday(moment.astimezone(zone).weekday()), "time": time}
    return _("%(day)s, %(time)s") % {"day": day_text(moment, zone), "time": time}


def weekdays(numbers: Sequence[int]) -> str:
    """“Friday and Saturday”, in the order of a week that begins on Sunday."""
    *others, last = [weekday(number) for number in sorted(numbers, key=lambda one: (one + 1) % _WEEK)]
    if not others:
        return last
    # One sentence for the translator: Arabic writes its “and” together with the next word.
    return _("%(days)s and %(last)s") % {"days": _(", ").join(others), "last": last}


def days(first: dt.date, last: dt.date) -> str:
    """“Wed 18 Feb – Thu 19 Mar”, or the one day."""
    return day_text(first) if first == last else f"{day_text(first)} – {day_text(last)}"


def _weekend(schedule: Schedule, now: dt.datetime, told: dt.datetime) -> str:
    """Empty when the first sentence has ``told`` the same end."""
    if not schedule.weekdays:
        return ""
    day = now.astimezone(schedule.zone).date()
    while day.weekday() not in schedule.weekdays:
        day += _DAY
    until = _end_of(schedule, day, now)
    if until is None or until == told:
        return ""
    return _("On weekends you hear nothing until %(end)s.") % {"end": when(until, schedule.zone, now)}


def _holiday(schedule: Schedule, holidays: Iterable[Holiday], now: dt.datetime, told: dt.datetime) -> str:
    today = now.astimezone(schedule.zone).date()
    found = next((one for one in holidays if one.last_day >= today), None)
    if not schedule.holidays or found is None:
        return ""
    until = _end_of(schedule, found.first_day, now)
    if until is None or until == told:
        return ""
    return _("%(holiday)s: quiet until %(end)s.") % {"holiday": found.name, "end": when(until, schedule.zone, now)}


def _end_of(schedule: Schedule, day: dt.date, now: dt.datetime) -> dt.datetime | None:
    """When the quiet time ends that holds on that day, or now if it has begun."""
    return quiet.quiet_until(schedule, max(now, quiet.moment(schedule.zone, dt.datetime.combine(day, dt.time()))))


def _ramadan(schedule: Schedule, now: dt.datetime) -> str:
    month = quiet.ramadan_near(now.astimezone(schedule.zone).date())
    if schedule.ramadan_window is None or month is None:
        return ""
    start, end = schedule.ramadan_window
    return _("In Ramadan (%(days)s) quiet from %(start)s until %(end)s instead.") % {
        "days": days(*month),
        "start": f"{start:%H:%M}",
        "end": f"{end:%H:%M}",
    }
