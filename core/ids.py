"""Keys for rows that are written by the thousand."""

from __future__ import annotations

import os
import time
import uuid


def ordered_uuid() -> uuid.UUID:
    """A UUID of version 7 (RFC 9562): random like any other, but those of one moment stand together in an index.

    With fully random keys each row of a batch touches another page of every index; these fill one page after another.
    """
    return ordered_uuids(1)[0]


def ordered_uuids(count: int) -> list[uuid.UUID]:
    """That many at once, all of this moment, for a fraction of what they cost one by one."""
    # 48 bits of time, the version, 12 random bits, the variant, 62 random bits.
    fixed = (time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | 0x2 << 62
    chances = os.urandom(10 * count)
    made = []
    for start in range(0, 10 * count, 10):
        chance = int.from_bytes(chances[start : start + 10])
        made.append(
            uuid.UUID(int=fixed | (chance >> 62 & 0xFFF) << 64 | chance & 0x3FFF_FFFF_FFFF_FFFF),
        )
    return made
