"""Keys for rows that are written by the thousand."""

from __future__ import annotations

import os
import time
import uuid


def ordered_uuid() -> uuid.UUID:
    """A UUID of version 7 (RFC 9562): random like any other, but those of one moment stand together in an index.

    With fully random keys each row of a batch touches another page of every index; these fill one page after another.
    """
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    return uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62)
