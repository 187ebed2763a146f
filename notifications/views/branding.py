"""The brand: the admin's page with a live preview, the letter in its frame, and the logo for everybody."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from csp.constants import NONE, SELF, UNSAFE_INLINE
from csp.decorators import csp, csp_update
from django.contrib import messages as notes
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_http_methods, require_safe

from core.access import Can, public, require
from core.errors import DomainError
from core.models import Language, Tenant
from core.tenancy import tenant_scope
from integrations.providers import letter
from integrations.sms_providers import Outgoing
from notifications import branding, registry, rendering
from notifications.branding_forms import BrandForm
from notifications.models import Brand
from notifications.registry import Audience
from notifications.states import Channel

# A page of mail programs' markup: inline styles, pictures of this house, no script, and only our own pages around it.
LETTER_POLICY = {
    "default-src": [NONE],
    "script-src": [NONE],
    "style-src": [UNSAFE_INLINE],
    "img-src": [SELF],
    "frame-ancestors": [SELF],
}
# The event whose words the preview shows.
_SAMPLE = "appointment.confirmed"


@require(Can.MANAGE_SETTINGS)
@csp_update({"frame-src": [SELF]})
@require_http_methods(["GET", "HEAD", "POST"])
def brand(request: HttpRequest) -> HttpResponse:
    """GET: the form beside the letter in both languages. POST saves."""
    kept = _brand(request)
    if request.method != "POST":
        return _page(request, BrandForm(brand=kept), kept)
    form = BrandForm(request.POST, request.FILES, brand=kept)
    if form.is_valid():
        try:
            branding.brand_set(actor=request.user, wish=form.wish())
        except DomainError as error:
            form.refuse(error)
        else:
            notes.success(request, _("Saved. It holds for emails from now on."))
            return redirect("branding:settings")
    return _page(request, form, kept, status=422)


@require(Can.MANAGE_SETTINGS)
@csp(LETTER_POLICY)
@xframe_options_sameorigin
@require_safe
def preview(request: HttpRequest) -> HttpResponse:
    """A letter as a mail program shows it; ``lang``, and what is typed but not saved yet: colour and footers."""
    language = request.GET.get("lang", "")
    if language not in Language.values:
        raise Http404
    kept = _brand(request)
    # Too light: the form says so, and the letter stays as it is.
    with contextlib.suppress(DomainError):
        kept.colour = branding.check_colour(request.GET.get("colour", kept.colour))
    kept.footer_en = request.GET.get("footer_en", kept.footer_en)[:500]
    kept.footer_ar = request.GET.get("footer_ar", kept.footer_ar)[:500]
    entry = registry.get(_SAMPLE)
    [words] = [
        words
        for delivery in entry.deliveries
        if delivery.audience is Audience.PATIENT
        for words in delivery.words
        if words.channel == Channel.EMAIL
    ]
    subject, body = (
        rendering.render(text, entry.example, entry.example, language)
        for text in ((words.subject_ar, words.body_ar) if language == "ar" else (words.subject_en, words.body_en))
    )
    # Without its long list, so that the footer is in sight.
    short = "\n\n".join(part for part in body.split("\n\n") if part.count("\n") < 2)
    page = letter_page(request.user.tenant, kept, subject=subject, body=short, language=language)
    return HttpResponse(page, headers={"Cache-Control": "no-store"})


@public
@require_safe
def logo(request: HttpRequest, tenant_id: str, name: str) -> HttpResponse:
    """The picture in every email of a clinic group. Its address is its content, so it never changes."""
    try:
        tenant = uuid.UUID(tenant_id)
    except ValueError as error:
        raise Http404 from error
    with tenant_scope(tenant):
        found = branding.logo(tenant, name.partition(".")[0])
    if found is None:
        raise Http404
    response = HttpResponse(bytes(found.content), content_type=found.content_type)
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    # Mail programs in the browser show it on their own pages.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Content-Security-Policy"] = "default-src 'none'"
    return response


def letter_page(tenant: Tenant, kept: Brand | None, *, subject: str, body: str, language: str) -> str:
    """An email as its reader sees it, for a frame on a page of ours (answer it with ``LETTER_POLICY``)."""
    head = branding.letterhead(kept, tenant, language) if kept is not None else None
    if head is not None:
        # From here and not from the public address, which may be another host.
        head = dataclasses.replace(head, logo_url=urlsplit(head.logo_url).path)
    return letter.html(
        Outgoing(
            message_id="preview",
            channel=Channel.EMAIL,
            to="",
            sender=f"{tenant.name_in(language)} <preview@agdar.invalid>",
            subject=subject,
            body=body,
            language=language,
            callback_url="",
            valid_seconds=None,
            letterhead=head,
        )
    )


def _brand(request: HttpRequest) -> Brand:
    tenant_id = request.user.tenant_id
    return branding.brand_of(tenant_id) or Brand(tenant_id=tenant_id)


def _page(request: HttpRequest, form: BrandForm, kept: Brand, *, status: int = 200) -> HttpResponse:
    typed: Mapping[str, str] = form.data if form.is_bound else {}
    names = ("colour", "footer_en", "footer_ar")
    shown = {name: typed[name] for name in names if name in typed}
    letters = [
        {
            "language": language,
            "title": title,
            "address": f"{reverse('branding:preview')}?{urlencode({'lang': language, **shown})}",
        }
        for language, title in (("en", _("The letter in English")), ("ar", _("The letter in Arabic")))
    ]
    context = {"form": form, "brand": kept, "logo": urlsplit(branding.logo_address(kept)).path, "letters": letters}
    return render(request, "notifications/brand.html", context, status=status)
