"""Reads what a picture is from its own bytes: the name and the type that a browser sends along prove nothing.

Only the head is read: PNG (W3C, 11.2.2), JPEG (ITU T.81, B.2.2), WebP (developers.google.com/speed/webp/docs/riff_container).
Must never import a model.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

# Start-of-frame markers of JPEG: C0 to CF without the tables C4, C8 and CC.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class NoPicture(Exception):
    """The bytes are no PNG, JPEG or WebP, or broken."""


@dataclass(frozen=True, slots=True)
class Picture:
    """``suffix`` is png, jpg or webp; sizes in pixels."""

    suffix: str
    content_type: str
    width: int
    height: int

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """The largest size of the same shape within ``width`` × ``height``; never larger than the picture is."""
        scale = min(1.0, width / self.width, height / self.height)
        return max(1, round(self.width * scale)), max(1, round(self.height * scale))


def read(content: bytes) -> Picture:
    """What it is and how large. Raises NoPicture."""
    try:
        if content.startswith(b"\x89PNG\r\n\x1a\n") and content[12:16] == b"IHDR":
            return _picture("png", "image/png", *struct.unpack(">II", content[16:24]))
        if content.startswith(b"\xff\xd8\xff"):
            return _picture("jpg", "image/jpeg", *_jpeg_size(content))
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return _picture("webp", "image/webp", *_webp_size(content))
    except (struct.error, IndexError) as error:
        raise NoPicture from error
    raise NoPicture


def _picture(suffix: str, content_type: str, width: int, height: int) -> Picture:
    if not 0 < width <= 10_000 or not 0 < height <= 10_000:
        raise NoPicture
    return Picture(suffix, content_type, width, height)


def _jpeg_size(content: bytes) -> tuple[int, int]:
    at = 2
    while True:
        if content[at] != 0xFF:
            raise NoPicture
        marker = content[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        length = struct.unpack(">H", content[at + 2 : at + 4])[0]
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        at += 2 + max(length, 2)


def _webp_size(content: bytes) -> tuple[int, int]:
    kind = content[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(content[24:27], "little"), 1 + int.from_bytes(content[27:30], "little")
    if kind == b"VP8L" and content[20] == 0x2F:
        bits = struct.unpack("<I", content[21:25])[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and content[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", content[26:30])
        return width & 0x3FFF, height & 0x3FFF
    raise NoPicture
