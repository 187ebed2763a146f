"""Booking: one form, and the fragments that help to fill it in (patients, providers, who will be told)."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from appointments import selectors, series, services
from appointments.forms import DEFAULT_DURATION, BookingForm, show_refusal
from appointments.views.actions import tell_twice
from appointments.views.hints import hints_for, row
from core.access import Can, require
from core.errors import DomainError
from core.models import Patient
from core.permissions import NotAllowed
from core.selectors import matching

# As many as fit under the search box; a longer list means: type more.
PATIENTS_SHOWN = 6


@require(Can.MANAGE_APPOINTMENTS)
@require_http_methods(["GET", "HEAD", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _page(request, BookingForm(initial=_initial(request)))
    if "find" in request.POST:
        # The search button of a browser without scripts: show the patients, keep what was typed.
        return _page(request, BookingForm(initial=request.POST.dict()))
    form = BookingForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=422)
    data = form.cleaned_data
    if (data["visits"] or 1) > 1:
        return _book_series(request, form)
    try:
        appointment = services.appointment_book(
            actor=request.user,
            patient=data["patient"],
            provider=data["provider"],
            location=data["location"],
            department=data["department"],
            starts_at=data["starts_at"],
            duration=data["duration"],
            notes=data["notes"],
            booking_key=data["booking_key"],
            replaces=row(selectors.appointments_for(request.user), data["replaces"]),
        )
    except NotAllowed as error:
        raise PermissionDenied(str(error)) from error
    except DomainError as error:
        show_refusal(form, error)
        return _page(request, form, status=422)
    messages.success(request, _("Appointment %(number)s is booked.") % {"number": appointment.number})
    if data["is_twice"]:
        tell_twice(request)
    return redirect("appointments:detail", appointment.pk)


def _book_series(request: HttpRequest, form: BookingForm) -> HttpResponse:
    """More than one: every week at the same time, told as one."""
    data = form.cleaned_data
    names = ("patient", "provider", "location", "department", "starts_at", "duration", "notes", "booking_key")
    try:
        found = series.series_book(actor=request.user, count=data["visits"], **{name: data[name] for name in names})
    except NotAllowed as error:
        raise PermissionDenied(str(error)) from error
    except DomainError as error:
        show_refusal(form, error)
        return _page(request, form, status=422)
    messages.success(request, _("The series is booked. The patient gets one message about all of it."))
    return redirect("appointments:series", found.pk)


@require(Can.MANAGE_APPOINTMENTS)
@require_safe
def patients(request: HttpRequest) -> HttpResponse:
    """The patients that match what has been typed so far."""
    text = request.GET.get("patient_search", "")[:100]
    chosen = row(Patient.objects.all(), request.GET.get("patient"))
    return render(request, "appointments/partials/booking_patients.html", candidates(text, chosen))


@require(Can.MANAGE_APPOINTMENTS)
@require_safe
def hints(request: HttpRequest) -> HttpResponse:
    """Who will be told and how, and which times of the provider are taken that day."""
    return render(request, "appointments/partials/booking_hints.html", hints_for(request.GET))


def _page(request: HttpRequest, form: BookingForm, status: int = 200) -> HttpResponse:
    typed = _typed(form)
    chosen = row(Patient.objects.all(), typed.get("patient"))
    context: dict[str, Any] = {
        "form": form,
        **candidates(str(typed.get("patient_search") or ""), chosen),
        **hints_for(typed),
    }
    return render(request, "appointments/create.html", context, status=status)


def _initial(request: HttpRequest) -> dict[str, Any]:
    """From the address (a click in the calendar, a patient's page), else the desk's own place and the next day."""
    given = {
        name: request.GET[name]
        for name in ("patient", "provider", "department", "date", "time", "replaces")
        if name in request.GET
    }
    location = row(selectors.bookable_locations(), request.GET.get("location")) or request.user.location
    location = location or selectors.bookable_locations().first()
    provider = row(selectors.providers(), given.get("provider"))
    department_id = provider.department_id if provider is not None else None
    return {
        "location": location.pk if location is not None else None,
        "department": department_id or request.user.department_id,
        "date": timezone.localdate(timezone=location.zone) if location is not None else timezone.localdate(),
        "duration": DEFAULT_DURATION,
        **given,
    }


def _typed(form: BookingForm) -> dict[str, Any]:
    """What stands in the form's fields, whether it was typed or filled in for the person."""
    return {name: form[name].value() for name in form.fields}


def candidates(text: str, chosen: Patient | None) -> dict[str, Any]:
    """The radio buttons under the search box; the chosen patient stays on top."""
    text = text.strip()
    found = list(_findable().filter(matching(text))[: PATIENTS_SHOWN + 1]) if text else []
    others = [patient for patient in found[:PATIENTS_SHOWN] if chosen is None or patient.pk != chosen.pk]
    return {
        "searched": text,
        "chosen": chosen,
        "candidates": ([chosen] if chosen is not None else []) + others,
        "has_more": len(found) > PATIENTS_SHOWN,
        "is_nothing_found": bool(text) and not found,
    }


def _findable() -> QuerySet[Patient]:
    """Patients who can be booked."""
    return Patient.objects.filter(is_active=True, merged_into=None, deceased_at=None).select_related("tenant")
