"""The reader's own page of preferences, and the address where a mail program unsubscribes with one click (RFC 8058).

The signed code in the address is the key: no account, no cookie, hence no CSRF token (``no-referrer`` also makes browsers
send ``Origin: null``). GET only shows, whatever previews and scanners open; the form's POST counts with the mark that the
page carries, the mail program's with the one word that the standard asks for.
"""

from __future__ import annotations

from typing import Any

from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from core import discretion, phone
from core.access import public
from core.errors import DomainError
from core.models import Language, Location
from core.tenancy import tenant_scope
from notifications import consents, opt_outs, preference_links
from notifications.consent_states import Method, OptSource, Purpose
from notifications.gate import preference_of
from notifications.preference_links import UNSUBSCRIBABLE, Key
from notifications.preferences import preference_update
from notifications.states import Channel, NotificationType
from notifications.wish_forms import WishForm

_FORM = "notifications.preference_page.form"
# A page that was left open over night is shown anew before it acts.
FORM_SECONDS = 12 * 60 * 60
ONE_CLICK = "One-Click"


@public
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest, code: str) -> HttpResponse:
    """What the reader wants to get; saved by its own form, nothing else."""
    key = preference_links.find(code)
    if key is None:
        return _over(request)
    with tenant_scope(key.patient.tenant_id):
        language = _asked(request) or _language_of(key)
        wishes = preference_of(key.patient)
        if request.method != "POST":
            return _show(request, key, language, WishForm(wishes=wishes))
        if not _was_pressed(request, key):
            return _show(request, key, language, WishForm(wishes=wishes), status=422)
        if request.POST.get("again"):
            return _start_again(request, key, language)
        form = WishForm(request.POST, wishes=wishes)
        with translation.override(language):
            if form.is_valid():
                try:
                    preference_update(
                        actor=None,
                        patient=key.patient,
                        guardian=key.guardian,
                        values=form.values(),
                        method=Method.PAGE,
                        language=language,
                    )
                except DomainError as error:
                    form.refuse(error)
                else:
                    return _private(redirect(f"{request.path}?lang={language}&saved=1"))
        return _show(request, key, language, form, status=422)


@public
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def stop(request: HttpRequest, code: str, kind: str) -> HttpResponse:
    """One click in the mail program, or the button of the page that a person gets here. Twice is once."""
    key = preference_links.find(code)
    notification_type = kind.upper()
    if key is None or notification_type not in UNSUBSCRIBABLE:
        return _over(request)
    with tenant_scope(key.patient.tenant_id):
        language = _asked(request) or _language_of(key)
        is_done = request.method == "POST" and request.POST.get("List-Unsubscribe") == ONE_CLICK
        if is_done:
            opt_outs.unsubscribe(
                key=key,
                notification_type=notification_type,
                raw=f"List-Unsubscribe={ONE_CLICK} {notification_type}",
                source=OptSource.ONE_CLICK,
            )
        context = {"kind": NotificationType(notification_type).label, "is_done": is_done}
        status = 200 if is_done or request.method != "POST" else 422
        return _page(request, key, language, "notifications/preference_stop.html", context, status=status)


def _start_again(request: HttpRequest, key: Key, language: str) -> HttpResponse:
    """The reader takes back their STOP for one of their addresses."""
    channel = request.POST.get("again", "")
    if channel in Channel.values:
        address = key.contact.email if channel == Channel.EMAIL else key.contact.phone
        if address and opt_outs.is_stopped(channel=channel, sender="", address=address):
            opt_outs.resume(
                tenant_id=key.patient.tenant_id,
                channel=channel,
                sender="",
                address=address,
                raw=f"again={channel}",
                source=OptSource.PAGE,
                patient=key.patient,
            )
    return _private(redirect(f"{request.path}?lang={language}&saved=1"))


def _show(request: HttpRequest, key: Key, language: str, form: WishForm, *, status: int = 200) -> HttpResponse:
    tenant_id = key.patient.tenant_id
    texts = [
        (form[name], consents.text_in_force(tenant_id, purpose).words_in(language))
        for name, purpose in (("awareness_enabled", Purpose.AWARENESS), ("marketing_enabled", Purpose.PROMOTION))
    ]
    addresses = {channel: key.contact.email if channel == Channel.EMAIL else key.contact.phone for channel in Channel}
    stopped = [
        channel
        for channel, address in addresses.items()
        if address and opt_outs.is_stopped(channel=channel, sender="", address=address)
    ]
    context = {
        "form": form,
        "texts": texts,
        "stopped": stopped,
        "mark": signing.dumps(key.code, salt=_FORM),
        "is_saved": bool(request.GET.get("saved")) and not form.is_bound,
        "channels": list(Channel),
    }
    return _page(request, key, language, "notifications/preference_page.html", context, status=status)


def _page(
    request: HttpRequest, key: Key, language: str, template: str, context: dict[str, Any], *, status: int
) -> HttpResponse:
    place = Location.objects.filter(is_active=True).order_by("-is_sensitive", "pk").first()
    # One page for all places: where one of them must not be named, nothing is.
    names = discretion.names_for(key.patient.tenant, place)
    with translation.override(language):
        clinic = names.name_in(language) if names.is_discreet else key.patient.tenant.name_in(language)
        who = key.patient.name_in(language).split()
    return _in_language(
        request,
        language,
        template,
        {
            "clinic": clinic,
            # The first name alone: enough for a mother of three, too little for a stranger.
            "who": who[0] if who and key.guardian is not None else "",
            "phone": phone.display(place.phone) if place is not None and place.phone else "",
            "phone_number": place.phone if place is not None else "",
            "page_url": f"/p/{key.code}?lang={language}",
            **context,
        },
        status=status,
    )


def _over(request: HttpRequest) -> HttpResponse:
    return _in_language(request, _asked(request), "notifications/preference_over.html", {}, status=404)


def _in_language(
    request: HttpRequest, language: str, template: str, context: dict[str, Any], *, status: int
) -> HttpResponse:
    language = language or (translation.get_language() or Language.ENGLISH)[:2]
    other = Language.ENGLISH if language == Language.ARABIC else Language.ARABIC
    context |= {
        "language": language,
        "direction": "rtl" if language == Language.ARABIC else "ltr",
        "other_language": other.value,
        "other_language_name": {"en": "English", "ar": "العربية"}[other],
    }
    with translation.override(language):
        context["title"] = _("Your messages")
        response = render(request, template, context, status=status)
    response.headers["Content-Language"] = language
    return _private(response)


def _private(response: HttpResponse) -> HttpResponse:
    """The address is a key: not kept, not passed on, not found by a search engine."""
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


def _was_pressed(request: HttpRequest, key: Key) -> bool:
    try:
        return bool(signing.loads(request.POST.get("mark", ""), salt=_FORM, max_age=FORM_SECONDS) == key.code)
    except signing.BadSignature:
        return False


def _asked(request: HttpRequest) -> str:
    wanted = request.GET.get("lang", "")
    return wanted if wanted in Language.values else ""


def _language_of(key: Key) -> str:
    if key.guardian is not None:
        return key.contact.language
    return preference_of(key.patient).preferred_language or key.contact.language
