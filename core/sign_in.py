"""Between the right password and a session: the note that waits for the code, and browsers that need none for a while.

The note lies in a session without a user, so whoever holds that session's cookie has nothing but the page for the code.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import authenticate, login
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from core import second_factor
from core.accounts import may_sign_in
from core.models import User

_NOTE = "waits_for_code"
# Long enough to find the phone.
NOTE_LIFE = dt.timedelta(minutes=10)
TRUST_LIFE = dt.timedelta(days=30)
_SALT = "core.sign_in.trust"
BACKEND = "core.auth.AccountBackend"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody who has shown the right password. ``target``: where they want to go, checked already; may be empty."""

    user: User
    target: str


def begin(request: HttpRequest, user: User, target: str) -> None:
    """Writes the note into a fresh session: nothing of the one before is taken over."""
    request.session.flush()
    request.session[_NOTE] = {
        "user": str(user.pk),
        "hash": user.get_session_auth_hash(),
        "at": timezone.now().isoformat(),
        "target": target,
    }


def waiting(request: HttpRequest) -> Waiting | None:
    """Who waits in this session; None when nobody does, or when they have waited too long, left, or changed their password."""
    told = request.session.get(_NOTE)
    if told is None:
        return None
    is_late = timezone.now() - dt.datetime.fromisoformat(told["at"]) > NOTE_LIFE
    user = User.accounts.select_related("tenant").filter(pk=uuid.UUID(told["user"])).first()
    if (
        is_late
        or user is None
        or not may_sign_in(user)
        or not constant_time_compare(told["hash"], user.get_session_auth_hash())
    ):
        del request.session[_NOTE]
        return None
    return Waiting(user, told["target"])


def finish(request: HttpRequest, who: Waiting) -> None:
    """Signs them in; the session gets another key."""
    del request.session[_NOTE]
    login(request, who.user, backend=BACKEND)


def is_own_password(request: HttpRequest, user: User, password: str) -> bool:
    """For acts that need it once more. Wrong ones count like those at the sign-in page, and close the same door."""
    found = authenticate(request, username=user.email, password=password)
    return found is not None and found.pk == user.pk


# --- browsers that are remembered ------------------------------------------------------------------------------------


def trust(response: HttpResponse, user: User) -> None:
    """This browser needs no code for 30 days, unless password, app or the person say otherwise before."""
    response.set_cookie(
        _cookie(user),
        signing.TimestampSigner(salt=_SALT).sign(second_factor.trust_of(user)),
        max_age=TRUST_LIFE,
        path="/sign-in/",
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def is_trusted(request: HttpRequest, user: User) -> bool:
    try:
        told = signing.TimestampSigner(salt=_SALT).unsign(request.COOKIES.get(_cookie(user), ""), max_age=TRUST_LIFE)
    except signing.BadSignature:
        return False
    return constant_time_compare(told, second_factor.trust_of(user))


def _cookie(user: User) -> str:
    # One for each person: a desk's computer has several.
    return f"trust_{user.pk.hex[:12]}"
