"""The words of an error: the provider's code, and our sentence in the reader's language."""

from __future__ import annotations

import pytest
from django.utils import translation

from notifications.templatetags.message_tags import error_words


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "This is a landline."), ("ar", "هذا هاتف ثابت.")],
)
def test_a_sentence_of_the_tables_is_said_in_the_readers_language(language: str, words: str) -> None:
    with translation.override(language):
        assert error_words("21635 This is a landline.") == f'<bdi dir="ltr">21635</bdi> <bdi>{words}</bdi>'


def test_what_the_provider_says_itself_stays_as_it_said_it() -> None:
    with translation.override("ar"):
        assert error_words("450 4.2.1 <busy>") == '<bdi dir="ltr">450</bdi> <bdi>4.2.1 &lt;busy&gt;</bdi>'


def test_a_code_alone_has_no_words() -> None:
    with translation.override("ar"):
        assert error_words("worker_lost") == '<bdi dir="ltr">worker_lost</bdi> <bdi></bdi>'
