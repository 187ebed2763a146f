"""WhatsApp's approval of a template in one language: what to submit, what became of it, and asking anew."""

from __future__ import annotations

import uuid

from django.contrib import messages as notes
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from core.access import Can, get_or_404, require
from core.errors import DomainError
from integrations import whatsapp
from notifications import default_words, whatsapp_approval
from notifications.approval_forms import ApprovalForm
from notifications.models import MessageTemplate, WhatsAppApproval
from notifications.states import Channel
from notifications.templatetags.whatsapp_tags import card


@require(Can.MANAGE_TEMPLATES)
@require_http_methods(["GET", "HEAD", "POST"])
def template_approval(request: HttpRequest, pk: uuid.UUID, language: str) -> HttpResponse:
    """GET: the words to submit and the form. POST notes how they stand."""
    template, approval = _found(pk, language)
    form = ApprovalForm(request.POST or None, approval=approval)
    if request.method == "POST" and form.is_valid():
        try:
            whatsapp_approval.approval_set(actor=request.user, template=template, language=language, wish=form.wish())
        except DomainError as error:
            form.refuse(error)
        else:
            notes.success(request, _("Saved."))
            return _back(template)
    context = {
        "template": template,
        "title": default_words.title(template),
        "card": card(template, approval),
        "names": list(enumerate(whatsapp_approval.names_in(_words(template, language)), start=1)),
        "form": form,
    }
    status = 422 if form.is_bound else 200
    return render(request, "notifications/template_approval.html", context, status=status)


@require(Can.MANAGE_TEMPLATES)
@require_POST
def template_approval_refresh(request: HttpRequest, pk: uuid.UUID, language: str) -> HttpResponse:
    """Asks the provider how it stands."""
    template, approval = _found(pk, language)
    try:
        approval = whatsapp.refresh(actor=request.user, approval=approval)
    except DomainError as error:
        notes.error(request, str(error))
    else:
        notes.success(request, _("WhatsApp says: %(state)s") % {"state": approval.get_state_display()})
    return _back(template)


def _found(pk: uuid.UUID, language: str) -> tuple[MessageTemplate, WhatsAppApproval]:
    """404 for another clinic group's, for another channel's, and for a language that it is not written in."""
    template = get_or_404(MessageTemplate.objects.filter(channel=Channel.WHATSAPP), pk)
    approval = whatsapp_approval.approvals_of(template).get(language)
    if approval is None:
        raise Http404
    return template, approval


def _words(template: MessageTemplate, language: str) -> str:
    return template.body_ar if language == "ar" else template.body_en


def _back(template: MessageTemplate) -> HttpResponse:
    return redirect(reverse("notifications:template_detail", args=[template.pk]) + "#template-approvals")
