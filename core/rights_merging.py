"""What a merge of two files does to requests about data, copies, holds and open sessions; and to sessions of a number that
is in other hands. Must never import anything of the other apps.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.dispatch import receiver

from core import portal_sessions
from core.merging import register_step
from core.models import LegalHold, Patient, PortalSession, RightsRequest, RightsState, SubjectExport
from core.patients.numbers import number_was_wrong
from core.rights import OPEN_STATES, rights_withdraw


def register() -> None:
    register_step(
        "rights",
        _merge,
        covers=["core.RightsRequest", "core.SubjectExport", "core.LegalHold", "core.PortalSession"],
    )


def _merge(survivor: Patient, merged: Patient) -> None:
    """Requests and holds go along: a hold on one of the two holds the whole file. One request of a kind stays open."""
    open_kinds = set(
        RightsRequest.objects.filter(patient=survivor, state__in=OPEN_STATES).values_list("kind", flat=True)
    )
    for request in RightsRequest.objects.filter(patient=merged):
        if request.state == RightsState.OPEN and request.kind in open_kinds:
            rights_withdraw(request=request)
    ours, theirs = f"patient:{survivor.pk}", f"patient:{merged.pk}"
    RightsRequest.objects.filter(asked_by=theirs).update(asked_by=ours)
    SubjectExport.objects.filter(reader=theirs).update(reader=ours)
    RightsRequest.objects.filter(patient=merged).update(patient=survivor)
    SubjectExport.objects.filter(patient=merged).update(patient=survivor)
    LegalHold.objects.filter(patient=merged).update(patient=survivor)
    # Whoever has the old file open chooses anew.
    PortalSession.objects.filter(patient=merged).update(patient=None)


@receiver(number_was_wrong)
def number_in_other_hands(*, tenant_id: uuid.UUID, phone: str, **_others: Any) -> None:
    """Whoever signed in with it is out at once, and gets no new code: the number is stopped."""
    portal_sessions.end_for_address(tenant_id, phone)
