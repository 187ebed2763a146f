"""The messages behind one figure of the analytics."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from core import keyset
from core.access import Can, get_or_404, require
from core.models import Department
from core.selectors import zone_of_tenant
from notifications import figure_rows
from notifications.range_forms import RangeForm
from notifications.states import Channel
from notifications.views import analytics_tables

PAGE_SIZE = 25


@require(Can.SEE_ANALYTICS)
@require_safe
def figure_messages(request: HttpRequest) -> HttpResponse:
    """``?since=…&until=…`` and what the figure counts: ``stage``, ``cause`` with ``channel``, or ``department``."""
    zone = zone_of_tenant()
    form = RangeForm(request.GET, zone=zone, today=timezone.now().astimezone(zone).date())
    if not form.is_valid():
        raise Http404
    names = ("stage", "cause", "channel", "department")
    # No figure asks for a NUL, and no database takes it.
    asked = {name: request.GET[name].replace("\x00", "") for name in names if name in request.GET}
    span = form.span()
    rows = figure_rows.rows(span, **asked).select_related("patient", "user").defer("fallback_channels", "body")
    page = keyset.page_of(
        rows,
        by="created_at",
        size=PAGE_SIZE,
        older=request.GET.get("older", ""),
        newer=request.GET.get("newer", ""),
    )
    context = {"page": page, "span": span, "title": _title(asked), "location": request.user.location}
    return render(request, "notifications/figure_messages.html", context)


def _title(asked: dict[str, str]) -> str:
    """What these messages have in common."""
    stages = {
        "sent": _("Messages that were sent"),
        "delivered": _("Messages that were delivered"),
        "read": _("Messages that were read"),
        "clicked": _("Messages whose link was opened"),
    }
    title = stages.get(asked.get("stage", ""), _("Messages"))
    if "cause" in asked:
        title = _("Not arrived: %(reason)s") % {"reason": analytics_tables.cause(asked["cause"])}
    if asked.get("department") == figure_rows.NO_DEPARTMENT:
        title = _("Messages without a department")
    elif asked.get("department"):
        title = _("Messages of %(department)s") % {
            "department": get_or_404(Department.objects.all(), asked["department"]).name
        }
    if asked.get("channel") in Channel.values:
        title = _("%(title)s (%(channel)s)") % {"title": title, "channel": Channel(asked["channel"]).label}
    return title
