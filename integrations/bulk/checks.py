"""What a message of a send may be about, and who knows whether that still holds: the visit that was cancelled meanwhile.

The apps above register themselves from ``AppConfig.ready()``; this floor does not know them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence

from notifications.states import Reason

# (id, version) pairs → the ids that no message should go out about any more, with the reason
Check = Callable[[Sequence[tuple[uuid.UUID, int]]], Mapping[uuid.UUID, Reason]]

_CHECKS: dict[str, Check] = {}


def register(object_type: str, check: Check) -> None:
    _CHECKS[object_type] = check


def refusals(object_type: str, objects: Sequence[tuple[uuid.UUID, int]]) -> Mapping[uuid.UUID, Reason]:
    """Which of the objects no longer call for a message. A type that nobody watches always holds."""
    check = _CHECKS.get(object_type)
    return check(objects) if check is not None and objects else {}
