"""The second step at sign-in: a code from an authenticator app (TOTP, RFC 6238), or a recovery code. Both are django-otp's.

Between the right password and the right code a session knows who wants to come in, but belongs to nobody: its row has no
user, so that no page, no fragment and no poll takes it for a sign-in. Only ``core.views.account`` reads the note.

Secrets are sealed (``core.models.Authenticator``), recovery codes are stored as keyed digests.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django_otp.models import ThrottlingMixin
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken

from core.access import Can
from core.account_letters import letter_queue
from core.accounts import note
from core.errors import DomainError
from core.models import AccountLetter, Authenticator, Role, User
from core.permissions import demand
from core.secrets import SecretUnreadable, seal, unseal
from core.selectors import western_digits
from core.sessions import end_sessions

RECOVERY_CODES = 10
# No letters or digits that look alike on paper; 50 bits together.
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
_CODE_LETTERS = 10
# The wait doubles with each wrong code, up to 17 minutes: 85 guesses a day at six digits, and no lock for ever.
_MOST_FAILURES = 11
# From this many on it is worth a line in the audit trail.
_SUSPICIOUS = 5
_STEP, _DIGITS, _TOLERANCE = 30, 6, 1


def is_required(user: User) -> bool:
    """Of admins, when their clinic group says so; of the platform's own accounts, when the settings do."""
    if user.tenant is None:
        return bool(settings.SUPPORT_REQUIRES_SECOND_FACTOR)
    return user.role == Role.ADMIN and user.tenant.requires_second_factor


def is_on(user: User) -> bool:
    return user.second_factor_at is not None


def is_owed(user: User) -> bool:
    """Required and not there: such a person can set it up, and nothing else. Asks no database."""
    return not is_on(user) and is_required(user)


# --- proof -----------------------------------------------------------------------------------------------------------
# A refusal is counted on the device's row, so it is raised after the commit: never call these inside a transaction that
# the error would undo.


def verify(*, user: User, code: str) -> None:
    """Takes a code of the app. Raises DomainError: ``wrong_code``, or ``too_many_codes`` with the wait in words.

    A code is good once, and 30 seconds before and after its time; an app whose clock drifts is followed.
    """
    with transaction.atomic():
        # The row is locked, so that of two requests with one code the second finds it used.
        device = Authenticator.objects.select_for_update().filter(user=user, confirmed=True).first()
        refusal = _wait(device) or (None if _accepts(device, code) else _refusal(user, device))
    if refusal is not None:
        raise refusal


def verify_recovery(*, user: User, code: str) -> int:
    """Takes a recovery code and strikes it out; returns how many are left. Raises like ``verify``."""
    with transaction.atomic():
        device = StaticDevice.objects.select_for_update().filter(user=user, confirmed=True).first()
        refusal = _wait(device) or (None if _accepts_recovery(device, code) else _refusal(user, device))
        left = codes_left(user)
        if refusal is None:
            note(user=user, actor=user, action="second_factor.recovery_used", after={"left": left})
    if refusal is not None:
        raise refusal
    return left


def codes_left(user: User) -> int:
    return int(StaticToken.objects.filter(device__user=user).count())


def _accepts(device: Authenticator | None, code: str) -> bool:
    digits = western_digits(code).replace(" ", "")
    # django-otp would take "+12345" and "1_2_3" for numbers.
    is_code = digits.isascii() and digits.isdigit() and len(digits) == _DIGITS
    try:
        return device is not None and bool(device.verify_token(digits if is_code else ""))
    except SecretUnreadable:
        # Sealed by a key that is gone: only an admin can help, with a reset.
        return False


def _accepts_recovery(device: StaticDevice | None, code: str) -> bool:
    if device is None:
        return False
    digests = _digests(code)
    known = device.token_set.filter(token__in=digests).values_list("token", flat=True).first()
    return bool(device.verify_token(known or digests[0]))


def _wait(device: ThrottlingMixin | None) -> DomainError | None:
    """The refusal of somebody who must wait first, or None."""
    is_allowed, told = device.verify_is_allowed() if device is not None else (True, None)
    if is_allowed or told is None:
        return None
    seconds = max(1, round((told["locked_until"] - timezone.now()).total_seconds()))
    if seconds < 90:
        words = ngettext(
            "There were too many wrong codes. Wait %(count)d second, then try again.",
            "There were too many wrong codes. Wait %(count)d seconds, then try again.",
            seconds,
        ) % {"count": seconds}
    else:
        minutes = -(-seconds // 60)
        words = ngettext(
            "There were too many wrong codes. Wait %(count)d minute, then try again.",
            "There were too many wrong codes. Wait %(count)d minutes, then try again.",
            minutes,
        ) % {"count": minutes}
    return DomainError(words, code="too_many_codes")


def _refusal(user: User, device: ThrottlingMixin | None) -> DomainError:
    if device is not None:
        if device.throttling_failure_count > _MOST_FAILURES:
            type(device).objects.filter(pk=device.pk).update(throttling_failure_count=_MOST_FAILURES)
        if device.throttling_failure_count == _SUSPICIOUS:
            note(user=user, action="second_factor.refused", after={"wrong_codes": _SUSPICIOUS})
    return DomainError(
        _("This code is wrong, or it was used already. Wait for the next one and type that."), code="wrong_code"
    )


# --- setting it up ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A secret on its way to the app. ``sealed`` comes back with the form, so that nothing is kept until it is proved."""

    secret: bytes
    sealed: str

    @property
    def typed(self) -> str:
        """For people without a camera at hand: groups of four letters."""
        text = base64.b32encode(self.secret).decode()
        return " ".join(text[at : at + 4] for at in range(0, len(text), 4))

    def address(self, user: User) -> str:
        """What the QR code says. https://github.com/google/google-authenticator/wiki/Key-Uri-Format"""
        issuer = "Agdar"
        values = {
            "secret": base64.b32encode(self.secret).decode(),
            "issuer": issuer,
            "digits": _DIGITS,
            "period": _STEP,
        }
        return f"otpauth://totp/{quote(f'{issuer}:{user.email}')}?{urlencode(values)}"


def enrolment_begin(user: User) -> Enrolment:
    secret = Authenticator.new_secret()
    sealed = seal(secret, _bound(user))
    return Enrolment(secret, base64.urlsafe_b64encode(sealed).decode())


def enrolment_of(user: User, sealed: str) -> Enrolment | None:
    """The one that a form brings back; None when it is not this person's, or no form of ours made it."""
    try:
        return Enrolment(unseal(base64.urlsafe_b64decode(sealed), _bound(user)), sealed)
    except (SecretUnreadable, ValueError):
        return None


def _bound(user: User) -> bytes:
    # Another purpose than the device's own seal: one cannot stand in for the other.
    return b"enrolment:" + user.pk.bytes


def enable(*, user: User, enrolment: Enrolment, code: str, session_key: str | None) -> list[str]:
    """Turns it on, once the app shows the right code; returns the recovery codes, which nobody can see again.

    The other sessions end: they came in without it. Raises DomainError (``already_on``, ``wrong_code``).
    """
    totp = TOTP(enrolment.secret, _STEP, 0, _DIGITS, 0)
    totp.time = time.time()
    digits = western_digits(code).replace(" ", "")
    if not (digits.isascii() and digits.isdigit()) or not totp.verify(int(digits), _TOLERANCE):
        raise DomainError(
            _(
                "This code does not fit. Check that your phone sets its clock by itself, and type the code it shows now."
            ),
            code="wrong_code",
        )
    with transaction.atomic():
        # Locked: two tabs that finish at once make one device.
        if User.accounts.select_for_update().get(pk=user.pk).second_factor_at is not None:
            raise DomainError(_("The second step is on already."), code="already_on")
        Authenticator.objects.filter(user=user).delete()
        device = Authenticator(user=user, name="app", confirmed=True, drift=totp.drift, last_t=totp.t())
        device.set_secret(enrolment.secret)
        device.save()
        codes = _make_codes(user)
        _switch(user, timezone.now())
        end_sessions(user, keep=session_key)
        note(user=user, actor=user, action="second_factor.added")
        letter_queue(kind=AccountLetter.Kind.FACTOR_ON, user=user)
    return codes


def renew_codes(*, user: User, code: str) -> list[str]:
    """New recovery codes; the old ones are void. The password has been checked by the caller. Raises like ``verify``."""
    verify(user=user, code=code)
    with transaction.atomic():
        codes = _make_codes(user)
        note(user=user, actor=user, action="second_factor.codes_made", after={"count": len(codes)})
    return codes


def disable(*, user: User, code: str, session_key: str | None) -> None:
    """Turns it off, or takes the old app's place free for another. The caller has checked the password."""
    verify(user=user, code=code)
    with transaction.atomic():
        _take_away(user)
        end_sessions(user, keep=session_key)
        note(user=user, actor=user, action="second_factor.removed")


@transaction.atomic
def reset(*, actor: User, user: User) -> None:
    """An admin's help for somebody who lost phone and recovery codes: the password alone lets them in again.

    All their sessions end, and an email tells them. Raises ``NotAllowed``, or DomainError (``not_on``, ``own_factor``).
    """
    demand(actor, Can.MANAGE_SETTINGS, user)
    if actor.pk == user.pk:
        raise DomainError(_("Change your own second step on your account page."), code="own_factor")
    if not is_on(user):
        raise DomainError(_("This person has not turned the second step on."), code="not_on")
    _take_away(user)
    end_sessions(user)
    note(user=user, actor=actor, action="second_factor.reset")


@transaction.atomic
def reset_by_operator(*, user: User) -> None:
    """The same for the platform's own accounts, which have no admin, by whoever runs the server. Raises DomainError."""
    if not is_on(user):
        raise DomainError(_("This person has not turned the second step on."), code="not_on")
    _take_away(user)
    end_sessions(user)
    note(user=user, action="second_factor.reset")


def _take_away(user: User) -> None:
    Authenticator.objects.filter(user=user).delete()
    StaticDevice.objects.filter(user=user).delete()
    _switch(user, None)
    letter_queue(kind=AccountLetter.Kind.FACTOR_OFF, user=user)


def _switch(user: User, since: dt.datetime | None) -> None:
    user.second_factor_at = since
    user.trust_epoch += 1
    user.save(update_fields=["second_factor_at", "trust_epoch"])


# --- recovery codes --------------------------------------------------------------------------------------------------


def _make_codes(user: User) -> list[str]:
    codes = ["".join(secrets.choice(_ALPHABET) for _letter in range(_CODE_LETTERS)) for _code in range(RECOVERY_CODES)]
    StaticDevice.objects.filter(user=user).delete()
    device = StaticDevice.objects.create(user=user, name="recovery codes", confirmed=True)
    StaticToken.objects.bulk_create(StaticToken(device=device, token=_digests(code)[0]) for code in codes)
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def are_codes_of(user: User, codes: list[str]) -> bool:
    """True when each is a code of this person that has not been used: only such a list is made a file of."""
    known = set(StaticToken.objects.filter(device__user=user).values_list("token", flat=True))
    return bool(codes) and all(known & set(_digests(code)) for code in codes)


def _digests(code: str) -> list[str]:
    """As they may stand in the database (16 letters, 80 bits): by today's key, then by former ones."""
    plain = "".join(letter for letter in western_digits(code).lower() if letter in _ALPHABET)
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    digests = [hmac.digest(b"agdar.recovery:" + key.encode(), plain.encode(), hashlib.sha256) for key in keys]
    return [base64.b32encode(digest).decode()[:16] for digest in digests]


# --- browsers that are remembered ------------------------------------------------------------------------------------


def trust_of(user: User) -> str:
    """What the cookie of a remembered browser holds beside its date; another password, another app or a sign-out from
    everywhere makes it void."""
    since = user.second_factor_at.isoformat() if user.second_factor_at else ""
    told = f"{user.pk}:{user.trust_epoch}:{since}:{user.get_session_auth_hash()}"
    return hmac.digest(b"agdar.trust:" + settings.SECRET_KEY.encode(), told.encode(), hashlib.sha256).hex()
