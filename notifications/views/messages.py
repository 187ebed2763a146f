"""The message pages: list, one message with its timeline, retry, and a single message to a patient."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages as notes
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views import View
from django.views.decorators.http import require_POST

from appointments.models import Appointment
from core.access import Can, get_or_404, require
from core.errors import DomainError
from core.models import Patient
from core.selectors import zone_of
from core.views.reader import reader_of
from integrations import health
from integrations.health import Way
from integrations.messaging_service import MessagingService
from notifications import segments, selectors
from notifications.forms import MAX_BODY, MessageFilterForm, SingleMessageForm
from notifications.models import Message
from notifications.states import NEVER_LEFT, Channel, Reason, Status
from notifications.views import timeline

PAGE_SIZE = 25


class MessageListView(View):
    """Every message of the clinic group, filtered. The table alone when htmx asks for it."""

    def get(self, request: HttpRequest) -> HttpResponse:
        form = MessageFilterForm(request.GET)
        is_valid = form.is_valid()
        rows = selectors.messages_page(**form.selection(zone_of(request.user))) if is_valid else Message.objects.none()
        page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
        template = "message_list.html" if not request.htmx else "partials/message_list_partial.html"
        response = render(
            request,
            f"notifications/{template}",
            {"form": form, "page": page, "location": request.user.location},
            status=200 if is_valid else 422,
        )
        patch_vary_headers(response, ["HX-Request"])
        return response


class MessageDetailView(View):
    """One message. For htmx: what can have changed since, or nothing (204) when nothing has."""

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        message = get_or_404(selectors.message_in_full(), pk)
        obstacle = health.obstacle(message.channel, message.sender) if timeline.waits(message) else None
        state = f"{obstacle.state}{obstacle.since:%s}" if obstacle and obstacle.since else ""
        asked = f"{message.next_check_at:%s}" if message.next_check_at else ""
        tag = f"{message.status}-{message.updated_at:%s%f}-{asked}-{state}"
        if request.htmx and request.GET.get("seen") == tag:
            return HttpResponse(status=204)
        context = {"message": message, "tag": tag, **_live(request, message, obstacle)}
        if request.htmx:
            response = render(request, "notifications/partials/message_live.html", context)
        else:
            response = render(request, "notifications/message_detail.html", {**context, **_still(message)})
        patch_vary_headers(response, ["HX-Request"])
        return response


class MessageRetryView(View):
    """Puts a failed message back into the queue. Then the page on which that was asked, or else the message's own."""

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        message = get_or_404(Message.objects.all(), pk)
        try:
            MessagingService().retry_failed_message(message.pk, actor=request.user)
        except DomainError as error:
            notes.error(request, str(error))
        else:
            notes.success(request, _("The message is in the queue again."))
        target = request.POST.get("next", "")
        if url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
            return redirect(target)
        return redirect("notifications:message_detail", pk=message.pk)


@require(Can.SEND_MESSAGES)
def message_send(request: HttpRequest) -> HttpResponse:
    """A message in a person's own words, to one patient (``?patient=<id>``)."""
    patient = get_or_404(Patient.objects.select_related("tenant"), request.GET.get("patient", ""))
    form = SingleMessageForm(request.POST if request.method == "POST" else None, patient=patient)
    if request.method == "POST" and form.is_valid():
        try:
            message = MessagingService().send_message(
                tenant_id=request.user.tenant_id,
                patient_id=patient.pk,
                channel=form.cleaned_data["channel"],
                subject=form.cleaned_data["subject"] if form.cleaned_data["channel"] == Channel.EMAIL else "",
                body=form.cleaned_data["body"],
                sent_by=request.user,
                dedupe_key=f"single:{request.user.pk}:{form.cleaned_data['key']}",
            )
        except DomainError as error:
            form.add_error(None, str(error))
        else:
            if message.status in NEVER_LEFT:
                notes.error(request, _("Not sent: %(reason)s.") % {"reason": Reason(message.reason).label})
            else:
                notes.success(request, _("The message is on its way."))
            return redirect("notifications:message_detail", pk=message.pk)
    return render(
        request,
        "notifications/message_send.html",
        {
            "form": form,
            "patient": patient,
            "reader": reader_of(patient),
            **_counter(form["body"].value() or "", form["channel"].value() or ""),
        },
        status=422 if form.is_bound else 200,
    )


@require(Can.SEND_MESSAGES)
@require_POST
def message_counter(request: HttpRequest) -> HttpResponse:
    """The length of a text as it is being typed. POST, so that the text stays out of addresses and logs."""
    context = _counter(request.POST.get("body", "")[: MAX_BODY * 2], request.POST.get("channel", ""))
    return render(request, "notifications/partials/message_counter.html", context)


def _counter(body: str, channel: str) -> dict[str, Any]:
    return {
        "segments": segments.count(body) if channel == Channel.SMS else None,
        "characters": len(body),
        "most": MAX_BODY,
    }


def _live(request: HttpRequest, message: Message, obstacle: Way | None) -> dict[str, Any]:
    """What changes while a message travels."""
    zone = zone_of(request.user)
    logs, attempts = selectors.timeline(message), selectors.attempts_of(message)
    verdict, tone = timeline.verdict(message, logs, obstacle, zone)
    return {
        "steps": timeline.steps(message, logs, attempts, zone),
        "tries": timeline.tries(message, attempts, zone),
        # What is billed: a message that was handed over twice costs twice.
        "billed_segments": sum(row.segments for row in attempts) or message.segments,
        "report_note": timeline.report_note(message),
        "is_moving": timeline.is_moving(message),
        "provider_name": timeline.provider_name(message.provider) if message.provider else "",
        "verdict": verdict,
        "verdict_tone": tone,
        "may_retry": message.can_retry(),
        "may_write_anew": message.patient is not None and message.status in (Status.FAILED, Status.BOUNCED),
        "location": request.user.location,
    }


def _still(message: Message) -> dict[str, Any]:
    """What only a full page shows."""
    appointment = None
    if message.object_type == Appointment._meta.label_lower and message.object_id is not None:
        appointment = Appointment.objects.select_related("location").filter(pk=message.object_id).first()
    return {
        "appointment": appointment,
        "replies": selectors.replies_to(message),
        "copies": selectors.copies_of(message),
        "list_url": reverse("notifications:message_list"),
    }
