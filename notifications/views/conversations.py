"""The inbox of replies: conversations by number, one of them with all that was written, and the answer by hand."""

from __future__ import annotations

import uuid

from django.contrib import messages as notes
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core import keyset, looks
from core.access import Can, get_or_404, require
from core.errors import DomainError
from core.models import Patient
from core.models.look import Look
from integrations import answering
from notifications import conversations as service
from notifications.models import Conversation
from notifications.reply_forms import AnswerForm
from notifications.states import NEVER_LEFT, Reason

PAGE_SIZE = 50


@require(Can.SEND_MESSAGES)
@require_safe
def conversation_list(request: HttpRequest) -> HttpResponse:
    """``?show=open`` (what waits), ``mine`` or ``all``; the latest reply first."""
    show = request.GET.get("show", "open")
    show = show if show in ("open", "mine", "all") else "open"
    page = keyset.page_of(
        service.listed(show=show, user=request.user),
        by="last_reply_at",
        size=PAGE_SIZE,
        older=request.GET.get("older", ""),
        newer=request.GET.get("newer", ""),
    )
    views = [
        {"key": "open", "label": _("To answer")},
        {"key": "mine", "label": _("Mine")},
        {"key": "all", "label": _("All")},
    ]
    context = {"page": page, "show": show, "views": views, "location": request.user.location}
    return render(request, "notifications/conversations.html", context)


@require(Can.SEND_MESSAGES)
@require_http_methods(["GET", "HEAD", "POST"])
def conversation(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """What was written with that number, and the form to answer. Looking changes nothing but the log of looks."""
    row = get_or_404(Conversation.objects.select_related("patient", "assigned_to"), pk)
    lines = service.thread(row)
    patients = Patient.objects.in_bulk(service.patients_in(lines))
    for patient in patients.values():
        looks.record_look(user=request.user, patient=patient, page=Look.Page.MESSAGES)
    until = service.window_until(row)
    form = AnswerForm(request.POST if request.method == "POST" else None, is_window_open=until is not None)
    if request.method == "POST" and form.is_valid():
        try:
            message = answering.answer_by_hand(
                conversation=row,
                actor=request.user,
                channel=form.cleaned_data["channel"],
                body=form.cleaned_data["body"],
                key=form.cleaned_data["key"],
            )
        except DomainError as error:
            form.refuse(error)
        else:
            if message.status in NEVER_LEFT:
                notes.error(request, _("Not sent: %(reason)s.") % {"reason": Reason(message.reason).label})
            else:
                notes.success(request, _("The message is on its way."))
            return redirect("notifications:conversation", pk=row.pk)
    context = {
        "conversation": row,
        "lines": lines,
        "patients": list(patients.values()),
        "window_until": until,
        "form": form,
        "location": request.user.location,
    }
    return render(request, "notifications/conversation.html", context, status=422 if form.is_bound else 200)


@require(Can.SEND_MESSAGES)
@require_POST
def conversation_act(request: HttpRequest, pk: uuid.UUID, verb: str) -> HttpResponse:
    """``take``, ``release``, ``done``."""
    row = get_or_404(Conversation.objects.all(), pk)
    try:
        match verb:
            case "take":
                service.assign(conversation=row, actor=request.user, to=request.user)
                notes.success(request, _("You look after it."))
            case "release":
                service.assign(conversation=row, actor=request.user, to=None)
                notes.success(request, _("Nobody in particular looks after it now."))
            case "done":
                service.done(conversation=row, actor=request.user)
                notes.success(request, _("Done: it is among all conversations."))
                return redirect("notifications:conversations")
            case _:
                raise Http404
    except DomainError as error:
        notes.error(request, str(error))
    return redirect("notifications:conversation", pk=row.pk)
