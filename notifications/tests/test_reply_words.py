"""The closed table of replies, and a fuzz of it in both scripts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.reply_words import TABLE, Meaning, is_danger, named, normalise, read

M = Meaning


@pytest.mark.parametrize(
    ("meaning", "words"), [(meaning, words) for meaning, forms in TABLE.items() for words in forms]
)
def test_each_word_of_the_table_means_what_it_stands_for(meaning: Meaning, words: str) -> None:
    assert read(words).meaning is meaning
    assert read(f"  {words.upper()}! ").meaning is meaning


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("١", M.CONFIRM),
        ("۱", M.CONFIRM),
        ("1️⃣", M.CONFIRM),
        ("1.", M.CONFIRM),
        ("٢", M.CANCEL),
        ("۲", M.CANCEL),
        ("٣", M.CHANGE),
        ("نَعَم", M.CONFIRM),
        ("نـعـم", M.CONFIRM),
        ("\u200fنعم\u200f 👍", M.CONFIRM),
        ("أكّد", M.CONFIRM),
        ("مؤكّد", M.CONFIRM),
        ("أيوه", M.CONFIRM),
        ("إلغاء", M.CANCEL),
        ("ألغي", M.CANCEL),
        ("إلغاء الاشتراك", M.STOP),
        ("الغاء الإشتراك", M.STOP),
        ("إيقاف", M.STOP),
        ("تأجيل", M.CHANGE),
        ("موعد آخر", M.CHANGE),
        ("رقم خاطئ", M.WRONG),
        ("مساعدة", M.HELP),
        ("ＹＥＳ", M.CONFIRM),
        ("1 2", M.PICK),
        ("١ و ٢", M.PICK),
        ("4", M.PICK),
        ("not coming", M.FREE),
        ("no problem", M.FREE),
        ("yes but later", M.FREE),
        ("ما راح اجي", M.FREE),
        ("مو مؤكد", M.FREE),
        ("لا تلغي", M.FREE),
        ("الغاء الموعد القادم", M.FREE),
        ("½", M.FREE),
        ("+1", M.FREE),
        ("1=2", M.FREE),
        ("👍", M.FREE),
        ("", M.FREE),
        ("1 " * 2000, M.FREE),
    ],
)
def test_only_a_whole_message_counts(text: str, meaning: Meaning) -> None:
    assert read(text).meaning is meaning


@pytest.mark.parametrize(
    "text",
    [
        "I want to kill myself",
        "أفكر في الانتحار",
        "نحتاج للطوارئ الآن",
        "SUICIDE",
        "حالة طوارئ",
        "اريد أن أموت",
        "can't breathe",
        "والإسعاف تأخر",
        "x" * 1500 + " emergency",
    ],
)
def test_words_of_danger_are_found_anywhere(text: str) -> None:
    assert is_danger(text)


def test_a_clinic_adds_words_of_danger_and_the_rest_is_no_danger() -> None:
    assert not is_danger("نوبة صرع")
    assert is_danger("عنده نوبة صرع", ["نوبه صرع"])
    assert not is_danger("نعم")
    assert not is_danger("see you tomorrow")
    assert not is_danger("")


def test_names_choose_only_those_that_are_listed_and_clear() -> None:
    family = [("Sara Al-Mutairi", "سارة المطيري"), ("Omar Al-Mutairi", "عمر المطيري")]
    assert named(normalise("سارة"), family) == [0]
    assert named(normalise("سارة وعمر"), family) == [0, 1]
    assert named(normalise("Omar and Sara"), family) == [0, 1]
    assert named(normalise("Sara not Omar"), family) == []
    assert named(normalise("Ahmad"), family) == []
    assert named(normalise("Sara"), [("Sara A", ""), ("Sara B", "")]) == []


_LETTERS = st.text(
    alphabet=st.one_of(
        st.characters(min_codepoint=0x0600, max_codepoint=0x06FF),
        st.characters(min_codepoint=0x20, max_codepoint=0x7F),
        st.sampled_from("نعملااكدoKyes12٣١۲👍\u200f\u200e\u064b\u0651ـ إأآىة"),
        st.characters(),
    ),
    max_size=40,
)


@settings(max_examples=600, deadline=None)
@given(_LETTERS)
def test_nothing_raises_and_normalising_twice_is_normalising_once(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    reading = read(text)
    if reading.meaning not in (M.FREE, M.PICK):
        assert once in TABLE[reading.meaning]
    is_danger(text)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(TABLE[M.CONFIRM]), _LETTERS, _LETTERS)
def test_more_words_around_a_yes_never_confirm(yes: str, before: str, after: str) -> None:
    around = normalise(f"{before} {after}")
    if read(f"{before} {yes} {after}").meaning is M.CONFIRM:
        assert around == ""


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([form for forms in TABLE.values() for form in forms]), st.data())
def test_marks_emoji_and_case_change_no_meaning(words: str, data: st.DataObject) -> None:
    meaning = read(words).meaning
    noise = st.sampled_from(["", "\u200f", "\u064e", "\u0651", "ـ", "\u200d"])
    dressed = "".join(char + data.draw(noise) if char != " " else " " for char in words)
    # A mark alone before a digit's end is still the digit; a mark may compose with alef into another alef.
    assert read(f"{dressed} 🙏").meaning is meaning
