"""What a demo clinic has decided on its settings page: opening hours, this year's Ramadan. The rest is left to try out."""

from __future__ import annotations

import datetime as dt

from appointments.models import ReminderTiming
from core.management.demo_data.build import Build
from core.models import Location, TenantSettings

# Umm al-Qura's Ramadans; the next one that is not over is written down.
_RAMADANS = (
    (dt.date(2026, 2, 18), dt.date(2026, 3, 19)),
    (dt.date(2027, 2, 8), dt.date(2027, 3, 9)),
    (dt.date(2028, 1, 28), dt.date(2028, 2, 25)),
    (dt.date(2029, 1, 16), dt.date(2029, 2, 13)),
)
_DAY, _SHORT_DAY, _RAMADAN = ["08:00", "20:00"], ["14:00", "20:00"], ["10:00", "16:00"]


def build_rules(build: Build) -> None:
    """The second location's hours are missing, so that the overview has something to say."""
    place = build.locations[0]
    place.opening_hours = [_hours(place, day, _DAY) for day in range(7)]
    place.ramadan_hours = [_hours(place, day, _RAMADAN) for day in range(7)]
    place.save(update_fields=["opening_hours", "ramadan_hours"])
    coming = next((span for span in _RAMADANS if span[1] >= build.today), None)
    TenantSettings.objects.create(
        id=build.new_id(),
        tenant=build.tenant,
        ramadan_from=coming[0] if coming else None,
        ramadan_until=coming[1] if coming else None,
    )
    # Who tries the demo out books a visit and looks at the phone: nothing rests here. Everywhere else it is three minutes.
    ReminderTiming.objects.filter(tenant=build.tenant).delete()
    ReminderTiming.objects.create(id=build.new_id(), tenant=build.tenant, undo_minutes=0)


def _hours(place: Location, day: int, usual: list[str]) -> list[str] | None:
    """Closed on the weekend, but for an afternoon where it has one day only."""
    if day not in place.weekend:
        return usual
    return None if day == 4 else _SHORT_DAY
