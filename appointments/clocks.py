"""On which clock a message about a visit is by day or by night: its place's. Registered with messaging at start."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping

from appointments.models import (
    AbsenceVisit,
    Appointment,
    FamilyNews,
    FamilyVisit,
    ProviderAbsence,
    Series,
    SlotOffer,
)
from notifications import rest


def register() -> None:
    rest.register_clocks(Appointment._meta.label_lower, _of_visits)
    rest.register_clocks(FamilyNews._meta.label_lower, _of_families)
    rest.register_clocks(Series._meta.label_lower, _of_series)
    rest.register_clocks(SlotOffer._meta.label_lower, _of_offers)
    rest.register_clocks(ProviderAbsence._meta.label_lower, _of_absences)


def _of_visits(ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, str]:
    return dict(Appointment.objects.filter(pk__among=ids).values_list("pk", "location__timezone"))


def _of_families(ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, str]:
    """All visits of one are at one place."""
    rows = FamilyVisit.objects.filter(news__in=ids).order_by()
    return dict(rows.values_list("news", "appointment__location__timezone"))


def _of_series(ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, str]:
    return dict(Series.objects.filter(pk__in=ids).values_list("pk", "location__timezone"))


def _of_offers(ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, str]:
    return dict(SlotOffer.objects.filter(pk__in=ids).order_by().values_list("pk", "slot__location__timezone"))


def _of_absences(ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, str]:
    """Only of those whose visits have one clock: a family may be told of several places."""
    zones: dict[uuid.UUID, set[str]] = defaultdict(set)
    rows = AbsenceVisit.objects.filter(absence__in=ids).order_by()
    for absence_id, zone in rows.values_list("absence", "appointment__location__timezone").distinct():
        zones[absence_id].add(zone)
    return {absence_id: found.pop() for absence_id, found in zones.items() if len(found) == 1}
