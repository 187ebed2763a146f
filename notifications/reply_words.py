"""What a patient's reply says: normalisation and one closed table of words, in both languages. Pure: no model, no query.

Only a whole message counts. “Yes, but later” and «ما راح اجي» are for a person to read: nothing is confirmed or called
off by a guess. Words of danger are the one exception: they are looked for anywhere in the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

# More than any answer needs. What is longer is read by a person, and its words of danger are still looked for.
LONGEST = 1600
# So many numbers name visits; more of them are an account number or a date.
MOST_PICKS = 12

_LETTERS = str.maketrans({"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ی": "ي", "ة": "ه", "ک": "ك", "ـ": ""})
_KEPT_SYMBOLS = frozenset({"Sm", "Sc"})


class Meaning(StrEnum):
    CONFIRM = "confirm"
    CANCEL = "cancel"
    CHANGE = "change"
    STOP = "stop"
    RESUME = "resume"
    WRONG = "wrong"
    HELP = "help"
    # All that was asked about: an answer to “which one?”.
    ALL = "all"
    # Numbers alone, of which several or none of the first three: which of the visits that were listed.
    PICK = "pick"
    # For a person to read.
    FREE = "free"


# The closed table (clinic.md 2.2.23), after normalisation.
TABLE: dict[Meaning, tuple[str, ...]] = {
    Meaning.CONFIRM: ("1", "y", "yes", "ok", "confirm", "نعم", "اكد", "تاكيد", "مؤكد", "تم", "ايوه", "اوكي", "حاضر"),
    Meaning.CANCEL: ("2", "n", "no", "cancel", "لا", "الغاء", "الغي"),
    Meaning.CHANGE: ("3", "reschedule", "change", "تغيير", "تاجيل", "موعد اخر"),
    Meaning.STOP: ("stop", "unsubscribe", "ايقاف", "توقف", "وقف", "الغاء الاشتراك"),
    Meaning.RESUME: ("start", "اشتراك"),
    Meaning.WRONG: ("wrong", "wrongnumber", "wrong number", "رقم خاطئ", "غلط"),
    Meaning.HELP: ("help", "مساعده"),
    Meaning.ALL: ("all", "both", "الكل", "كلها", "كلاهما"),
}
_BY_WORDS = {words: meaning for meaning, forms in TABLE.items() for words in forms}

# Looked for in every text; a clinic group adds its own (ReplySettings.emergency_words).
EMERGENCY_WORDS = (
    "suicide",
    "suicidal",
    "kill myself",
    "kill himself",
    "kill herself",
    "killing myself",
    "end my life",
    "want to die",
    "hurt myself",
    "overdose",
    "emergency",
    "ambulance",
    "chest pain",
    "cannot breathe",
    "can not breathe",
    "cant breathe",
    "can t breathe",
    "انتحار",
    "انتحر",
    "سانتحر",
    "ينتحر",
    "تنتحر",
    "اقتل نفسي",
    "يقتل نفسه",
    "سيقتل نفسه",
    "تقتل نفسها",
    "ستقتل نفسها",
    "انهي حياتي",
    "اريد ان اموت",
    "اريد اموت",
    "ودي اموت",
    "ابغي اموت",
    "ابي اموت",
    "اذي نفسي",
    "طوارئ",
    "طواري",
    "اسعاف",
    "جرعه زائده",
    "لا استطيع التنفس",
    "ما اقدر اتنفس",
    "الم في الصدر",
)
# What stands before an Arabic noun without a space: the article and the short prepositions, alone and together.
_PREFIXES = ("وال", "بال", "فال", "كال", "لل", "ال", "و", "ب", "ف", "ل", "ك")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says. ``numbers`` are all its numbers when it consists of nothing else."""

    meaning: Meaning
    text: str
    numbers: tuple[int, ...] = ()


def normalise(text: str) -> str:
    """One spelling for all that people type alike. Applied twice it gives the same.

    NFKC, lower case, without marks, joining lines, controls, emoji and punctuation; one form of alef, ya and ta
    marbuta; digits of every script as 0 to 9; single spaces.
    """
    return _normalised(text[:LONGEST])


def _normalised(text: str) -> str:
    read = text
    # Dropping a mark can bring two others together, so it goes on until nothing changes; each turn only shortens.
    for _turn in range(8):
        once = _once(read)
        if once == read:
            break
        read = once
    return read


def _once(text: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).translate(_LETTERS)
    return " ".join("".join(_char(char) for char in folded).split())


def _char(char: str) -> str:
    kind = unicodedata.category(char)
    if kind == "Nd":
        return str(unicodedata.decimal(char))
    if kind in ("Mn", "Me", "Cf", "Cs", "Co", "Cn"):
        return ""
    if kind[0] in "PZC" or (kind[0] == "S" and kind not in _KEPT_SYMBOLS):
        return " "
    return char


def read(text: str) -> Reading:
    """What the whole message says; ``FREE`` for everything that is not in the table."""
    words = normalise(text)
    if len(text) > LONGEST:
        return Reading(Meaning.FREE, words)
    numbers = _numbers(words)
    known = _BY_WORDS.get(words)
    if known is not None:
        return Reading(known, words, numbers)
    return Reading(Meaning.PICK if numbers else Meaning.FREE, words, numbers)


def _numbers(words: str) -> tuple[int, ...]:
    """«1 2», «1 و 2», «1 و2», “1 and 2”."""
    parts = [part for part in words.split() if part not in ("and", "و")]
    if not parts or len(parts) > MOST_PICKS or not all(re.fullmatch(r"و?[0-9]{1,2}", part) for part in parts):
        return ()
    return tuple(int(part.removeprefix("و")) for part in parts)


def is_danger(text: str, more: Iterable[str] = ()) -> bool:
    """A word of danger stands somewhere in the text, to its end; the Arabic ones with or without an article."""
    plain = f" {_normalised(text)} "
    bare = f" {' '.join(_bare(word) for word in plain.split())} "
    for words in (*EMERGENCY_WORDS, *more):
        wanted = normalise(words)
        if wanted and (f" {wanted} " in plain or f" {' '.join(_bare(word) for word in wanted.split())} " in bare):
            return True
    return False


def _bare(word: str) -> str:
    for prefix in _PREFIXES:
        if word.startswith(prefix) and len(word) - len(prefix) >= 4:
            return word.removeprefix(prefix)
    return word


def named(words: str, names: Iterable[Iterable[str]]) -> list[int]:
    """Which of the listed people a normalised text names, and nobody else: «سارة وعمر», “Sara and Omar”.

    ``names``: for each position the spellings of one person's name. Empty when a word of it is no name among them, or
    when a name fits two people: then a person must read it.
    """
    tokens = [token for token in words.split() if token not in ("and", "و")]
    spelled = [{part for spelling in forms for part in normalise(spelling).split()[:1]} for forms in names]
    found: list[int] = []
    for token in tokens:
        options = (token, token.removeprefix("و"))
        fits = [index for index, forms in enumerate(spelled) if any(option in forms for option in options)]
        if len(fits) != 1:
            return []
        if fits[0] not in found:
            found.append(fits[0])
    return sorted(found)
