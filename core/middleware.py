"""What every request passes: language, log context, second step, tenant scope."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import Resolver404, resolve, reverse
from django.utils import translation

from core import second_factor
from core.access import SIGNED_IN
from core.models import User
from core.tenancy import system_scope, tenant_scope

log = structlog.get_logger("agdar.request")
Next = Callable[[HttpRequest], HttpResponse]
# Where providers report (integrations/urls.py).
WEBHOOKS = "/webhooks/"
LANGUAGE_COOKIE = settings.LANGUAGE_COOKIE_NAME


class LanguageMiddleware:
    """The language switch's cookie decides, then the browser. Before that the user's own (set at sign-in)."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        language = translation.get_language_from_request(request)
        translation.activate(language)
        request.LANGUAGE_CODE = language
        response = self.get_response(request)
        response.headers.setdefault("Content-Language", language)
        return response


class RequestLogMiddleware:
    """One line a request: the route, never the path (paths may hold a patient's link)."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=uuid.uuid4().hex[:12])
        began = time.perf_counter()
        response = self.get_response(request)
        match = request.resolver_match
        # 503 is an honest answer of /readyz, asked every few seconds.
        level = log.warning if response.status_code >= 500 and response.status_code != 503 else log.debug
        level(
            "request",
            route=match.route if match else None,
            method=request.method,
            status=response.status_code,
            ms=round((time.perf_counter() - began) * 1000),
        )
        return response


class MachineMiddleware:
    """Programs that report to us pass by what is there for people: sessions, users, languages, the pages' headers.

    All of that would cost more than the report itself, a thousand times a second, and a redirect to https would lose
    what was posted. Their views prove by themselves who calls. An address that is none of theirs goes the way of all
    others.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(WEBHOOKS):
            return self.get_response(request)
        try:
            found = resolve(request.path_info)
        except Resolver404:
            return self.get_response(request)
        request.resolver_match = found
        # The thread may have served a person before.
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=uuid.uuid4().hex[:12])
        answer: HttpResponse = found.func(request, *found.args, **found.kwargs)
        return answer


class SecondFactorMiddleware:
    """Whoever owes a second step is led to set it up, in sessions that were open before it was asked for too.

    What anybody may see stays open, and so does their own account. A fragment gets 403: it has no page to lead from.
    Costs no query: the session brought along what it needs to know.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        user = request.user
        if not isinstance(user, User) or not second_factor.is_owed(user):
            return None
        if getattr(view, "access", None) in ("public", SIGNED_IN):
            return None
        if request.headers.get("HX-Request") == "true":
            return HttpResponse(status=403)
        target = reverse("core:second_factor_enable")
        return HttpResponseRedirect(f"{target}?{urlencode({'next': request.get_full_path()})}")


class TenantMiddleware:
    """Opens the scope of the user's tenant for the whole request; without a user there is none, and queries raise."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        if not user.is_authenticated:
            return self.get_response(request)
        structlog.contextvars.bind_contextvars(user_id=str(user.pk), tenant_id=str(user.tenant_id))
        if user.is_superuser and request.path.startswith("/admin/"):
            with system_scope("support console: superusers see every tenant"):
                return self.get_response(request)
        if user.tenant_id is None:
            return self.get_response(request)
        with tenant_scope(user.tenant_id):
            return self.get_response(request)
