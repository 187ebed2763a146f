"""A person's browsers for push, and Slack or Teams channels. State changes by POST only; sending is the outbox's."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from functools import cache

from django.conf import settings
from django.contrib import messages as notes
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST, require_safe

from core.access import Can, get_or_404, public, require
from core.clients import device_name
from core.errors import DomainError
from core.models import User
from notifications import chat, inbox, push, staff_outbox
from notifications.models import ChatTarget, Notification, PushSubscription
from notifications.staff_outbox import TEST_STEP, Wish
from notifications.staff_signals import COOKIE
from notifications.states import StaffChannel
from notifications.templatetags.staff_tags import push_context
from notifications.views.bell import SeeOther

_COOKIE_AGE = 365 * 24 * 3600


# --- push ------------------------------------------------------------------------------------------------------------


@public
@require_safe
@cache_control(no_cache=True)
def push_worker(request: HttpRequest) -> HttpResponse:
    """The service worker. Under this address, and with this header, it may serve the whole site's notifications."""
    response = HttpResponse(_worker(), content_type="text/javascript; charset=utf-8")
    response.headers["Service-Worker-Allowed"] = "/"
    return response


@cache
def _worker() -> str:
    return (settings.BASE_DIR / "static/js/push-worker.js").read_text()


@require(Can.USE_BELL)
@require_safe
@cache_control(private=True, no_store=True)
def push_token(request: HttpRequest) -> HttpResponse:
    """For the service worker, which has no page to read it from: the token that its POST must carry."""
    return JsonResponse({"token": get_token(request)})


@require(Can.USE_BELL)
@require_safe
@cache_control(private=True, no_store=True)
def push_devices(request: HttpRequest) -> HttpResponse:
    """The card alone, after this device was turned on or off."""
    return render(request, "notifications/partials/push_devices.html", push_context(request))


@require(Can.USE_BELL)
@require_POST
def push_subscribe(request: HttpRequest) -> HttpResponse:
    """This browser from now on. The cookie lets signing out end it here, and here only."""
    said = _said(request)
    try:
        row = push.subscribe(
            user=request.user,
            endpoint=said.get("endpoint", ""),
            p256dh=said.get("p256dh", ""),
            auth=said.get("auth", ""),
            device=device_name(request.headers.get("User-Agent", "")),
        )
    except DomainError as refused:
        return JsonResponse({"error": str(refused), "code": refused.code}, status=422)
    response = JsonResponse({"id": str(row.pk)})
    response.set_signed_cookie(
        COOKIE,
        str(row.pk),
        max_age=_COOKIE_AGE,
        httponly=True,
        samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )
    return response


@require(Can.USE_BELL)
@require_POST
def push_unsubscribe(request: HttpRequest) -> HttpResponse:
    push.unsubscribe(user=request.user, endpoint=_said(request).get("endpoint", ""))
    response = HttpResponse(status=204)
    response.delete_cookie(COOKIE, samesite="Lax")
    return response


@require(Can.USE_BELL)
@require_POST
def push_remove(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    row = get_or_404(PushSubscription.objects.filter(user=request.user), pk)
    push.remove(user=request.user, subscription_id=row.pk)
    notes.success(request, _("This device gets no push messages any more."))
    return _back(request)


@require(Can.USE_BELL)
@require_POST
def push_test(request: HttpRequest) -> HttpResponse:
    """The way of any other notification, so that what arrives proves the whole of it."""
    _test(request.user, StaffChannel.PUSH, TEST_STEP)
    notes.success(request, _("A test is on its way to your devices."))
    return _back(request)


def _said(request: HttpRequest) -> Mapping[str, str]:
    """The fields of a form, or of what ``PushSubscription.toJSON()`` says. What is no text is left out."""
    if request.content_type != "application/json":
        return request.POST
    try:
        said = json.loads(request.body)
    except ValueError:
        return {}
    if not isinstance(said, dict):
        return {}
    keys = said.get("keys")
    flat = {**said, **(keys if isinstance(keys, dict) else {})}
    return {name: value for name, value in flat.items() if isinstance(value, str)}


# --- Slack and Teams -------------------------------------------------------------------------------------------------


@require(Can.ADMINISTER)
@require_POST
def chat_team_add(request: HttpRequest) -> HttpResponse:
    return _add(request, is_team=True)


@require(Can.USE_BELL)
@require_POST
def chat_mine_add(request: HttpRequest) -> HttpResponse:
    return _add(request, is_team=False)


def _add(request: HttpRequest, *, is_team: bool) -> HttpResponse:
    """A refused address is not written back into the page: it is a secret."""
    try:
        chat.target_add(
            actor=request.user, name=request.POST.get("name", ""), url=request.POST.get("url", ""), is_team=is_team
        )
    except DomainError as refused:
        notes.error(request, str(refused))
    else:
        notes.success(request, _("The channel is added. Send a test to see it."))
    return _back(request)


@require(Can.USE_BELL)
@require_POST
def chat_remove(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    target = _target(request, pk)
    try:
        chat.target_remove(actor=request.user, target=target)
    except DomainError as refused:
        notes.error(request, str(refused))
    else:
        notes.success(request, _("The channel is removed. Nothing goes there any more."))
    return _back(request)


@require(Can.USE_BELL)
@require_POST
def chat_test(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    target = _target(request, pk)
    step = TEST_STEP if target.user_id is not None else staff_outbox.team_step(target.pk)
    _test(request.user, StaffChannel.CHAT, step)
    notes.success(request, _("A test is on its way to the channel."))
    return _back(request)


def _target(request: HttpRequest, pk: uuid.UUID) -> ChatTarget:
    """The reader's own; the clinic's too for its admins."""
    rows = ChatTarget.objects.filter(user=request.user)
    if request.user.role == "ADMIN":
        rows |= ChatTarget.objects.filter(user=None)
    return get_or_404(rows.filter(is_active=True), pk)


def _test(user: User, channel: StaffChannel, step: int) -> Notification:
    words = {}
    for language in ("en", "ar"):
        with translation.override(language):
            words[language] = (_("This is a test"), _("You asked for it on the page of your preferences."))
    one = inbox.notify(
        user=user,
        title=words["en"][0],
        title_ar=words["ar"][0],
        message=words["en"][1],
        message_ar=words["ar"][1],
    )
    wish = Wish(one.pk, user.pk, channel, timezone.now())
    staff_outbox.enqueue(tenant_id=one.tenant_id, deliveries=[wish], step=step)
    return one


def _back(request: HttpRequest) -> HttpResponse:
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        target = reverse("notifications:inbox")
    return SeeOther(target)
