"""The patient's own page: GET only shows (a link preview must not confirm), POST confirms or calls off.

The code in the address is the key; there is no cookie and no account, hence no cross-site trick to guard against and no
CSRF token (``no-referrer`` also makes browsers send ``Origin: null``, which Django would refuse).
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from appointments import tokens
from appointments.forms import LinkCancelForm
from appointments.models import Appointment, ConfirmationToken
from core.access import public
from core.contacts import Contact, contact_for
from core.errors import DomainError
from core.models import Language, Patient
from core.tenancy import tenant_scope
from notifications.gate import preference_of

S = Appointment.Status
# A used link of a confirmed visit is no dead end: it still says when and where.
_GOOD_NEWS = "already_confirmed"


@public
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def link(request: HttpRequest, code: str) -> HttpResponse:
    token = tokens.find(code)
    if token is None:
        response = _in_language(request, _asked(request), "appointments/link_unknown.html", {}, status=404)
        return _private(response)
    with tenant_scope(token.tenant_id):
        language = _asked(request) or _reader_language(token.appointment.patient)
        if request.method == "POST":
            return _private(_act(request, token, language))
        return _private(_show(request, token, language))


def _act(request: HttpRequest, token: ConfirmationToken, language: str) -> HttpResponse:
    form = LinkCancelForm(request.POST)
    try:
        if request.POST.get("answer") == "confirm":
            tokens.confirm_by_link(token.code)
        elif request.POST.get("answer") == "cancel" and form.is_valid():
            tokens.cancel_by_link(token.code, form.cleaned_data["reason"])
        else:
            return _show(request, token, language, form=form, status=422)
    except DomainError:
        # Somebody was faster: the desk, or the same finger twice. The page says how it stands now.
        return _show(request, tokens.find(token.code) or token, language)
    return redirect(f"{request.path}?lang={language}")


def _show(
    request: HttpRequest,
    token: ConfirmationToken,
    language: str,
    *,
    form: LinkCancelForm | None = None,
    status: int = 200,
) -> HttpResponse:
    """The page of a code that exists. 410 when it can no longer be answered."""
    with translation.override(language):
        refused = tokens.refusal(token, timezone.now())
    appointment = token.appointment
    is_over = refused is not None and refused.code != _GOOD_NEWS
    if is_over:
        status = 410
    context = {
        "appointment": appointment,
        "location": appointment.location,
        "tenant": appointment.tenant,
        "who": short_name(appointment.patient, language),
        "refused": refused,
        "is_over": is_over,
        "is_confirmed": appointment.status == S.CONFIRMED and not is_over,
        "called_off_by_patient": appointment.cancelled_by == Appointment.CancelledBy.PATIENT and is_over,
        "can_answer": refused is None,
        "form": form or LinkCancelForm(),
        "wants_to_cancel": "cancel" in request.GET or (form is not None and form.is_bound),
    }
    return _in_language(request, language, "appointments/link.html", context, status=status)


def short_name(patient: Patient, language: str) -> str:
    """“Sara M.”: enough for a mother of three, too little for a stranger."""
    words = patient.name_in(language).split()
    if len(words) < 2:
        return " ".join(words)
    last = words[-1].removeprefix("Al-").removeprefix("al-").removeprefix("ال") or words[-1]
    return f"{words[0]} {last[0].upper()}."


def _asked(request: HttpRequest) -> str:
    """``?lang=ar``, or empty."""
    wanted = request.GET.get("lang", "")
    return wanted if wanted in Language.values else ""


def _reader_language(patient: Patient) -> str:
    """The language in which the reader of this link gets messages."""
    contact = contact_for(patient)
    if isinstance(contact, Contact) and contact.guardian is not None:
        return contact.language
    return preference_of(patient).preferred_language or patient.language


def _in_language(
    request: HttpRequest, language: str, template: str, context: dict[str, object], *, status: int
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


def _private(response: HttpResponse) -> HttpResponse:
    """The address is a key: not kept, not passed on, not found by a search engine."""
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response
