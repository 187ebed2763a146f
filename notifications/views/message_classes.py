"""The classes of messages: their hours, and from how many people on a second person decides. Below /settings/."""

from __future__ import annotations

from typing import Any

from django.contrib import messages as notes
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from core.access import Can, require
from core.errors import DomainError
from notifications import message_classes
from notifications.bulk_forms import CLASS_HELP, ClassRuleForm
from notifications.bulk_states import MessageClass


@require(Can.MANAGE_SETTINGS)
def classes(request: HttpRequest) -> HttpResponse:
    """One form a class; each is saved on its own (``message_class``)."""
    sent = request.POST.get("message_class", "") if request.method == "POST" else ""
    rules = message_classes.rules()
    forms = {
        one.value: ClassRuleForm(
            request.POST if sent == one.value else None, message_class=one.value, initial=_initial(rules[one])
        )
        for one in MessageClass
    }
    form = forms.get(sent)
    if form is not None and form.is_valid():
        try:
            message_classes.rule_set(actor=request.user, message_class=sent, **form.cleaned_data)
        except DomainError as error:
            form.refuse(error)
        else:
            notes.success(request, _("The rule is saved. It holds from now on, also for what is under way."))
            return redirect("core:settings_classes")
    cards = [
        {"form": forms[one.value], "label": one.label, "help": CLASS_HELP[one], "value": one.value}
        for one in MessageClass
    ]
    is_refused = request.method == "POST"
    return render(request, "notifications/message_classes.html", {"cards": cards}, status=422 if is_refused else 200)


def _initial(rule: message_classes.Rule) -> dict[str, Any]:
    return {"opens_at": rule.opens_at, "closes_at": rule.closes_at, "approval_above": rule.approval_above}
