"""What the columns of an uploaded list mean: the few by which a patient is found, and placeholders for the rest."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from core.errors import DomainError

# Headers as people write them, in both languages, without their small differences (``_plain``).
KNOWN = {
    "phone": (
        *("phone", "mobile", "mobile phone", "mobile number", "phone number", "cell", "tel", "telephone", "whatsapp"),
        *(
            "الجوال",
            "جوال",
            "رقم الجوال",
            "الهاتف",
            "هاتف",
            "رقم الهاتف",
            "الموبايل",
            "موبايل",
            "رقم الموبايل",
            "واتساب",
        ),
    ),
    "mrn": (
        *("file", "file number", "file no", "mrn", "patient number", "patient no", "medical record number"),
        *("رقم الملف", "الملف", "ملف", "رقم المريض", "الرقم الطبي", "رقم المراجع"),
    ),
    "email": ("email", "e mail", "mail", "البريد", "البريد الالكتروني", "الايميل", "ايميل"),
    "name": (
        "name",
        "full name",
        "patient",
        "patient name",
        "الاسم",
        "اسم",
        "اسم المريض",
        "اسم المراجع",
        "الاسم الكامل",
    ),
    "language": ("language", "lang", "اللغة", "لغة"),
}
_MEANING = {}
_ALIKE = str.maketrans(
    {"أ": "ا", "إ": "ا", "آ": "ا", "ى": "ي", "ة": "ه", "_": " ", "-": " ", ".": " ", "#": " ", ":": " "}
)
_NOT_NAME = re.compile(r"[^a-z0-9]+")
# Placeholders that every message has: a column cannot take their place.
RESERVED = frozenset({"patient_name", "clinic_name"})


def _plain(header: str) -> str:
    text = unicodedata.normalize("NFKC", header).casefold().translate(_ALIKE)
    return " ".join("".join(char for char in text if not unicodedata.combining(char)).split())


_MEANING.update({_plain(word): meaning for meaning, words in KNOWN.items() for word in words})


@dataclass(frozen=True, slots=True)
class Columns:
    """Places of the known columns (None: not there), and placeholder → place of the others."""

    headers: list[str]
    phone: int | None
    mrn: int | None
    email: int | None
    name: int | None
    language: int | None
    others: dict[str, int]

    @property
    def places(self) -> list[int]:
        """Of file number, phone, email, name and language; -1, which is a row's end, where there is no such column."""
        known = (self.mrn, self.phone, self.email, self.name, self.language)
        return [-1 if place is None else place for place in known]

    def header(self, place: int | None) -> str:
        return self.headers[place][:80] if place is not None else ""


def understand(headers: Sequence[str]) -> Columns:
    """Reads the header row. Raises ``DomainError`` when no column tells who is meant, or one comes twice."""
    found: dict[str, int] = {}
    others: dict[str, int] = {}
    for place, header in enumerate(headers):
        meaning = _MEANING.get(_plain(header))
        if meaning is None:
            if header:
                others[_placeholder(header, place, others)] = place
        elif meaning in found:
            raise DomainError(
                _("Two columns are called “%(name)s”. Leave one of them out.") % {"name": header}, code="column_twice"
            )
        else:
            found[meaning] = place
    if not {"phone", "mrn", "email"} & set(found):
        raise DomainError(
            _("The first row must name the columns, and one of them must be the phone, the file number or the email."),
            code="columns_unknown",
        )
    return Columns(list(headers), **{name: found.get(name) for name in KNOWN}, others=others)


def _placeholder(header: str, place: int, taken: dict[str, int]) -> str:
    """“Visit date” → visit_date; a header without Latin letters is named by its place: column_3."""
    name = _NOT_NAME.sub("_", _plain(header)).strip("_")[:40].rstrip("_")
    if not name or not name[0].isalpha() or name in RESERVED or name in taken:
        name = f"column_{place + 1}"
    return name
