"""The bell: its poll, its list, and opening. What else a reader does with a notification: ``acts.py``.

The poll is the most frequent request of the whole house. Only one that finds a change comes here; it may cost the
session with its user and bell, and one query more.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import ngettext
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from django_htmx.http import ptag, trigger_client_event

from core.access import Can, get_or_404, require
from core.context import Shell, bell_tag
from core.selectors import zone_of
from notifications import cards, inbox, links
from notifications.models import BellState
from notifications.views.days import by_today
from notifications.views.inbox import opened
from notifications.views.news import News, news_since

# Rows of the panel.
LATEST = 10


class SeeOther(HttpResponseRedirect):
    """After a POST: go there with GET."""

    status_code = 303


def _tag(request: HttpRequest) -> str:
    return Shell(request).bell_tag


@require(Can.USE_BELL)
@require_safe
@cache_control(private=True, no_store=True)
def bell(request: HttpRequest) -> HttpResponse:
    """The poll. 304 while nothing has changed; else the count. The list is fetched only where somebody looks at it.

    A page of somebody who has since left this browser to another gets 401, as after signing out: it may not show
    the other's numbers.
    """
    if not request.htmx:
        return redirect("notifications:inbox")
    mine, theirs = _owner(_tag(request)), _owner(request.headers.get("HX-PTag", ""))
    if len(theirs) == len(mine) and theirs != mine:
        return HttpResponse(status=401)
    return _poll(request)


@ptag(_tag)
def _poll(request: HttpRequest) -> HttpResponse:
    shell = Shell(request)
    now = timezone.now()
    since = _moment_in(request.headers.get("Bell-Since", ""), now)
    grown_by = shell.unread - _count_in(request.headers.get("HX-PTag", ""))
    news = news_since(request.user, since, grown_by=grown_by) if since is not None else News()
    return _count_response(
        request,
        shell.unread,
        shell.bell_tag,
        news={
            "new": news.is_any,
            "toasts": [
                {"kind": toast.kind, "text": toast.text, "critical": toast.is_critical} for toast in news.toasts
            ],
            "sound": news.has_sound,
            "since": f"{now.timestamp():.6f}",
        },
    )


def _owner(tag: str) -> str:
    return tag.partition(".")[0]


def _count_in(tag: str) -> int:
    """The count that the page shows, from the tag it sends. A tag we cannot read counts as none."""
    count = tag.rpartition(".")[2]
    return int(count) if count.isascii() and count.isdecimal() else 0


def _moment_in(text: str, now: dt.datetime) -> dt.datetime | None:
    """When the page's numbers were read, as we told it. To a page that does not say, nothing is new."""
    seconds, _dot, rest = text.partition(".")
    if not (seconds.isascii() and seconds.isdecimal() and len(seconds) <= 10 and (rest or "0").isdecimal()):
        return None
    return min(dt.datetime.fromtimestamp(float(text), dt.UTC), now)


def act_response(
    request: HttpRequest, template: str = "notifications/partials/bell_update.html", **context: object
) -> HttpResponse:
    """To htmx after an act of the reader: the count as it is now. A ``template`` of its own includes that partial."""
    state = BellState.objects.filter(user=request.user).first()
    unread, version = (state.unread, state.version) if state is not None else (0, 0)
    return _count_response(request, unread, bell_tag(request.user, version, unread), template=template, **context)


def _count_response(
    request: HttpRequest,
    unread: int,
    tag: str,
    *,
    news: Mapping[str, object] | None = None,
    template: str = "notifications/partials/bell_update.html",
    **context: object,
) -> HttpResponse:
    """The badge, and the event that tells the other tabs, title, icon and screen readers. The words name nobody."""
    response = render(request, template, {"unread": unread, **context})
    count = {"count": unread}
    name = ngettext("Notifications, %(count)s unread", "Notifications, %(count)s unread", unread) % count
    sentence = (
        ngettext("You have %(count)s unread notification.", "You have %(count)s unread notifications.", unread) % count
    )
    detail = {"n": unread, "tag": tag, "name": name, "sentence": sentence, **(news or {"new": False})}
    return trigger_client_event(response, "bell:count", detail)


@require(Can.USE_BELL)
@require_safe
@cache_control(private=True, no_store=True)
def bell_list(request: HttpRequest) -> HttpResponse:
    """The latest ten, for the open panel. Asked again while nothing has changed, ``KeptPanelMiddleware`` answers."""
    if not request.htmx:
        return redirect("notifications:inbox")
    groups = by_today(cards.freshen(inbox.latest(request.user, LATEST)), zone_of(request.user))
    return render(request, "notifications/partials/bell_list.html", {"groups": groups, "is_loaded": True})


@require(Can.USE_BELL)
def open_notification(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """POST marks it read and goes to what it is about; GET only goes there (a link preview must change nothing)."""
    notification = get_or_404(inbox.for_user(request.user), pk)
    address = links.address_of(notification, request.user)
    if request.method == "POST":
        inbox.mark_read(request.user, notification.pk)
        return SeeOther(address or reverse("notifications:open", args=[pk]))
    if address:
        return redirect(address)
    return opened(request, notification)
