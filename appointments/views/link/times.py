"""Other times for a visit: the patient takes one where the clinic group allows it, or says which would suit."""

from __future__ import annotations

import datetime as dt

from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from appointments import slots, tokens
from appointments.models import ConfirmationToken
from appointments.views.link.door import Opened, page
from appointments.views.link.visit import show
from core import tenant_settings
from core.errors import DomainError


@page("GET", "HEAD", "POST")
def times(opened: Opened) -> HttpResponse:
    now = timezone.now()
    if tokens.refusal(opened.token, now) is not None:
        # Cancelled, moved or over: the visit's own page says so.
        return show(opened)
    own = tenant_settings.of(opened.token.tenant_id)
    may_move = slots.may_move(opened.appointment, own, now)
    if opened.was_pressed:
        return _act(opened, may_move=may_move)
    return _show(opened, may_move=may_move, status=422 if opened.request.method == "POST" else 200)


def _act(opened: Opened, *, may_move: bool) -> HttpResponse:
    chosen = [moment for moment in map(_moment, opened.request.POST.getlist("time")) if moment is not None]
    code = opened.token.code
    try:
        if not may_move or opened.request.POST.get("answer") == "ask":
            tokens.wish_by_link(code, chosen)
        elif len(chosen) == 1:
            moved = tokens.move_by_link(code, chosen[0])
            # The old code is dead; the new one opens the same page.
            code = ConfirmationToken.objects.get(appointment=moved, version=moved.version).code
        else:
            with translation.override(opened.language):
                return _show(opened, may_move=may_move, refused=_("Please choose a time."), status=422)
    except DomainError as error:
        found = tokens.find(code)
        if found is None or tokens.refusal(found) is not None:
            return show(Opened(opened.request, found or opened.token, opened.language))
        with translation.override(opened.language):
            words = _("This time is no longer free. Please choose another one.")
        return _show(opened, may_move=may_move and error.code != "move_not_allowed", refused=words, status=409)
    return opened.back(reverse("appointments:link", args=[code]))


def _show(opened: Opened, *, may_move: bool, refused: str = "", status: int = 200) -> HttpResponse:
    days = slots.free_days(opened.appointment, now=timezone.now())
    context = {"days": days, "may_move": may_move, "refused": refused, "most": tokens.MOST_WISHES}
    return opened.show("appointments/link_times.html", context, status=status)


def _moment(text: str) -> dt.datetime | None:
    """A time as the form writes it; what somebody made up is none."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if timezone.is_aware(moment) else None
