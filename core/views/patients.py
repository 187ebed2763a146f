"""The patient pages: list, file, create and edit, guardians, consent. Roof: may import every app."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages as notes
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import OuterRef, Q, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from appointments import selectors as visits
from appointments.models import Appointment
from appointments.states import AWAITED
from core import consent, looks, patients, phone, selectors
from core.access import Can, allows, get_or_404, require
from core.errors import DomainError
from core.forms import ConsentForm, GuardianForm, PatientForm, PreferenceForm
from core.models import Guardian, Guardianship, Look, Patient, SubFile, User
from core.views.guardians import save_guardian
from core.views.reader import readers_of
from core.views.unreachable import stopped_of
from finance.selectors import invoices_of_patient
from notifications import gate, preferences, suppression
from notifications import selectors as messages

PAGE_SIZE = 25
# As many rows of each kind as a file's page shows; the lists have the rest.
SHOWN = 5


@require(Can.SEE_PATIENTS)
@require_safe
def patient_list(request: HttpRequest) -> HttpResponse:
    """Search by name in both scripts, file number, phone in any form. The table alone when htmx asks for it."""
    typed = request.GET.get("q", "").strip()[:100]
    next_visit = Appointment.objects.filter(
        patient=OuterRef("pk"), status__in=AWAITED, starts_at__gt=timezone.now()
    ).order_by("starts_at")
    speaker = Guardianship.objects.filter(patient=OuterRef("pk"), is_primary=True)
    rows = Patient.objects.filter(merged_into=None).annotate(
        next_visit=Subquery(next_visit.values("starts_at")[:1]),
        guardian_phone=Subquery(speaker.values("guardian__phone")[:1]),
    )
    if typed:
        rows = rows.filter(selectors.matching(typed))
    page = Paginator(rows.order_by("name_en", "pk"), PAGE_SIZE).get_page(request.GET.get("page"))
    template = "core/partials/patient_list_partial.html" if request.htmx else "core/patient_list.html"
    response = render(request, template, {"page": page, "typed": typed, "location": request.user.location})
    patch_vary_headers(response, ["HX-Request"])
    return response


@require(Can.SEE_PATIENTS)
@require_safe
def patient_detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The file: who it is, who is told, what was agreed, visits, invoices and messages."""
    patient = get_or_404(Patient.objects.select_related("tenant", "merged_into"), pk)
    preference = gate.preference_of(patient)
    now = timezone.now()
    called_off = Q(status__in=(Appointment.Status.CANCELLED, Appointment.Status.ENTERED_IN_ERROR))
    own_visits = visits.of_patient(request.user, patient)
    family = _family(patient)
    looks.record_look(user=request.user, patient=patient, page=Look.Page.PATIENT)
    return render(
        request,
        "core/patient_detail.html",
        {
            "patient": patient,
            "preference": preference,
            "readers": readers_of(patient, preference),
            **family,
            "stopped": stopped_of(patient, family["guardianships"]),
            "subfiles": _subfiles(patient),
            "upcoming": own_visits.filter(starts_at__gt=now).exclude(called_off).order_by("starts_at", "pk")[:SHOWN],
            "past": own_visits.filter(Q(starts_at__lte=now) | called_off)[:SHOWN],
            "invoices": invoices_of_patient(request.user, patient)[:SHOWN],
            "sent": messages.messages_of(patient)[:SHOWN],
            "replies": messages.replies_of(patient)[:SHOWN],
            "looks": looks.looks_at(patient)[:SHOWN] if allows(request.user, Can.SEE_AUDIT) else [],
            "edit_url": reverse("core:patient_update", args=[patient.pk]),
            "location": request.user.location,
        },
    )


@require(Can.EDIT_PATIENTS)
def patient_create(request: HttpRequest) -> HttpResponse:
    """A new file, with guardian and preferences, in one form."""
    return _edit(request, None)


@require(Can.EDIT_PATIENTS)
def patient_update(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    return _edit(request, get_or_404(Patient.objects.select_related("tenant"), pk))


@require(Can.EDIT_PATIENTS)
@require_POST
def patient_duplicates(request: HttpRequest) -> HttpResponse:
    """A hint while the form is filled in. POST, so that the phone stays out of addresses and logs."""
    found = _duplicates(
        request.POST.get("phone") or request.POST.get("guardian-phone") or "",
        request.POST.get("birth_date") or "",
        except_pk=request.POST.get("patient") or None,
    )
    return render(request, "core/partials/patient_duplicates.html", {"duplicates": found})


@require(Can.EDIT_PATIENTS)
@require_POST
def patient_address_lift(request: HttpRequest, pk: uuid.UUID, stopped_pk: uuid.UUID) -> HttpResponse:
    """An address of the file may be written to again: a person says that it works, or that the patient wants it."""
    patient = get_or_404(Patient.objects.all(), pk)
    row = get_or_404(messages.suppressed(_addresses(patient)), stopped_pk)
    suppression.lift(suppressed=row, actor=request.user)
    notes.success(request, _("The address is used again from now on."))
    return redirect("core:patient_detail", pk=patient.pk)


@require(Can.EDIT_PATIENTS)
@require_POST
def consent_verify(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Notes that the treatment consent of a sub-file was checked, or withdrawn."""
    subfile = get_or_404(SubFile.objects.select_related("patient"), pk)
    form = ConsentForm(request.POST)
    if not form.is_valid():
        notes.error(request, _("Write the date as year, month and day."))
        return redirect("core:patient_detail", pk=subfile.patient_id)
    try:
        consent.consent_verify(actor=request.user, subfile=subfile, **form.cleaned_data)
    except DomainError as error:
        notes.error(request, str(error))
    else:
        notes.success(request, _("The consent was noted."))
    return redirect("core:patient_detail", pk=subfile.patient_id)


# --- reading ---------------------------------------------------------------------------------------------------------


def _family(patient: Patient) -> dict[str, Any]:
    guardianships = list(Guardianship.objects.filter(patient=patient).select_related("guardian"))
    siblings = (
        Patient.objects.filter(guardianships__guardian__in=[row.guardian_id for row in guardianships])
        .exclude(pk=patient.pk)
        .distinct()
        .order_by("birth_date")
    )
    return {"guardianships": guardianships, "siblings": siblings}


def _addresses(patient: Patient) -> list[str]:
    """Where anybody of the file is written to: the patient and the guardians."""
    guardians = Guardian.objects.filter(guardianships__patient=patient).values_list("phone", "email")
    return [
        patient.phone,
        patient.phone_alternative,
        patient.email,
        *(address for pair in guardians for address in pair),
    ]


def _subfiles(patient: Patient) -> list[dict[str, Any]]:
    rows = list(SubFile.objects.filter(patient=patient).select_related("department").order_by("opened_at"))
    latest = consent.latest_consents(rows)
    today = timezone.localdate()
    return [
        {"subfile": row, "latest": latest.get(row.pk), "status": consent.status_of(latest.get(row.pk), today)}
        for row in rows
    ]


def _duplicates(typed_phone: str, typed_day: str, *, except_pk: object) -> list[Patient]:
    """The hint's patients; none while either of the two is not a phone or not a day."""
    try:
        number, day = phone.to_e164(typed_phone), parse_date(selectors.western_digits(typed_day))
        return (
            list(selectors.duplicates_of(phone_number=number, birth_date=day, except_pk=except_pk)[:3]) if day else []
        )
    except (ValidationError, ValueError):
        return []


# --- writing ---------------------------------------------------------------------------------------------------------


def _edit(request: HttpRequest, patient: Patient | None) -> HttpResponse:
    """The form of a new or an old file: three parts, one button, one transaction."""
    data = request.POST if request.method == "POST" else None
    guardianship = (
        Guardianship.objects.filter(patient=patient, is_primary=True).select_related("guardian").first()
        if patient
        else None
    )
    language = {"language": request.user.tenant.default_language}
    form = PatientForm(data, initial=PatientForm.initial_of(patient) if patient else language)
    guardian_form = GuardianForm(
        data, prefix="guardian", guardianship=guardianship, initial={} if guardianship else language
    )
    preference_form = PreferenceForm(
        data, prefix="preference", instance=gate.preference_of(patient) if patient else None
    )
    forms = (form, guardian_form, preference_form)
    # Every part is checked, so that all mistakes show at once.
    if request.method == "POST" and all([part.is_valid() for part in forms]):  # noqa: C419
        try:
            saved = _save(request.user, patient, form, guardian_form, preference_form)
        except DomainError as error:
            form.add_error(None, str(error))
        else:
            _tell(request, saved, is_new=patient is None)
            return redirect("core:patient_detail", pk=saved.pk)
    return render(
        request,
        "core/patient_form.html",
        {
            "form": form,
            "guardian_form": guardian_form,
            "preference_form": preference_form,
            "patient": patient,
            "has_errors": any(part.errors for part in forms),
            "duplicates": _duplicates(
                request.POST.get("phone", ""), request.POST.get("birth_date", ""), except_pk=patient and patient.pk
            ),
            "minor_until": request.user.tenant.age_of_majority,
        },
        status=422 if form.is_bound else 200,
    )


@transaction.atomic
def _save(
    actor: User,
    patient: Patient | None,
    form: PatientForm,
    guardian_form: GuardianForm,
    preference_form: PreferenceForm,
) -> Patient:
    """All parts or none. Raises ``DomainError``."""
    if patient is None:
        fields = {name: value for name, value in form.cleaned_data.items() if name not in PatientForm.LATER}
        patient = patients.patient_create(actor=actor, **fields)
    else:
        patient = patients.patient_update(actor=actor, patient_id=patient.pk, **form.cleaned_data)
    if guardian_form.is_given:
        save_guardian(actor, patient, guardian_form)
    values = {name: preference_form.cleaned_data[name] for name in preferences.FIELDS}
    preferences.preference_update(actor=actor, patient=patient, values=values)
    return patient


def _tell(request: HttpRequest, patient: Patient, *, is_new: bool) -> None:
    notes.success(request, _("The file was opened.") if is_new else _("The changes were saved."))
    twins = list(
        selectors.duplicates_of(phone_number=patient.phone, birth_date=patient.birth_date, except_pk=patient.pk)[:1]
        if is_new and patient.phone
        else []
    )
    if twins:
        notes.warning(
            request,
            _("%(name)s (file no. %(mrn)s) has the same phone and date of birth. Is it the same person?")
            % {"name": twins[0].name, "mrn": twins[0].mrn},
        )
