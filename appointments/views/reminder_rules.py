"""The clinic group's rules for reminders, and what a department does otherwise. Below /settings/."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from appointments.models import Reminder
from appointments.reminder_forms import ReminderRuleForm, TimingForm
from appointments.reminders import rules
from core.access import Can, get_or_404, require
from core.models import Department, User
from core.settings_forms import SettingsForm
from core.views.settings.pages import act, save

Kind = Reminder.Kind


@require(Can.MANAGE_SETTINGS)
@require_http_methods(["GET", "HEAD", "POST"])
def reminder_rules(request: HttpRequest) -> HttpResponse:
    """One form a kind, one for the timing; each is saved on its own."""
    own = rules.timing(request.user.tenant_id)
    sent = request.POST.get("form", "") if request.method == "POST" else ""
    timing = TimingForm(request.POST if sent == "timing" else None, initial=TimingForm.initial_of(own))
    forms = _forms(request, None)
    done = _("Saved. What is still to come is planned anew within a minute.")
    if sent == "timing" and save(request, timing, rules.timing_set) is not None:
        return redirect("core:settings_reminders")
    if sent in forms and save(request, forms[sent], rules.rule_set, done=done, kind=sent) is not None:
        return redirect("core:settings_reminders")
    context = {
        "cards": _cards(forms, None),
        "timing": timing,
        "departments": Department.objects.filter(is_active=True).order_by("name_en"),
    }
    return render(request, "appointments/reminder_rules.html", context, status=422 if sent else 200)


@require(Can.MANAGE_SETTINGS)
@require_http_methods(["GET", "HEAD", "POST"])
def department_reminders(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The rules of one department; what it has none of is the clinic group's."""
    department = get_or_404(_departments(request.user), pk)
    sent = request.POST.get("form", "") if request.method == "POST" else ""
    cleared = request.POST.get("clear", "") if request.method == "POST" else ""
    if cleared in Kind.values:
        return act(
            request,
            rules.rule_clear,
            done=_("This department follows the clinic group again."),
            to=request.path,
            kind=cleared,
            department=department,
        )
    forms = _forms(request, department)
    done = _("Saved. What is still to come is planned anew within a minute.")
    if sent in forms:
        answer = save(request, forms[sent], rules.rule_set, done=done, kind=sent, department=department)
        if answer is not None:
            return redirect(request.path)
    context = {"department": department, "cards": _cards(forms, department)}
    return render(request, "appointments/reminder_rules.html", context, status=422 if sent else 200)


def _departments(user: User):  # type: ignore[no-untyped-def]  # a query of departments
    return Department.objects.filter(tenant=user.tenant)


def _forms(request: HttpRequest, department: Department | None) -> dict[str, SettingsForm]:
    sent = request.POST.get("form", "") if request.method == "POST" else ""
    book = rules.rulebook()
    department_id = department.pk if department is not None else None
    return {
        kind.value: ReminderRuleForm(
            request.POST if sent == kind.value else None, kind=kind, rule=book.rule(kind, department_id)
        )
        for kind in Kind
    }


def _cards(forms: dict[str, SettingsForm], department: Department | None) -> list[dict[str, object]]:
    book = rules.rulebook()
    words = {
        Kind.EARLY: (_("Some days before"), _("The same time of the day, so that plans can still be changed.")),
        Kind.DAY_BEFORE: (_("The day before"), _("At the same time of the day as the visit.")),
        Kind.TWO_HOURS: (_("Shortly before"), _("So that nobody forgets to leave.")),
    }
    return [
        {
            "value": kind.value,
            "title": words[kind][0],
            "help": words[kind][1],
            "form": forms[kind.value],
            "has_own": department is not None and book.has_own(kind, department.pk),
        }
        for kind in Kind
    ]
