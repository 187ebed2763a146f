"""Is beat alive? It starts all that looks after the rest, so that a worker has to look after it.

Every worker rings for the check from a timer of its own (``agdar/life.py``). Several look at once: the database lets
one of them open the incident, and one close it.
"""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from core.health import SILENCE_ALLOWED
from core.models import Heartbeat
from integrations import incidents
from integrations.incidents import Kind

# ``/readyz`` says so after SILENCE_ALLOWED, and who runs the house restarts it then: people hear of what this has not
# mended.
TOLD_AFTER = SILENCE_ALLOWED + dt.timedelta(seconds=30)


def watch() -> bool | None:
    """Begins the incident of a silent beat, or ends it. True: began, False: ended, None: nothing has changed."""
    signs = dict(Heartbeat.objects.values_list("name", "at"))
    # One that was never started is silent since the first worker was: a worker gives a sign at its start, and after
    # that only when beat asks for it.
    last = signs.get("beat") or signs.get("worker")
    if last is None:
        return None
    now = timezone.now()
    there = incidents.open_ones(Kind.BEAT).first()
    if now - last > TOLD_AFTER:
        began = there is None and incidents.begin(Kind.BEAT, since=last)
        return True if began else None
    if there is None or "beat" not in signs:
        return None
    # Its last sign was before the silence was seen, or is the first after it: near enough to the end.
    return False if incidents.end(there, at=max(last, there.started_at)) else None
