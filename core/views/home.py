"""The first page after signing in: another one for each role."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from core.access import Can, require
from core.models import Role
from core.views import today


@require(Can.USE_BELL)
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Everybody who may sign in has a bell, so everybody has a home."""
    user = request.user
    if user.role == Role.PROVIDER:
        return render(request, "core/home_provider.html", today.provider(user))
    if user.role == Role.PATIENT:
        return render(request, "core/home_patient.html", today.patient(user))
    context = today.front_desk(user)
    if user.role == Role.ADMIN:
        context["totals"] = today.message_totals(user)
    return render(request, "core/home_front_desk.html", context)
