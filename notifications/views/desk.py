"""The work list: what a person has to do because of a message, a reply or a date."""

from __future__ import annotations

import uuid

from django.contrib import messages as notes
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from core.access import Can, get_or_404, require
from core.errors import DomainError
from notifications import desk_tasks, links
from notifications.models import DeskTask
from notifications.reply_forms import TaskFilterForm

PAGE_SIZE = 50


@require(Can.SEND_MESSAGES)
@require_safe
def tasks(request: HttpRequest) -> HttpResponse:
    """The open ones, the most urgent first; or those that have ended, the latest first."""
    form = TaskFilterForm(request.GET)
    wanted = form.cleaned_data if form.is_valid() else {}
    is_ended = wanted.get("show") == "ended"
    rows = desk_tasks.listed(kind=wanted.get("kind", ""), is_ended=is_ended)
    page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"form": form, "page": page, "is_ended": is_ended, "location": request.user.location}
    return render(request, "notifications/desk_tasks.html", context)


@require(Can.SEND_MESSAGES)
@require_safe
def task_open(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Leads to what the task is about; to the patient's file where that has no page for this reader."""
    task = get_or_404(DeskTask.objects.all(), pk)
    address = links.page_of(task.object_type, task.object_id, request.user)
    if address is None and task.patient_id is not None:
        address = reverse("core:patient_detail", args=[task.patient_id])
    if address is None:
        notes.info(request, _("What this was about is no longer there."))
    return redirect(address or "notifications:desk_tasks")


@require(Can.SEND_MESSAGES)
@require_POST
def task_done(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Somebody has done it."""
    task = get_or_404(DeskTask.objects.all(), pk)
    try:
        is_first = desk_tasks.complete(task=task, actor=request.user, note=request.POST.get("note", ""))
    except DomainError as error:
        notes.error(request, str(error))
    else:
        notes.success(request, _("Done.") if is_first else _("Somebody was faster: it is done."))
    return redirect("notifications:desk_tasks")
