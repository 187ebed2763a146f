"""The second step on one's own account: set up, recovery codes, off."""

from __future__ import annotations

import re

import segno
from django.contrib import messages as notes
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from core import second_factor
from core.access import signed_in
from core.account_forms import EnableForm, ProveForm
from core.errors import DomainError
from core.second_factor import Enrolment
from core.sign_in import is_own_password

_CODE = re.compile(r"[2-9a-z]{5}-[2-9a-z]{5}")


@signed_in
@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def second_factor_enable(request: HttpRequest) -> HttpResponse:
    """The secret as a picture and as text; a code that fits turns it on and shows the recovery codes, once."""
    user = request.user
    if second_factor.is_on(user):
        return redirect("core:account")
    form, enrolment = EnableForm(), second_factor.enrolment_begin(user)
    if request.method == "POST":
        form = EnableForm(request.POST)
        # The same secret again: it may be in the phone already.
        enrolment = second_factor.enrolment_of(user, request.POST.get("sealed", "")) or enrolment
        if form.is_valid():
            if not is_own_password(request, user, form.cleaned_data["password"]):
                form.add_error("password", _("This is not your password."))
            else:
                try:
                    codes = second_factor.enable(
                        user=user,
                        enrolment=enrolment,
                        code=form.cleaned_data["code"],
                        session_key=request.session.session_key,
                    )
                except DomainError as refused:
                    form.add_error("code", str(refused))
                else:
                    return _codes(request, codes, is_new=True)
    context = {
        "form": form,
        "enrolment": enrolment,
        "picture": _picture(request, enrolment),
        "next": _target(request),
        "is_required": second_factor.is_required(user),
    }
    return render(request, "core/second_factor_enable.html", context, status=422 if form.is_bound else 200)


@signed_in
@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def second_factor_disable(request: HttpRequest) -> HttpResponse:
    """Off, or off and set up anew where it is required."""
    if not second_factor.is_on(request.user):
        return redirect("core:account")
    form = _proved(request)
    if form.is_bound and form.is_valid():
        try:
            second_factor.disable(
                user=request.user, code=form.cleaned_data["code"], session_key=request.session.session_key
            )
        except DomainError as refused:
            form.add_error("code", str(refused))
        else:
            if second_factor.is_required(request.user):
                return redirect("core:second_factor_enable")
            notes.success(request, _("The second step is off. Your password alone signs you in."))
            return redirect("core:account")
    context = {"form": form, "is_required": second_factor.is_required(request.user)}
    return render(request, "core/second_factor_disable.html", context, status=422 if form.is_bound else 200)


@signed_in
@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """New codes in place of the old ones."""
    if not second_factor.is_on(request.user):
        return redirect("core:account")
    form = _proved(request)
    if form.is_bound and form.is_valid():
        try:
            codes = second_factor.renew_codes(user=request.user, code=form.cleaned_data["code"])
        except DomainError as refused:
            form.add_error("code", str(refused))
        else:
            return _codes(request, codes, is_new=False)
    context = {"form": form, "left": second_factor.codes_left(request.user)}
    return render(request, "core/recovery_codes_renew.html", context, status=422 if form.is_bound else 200)


@signed_in
@never_cache
@require_POST
def recovery_codes_file(request: HttpRequest) -> HttpResponse:
    """The codes that the page has just shown, as a text file. They come from the page: nothing else knows them."""
    codes = request.POST.getlist("code")
    if not all(_CODE.fullmatch(code) for code in codes) or not second_factor.are_codes_of(request.user, codes):
        return HttpResponseBadRequest()
    title = _("Recovery codes of %(email)s for Agdar. Each works once.") % {"email": request.user.email}
    text = "\r\n".join([title, "", *codes, ""])
    return HttpResponse(
        text,
        content_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="agdar-recovery-codes.txt"'},
    )


def _proved(request: HttpRequest) -> ProveForm:
    """Password and code; the password is checked here, the code by the service."""
    form = ProveForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid() and not is_own_password(request, request.user, form.cleaned_data["password"]):
        form.add_error("password", _("This is not your password."))
    return form


def _codes(request: HttpRequest, codes: list[str], *, is_new: bool) -> HttpResponse:
    context = {"codes": codes, "is_new": is_new, "next": _target(request) or resolve_url("core:account")}
    return render(request, "core/recovery_codes.html", context)


def _target(request: HttpRequest) -> str:
    """Where the person wanted to go before they were led here; only within this site."""
    target = request.POST.get("next") or request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return target if is_ours else ""


def _picture(request: HttpRequest, enrolment: Enrolment) -> SafeString:
    """The QR code as SVG in the page: no other address learns the secret. Dark on white in both themes, as cameras want it."""
    code = segno.make(enrolment.address(request.user), error="m", micro=False)
    svg = code.svg_inline(
        scale=5, border=3, dark="#14181f", light="#ffffff", svgclass="x-qr", lineclass=None, omitsize=True
    )
    return mark_safe(svg)  # noqa: S308  # made of black and white squares by segno; no text of anybody is in it
