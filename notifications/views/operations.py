"""The page about sending, for the clinic's admin, and the button that tries a provider again."""

from __future__ import annotations

import hashlib
import uuid

from django.contrib import messages as notes
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from core.access import Can, get_or_404, require
from core.selectors import zone_of
from integrations import breaker, health
from notifications.views import operations_words
from notifications.views.timeline import provider_name


@require(Can.ADMINISTER)
@require_safe
def operations(request: HttpRequest) -> HttpResponse:
    """The page; for htmx what changes on it, or nothing (204) when nothing has."""
    context = operations_words.everything(zone_of(request.user))
    context["tag"] = hashlib.blake2b(repr(context).encode(), digest_size=8).hexdigest()
    if request.htmx and request.GET.get("seen") == context["tag"]:
        response = HttpResponse(status=204)
    else:
        template = "partials/operations_live.html" if request.htmx else "operations.html"
        response = render(request, f"notifications/{template}", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require(Can.ADMINISTER)
@require_POST
def operations_start_again(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """A person has mended it, or wants to know: the provider is tried again at once."""
    state = get_or_404(health.visible_states(), pk)
    breaker.start_again(state.pk, request.user)
    notes.success(
        request,
        _("%(provider)s is tried again with the next message.") % {"provider": provider_name(state.provider)},
    )
    return redirect("notifications:operations")
