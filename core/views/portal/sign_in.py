"""Sign-in by a code, choosing a file, signing out."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from core import audit, portal_sessions, portal_sign_in
from core.access import public
from core.clients import client_ip
from core.errors import DomainError
from core.portal_forms import AddressForm, BirthDateForm, CodeForm
from core.tenancy import tenant_scope
from core.views.portal.door import Visitor, private, signed_in_by_code, visitor_of

# Which wish this browser has made: a code that is read over somebody's shoulder opens nothing elsewhere.
STEP_COOKIE = "me_step"
_SALT = "core.portal.step"


@public
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponseBase:
    """The address. Whoever is signed in is led on."""
    if portal_sessions.of(request) is not None and request.method != "POST":
        return private(redirect("portal:overview"))
    form = AddressForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            wish = portal_sign_in.code_ask(typed=form.cleaned_data["address"], ip=client_ip(request))
        except DomainError as error:
            form.add_error("address", str(error))
            if error.code == "too_many":
                return private(render(request, "core/portal/sign_in.html", {"form": form}, status=429))
        else:
            response = redirect("portal:code")
            response.set_cookie(
                STEP_COOKIE,
                signing.dumps(str(wish.pk), salt=_SALT),
                max_age=portal_sign_in.CODE_LIFE,
                path="/me/",
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite="Lax",
            )
            return private(response)
    return private(render(request, "core/portal/sign_in.html", {"form": form}, status=422 if form.errors else 200))


@public
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def code(request: HttpRequest) -> HttpResponseBase:
    """The code. The page says the same whether anybody knows the address or not."""
    wish_id = _wish_of(request)
    if wish_id is None:
        return private(redirect("portal:sign_in"))
    form = CodeForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            found = portal_sign_in.code_check(wish_id=wish_id, typed=form.cleaned_data["code"])
        except DomainError as error:
            form.add_error("code", str(error))
        else:
            # Whoever was signed in here before is not any more.
            before = portal_sessions.of(request)
            if before is not None:
                portal_sessions.end(before)
            session, key = portal_sessions.begin(
                tenant_id=found.tenant_id, address=found.address, agent=request.headers.get("User-Agent", "")
            )
            with tenant_scope(session.tenant_id):
                visitor = visitor_of(session)
                if len(visitor.files) == 1 and not visitor.files[0].needs_birth_date:
                    portal_sessions.choose(session=session, file=visitor.files[0])
            response = redirect("portal:overview")
            portal_sessions.set_cookie(response, key)
            response.delete_cookie(STEP_COOKIE, path="/me/")
            return private(response)
    return private(render(request, "core/portal/code.html", {"form": form}, status=422 if form.errors else 200))


@signed_in_by_code
@require_http_methods(["GET", "HEAD", "POST"])
def choose(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """Which file: the adult's own, or one of the children."""
    form = BirthDateForm(request.POST if request.method == "POST" else None)
    wanted = request.POST.get("patient", "")
    if request.method == "POST":
        file = next((one for one in visitor.files if str(one.patient.pk) == wanted), None)
        if file is None or not form.is_valid():
            return render(request, "core/portal/choose.html", _choices(visitor, form, wanted), status=422)
        try:
            portal_sessions.choose(session=visitor.session, file=file, birth_date=form.cleaned_data["birth_date"])
        except portal_sessions.WrongBirthDate as error:
            if error.is_over:
                response = redirect("portal:sign_in")
                portal_sessions.forget_cookie(response)
                return response
            form.add_error("birth_date", str(error))
            return render(request, "core/portal/choose.html", _choices(visitor, form, wanted), status=422)
        return redirect("portal:overview")
    return render(request, "core/portal/choose.html", _choices(visitor, form, wanted))


@signed_in_by_code
@require_POST
def sign_out(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    portal_sessions.end(visitor.session)
    audit.record(
        tenant_id=visitor.session.tenant_id,
        actor=None,
        action="portal.signed_out",
        obj=visitor.file.patient if visitor.file else None,
    )
    response = redirect("portal:sign_in")
    portal_sessions.forget_cookie(response)
    return response


def _choices(visitor: Visitor, form: BirthDateForm, wanted: str) -> dict[str, object]:
    # Of an adult who shares the phone the given name is enough to be found by whom it is.
    return {"visitor": visitor, "form": form, "wanted": wanted, "title": _("Whose file?")}


def _wish_of(request: HttpRequest) -> uuid.UUID | None:
    try:
        told = signing.loads(request.COOKIES.get(STEP_COOKIE, ""), salt=_SALT, max_age=portal_sign_in.CODE_LIFE)
        return uuid.UUID(told)
    except (signing.BadSignature, ValueError, TypeError):
        return None
