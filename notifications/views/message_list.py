"""The message list with its filters, and the filters that people keep."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages as notes
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views import View
from django.views.decorators.http import require_POST

from core import looks
from core.access import Can, get_or_404, require
from core.errors import DomainError
from core.keyset import Page
from core.models.look import Look
from core.selectors import zone_of
from notifications import message_filters, saved_filters
from notifications.message_filters import COUNTED, MessageFilterForm
from notifications.models import Message


class MessageListView(View):
    """Every message of the clinic group, filtered. The table alone when htmx asks for it."""

    def get(self, request: HttpRequest) -> HttpResponse:
        form = MessageFilterForm(request.GET)
        is_valid = form.is_valid()
        page: Page[Message] = Page([])
        count: int | None = None
        if is_valid:
            rows = form.rows(zone_of(request.user))
            page = message_filters.page_of(rows, older=request.GET.get("older", ""), newer=request.GET.get("newer", ""))
            count = message_filters.count_of(rows, page)
        patient = form.cleaned_data.get("patient")
        if patient is not None:
            looks.record_look(user=request.user, patient=patient, page=Look.Page.MESSAGES)
        is_fragment = request.htmx and not request.htmx.history_restore_request
        context: dict[str, Any] = {
            "form": form,
            "page": page,
            "count": count,
            "most_counted": COUNTED,
            "patient": patient,
            "location": request.user.location,
        }
        if not is_fragment:
            context["saved_filters"] = saved_filters.for_user(request.user)
        response = render(
            request,
            f"notifications/{'partials/message_list_partial.html' if is_fragment else 'message_list.html'}",
            context,
            status=200 if is_valid else 422,
        )
        patch_vary_headers(response, ["HX-Request"])
        return response


@require(Can.SEE_MESSAGES)
@require_POST
def filter_save(request: HttpRequest) -> HttpResponse:
    """Keeps the filters of the address (``?status=…``) under the name that was posted."""
    form = MessageFilterForm(request.GET)
    try:
        if not form.is_valid():
            raise DomainError(_("This filter makes no sense, so it was not kept."), code="filter_invalid")
        row = saved_filters.save(
            user=request.user,
            name=request.POST.get("name", ""),
            query=form.asked,
            is_shared=bool(request.POST.get("is_shared")),
        )
    except DomainError as error:
        notes.error(request, str(error))
    else:
        notes.success(request, _("The filter “%(name)s” is kept.") % {"name": row.name})
    return redirect(f"{reverse('notifications:message_list')}?{form.address}")


@require(Can.SEE_MESSAGES)
@require_POST
def filter_remove(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    row = get_or_404(saved_filters.for_user(request.user), pk)
    try:
        saved_filters.remove(user=request.user, row=row)
    except DomainError as error:
        notes.error(request, str(error))
    else:
        notes.success(request, _("The filter “%(name)s” is removed.") % {"name": row.name})
    return redirect("notifications:message_list")
