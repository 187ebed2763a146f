"""The desk's pages about several visits at once: a provider's absence, a series, the waiting list, the rules for both."""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from appointments import absences, no_shows, policy, selectors, series, waiting
from appointments.desk_forms import AbsenceForm, PolicyForm, SeriesCancelForm, WaitForm, show_refusal
from appointments.models import Appointment, FreedSlot, ProviderAbsence, Series, SlotOffer, WaitlistEntry
from appointments.views.booking import candidates
from appointments.views.detail import render_detail
from appointments.views.hints import row
from core.access import Can, allows, get_or_404, require
from core.errors import DomainError
from core.models import Location, Patient, User
from core.permissions import NotAllowed

# As many absences as a page shows; older ones are in the audit trail.
SHOWN = 30


# --- a provider who cannot come --------------------------------------------------------------------------------------


@require(Can.MANAGE_APPOINTMENTS)
@require_http_methods(["GET", "HEAD", "POST"])
def absence_list(request: HttpRequest) -> HttpResponse:
    """The form, what it would do, and the absences to come. The first press shows, the second does."""
    form = AbsenceForm(request.POST or None, zone=_zone(request.user), initial=_absence_initial(request))
    seen: absences.Preview | None = None
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        wish = {name: data[name] for name in ("provider", "starts_at", "ends_at", "location")}
        if "confirm" not in request.POST:
            seen = absences.preview(**wish)
        else:
            try:
                done = absences.call_off(actor=request.user, reason=data["reason"], key=data["key"], **wish)
            except NotAllowed as error:
                raise PermissionDenied(str(error)) from error
            except DomainError as error:
                show_refusal(form, error)
            else:
                messages.success(request, _("The appointments are called off, and the patients are being told."))
                return redirect("appointments:absence", done.pk)
    rows = ProviderAbsence.objects.filter(ends_at__gt=timezone.now()).select_related("provider", "location")
    context = {"form": form, "preview": seen, "absences": list(rows.order_by("starts_at")[:SHOWN])}
    return render(request, "appointments/absences.html", context, status=422 if form.errors else 200)


@require(Can.MANAGE_APPOINTMENTS)
@require_http_methods(["GET", "HEAD", "POST"])
def absence(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """What became of each visit; a POST says that the provider comes after all."""
    found = get_or_404(ProviderAbsence.objects.select_related("provider", "location", "created_by"), pk)
    if request.method == "POST":
        absences.lift(absence_id=found.pk, actor=request.user)
        messages.success(request, _("The time can be booked again. What was called off stays called off."))
        return redirect("appointments:absence", pk)
    visits = found.visits.select_related("appointment__patient", "appointment__location", "appointment__provider")
    return render(
        request,
        "appointments/absence.html",
        {"absence": found, "lines": list(visits.order_by("appointment__starts_at"))},
    )


def _absence_initial(request: HttpRequest) -> dict[str, Any]:
    """The whole of a day, where the calendar names one."""
    today = timezone.localdate(timezone=_zone(request.user))
    try:
        day = dt.date.fromisoformat(request.GET.get("date", ""))
        first, last = day, day + dt.timedelta(days=1)
    except (ValueError, OverflowError):
        first, last = today, today + dt.timedelta(days=1)
    starts_at, ends_at = (dt.datetime.combine(midnight, dt.time()) for midnight in (first, last))
    return {"provider": request.GET.get("provider"), "starts_at": starts_at, "ends_at": ends_at}


def _zone(user: User) -> zoneinfo.ZoneInfo:
    place = user.location or Location.objects.order_by("pk").first()
    return place.zone if place is not None else zoneinfo.ZoneInfo("Asia/Riyadh")


# --- a series --------------------------------------------------------------------------------------------------------


@require(Can.MANAGE_APPOINTMENTS)
@require_http_methods(["GET", "HEAD", "POST"])
def series_detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """All its visits; a POST calls off the rest."""
    found = get_or_404(Series.objects.select_related("patient", "provider", "location", "department"), pk)
    coming = series.remaining(found)
    form = SeriesCancelForm(request.POST or None, series=found, visits=coming)
    if request.method == "POST" and form.is_valid():
        try:
            gone = series.series_cancel(series_id=found.pk, actor=request.user, **form.cleaned_data)
        except DomainError as error:
            show_refusal(form, error)
        else:
            messages.success(
                request,
                ngettext("%(number)d appointment is called off.", "%(number)d appointments are called off.", len(gone))
                % {"number": len(gone)},
            )
            return redirect("appointments:series", pk)
    visits = found.visits.select_related("location", "provider").order_by("starts_at", "pk")
    context = {"series": found, "visits": list(visits), "coming": coming, "form": form}
    return render(request, "appointments/series.html", context, status=422 if form.errors else 200)


# --- the waiting list ------------------------------------------------------------------------------------------------


@require(Can.MANAGE_APPOINTMENTS)
@require_http_methods(["GET", "HEAD"])
def waiting_list(request: HttpRequest) -> HttpResponse:
    """Who waits, in their order, and the times on offer now."""
    slots = FreedSlot.objects.filter(state=FreedSlot.State.OPEN, starts_at__gt=timezone.now())
    offered = SlotOffer.objects.filter(state=SlotOffer.State.OPEN).select_related("entry__patient")
    open_offers: dict[uuid.UUID, list[SlotOffer]] = {}
    for offer in offered:
        open_offers.setdefault(offer.slot_id, []).append(offer)
    lines = [(slot, open_offers.get(slot.pk, [])) for slot in slots.select_related("provider", "location")]
    context = {
        "entries": list(waiting.waiting()),
        "slots": lines,
        "may_set_rules": allows(request.user, Can.MANAGE_SETTINGS),
    }
    return render(request, "appointments/waiting.html", context)


@require(Can.MANAGE_APPOINTMENTS)
@require_http_methods(["GET", "HEAD", "POST"])
def waiting_add(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _wait_page(request, WaitForm(initial=_wait_initial(request)))
    if "find" in request.POST:
        return _wait_page(request, WaitForm(initial=request.POST.dict()))
    form = WaitForm(request.POST)
    if form.is_valid():
        data = {name: value for name, value in form.cleaned_data.items() if name != "patient_search"}
        data["appointment"] = row(selectors.appointments_for(request.user), data["appointment"])
        try:
            waiting.entry_add(actor=request.user, **data)
        except NotAllowed as error:
            raise PermissionDenied(str(error)) from error
        except DomainError as error:
            show_refusal(form, error)
        else:
            messages.success(request, _("The patient is on the list."))
            return redirect("appointments:waiting")
    return _wait_page(request, form, status=422)


def _wait_page(request: HttpRequest, form: WaitForm, status: int = 200) -> HttpResponse:
    chosen = row(Patient.objects.all(), form["patient"].value())
    kept = row(selectors.appointments_for(request.user), form["appointment"].value())
    context = {"form": form, "kept": kept, **candidates(str(form["patient_search"].value() or ""), chosen)}
    return render(request, "appointments/waiting_add.html", context, status=status)


def _wait_initial(request: HttpRequest) -> dict[str, Any]:
    """From the visit that the patient has already, else from today on."""
    today = selectors.today(request.user)
    initial: dict[str, Any] = {
        "patient": request.GET.get("patient"),
        "first_day": today,
        "last_day": today + dt.timedelta(days=30),
        "notice_minutes": 120,
        "length_minutes": 30,
    }
    kept: Appointment | None = row(selectors.appointments_for(request.user), request.GET.get("appointment"))
    if kept is not None:
        initial |= {
            "appointment": kept.pk,
            "patient": kept.patient_id,
            "department": kept.department_id,
            "provider": kept.provider_id,
            "location": kept.location_id,
            "last_day": max(today, kept.local_start.date()),
            "length_minutes": int((kept.ends_at - kept.starts_at).total_seconds() // 60),
        }
    return initial


@require(Can.MANAGE_APPOINTMENTS)
@require_POST
def waiting_end(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    entry = get_or_404(WaitlistEntry.objects.all(), pk)
    waiting.entry_end(entry_id=entry.pk, actor=request.user)
    messages.success(request, _("The patient is off the list."))
    return redirect("appointments:waiting")


# --- after a no-show, and the rules ----------------------------------------------------------------------------------


@require(Can.MANAGE_APPOINTMENTS)
@require_POST
def follow_up(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Somebody has decided that the patient is written to."""
    visit = get_or_404(selectors.appointments_for(request.user), pk)
    try:
        no_shows.follow_up(appointment_id=visit.pk, actor=request.user)
    except DomainError as error:
        return render_detail(request, pk, refused=str(error), status=422)
    messages.success(request, _("The patient will be written to."))
    return redirect("appointments:detail", pk)


@require(Can.MANAGE_SETTINGS)
@require_http_methods(["GET", "HEAD", "POST"])
def rules(request: HttpRequest) -> HttpResponse:
    """No-shows and the waiting list."""
    assert request.user.tenant_id is not None
    form = PolicyForm(request.POST or None, instance=policy.of(request.user.tenant_id))
    if request.method == "POST" and form.is_valid():
        try:
            policy.policy_set(actor=request.user, **form.cleaned_data)
        except DomainError as error:
            show_refusal(form, error)
        else:
            messages.success(request, _("The rules are saved."))
            return redirect("appointments:policy")
    return render(request, "appointments/policy.html", {"form": form}, status=422 if form.errors else 200)
