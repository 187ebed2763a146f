"""What a patient's message leads to: a short link's redirect, and the picture that tells of an email's opening.

Public, without a cookie or a session. A code that is unknown, of a suspended clinic group or of somebody else's making
is the same 404; a picture is always a picture.
"""

from __future__ import annotations

import base64

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone, translation
from django.views.decorators.http import require_safe

from core.access import public
from core.models import Language
from notifications import clicks, short_links
from notifications.clicks import Visit

# 1 × 1, transparent.
_PICTURE = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


@public
@require_safe
def short_link(request: HttpRequest, code: str) -> HttpResponse:
    """Counts a person's visit and leads on; programs are led on too, uncounted."""
    link = short_links.find(code)
    if link is None or not short_links.is_own_page(link.target):
        return _page(request, "appointments/link_unknown.html", _asked(request), status=404)
    if link.expires_at <= timezone.now():
        language = _asked(request) or link.language
        return _page(request, "notifications/short_link_over.html", language, status=410, tenant=link.tenant)
    if request.method == "GET":
        clicks.note_click(link, Visit.of(request.headers))
    return _private(HttpResponseRedirect(f"{settings.PUBLIC_BASE_URL}{link.target}"))


@public
@require_safe
def open_pixel(request: HttpRequest, code: str) -> HttpResponse:
    message_id = short_links.message_of_pixel(code)
    if message_id is not None and request.method == "GET":
        clicks.note_open(message_id, Visit.of(request.headers))
    return _private(HttpResponse(_PICTURE, content_type="image/gif"))


def _asked(request: HttpRequest) -> str:
    wanted = request.GET.get("lang", "")
    return wanted if wanted in Language.values else ""


def _page(request: HttpRequest, template: str, language: str, *, status: int, **context: object) -> HttpResponse:
    language = language or (translation.get_language() or Language.ENGLISH)[:2]
    other = Language.ENGLISH if language == Language.ARABIC else Language.ARABIC
    with translation.override(language):
        response = render(
            request,
            template,
            {
                "language": language,
                "direction": "rtl" if language == Language.ARABIC else "ltr",
                "other_language": other.value,
                "other_language_name": {"en": "English", "ar": "العربية"}[other],
                **context,
            },
            status=status,
        )
    response.headers["Content-Language"] = language
    return _private(response)


def _private(response: HttpResponse) -> HttpResponse:
    """The address is a key: not kept, not passed on, not found by a search engine."""
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response
