"""The moves of one visit. GET asks, POST does; a refusal is shown where it was asked, with what was typed."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from appointments import second_question, selectors, services
from appointments.forms import ConsentForm, show_refusal
from appointments.models import Appointment
from appointments.states import Verb, legal_moves
from appointments.views.detail import render_detail
from appointments.views.hints import hints_for
from appointments.views.verbs import MOVES, Move
from core.access import Can, get_or_404, require
from core.consent import consent_verify
from core.errors import DomainError
from core.permissions import NotAllowed
from core.subfiles import subfile_ensure

# Where a button on another page leads back to.
_BACK = {"day": "appointments:day", "list": "appointments:list", "home": "core:home"}


@require(Can.SEE_APPOINTMENTS)
@require_http_methods(["GET", "HEAD", "POST"])
def action(request: HttpRequest, pk: uuid.UUID, verb: str) -> HttpResponse:
    appointment = get_or_404(selectors.appointments_for(request.user), pk)
    move = MOVES.get(verb)
    if move is None:
        raise Http404
    if request.method != "POST":
        return _ask(request, appointment, move)
    form = move.form(request.POST, appointment=appointment)
    if not form.is_valid():
        return _form(request, appointment, move, form, status=422)
    try:
        move.carry_out(appointment=appointment, actor=request.user, data=form.cleaned_data)
    except NotAllowed as error:
        raise PermissionDenied(str(error)) from error
    except DomainError as error:
        if not move.needs_page:
            return render_detail(request, pk, refused=str(error), status=422)
        show_refusal(form, error)
        return _form(request, appointment, move, form, status=422)
    messages.success(request, move.done)
    if form.cleaned_data.get("is_twice"):
        tell_twice(request)
    back = _BACK.get(request.POST.get("back", ""))
    return redirect(back) if back else redirect("appointments:detail", pk)


@require(Can.MANAGE_APPOINTMENTS)
@require_POST
def unlock_link(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The patient's link was locked by wrong answers, and the desk has spoken to them."""
    get_or_404(selectors.appointments_for(request.user), pk)
    try:
        second_question.unlock(actor=request.user, appointment_id=pk)
    except DomainError as error:
        return render_detail(request, pk, refused=str(error), status=422)
    messages.success(request, _("The link works again and asks for the date of birth."))
    return redirect("appointments:detail", pk)


def tell_twice(request: HttpRequest) -> None:
    """Says which of the two hours was booked where the clocks go back over it."""
    messages.info(
        request, _("The clocks go back that day, so this time comes twice. The appointment is at the first one.")
    )


def _ask(request: HttpRequest, appointment: Appointment, move: Move) -> HttpResponse:
    if move.verb not in legal_moves(appointment, request.user):
        return render_detail(
            request,
            appointment.pk,
            refused=_("“%(move)s” is not possible for this appointment now.") % {"move": move.label},
            status=422,
        )
    return _form(request, appointment, move, move.form(appointment=appointment))


def _form(request: HttpRequest, appointment: Appointment, move: Move, form: Any, status: int = 200) -> HttpResponse:
    context: dict[str, Any] = {"appointment": appointment, "move": move, "form": form}
    context["back"] = request.POST.get("back", "")
    if move.verb is Verb.RESCHEDULE:
        typed = {"patient": appointment.patient_id, "location": appointment.location_id}
        context.update(hints_for({**typed, "provider": form["provider"].value(), "date": form["date"].value()}))
    return render(request, "appointments/action.html", context, status=status)


@require(Can.EDIT_PATIENTS)
@require_http_methods(["GET", "HEAD", "POST"])
def consent(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Notes the outcome of the consent check for the sub-file of this visit."""
    appointment = get_or_404(selectors.appointments_for(request.user), pk)
    form = ConsentForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        subfile = subfile_ensure(patient=appointment.patient, department=appointment.department)
        try:
            consent_verify(actor=request.user, subfile=subfile, **form.cleaned_data)
        except DomainError as error:
            show_refusal(form, error)
        else:
            messages.success(request, _("The consent check is noted."))
            return redirect("appointments:detail", pk)
    context = {"appointment": appointment, "form": form}
    return render(request, "appointments/consent.html", context, status=422 if form.errors else 200)


@require(Can.SEE_APPOINTMENTS)
@require_POST
def results_ready(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Tells the patient that results are ready; once a visit."""
    appointment = get_or_404(selectors.appointments_for(request.user), pk)
    try:
        services.appointment_tell_results_ready(appointment_id=appointment.pk, actor=request.user)
    except DomainError as error:
        return render_detail(request, pk, refused=str(error), status=422)
    messages.success(request, _("The patient is being told that the results are ready."))
    return redirect("appointments:detail", pk)
