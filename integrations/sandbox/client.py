"""What the page asks the sandbox. Short patience: the page says at once when the sandbox is not running."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import requests
from django.conf import settings

from integrations.providers import http
from integrations.sandbox import account

_TIMEOUT = (0.5, 2.0)


class SandboxDown(Exception):
    """The sandbox does not answer."""


class NobodyWrote(Exception):
    """There is nothing to reply to."""


def conversations() -> list[dict[str, Any]]:
    """Phones and mailboxes, latest first: kind, address, preview, channel, at (seconds since 1970)."""
    return list(_ask("GET", "/page/conversations")["conversations"])


def messages_of(number: str, *, is_open: bool) -> list[dict[str, Any]]:
    """A phone's messages, oldest first. ``is_open``: somebody is looking at it, so WhatsApp reports "read"."""
    query = {"is_open": "1"} if is_open else {}
    return list(_ask("GET", f"/page/phones/{quote(number, safe='')}", query)["messages"])


def mails_of(mailbox: str) -> list[dict[str, Any]]:
    """A mailbox's mails, newest first."""
    return list(_ask("GET", f"/page/mailboxes/{quote(mailbox, safe='')}")["mails"])


def reply(number: str, *, channel: str, body: str) -> None:
    """The patient writes back. Raises NobodyWrote."""
    _ask("POST", f"/page/phones/{quote(number, safe='')}/replies", form={"channel": channel, "body": body})


def _ask(
    method: str, path: str, query: dict[str, str] | None = None, form: dict[str, str] | None = None
) -> dict[str, Any]:
    try:
        with http.new_session(settings.SANDBOX_URL) as session:
            answer = session.request(
                method,
                settings.SANDBOX_URL + path,
                params=query,
                data=form,
                auth=(account.SID, account.TOKEN),
                timeout=_TIMEOUT,
            )
        if answer.status_code == 404:
            raise NobodyWrote
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
    except requests.RequestException as error:
        raise SandboxDown from error
    return found
