"""The pages of templates: the list, one template with its versions, writing, and a test to oneself."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages as notes
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views import View

from core.access import get_or_404
from core.errors import DomainError
from core.selectors import zone_of
from integrations.messaging_service import MessagingService
from notifications import template_context, template_list, template_upkeep, template_versions
from notifications.models import MessageTemplate, TemplateVersion
from notifications.states import NEVER_LEFT, Channel, NotificationType, Reason
from notifications.template_forms import (
    TemplateCreateForm,
    TemplateFilterForm,
    TemplateForm,
    TemplateTestForm,
    WordsForm,
)
from notifications.views.template_page import detail, framing, head
from notifications.views.template_preview import blank, preview_context, saved_previews
from notifications.views.template_words import off_sentence

S = TemplateVersion.State
PAGE_SIZE = 50


class TemplateListView(View):
    """Every template of the clinic group, filtered. The table alone when htmx asks for it."""

    def get(self, request: HttpRequest) -> HttpResponse:
        form = TemplateFilterForm(request.GET)
        wish = form.cleaned_data if form.is_valid() else {}
        rows = template_list.rows(
            search=wish.get("q", ""),
            channel=wish.get("channel", ""),
            notification_type=wish.get("type", ""),
            state=wish.get("state", ""),
            active=wish.get("active", ""),
        )
        page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
        name = "partials/template_list_partial.html" if request.htmx else "template_list.html"
        context = {"form": form, "page": page, "zone": zone_of(request.user)}
        response = render(request, f"notifications/{name}", context, status=200 if form.is_valid() else 422)
        patch_vary_headers(response, ["HX-Request"])
        return response


class TemplateDetailView(View):
    """What is sent, what is being worked on, and every version there was."""

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        return detail(request, get_or_404(MessageTemplate.objects.all(), pk))


class TemplateCreateView(View):
    """A new template of the clinic's own, for bulk sends."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return _write(
            request,
            blank(),
            TemplateCreateForm(
                initial={"channel": Channel.SMS, "notification_type": NotificationType.GENERAL, "revision": 0}
            ),
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        form = TemplateCreateForm(request.POST)
        if request.POST.get("step") == "preview" or not form.is_valid():
            return _write(request, blank(request.POST), form, status=_status(request))
        try:
            version = template_versions.create(
                actor=request.user,
                name=form.cleaned_data["name"],
                channel=form.cleaned_data["channel"],
                notification_type=form.cleaned_data["notification_type"],
                words=form.words(),
                variables=form.cleaned_data["extra"],
            )
        except DomainError as error:
            form.refuse(error)
            return _write(request, blank(request.POST), form, status=422)
        return _saved(request, version)


class TemplateUpdateView(View):
    """Writes the next version. What is sent stays as it is until a second person has published it."""

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        template = get_or_404(MessageTemplate.objects.all(), pk)
        if template.archived_at is not None:
            notes.error(request, _("This template is archived. Restore it first."))
            return redirect("notifications:template_detail", pk=pk)
        draft = template_versions.open_version(template)
        if draft is not None and draft.state != S.DRAFT:
            notes.error(request, _("This version is being reviewed. Take it back first."))
            return redirect("notifications:template_detail", pk=pk)
        start = draft or _latest(template)
        initial = {
            **WordsForm.initial_of(start),
            "name": template.name,
            "revision": draft.revision if draft is not None else 0,
        }
        return _write(request, template, _form(template, initial=initial), draft=draft)

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        template = get_or_404(MessageTemplate.objects.all(), pk)
        form = _form(template, request.POST)
        if request.POST.get("step") == "preview" or not form.is_valid():
            return _write(request, template, form, status=_status(request))
        try:
            if "name" in form.fields:
                template_upkeep.rename(actor=request.user, template=template, name=form.cleaned_data["name"])
            version = template_versions.save_draft(
                actor=request.user,
                template=template,
                words=form.words(),
                variables=form.cleaned_data.get("extra", []),
                revision=form.cleaned_data["revision"] or 0,
            )
        except DomainError as error:
            if error.code == "nothing_new":
                # Perhaps only the name was changed.
                notes.success(request, _("Saved. The words are those that are sent already."))
                return redirect("notifications:template_detail", pk=pk)
            form.refuse(error)
            return _write(request, template, form, status=422)
        return _saved(request, version)


class TemplateDeleteView(View):
    """Asks first. What was used can only be archived, and the page says so."""

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        return self._page(request, get_or_404(MessageTemplate.objects.all(), pk), status=200)

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        template = get_or_404(MessageTemplate.objects.all(), pk)
        try:
            template_upkeep.delete(actor=request.user, template=template)
        except DomainError:
            return self._page(request, template, status=422)
        notes.success(request, _("The template was deleted."))
        return redirect("notifications:template_list")

    def _page(self, request: HttpRequest, template: MessageTemplate, *, status: int) -> HttpResponse:
        context = {
            **head(template),
            "refusal": template_upkeep.deletion_refusal(template),
            "is_of_event": template_versions.is_of_event(template),
            "off_sentence": off_sentence(template),
        }
        return render(request, "notifications/template_confirm_delete.html", context, status=status)


class TemplateToggleView(View):
    """Switches a template on or off."""

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        template = get_or_404(MessageTemplate.objects.all(), pk)
        is_active = request.POST.get("active") == "on"
        try:
            template_upkeep.set_active(actor=request.user, template=template, is_active=is_active)
        except DomainError as error:
            return detail(request, template, error=error, status=422)
        notes.success(request, _("It is in use again.") if is_active else _("Nothing is sent with it any more."))
        return redirect("notifications:template_detail", pk=pk)


class TemplateTestView(View):
    """A test to oneself, with example data: the published words or the draft's."""

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        return self._page(request, get_or_404(MessageTemplate.objects.all(), pk), None)

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        template = get_or_404(MessageTemplate.objects.all(), pk)
        sources = self._sources(template)
        form = TemplateTestForm(request.POST, channel=template.channel, choices=_labels(sources))
        if not form.is_valid():
            return self._page(request, template, form)
        try:
            message = MessagingService().send_test(
                user=request.user,
                template=template,
                words=sources[form.cleaned_data["words"]],
                language=form.cleaned_data["language"],
                phone=form.cleaned_data.get("phone", ""),
                key=form.cleaned_data["key"],
            )
        except DomainError as error:
            form.refuse(error)
            return self._page(request, template, form)
        if message.status in NEVER_LEFT:
            notes.error(request, _("Not sent: %(reason)s.") % {"reason": Reason(message.reason).label})
        else:
            notes.success(request, _("The test is on its way."))
        return redirect("notifications:message_detail", pk=message.pk)

    def _page(self, request: HttpRequest, template: MessageTemplate, form: TemplateTestForm | None) -> HttpResponse:
        sources = self._sources(template)
        initial = {"language": request.user.language, "words": next(iter(sources), ""), "key": uuid.uuid4()}
        shown = form or TemplateTestForm(channel=template.channel, choices=_labels(sources), initial=initial)
        words = sources.get(str(shown["words"].value())) or template
        context = {
            **head(template),
            "form": shown,
            "previews": saved_previews(template, words),
            "email": request.user.email,
            "has_choice": len(sources) > 1,
        }
        return framing(request, "notifications/template_test.html", context, status=422 if form is not None else 200)

    def _sources(self, template: MessageTemplate) -> dict[str, MessageTemplate | TemplateVersion]:
        """What can be tried: the open version first, it is what somebody wants to look at."""
        current = template_versions.open_version(template)
        found: dict[str, MessageTemplate | TemplateVersion] = {"open": current} if current is not None else {}
        if template.version:
            found["published"] = template
        return found or {"open": _latest(template)}


# --- parts -----------------------------------------------------------------------------------------------------------


def _latest(template: MessageTemplate) -> MessageTemplate | TemplateVersion:
    """The words to go on from: those that are sent, else the last that were written."""
    if template.version:
        return template
    return TemplateVersion.objects.filter(template=template).first() or template


def _form(template: MessageTemplate, data: Any = None, initial: dict[str, Any] | None = None) -> TemplateForm:
    return TemplateForm(data, template=template, is_of_event=template_versions.is_of_event(template), initial=initial)


def _labels(sources: dict[str, MessageTemplate | TemplateVersion]) -> dict[str, str]:
    return {
        name: _("Version %(number)d, not published yet") % {"number": words.number}
        if isinstance(words, TemplateVersion)
        else _("Published words")
        for name, words in sources.items()
    }


def _status(request: HttpRequest) -> int:
    return 200 if request.POST.get("step") == "preview" else 422


def _saved(request: HttpRequest, version: TemplateVersion) -> HttpResponse:
    """The template's page; on request straight to the reviewer."""
    if request.POST.get("step") == "submit":
        try:
            template_versions.submit(
                actor=request.user, version=version, revision=version.revision, note=request.POST.get("note", "")
            )
        except DomainError as error:
            version.refresh_from_db()
            notes.error(request, _("The draft is saved, but it cannot be reviewed yet."))
            return detail(request, version.template, error=error, status=422)
        notes.success(request, _("Saved. Another admin looks at it now."))
    else:
        notes.success(request, _("The draft is saved. Nothing is sent with it yet."))
    return redirect("notifications:template_detail", pk=version.template_id)


def _write(
    request: HttpRequest,
    template: MessageTemplate,
    form: TemplateForm | TemplateCreateForm,
    *,
    draft: TemplateVersion | None = None,
    status: int = 200,
) -> HttpResponse:
    is_new = isinstance(form, TemplateCreateForm)
    return framing(
        request,
        "notifications/template_form.html",
        {
            **({} if is_new else head(template)),
            "list_url": reverse("notifications:template_list"),
            "template": template,
            "is_new": is_new,
            "form": form,
            "draft": draft,
            "is_email": template.channel == Channel.EMAIL,
            "placeholders": template_context.placeholders(template, _names(form)),
            **preview_context(request, template, {name: form[name].value() for name in form.fields}),
        },
        status=status,
    )


def _names(form: WordsForm) -> list[str]:
    value = form["extra"].value() if "extra" in form.fields else ""
    return [name for name in str(value or "").replace(",", " ").split() if name.isidentifier()]
