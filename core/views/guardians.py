"""The pages of a patient's guardians: add one, change their terms, and the acts of one button."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages as notes
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from core import patients
from core.access import Can, get_or_404, require
from core.errors import DomainError
from core.forms import GuardianForm, GuardianTermsForm
from core.models import Guardian, Guardianship, Patient, User


@require(Can.EDIT_PATIENTS)
def guardian_create(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """One more guardian for a patient."""
    patient = get_or_404(Patient.objects.select_related("tenant"), pk)
    form = GuardianForm(
        request.POST if request.method == "POST" else None, prefix="guardian", initial={"language": patient.language}
    )
    if request.method == "POST" and form.is_valid():
        if not form.is_given:
            form.add_error("name_en", _("Write down who the guardian is."))
        else:
            try:
                with transaction.atomic():
                    save_guardian(request.user, patient, form)
            except DomainError as error:
                form.add_error(None, str(error))
            else:
                notes.success(request, _("The guardian was added."))
                return redirect("core:patient_detail", pk=patient.pk)
    return render(
        request, "core/guardian_form.html", {"form": form, "patient": patient}, status=422 if form.is_bound else 200
    )


@require(Can.EDIT_PATIENTS)
def guardian_update(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Who the guardian is, from when until when they speak for this patient, and what they are told."""
    row = get_or_404(Guardianship.objects.select_related("guardian", "patient", "verified_by"), pk)
    form = GuardianTermsForm(
        request.POST if request.method == "POST" else None, initial=GuardianTermsForm.initial_of(row), guardianship=row
    )
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                patients.guardian_update(actor=request.user, guardian_id=row.guardian_id, **form.person())
                patients.guardian_set_terms(actor=request.user, guardianship_id=row.pk, **form.terms())
        except DomainError as error:
            form.add_error(None, str(error))
        else:
            notes.success(request, _("The changes were saved."))
            return redirect("core:patient_detail", pk=row.patient_id)
    others = Patient.objects.filter(guardianships__guardian=row.guardian_id).exclude(pk=row.patient_id).count()
    return render(
        request,
        "core/guardian_terms.html",
        {"form": form, "row": row, "patient": row.patient, "others": others, "location": request.user.location},
        status=422 if form.is_bound else 200,
    )


@require(Can.EDIT_PATIENTS)
@require_POST
def guardian_action(request: HttpRequest, pk: uuid.UUID, verb: str) -> HttpResponse:
    """Verify a guardian, make them the first contact, block them or lift that, or take them out of the file."""
    guardianship = get_or_404(Guardianship.objects.all(), pk)
    acts = {
        "verify": (patients.guardian_verify, _("The guardian is verified and will be told from now on.")),
        "first": (patients.guardian_make_primary, _("This guardian is the first contact now.")),
        "block": (patients.guardian_block, _("This guardian is told nothing any more.")),
        "unblock": (patients.guardian_unblock, _("This guardian may be told again.")),
        "remove": (patients.guardian_remove, _("The guardian was taken out of the file.")),
    }
    if verb not in acts:
        raise Http404
    act, done = acts[verb]
    typed: dict[str, Any] = {"reason": request.POST.get("reason", "")} if verb == "block" else {}
    try:
        act(actor=request.user, guardianship_id=guardianship.pk, **typed)
    except DomainError as error:
        notes.error(request, str(error))
    else:
        notes.success(request, done)
    return redirect("core:patient_detail", pk=guardianship.patient_id)


def save_guardian(actor: User, patient: Patient, form: GuardianForm) -> None:
    """What the form says, for a new or an old guardian of the patient. Raises ``DomainError``."""
    data = form.cleaned_data
    fields = {name: data[name] for name in ("name_en", "name_ar", "phone", "email", "language")}
    guardianship = form.guardianship
    if guardianship is not None:
        patients.guardian_update(actor=actor, guardian_id=guardianship.guardian_id, **fields)
    else:
        has_first = Guardianship.objects.filter(patient=patient, is_primary=True).exists()
        guardianship = patients.guardian_add(
            actor=actor,
            patient=patient,
            kind=data["kind"],
            guardian=_same_guardian(fields),
            is_primary=not has_first,
            **fields,
        )
    if data["is_verified"] and guardianship.verified_at is None:
        patients.guardian_verify(actor=actor, guardianship_id=guardianship.pk, evidence=data["evidence"])


def _same_guardian(fields: dict[str, str]) -> Guardian | None:
    """The guardian who already speaks for a sibling: same phone and same name. A phone alone is shared by parents."""
    if not fields["phone"]:
        return None
    for guardian in Guardian.objects.filter(phone=fields["phone"]):
        if any(
            fields[name] and fields[name].casefold() == getattr(guardian, name).casefold()
            for name in ("name_en", "name_ar")
        ):
            return guardian
    return None
