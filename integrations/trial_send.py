"""A test of a template, to the member of staff who asks for it: a real message with example data.

It carries no template, so that it counts as no use of one, and a draft can be tried before anybody has published it.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from core.access import Can
from core.errors import DomainError
from core.models import User
from core.permissions import NotAllowed, demand
from integrations import outbox
from integrations.outbox import Origin
from notifications import rendering, suppression, template_context
from notifications.models import Message, MessageTemplate
from notifications.models.template import TemplateWords
from notifications.rendering import TemplateError
from notifications.states import Channel, NotificationType
from notifications.template_list import TEST_KEY

# They cost money, and nobody needs more to look at a text.
MOST_AN_HOUR = 20


def send(
    *, user: User, template: MessageTemplate, words: TemplateWords, language: str, phone: str, key: uuid.UUID
) -> Message:
    """Sends ``words`` to the user's own email, or to ``phone`` over the template's channel. The same key is one message.

    The caller's tenant scope is open. Raises ``DomainError`` for words that cannot be filled and for too many tests.
    """
    demand(user, Can.MANAGE_TEMPLATES, template)
    if user.tenant_id is None:
        raise NotAllowed
    recipient = user.email if template.channel == Channel.EMAIL else phone
    if not recipient:
        raise DomainError(_("There is no address to send the test to."), code="no_address")
    dedupe_key = f"{TEST_KEY}{user.pk}:{key}"
    _refuse_too_many(user, dedupe_key)
    subject, body = _filled(template, words, language)
    return outbox.write(
        Message(
            tenant_id=user.tenant_id,
            user=user,
            channel=template.channel,
            notification_type=NotificationType.STAFF,
            recipient=recipient,
            language=language,
            subject=subject[:300],
            body=body,
            dedupe_key=dedupe_key,
        ),
        origin=Origin(sent_by=user, location=user.location, details={"test_of": template.code}),
        refusal=suppression.suppressed(template.channel, [recipient]).get(recipient),
        template=None,
        context={},
    )


def _filled(template: MessageTemplate, words: TemplateWords, language: str) -> tuple[str, str]:
    context: Mapping[str, Any] = template_context.examples(template, words.variables)
    known = template_context.known_names(template, words.variables)
    try:
        subject = rendering.render(getattr(words, f"subject_{language}"), known, context, language)
        body = rendering.render(getattr(words, f"body_{language}"), known, context, language)
    except TemplateError as error:
        raise DomainError(str(error), code="cannot_be_filled") from error
    if not body.strip():
        raise DomainError(_("There is no text in this language yet."), code="body_empty")
    return subject, body


def _refuse_too_many(user: User, dedupe_key: str) -> None:
    lately = Message.objects.filter(
        created_at__gte=timezone.now() - dt.timedelta(hours=1), user=user, dedupe_key__startswith=TEST_KEY
    ).exclude(dedupe_key=dedupe_key)
    if lately.count() >= MOST_AN_HOUR:
        raise DomainError(
            _("That is enough for this hour: %(most)d tests have been sent.") % {"most": MOST_AN_HOUR}, code="too_many"
        )
