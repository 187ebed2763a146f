"""Where a message goes that is due in a quiet time (pure: no queries, no clock of its own).

    later      to the end of the quiet time, while its least lead before the start still holds
    earlier    else to the last minute before the quiet time, if that is not before ``not_before``
    nowhere    else: the caller says so with ``Reason.QUIET_DROPPED``, nothing is lost silently

A quiet time is half open: with 22:00 to 08:00 a message at 08:00 goes. 06:30 the next day, 24 hours ahead → 08:00 the day
before; 2 hours ahead → 21:59 the evening before.
"""

from __future__ import annotations

import datetime as dt

from notifications.quiet import Schedule, quiet_since, quiet_until

_MINUTE = dt.timedelta(minutes=1)


def shift(
    due: dt.datetime,
    start: dt.datetime | None,
    quiet: Schedule,
    min_lead: dt.timedelta,
    not_before: dt.datetime | None,
) -> dt.datetime | None:
    """The moment (UTC) at which it goes, or None.

    ``start``: what it is about begins then; None: about nothing that begins, so it can always wait. ``not_before``: the
    moment of the booking when planned, now when it is about to be sent; None: no earlier time will do.
    """
    due = due.astimezone(dt.UTC)
    until = quiet_until(quiet, due)
    if until is None:
        return due
    if start is None or start - until >= min_lead:
        return until
    if not_before is None:
        return None
    began = quiet_since(quiet, due)
    earlier = began - _MINUTE
    # A loud gap shorter than a minute between two quiet times is no time to write to somebody.
    if earlier < not_before or quiet_until(quiet, earlier) is not None:
        return None
    return earlier
