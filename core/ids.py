"""Keys for rows that are written by the thousand."""

from __future__ import annotations

import os
import time
import uuid


def ordered_uuid() -> uuid.UUID:
    """A UUID of version 7 (RFC 9562): random like any other, but those of one moment stand together in an index.

    With fully random keys each row of a batch touches another page of every index; these fill one page after another.
    """
    # 48 bits of time, the version, 12 random bits, the variant, 62 random bits.
    moment = time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF
    chance = int.from_bytes(os.urandom(10))
    return uuid.UUID(
        int=moment << 80 | 0x7 << 76 | (chance >> 62 & 0xFFF) << 64 | 0x2 << 62 | chance & 0x3FFF_FFFF_FFFF_FFFF
    )
