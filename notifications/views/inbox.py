"""The notification page, and the page of one notification. They read; what a reader does is in ``acts.py``."""

from __future__ import annotations

import uuid

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from core.access import Can, get_or_404, require
from core.selectors import zone_of
from notifications import cards, inbox, links
from notifications.inbox_filters import InboxFilterForm, Show
from notifications.inbox_pages import InboxPage, page_of
from notifications.models import Notification
from notifications.views.days import by_day

# Of a folded notification, on its own page.
ITEMS_A_PAGE = 50


@require(Can.USE_BELL)
@require_safe
def inbox_page(request: HttpRequest) -> HttpResponse:
    """A view of the page (``?show=``), filtered, 25 a page. The list alone when htmx asks: it does when the bell changes."""
    form = InboxFilterForm(request.GET)
    zone = zone_of(request.user)
    page = InboxPage([])
    if form.is_valid():
        rows = form.rows(request.user, zone)
        page = page_of(rows, older=request.GET.get("older", ""), newer=request.GET.get("newer", ""))
    context = {
        "form": form,
        "page": page,
        "groups": by_day(cards.freshen(page.rows), zone),
        "show": form.show,
        "in_history": form.show is Show.HISTORY,
        "views": [{"show": view, "is_current": view is form.show} for view in Show],
    }
    is_fragment = request.htmx and not request.htmx.history_restore_request
    template = "partials/inbox_fragment.html" if is_fragment else "inbox.html"
    response = render(request, f"notifications/{template}", context, status=422 if form.errors else 200)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require(Can.USE_BELL)
@require_safe
def notification_page(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """One notification in full, with all that folded into it. Looking changes nothing."""
    rows = inbox.for_user(request.user).select_related("acknowledged_by", "instead_of")
    return opened(request, get_or_404(rows, pk))


def opened(request: HttpRequest, notification: Notification) -> HttpResponse:
    """The page itself; also where a notification leads to nothing that this user may see."""
    address = links.address_of(notification, request.user)
    cards.freshen([notification])
    items = None
    if notification.group_count > 1:
        items = Paginator(notification.items.all(), ITEMS_A_PAGE).get_page(request.GET.get("page"))
    return render(
        request,
        "notifications/notification_opened.html",
        {
            "notification": notification,
            "address": address,
            "is_gone": bool(notification.related_object_type) and address is None,
            "items": items,
            "zone": zone_of(request.user),
        },
    )
