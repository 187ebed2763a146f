"""What a reader does with notifications: each a POST. To htmx the new count and a toast with “Undo”; else back to the page.

The rules are those of ``notifications/inbox.py``; what it refuses becomes a message in the corner, or stands in the form.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.contrib import messages as notes
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from core.access import Can, get_or_404, require
from core.errors import DomainError
from core.models import User
from core.selectors import zone_of
from notifications import inbox, undoing
from notifications.inbox import Act
from notifications.models import Notification
from notifications.snoozing import SnoozeForm
from notifications.staff_preferences import weekend_of
from notifications.views.bell import SeeOther, act_response
from notifications.views.words import moment

ANSWER = "notifications/partials/act_done.html"


@require(Can.USE_BELL)
@require_POST
def read(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    return _one(request, pk, Act.READ, inbox.mark_read, _("Marked as read."))


@require(Can.USE_BELL)
@require_POST
def unread(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    return _one(request, pk, Act.UNREAD, inbox.mark_unread, _("Marked as unread."))


@require(Can.USE_BELL)
@require_POST
def archive(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    return _one(request, pk, Act.ARCHIVE, inbox.archive, _("Archived."))


@require(Can.USE_BELL)
@require_POST
def unarchive(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    return _one(request, pk, Act.UNARCHIVE, inbox.unarchive, _("Back in the inbox."))


@require(Can.USE_BELL)
@require_POST
def wake(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Without “Undo”: the time it was put off to is gone, and one more snooze says it again."""
    _mine(request, pk)
    inbox.wake(request.user, pk)
    return _done(request, _("Back in the inbox."))


@require(Can.USE_BELL)
@require_POST
def acknowledge(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Without “Undo”: the others have seen that somebody takes care of it."""
    notification = _mine(request, pk)
    if inbox.acknowledge(request.user, pk):
        return _done(request, _("You are taking care of it. Nobody else is called."))
    notification.refresh_from_db()
    if notification.acknowledged_by is None or notification.acknowledged_at is None:
        return _refused(request, _("There is nothing to acknowledge here."))
    words = {
        "name": notification.acknowledged_by.name,
        "time": moment(notification.acknowledged_at, zone_of(request.user)),
    }
    return _done(request, _("%(name)s has taken care of it since %(time)s.") % words)


@require(Can.USE_BELL)
@require_POST
def read_all(request: HttpRequest) -> HttpResponse:
    count, action = inbox.mark_all_read(request.user)
    if not count:
        return _done(request, _("There was nothing unread."))
    sentence = ngettext(
        "%(count)s notification is marked as read.", "%(count)s notifications are marked as read.", count
    ) % {"count": count}
    return _done(request, sentence, undoing.token(Act.READ, action))


@require(Can.USE_BELL)
def snooze(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """GET: the choices, as a page or inside the dialog. POST: off the list until then."""
    notification = _mine(request, pk)
    zone = zone_of(request.user)
    weekend = weekend_of(request.user.location)
    form = SnoozeForm(request.POST if request.method == "POST" else None, zone=zone, weekend=weekend)
    if request.method == "POST" and form.is_valid():
        until = form.until_moment()
        try:
            action = inbox.snooze(request.user, pk, until)
        except DomainError as error:
            # What is wrong with the time stands at the time; what is wrong with the row, above.
            form.add_error("until" if error.code == "snooze_out_of_range" and not form.preset else None, str(error))
        else:
            sentence = _("Snoozed until %(time)s.") % {"time": moment(until, zone)}
            return _done(request, sentence, undoing.token(Act.SNOOZE, action) if action else "")
    context = {"notification": notification, "form": form, "zone": zone, "next": _next(request)}
    template = "partials/snooze_form.html" if request.htmx else "inbox_snooze.html"
    response = render(request, f"notifications/{template}", context, status=422 if form.errors else 200)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require(Can.USE_BELL)
@require_POST
def undo(request: HttpRequest) -> HttpResponse:
    """Takes back what the token names: an act of this user, whoever sends it."""
    try:
        act, action = undoing.read(request.POST.get("token", ""))
    except undoing.TooLate:
        return _refused(request, _("It is too late to undo that."))
    if not inbox.undo(request.user, act, action):
        return _refused(request, _("There is nothing to undo: something else was done since."))
    return _done(request, _("Undone."))


# --- the answer ------------------------------------------------------------------------------------------------------


def _mine(request: HttpRequest, pk: uuid.UUID) -> Notification:
    return get_or_404(inbox.for_user(request.user), pk)


def _one(
    request: HttpRequest, pk: uuid.UUID, act: Act, do: Callable[[User, uuid.UUID], uuid.UUID | None], sentence: str
) -> HttpResponse:
    """An act on one row. Where it was like that already (two tabs), it says the same and there is nothing to undo."""
    _mine(request, pk)
    try:
        action = do(request.user, pk)
    except DomainError as error:
        return _refused(request, str(error))
    return _done(request, sentence, undoing.token(act, action) if action is not None else "")


def _done(request: HttpRequest, sentence: str, undo_token: str = "") -> HttpResponse:
    """For htmx the new count (the lists on the page then refresh themselves) and the toast; else back to the list."""
    notes.success(request, sentence, extra_tags=undo_token)
    return _answer(request)


def _refused(request: HttpRequest, sentence: str) -> HttpResponse:
    notes.error(request, sentence)
    return _answer(request)


def _answer(request: HttpRequest) -> HttpResponse:
    if request.htmx:
        # Only the page itself has the keys that the toast speaks of.
        has_keys = (request.htmx.current_url_abs_path or "").startswith(reverse("notifications:inbox"))
        return act_response(request, ANSWER, has_keys=has_keys)
    return SeeOther(_next(request))


def _next(request: HttpRequest) -> str:
    """The page of ours that the reader came from."""
    target = request.POST.get("next", request.GET.get("next", ""))
    if url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        return target
    return reverse("notifications:inbox")
