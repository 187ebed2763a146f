"""The page of one template: what is sent, what is being worked on, every version. Shared by the views that end on it."""

from __future__ import annotations

import uuid
from typing import Any

from csp.constants import SELF
from csp.decorators import csp_update
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from core.access import get_or_404
from core.errors import DomainError
from core.models import Role, User
from core.selectors import zone_of
from notifications import default_words, template_checks, template_list, template_versions
from notifications.models import MessageTemplate, TemplateVersion
from notifications.models.template import TemplateWords
from notifications.template_diff import pieces
from notifications.views.template_preview import saved_previews
from notifications.views.template_words import history_line, off_sentence, state_sentence


def head(template: MessageTemplate) -> dict[str, Any]:
    """What every page of one template says of it."""
    return {
        "template": template,
        "title": default_words.title(template),
        "list_url": reverse("notifications:template_list"),
    }


@csp_update({"frame-src": [SELF]})
def framing(request: HttpRequest, name: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """A page that may show an email in a frame."""
    return render(request, name, context, status=status)


def detail(
    request: HttpRequest, template: MessageTemplate, *, error: DomainError | None = None, status: int = 200
) -> HttpResponse:
    """The page; ``error`` is shown above what was refused."""
    versions = list(TemplateVersion.objects.filter(template=template).select_related("author", "reviewer", "template"))
    current = next((row for row in versions if row.is_open), None)
    zone = zone_of(request.user)
    usage = template_list.usage(template).get(template.pk, template_list.Usage())
    is_of_event = template_versions.is_of_event(template)
    return framing(
        request,
        "notifications/template_detail.html",
        {
            **head(template),
            "error": error,
            "findings": getattr(error, "findings", []),
            "is_of_event": is_of_event,
            "previews": saved_previews(template, template) if template.version else [],
            "usage": usage,
            "usage_days": template_list.USAGE_DAYS,
            "off_sentence": off_sentence(template),
            "history": [history_line(row, zone) for row in versions],
            "zone": zone,
            **(_open_card(request.user, template, current) if current is not None else {}),
        },
        status=status,
    )


def _open_card(user: User, template: MessageTemplate, version: TemplateVersion) -> dict[str, Any]:
    """The draft, or what waits for a second person."""
    findings = template_checks.look_over(template, version)
    may_review = template_versions.may_review(user, version)
    return {
        "open": version,
        "open_previews": saved_previews(template, version),
        "open_sentence": state_sentence(version, zone_of(user)),
        "blockers": [finding for finding in findings if finding.is_blocker],
        "warnings": [finding for finding in findings if not finding.is_blocker],
        "changes": changes(template, template, version) if template.version else [],
        "may_review": may_review,
        "has_reviewer": may_review or _has_other_admin(version),
    }


def changes(template: MessageTemplate, before: TemplateWords, after: TemplateWords) -> list[dict[str, Any]]:
    """Field by field, what has changed; texts that are the same are left out."""
    labels = {
        "subject_en": _("Subject in English"),
        "subject_ar": _("Subject in Arabic"),
        "body_en": _("Text in English"),
        "body_ar": _("Text in Arabic"),
    }
    return [
        {"label": labels[name], "language": name[-2:], "pieces": pieces(getattr(before, name), getattr(after, name))}
        for name in template_checks.fields_of(template.channel)
        if getattr(before, name) != getattr(after, name)
    ]


def _has_other_admin(version: TemplateVersion) -> bool:
    """Is there anybody at all who may review it?"""
    typed = {*version.editors, str(version.author_id)}
    admins = User.objects.filter(tenant_id=version.tenant_id, role=Role.ADMIN, is_active=True)
    return any(str(pk) not in typed for pk in admins.values_list("pk", flat=True))


def version_of(pk: uuid.UUID, number: int) -> TemplateVersion:
    """The version of that number of one template; 404 for everything else."""
    template = get_or_404(MessageTemplate.objects.all(), pk)
    found = TemplateVersion.objects.filter(template=template, number=number)
    version = found.select_related("template", "author", "reviewer").first()
    if version is None:
        raise Http404
    return version
