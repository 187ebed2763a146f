"""What a clinic group decides about replies: words of danger, the number in the text to somebody in danger, the guard
against machines. The only writer of ``ReplySettings``; needs the tenant's scope open.
"""

from __future__ import annotations

import uuid

from django.db import transaction
from django.utils.translation import gettext as _

from core import changes
from core.access import Can
from core.errors import DomainError
from core.models import User
from core.permissions import NotAllowed, demand
from notifications.models import ReplySettings
from notifications.reply_words import normalise

MOST_WORDS = 50


def of(tenant_id: uuid.UUID) -> ReplySettings:
    """The tenant's own, or an unsaved row with the defaults. One query."""
    return ReplySettings.objects.filter(tenant_id=tenant_id).first() or ReplySettings(tenant_id=tenant_id)


@transaction.atomic
def reply_rules_set(*, actor: User, emergency_words: str, emergency_number: str, most_a_minute: int) -> ReplySettings:
    """``emergency_words``: one a line, besides the house's own."""
    demand(actor, Can.MANAGE_SETTINGS)
    if actor.tenant_id is None:
        raise NotAllowed
    words = list(dict.fromkeys(word for line in emergency_words.splitlines() if (word := " ".join(line.split()))))
    if len(words) > MOST_WORDS or any(len(word) > 60 for word in words):
        raise DomainError(_("At most 50 words or short phrases, one on each line."), code="words_too_many")
    if any(len(normalise(word)) < 3 for word in words):
        raise DomainError(_("A word of danger has at least three letters."), code="word_too_short")
    number = " ".join(emergency_number.split())
    if not number or not any(char.isdigit() for char in number) or len(number) > 40:
        raise DomainError(_("Give the number to call in an emergency, such as 997."), code="number_missing")
    if not 2 <= most_a_minute <= 60:
        raise DomainError(_("Choose between 2 and 60 replies a minute."), code="minute_out_of_range")
    row, _is_new = ReplySettings.objects.get_or_create(tenant_id=actor.tenant_id)
    values = {"emergency_words": words, "emergency_number": number, "most_a_minute": most_a_minute}
    changes.apply(actor=actor, row=row, values=values, action="reply_rules.set")
    return row
