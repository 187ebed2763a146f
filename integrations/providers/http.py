"""What a failed HTTP call proves: that nothing left the house, or nothing at all."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import requests
from django.utils.translation import gettext_noop as _
from requests import exceptions as failed
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from integrations.sms_providers import Kind, ProviderError

# Seconds to connect and to read. Connecting takes milliseconds or fails. Providers answer within 2 s, their slowest
# percent within 10; both together stay well below the lease of 90 s (integrations/delivery.py).
TIMEOUT = (5.0, 15.0)
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def new_session(base_url: str) -> requests.Session:
    """A session for one provider. A proxy of the environment is never used for this machine itself."""
    session = requests.Session()
    if urlsplit(base_url).hostname in _LOOPBACK:
        session.trust_env = False
    return session


def unanswered(error: requests.RequestException) -> ProviderError:
    """The error of a call without a usable answer. TRANSIENT only where the request provably never left."""
    code = type(error).__name__
    if isinstance(error, failed.InvalidURL | failed.MissingSchema | failed.InvalidSchema):
        return ProviderError(Kind.CONFIGURATION, code=code, detail=_("The provider's address is not valid."))
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return ProviderError(Kind.CONFIGURATION, code=code, detail=_("The provider's certificate is not trusted."))
    # NewConnectionError: refused, no route, or no such host (its subclass NameResolutionError).
    if any(isinstance(cause, NewConnectionError | ConnectTimeoutError) for cause in causes):
        return ProviderError(Kind.TRANSIENT, code=code, detail=_("The provider could not be reached."))
    return ProviderError(Kind.AMBIGUOUS, code=code, detail=_("The connection broke before the provider's answer came."))


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
