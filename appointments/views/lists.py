"""The front desk's list of visits and the provider's own day."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.core.paginator import Paginator
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from appointments import selectors
from appointments.forms import FilterForm
from appointments.models import Appointment, Reminder
from appointments.states import AWAITED, Verb, legal_moves
from appointments.views.verbs import MOVES, Move
from core.access import Can, allows, require
from core.models import Role, User
from notifications.models import Message
from notifications.selectors import by_object, telling

S = Appointment.Status
PAGE_SIZE = 30


@dataclass(frozen=True, slots=True)
class Line:
    """A visit with what its row shows beside it: the latest news to the patient, the usual next step."""

    appointment: Appointment
    message: Message | None
    move: Move | None


@require(Can.SEE_APPOINTMENTS)
@require_safe
def appointment_list(request: HttpRequest) -> HttpResponse:
    """Filters, a table by day, pages. With htmx only the table is sent."""
    user = request.user
    is_provider = user.role == Role.PROVIDER
    providers = [] if is_provider else list(selectors.providers())
    today = selectors.today(user)
    form = FilterForm(request.GET, today=today, providers=providers)
    chosen = form.chosen()
    rows = selectors.search(selectors.between(user, chosen["first"], chosen["last"]), chosen["q"])
    if chosen["provider"]:
        rows = rows.filter(provider_id=chosen["provider"])
    if chosen["status"]:
        rows = rows.filter(status=chosen["status"])
    page = Paginator(_with_reminder(rows), PAGE_SIZE).get_page(request.GET.get("page"))
    visits = list(page.object_list)
    sent = by_object(visit.pk for visit in visits) if allows(user, Can.SEE_MESSAGES) else {}
    lines = [Line(visit, telling(sent.get(visit.pk, [])), _next_move(visit, user, today)) for visit in visits]
    context = {
        "form": form,
        "chosen": chosen,
        "page": page,
        "lines": lines,
        "today": today,
        "is_provider": is_provider,
        "is_filtered": any(chosen[name] for name in ("q", "provider", "status")),
    }
    fragment = request.headers.get("HX-Request") == "true" and not request.headers.get("HX-Boosted")
    name = "appointments/partials/appointment_table.html" if fragment else "appointments/list.html"
    response = render(request, name, context)
    response.headers["Vary"] = "HX-Request"
    return response


@require(Can.TREAT)
@require_safe
def day(request: HttpRequest) -> HttpResponse:
    """The visits of the signed-in provider, today or tomorrow, with the buttons they need."""
    user = request.user
    today = selectors.today(user)
    is_tomorrow = request.GET.get("day") == "tomorrow"
    date = today + dt.timedelta(days=1) if is_tomorrow else today
    visits = list(selectors.day_of(user, date).filter(provider=user).exclude(status=S.ENTERED_IN_ERROR))
    context = {
        "lines": [Line(visit, None, _next_move(visit, user, today)) for visit in visits],
        "date": date,
        "is_tomorrow": is_tomorrow,
        "waiting": sum(visit.status == S.ARRIVED for visit in visits),
        "to_come": sum(visit.status in AWAITED for visit in visits),
    }
    return render(request, "appointments/day.html", context)


def _with_reminder(rows: QuerySet[Appointment]) -> QuerySet[Appointment]:
    """Joins to each visit its next planned reminder: no query a row."""
    planned = Reminder.objects.filter(appointment=OuterRef("pk"), status=Reminder.Status.PLANNED).order_by("due_at")
    return rows.annotate(reminder_due_at=Subquery(planned.values("due_at")[:1]))


def _next_move(appointment: Appointment, user: User, today: dt.date) -> Move | None:
    """The one button of the row: what usually comes next."""
    moves = legal_moves(appointment, user)
    is_today = timezone.localdate(appointment.starts_at, appointment.location.zone) == today
    wanted = (Verb.COMPLETE, Verb.START, *([Verb.ARRIVE] if is_today else []), Verb.NO_SHOW, Verb.CONFIRM)
    return next((MOVES[verb.value] for verb in wanted if verb in moves), None)
