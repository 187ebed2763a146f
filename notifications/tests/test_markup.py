from __future__ import annotations

from django.utils.safestring import mark_safe

from notifications import markup


def test_stars_are_bold_on_whatsapp_and_stars_elsewhere() -> None:
    assert markup.as_shown("on *Monday 3*, ok", "WHATSAPP") == "on <strong>Monday 3</strong>, ok"
    assert markup.as_shown("on *Monday 3*, ok", "SMS") == "on *Monday 3*, ok"


def test_what_a_person_typed_cannot_become_html() -> None:
    assert markup.as_shown("*<b>x</b>*", "WHATSAPP") == "<strong>&lt;b&gt;x&lt;/b&gt;</strong>"


def test_links_that_were_made_before_stay() -> None:
    assert markup.as_shown(mark_safe('*<a href="x">x</a>*'), "WHATSAPP") == '<strong><a href="x">x</a></strong>'


def test_lonely_stars_and_sums_stay_as_they_are() -> None:
    for text in ("2 * 3 * 4", "*", "**", "* a*", "*a\nb*"):
        assert markup.as_shown(text, "WHATSAPP") == text


def test_a_preview_has_the_words_alone() -> None:
    assert markup.plain("on *Monday*", "WHATSAPP") == "on Monday"
    assert markup.plain("on *Monday*", "SMS") == "on *Monday*"
