"""Other devices on which the demo's staff are signed in, for the list on their account page.

The sessions hold nothing, so their keys open nothing; and the keys come from the system's own dice, not from the build's.
"""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.utils.crypto import get_random_string

from core.management.demo_data.build import Build
from core.models import Role, Session
from core.sessions import SessionStore

_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/604.1",
)


def build_devices(build: Build) -> None:
    """A desk's computer for everybody, and a telephone for admins and providers."""
    empty = SessionStore().encode({})
    began = build.now - dt.timedelta(hours=3)
    Session.objects.bulk_create(
        Session(
            session_key=get_random_string(32, "abcdefghijklmnopqrstuvwxyz0123456789"),
            session_data=empty,
            expire_date=began + dt.timedelta(seconds=settings.SESSION_COOKIE_AGE),
            user=user,
            user_agent=agent,
            created_at=began + dt.timedelta(minutes=11 * number),
            last_seen_at=build.now - dt.timedelta(minutes=25 + 40 * number),
        )
        for user in build.users.values()
        for number, agent in enumerate(_AGENTS[: 1 if user.role == Role.FRONT_DESK else 2])
        if user.role != Role.PATIENT
    )
