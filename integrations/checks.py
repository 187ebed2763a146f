"""System checks: a provider that is switched on must be set up. ``manage.py check`` names the variable.

The errors E010 to E013 are those on which production refuses to start (``core/production.py``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import get_connection

from core.production import unsafe_settings
from integrations import sms_providers
from notifications import push
from notifications.states import Channel

_SETTING_OF = {Channel.SMS: "SMS_PROVIDER", Channel.WHATSAPP: "WHATSAPP_PROVIDER", Channel.EMAIL: "EMAIL_PROVIDER"}
_HELP = "See docs/operations.md and .env.example."
_PUSH_HELP = "manage.py make_vapid_keys prints both lines for .env."
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
# The setting that leads a provider's client to another address.
_ADDRESS_SETTING = {"twilio": "TWILIO_API_BASE_URL", "unifonic": "UNIFONIC_API_BASE_URL"}


def register_checks() -> None:
    checks.register(check_providers, checks.Tags.compatibility)
    checks.register(check_mail_service, checks.Tags.compatibility)
    checks.register(check_public_address, checks.Tags.compatibility)
    checks.register(check_push, checks.Tags.compatibility)
    checks.register(check_production, checks.Tags.security, deploy=True)


def check_providers(**_kwargs: Any) -> list[CheckMessage]:
    """Each channel that is switched on has an adapter that can carry it and all that the adapter needs."""
    return [error for channel in Channel for error in _channel_errors(channel)]


def _channel_errors(channel: Channel) -> Iterator[CheckMessage]:
    setting = _SETTING_OF[channel]
    for name in sms_providers.chosen_all(channel):
        if name not in sms_providers.ADAPTERS:
            known = ", ".join(sorted(sms_providers.ADAPTERS))
            what = f"{setting} names “{name}”, which is no provider. There are: {known}."
            yield Error(what, hint=_HELP, id="agdar.E001")
            continue
        adapter = sms_providers.adapter_class(name)
        if channel not in adapter.channels:
            what = f"{setting} names “{name}”, which cannot send {channel.label}."
            yield Error(what, hint=_HELP, id="agdar.E002")
            continue
        for missing in adapter.missing_settings(channel):
            yield Error(f"{setting} names “{name}”, but {missing} is empty.", hint=_HELP, id="agdar.E003")


def check_mail_service(**_kwargs: Any) -> list[CheckMessage]:
    """The mail service is one that anymail knows, with the settings that anymail wants for it."""
    if "anymail" not in sms_providers.chosen_all(Channel.EMAIL) or not settings.ANYMAIL_ESP:
        return []
    wrong = []
    try:
        get_connection(f"anymail.backends.{settings.ANYMAIL_ESP}.EmailBackend")
    except ImportError:
        wrong.append(f"ANYMAIL_ESP is “{settings.ANYMAIL_ESP}”, which django-anymail does not know or cannot load.")
    except ImproperlyConfigured as error:
        wrong.append(str(error))
    if not all(":" in secret for secret in settings.ANYMAIL_WEBHOOK_SECRET):
        wrong.append("ANYMAIL_WEBHOOK_SECRET must be “user:password”.")
    return [Error(what, hint=_HELP, id="agdar.E005") for what in wrong]


def check_public_address(**_kwargs: Any) -> list[CheckMessage]:
    """Providers call back to PUBLIC_BASE_URL, and patients follow links to it.

    A client that is led to this machine (a test double) can call back to anything on it.
    """
    chosen = {name for channel in (Channel.SMS, Channel.WHATSAPP) for name in sms_providers.chosen_all(channel)}
    real = {
        name
        for name in chosen - {"sandbox"}
        if not _is_this_machine(getattr(settings, _ADDRESS_SETTING.get(name, ""), ""))
    }
    if not real:
        return []
    address = urlsplit(settings.PUBLIC_BASE_URL)
    wrong = None
    if address.scheme != "https":
        wrong = "it is not https"
    elif address.hostname is None or _is_this_machine(settings.PUBLIC_BASE_URL):
        wrong = "it leads to this machine"
    elif "_" in address.netloc:
        wrong = "its host has an underscore, which Twilio refuses"
    if wrong is None:
        return []
    what = f"PUBLIC_BASE_URL cannot be reached by {', '.join(sorted(real))}: {wrong}."
    return [Error(what, hint=_HELP, id="agdar.E004")]


def check_push(**_kwargs: Any) -> list[CheckMessage]:
    """Browser push is off, or has a key and somebody to write to; nothing is called but push services over https."""
    found: list[CheckMessage] = []
    key, subject = settings.VAPID_PRIVATE_KEY, settings.VAPID_SUBJECT
    if bool(key) != bool(subject):
        missing = "VAPID_SUBJECT" if key else "VAPID_PRIVATE_KEY"
        found.append(Error(f"Browser push is half set up: {missing} is empty.", hint=_PUSH_HELP, id="agdar.E006"))
    if key:
        try:
            push.signing_key()
        except push.KeyMalformed:
            what = "VAPID_PRIVATE_KEY is no key: it must be 32 bytes in base64url."
            found.append(Error(what, hint=_PUSH_HELP, id="agdar.E007"))
    if subject and not re.fullmatch(r"mailto:[^@\s]+@[^@\s]+|https://\S+", subject):
        what = "VAPID_SUBJECT must be mailto:… or https://…, or push services refuse our messages."
        found.append(Error(what, hint=_PUSH_HELP, id="agdar.E008"))
    plain = [host for host in settings.PUSH_HOSTS if "://" in host and not _is_this_machine(host)]
    if plain:
        what = (
            f"PUSH_HOSTS holds {', '.join(plain)}: an origin is for a double on this machine, a service is a host name."
        )
        found.append(Error(what, hint=_PUSH_HELP, id="agdar.E009"))
    return found


def _is_this_machine(url: str) -> bool:
    return urlsplit(url).hostname in _LOOPBACK


def check_production(**_kwargs: Any) -> list[CheckMessage]:
    """Run by ``check --deploy``: what production would refuse to start on."""
    values = {name: getattr(settings, name) for name in _PRODUCTION_SETTINGS}
    return [Error(what, hint=_HELP, id=identity) for identity, what in unsafe_settings(values)]


_PRODUCTION_SETTINGS = (
    "SECRET_KEY",
    "DEFAULT_SECRET_KEY",
    "SMS_PROVIDER",
    "WHATSAPP_PROVIDER",
    "DATABASES",
    "CELERY_BROKER_URL",
)
