"""Clinic groups' own accounts at providers: which there are, and the only writer of them.

    a message is due → ``providers_for(channel, tenant)``: the tenant's own accounts that carry the channel, else the house's

An account has a name of its own (``twilio@4f9a0c21de``) that stands wherever a provider's name stands: on messages and
attempts, so that the same account is asked later; on breakers and buckets, so that trouble of one account holds nobody
else. Credentials are never changed in place: new ones make a new row and so a new name, and no process has to forget
what it knows of the old one. The old row keeps its secret for ``KEPT_FOR``, because the provider still reports and is
asked about what went over it.

A secret is in no log, no audit row and no page; people see its last four characters.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import secrets
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from core import audit, places
from core.access import Can
from core.audit import WITHHELD
from core.errors import DomainError
from core.models import Tenant, User
from core.permissions import NotAllowed, demand
from core.tenancy import system_scope
from integrations import sms_providers
from integrations.models import ProviderAccount
from integrations.providers.shapes import OwnAccount
from integrations.sms_providers import Provider

Kind = ProviderAccount.Kind
# Longer than providers are asked about a message (three days, ``answers.HORIZON``).
KEPT_FOR = dt.timedelta(days=7)
# A process knows of a new or removed account within as many seconds; the one that saved it at once.
KNOWN_FOR = 2.0
# The first in this order carries a channel for which a tenant has several accounts.
_PREFERRED = (Kind.UNIFONIC, Kind.TWILIO, Kind.SMTP)
SMTP_PORTS = (25, 465, 587, 2525)

_TWILIO_SID = re.compile(r"AC[0-9a-fA-F]{32}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)

# (when it was read, tenant → channel → names)
_known: tuple[float, dict[uuid.UUID, dict[str, list[str]]]] | None = None


# --- which there are -------------------------------------------------------------------------------------------------


def providers_for(channel: str, tenant_id: uuid.UUID | None) -> list[Provider]:
    """Who carries a channel for that tenant, the preferred first: its own accounts, or without one the house's.

    The house does not stand in for an account of the tenant's own that is in trouble: it would send under another name
    and on another bill.
    """
    names = names_for(channel, tenant_id)
    return [sms_providers.get(name) for name in names] if names else sms_providers.providers_for(channel)


def names_for(channel: str, tenant_id: uuid.UUID | None) -> list[str]:
    """The names of the tenant's own accounts that carry the channel."""
    return _accounts().get(tenant_id, {}).get(str(channel), []) if tenant_id is not None else []


def all_names(tenant_id: uuid.UUID) -> set[str]:
    """Of all channels."""
    return {name for names in _accounts().get(tenant_id, {}).values() for name in names}


def owner_of(name: str) -> uuid.UUID | None:
    """The tenant whose account that is; None for a provider of the house, and for an account that is gone."""
    if not sms_providers.is_own(name):
        return None
    for tenant_id, channels in _accounts().items():
        if any(name in names for names in channels.values()):
            return tenant_id
    with system_scope("a name on a breaker's row tells which tenant it concerns"):
        return ProviderAccount.objects.filter(name=name).values_list("tenant_id", flat=True).first()


def forget() -> None:
    """The next question reads the database."""
    global _known
    _known = None


def _accounts() -> dict[uuid.UUID, dict[str, list[str]]]:
    global _known
    now = time.monotonic()
    if _known is None or now - _known[0] > KNOWN_FOR:
        with system_scope("the workers send for all tenants: which of them have accounts of their own"):
            rows = list(ProviderAccount.objects.filter(retired_at=None).defer("secret", "webhook_key"))
        found: dict[uuid.UUID, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for row in sorted(rows, key=lambda row: _PREFERRED.index(Kind(row.kind))):
            for channel in row.senders:
                found[row.tenant_id][channel].append(row.name)
        _known = (now, {tenant_id: dict(channels) for tenant_id, channels in found.items()})
    return _known[1]


# --- for the adapters and the call-backs -----------------------------------------------------------------------------


def load(name: str) -> OwnAccount | None:
    """What an adapter needs of an account; None for an unknown one. Without its secret when that was deleted."""
    with system_scope("an adapter is made by the account's name, whoever sends over it"):
        row = ProviderAccount.objects.filter(name=name).first()
    if row is None:
        return None
    return OwnAccount(
        name=row.name,
        login=row.login,
        server=row.server,
        secret=row.secret or "",
        senders=row.senders,
        webhook_key=row.webhook_key or "",
    )


def reporting(kind: str, login: str = "") -> list[ProviderAccount]:
    """The accounts that may report: those in use first, then those whose secret is still kept."""
    with system_scope("a provider's call-back names its account, not the tenant"):
        rows = ProviderAccount.objects.filter(kind=kind, **({"login": login} if login else {}))
        return [row for row in rows.order_by("-retired_at", "-created_at") if row.secret]


# --- writing ---------------------------------------------------------------------------------------------------------


def of_tenant() -> list[ProviderAccount]:
    """Those in use, of the open tenant."""
    return list(ProviderAccount.objects.filter(retired_at=None).order_by("kind"))


@transaction.atomic
def account_save(*, actor: User, kind: str, fields: Mapping[str, Any]) -> ProviderAccount:
    """Puts an account into use, in place of the one before. An empty secret keeps the secret of that one.

    ``fields``: Twilio ``login`` (SID), ``secret`` (token), ``sms_sender``, ``whatsapp_sender``; Unifonic ``secret``
    (AppSid), ``sms_sender``; email ``host``, ``port``, ``security`` (tls, ssl or empty), ``login``, ``secret``,
    ``email_sender``.
    """
    tenant = _locked_tenant(actor)
    former = ProviderAccount.objects.filter(kind=kind, retired_at=None).first()
    values = _CHECKED[Kind(kind)](fields)
    secret = str(fields.get("secret") or "").strip()
    if not secret and former is not None:
        # A secret belongs to the account it was given for: it does not follow to another server.
        is_same = (values["login"], values["server"]) == (former.login, former.server)
        secret = (former.secret or "") if is_same else ""
    if not secret and (kind != Kind.SMTP or values["login"]):
        raise DomainError(_("Write the secret: it is not shown again, so it cannot be filled in."), code="secret")
    if former is not None:
        _retire(former)
    row = ProviderAccount(
        tenant=tenant,
        name=f"{kind}@{secrets.token_hex(5)}",
        kind=kind,
        secret=secret,
        last_four=secret[-4:] if len(secret) >= 12 else "",
        webhook_key=secrets.token_urlsafe(24) if kind == Kind.UNIFONIC else "",
        **values,
    )
    row.save(force_insert=True)
    audit.record(
        tenant_id=tenant.pk,
        actor=actor,
        action="provider_account.replaced" if former is not None else "provider_account.added",
        obj=row,
        before=_facts(former) if former is not None else None,
        after={**_facts(row), **({} if former is not None and secret == former.secret else {"secret": WITHHELD})},
    )
    _tell_others()
    return row


@transaction.atomic
def account_remove(*, actor: User, account: ProviderAccount) -> None:
    """From now on messages go over the house's account again. The secret is deleted after ``KEPT_FOR``."""
    _locked_tenant(actor)
    demand(actor, Can.MANAGE_SETTINGS, account)
    row = ProviderAccount.objects.select_for_update().filter(pk=account.pk, retired_at=None).first()
    if row is None:
        return
    _retire(row)
    audit.record(tenant_id=row.tenant_id, actor=actor, action="provider_account.removed", obj=row, before=_facts(row))
    _tell_others()


def erase_retired(now: dt.datetime) -> int:
    """Deletes the secrets of accounts that are long out of use, of the open tenant; returns how many."""
    over = ProviderAccount.objects.filter(retired_at__lt=now - KEPT_FOR).exclude(secret="", webhook_key="")
    return over.update(secret="", webhook_key="", last_four="")


def _retire(row: ProviderAccount) -> None:
    row.retired_at = timezone.now()
    row.save(update_fields=["retired_at"])


def _tell_others() -> None:
    forget()
    transaction.on_commit(forget)


def _facts(row: ProviderAccount) -> dict[str, str]:
    """For the audit: what is no secret."""
    names = ("kind", "login", "server", "sms_sender", "whatsapp_sender", "email_sender")
    return {name: str(getattr(row, name)) for name in names if getattr(row, name)}


def _twilio(fields: Mapping[str, Any]) -> dict[str, str]:
    login = str(fields.get("login") or "").strip()
    if not _TWILIO_SID.fullmatch(login):
        raise DomainError(_("An account SID begins with AC and has 34 characters."), code="login")
    return {
        "login": login,
        "server": "",
        **_needed(
            sms_sender=places.sms_sender(str(fields.get("sms_sender") or "")),
            whatsapp_sender=places.whatsapp_sender(str(fields.get("whatsapp_sender") or "")),
        ),
    }


def _unifonic(fields: Mapping[str, Any]) -> dict[str, str]:
    return {
        "login": "",
        "server": "",
        **_needed(sms_sender=places.sms_sender(str(fields.get("sms_sender") or ""))),
    }


def _smtp(fields: Mapping[str, Any]) -> dict[str, str]:
    host, port = str(fields.get("host") or "").strip().lower(), int(fields.get("port") or 0)
    security = str(fields.get("security") or "")
    if not _HOST.fullmatch(host) or (not settings.DEBUG and not is_public_host(host)):
        raise DomainError(_("Write the server's public name, such as smtp.example.com."), code="host")
    if not settings.DEBUG and port not in SMTP_PORTS:
        raise DomainError(_("An email server listens at port 587, 465, 2525 or 25."), code="port")
    login = str(fields.get("login") or "").strip()
    if login and not security and not settings.DEBUG:
        raise DomainError(_("A password is sent over an encrypted connection only."), code="security")
    return {
        "login": login,
        "server": f"{'smtp+' if security else 'smtp'}{security}://{host}:{port}",
        **_needed(email_sender=places.email_sender(str(fields.get("email_sender") or ""))),
    }


def _needed(**senders: str) -> dict[str, str]:
    """Without any sender the account would carry nothing."""
    if not any(senders.values()):
        raise DomainError(_("Write a sender: without one nothing is sent over this account."), code=next(iter(senders)))
    return senders


def is_public_host(host: str) -> bool:
    """Not this machine or its network, as far as the name tells; what it leads to is looked at when it is called."""
    if host == "localhost" or host.endswith((".local", ".internal", ".localhost")):
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host


_CHECKED = {Kind.TWILIO: _twilio, Kind.UNIFONIC: _unifonic, Kind.SMTP: _smtp}


def _locked_tenant(actor: User) -> Tenant:
    demand(actor, Can.MANAGE_SETTINGS)
    if actor.tenant_id is None:
        raise NotAllowed
    return Tenant.objects.select_for_update(no_key=True).get(pk=actor.tenant_id)
