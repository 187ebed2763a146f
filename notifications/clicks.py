"""Who opens links and emails: what counts as a person, and the one writer of ``LinkClick``.

No address of a reader is kept, and of the browser a hash that only tells one message's devices apart. What a program
did (a messenger that draws a preview, a mail server that checks links) is not written; what came sooner after the
sending than anybody reads is written as suspicious and counts nowhere.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from core.tenancy import tenant_scope
from notifications import rollup_marks
from notifications.models import LinkClick, Message, ShortLink
from notifications.selectors import tenant_of_message

# A mail server's check comes within seconds; a person takes the phone out first.
TOO_SOON = dt.timedelta(seconds=8)
# One link is written down so often at most: whoever finds a code cannot fill the table with it.
AT_MOST = 30

# Programs that open links by themselves. The in-app browsers of messengers are people and have other names
# ("Telegram-Android", "FBAN").
_PROGRAMS = re.compile(
    r"^$|^WhatsApp/|TelegramBot|facebookexternalhit|Facebot|Twitterbot|Slackbot|Slack-ImgProxy|Discordbot|LinkedInBot"
    r"|SkypeUriPreview|Viber|BingPreview|ms-office|Microsoft Office|MSOffice|SafeLinks|Google-Read-Aloud"
    r"|Google-PageRenderer|GoogleOther|Google-Safety|Applebot|YahooMailProxy|Barracuda|Proofpoint|Mimecast|Trend ?Micro"
    r"|HeadlessChrome|PhantomJS|bot\b|crawl|spider|preview|scanner|monitor"
    r"|^(?:curl|Wget|python-|Go-http-client|Java/|okhttp|axios|node|libwww|HTTPie)",
    re.IGNORECASE | re.ASCII,
)
# Mail services that fetch a picture for their reader, at the moment of reading.
_READERS_PROXIES = re.compile(r"GoogleImageProxy|YahooMailProxy|OutlookMobile", re.IGNORECASE | re.ASCII)
# Apple's Mail Privacy Protection loads every picture of every mail under this bare name, read or not.
_LOADS_EVERYTHING = "Mozilla/5.0"


class Visit(NamedTuple):
    """What a request tells: the browser's name, and whether it only fetches ahead."""

    agent: str
    is_ahead: bool

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Visit:
        purpose = headers.get("Sec-Purpose", "") + headers.get("Purpose", "") + headers.get("X-Moz", "")
        return cls(headers.get("User-Agent", "").strip()[:400], "prefetch" in purpose.lower())


def is_program(visit: Visit) -> bool:
    return visit.is_ahead or _PROGRAMS.search(visit.agent) is not None


def note_click(link: ShortLink, visit: Visit) -> LinkClick | None:
    """Writes that a link was opened; None when it was no person, or often enough."""
    if is_program(visit):
        return None
    return _write(link.message, LinkClick.Kind.CLICK, visit, link=link)


def note_open(message_id: uuid.UUID, visit: Visit) -> LinkClick | None:
    """Writes that an email's picture was loaded; None when it was no reader, or the message is gone."""
    is_proxy = _READERS_PROXIES.search(visit.agent) is not None
    if not is_proxy and is_program(visit):
        return None
    tenant_id = tenant_of_message(message_id)
    if tenant_id is None:
        return None
    with tenant_scope(tenant_id):
        message = Message.objects.only("sent_at", "created_at", "tenant_id").get(pk=message_id)
        return _write(message, LinkClick.Kind.OPEN, visit, link=None)


def _write(message: Message, kind: str, visit: Visit, *, link: ShortLink | None) -> LinkClick | None:
    now = timezone.now()
    is_too_soon = message.sent_at is None or now - message.sent_at < TOO_SOON
    with tenant_scope(message.tenant_id), transaction.atomic():
        earlier = LinkClick.objects.filter(message=message, kind=kind, link=link)
        if earlier.count() >= AT_MOST:
            return None
        is_first = not earlier.filter(is_suspicious=False).exists()
        click = LinkClick.objects.create(
            tenant_id=message.tenant_id,
            message=message,
            link=link,
            kind=kind,
            is_suspicious=is_too_soon or (kind == LinkClick.Kind.OPEN and visit.agent == _LOADS_EVERYTHING),
            agent_hash=_hash(message.pk, visit.agent),
        )
        if kind == LinkClick.Kind.CLICK and is_first and not click.is_suspicious:
            # A message that was clicked counts once, on its own day.
            rollup_marks.mark(message.tenant_id, [message.created_at])
        return click


def _hash(message_id: uuid.UUID, agent: str) -> str:
    """Another one for each message, so that nobody can be followed from one to the next."""
    return salted_hmac("agdar.notifications.clicks", f"{message_id}\n{agent}", algorithm="sha256").hexdigest()[:16]
