"""What all pages behind a patient's code share: who may look, in which language, and that nothing of it is kept.

GET only shows: previews of links and scanners of mail open every address they find. A POST counts only with the mark that the
page's form carries, so nobody acts who has not seen the page.

The code in the address is the key; there is no account, hence no cross-site trick to guard against and no CSRF token
(``no-referrer`` also makes browsers send ``Origin: null``, which Django would refuse). The one cookie there is says that the
second question of a sensitive place was answered; it is good for one link and half an hour, and opens nothing without the code.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from appointments import second_question, tokens
from appointments.link_forms import BirthDateForm
from appointments.models import Appointment, ConfirmationToken
from core import discretion, phone
from core.access import public
from core.contacts import Contact, contact_for
from core.models import Language, Patient
from core.tenancy import tenant_scope
from notifications.gate import preference_of

_PASS, _FORM = "appointments.link.pass", "appointments.link.form"
COOKIE = "link_pass"
PASS_SECONDS = 30 * 60
# A page that was left open over night is shown anew before it acts.
FORM_SECONDS = 12 * 60 * 60


@dataclass(frozen=True, slots=True)
class Opened:
    """A code that exists and whose page may be shown."""

    request: HttpRequest
    token: ConfirmationToken
    language: str

    @property
    def appointment(self) -> Appointment:
        return self.token.appointment

    @property
    def names(self) -> discretion.Names:
        return discretion.names_for(self.appointment.tenant, self.appointment.location)

    @property
    def was_pressed(self) -> bool:
        """A POST from a form of ours, for this version of the visit, not too old."""
        if self.request.method != "POST":
            return False
        return _holds(_FORM, self.request.POST.get("mark", ""), self.token, FORM_SECONDS)

    def show(self, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
        appointment = self.appointment
        context = {
            "appointment": appointment,
            "location": appointment.location,
            "names": self.names,
            "mark": _sealed(_FORM, self.token),
            "code": self.token.code,
            **context,
        }
        return in_language(self.request, self.language, template, context, status=status)

    def back(self, address: str) -> HttpResponse:
        """After an act: the page as it is now."""
        return redirect(f"{address}?lang={self.language}")


Page = Callable[[Opened], HttpResponse]


def page(*methods: str) -> Callable[[Page], Callable[..., HttpResponse]]:
    """The one way in: finds the code, opens its clinic's scope, asks the second question where there is one."""

    def wrap(inner: Page) -> Callable[..., HttpResponse]:
        @public
        @csrf_exempt
        @require_http_methods(list(methods))
        @functools.wraps(inner)
        def view(request: HttpRequest, code: str) -> HttpResponse:
            token = tokens.find(code)
            if token is None:
                return private(in_language(request, _asked(request), "appointments/link_unknown.html", {}, status=404))
            with tenant_scope(token.tenant_id):
                language = _asked(request) or reader_language(token.appointment.patient)
                opened = Opened(request, token, language)
                if second_question.is_asked(token) and not _has_passed(opened):
                    return private(_ask(opened))
                return private(inner(opened))

        return view

    return wrap


def private(response: HttpResponse) -> HttpResponse:
    """The address is a key: not kept, not passed on, not found by a search engine."""
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


# --- the second question ---------------------------------------------------------------------------------------------


def _has_passed(opened: Opened) -> bool:
    if second_question.is_locked(opened.token):
        return False
    return _holds(_PASS, opened.request.COOKIES.get(COOKIE, ""), opened.token, PASS_SECONDS)


def _ask(opened: Opened) -> HttpResponse:
    """Nothing about the visit, not even that there is one."""
    token, request = opened.token, opened.request
    form, status = BirthDateForm(), 200
    if opened.was_pressed and "birth_year" in request.POST:
        form, status = BirthDateForm(request.POST), 422
        if form.is_valid():
            if second_question.answer(token, form.cleaned_data["birth_date"]):
                response = opened.back(request.path)
                response.set_cookie(
                    COOKIE,
                    _sealed(_PASS, token),
                    max_age=PASS_SECONDS,
                    path=f"/c/{request.path.split('/')[2]}",
                    secure=settings.SESSION_COOKIE_SECURE,
                    httponly=True,
                    samesite="Lax",
                )
                return response
            token.refresh_from_db(fields=["locked_at"])
            with translation.override(opened.language):
                form.add_error(None, _("This is not the date of birth that we know."))
    is_locked = second_question.is_locked(token)
    context = {"form": form, "is_locked": is_locked, "phone": phone.display(opened.appointment.location.phone)}
    # No visit in the context: what is not there cannot be shown by mistake.
    shown = {"names": opened.names, "mark": _sealed(_FORM, token), "location": opened.appointment.location, **context}
    return in_language(
        request, opened.language, "appointments/link_question.html", shown, status=403 if is_locked else status
    )


def _sealed(salt: str, token: ConfirmationToken) -> str:
    return signing.TimestampSigner(salt=salt).sign(f"{token.pk}:{token.version}")


def _holds(salt: str, sealed: str, token: ConfirmationToken, seconds: int) -> bool:
    try:
        return signing.TimestampSigner(salt=salt).unsign(sealed, max_age=seconds) == f"{token.pk}:{token.version}"
    except signing.BadSignature:
        return False


# --- language --------------------------------------------------------------------------------------------------------


def in_language(
    request: HttpRequest, language: str, template: str, context: dict[str, Any], *, status: int
) -> HttpResponse:
    language = language or (translation.get_language() or Language.ENGLISH)[:2]
    other = Language.ENGLISH if language == Language.ARABIC else Language.ARABIC
    context.update(
        language=language,
        direction="rtl" if language == Language.ARABIC else "ltr",
        other_language=other.value,
        other_language_name={"en": "English", "ar": "العربية"}[other],
    )
    with translation.override(language):
        context.setdefault("title", _("Your appointment"))
        response = render(request, template, context, status=status)
    response.headers["Content-Language"] = language
    return response


def _asked(request: HttpRequest) -> str:
    """``?lang=ar``, or empty."""
    wanted = request.GET.get("lang", "")
    return wanted if wanted in Language.values else ""


def reader_language(patient: Patient) -> str:
    """The language in which the reader of this link gets messages."""
    contact = contact_for(patient)
    if isinstance(contact, Contact) and contact.guardian is not None:
        return contact.language
    return preference_of(patient).preferred_language or patient.language
