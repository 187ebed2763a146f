"""How a patient's message addresses its reader and speaks of the patient: two genders, kept apart.

The reader may be the mother and the patient her son. Both are put into every patient's message by whoever sends it, so
each event's words may use them (``registry.register`` adds them to its example).

Must never import a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from notifications.rendering import Gendered, Words

_DEAR = Gendered(Words("Dear", "مرحبًا"), Words("Dear", "عزيزتي"), Words("Dear", "عزيزي"), is_of_reader=True)
# Of a child it is always somebody else who reads; not always a parent, so no “your son” in Arabic.
_CHILD = Gendered(Words("your child", "الطفل"), Words("your child", "الطفلة"), Words("your child", "الطفل"))
_ADULT = Gendered(Words("the patient", "المراجع"), Words("Ms.", "السيدة"), Words("Mr.", "السيد"))

EXAMPLE: Mapping[str, Any] = {
    "greeting": Gendered(_DEAR.neutral, _DEAR.feminine, _DEAR.masculine, gender="F", is_of_reader=True),
    "patient_title": Gendered(_CHILD.neutral, _CHILD.feminine, _CHILD.masculine, gender="F"),
}


class Spoken(Protocol):
    """As much of a patient as it takes."""

    @property
    def gender(self) -> str: ...
    @property
    def is_minor(self) -> bool: ...


def values_for(patient: Spoken) -> dict[str, Any]:
    """The two placeholders; the reader's own gender comes with ``rendering.for_reader``."""
    title = _CHILD if patient.is_minor else _ADULT
    return {
        "greeting": _DEAR,
        "patient_title": Gendered(title.neutral, title.feminine, title.masculine, gender=patient.gender),
    }
