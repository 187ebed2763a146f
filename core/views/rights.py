"""Requests about data as the staff sees them: the list with its dates, one request with its verbs, and legal holds.

Roof: may import every app.
"""

from __future__ import annotations

import uuid

from django.contrib import messages as notes
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core import holds, rights, subject_data, subject_exports
from core.access import Can, get_or_404, require
from core.errors import DomainError
from core.models import Guardian, Guardianship, LegalHold, Patient, RightsKind, RightsRequest, SubjectExport
from core.portal_forms import AnswerForm, HoldForm, TakenRequestForm
from core.portal_people import reader_of
from core.views.portal.pages import zip_answer

PAGE_SIZE = 25


@require(Can.MANAGE_SETTINGS)
@require_safe
def rights_list(request: HttpRequest) -> HttpResponse:
    """What is open by the day it is due, or what was answered; and the holds in force."""
    is_over = request.GET.get("over") == "1"
    rows = rights.all_requests(only_open=not is_over)
    context = {
        "page": Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page")),
        "is_over": is_over,
        "holds": holds.in_force().select_related("patient", "placed_by").order_by("-placed_at"),
    }
    return render(request, "core/rights_list.html", context)


@require(Can.MANAGE_SETTINGS)
@require_safe
def rights_detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    return _detail(request, _row(pk), AnswerForm())


@require(Can.MANAGE_SETTINGS)
@require_POST
def rights_action(request: HttpRequest, pk: uuid.UUID, verb: str) -> HttpResponse:
    """Make the copy, note that it is done, refuse it, erase, or take it back for the patient."""
    row = _row(pk)
    form = AnswerForm(request.POST)
    if verb not in ("copy", "done", "refuse", "erase", "withdraw"):
        raise Http404
    if not form.is_valid():
        return _detail(request, row, form, status=422)
    answer = form.cleaned_data["answer"]
    try:
        if verb == "copy":
            language = row.patient.language
            subject_exports.export_ask(actor=request.user, request=row, language=language)
            notes.success(request, _("The copy is being made. The patient is told when it is ready."))
        elif verb == "done":
            rights.rights_done(actor=request.user, request=row, answer=answer)
            notes.success(request, _("The request is fulfilled. The patient is told."))
        elif verb == "refuse":
            rights.rights_refuse(actor=request.user, request=row, answer=answer)
            notes.success(request, _("The request is refused. The patient is told why."))
        elif verb == "erase":
            rights.erasure_start(actor=request.user, request=row)
            notes.success(request, _("The erasure has begun. It cannot be called back."))
        else:
            rights.rights_withdraw(request=row, actor=request.user)
            notes.success(request, _("The request is withdrawn."))
    except DomainError as error:
        form.add_error(None, str(error))
        return _detail(request, _row(pk), form, status=422)
    return redirect("core:rights_detail", pk=row.pk)


@require(Can.MANAGE_SETTINGS)
@require_safe
def rights_copy(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """The file of a copy, for an admin who hands it over."""
    export = get_or_404(SubjectExport.objects.select_related("patient"), pk)
    try:
        pieces = subject_exports.download(export=export, actor=request.user)
    except DomainError as error:
        raise Http404 from error
    return zip_answer(pieces, export.filename)


@require(Can.EDIT_PATIENTS)
@require_http_methods(["GET", "HEAD", "POST"])
def patient_rights(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """What one patient has asked for; and a request that is made at the desk."""
    patient = get_or_404(Patient.objects.select_related("tenant"), pk)
    guardianships = list(Guardianship.objects.filter(patient=patient).select_related("guardian"))
    form = TakenRequestForm(request.POST if request.method == "POST" else None, guardianships=guardianships)
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data["asked_by"]
        try:
            rights.rights_open(
                patient=patient,
                kind=form.cleaned_data["kind"],
                details=form.cleaned_data["details"],
                asked_by=reader_of(patient, guardian_id=uuid.UUID(chosen) if chosen else None),
                taken_by=request.user,
            )
        except DomainError as error:
            form.add_error(None, str(error))
        else:
            notes.success(request, _("The request was noted, with the day until which it is answered."))
            return redirect("core:patient_rights", pk=patient.pk)
    context = {
        "patient": patient,
        "form": form,
        "rows": rights.requests_of(patient),
        "holds": LegalHold.objects.filter(patient=patient).select_related("placed_by", "lifted_by"),
        "hold_form": HoldForm(),
    }
    return render(request, "core/patient_rights.html", context, status=422 if form.errors else 200)


@require(Can.MANAGE_SETTINGS)
@require_POST
def hold_create(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    patient = get_or_404(Patient.objects.all(), pk)
    form = HoldForm(request.POST)
    try:
        if not form.is_valid():
            raise DomainError(_("Write down why, and the last day as year, month and day."), code="form")
        holds.hold_place(actor=request.user, patient=patient, **form.cleaned_data)
    except DomainError as error:
        notes.error(request, str(error))
    else:
        notes.success(request, _("Nothing of this file is thrown away from now on."))
    return redirect("core:patient_rights", pk=patient.pk)


@require(Can.MANAGE_SETTINGS)
@require_POST
def hold_lift(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    hold = get_or_404(LegalHold.objects.select_related("patient"), pk)
    try:
        holds.hold_lift(actor=request.user, hold=hold)
    except DomainError as error:
        notes.error(request, str(error))
    else:
        notes.success(request, _("The hold is lifted. What is past its time goes in the next night."))
    return redirect("core:patient_rights", pk=hold.patient_id)


def _row(pk: uuid.UUID) -> RightsRequest:
    return get_or_404(RightsRequest.objects.select_related("patient__tenant", "taken_by", "answered_by"), pk)


def _detail(request: HttpRequest, row: RightsRequest, form: AnswerForm, status: int = 200) -> HttpResponse:
    kind, _colon, key = row.asked_by.partition(":")
    is_erasure = row.kind == RightsKind.ERASURE
    context = {
        "row": row,
        "form": form,
        "guardian": Guardian.objects.filter(pk=key).first() if kind == "guardian" else None,
        "copies": row.exports.order_by("-created_at"),
        "is_held": holds.is_held(row.patient),
        "obstacles": subject_data.obstacles_of(row.patient) if is_erasure and row.is_open else [],
        "is_copy": row.kind == RightsKind.EXPORT,
        "is_erasure": is_erasure,
    }
    return render(request, "core/rights_detail.html", context, status=status)
