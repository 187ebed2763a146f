"""What a merge of two files does to requests about data, copies, holds and open sessions; and to sessions of a number that
is in other hands. Must never import anything of the other apps.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import F
from django.dispatch import receiver

from core import portal_sessions
from core.merging import register_step
from core.models import LegalHold, Patient, PortalGuess, PortalSession, RightsRequest, RightsState, SubjectExport
from core.patients.numbers import number_was_wrong
from core.rights import OPEN_STATES, rights_join


def register() -> None:
    register_step(
        "rights",
        _merge,
        covers=["core.RightsRequest", "core.SubjectExport", "core.LegalHold", "core.PortalSession", "core.PortalGuess"],
    )


def _merge(survivor: Patient, merged: Patient) -> None:
    """Requests and holds go along: a hold on one of the two holds the whole file. Of what one person has asked for in
    both, one stays open.
    """
    ours, theirs = f"patient:{survivor.pk}", f"patient:{merged.pk}"
    stays: dict[tuple[str, str], RightsRequest] = {}
    for request in _open_in(survivor, merged):
        asker = ours if request.asked_by == theirs else request.asked_by
        first = stays.setdefault((request.kind, asker), request)
        if first is not request:
            rights_join(request=request, into=first)
    RightsRequest.objects.filter(asked_by=theirs).update(asked_by=ours)
    SubjectExport.objects.filter(reader=theirs).update(reader=ours)
    RightsRequest.objects.filter(patient=merged).update(patient=survivor)
    SubjectExport.objects.filter(patient=merged).update(patient=survivor)
    LegalHold.objects.filter(patient=merged).update(patient=survivor)
    # Whoever has the old file open chooses anew.
    PortalSession.objects.filter(patient=merged).update(patient=None)
    _add_guesses(survivor, merged)


def _add_guesses(survivor: Patient, merged: Patient) -> None:
    """Two files that become one give nobody more tries at its birth date."""
    for guess in PortalGuess.objects.filter(patient=merged):
        mine, _is_new = PortalGuess.objects.get_or_create(tenant_id=survivor.tenant_id, patient=survivor, day=guess.day)
        PortalGuess.objects.filter(pk=mine.pk).update(wrong=F("wrong") + guess.wrong)
        guess.delete()


def _open_in(survivor: Patient, merged: Patient) -> list[RightsRequest]:
    """What a worker has begun with first, then what is to be answered first."""
    rows = RightsRequest.objects.filter(patient__in=[survivor, merged], state__in=OPEN_STATES)
    found = rows.select_for_update(of=("self",)).order_by("due_on", "created_at", "pk")
    return sorted(found, key=lambda request: request.state != RightsState.RUNNING)


@receiver(number_was_wrong)
def number_in_other_hands(*, tenant_id: uuid.UUID, phone: str, **_others: Any) -> None:
    """Whoever signed in with it is out at once, and gets no new code: the number is stopped."""
    portal_sessions.end_for_address(tenant_id, phone)
