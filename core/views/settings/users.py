"""The people who work here: list, create, edit, leave, come back, a new link, a new second step."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from appointments.models import Appointment
from appointments.states import AWAITED
from core import accounts, second_factor, selectors, staff_accounts
from core.access import Can, get_or_404, require
from core.models import User
from core.settings_forms import StaffFilterForm, StaffForm
from core.views.settings.pages import act, save

PAGE_SIZE = 50


@require(Can.MANAGE_SETTINGS)
@require_safe
def users(request: HttpRequest) -> HttpResponse:
    """Everybody, filtered by name, role and state. The table alone when htmx asks for it."""
    form = StaffFilterForm(request.GET or None)
    rows = staff_accounts.everybody()
    chosen: dict[str, Any] = form.cleaned_data if form.is_valid() else {}
    if chosen.get("role"):
        rows = rows.filter(role=chosen["role"])
    if chosen.get("state"):
        rows = rows.filter(is_active=chosen["state"] == "active")
    for word in chosen.get("q", "").split():
        rows = rows.filter(selectors.words_in(word, "name_en", "name_ar", "email"))
    context = {
        "form": form,
        "page": Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page")),
        "is_filtered": any(chosen.values()),
    }
    return render(request, "core/settings/users.html", context)


@require(Can.MANAGE_SETTINGS)
@require_http_methods(["GET", "HEAD", "POST"])
def user_create(request: HttpRequest) -> HttpResponse:
    """The person gets an email with a link to set a password."""
    form = StaffForm(request.POST or None)
    done = _("The account was made. An email with a link to set the password is on its way.")
    if request.method == "POST" and save(request, form, _create_and_tell, done=done) is not None:
        return redirect("core:settings_users")
    context = {"form": form, "person": None}
    return render(request, "core/settings/user_form.html", context, status=422 if form.errors else 200)


@require(Can.MANAGE_SETTINGS)
@require_http_methods(["GET", "HEAD", "POST"])
def user_update(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    person = get_or_404(staff_accounts.everybody(), pk)
    form = StaffForm(request.POST or None, person=person)
    if request.method == "POST" and save(request, form, staff_accounts.user_update, user=person) is not None:
        return redirect("core:settings_users")
    coming = Appointment.objects.filter(provider=person, status__in=AWAITED, starts_at__gt=timezone.now())
    context = {
        "form": form,
        "person": person,
        "is_self": person.pk == request.user.pk,
        "has_second_step": second_factor.is_on(person),
        "visits": coming.count(),
    }
    return render(request, "core/settings/user_form.html", context, status=422 if form.errors else 200)


@require(Can.MANAGE_SETTINGS)
@require_POST
def user_action(request: HttpRequest, pk: uuid.UUID, verb: str) -> HttpResponse:
    person = get_or_404(staff_accounts.everybody(), pk)
    words = {"name": person.name}
    verbs: dict[str, tuple[Any, str]] = {
        "deactivate": (
            staff_accounts.user_deactivate,
            _("%(name)s can no longer sign in, and was signed out everywhere.") % words,
        ),
        "reactivate": (staff_accounts.user_reactivate, _("%(name)s can sign in again.") % words),
        "link": (
            accounts.send_set_password_link,
            _("An email with a link to set the password is on its way to %(name)s.") % words,
        ),
        "second-step": (
            second_factor.reset,
            _("The second step of %(name)s was taken away. They set it up again themselves.") % words,
        ),
    }
    if verb not in verbs:
        raise Http404
    service, done = verbs[verb]
    return act(request, service, done=done, to="core:settings_users", user=person)


@transaction.atomic
def _create_and_tell(*, actor: User, **fields: Any) -> User:
    user = staff_accounts.user_create(actor=actor, **fields)
    accounts.send_set_password_link(user=user, actor=actor)
    return user
