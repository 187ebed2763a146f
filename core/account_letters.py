"""Emails about accounts: links to choose a password, and news of what was changed.

They go straight to the mail server, past the clinic's messages: nobody at the clinic may read a link that lets its reader
in. So the row says only who gets what kind; the link is made at the moment of sending and is stored nowhere.

A crash between the mail server's answer and ours sends a letter twice. That harms nobody: each link works once.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db.models import F
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from core.models import AccountLetter, User
from core.queueing import enqueue_on_commit

log = structlog.get_logger(__name__)

Kind = AccountLetter.Kind
MAX_ATTEMPTS = 5
# Nobody waits longer at the screen, and an old link would only puzzle.
GIVEN_UP_AFTER = dt.timedelta(hours=6)
KEPT = dt.timedelta(days=7)
SWEEP_BATCH = 200


def letter_queue(
    *, kind: AccountLetter.Kind, user: User | None, ip: str | None = None, now: dt.datetime | None = None
) -> AccountLetter:
    """Writes the row and rings on commit, for a letter that will never be sent too."""
    from core.tasks import send_account_letter_task

    now = now or timezone.now()
    letter = AccountLetter.objects.create(kind=kind, user=user, ip=ip, created_at=now, next_attempt_at=now)
    enqueue_on_commit(send_account_letter_task, str(letter.pk))
    return letter


def letter_send(letter_id: uuid.UUID) -> bool:
    """Sends a letter that is due. False: it is not, somebody else has it, or the mail server did not take it."""
    from core.accounts import note

    now = timezone.now()
    waiting = AccountLetter.objects.filter(pk=letter_id, sent_at=None, attempts__lt=MAX_ATTEMPTS)
    letter = waiting.select_related("user__tenant").filter(next_attempt_at__lte=now).first()
    if letter is None or letter.user is None:
        return False
    # The claim, and the wait before the next attempt, in one.
    again_at = now + dt.timedelta(minutes=2**letter.attempts)
    claim = waiting.filter(next_attempt_at=letter.next_attempt_at)
    if not claim.update(next_attempt_at=again_at, attempts=F("attempts") + 1):
        return False
    user = letter.user
    # What held when it was asked for may not hold any more.
    if not user.is_active or (user.tenant is not None and not user.tenant.is_active):
        AccountLetter.objects.filter(pk=letter.pk).delete()
        return False
    try:
        compose(letter).send()
    except Exception as error:  # noqa: BLE001  # whatever the mail's backend raises: the row stays, the sweeper tries again
        log.warning("account_letter.failed", letter_id=str(letter.pk), error=type(error).__name__)
        return False
    AccountLetter.objects.filter(pk=letter.pk).update(sent_at=timezone.now())
    if letter.ip is not None:
        # Noted here and not with the wish, which must cost the same for an address that nobody has.
        note(user=user, action="password.reset_asked")
    return True


def letters_sweep() -> dict[str, int]:
    """Sends what is due and was not rung for, and clears what is old."""
    now = timezone.now()
    due = AccountLetter.objects.filter(
        sent_at=None,
        user__isnull=False,
        attempts__lt=MAX_ATTEMPTS,
        next_attempt_at__lte=now - dt.timedelta(seconds=5),
        created_at__gt=now - GIVEN_UP_AFTER,
    )
    sent = sum(letter_send(pk) for pk in due.order_by("next_attempt_at").values_list("pk", flat=True)[:SWEEP_BATCH])
    cleared, _each = AccountLetter.objects.filter(created_at__lt=now - KEPT).delete()
    return {"sent": sent, "cleared": cleared}


_NEWS = {
    Kind.PASSWORD_CHANGED: (
        gettext_noop("Your password was changed"),
        gettext_noop("The password of your Agdar account has just been changed."),
    ),
    Kind.FACTOR_ON: (
        gettext_noop("A second step protects your account now"),
        gettext_noop("From now on signing in to Agdar needs a code from your authenticator app, beside your password."),
    ),
    Kind.FACTOR_OFF: (
        gettext_noop("The second step of your account was turned off"),
        gettext_noop("Signing in to Agdar does not need a code from your authenticator app any more."),
    ),
}

# --- words -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Words:
    """What a letter says. ``link`` and ``button`` go together."""

    subject: str
    paragraphs: list[str]
    link: str = ""
    button: str = ""


def compose(letter: AccountLetter) -> EmailMultiAlternatives:
    """The mail, in its reader's language, as text and as HTML."""
    user: User = letter.user
    with translation.override(user.language):
        words = _words(letter.kind, user)
        greeting = _("Hello %(name)s,") % {"name": user.name_in(user.language)}
        paragraphs = [greeting, *words.paragraphs]
        text = "\n\n".join([*paragraphs, words.link] if words.link else paragraphs) + "\n"
        html = render_to_string(
            "core/letters/email.html",
            {
                "words": words,
                "paragraphs": paragraphs,
                "language": user.language,
                "direction": "rtl" if translation.get_language_bidi() else "ltr",
                "start": "right" if translation.get_language_bidi() else "left",
                "sender": user.tenant.name_in(user.language) if user.tenant else _("Agdar"),
            },
        )
    mail = EmailMultiAlternatives(
        words.subject,
        text,
        to=[user.email],
        headers={"Auto-Submitted": "auto-generated", "Content-Language": user.language},
        connection=get_connection(settings.ACCOUNT_EMAIL_BACKEND),
    )
    mail.attach_alternative(html, "text/html")
    return mail


def _words(kind: str, user: User) -> Words:
    from core.accounts import INVITATION_LIFE, INVITATION_TOKENS, RESET_LINK_LIFE, RESET_TOKENS

    if kind == Kind.INVITE:
        days = INVITATION_LIFE.days
        clinic = user.tenant.name_in(user.language) if user.tenant else _("Agdar")
        return Words(
            subject=_("Your account at %(clinic)s") % {"clinic": clinic},
            paragraphs=[
                _("An account has been made for you in Agdar, the messaging centre of %(clinic)s.")
                % {"clinic": clinic},
                _("Choose a password, then sign in with it and this email address."),
                ngettext(
                    "The link works once, and for %(count)d day. After that ask your administrator for another.",
                    "The link works once, and for %(count)d days. After that ask your administrator for another.",
                    days,
                )
                % {"count": days},
            ],
            link=_link(user, INVITATION_TOKENS.make_token(user)),
            button=_("Choose a password"),
        )
    if kind == Kind.RESET:
        minutes = int(RESET_LINK_LIFE.total_seconds() // 60)
        return Words(
            subject=_("A new password for Agdar"),
            paragraphs=[
                _("A new password was asked for your account. With the link below you choose it."),
                ngettext(
                    "The link works once, and for %(count)d minute.",
                    "The link works once, and for %(count)d minutes.",
                    minutes,
                )
                % {"count": minutes},
                _("If you did not want this, you need not do anything. Your password stays as it is."),
            ],
            link=_link(user, RESET_TOKENS.make_token(user)),
            button=_("Choose a new password"),
        )
    alarm = _("If this was not you, ask for a new password at once and tell your administrator.")
    subject, sentence = _NEWS[Kind(kind)]
    return Words(
        subject=_(subject),
        paragraphs=[_(sentence), alarm],
        link=settings.PUBLIC_BASE_URL + reverse("core:password_forgot"),
        button=_("Ask for a new password"),
    )


def _link(user: User, token: str) -> str:
    name = urlsafe_base64_encode(force_bytes(user.pk))
    return f"{settings.PUBLIC_BASE_URL}{reverse('core:password_link', args=[name, token])}"
