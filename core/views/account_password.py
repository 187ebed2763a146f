"""Passwords: forgotten, chosen by a link, changed. Nothing here says whether an email has an account."""

from __future__ import annotations

from typing import Any

from django.contrib import messages as notes
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.views import PasswordResetConfirmView
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from core import accounts
from core.access import public, signed_in
from core.account_forms import ChangePasswordForm, ForgotForm, NewPasswordForm
from core.clients import client_ip
from core.errors import DomainError
from core.models import User
from core.sign_in import is_own_password
from notifications import push
from notifications.staff_signals import subscription_of


@public
@require_http_methods(["GET", "HEAD", "POST"])
def password_forgot(request: HttpRequest) -> HttpResponse:
    """Asks for a link. The answer is the same for every address."""
    form = ForgotForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            accounts.request_password_reset(email=form.cleaned_data["email"], ip=client_ip(request))
        except DomainError as refused:
            form.add_error(None, str(refused))
            return render(request, "core/password_forgot.html", {"form": form}, status=429)
        return render(request, "core/password_sent.html", {"email": form.cleaned_data["email"]})
    return render(request, "core/password_forgot.html", {"form": form}, status=422 if form.is_bound else 200)


class PasswordLinkView(PasswordResetConfirmView):
    """Django's: the token goes from the address into the session, so that no page and no log behind it sees it."""

    template_name = "core/password_link.html"
    form_class = NewPasswordForm
    token_generator = accounts.AnyLinkTokens()  # type: ignore[assignment]  # all that the view asks of one

    def get_user(self, uidb64: str) -> User | None:
        user = super().get_user(uidb64)
        return user if isinstance(user, User) and accounts.may_sign_in(user) else None

    def form_valid(self, form: Any) -> HttpResponse:
        accounts.password_set_by_link(user=form.user, password=form.cleaned_data["new_password1"])
        self.request.session.flush()
        notes.success(self.request, _("Your new password is saved. Sign in with it."))
        return redirect("core:sign_in")

    def form_invalid(self, form: Any) -> HttpResponse:
        response = super().form_invalid(form)
        response.status_code = 422
        return response


@public
@sensitive_post_parameters()
def password_link(request: HttpRequest, uidb64: str, token: str) -> HttpResponseBase:
    return PasswordLinkView.as_view()(request, uidb64=uidb64, token=token)


@signed_in
@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def password_change(request: HttpRequest) -> HttpResponse:
    """The other sessions end; this one goes on under a new key."""
    form = ChangePasswordForm(request.user, request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        if is_own_password(request, request.user, form.cleaned_data["current_password"]):
            accounts.password_change(
                user=request.user,
                password=form.cleaned_data["new_password1"],
                session_key=request.session.session_key,
            )
            update_session_auth_hash(request, request.user)
            push.remove_all(request.user, but=subscription_of(request))
            notes.success(request, _("Your password is changed. You are signed out everywhere else."))
            return redirect("core:account")
        form.add_error("current_password", _("This is not your password."))
    return render(request, "core/password_change.html", {"form": form}, status=422 if form.is_bound else 200)
