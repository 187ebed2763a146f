"""The language switch: a cookie for this browser, and the user's own language for the next sign-in."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from core.access import public
from core.models import Language, User

ONE_YEAR = 365 * 24 * 3600


def remember(response: HttpResponse, language: str) -> None:
    """The cookie that ``LanguageMiddleware`` reads."""
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=ONE_YEAR,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


@public
@require_POST
def set_language(request: HttpRequest) -> HttpResponseBase:
    """``lang`` is en or ar; ``next`` the page to come back to, followed only within this site."""
    language = request.POST.get("lang", "")
    if language not in Language.values:
        return HttpResponseBadRequest()
    user = request.user
    if user.is_authenticated and user.language != language:
        User.accounts.filter(pk=user.pk).update(language=language)
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        target = resolve_url(settings.LOGIN_REDIRECT_URL)
    response = HttpResponseRedirect(target)
    remember(response, language)
    return response
