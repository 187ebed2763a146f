"""Passwords: the links by which people choose one, and what a new one ends.

Every act that changes who can come in is audited, tells the person by email, and ends the sessions it does not come from.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import structlog
from axes.utils import reset as forget_failures
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db import transaction
from django.utils import timezone
from django.utils.http import base36_to_int
from django.utils.translation import gettext as _

from core import audit
from core.account_letters import letter_queue
from core.errors import DomainError
from core.models import AccountLetter, User
from core.sessions import end_session, end_sessions
from core.tenancy import tenant_scope

log = structlog.get_logger(__name__)

RESET_LINK_LIFE = dt.timedelta(hours=1)
# An invitation lies in a mailbox over a weekend. Django's own limit (PASSWORD_RESET_TIMEOUT) is as long.
INVITATION_LIFE = dt.timedelta(days=3)
# Wishes for a link, within an hour: more than a clinic's whole desk behind one address needs, and no nuisance in a mailbox.
WISHES_AN_ADDRESS = 20
WISHES_AN_ACCOUNT = 3


class LinkTokens(PasswordResetTokenGenerator):
    """Django's tokens with a life of their own. One is void once the password, the email or the last sign-in is another."""

    def __init__(self, name: str, life: dt.timedelta) -> None:
        super().__init__()
        self.key_salt = f"core.accounts.{name}"
        self.life = life

    def check_token(self, user: Any, token: str | None) -> bool:
        if not super().check_token(user, token):
            return False
        made = base36_to_int(str(token).partition("-")[0])
        return bool(self._num_seconds(self._now()) - made <= self.life.total_seconds())


RESET_TOKENS = LinkTokens("reset", RESET_LINK_LIFE)
INVITATION_TOKENS = LinkTokens("invitation", INVITATION_LIFE)


class AnyLinkTokens:
    """Either kind, for the one page that both lead to."""

    @staticmethod
    def check_token(user: User, token: str) -> bool:
        return RESET_TOKENS.check_token(user, token) or INVITATION_TOKENS.check_token(user, token)


def may_sign_in(user: User) -> bool:
    """Active people of an active clinic group; the platform's own have none."""
    return user.is_active and (user.tenant is None or user.tenant.is_active)


def note(
    *,
    user: User,
    action: str,
    actor: User | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """One row of the audit trail about an account. The platform's own accounts have no trail; the log has theirs."""
    if user.tenant_id is None:
        log.info(action, user_id=str(user.pk))
        return
    with tenant_scope(user.tenant_id):
        audit.record(tenant_id=user.tenant_id, actor=actor, action=action, obj=user, before=before, after=after)


# --- links -----------------------------------------------------------------------------------------------------------


@transaction.atomic
def request_password_reset(*, email: str, ip: str | None) -> None:
    """Queues a link for whoever has that email. The caller learns nothing: both cases do the same work.

    Raises DomainError (``too_many_wishes``) when this address has asked too often, whatever it asked for.
    """
    now = timezone.now()
    lately = AccountLetter.objects.filter(kind=AccountLetter.Kind.RESET, created_at__gt=now - dt.timedelta(hours=1))
    if ip is not None and lately.filter(ip=ip).count() >= WISHES_AN_ADDRESS:
        raise DomainError(_("There were too many of these requests. Try again in an hour."), code="too_many_wishes")
    user = User.accounts.select_related("tenant").filter(email__iexact=email.strip()).first()
    asked = lately.filter(user=user).count()
    is_sent = user is not None and may_sign_in(user) and asked < WISHES_AN_ACCOUNT
    letter_queue(kind=AccountLetter.Kind.RESET, user=user if is_sent else None, ip=ip, now=now)


@transaction.atomic
def send_set_password_link(*, user: User, actor: User) -> AccountLetter:
    """Sends a link to choose a password: an invitation to somebody who has never signed in, else a link for a new one.

    The old password stays good until the link is used. Raises DomainError (``cannot_sign_in``) for somebody who left.
    """
    if not may_sign_in(user):
        raise DomainError(_("This account is not active. Activate it first."), code="cannot_sign_in")
    is_new = user.last_login is None
    kind = AccountLetter.Kind.INVITE if is_new else AccountLetter.Kind.RESET
    note(user=user, actor=actor, action="user.invited" if is_new else "password.link_sent")
    return letter_queue(kind=kind, user=user)


# --- passwords -------------------------------------------------------------------------------------------------------


@transaction.atomic
def password_change(*, user: User, password: str, session_key: str | None) -> None:
    """By somebody who is signed in; ``password`` has passed the validators. This session stays, the others end."""
    _set(user, password, session_key)
    note(user=user, actor=user, action="password.changed")


@transaction.atomic
def password_set_by_link(*, user: User, password: str) -> None:
    """By somebody who has the mailbox. All sessions end, and wrong passwords of before are forgotten.

    A second factor stays: who reads the mailbox has not got the phone.
    """
    _set(user, password, None)
    note(user=user, actor=user, action="password.set_by_link")
    forget_failures(username=user.email)


def _set(user: User, password: str, kept_session: str | None) -> None:
    user.set_password(password)
    user.trust_epoch += 1
    user.save(update_fields=["password", "trust_epoch"])
    end_sessions(user, keep=kept_session)
    letter_queue(kind=AccountLetter.Kind.PASSWORD_CHANGED, user=user)


# --- the person's own data -------------------------------------------------------------------------------------------


@transaction.atomic
def profile_update(*, user: User, name_en: str, name_ar: str, language: str) -> None:
    """What people may change about themselves. The trail learns which fields, and the language; names stay out of it."""
    before = User.accounts.get(pk=user.pk)
    wanted = {"name_en": name_en, "name_ar": name_ar, "language": language}
    changed = sorted(name for name, value in wanted.items() if getattr(before, name) != value)
    if not changed:
        return
    User.accounts.filter(pk=user.pk).update(**wanted)
    seen = {"language": before.language} if "language" in changed else {}
    note(
        user=user,
        actor=user,
        action="user.profile_updated",
        before=seen,
        after={"fields": changed, **({"language": language} if seen else {})},
    )


@transaction.atomic
def sign_out_elsewhere(*, user: User, session_key: str | None) -> int:
    """Ends all sessions but this one, and forgets the browsers that need no code; returns how many ended."""
    user.trust_epoch += 1
    user.save(update_fields=["trust_epoch"])
    ended = end_sessions(user, keep=session_key)
    note(user=user, actor=user, action="session.others_revoked", after={"count": ended})
    return ended


@transaction.atomic
def sign_out_there(*, user: User, handle: str) -> bool:
    """Ends one session. False: it was over already."""
    is_ended = end_session(user, handle)
    if is_ended:
        note(user=user, actor=user, action="session.revoked")
    return is_ended
