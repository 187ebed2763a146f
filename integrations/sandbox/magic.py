"""On which numbers and addresses the sandbox misbehaves, and how. The table is also shown on the sandbox page."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Trick(StrEnum):
    """The last four digits of a number."""

    INVALID = "0001"
    UNDELIVERED = "0002"
    TOO_MANY = "0003"
    FAILS_ONCE = "0004"
    HANGS = "0005"
    RESETS = "0006"
    DISORDER = "0007"
    SILENT = "0008"
    OPTED_OUT = "0009"
    NO_WHATSAPP = "0010"


def trick_of(number: str) -> Trick | None:
    """The trick of a number, with or without ``whatsapp:``."""
    try:
        return Trick(number[-4:])
    except ValueError:
        return None


# The local part of a mailbox → the reply of the mail server to RCPT (RFC 5321).
MAILBOXES: dict[str, str] = {
    "bounce": "550 5.1.1 No such mailbox",
    "later": "450 4.2.1 Mailbox busy, try again later",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table on the page."""

    ending: str
    effect: Promise | str


TABLE: tuple[Row, ...] = (
    Row(Trick.INVALID, _("Refused at once: not a phone number (21211). The message bounces.")),
    Row(Trick.UNDELIVERED, _("Accepted, then reported as undelivered by the carrier (30006). The message bounces.")),
    Row(Trick.TOO_MANY, _("Always refused with “too many requests” (429). The message is retried, then fails.")),
    Row(Trick.FAILS_ONCE, _("The first try gets an internal error (500). After asking, it is sent again.")),
    Row(Trick.HANGS, _("Accepted, but the answer never comes. The status call-back settles it.")),
    Row(Trick.RESETS, _("Accepted, then the connection breaks. The status call-back settles it.")),
    Row(Trick.DISORDER, _("Call-backs come twice and in the wrong order. The status still only moves forward.")),
    Row(Trick.SILENT, _("No call-back ever comes. The provider is asked after two minutes.")),
    Row(Trick.OPTED_OUT, _("Refused: the patient has answered STOP (21610).")),
    Row(Trick.NO_WHATSAPP, _("Has no WhatsApp (63024). SMS works and is used instead.")),
    Row("bounce@", _("No such mailbox (550). The email bounces.")),
    Row("later@", _("Mailbox busy (450). The email is retried, then fails.")),
)
