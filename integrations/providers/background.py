"""One event loop a process, in a thread of its own: there the adapters' HTTP calls run at the same time.

Workers are ordinary, blocking code and are forked from a parent. A fork copies the loop but not its thread, so a child
makes its own; what it got from its parent stays untouched, because both share the sockets underneath.
"""

from __future__ import annotations

import asyncio
import os
import threading

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
# Neither closed nor collected: either would take sockets out of the parent's selector.
_parents: list[object] = []


def loop() -> asyncio.AbstractEventLoop:
    """The running loop of this process; started at the first call. Safe to call from any thread."""
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            # A daemon: a worker that ends does not wait for it. Whoever waits for a call does so in its own thread.
            threading.Thread(target=_loop.run_forever, name="providers", daemon=True).start()
        return _loop


def is_ours(other: asyncio.AbstractEventLoop) -> bool:
    """False for a loop that a fork brought along."""
    return other is _loop


def leave_to_parent(thing: object) -> None:
    """Keeps something that belongs to the parent's loop from being closed or collected here."""
    _parents.append(thing)


def _forked() -> None:
    global _lock, _loop
    # Another thread of the parent may have held it.
    _lock = threading.Lock()
    if _loop is not None:
        leave_to_parent(_loop)
        _loop = None


os.register_at_fork(after_in_child=_forked)
