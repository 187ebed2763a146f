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
from core.models import Patient, PortalGuess, PortalSession
from core.portal_people import OpenFile
from core.selectors import zone_of_tenant

# MOH: signed out by itself after half an hour; and at the end of a day in any case.
IDLE = dt.timedelta(minutes=30)
LIFE = dt.timedelta(hours=8)
# Often enough for the half hour, and no write for every page.
SEEN_EVERY = dt.timedelta(minutes=1)
MAX_WRONG_DATES = 5
# Of one file in a day, over all sessions: each code that is asked for begins a new one.
MAX_WRONG_DATES_A_DAY = 10
GUESSES_KEPT = dt.timedelta(days=7)
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


def choose(*, session: PortalSession, file: OpenFile, birth_date: dt.date | None = None) -> None:
    """Opens one of the files. Where several people share the address, an adult's needs the birth date that is in it.

    Raises ``DomainError``; after five wrong dates the session is over, after ten in a day no date opens the file until
    the next, and the desk helps. The tenant's scope is open.
    """
    is_new = file.needs_birth_date and str(file.patient.pk) not in session.proven
    if is_new:
        _prove(session, file.patient, birth_date)
    _open(session, file, is_new=is_new)


def _prove(session: PortalSession, patient: Patient, birth_date: dt.date | None) -> None:
    """The try is counted before anything is told, and outside of what a refusal undoes: many at once are as many as
    they are. Whether the date was wrong or the file's tries are used up is not told.
    """
    rows = PortalSession.objects.filter(pk=session.pk, ended_at=None)
    if not rows.filter(wrong_dates__lt=MAX_WRONG_DATES).update(wrong_dates=F("wrong_dates") + 1):
        raise WrongBirthDate(is_over=True)
    if _is_right(patient, birth_date):
        rows.update(wrong_dates=F("wrong_dates") - 1)
        return
    is_over = rows.filter(wrong_dates__gte=MAX_WRONG_DATES).update(ended_at=timezone.now())
    raise WrongBirthDate(is_over=bool(is_over))


def _is_right(patient: Patient, birth_date: dt.date | None) -> bool:
    """Counted for the file first as well; never right once its tries of the day are used up."""
    today = timezone.localdate(timezone=zone_of_tenant())
    guess, _is_new = PortalGuess.objects.get_or_create(tenant_id=patient.tenant_id, patient=patient, day=today)
    mine = PortalGuess.objects.filter(pk=guess.pk)
    if not mine.filter(wrong__lt=MAX_WRONG_DATES_A_DAY).update(wrong=F("wrong") + 1):
        return False
    if birth_date == patient.birth_date:
        mine.update(wrong=F("wrong") - 1)
        return True
    if mine.filter(wrong=MAX_WRONG_DATES_A_DAY).exists():
        # Who is told by the patient that their own date does not help finds out why.
        audit.record(tenant_id=patient.tenant_id, actor=None, action="portal.dates_used_up", obj=patient)
    return False


@transaction.atomic
def _open(session: PortalSession, file: OpenFile, *, is_new: bool) -> None:
    session = PortalSession.objects.select_for_update().get(pk=session.pk)
    if is_new:
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
    """The date does not fit. ``is_over``: it was one too many, and the session has ended."""

    def __init__(self, *, is_over: bool) -> None:
        super().__init__(_("This is not the date of birth in the file."), code="birth_date_wrong")
        self.is_over = is_over


def is_open(session: PortalSession, file: OpenFile) -> bool:
    """The file that was chosen, and still may be: a phone that is shared since then asks for the date again."""
    if session.patient_id != file.patient.pk:
        return False
    return not file.needs_birth_date or str(file.patient.pk) in session.proven


def forget(now: dt.datetime) -> int:
    """Deletes sessions that are over, and counts of days long past; returns how many sessions."""
    PortalGuess.objects.filter(day__lt=(now - GUESSES_KEPT).date()).delete()
    return PortalSession.objects.filter(
        Q(last_seen_at__lte=now - LIFE) | Q(ended_at__lte=now - LIFE) | Q(created_at__lte=now - 2 * LIFE)
    ).delete()[0]


def _alive(now: dt.datetime) -> QuerySet[PortalSession]:
    return PortalSession.objects.filter(ended_at=None, last_seen_at__gt=now - IDLE, created_at__gt=now - LIFE)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
