"""The sandbox page: the patient's phone and mailbox, in the demo only. It shows what went over the wire."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages as notes
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotModified
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from core.access import public
from integrations.sandbox import client, screen
from integrations.sandbox.magic import TABLE
from notifications.states import Channel

_OPENED = ("phone", "app", "mailbox", "mail")
_LONGEST_REPLY = 1600


def demo_only(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Without the sandbox there is no such page."""

    @functools.wraps(view)
    def inside(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not settings.SANDBOX_ENABLED:
            raise Http404
        return view(request, *args, **kwargs)

    return inside


@public
@require_safe
@never_cache
@demo_only
def sandbox(request: HttpRequest) -> HttpResponse:
    """The whole page, with the latest phone or mailbox open."""
    shown = screen.load(**_asked_for(request), open_latest=True)
    return render(request, "integrations/sandbox.html", {"screen": shown, "magic": TABLE})


@public
@require_safe
@never_cache
@demo_only
def sandbox_refresh(request: HttpRequest) -> HttpResponse:
    """The list and what is open, every two seconds; 304 while nothing has changed."""
    if not request.htmx:
        return redirect(f"{reverse('integrations:sandbox')}?{request.GET.urlencode()}")
    shown = screen.load(**_asked_for(request))
    if shown.tag and shown.tag == request.headers.get("HX-PTag"):
        return HttpResponseNotModified(headers={"HX-PTag": shown.tag})
    response = render(request, "integrations/partials/sandbox_refresh.html", {"screen": shown})
    if shown.tag:
        response.headers["HX-PTag"] = shown.tag
    return response


@public
@require_POST
@demo_only
def sandbox_reply(request: HttpRequest) -> HttpResponse:
    """The patient writes back; the reply travels through the provider's webhook like a real one."""
    number, app = request.POST.get("phone", ""), request.POST.get("app", "")
    body = request.POST.get("body", "").strip()
    error = _reply(number, app, body)
    if not request.htmx:
        if error:
            notes.error(request, error)
        return redirect(f"{reverse('integrations:sandbox')}?{urlencode({'phone': number, 'app': app})}")
    shown = screen.load(phone=number, app=app)
    context = {"screen": shown, "error": error, "draft": body if error else ""}
    return render(request, "integrations/partials/sandbox_replied.html", context)


def _reply(number: str, app: str, body: str) -> str:
    """The reason why it was not sent; empty when it was."""
    if not body:
        return _("Write something first.")
    if len(body) > _LONGEST_REPLY:
        return _("A reply has at most 1,600 characters.")
    if app not in (Channel.SMS, Channel.WHATSAPP):
        return _("Choose SMS or WhatsApp.")
    try:
        client.reply(number, channel=app, body=body)
    except client.SandboxDown:
        return _("The sandbox is not running.")
    except client.NobodyWrote:
        return _("Nobody has written to this phone yet.")
    return ""


def _asked_for(request: HttpRequest) -> dict[str, str]:
    return {name: request.GET.get(name, "") for name in _OPENED}
