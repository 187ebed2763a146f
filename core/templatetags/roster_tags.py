"""Cards about who is at work, for pages of other apps."""

from __future__ import annotations

from typing import Any

from django import template

from core import roster
from core.roster_forms import OwnAbsenceForm

register = template.Library()


@register.inclusion_tag("core/partials/absence_mine.html", takes_context=True)
def absence_mine(context: dict[str, Any]) -> dict[str, Any]:
    """The reader's own absences, with the form for one more. ``absence_form``: the one that was refused."""
    request = context["request"]
    return {
        "request": request,
        "csrf_token": context.get("csrf_token"),
        "absences": roster.absences(request.user),
        "form": context.get("absence_form") or OwnAbsenceForm(user=request.user),
        "back": context.get("back") or request.path,
    }
