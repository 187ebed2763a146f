from __future__ import annotations

import pytest

from notifications.segments import count


@pytest.mark.parametrize(
    ("text", "encoding", "units", "parts"),
    [
        ("", "GSM-7", 0, 0),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("€" * 80, "GSM-7", 160, 1),
        ("a" * 152 + "€" + "a" * 151, "GSM-7", 305, 2),
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3),
        ("م" * 70, "UCS-2", 70, 1),
        ("م" * 71, "UCS-2", 71, 2),
        ("م" * 66 + "😀" + "م" * 66, "UCS-2", 134, 3),
        ("`", "UCS-2", 1, 1),
    ],
)
def test_parts_follow_the_alphabet(text: str, encoding: str, units: int, parts: int) -> None:
    counted = count(text)
    assert (counted.encoding, counted.units, counted.parts) == (encoding, units, parts)


def test_the_limit_is_what_fits_into_the_parts_in_use() -> None:
    assert count("م" * 71).limit == 134
    assert count("a").limit == 160
