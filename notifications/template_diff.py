"""What has changed between two versions of a template: word by word, text by text. Knows nothing of HTML or models."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

# A placeholder is one word; so is a number or a time, a run of letters, a run of spaces, and every other character.
_TOKENS = re.compile(r"\{\w*\}|\d+(?:[:.,/]\d+)*|\w+|\n|[^\S\n]+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text: ``kind`` is "same", "gone" or "new"."""

    kind: str
    text: str


def pieces(old: str, new: str) -> list[Piece]:
    """The two texts as one, with what is gone before what came instead."""
    before, after = _TOKENS.findall(old), _TOKENS.findall(new)
    found: list[Piece] = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            found.append(Piece("same", "".join(before[i1:i2])))
            continue
        if i2 > i1:
            found.append(Piece("gone", "".join(before[i1:i2])))
        if j2 > j1:
            found.append(Piece("new", "".join(after[j1:j2])))
    return _joined(found)


def _joined(found: list[Piece]) -> list[Piece]:
    """A single space between two changes belongs to them: whole phrases read better than confetti."""
    merged: list[Piece] = []
    for index, piece in enumerate(found):
        is_between = 0 < index < len(found) - 1 and piece.kind == "same" and not piece.text.strip(" ")
        if is_between:
            merged += [Piece("gone", piece.text), Piece("new", piece.text)]
        else:
            merged.append(piece)
    ordered: list[Piece] = []
    gone, new = "", ""
    for piece in [*merged, Piece("same", "")]:
        if piece.kind == "gone":
            gone += piece.text
        elif piece.kind == "new":
            new += piece.text
        else:
            ordered += [Piece(kind, text) for kind, text in (("gone", gone), ("new", new)) if text]
            gone, new = "", ""
            if piece.text:
                ordered.append(piece)
    return ordered
