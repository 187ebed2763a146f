"""Template filters for messages: the address in its own direction, the cost with its currency, an error's words."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext

from core.templatetags import agdar_ui
from notifications import default_words, markup, selectors
from notifications.models import Message, MessageAttempt, MessageTemplate

register = template.Library()


@register.filter
def address(recipient: str) -> SafeString:
    """A phone number or an email address, left to right in both languages."""
    return agdar_ui.phone(recipient) if recipient.startswith("+") else agdar_ui.ltr(recipient)


@register.filter
def as_shown(message: Message) -> SafeString:
    """The text as the phone shows it."""
    return markup.as_shown(message.body, message.channel)


@register.filter
def preview(message: Message) -> str:
    """One line for a list: the subject, or the beginning of the text."""
    return message.subject or Truncator(markup.plain(message.body, message.channel)).chars(90)


@register.filter
def cost(message: Message | MessageAttempt) -> SafeString | str:
    """``0.03100 SAR`` without needless zeros; a dash before the provider has named a price."""
    if message.cost is None:
        return "–"
    amount = f"{message.cost.normalize():f}"
    whole, _dot, decimals = amount.partition(".")
    text = f"{whole}.{decimals.ljust(2, '0')} {gettext(message.currency)}".strip()
    return format_html("<bdi>{}</bdi>", text)


@register.filter
def with_commas(number: int) -> SafeString:
    """1,000: Western digits, grouped, in both languages."""
    return format_html('<bdi class="num">{}</bdi>', f"{number:,}")


@register.filter
def is_stuck(message: Message) -> bool:
    """WhatsApp took it long ago and has not delivered it."""
    return selectors.is_stuck(message)


@register.filter
def template_title(row: MessageTemplate) -> str:
    """The template's name in the reader's language."""
    return default_words.title(row)


@register.filter
def error_words(error: str) -> SafeString:
    """“30006 The number is a landline.”: the code as it is, the sentence in the reader's language.

    The providers' tables mark their sentences for the catalogue; what a provider says itself is shown as it said it.
    """
    translated = gettext(error)
    if translated != error:
        return format_html("<bdi>{}</bdi>", translated)
    code, _space, words = error.partition(" ")
    return format_html('<bdi dir="ltr">{}</bdi> <bdi>{}</bdi>', code, gettext(words))
