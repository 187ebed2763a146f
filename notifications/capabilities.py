"""What our senders can do: whether patients can reply, deliveries are reported, which hosts a text may link to.

Facts of the market, kept as data (clinic.md 3): a sender that is a name cannot be answered, and in Saudi Arabia no SMS can
be. Texts then carry the link alone; only where a reply arrives are patients asked for one. The only writer of
``SenderCapability``; needs the tenant's scope open.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from core import changes
from core.access import Can
from core.errors import DomainError
from core.models import Location, User
from core.permissions import NotAllowed, demand
from notifications.branding import brand_of
from notifications.models import Message, SenderCapability
from notifications.rendering import Words
from notifications.states import Channel

_HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+", re.ASCII)
MOST_HOSTS = 20


@dataclass(frozen=True, slots=True)
class Hint:
    """A placeholder's words: by the link alone, or also by a reply where the sender can be answered."""

    by_link: Words
    by_reply: Words

    def name_in(self, language: str | None = None) -> str:
        """Where nobody knows the sender: what is always true."""
        return self.by_link.name_in(language)


@dataclass(frozen=True, slots=True)
class Sender:
    """One of the tenant's senders and what it can do; ``findings`` are what a person should mend."""

    capability: SenderCapability
    is_own_row: bool
    findings: tuple[str, ...]

    @property
    def key(self) -> str:
        return f"{self.capability.channel}:{self.capability.sender}"

    @property
    def anchor(self) -> str:
        """For the ids of its form: letters, digits and dashes."""
        return re.sub(r"[^a-z0-9]+", "-", self.key.lower()).strip("-")


def default_for(tenant_id: uuid.UUID, channel: str, sender: str) -> SenderCapability:
    """What is true of most: WhatsApp can be answered, an SMS cannot (in Saudi Arabia none, elsewhere none from a name)."""
    two_way = channel == Channel.WHATSAPP
    return SenderCapability(tenant_id=tenant_id, channel=channel, sender=sender, two_way=two_way)


def of(tenant_id: uuid.UUID, channel: str, sender: str) -> SenderCapability:
    """The sender's own row, or the defaults. One query."""
    found = SenderCapability.objects.filter(channel=channel, sender=sender).first()
    return found or default_for(tenant_id, channel, sender)


def suited(message: Message, context: Mapping[str, Any], *, sender: str) -> Mapping[str, Any]:
    """The context with each ``Hint`` as that sender can keep its word. A query only where there is one."""
    hints = {name: value for name, value in context.items() if isinstance(value, Hint)}
    if not hints:
        return context
    can_reply = message.channel != Channel.EMAIL and of(message.tenant_id, message.channel, sender).two_way
    return {**context, **{name: hint.by_reply if can_reply else hint.by_link for name, hint in hints.items()}}


def senders(tenant_id: uuid.UUID) -> list[Sender]:
    """Every SMS and WhatsApp sender of the locations, and the provider's default of each channel."""
    wanted: dict[tuple[str, str], None] = {}
    for place in Location.objects.filter(is_active=True).order_by("pk"):
        for channel, sender in ((Channel.SMS, place.sms_sender), (Channel.WHATSAPP, place.whatsapp_sender)):
            wanted[channel.value, sender] = None
    rows = {(row.channel, row.sender): row for row in SenderCapability.objects.all()}
    hosts = _own_hosts(tenant_id)
    return [
        Sender(row, (channel, sender) in rows, tuple(_findings(row, hosts)))
        for channel, sender in sorted({*wanted, *rows})
        for row in [rows.get((channel, sender)) or default_for(tenant_id, channel, sender)]
    ]


@transaction.atomic
def capability_set(
    *, actor: User, channel: str, sender: str, two_way: bool, dlr: bool, url_hosts: str, max_sender_len: int
) -> SenderCapability:
    """What the sender can do, as the provider says. ``url_hosts``: one a line; none: any."""
    demand(actor, Can.MANAGE_SETTINGS)
    if actor.tenant_id is None:
        raise NotAllowed
    if (channel, sender) not in {(one.capability.channel, one.capability.sender) for one in senders(actor.tenant_id)}:
        raise DomainError(_("No location writes from this sender."), code="sender_unknown")
    hosts = list(dict.fromkeys(host for line in url_hosts.splitlines() if (host := line.strip().lower())))
    if len(hosts) > MOST_HOSTS or not all(_HOST.fullmatch(host) for host in hosts):
        raise DomainError(_("Write hosts such as clinic.example, one on each line."), code="host_invalid")
    if channel == Channel.SMS and two_way and sender and not sender.lstrip("+").isdigit():
        raise DomainError(
            _("A sender that is a name cannot be answered: patients can reply to numbers only."), code="name_one_way"
        )
    if not 1 <= max_sender_len <= 20:
        raise DomainError(_("Choose between 1 and 20 letters."), code="length_out_of_range")
    row, _is_new = SenderCapability.objects.get_or_create(
        tenant_id=actor.tenant_id, channel=channel, sender=sender, defaults={"two_way": channel == Channel.WHATSAPP}
    )
    values = {"two_way": two_way, "dlr": dlr, "url_hosts": hosts, "max_sender_len": max_sender_len}
    changes.apply(actor=actor, row=row, values=values, action="sender_capability.set")
    return row


def _own_hosts(tenant_id: uuid.UUID) -> list[str]:
    """Where the links in our texts lead."""
    brand = brand_of(tenant_id)
    own = brand.link_host if brand is not None and brand.track_clicks else ""
    return [own or (urlsplit(settings.PUBLIC_BASE_URL).hostname or "")]


def _findings(row: SenderCapability, hosts: Sequence[str]) -> list[str]:
    found = []
    if row.sender and not row.sender.startswith("+") and len(row.sender) > row.max_sender_len:
        found.append(_("The name is longer than the networks allow for this sender: texts from it are refused."))
    if row.url_hosts and not set(hosts) <= set(row.url_hosts):
        found.append(
            _("Our texts link to %(host)s, which is not among the allowed hosts: texts with a link are refused.")
            % {"host": ", ".join(hosts)}
        )
    return found
