"""Signing in and out. Django's own machinery; what is ours is the page, the language and the way home."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.forms import EmailInput
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from core.access import public
from core.demo_accounts import DEMO_ACCOUNTS, DEMO_PASSWORD
from core.models import Role
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
        """The page after sign-in is in the user's own language."""
        response = super().form_valid(form)
        remember(response, form.get_user().language)
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_invalid(form)
        response.status_code = 422
        return response

    def get_default_redirect_url(self) -> str:
        """Home; the support console for the platform's own accounts, which have no clinic to be at home in."""
        user = self.request.user
        if user.is_authenticated and user.tenant_id is None and user.is_staff:
            return reverse("admin:index")
        return super().get_default_redirect_url()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"demo_accounts": _demo_accounts()}


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
def sign_out(request: HttpRequest) -> HttpResponseBase:
    """POST only (``LogoutView`` answers 405 to anything else)."""
    return LogoutView.as_view()(request)
