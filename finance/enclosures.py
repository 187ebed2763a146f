"""A bill for a visit at a sensitive place is written on plain paper: the letterhead has the clinic's name, logo and address.

Registered at start; see ``integrations/enclosures.py``. Two queries for a whole batch.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from core import discretion
from finance import notices
from finance.models import Invoice
from integrations import enclosures
from notifications.models import Message
from notifications.states import Channel


def register() -> None:
    enclosures.register(Invoice._meta.label_lower, of_invoices)


def of_invoices(messages: Sequence[Message]) -> Mapping[uuid.UUID, Mapping[str, Any]]:
    emails = [message for message in messages if message.channel == Channel.EMAIL]
    if not emails:
        return {}
    rows = Invoice.objects.filter(pk__among=list({email.object_id for email in emails}))
    main = notices.main_place()
    discreet = {
        row.pk
        for row in rows.select_related("appointment__location")
        if discretion.is_discreet(notices.place_of(row, main))
    }
    return {email.pk: {"letterhead": None} for email in emails if email.object_id in discreet}
