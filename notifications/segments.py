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
_GSM = _BASIC | _EXTENSION


@dataclass(frozen=True, slots=True)
class Segments:
    """``units`` used of ``limit`` in ``parts`` parts; ``limit`` is what fits into that many parts."""

    encoding: str
    units: int
    parts: int
    limit: int


def count(text: str) -> Segments:
    """A character of two units is never split over two parts."""
    letters = set(text)
    if letters <= _GSM:
        encoding, alone, joined = "GSM-7", 160, 153
        doubles = letters & _EXTENSION
    else:
        encoding, alone, joined = "UCS-2", 70, 67
        doubles = {char for char in letters if char > "\uffff"}
    if not doubles:
        units = len(text)
        parts = (1 if units else 0) if units <= alone else -(-units // joined)
        return Segments(encoding, units, parts, alone if units <= alone else parts * joined)
    sizes = [2 if char in doubles else 1 for char in text]
    units = sum(sizes)
    if units <= alone:
        return Segments(encoding, units, 1, alone)
    parts, room = 1, joined
    for size in sizes:
        if size > room:
            parts, room = parts + 1, joined
        room -= size
    return Segments(encoding, units, parts, parts * joined)


def outside_gsm(text: str) -> list[str]:
    """The characters, once each and in order, that force UCS-2."""
    return [char for char in dict.fromkeys(text) if char not in _GSM]
