"""Locations and departments."""

from __future__ import annotations

import uuid

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core import places
from core.access import Can, get_or_404, require
from core.models import Department, Location
from core.settings_forms import DepartmentForm, LocationForm
from core.views.settings.pages import act, save

VERBS = {"deactivate": False, "reactivate": True}


@require(Can.MANAGE_SETTINGS)
@require_safe
def locations(request: HttpRequest) -> HttpResponse:
    return render(request, "core/settings/locations.html", {"locations": list(places.locations())})


@require(Can.MANAGE_SETTINGS)
@require_http_methods(["GET", "HEAD", "POST"])
def location_create(request: HttpRequest) -> HttpResponse:
    form = LocationForm(request.POST or None)
    done = _("The location was added.")
    if request.method == "POST" and save(request, form, places.location_create, done=done) is not None:
        return redirect("core:settings_locations")
    context = {"form": form, "location": None}
    return render(request, "core/settings/location_form.html", context, status=422 if form.errors else 200)


@require(Can.MANAGE_SETTINGS)
@require_http_methods(["GET", "HEAD", "POST"])
def location_update(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    location = get_or_404(Location.objects.all(), pk)
    form = LocationForm(request.POST or None, location=location)
    if request.method == "POST" and save(request, form, places.location_update, location=location) is not None:
        return redirect("core:settings_locations")
    context = {"form": form, "location": location}
    return render(request, "core/settings/location_form.html", context, status=422 if form.errors else 200)


@require(Can.MANAGE_SETTINGS)
@require_POST
def location_action(request: HttpRequest, pk: uuid.UUID, verb: str) -> HttpResponse:
    """Out of use, or back."""
    location = get_or_404(Location.objects.all(), pk)
    return act(
        request,
        places.location_set_active,
        done=_done(verb, location.name),
        to="core:settings_locations",
        location=location,
        is_active=_is_active(verb),
    )


@require(Can.MANAGE_SETTINGS)
@require_http_methods(["GET", "HEAD", "POST"])
def departments(request: HttpRequest) -> HttpResponse:
    """The list, and the form for a new one."""
    form = DepartmentForm(request.POST or None)
    done = _("The department was added.")
    if request.method == "POST" and save(request, form, places.department_create, done=done) is not None:
        return redirect("core:settings_departments")
    context = {"form": form, "departments": list(places.departments())}
    return render(request, "core/settings/departments.html", context, status=422 if form.errors else 200)


@require(Can.MANAGE_SETTINGS)
@require_http_methods(["GET", "HEAD", "POST"])
def department_update(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    department = get_or_404(Department.objects.all(), pk)
    form = DepartmentForm(request.POST or None, initial=DepartmentForm.initial_of(department))
    if request.method == "POST" and save(request, form, places.department_update, department=department) is not None:
        return redirect("core:settings_departments")
    context = {"form": form, "department": department}
    return render(request, "core/settings/department_form.html", context, status=422 if form.errors else 200)


@require(Can.MANAGE_SETTINGS)
@require_POST
def department_action(request: HttpRequest, pk: uuid.UUID, verb: str) -> HttpResponse:
    department = get_or_404(Department.objects.all(), pk)
    return act(
        request,
        places.department_set_active,
        done=_done(verb, department.name),
        to="core:settings_departments",
        department=department,
        is_active=_is_active(verb),
    )


def _is_active(verb: str) -> bool:
    if verb not in VERBS:
        raise Http404
    return VERBS[verb]


def _done(verb: str, name: str) -> str:
    words = {"name": name}
    return _("%(name)s is in use again.") % words if _is_active(verb) else _("%(name)s is out of use.") % words
