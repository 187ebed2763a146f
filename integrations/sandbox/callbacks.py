"""Sends what is due: status call-backs and replies, signed as Twilio signs, each message's in its order.

When the web is away a call-back waits and is tried again, so that the demo can be restarted in the middle. (Twilio
itself gives up sooner; a real house is saved by ``provider_sync_task``.)
"""

from __future__ import annotations

import threading

import requests
import structlog
from twilio.request_validator import RequestValidator

from integrations.sandbox import account
from integrations.sandbox.store import Step, Store

log = structlog.get_logger(__name__)

# US dollars a segment or message; invented, of the size that Saudi Arabia costs.
PRICES = {"SMS": 0.0350, "WHATSAPP": 0.0140}
# The web answers a call-back within milliseconds; a hanging one must not hold up the others for long.
_TIMEOUT = (2.0, 5.0)
_LONGEST_WAIT = 30.0
_MOST_ATTEMPTS = 40


class Caller:
    """One thread that walks the due steps."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._session = requests.Session()
        self._session.trust_env = False
        self._validator = RequestValidator(account.TOKEN)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sandbox-callbacks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()
        self._thread.join(timeout=10)

    def wake(self) -> None:
        """There is something new to do."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            for step in self._store.due_steps():
                if self._stopping.is_set():
                    return
                self._take(step)
            pause = self._store.seconds_to_next_step()
            self._wake.wait(timeout=1.0 if pause is None else min(1.0, pause))
            self._wake.clear()

    def _take(self, step: Step) -> None:
        self._store.apply(step, price_a_segment=PRICES)
        if not step.url or self._is_told(step):
            self._store.finish(step)
            return
        if step.attempts >= _MOST_ATTEMPTS:
            log.warning("sandbox_callback_given_up", sid=step.sid)
            self._store.finish(step)
            return
        self._store.postpone(step, min(_LONGEST_WAIT, 0.5 * 2**step.attempts))

    def _is_told(self, step: Step) -> bool:
        """True when there is no use in trying again: it was taken, or refused for good."""
        signature = self._validator.compute_signature(step.url, step.fields)
        try:
            answer = self._session.post(
                step.url,
                data=step.fields,
                headers={"X-Twilio-Signature": signature, "User-Agent": "TwilioProxy/1.1"},
                timeout=_TIMEOUT,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            log.debug("sandbox_callback_unanswered", sid=step.sid, error=type(error).__name__)
            return False
        if answer.status_code >= 500:
            log.warning("sandbox_callback_failed", sid=step.sid, status=answer.status_code)
            return False
        if answer.status_code >= 300:
            log.warning("sandbox_callback_refused", sid=step.sid, status=answer.status_code)
        return True
