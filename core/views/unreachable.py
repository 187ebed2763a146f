"""Addresses of a patient's file that are not written to, in words for the page. Roof: may import every app."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from core.models import Guardianship, Patient
from integrations import health
from notifications import selectors
from notifications.models import SuppressedAddress
from notifications.states import Channel, Reason


@dataclass(frozen=True, slots=True)
class Stopped:
    """One channel of one address. ``whose`` is empty for the patient's own; ``asks`` must be confirmed before."""

    pk: uuid.UUID
    address: str
    whose: str
    title: str
    why: str
    code: str
    since: dt.datetime
    asks: str


def stopped_of(patient: Patient, guardianships: Sequence[Guardianship]) -> list[Stopped]:
    """What is stopped among the patient's and the guardians' addresses. One query."""
    owners = {
        address: row.guardian.name for row in guardianships for address in (row.guardian.phone, row.guardian.email)
    }
    owners |= dict.fromkeys((patient.phone, patient.phone_alternative, patient.email), "")
    return [_stopped(row, owners[row.address]) for row in selectors.suppressed(owners)]


def _stopped(row: SuppressedAddress, whose: str) -> Stopped:
    provider = row.message.provider if row.message is not None else ""
    has_refused = row.reason in (Reason.OPTED_OUT, Reason.OPT_OUT_SENDER, Reason.COMPLAINED)
    asks = _("Has this person asked to get messages here again?") if has_refused else ""
    if row.reason == Reason.WRONG_NUMBER:
        asks = _("Have you checked, by a call, whose number this is? Both channels open again.")
    return Stopped(
        pk=row.pk,
        address=row.address,
        whose=whose,
        title=_title(row),
        why=health.explain(provider, row.code),
        code=row.code,
        since=row.created_at,
        asks=asks,
    )


def _title(row: SuppressedAddress) -> str:
    channel = {"channel": Channel(row.channel).label}
    if row.reason == Reason.WRONG_NUMBER:
        return _("This number belongs to somebody else (%(channel)s)") % channel
    if row.reason in (Reason.OPTED_OUT, Reason.OPT_OUT_SENDER):
        return _("Has opted out of %(channel)s") % channel
    if row.reason == Reason.COMPLAINED:
        return _("Has marked our mail as spam")
    if row.channel == Channel.EMAIL:
        return _("This email address cannot be reached")
    return _("This number cannot be reached by %(channel)s") % channel
