"""Who is at work, and what happens when nobody answers: the admin's page, and everybody's own absences."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages as notes
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from core import roster
from core.access import Can, allows, get_or_404, require
from core.errors import DomainError
from core.models import Absence, DutyShift, Holiday, Location, Role
from core.roster_forms import AbsenceForm, HolidayForm, MinutesForm, OwnAbsenceForm, RosterForm, ShiftForm
from core.selectors import zone_of


@require(Can.ADMINISTER)
@require_safe
def team(request: HttpRequest) -> HttpResponse:
    """The minutes, supervisors on duty, absences and holidays."""
    return _page(request)


@require(Can.ADMINISTER)
@require_POST
def team_minutes(request: HttpRequest) -> HttpResponse:
    form = MinutesForm(request.POST)
    return _save(request, "minutes", form, roster.escalation_minutes_set, _("Saved. It holds for alerts from now on."))


@require(Can.ADMINISTER)
@require_POST
def shift_create(request: HttpRequest) -> HttpResponse:
    form = ShiftForm(request.POST, people=list(roster.staff()), locations=_locations())
    return _save(request, "shift", form, roster.shift_create, _("The supervisor was added."))


@require(Can.ADMINISTER)
@require_POST
def shift_remove(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    shift = get_or_404(DutyShift.objects.all(), pk)
    roster.shift_remove(actor=request.user, shift=shift)
    notes.success(request, _("The duty was ended."))
    return _back("shift")


@require(Can.ADMINISTER)
@require_POST
def holiday_create(request: HttpRequest) -> HttpResponse:
    form = HolidayForm(request.POST, locations=_locations())
    return _save(request, "holiday", form, roster.holiday_create, _("The holiday was added."))


@require(Can.ADMINISTER)
@require_POST
def holiday_remove(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    holiday = get_or_404(Holiday.objects.all(), pk)
    roster.holiday_remove(actor=request.user, holiday=holiday)
    notes.success(request, _("The holiday was removed."))
    return _back("holiday")


@require(Can.ADMINISTER)
@require_POST
def team_absence_create(request: HttpRequest) -> HttpResponse:
    form = AbsenceForm(request.POST, people=list(roster.staff()))
    return _save(request, "absence", form, roster.absence_create, _("The absence was added."))


# --- everybody's own -------------------------------------------------------------------------------------------------


@require(Can.USE_BELL)
def absence_create(request: HttpRequest) -> HttpResponse:
    """My own absences: the card that also stands among the preferences, on a page of its own."""
    if request.user.role == Role.PATIENT:
        raise PermissionDenied
    form = OwnAbsenceForm(request.POST if request.method == "POST" else None, user=request.user)
    back = _next(request)
    if request.method == "POST" and form.is_valid():
        try:
            roster.absence_create(actor=request.user, user=request.user, **form.wish())
        except DomainError as error:
            form.refuse(error)
        else:
            notes.success(request, _("The absence was added."))
            return redirect(back)
    context = {"absence_form": form, "back": back}
    return render(request, "core/absence_form.html", context, status=422 if form.is_bound else 200)


@require(Can.USE_BELL)
@require_POST
def absence_end(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """My own, or for an admin anybody's."""
    if request.user.role == Role.PATIENT:
        raise PermissionDenied
    rows = Absence.objects.select_related("user")
    if not allows(request.user, Can.ADMINISTER):
        rows = rows.filter(user=request.user)
    absence = get_or_404(rows, pk)
    has_begun = absence.starts_at <= timezone.now()
    roster.absence_end(actor=request.user, absence=absence)
    notes.success(request, _("The absence has ended.") if has_begun else _("The absence was removed."))
    return redirect(_next(request))


def _next(request: HttpRequest) -> str:
    target = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        return target
    return reverse("notifications:absence_create")


# --- the page --------------------------------------------------------------------------------------------------------


def _save(request: HttpRequest, name: str, form: RosterForm, act: Callable[..., object], done: str) -> HttpResponse:
    """The act with what was typed, and back to its card; refused, the page again with everything as it was typed."""
    if form.is_valid():
        try:
            act(actor=request.user, **form.wish())
        except DomainError as error:
            form.refuse(error)
        else:
            notes.success(request, done)
            return _back(name)
    return _page(request, status=422, **{name: form})


def _back(name: str) -> HttpResponse:
    return redirect(f"{reverse('notifications:team')}#team-{name}")


def _page(request: HttpRequest, *, status: int = 200, **forms: RosterForm) -> HttpResponse:
    tenant = request.user.tenant
    today = timezone.localdate(timezone=zone_of(request.user))
    people, locations = list(roster.staff()), list(_locations())
    context: dict[str, Any] = {
        "minutes_form": MinutesForm(initial={"minutes": tenant.escalate_after_minutes}),
        "shift_form": ShiftForm(people=people, locations=locations),
        "absence_form": AbsenceForm(people=people),
        "holiday_form": HolidayForm(locations=locations),
        **{f"{name}_form": form for name, form in forms.items()},
        "shifts": roster.shifts(),
        "absences": roster.absences(),
        "holidays": roster.holidays(today),
        "today": today,
        "last_day": roster.last_day_of_plan(today),
        # A clinic group with one place need not choose it.
        "has_locations": len(locations) > 1,
    }
    return render(request, "notifications/team.html", context, status=status)


def _locations() -> Any:
    return Location.objects.filter(is_active=True).order_by("name_en", "pk")
