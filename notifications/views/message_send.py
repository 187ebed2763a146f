"""A message to one patient, in a person's own words or by a template."""

from __future__ import annotations

from typing import Any

from django.contrib import messages as notes
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from core import looks
from core.access import Can, get_or_404, require
from core.errors import DomainError
from core.models import Patient
from core.models.look import Look
from core.views.reader import reader_of
from integrations.messaging_service import MessagingService
from notifications import markup, segments
from notifications.forms import MAX_BODY, SingleMessageForm
from notifications.models import Message, MessageTemplate
from notifications.states import NEVER_LEFT, Channel, Reason
from notifications.views import single_template


@require(Can.SEND_MESSAGES)
def message_send(request: HttpRequest) -> HttpResponse:
    """A message to one patient (``?patient=<id>``): in a person's own words, or by a template (``&template=<id>``)."""
    patient = get_or_404(Patient.objects.select_related("tenant"), request.GET.get("patient", ""))
    looks.record_look(user=request.user, patient=patient, page=Look.Page.SEND)
    templates = single_template.usable()
    if wanted := request.GET.get("template", ""):
        chosen = next((row for row in templates if str(row.pk) == wanted), None)
        if chosen is None:
            raise Http404
        return _by_template(request, patient, templates, chosen)
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
            return _sent(request, message)
    return render(
        request,
        "notifications/message_send.html",
        {
            "form": form,
            "patient": patient,
            "reader": reader_of(patient),
            "templates": templates,
            **_counter(form["body"].value() or "", form["channel"].value() or ""),
        },
        status=422 if form.is_bound else 200,
    )


def _by_template(
    request: HttpRequest, patient: Patient, templates: list[MessageTemplate], chosen: MessageTemplate
) -> HttpResponse:
    is_post = request.method == "POST"
    filled = single_template.filling(chosen, patient, keeps=is_post)
    form = single_template.TemplateValuesForm(request.POST if is_post else None, filled=filled)
    if is_post and form.is_valid():
        try:
            message = single_template.send(patient=patient, form=form, user=request.user)
        except DomainError as error:
            form.add_error(None, str(error))
        else:
            return _sent(request, message)
    subject, body = form.preview()
    return render(
        request,
        "notifications/message_send_template.html",
        {
            "form": form,
            "patient": patient,
            "reader": reader_of(patient),
            "templates": templates,
            "chosen": chosen,
            "filled": filled,
            "subject": subject,
            "shown": markup.as_shown(body, chosen.channel),
            "segments": segments.count(body) if chosen.channel == Channel.SMS else None,
        },
        status=422 if form.is_bound else 200,
    )


def _sent(request: HttpRequest, message: Message) -> HttpResponse:
    if message.status in NEVER_LEFT:
        notes.error(request, _("Not sent: %(reason)s.") % {"reason": Reason(message.reason).label})
    else:
        notes.success(request, _("The message is on its way."))
    return redirect("notifications:message_detail", pk=message.pk)


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
