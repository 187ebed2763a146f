"""Signing in, in one step or two, and out. Django's own machinery; what is ours is the page, the language and the way home."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import messages as notes
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView, redirect_to_login
from django.core.exceptions import PermissionDenied
from django.forms import EmailInput
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from core import second_factor
from core import sign_in as sign_in_steps
from core.access import public
from core.account_forms import CodeForm, RecoveryForm
from core.demo_accounts import DEMO_ACCOUNTS, DEMO_PASSWORD
from core.errors import DomainError
from core.models import Role, User
from core.models.tenant import in_language
from core.views.language import remember

# More would push the form off a phone's screen; the rest of them stand in the start script's list.
DEMO_ACCOUNTS_SHOWN = 4


class SignInForm(AuthenticationForm):
    """Email and password. The same words for every failure: a stranger must not learn which emails exist."""

    error_messages = {
        "invalid_login": _("This email and password do not belong together. Check both and try again."),
        "inactive": _("This email and password do not belong together. Check both and try again."),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        username = self.fields["username"]
        username.label = _("Email")
        username.widget = EmailInput(
            attrs={"autocomplete": "username", "autofocus": True, "maxlength": 254, "dir": "ltr", "spellcheck": "false"}
        )
        self.fields["password"].label = _("Password")
        self.fields["password"].widget.attrs |= {"autocomplete": "current-password", "dir": "ltr"}

    def clean_username(self) -> str:
        return str(self.cleaned_data["username"]).strip().lower()


class SignInView(LoginView):
    """``next`` is followed only within this site. Somebody who is signed in already is sent home."""

    template_name = "core/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """The page after sign-in is in the user's own language, and so is the one that asks for the code."""
        user = form.get_user()
        if second_factor.is_on(user) and not sign_in_steps.is_trusted(self.request, user):
            sign_in_steps.begin(self.request, user, self.get_redirect_url())
            response: HttpResponse = redirect("core:sign_in_code")
        else:
            response = super().form_valid(form)
        remember(response, user.language)
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_invalid(form)
        response.status_code = 422
        return response

    def get_default_redirect_url(self) -> str:
        """Home; the support console for the platform's own accounts, which have no clinic to be at home in."""
        user = self.request.user
        return _home_of(user) if user.is_authenticated else super().get_default_redirect_url()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"demo_accounts": _demo_accounts()}


def _home_of(user: User) -> str:
    return reverse("admin:index") if user.tenant_id is None and user.is_staff else reverse("core:home")


@dataclass(frozen=True, slots=True)
class Offer:
    """A line of the demo's panel. ``fill``: field id → value, as JSON for the script."""

    name_en: str
    name_ar: str
    email: str
    role: str
    fill: str

    @property
    def name(self) -> str:
        return in_language(self.name_en, self.name_ar)


def _demo_accounts() -> list[Offer]:
    """What the demo's panel shows: a click fills the form. Empty outside a demo."""
    if not settings.SANDBOX_ENABLED:
        return []
    return [
        Offer(
            name_en=account.name_en,
            name_ar=account.name_ar,
            email=account.email,
            role=str(Role(account.role).label),
            fill=json.dumps({"id_username": account.email, "id_password": DEMO_PASSWORD}),
        )
        for account in DEMO_ACCOUNTS[:DEMO_ACCOUNTS_SHOWN]
    ]


@public
def sign_in(request: HttpRequest) -> HttpResponseBase:
    return SignInView.as_view()(request)


@public
@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_code(request: HttpRequest) -> HttpResponse:
    """The second step. Without the first, or too long after it, back to the beginning. ``?with=recovery``: no phone."""
    if request.user.is_authenticated:
        return redirect(_home_of(request.user))
    who = sign_in_steps.waiting(request)
    if who is None:
        return redirect("core:sign_in")
    is_recovery = request.GET.get("with") == "recovery"
    form = (RecoveryForm if is_recovery else CodeForm)(request.POST if request.method == "POST" else None)
    left = None
    if form.is_bound and form.is_valid():
        try:
            if is_recovery:
                left = second_factor.verify_recovery(user=who.user, code=form.cleaned_data["code"])
            else:
                second_factor.verify(user=who.user, code=form.cleaned_data["code"])
        except DomainError as refused:
            form.add_error("code", str(refused))
        else:
            sign_in_steps.finish(request, who)
            if left is not None:
                notes.warning(request, _codes_left(left))
            response = redirect(who.target or _home_of(who.user))
            if form.cleaned_data.get("is_remembered"):
                sign_in_steps.trust(response, who.user)
            return response
    context = {"form": form, "is_recovery": is_recovery, "email": who.user.email}
    return render(request, "core/sign_in_code.html", context, status=422 if form.is_bound else 200)


def _codes_left(left: int) -> str:
    return ngettext(
        "You signed in with a recovery code. %(count)d is left: make new ones on your account page.",
        "You signed in with a recovery code. %(count)d are left: you can make new ones on your account page.",
        left,
    ) % {"count": left}


@public
def console_sign_in(request: HttpRequest) -> HttpResponse:
    """In place of the console's own page, which knows no second step."""
    if request.user.is_authenticated:
        raise PermissionDenied
    return redirect_to_login(request.GET.get("next") or reverse("admin:index"))


@public
def sign_out(request: HttpRequest) -> HttpResponseBase:
    """POST only (``LogoutView`` answers 405 to anything else)."""
    return LogoutView.as_view()(request)
