"""What the message pages say in the reader's language: an error, a template's name, a cost."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.utils import translation

from notifications.models import Message, MessageTemplate
from notifications.states import Channel
from notifications.templatetags.message_tags import cost, error_words, template_title


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


def test_a_template_keeps_the_name_it_was_given_and_else_is_named_in_the_readers_language() -> None:
    template = MessageTemplate(
        code="appointment.reminder_24h.patient",
        name="Reminder 24 hours before: patient, whatsapp",
        channel=Channel.WHATSAPP,
    )
    assert template_title(template) == "Reminder 24 hours before: Patient, WhatsApp"
    with translation.override("ar"):
        assert template_title(template) == "تذكير قبل 24 ساعة: المريض، واتساب"
        template.name = "The friendly one"
        assert template_title(template) == "The friendly one"


def test_a_cost_stands_in_the_readers_currency() -> None:
    message = Message(cost=Decimal("0.04200"), currency="SAR")
    assert cost(message) == "<bdi>0.042 SAR</bdi>"
    with translation.override("ar"):
        assert cost(message) == "<bdi>0.042 ر.س</bdi>"
