"""What a segment costs, as far as anybody knows: the mean of what providers have billed this clinic lately.

No price list is kept, because prices change by country, contract and sender; the bills are there. Where none is, no price
is known, and the pages say so.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from django.utils import timezone

from notifications.models import Message

# Enough for a mean, few enough for a page; older bills may be of an older contract.
_LATEST = 400
_WITHIN = dt.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Price:
    """Of one segment (an SMS part, or a whole WhatsApp message or email), in units of the currency."""

    amount: Decimal
    currency: str

    def times(self, count: int) -> Price:
        return Price(self.amount * count, self.currency)


def price_of_segment(channel: str) -> Price | None:
    """The open tenant's mean over its latest billed messages of the channel; None when nothing was billed. One query."""
    billed = (
        Message.objects.filter(channel=channel, cost__isnull=False, created_at__gte=timezone.now() - _WITHIN)
        .order_by("-created_at")
        .values_list("cost", "segments", "attempt_count", "currency")[:_LATEST]
    )
    cost, count, currency = Decimal(0), 0, ""
    for amount, segments, attempts, its_currency in billed:
        currency = currency or its_currency
        if amount is not None and its_currency == currency:
            cost += amount
            count += max(segments, 1) * max(attempts, 1)
    return Price((cost / count).quantize(Decimal("0.00001")), currency) if count else None
