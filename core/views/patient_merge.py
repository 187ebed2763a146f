"""Files that may be of one person, and the page that makes two of them one. Roof: may import every app."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.contrib import messages as notes
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from appointments.models import Appointment
from appointments.states import AWAITED
from core import merging, selectors
from core.access import Can, get_or_404, require
from core.errors import DomainError
from core.models import Patient

# As many candidates as a search for the other file shows.
FOUND = 10


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two files beside each other."""

    patient: Patient
    guardians: list[str]
    visits: int
    to_come: int
    messages: int


@require(Can.ADMINISTER)
@require_safe
def patient_twins(request: HttpRequest) -> HttpResponse:
    """Pairs of files that may be of one person."""
    return render(request, "core/patient_twins.html", {"groups": selectors.possible_twins()})


@require(Can.ADMINISTER)
def patient_merge(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Finds the other file, shows both beside each other, and merges the one that goes into the one that stays."""
    patient = get_or_404(Patient.objects.filter(merged_into=None).select_related("tenant"), pk)
    chosen = request.POST.get("other") or request.GET.get("other") or ""
    other = get_or_404(Patient.objects.filter(merged_into=None).select_related("tenant"), chosen) if chosen else None
    problem = ""
    if request.method == "POST" and other is not None:
        stays, goes = (other, patient) if request.POST.get("stays") == str(other.pk) else (patient, other)
        if not request.POST.get("is_same"):
            problem = _("Say that you have checked that both are the same person.")
        else:
            try:
                kept = merging.patient_merge(actor=request.user, survivor=stays, merged=goes)
            except DomainError as error:
                problem = str(error)
            else:
                notes.success(request, _("The files were merged."))
                return redirect("core:patient_detail", pk=kept.pk)
    typed = request.GET.get("q", "").strip()[:100]
    found = Patient.objects.filter(merged_into=None).exclude(pk=patient.pk)
    return render(
        request,
        "core/patient_merge.html",
        {
            "patient": patient,
            "other": other,
            "sides": [_side(patient), _side(other)] if other is not None else [],
            "typed": typed,
            "found": found.filter(selectors.matching(typed)).order_by("name_en", "pk")[:FOUND] if typed else [],
            "twins": [] if other is not None or typed else selectors.twins_of(patient)[:FOUND],
            "problem": problem,
        },
        status=422 if problem else 200,
    )


def _side(patient: Patient) -> Side:
    visits = Appointment.objects.filter(patient=patient).aggregate(
        all=Count("pk"), to_come=Count("pk", filter=Q(status__in=AWAITED, starts_at__gt=timezone.now()))
    )
    return Side(
        patient=patient,
        guardians=[row.guardian.name for row in patient.guardianships.select_related("guardian")],
        visits=visits["all"],
        to_come=visits["to_come"],
        messages=patient.messages.count(),
    )
