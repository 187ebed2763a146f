"""What providers said about a message, word for word, for admins: receipts as they came, and answers at the hand-over.

Secrets are taken out: keys of accounts and signatures have no use on a page.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from notifications.models import Message, MessageLog, ProviderReceipt

HIDDEN = "•••"
_SECRET = re.compile(r"auth|token|secret|passw|signature|api_?key|cookie|credential|(account|app)_?sid", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Report:
    """``kind`` is "receipt" or "answer"; ``text`` is JSON, indented; ``applied_at`` is None for a receipt not used yet."""

    kind: str
    at: dt.datetime
    provider: str
    status: str
    code: str
    text: str
    applied_at: dt.datetime | None = None


def of(message: Message) -> list[Report]:
    """The latest first. Two queries."""
    receipts = ProviderReceipt.objects.filter(message=message, tenant_id=message.tenant_id)
    found = [
        Report(
            "receipt", row.received_at, row.provider, row.status, row.error_code, pretty(row.payload), row.applied_at
        )
        for row in receipts
    ]
    return sorted([*found, *_answers(message)], key=lambda report: report.at, reverse=True)


def _answers(message: Message) -> Sequence[Report]:
    logs = MessageLog.objects.filter(message=message).exclude(provider_response={}).order_by("position")
    return [
        Report("answer", row.created_at, message.provider, row.event, "", pretty(row.provider_response)) for row in logs
    ]


def pretty(payload: Any) -> str:
    return json.dumps(without_secrets(payload), indent=2, ensure_ascii=False, sort_keys=True, default=str)


def without_secrets(value: Any) -> Any:
    """The same, with the values of telling keys hidden, at any depth."""
    if isinstance(value, dict):
        return {
            key: HIDDEN if _SECRET.search(str(key)) and inner else without_secrets(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(inner) for inner in value]
    return value
