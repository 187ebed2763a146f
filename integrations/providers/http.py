"""What adapters over HTTP share: what a failed call proves, and how an answer is read."""

from __future__ import annotations

import datetime as dt
import json
import math
import ssl
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import requests
from django.utils.translation import gettext_noop as _
from requests import exceptions as failed
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from integrations.sms_providers import Kind, ProviderError, Scope

# Seconds to connect and to read. Connecting takes milliseconds or fails. Providers answer within 2 s, their slowest
# percent within 10; both together stay well below the lease (integrations/delivery.py).
TIMEOUT = (5.0, 15.0)
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
# Nobody means more; a mistaken figure must not stop a sender for weeks.
_WAIT_AT_MOST = 86_400.0

_BAD_ADDRESS = (
    failed.InvalidURL,
    failed.MissingSchema,
    failed.InvalidSchema,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)
# Refused, no route, no such host, no connection in time, or a proxy that did not let us through.
_NEVER_LEFT = (
    NewConnectionError,
    ConnectTimeoutError,
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
)


def new_session(base_url: str) -> requests.Session:
    """A session for one provider. A proxy of the environment is never used for this machine itself."""
    session = requests.Session()
    if urlsplit(base_url).hostname in _LOOPBACK:
        session.trust_env = False
    return session


def proxy_for(url: str) -> str | None:
    """The environment's proxy for an address; none for this machine itself."""
    if urlsplit(url).hostname in _LOOPBACK:
        return None
    return select_proxy(url, get_environ_proxies(url))


def unanswered(error: Exception) -> ProviderError:
    """The error of a call without a usable answer. TRANSIENT only where the request provably never left."""
    code = type(error).__name__
    if isinstance(error, _BAD_ADDRESS):
        detail = _("The provider's address is not valid.")
        return ProviderError(Kind.CONFIGURATION, code=code, detail=detail, scope=Scope.ACCOUNT)
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        detail = _("The provider's certificate is not trusted.")
        return ProviderError(Kind.CONFIGURATION, code=code, detail=detail, scope=Scope.ACCOUNT)
    if any(isinstance(cause, _NEVER_LEFT) for cause in causes):
        return ProviderError(Kind.TRANSIENT, code=code, detail=_("The provider could not be reached."))
    return ProviderError(Kind.AMBIGUOUS, code=code, detail=_("The connection broke before the provider's answer came."))


def redirected(status: int) -> ProviderError:
    """An answer of 3xx, which is never followed: it would carry text and credentials to an address nobody chose."""
    detail = _("The provider's address leads elsewhere.")
    response = {"status": status}
    return ProviderError(Kind.CONFIGURATION, code=str(status), detail=detail, response=response, scope=Scope.ACCOUNT)


def json_object(body: bytes | str) -> dict[str, Any] | None:
    """The JSON object that an answer holds; None when it holds none."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer asks us to wait, at most a day; both forms of RFC 9110, seconds and a date."""
    value = headers.get("Retry-After", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
        except ValueError:
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=dt.UTC)
        seconds = (when - dt.datetime.now(dt.UTC)).total_seconds()
    return None if math.isnan(seconds) else min(_WAIT_AT_MOST, max(0.0, seconds))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and everything inside it: requests wraps urllib3, which wraps the socket's own."""
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        # Not __context__: that may be a failure of an earlier call which the caller was just handling.
        inside = [one.__cause__, getattr(one, "reason", None), *one.args]
        waiting += [item for item in inside if isinstance(item, BaseException)]
