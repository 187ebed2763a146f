"""What is done with templates beside writing: the preview, review and going back, copies and the archive."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping

from csp.decorators import csp_replace
from django.contrib import messages as notes
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_POST, require_safe

from core.access import Can, get_or_404, require
from core.errors import DomainError
from core.models import User
from core.selectors import zone_of
from notifications import branding, default_words, template_upkeep, template_versions
from notifications.models import MessageTemplate, TemplateVersion
from notifications.views import template_page, template_preview
from notifications.views.branding import LETTER_POLICY, letter_page
from notifications.views.template_words import state_sentence

# --- preview ---------------------------------------------------------------------------------------------------------


@require(Can.MANAGE_TEMPLATES)
@require_POST
def template_preview_fragment(request: HttpRequest) -> HttpResponse:
    """The preview beside the editor, as it is being typed. POST, so that words stay out of addresses and logs."""
    context = template_preview.preview_context(request, _typed_for(request), request.POST)
    return render(request, "notifications/partials/template_preview.html", context)


@require(Can.MANAGE_TEMPLATES)
@csp_replace(LETTER_POLICY)
@xframe_options_sameorigin
@require_POST
def template_preview_letter(request: HttpRequest) -> HttpResponse:
    """What is being typed as an email on the clinic's own paper, for the frame below the editor."""
    shown = template_preview.preview_context(request, _typed_for(request), request.POST)["shown"]
    return _on_paper(request.user, shown)


def _typed_for(request: HttpRequest) -> MessageTemplate:
    """The template whose words are being typed; one that is not there yet for a new one."""
    pk = request.POST.get("template", "")
    return get_or_404(MessageTemplate.objects.all(), pk) if pk else template_preview.blank(request.POST)


def _on_paper(user: User, shown: template_preview.Preview) -> HttpResponse:
    page = letter_page(
        user.tenant,
        branding.brand_of(user.tenant_id),
        subject=shown.subject,
        body=shown.body or shown.error,
        language=shown.language,
    )
    return HttpResponse(page, headers={"Cache-Control": "no-store"})


# --- one version -----------------------------------------------------------------------------------------------------


@require(Can.MANAGE_TEMPLATES)
@require_safe
def template_version(request: HttpRequest, pk: uuid.UUID, number: int) -> HttpResponse:
    """The words of a version, and what differs from another one (``?against=<number>``)."""
    template = get_or_404(MessageTemplate.objects.all(), pk)
    if 0 < number < template.version and not TemplateVersion.objects.filter(template=template, number=number).exists():
        # Of the time before versions were kept.
        notes.info(
            request, _("The words of this version were not kept. Each message still shows what was sent with it.")
        )
        return redirect("notifications:template_detail", pk=pk)
    version = template_page.version_of(pk, number)
    others = list(TemplateVersion.objects.filter(template=template).exclude(number=number))
    against = _against(request.GET.get("against", ""), version, others)
    context = {
        "template": template,
        "title": default_words.title(template),
        "version": version,
        "sentence": state_sentence(version, zone_of(request.user)),
        "previews": template_preview.saved_previews(template, version),
        "others": others,
        "against": against,
        "changes": template_page.changes(template, against, version) if against is not None else [],
    }
    return template_page.framing(request, "notifications/template_version.html", context)


@require(Can.MANAGE_TEMPLATES)
@csp_replace(LETTER_POLICY)
@xframe_options_sameorigin
@require_safe
def template_letter(request: HttpRequest, pk: uuid.UUID, number: int) -> HttpResponse:
    """A version as an email on the clinic's own paper (``?lang=``), for the frames of our pages."""
    version = template_page.version_of(pk, number)
    language = template_preview.language_of(request.GET.get("lang", ""), "en")
    shown = template_preview.shown_of(template_preview.previews(version.template, version), language)
    return _on_paper(request.user, shown)


def _against(wanted: str, version: TemplateVersion, others: list[TemplateVersion]) -> TemplateVersion | None:
    """The one that was asked for, else the one before, else any."""
    chosen = next((row for row in others if str(row.number) == wanted), None)
    before = next((row for row in others if row.number < version.number), None)
    return chosen or before or next(iter(others), None)


def _submit(user: User, version: TemplateVersion, request: HttpRequest) -> str:
    template_versions.submit(
        actor=user, version=version, revision=_revision(request), note=request.POST.get("note", "")
    )
    return _("Another admin looks at it now.")


def _take_back(user: User, version: TemplateVersion, request: HttpRequest) -> str:
    template_versions.take_back(actor=user, version=version)
    return _("It is a draft again.")


def _publish(user: User, version: TemplateVersion, request: HttpRequest) -> str:
    template_versions.publish(actor=user, version=version, revision=_revision(request))
    return _("Published. These words are sent from now on.")


def _reject(user: User, version: TemplateVersion, request: HttpRequest) -> str:
    template_versions.reject(
        actor=user, version=version, revision=_revision(request), note=request.POST.get("note", "")
    )
    return _("Sent back to its author.")


def _discard(user: User, version: TemplateVersion, request: HttpRequest) -> str:
    template_versions.discard(actor=user, version=version)
    return _("The draft was discarded.")


def _roll_back(user: User, version: TemplateVersion, request: HttpRequest) -> str:
    fresh = template_versions.roll_back(actor=user, version=version)
    return _("The words of version %(old)d are sent again, as version %(new)d.") % {
        "old": version.number,
        "new": fresh.number,
    }


def _begin(user: User, version: TemplateVersion, request: HttpRequest) -> str:
    fresh = template_versions.begin_from(actor=user, version=version)
    return _("Draft %(number)d begins with these words.") % {"number": fresh.number}


_VERSION_ACTS: Mapping[str, Callable[[User, TemplateVersion, HttpRequest], str]] = {
    "submit": _submit,
    "take-back": _take_back,
    "publish": _publish,
    "reject": _reject,
    "discard": _discard,
    "roll-back": _roll_back,
    "begin": _begin,
}


@require(Can.MANAGE_TEMPLATES)
@require_POST
def template_version_act(request: HttpRequest, pk: uuid.UUID, number: int, act: str) -> HttpResponse:
    """One step of a version; refused, the template's page says why."""
    run = _VERSION_ACTS.get(act)
    if run is None:
        raise Http404
    version = template_page.version_of(pk, number)
    try:
        done = run(request.user, version, request)
    except DomainError as error:
        return template_page.detail(request, version.template, error=error, status=422)
    notes.success(request, done)
    return redirect("notifications:template_detail", pk=pk)


def _revision(request: HttpRequest) -> int:
    """The revision that was on the screen; 0 fits none."""
    value = request.POST.get("revision", "")
    return int(value) if value.isdecimal() and len(value) < 10 else 0


# --- the template ----------------------------------------------------------------------------------------------------


@require(Can.MANAGE_TEMPLATES)
@require_POST
def template_duplicate(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """A copy of the clinic's own, to write on at once."""
    template = get_or_404(MessageTemplate.objects.all(), pk)
    try:
        version = template_versions.duplicate(actor=request.user, template=template)
    except DomainError as error:
        return template_page.detail(request, template, error=error, status=422)
    notes.success(request, _("This is the copy. Nothing is sent with it before it is published."))
    return redirect("notifications:template_update", pk=version.template_id)


@require(Can.MANAGE_TEMPLATES)
@require_POST
def template_archive(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    return _act(request, pk, template_upkeep.archive, _("The template is in the archive."))


@require(Can.MANAGE_TEMPLATES)
@require_POST
def template_restore(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    return _act(request, pk, template_upkeep.restore, _("It is back. Switch it on when it may be used."))


def _act(request: HttpRequest, pk: uuid.UUID, act: Callable[..., None], done: str) -> HttpResponse:
    template = get_or_404(MessageTemplate.objects.all(), pk)
    try:
        act(actor=request.user, template=template)
    except DomainError as error:
        return template_page.detail(request, template, error=error, status=422)
    notes.success(request, done)
    return redirect("notifications:template_detail", pk=pk)
