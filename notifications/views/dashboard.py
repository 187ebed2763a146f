"""The dashboard: how messaging did these days, what it is doing now, and the latest messages."""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.views import View

from core.access import Can, allows
from notifications import analytics
from notifications.models import Message
from notifications.views import dashboard_words

PERIODS = (7, 30, 90)
RECENT = 8


class MessageDashboardView(View):
    """``?days=7``. For htmx what changes by itself (queues, latest messages), or nothing (204) when nothing has.

    Who may not see messages is led to their own notifications.
    """

    def get(self, request: HttpRequest) -> HttpResponse:
        if not allows(request.user, Can.SEE_MESSAGES):
            return redirect("notifications:inbox")
        live = dashboard_words.live(request.user, _latest())
        told = repr([live[name] for name in ("troubles", "lanes", "states")])
        tag = hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
        if request.htmx and request.GET.get("seen") == tag:
            response = HttpResponse(status=204)
        elif request.htmx and "seen" in request.GET:
            response = render(request, "notifications/partials/dashboard_live.html", {**live, "tag": tag})
        else:
            asked = request.GET.get("days", "")
            days = int(asked) if asked in map(str, PERIODS) else PERIODS[0]
            context = {**live, "tag": tag, "periods": PERIODS, **_period(days)}
            response = render(request, "notifications/dashboard.html", context)
        patch_vary_headers(response, ["HX-Request"])
        return response


def _period(days: int) -> dict[str, Any]:
    book = analytics.open_book()
    return dashboard_words.period(analytics.last_days(days, book), book)


def _latest() -> list[Message]:
    rows = Message.objects.select_related("patient", "user", "template").defer("fallback_channels", "body")
    return list(rows.order_by("-created_at", "-pk")[:RECENT])
