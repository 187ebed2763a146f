"""How a template's words stand with WhatsApp, language by language, for the template's page."""

from __future__ import annotations

from typing import Any, NamedTuple

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.models import Language
from notifications import rendering, whatsapp_approval
from notifications.models import MessageTemplate, WhatsAppApproval

register = template.Library()

_TONES = {"NOT_SUBMITTED": "", "PENDING": "info", "APPROVED": "ok", "REJECTED": "bad", "PAUSED": "warn"}


class Card(NamedTuple):
    """One language. ``text`` is what is submitted; ``covers``: exactly these words may be sent."""

    approval: WhatsAppApproval
    language: str
    label: Any
    text: str
    covers: bool
    is_outdated: bool
    # WhatsApp refuses such texts as a rule.
    has_bare_edge: bool


@register.simple_tag
def whatsapp_cards(template: MessageTemplate) -> list[Card]:
    """One for each language of the template. One query."""
    return [card(template, approval) for approval in whatsapp_approval.approvals_of(template).values()]


def card(template: MessageTemplate, approval: WhatsAppApproval) -> Card:
    words = template.body_ar if approval.language == Language.ARABIC else template.body_en
    try:
        text = whatsapp_approval.numbered(words)
    except rendering.TemplateError:
        text = words
    return Card(
        approval=approval,
        language=approval.language,
        label=Language(approval.language).label,
        text=text,
        covers=approval.covers(template.version),
        has_bare_edge=text.strip().startswith("{{") or text.strip().endswith("}}"),
        is_outdated=approval.state != "NOT_SUBMITTED" and approval.version != template.version,
    )


@register.simple_tag
def approval_badge(card: Card) -> SafeString:
    """Its state as a word; what is approved for older words only is a warning."""
    tone = "warn" if card.is_outdated else _TONES[card.approval.state]
    return format_html('<span class="st {}">{}</span>', tone, card.approval.get_state_display())
