"""On which clock a message about a visit is by day or by night: its place's. Registered with messaging at start."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping

from appointments.models import Appointment, FamilyNews, FamilyVisit, Series, SlotOffer
from notifications import rest


def register() -> None:
    rest.register_clocks(Appointment._meta.label_lower, _of_visits)
    rest.register_clocks(FamilyNews._meta.label_lower, _of_families)
    rest.register_clocks(Series._meta.label_lower, _of_series)
    rest.register_clocks(SlotOffer._meta.label_lower, _of_offers)


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
