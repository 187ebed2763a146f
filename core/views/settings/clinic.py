"""The clinic group itself, its hours of rest, what is kept, and the second step at sign-in."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from core import tenant_settings
from core.access import Can, require
from core.models import TenantSettings
from core.settings_forms import ClinicForm, MovingForm, QuietHoursForm, RamadanForm, RetentionForm, SettingsForm
from core.views.settings.pages import act, save
from notifications.states import Category


@require(Can.MANAGE_SETTINGS)
@require_http_methods(["GET", "HEAD", "POST"])
def clinic(request: HttpRequest) -> HttpResponse:
    """Two forms: the clinic group itself, and what patients do by themselves."""
    own = tenant_settings.of(request.user.tenant_id)
    is_moving = request.POST.get("form") == "moving"
    form = ClinicForm(None if is_moving else request.POST or None, initial=ClinicForm.initial_of(request.user.tenant))
    moving = MovingForm(
        request.POST if is_moving else None, initial=_initial(own, "patients_may_move", "move_notice_hours")
    )
    if request.method == "POST":
        if is_moving and save(request, moving, tenant_settings.moving_set) is not None:
            return redirect("core:settings_clinic")
        if not is_moving and save(request, form, tenant_settings.clinic_update) is not None:
            return redirect("core:settings")
    status = 422 if form.errors or moving.errors else 200
    return render(request, "core/settings/clinic.html", {"form": form, "moving": moving}, status=status)


@require(Can.MANAGE_SETTINGS)
@require_http_methods(["GET", "HEAD", "POST"])
def hours(request: HttpRequest) -> HttpResponse:
    """Two forms: quiet hours, and the days of Ramadan."""
    own = tenant_settings.of(request.user.tenant_id)
    forms: dict[str, SettingsForm] = {
        "quiet_form": QuietHoursForm(initial=_initial(own, "quiet_from", "quiet_until")),
        "ramadan_form": RamadanForm(initial=_initial(own, "ramadan_from", "ramadan_until")),
    }
    status = 200
    if request.method == "POST":
        kind, service, form = (
            ("ramadan_form", tenant_settings.ramadan_set, RamadanForm(request.POST))
            if request.POST.get("form") == "ramadan"
            else ("quiet_form", tenant_settings.quiet_hours_set, QuietHoursForm(request.POST))
        )
        if save(request, form, service) is not None:
            return redirect("core:settings_hours")
        forms[kind], status = form, 422
    return render(request, "core/settings/hours.html", {**forms, "own": own}, status=status)


@require(Can.MANAGE_SETTINGS)
@require_http_methods(["GET", "HEAD", "POST"])
def retention(request: HttpRequest) -> HttpResponse:
    own = tenant_settings.of(request.user.tenant_id)
    form = RetentionForm(request.POST or None, own=own, categories=list(Category.choices))
    if request.method == "POST" and save(request, form, tenant_settings.retention_set) is not None:
        return redirect("core:settings")
    context = {"form": form, "least": tenant_settings.LEAST_DAYS["message_days"]}
    return render(request, "core/settings/retention.html", context, status=422 if form.errors else 200)


@require(Can.MANAGE_SETTINGS)
@require_POST
def second_step(request: HttpRequest) -> HttpResponse:
    """Whether admins need a second step to sign in."""
    is_required = request.POST.get("is_required") == "1"
    done = (
        _("From now on every admin needs a second step. Who has none sets it up at the next sign-in.")
        if is_required
        else _("Admins choose themselves whether they use a second step.")
    )
    return act(
        request,
        tenant_settings.second_factor_required_set,
        done=done,
        to="core:settings_users",
        is_required=is_required,
    )


def _initial(own: TenantSettings, *names: str) -> dict[str, object]:
    return {name: getattr(own, name) for name in names}
