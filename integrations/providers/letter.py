"""What an email is made of: its headers, the text, and the same text as HTML on the clinic group's letterhead.

``write`` makes the bytes for a mail server, ``as_django`` the object for the other backends of Django; both say the
same. The standard library's generator takes half a millisecond a mail, more than all the rest of the sending; a mail of
ours has one shape, so its bytes are put together here from the library's encoders.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.mime.text import MIMEText
from email.utils import formataddr, parseaddr

import css_inline
import nh3
from django.conf import settings
from django.core.mail import BadHeaderError, EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.encoding import punycode
from django.utils.html import escape
from django.utils.http import http_date
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext

from integrations.links import link_text
from integrations.sms_providers import CalendarFile, Letterhead, Outgoing

_RIGHT_TO_LEFT = {"ar"}
# RFC 5321: letters and what else a mailbox may hold without quotes. Mail servers refuse the rest, most of them silently.
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
# A header that needs no encoding: printable ASCII of a length that every server takes in one line (RFC 5322: 998).
_PLAIN = re.compile(r"(?!.*=\?)[ -~]{0,200}")
# Bytes in one encoded word: with "From: " and the word's own frame its line stays below 76 characters (RFC 2047).
_WORD = 39
_BETWEEN_TAGS = re.compile(r">\s*\n\s*<")
_NEW_LINE = re.compile(r"\r\n|\r|\n")
# "=_" can stand neither in quoted-printable nor in base64 (RFC 2045), so no text can end its part.
_BOUNDARY = "=_agdar"
# Around the whole of a mail with a file; no line that ends one of the two ends the other.
_OUTER = "=_mail"
# Where a mail's own words go in the template's markup: characters that no markup holds.
_SUBJECT, _SENDER, _PARAGRAPHS, _PIXEL, _PREFERENCES = "\x01", "\x02", "\x03", "\x04", "\x05"
_MARKS = re.compile("([\x01\x02\x03\x04\x05])")
# Of a clinic group without a brand.
_PLAIN_PAPER = Letterhead(name="", colour="#3451c9", colour_dark="#9db0ff")
# One for each brand and language that a process meets; each holds some 4 KB.
_FRAMES = 512
_INLINER = css_inline.CSSInliner(keep_style_tags=False, keep_at_rules=True, load_remote_stylesheets=False)


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
        **_reply_to(outgoing),
        **_machine_headers(outgoing, identity),
        "MIME-Version": "1.0",
    }
    top = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
    words = [_part("text/plain", _text(outgoing)), _html_part(outgoing)]
    # As a choice beside the words mail programs show it as an invitation; as a file everybody else can open it.
    content = _together("alternative", _BOUNDARY, [*words, *map(_calendar_part, _invitation(outgoing))])
    if outgoing.calendars:
        files = [_calendar_part(entry, as_file=True) for entry in outgoing.calendars]
        content = _together("mixed", _OUTER, [content, *files])
    return Letter(message_id=identity, sender=sender, recipient=recipient, content=top.encode("ascii") + content)


def _invitation(outgoing: Outgoing) -> Sequence[CalendarFile]:
    """Of several each would hide the others: a mail program shows one choice."""
    return outgoing.calendars if len(outgoing.calendars) == 1 else ()


def _together(kind: str, boundary: str, parts: Sequence[bytes]) -> bytes:
    """Several parts as one."""
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n'.encode("ascii")
    between = f"\r\n--{boundary}\r\n".encode("ascii")
    return head + b"".join(between + part for part in parts) + f"\r\n--{boundary}--\r\n".encode("ascii")


def as_django(outgoing: Outgoing) -> EmailMultiAlternatives:
    """The same mail for a backend of Django. Raises ValueError like ``write``."""
    mail = EmailMultiAlternatives(
        subject=_one_line(outgoing.subject),
        body=_text(outgoing),
        from_email=_one_line(_sender(outgoing)),
        to=[_one_line(outgoing.to)],
        reply_to=list(_reply_to(outgoing).values()),
        headers=_machine_headers(outgoing, message_id(outgoing)),
    )
    mail.attach_alternative(html(outgoing), "text/html")
    for entry in _invitation(outgoing):
        mail.attach_alternative(entry.content.decode(), f"text/calendar; method={entry.method}")
    for entry in outgoing.calendars:
        file = MIMEText(entry.content.decode(), f"calendar; method={entry.method}", "utf-8")
        file.add_header("Content-Disposition", "attachment", filename=entry.name)
        mail.attach(file)
    return mail


def html(outgoing: Outgoing) -> str:
    """The text as a page: its paragraphs and links, in its own direction, on the letterhead."""
    frame = _frame_of(outgoing)
    filled = _filled(outgoing, frame)
    return "".join(filled.get(piece, piece) for piece in frame.pieces)


def _filled(outgoing: Outgoing, frame: _Frame) -> dict[str, str]:
    """The mail's own words, each by its mark in the frame. They hold no line end."""
    sender = _sender(outgoing)
    text = _NEW_LINE.sub("\n", outgoing.body).strip()
    paragraphs = [link_text(part, style=frame.link_style).replace("\n", "<br>") for part in text.split("\n\n")]
    return {
        _SUBJECT: escape(outgoing.subject),
        _SENDER: escape(_origin(sender).name or sender),
        _PARAGRAPHS: frame.between.join(paragraphs),
        _PREFERENCES: escape(outgoing.preferences_url),
        _PIXEL: f'<img src="{escape(outgoing.pixel_url)}" width="1" height="1" alt="">' if outgoing.pixel_url else "",
    }


def _html_part(outgoing: Outgoing) -> bytes:
    """As ``_part`` writes it. The frame is encoded once and not with each mail: it is most of the bytes."""
    frame = _frame_of(outgoing)
    filled = _filled(outgoing, frame)
    if not all(map(str.isascii, filled.values())):
        return _part("text/html", "".join(filled.get(piece, piece) for piece in frame.pieces))
    own = {mark: _quoted(words.encode("ascii")) for mark, words in filled.items()}
    # A soft line end ("=") may stand between any two characters.
    body = b"=\r\n".join([own.get(piece, ready) for piece, ready in zip(frame.pieces, frame.encoded, strict=True)])
    return _part_head("text/html", "quoted-printable") + body


@dataclass(frozen=True, slots=True)
class _Frame:
    """The template's markup, cut where a mail's own words stand, and what stands between two paragraphs."""

    pieces: list[str]
    # The same in quoted-printable.
    encoded: list[bytes]
    between: str
    link_style: str


def _frame_of(outgoing: Outgoing) -> _Frame:
    return _frame(outgoing.language, outgoing.letterhead or _PLAIN_PAPER, bool(outgoing.preferences_url))


def _text(outgoing: Outgoing) -> str:
    """The words as plain text, and below them where the reader chooses what they get."""
    if not outgoing.preferences_url:
        return outgoing.body
    return f"{outgoing.body.rstrip()}\n\n{_choose(outgoing.language)}\n{outgoing.preferences_url}\n"


@functools.cache
def _choose(language: str) -> str:
    with translation.override(language):
        return gettext("Choose what we send you:")


@functools.lru_cache(maxsize=_FRAMES)
def _frame(language: str, head: Letterhead, has_preferences: bool) -> _Frame:  # noqa: FBT001  # a key of the cache
    """Rendered and inlined once for each letterhead and language, and not for each mail: that takes a millisecond."""
    is_rtl = language in _RIGHT_TO_LEFT
    with translation.override(language):
        page = _page(language, head, is_rtl=is_rtl, has_preferences=has_preferences)
    # In one line: what is encoded for each mail looks at every line end.
    in_one_line = " ".join(_BETWEEN_TAGS.sub("><", _INLINER.inline(page)).split())
    before, between, after = in_one_line.split(_PARAGRAPHS)
    link_style = f"color:{head.colour};text-decoration:underline"
    pieces = _MARKS.split(before + _PARAGRAPHS + after)
    return _Frame(pieces, [_quoted(piece.encode()) for piece in pieces], between, link_style)


def _page(language: str, head: Letterhead, *, is_rtl: bool, has_preferences: bool) -> str:
    return render_to_string(
        "integrations/email.html",
        {
            "subject": _SUBJECT,
            "sender": _without_marks(head.name) or _SENDER,
            "paragraphs": [_PARAGRAPHS, _PARAGRAPHS],
            "pixel": _PIXEL,
            "preferences": _PREFERENCES if has_preferences else "",
            "head": head,
            "footer": _footer(_without_marks(head.footer)),
            "language": language,
            "direction": "rtl" if is_rtl else "ltr",
            "start": "right" if is_rtl else "left",
        },
    )


def _footer(text: str) -> SafeString:
    """An admin's words as HTML: escaped, its addresses linked, and washed once more before it goes to thousands."""
    lines = link_text(_NEW_LINE.sub("\n", text).strip()).replace("\n", "<br>")
    washed = nh3.clean(lines, tags={"a", "br"}, attributes={"a": {"href", "target"}}, url_schemes={"http", "https"})
    return mark_safe(washed)  # noqa: S308  # washed in the line above


def _without_marks(text: str) -> str:
    return _MARKS.sub("", text)


def _reply_to(outgoing: Outgoing) -> dict[str, str]:
    if outgoing.letterhead is None or not outgoing.letterhead.reply_to:
        return {}
    return {"Reply-To": _mailbox(_one_line(outgoing.letterhead.reply_to))}


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
        **_unsubscribe(outgoing),
    }


def _unsubscribe(outgoing: Outgoing) -> dict[str, str]:
    """The button of the mail program (RFC 2369), which needs one POST and nothing else (RFC 8058)."""
    if not outgoing.unsubscribe_url:
        return {}
    return {
        "List-Unsubscribe": f"<{_one_line(outgoing.unsubscribe_url)}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
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
    lines = _NEW_LINE.sub("\r\n", text) if "\n" in text or "\r" in text else text
    raw = lines.encode()
    # A byte outside ASCII becomes three in the one, all bytes become 4/3 in the other; Arabic has two bytes a letter.
    if (len(raw) - len(lines)) * 12 < len(raw):
        encoding, body = "quoted-printable", _quoted(raw)
    else:
        encoding, body = "base64", _packed(raw)
    return _part_head(content_type, encoding) + body


def _calendar_part(calendar: CalendarFile, *, as_file: bool = False) -> bytes:
    """In base64: its lines are folded by rules of their own, which quoted-printable would break."""
    head = [f"Content-Type: text/calendar; charset=utf-8; method={calendar.method}"]
    if as_file:
        head.append(f'Content-Disposition: attachment; filename="{calendar.name}"')
    head.append("Content-Transfer-Encoding: base64")
    return "\r\n".join(head).encode("ascii") + b"\r\n\r\n" + _packed(calendar.content)


def _packed(raw: bytes) -> bytes:
    packed = base64.b64encode(raw)
    return b"\r\n".join(packed[start : start + 76] for start in range(0, len(packed), 76))


def _quoted(raw: bytes) -> bytes:
    """Quoted-printable with line ends of two bytes; the library ends its soft ones as the first hard one is."""
    return binascii.b2a_qp(raw).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@functools.cache
def _part_head(content_type: str, encoding: str) -> bytes:
    head = f"Content-Type: {content_type}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode("ascii")
