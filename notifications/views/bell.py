"""The bell: its poll, its list, and marking read. State changes by POST only.

The poll must stay at two queries (session, user with bell): it is the most frequent request of the whole house.
"""

from __future__ import annotations

import uuid

from django.contrib import messages as notes
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext, ngettext
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import ptag, trigger_client_event

from core.access import Can, get_or_404, require
from core.context import Shell, bell_tag
from core.selectors import zone_of
from notifications import inbox, links
from notifications.models import BellState
from notifications.views.days import by_today

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
    """The poll. 304 while nothing has changed; else the count. The list is fetched only where somebody looks at it."""
    if not request.htmx:
        return redirect("notifications:inbox")
    return _poll(request)


@ptag(_tag)
def _poll(request: HttpRequest) -> HttpResponse:
    shell = Shell(request)
    unread_before = _count_in(request.headers.get("HX-PTag", ""))
    return _count_response(request, shell.unread, shell.bell_tag, is_new=shell.unread > unread_before)


def _count_in(tag: str) -> int:
    """The count that the page shows, from the tag it sends. A tag we cannot read counts as none."""
    count = tag.rpartition(".")[2]
    return int(count) if count.isascii() and count.isdecimal() else 0


def act_response(
    request: HttpRequest, template: str = "notifications/partials/bell_update.html", **context: object
) -> HttpResponse:
    """To htmx after an act of the reader: the count as it is now. A ``template`` of its own includes that partial."""
    state = BellState.objects.filter(user=request.user).first()
    unread, version = (state.unread, state.version) if state is not None else (0, 0)
    tag = bell_tag(request.user, version, unread)
    return _count_response(request, unread, tag, is_new=False, template=template, **context)


def _count_response(
    request: HttpRequest,
    unread: int,
    tag: str,
    *,
    is_new: bool,
    template: str = "notifications/partials/bell_update.html",
    **context: object,
) -> HttpResponse:
    """The badge, and the event that tells title, icon and screen readers. The sentence names nobody."""
    response = render(request, template, {"unread": unread, **context})
    sentence = ngettext(
        "You have %(count)s unread notification.", "You have %(count)s unread notifications.", unread
    ) % {"count": unread}
    return trigger_client_event(response, "bell:count", {"n": unread, "tag": tag, "new": is_new, "sentence": sentence})


@require(Can.USE_BELL)
@require_safe
@cache_control(private=True, no_store=True)
def bell_list(request: HttpRequest) -> HttpResponse:
    """The latest ten, for the open panel."""
    if not request.htmx:
        return redirect("notifications:inbox")
    groups = by_today(inbox.latest(request.user, LATEST), zone_of(request.user))
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
    return render(
        request,
        "notifications/notification_opened.html",
        {
            "notification": notification,
            "is_gone": bool(notification.related_object_type),
            "zone": zone_of(request.user),
        },
    )


@require(Can.USE_BELL)
@require_POST
def read(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    get_or_404(inbox.for_user(request.user), pk)
    inbox.mark_read(request.user, pk)
    return _changed(request)


@require(Can.USE_BELL)
@require_POST
def read_all(request: HttpRequest) -> HttpResponse:
    count, _action = inbox.mark_all_read(request.user)
    if not request.htmx:
        notes.success(
            request,
            ngettext("%(count)s notification is marked as read.", "%(count)s notifications are marked as read.", count)
            % {"count": count}
            if count
            else gettext("There was nothing unread."),
        )
    return _changed(request)


def _changed(request: HttpRequest) -> HttpResponse:
    """For htmx the new count (the lists on the page then refresh themselves); else back to the list."""
    if request.htmx:
        return act_response(request)
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        target = reverse("notifications:inbox")
    return SeeOther(target)
