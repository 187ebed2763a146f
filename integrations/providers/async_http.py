"""The base of adapters that post a form over HTTP: many calls at once, over connections that are kept.

Why aiohttp and not the provider's own client: ``docs/adr/0010-pooled-sends.md``.
"""

from __future__ import annotations

import asyncio
import ssl
import time
import weakref
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import aiohttp
import yarl
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from integrations.providers import background, http
from integrations.sms_providers import Accepted, Brake, Call, Outgoing, Provider, ProviderError, crashed

# Seconds that an idle connection is kept. Short: the provider closes it at a time of its own, and a message that is
# sent into a closing connection is one whose outcome nobody knows.
_KEEP_ALIVE = 10.0
# Calls at once over connections that are still to be made; each accepted one lets one more in. A hundred connections at
# the same moment are more than many a server lets into its queue, and what is left out of it waits for seconds.
_FIRST = 4


@dataclass(slots=True)
class _Pool:
    """The connections of one adapter on one loop, and the permits to use them."""

    loop: asyncio.AbstractEventLoop
    session: aiohttp.ClientSession
    permits: asyncio.Semaphore
    width: int = 0
    batches: int = 0
    used_at: float = 0.0

    def enter(self, at_most: int) -> None:
        """A batch begins. After a rest all connections are gone."""
        if not self.batches and (not self.width or self.loop.time() - self.used_at > _KEEP_ALIVE):
            self.width = min(_FIRST, at_most)
            self.permits = asyncio.Semaphore(self.width)
        self.batches += 1

    def leave(self) -> None:
        self.batches -= 1
        self.used_at = self.loop.time()

    def widen(self, at_most: int) -> None:
        if self.width < at_most:
            self.width += 1
            self.permits.release()


class AsyncProvider(Provider):
    """An adapter says where to (``_url``, ``_headers``), with which form, and how to read the answer."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        self._pool: _Pool | None = None

    @abstractmethod
    def _form(self, outgoing: Outgoing) -> dict[str, str]:
        """The fields of the request."""

    @abstractmethod
    def _read(self, status: int, headers: Mapping[str, str], body: bytes) -> Accepted | ProviderError:
        """What an answer means. ``headers`` do not care about the case of their names."""

    def _send_many(self, outgoings: Sequence[Outgoing], brake: Brake) -> list[Call]:
        loop = background.loop()
        running = asyncio.run_coroutine_threadsafe(self._run(outgoings, brake), loop)
        try:
            return running.result()
        except BaseException:  # a worker that is told to stop: what runs comes to its end, nothing else starts
            brake.pull()
            raise

    async def _run(self, outgoings: Sequence[Outgoing], brake: Brake) -> list[Call]:
        pool = self._connections()
        calls: list[Call] = []
        # All take from one iterator, so there are never more tasks than calls in flight.
        waiting = iter(outgoings)
        runners = (self._work(pool, waiting, calls, brake) for _ in range(min(self.max_in_flight, len(outgoings))))
        pool.enter(self.max_in_flight)
        try:
            await asyncio.gather(*runners)
        finally:
            pool.leave()
        return calls

    async def _work(self, pool: _Pool, waiting: Iterator[Outgoing], calls: list[Call], brake: Brake) -> None:
        for outgoing in waiting:
            # Other threads of this process may send batches of their own.
            async with pool.permits:
                if brake.is_on:
                    return
                began = time.perf_counter()
                result = await self._call(pool.session, outgoing)
                # The loop hears now of a server that closes the connection right behind its answer.
                await asyncio.sleep(0)
            if isinstance(result, Accepted):
                pool.widen(self.max_in_flight)
            brake.note(result)
            calls.append(Call(outgoing, result, round((time.perf_counter() - began) * 1000)))

    async def _call(self, session: aiohttp.ClientSession, outgoing: Outgoing) -> Accepted | ProviderError:
        try:
            # As urllib's ``urlencode``, whose loop in Python would be a tenth of the whole call.
            form = yarl.URL.build(query=self._form(outgoing)).raw_query_string.encode()
            async with session.post(self._url, data=form, allow_redirects=False) as answer:
                body = await answer.read()
            return self._read(answer.status, answer.headers, body)
        except (aiohttp.ClientError, OSError) as error:
            return http.unanswered(error)
        except Exception as error:  # noqa: BLE001  # the other calls of the batch must not be lost with this one
            return crashed(error)

    def _connections(self) -> _Pool:
        """Called on the loop only, so never twice at once. Another loop than before: we were forked."""
        loop = asyncio.get_running_loop()
        if self._pool is not None and self._pool.loop is loop:
            return self._pool
        if self._pool is not None:
            background.leave_to_parent(self._pool)
        connect, read = http.TIMEOUT
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self.max_in_flight, keepalive_timeout=_KEEP_ALIVE, ssl=_trust(self._url)
            ),
            # ``total`` holds against an answer that comes byte by byte; all of it is below the lease.
            timeout=aiohttp.ClientTimeout(connect=connect, total=read),
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            # Once, here: aiohttp's own ``trust_env`` would ask the environment in a thread at every call.
            proxy=http.proxy_for(self._url),
        )
        self._pool = _Pool(loop, session, asyncio.Semaphore(0))
        weakref.finalize(self, _close, self._pool)
        return self._pool


def _trust(url: str) -> ssl.SSLContext | bool:
    """The authorities that requests trusts too; a slim system may have none of its own."""
    return ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH) if url.startswith("https:") else True


def _close(pool: _Pool) -> None:
    if background.is_ours(pool.loop):
        asyncio.run_coroutine_threadsafe(pool.session.close(), pool.loop)
    else:
        background.leave_to_parent(pool)
