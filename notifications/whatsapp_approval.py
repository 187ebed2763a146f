"""WhatsApp's approvals of our templates: their one writer, and what a message needs of one to be sent.

WhatsApp takes, outside a conversation that the patient has begun, only words that it has approved, language by
language. An approval is of one version of the words: when they change, they are submitted again. Placeholders are
numbered there, in the order in which they first stand in the text.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from core import audit
from core.errors import DomainError
from core.models import Language, Patient, User
from notifications import rendering
from notifications.models import InboundMessage, MessageTemplate, WhatsAppApproval
from notifications.models.approval import CONTENT_SID
from notifications.states import Channel

State, Category = WhatsAppApproval.State, WhatsAppApproval.Category

# twilio.com/docs/whatsapp/key-concepts: free text is allowed for 24 hours after the patient's last message.
WINDOW = dt.timedelta(hours=24)
# The provider's words (Content API, ApprovalRequests) → ours.
STATES: Mapping[str, str] = {
    "unsubmitted": State.NOT_SUBMITTED,
    "received": State.PENDING,
    "pending": State.PENDING,
    "under_review": State.PENDING,
    "approved": State.APPROVED,
    "rejected": State.REJECTED,
    "paused": State.PAUSED,
    "disabled": State.PAUSED,
}
_AUDITED = ("state", "content_sid", "category", "rejection_reason", "version")
_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Wish:
    """What an admin notes about a template in one language."""

    state: str
    content_sid: str = ""
    category: str = Category.UTILITY
    rejection_reason: str = ""


def approvals_of(template: MessageTemplate) -> dict[str, WhatsAppApproval]:
    """Language → its approval, for each language that the template has; one not noted yet is not saved. One query."""
    found = {row.language: row for row in template.approvals.select_related("updated_by")}
    return {
        language: found.get(language)
        or WhatsAppApproval(tenant_id=template.tenant_id, template=template, language=language)
        for language in Language.values
        if language == Language.ENGLISH or template.body_ar
    }


def covering(template: MessageTemplate, language: str) -> WhatsAppApproval | None:
    """The approval of exactly these words, or None. One query."""
    row = WhatsAppApproval.objects.filter(template_id=template.pk, language=_written_in(template, language)).first()
    return row if row is not None and row.covers(template.version) else None


def covered(templates: Sequence[MessageTemplate]) -> dict[tuple[Any, str], WhatsAppApproval]:
    """The approvals of many templates' words: (template id, language) → approval. One query."""
    versions = {template.pk: template for template in templates}
    rows = WhatsAppApproval.objects.filter(template__in=list(versions), state=State.APPROVED)
    found = {(row.template_id, row.language): row for row in rows if row.covers(versions[row.template_id].version)}
    return {
        (template.pk, language): found[template.pk, _written_in(template, language)]
        for template in templates
        for language in Language.values
        if (template.pk, _written_in(template, language)) in found
    }


def is_window_open(patient: Patient, address: str) -> bool:
    """The patient has written by WhatsApp within the last day, so free text is an answer."""
    since = timezone.now() - WINDOW
    replies = InboundMessage.objects.filter(patient=patient, channel=Channel.WHATSAPP, sender=address)
    return replies.filter(created_at__gt=since).exists()


def numbered(text: str) -> str:
    """The words as they are submitted: ``Dear {{1}}, …``. Raises ``rendering.TemplateError``."""
    numbers = {name: f"{{{{{number}}}}}" for number, name in enumerate(names_in(text), start=1)}
    return text.format_map(numbers)


def names_in(text: str) -> list[str]:
    """The placeholders in the order of their numbers."""
    return list(dict.fromkeys(rendering.placeholders(text)))


def variables(values: Sequence[str]) -> dict[str, str]:
    """The values by their numbers. WhatsApp takes no line end, no tab and no run of spaces in one (63028)."""
    return {str(number): _BLANKS.sub(" ", value).strip() for number, value in enumerate(values, start=1)}


def variables_of(template: MessageTemplate, language: str, context: Mapping[str, Any]) -> dict[str, str]:
    """The numbered values of one message, as they stand in its text."""
    text = template.body_ar if _written_in(template, language) == Language.ARABIC else template.body_en
    return variables([rendering.fill_value(name, context.get(name), language) for name in names_in(text)])


def as_json(values: Mapping[str, str]) -> str:
    return json.dumps(values, ensure_ascii=False)


@transaction.atomic
def approval_set(*, actor: User | None, template: MessageTemplate, language: str, wish: Wish) -> WhatsAppApproval:
    """Notes how the template's words of now stand with WhatsApp. Raises DomainError."""
    if template.channel != Channel.WHATSAPP:
        raise DomainError(_("Only WhatsApp templates are approved by WhatsApp."), code="not_whatsapp")
    if language not in Language.values or (language == Language.ARABIC and not template.body_ar):
        raise DomainError(_("This template has no text in this language."), code="language_missing")
    if wish.content_sid and not re.fullmatch(CONTENT_SID, wish.content_sid):
        raise DomainError(_("A ContentSid is HX and 32 letters or digits, as Twilio shows it."), code="sid_unknown")
    if wish.state != State.NOT_SUBMITTED and not wish.content_sid:
        raise DomainError(_("Write the ContentSid that Twilio gave the text."), code="sid_missing")
    row, _is_new = WhatsAppApproval.objects.select_for_update().get_or_create(
        tenant_id=template.tenant_id, template=template, language=language
    )
    row.state, row.content_sid, row.category = wish.state, wish.content_sid, wish.category
    row.rejection_reason = wish.rejection_reason.strip()[:300] if wish.state == State.REJECTED else ""
    row.version = template.version if wish.state != State.NOT_SUBMITTED else 0
    _save(row, actor)
    return row


@transaction.atomic
def answer_noted(*, actor: User | None, approval: WhatsAppApproval, status: str, category: str, reason: str) -> bool:
    """Takes over what the provider says; False for a word that we do not know. The version stays: it is what was asked."""
    state = STATES.get(status)
    if state is None:
        return False
    row = WhatsAppApproval.objects.select_for_update().get(pk=approval.pk)
    row.state = state
    if category.upper() in Category.values:
        row.category = category.upper()
    row.rejection_reason = reason.strip()[:300] if state == State.REJECTED else ""
    row.checked_at = timezone.now()
    _save(row, actor)
    return True


def _written_in(template: MessageTemplate, language: str) -> str:
    """The language of the words that a reader of ``language`` gets: the other one where that is empty."""
    return language if language == Language.ENGLISH or template.body_ar else Language.ENGLISH


def _save(row: WhatsAppApproval, actor: User | None) -> None:
    kept = WhatsAppApproval.objects.get(pk=row.pk)
    before, after = ({name: getattr(one, name) for name in _AUDITED} for one in (kept, row))
    row.updated_by = actor if before != after else kept.updated_by
    row.save()
    if before == after:
        return
    changed = [name for name in _AUDITED if before[name] != after[name]]
    audit.record(
        tenant_id=row.tenant_id,
        actor=actor,
        action="whatsapp_approval.changed",
        obj=row,
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed} | {"template": str(row.template_id), "language": row.language},
    )
