"""What an email is made of: its headers, the text, and the same text as plain HTML.

``write`` makes the bytes for a mail server, ``as_django`` the object for the other backends of Django; both say the
same. The standard library's generator takes half a millisecond a mail, more than all the rest of the sending; a mail of
ours has one shape, so its bytes are put together here from the library's encoders.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from dataclasses import dataclass
from email.utils import formataddr, parseaddr

from django.conf import settings
from django.core.mail import BadHeaderError, EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.encoding import punycode
from django.utils.html import escape
from django.utils.http import http_date

from integrations.links import link_text
from integrations.sms_providers import Outgoing

_RIGHT_TO_LEFT = {"ar"}
# RFC 5321: letters and what else a mailbox may hold without quotes. Mail servers refuse the rest, most of them silently.
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
# A header that needs no encoding: printable ASCII of a length that every server takes in one line (RFC 5322: 998).
_PLAIN = re.compile(r"(?!.*=\?)[ -~]{0,200}")
# Bytes in one encoded word: with "From: " and the word's own frame its line stays below 76 characters (RFC 2047).
_WORD = 39
_NEW_LINE = re.compile(r"\r\n|\r|\n")
# "=_" can stand neither in quoted-printable nor in base64 (RFC 2045), so no text can end its part.
_BOUNDARY = "=_agdar"
# Where a mail's own words go in the template's markup: characters that no markup holds.
_SUBJECT, _SENDER, _PARAGRAPHS = "\x01", "\x02", "\x03"
_MARKS = re.compile("([\x01\x02\x03])")


@dataclass(frozen=True, slots=True)
class _Origin:
    """Who writes: what the reader sees, the bare address, and the whole as a header."""

    name: str
    address: str
    header: str


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail as a mail server takes it: the envelope's bare addresses, and lines of 7 bits that end with CRLF."""

    message_id: str
    sender: str
    recipient: str
    content: bytes


def message_id(outgoing: Outgoing) -> str:
    """Holds our id and is the same at every try, so that mailboxes drop a second copy."""
    domain = _origin(_sender(outgoing)).address.rpartition("@")[2] or "localhost"
    return f"{outgoing.message_id}@{domain}"


def write(outgoing: Outgoing) -> Letter:
    """The mail's bytes. Raises ValueError for an address or a header that cannot stand in an email."""
    origin = _origin(_sender(outgoing))
    sender, recipient = _mailbox(origin.address), _mailbox(_one_line(outgoing.to))
    identity = message_id(outgoing)
    headers = {
        "Subject": _words(_one_line(outgoing.subject)),
        "From": origin.header,
        "To": recipient,
        **_machine_headers(outgoing, identity),
        "MIME-Version": "1.0",
        "Content-Type": f'multipart/alternative; boundary="{_BOUNDARY}"',
    }
    top = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
    content = b"".join(
        (
            f"{top}\r\n--{_BOUNDARY}\r\n".encode("ascii"),
            _part("text/plain", outgoing.body),
            f"\r\n--{_BOUNDARY}\r\n".encode("ascii"),
            _part("text/html", html(outgoing)),
            f"\r\n--{_BOUNDARY}--\r\n".encode("ascii"),
        )
    )
    return Letter(message_id=identity, sender=sender, recipient=recipient, content=content)


def as_django(outgoing: Outgoing) -> EmailMultiAlternatives:
    """The same mail for a backend of Django. Raises ValueError like ``write``."""
    mail = EmailMultiAlternatives(
        subject=_one_line(outgoing.subject),
        body=outgoing.body,
        from_email=_one_line(_sender(outgoing)),
        to=[_one_line(outgoing.to)],
        headers=_machine_headers(outgoing, message_id(outgoing)),
    )
    mail.attach_alternative(html(outgoing), "text/html")
    return mail


def html(outgoing: Outgoing) -> str:
    """The text as a page: its paragraphs and links, in its own direction."""
    sender = _sender(outgoing)
    frame, between = _frame(outgoing.language)
    text = _NEW_LINE.sub("\n", outgoing.body).strip()
    paragraphs = [link_text(part).replace("\n", "<br>") for part in text.split("\n\n")]
    filled = {
        _SUBJECT: escape(outgoing.subject),
        _SENDER: escape(_origin(sender).name or sender),
        _PARAGRAPHS: between.join(paragraphs),
    }
    return "".join(filled.get(piece, piece) for piece in frame)


@functools.cache
def _frame(language: str) -> tuple[list[str], str]:
    """The template's markup, cut where a mail's own words stand, and what stands between two paragraphs.

    All mails of a language share it, so the template is rendered once and not for each of them.
    """
    is_rtl = language in _RIGHT_TO_LEFT
    rendered = render_to_string(
        "integrations/email.html",
        {
            "subject": _SUBJECT,
            "sender": _SENDER,
            "paragraphs": [_PARAGRAPHS, _PARAGRAPHS],
            "language": language,
            "direction": "rtl" if is_rtl else "ltr",
            "start": "right" if is_rtl else "left",
        },
    )
    before, between, after = rendered.split(_PARAGRAPHS)
    return _MARKS.split(before + _PARAGRAPHS + after), between


def _sender(outgoing: Outgoing) -> str:
    return outgoing.sender or str(settings.DEFAULT_FROM_EMAIL)


@functools.lru_cache(maxsize=512)  # a clinic writes under a handful of names
def _origin(sender: str) -> _Origin:
    name, address = parseaddr(_one_line(sender))
    local, _at, domain = address.rpartition("@")
    address = f"{local}@{punycode(domain)}"
    header = formataddr((name, address)) if _PLAIN.fullmatch(name) else f"{_words(name)}\r\n <{address}>"
    return _Origin(name=name, address=address, header=header)


def _machine_headers(outgoing: Outgoing, identity: str) -> dict[str, str]:
    return {
        "Message-ID": f"<{identity}>",
        "Date": http_date(timezone.now().timestamp()).replace("GMT", "+0000"),
        "Content-Language": outgoing.language,
        # No holiday replies to a machine (RFC 3834).
        "Auto-Submitted": "auto-generated",
    }


def _one_line(text: str) -> str:
    """Whoever can write a line break into a header can write headers."""
    if "\n" in text or "\r" in text:
        raise BadHeaderError("A header cannot hold a line break.")
    return text


def _mailbox(address: str) -> str:
    """The bare address, its domain in ASCII."""
    local, _at, domain = address.strip().rpartition("@")
    mailbox = f"{local}@{punycode(domain)}"
    if not _ADDRESS.fullmatch(mailbox):
        raise ValueError("This is no address that a mail server takes.")
    return mailbox


def _words(text: str) -> str:
    """A header's text: as it is where that is allowed, else in encoded words that end between two characters."""
    if _PLAIN.fullmatch(text):
        return text
    words, rest = [], text.encode()
    while rest:
        end = min(_WORD, len(rest))
        while end < len(rest) and rest[end] & 0xC0 == 0x80:
            end -= 1
        words.append(f"=?utf-8?b?{base64.b64encode(rest[:end]).decode('ascii')}?=")
        rest = rest[end:]
    return "\r\n ".join(words)


def _part(content_type: str, text: str) -> bytes:
    """One part: quoted-printable while most of it is ASCII, base64 where that is shorter (Arabic)."""
    lines = _NEW_LINE.sub("\r\n", text)
    raw = lines.encode()
    # A byte outside ASCII becomes three in the one, all bytes become 4/3 in the other; Arabic has two bytes a letter.
    if (len(raw) - len(lines)) * 12 < len(raw):
        encoding, body = "quoted-printable", binascii.b2a_qp(raw)
    else:
        packed = base64.b64encode(raw)
        encoding = "base64"
        body = b"\r\n".join(packed[start : start + 76] for start in range(0, len(packed), 76))
    head = f"Content-Type: {content_type}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode("ascii") + body
