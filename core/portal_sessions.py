"""The sessions of the patient's own view: short, of one clinic group, and of no ``User``.

The cookie holds a random key, signed; the row knows only its hash. What a session may see is asked of the files at each
page (``core.portal_people``). Must never import anything of the other apps.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
import uuid

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from core import audit
from core.errors import DomainError
from core.models import PortalSession
from core.portal_people import OpenFile

# MOH: signed out by itself after half an hour; and at the end of a day in any case.
IDLE = dt.timedelta(minutes=30)
LIFE = dt.timedelta(hours=8)
# Often enough for the half hour, and no write for every page.
SEEN_EVERY = dt.timedelta(minutes=1)
MAX_WRONG_DATES = 5
_SALT = "core.portal.session"


def cookie_name() -> str:
    """Browsers take ``__Host-`` only over https, and then from nobody but this very host."""
    return "__Host-me" if settings.SESSION_COOKIE_SECURE else "me"


def begin(*, tenant_id: uuid.UUID, address: str, agent: str) -> tuple[PortalSession, str]:
    """A new session and its key. Nothing of an older one is taken over."""
    now = timezone.now()
    key = secrets.token_urlsafe(32)
    session = PortalSession.objects.create(
        key_hash=_hash(key),
        tenant_id=tenant_id,
        address=address,
        user_agent=agent[:200],
        created_at=now,
        last_seen_at=now,
    )
    return session, key


def set_cookie(response: HttpResponse, key: str) -> None:
    response.set_cookie(
        cookie_name(),
        signing.Signer(salt=_SALT).sign(key),
        path="/",
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def forget_cookie(response: HttpResponse) -> None:
    response.delete_cookie(cookie_name(), path="/", samesite="Lax")


def of(request: HttpRequest) -> PortalSession | None:
    """The session of this browser, while it lives; and notes that somebody is there."""
    try:
        key = signing.Signer(salt=_SALT).unsign(request.COOKIES.get(cookie_name(), ""))
    except signing.BadSignature:
        return None
    now = timezone.now()
    session = _alive(now).select_related("tenant").filter(key_hash=_hash(key), tenant__is_active=True).first()
    if session is not None and now - session.last_seen_at >= SEEN_EVERY:
        session.last_seen_at = now
        PortalSession.objects.filter(pk=session.pk).update(last_seen_at=now)
    return session


def end(session: PortalSession) -> None:
    PortalSession.objects.filter(pk=session.pk, ended_at=None).update(ended_at=timezone.now())


def end_for_address(tenant_id: uuid.UUID, address: str) -> int:
    """The address is in other hands: whoever has signed in with it is out from the next page on."""
    rows = PortalSession.objects.filter(tenant=tenant_id, address=address, ended_at=None)
    return rows.update(ended_at=timezone.now())


@transaction.atomic
def choose(*, session: PortalSession, file: OpenFile, birth_date: dt.date | None = None) -> None:
    """Opens one of the files. Where several people share the address, an adult's needs the birth date that is in it.

    Raises ``DomainError``; after five wrong dates the session is over. The tenant's scope is open.
    """
    session = PortalSession.objects.select_for_update().get(pk=session.pk)
    is_proven = str(file.patient.pk) in session.proven
    if file.needs_birth_date and not is_proven:
        if birth_date != file.patient.birth_date:
            raise WrongBirthDate(session)
        session.proven = [*session.proven, str(file.patient.pk)]
    session.patient = file.patient
    session.save(update_fields=["patient", "proven"])
    audit.record(
        tenant_id=session.tenant_id,
        actor=None,
        action="portal.signed_in",
        obj=file.patient,
        after={"by": file.reader.partition(":")[0]},
    )


class WrongBirthDate(DomainError):
    """The date does not fit. ``count`` it outside the transaction that it undoes."""

    def __init__(self, session: PortalSession) -> None:
        super().__init__(_("This is not the date of birth in the file."), code="birth_date_wrong")
        self.session = session


def count_wrong_date(session: PortalSession) -> bool:
    """One more; True when it was one too many and the session is over."""
    rows = PortalSession.objects.filter(pk=session.pk)
    rows.update(wrong_dates=F("wrong_dates") + 1)
    return bool(rows.filter(wrong_dates__gte=MAX_WRONG_DATES, ended_at=None).update(ended_at=timezone.now()))


def is_open(session: PortalSession, file: OpenFile) -> bool:
    """The file that was chosen, and still may be: a phone that is shared since then asks for the date again."""
    if session.patient_id != file.patient.pk:
        return False
    return not file.needs_birth_date or str(file.patient.pk) in session.proven


def forget(now: dt.datetime) -> int:
    """Deletes sessions that are over; returns how many."""
    return PortalSession.objects.filter(
        Q(last_seen_at__lte=now - LIFE) | Q(ended_at__lte=now - LIFE) | Q(created_at__lte=now - 2 * LIFE)
    ).delete()[0]


def _alive(now: dt.datetime) -> QuerySet[PortalSession]:
    return PortalSession.objects.filter(ended_at=None, last_seen_at__gt=now - IDLE, created_at__gt=now - LIFE)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
