"""The notification page: everything the bell ever said to this user."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from core.access import Can, allows, require
from core.selectors import zone_of
from notifications import inbox
from notifications.views.days import by_day

PAGE_SIZE = 25


@require(Can.USE_BELL)
@require_safe
def front_door(request: HttpRequest) -> HttpResponse:
    """``/notifications/`` itself: the messages for those who work with them, their own notifications for the others."""
    return redirect("notifications:message_list" if allows(request.user, Can.SEE_MESSAGES) else "notifications:inbox")


@require(Can.USE_BELL)
@require_safe
def inbox_page(request: HttpRequest) -> HttpResponse:
    """All or unread (``?show=unread``), 25 a page. The list alone when htmx asks: it does when the bell changes."""
    is_unread_only = request.GET.get("show") == "unread"
    rows = inbox.for_user(request.user)
    if is_unread_only:
        rows = rows.filter(is_read=False)
    page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "groups": by_day(page.object_list, zone_of(request.user)),
        "is_unread_only": is_unread_only,
    }
    template = "partials/inbox_list.html" if request.htmx else "inbox.html"
    response = render(request, f"notifications/{template}", context)
    patch_vary_headers(response, ["HX-Request"])
    return response
