"""Counts the parts of an SMS (GSM 03.38 / UCS-2). An estimate: what the provider reports is what is billed.

Source: the GSM 7-bit default alphabet; 160 alone and 153 each in several parts, 70 and 67 UTF-16 units for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")


@dataclass(frozen=True, slots=True)
class Segments:
    """``units`` used of ``limit`` in ``parts`` parts; ``limit`` is what fits into that many parts."""

    encoding: str
    units: int
    parts: int
    limit: int


def count(text: str) -> Segments:
    """A character of two units is never split over two parts."""
    if all(char in _BASIC or char in _EXTENSION for char in text):
        encoding, alone, joined = "GSM-7", 160, 153
        sizes = [2 if char in _EXTENSION else 1 for char in text]
    else:
        encoding, alone, joined = "UCS-2", 70, 67
        sizes = [len(char.encode("utf-16-be")) // 2 for char in text]
    units = sum(sizes)
    if units <= alone:
        return Segments(encoding, units, 1 if units else 0, alone)
    parts, room = 1, joined
    for size in sizes:
        if size > room:
            parts, room = parts + 1, joined
        room -= size
    return Segments(encoding, units, parts, parts * joined)
