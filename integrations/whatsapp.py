"""WhatsApp's rule at the moment of routing: approved words, an open conversation, or another channel.

Whether a provider keeps the rule is data of its adapter (``requires_approval``); what is approved is in
``notifications/whatsapp_approval.py``. An approval that is taken back after a message was queued shows as a refusal of
the provider (63040 to 63042), and the message goes on by its next channel.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from core.errors import DomainError
from core.models import Patient, User
from integrations import credentials
from integrations.sms_providers import ProviderError
from notifications import whatsapp_approval
from notifications.models import Message, MessageTemplate, WhatsAppApproval, WhatsAppContent
from notifications.states import Channel, Reason


def keeps_rule(tenant_id: uuid.UUID) -> bool:
    """Some provider that carries the tenant's WhatsApp takes only approved words. No query as a rule."""
    return any(
        provider.needs_approval(Channel.WHATSAPP) for provider in credentials.providers_for(Channel.WHATSAPP, tenant_id)
    )


def refusal(*, patient: Patient, template: MessageTemplate, language: str, address: str) -> Reason | None:
    """Why the template may not go out over WhatsApp; None when it may, and for every other channel."""
    if template.channel != Channel.WHATSAPP or not keeps_rule(patient.tenant_id):
        return None
    if whatsapp_approval.covering(template, language) or whatsapp_approval.is_window_open(patient, address):
        return None
    return Reason.WHATSAPP_UNAPPROVED


def approved_of(
    tenant_id: uuid.UUID, templates: Sequence[MessageTemplate]
) -> dict[tuple[Any, str], WhatsAppApproval] | None:
    """(template id, language) → the approval of its words, for who sends to many; None where no rule is kept."""
    theirs = [template for template in templates if template.channel == Channel.WHATSAPP]
    if not theirs or not keeps_rule(tenant_id):
        return None
    return whatsapp_approval.covered(theirs)


def content_for(
    message: Message, template: MessageTemplate | None, context: Mapping[str, Any]
) -> WhatsAppContent | None:
    """What the message is sent as, to be saved beside it; None where free text goes. Its words are rendered already."""
    if template is None or message.channel != Channel.WHATSAPP or not keeps_rule(message.tenant_id):
        return None
    approval = whatsapp_approval.covering(template, message.language)
    if approval is None:
        return None
    return WhatsAppContent(
        tenant_id=message.tenant_id,
        message=message,
        content_sid=approval.content_sid,
        variables=whatsapp_approval.variables_of(template, message.language, context),
    )


def can_ask(tenant_id: uuid.UUID) -> bool:
    """Whether a provider of the tenant's tells about approvals."""
    return keeps_rule(tenant_id)


def refresh(*, actor: User, approval: WhatsAppApproval) -> WhatsAppApproval:
    """Asks the provider how the approval stands, and notes it. Raises DomainError when nobody can tell."""
    provider = next(
        (
            one
            for one in credentials.providers_for(Channel.WHATSAPP, approval.tenant_id)
            if one.needs_approval("WHATSAPP")
        ),
        None,
    )
    if provider is None or not approval.content_sid:
        raise DomainError(_("There is nothing to ask about yet."), code="nothing_to_ask")
    try:
        answer = provider.approval_of(approval.content_sid)
    except ProviderError as error:
        raise DomainError(_("The provider did not answer. Try again in a minute."), code="no_answer") from error
    if answer is None:
        raise DomainError(_("The provider knows no text with this ContentSid."), code="sid_not_found")
    if not whatsapp_approval.answer_noted(
        actor=actor, approval=approval, status=answer.status, category=answer.category, reason=answer.reason
    ):
        raise DomainError(_("The provider answered with a state that we do not know."), code="state_unknown")
    approval.refresh_from_db()
    return approval
