"""“My account”: name and language, the way in, and where one is signed in."""

from __future__ import annotations

from django.contrib import messages as notes
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from core import accounts, second_factor
from core.access import signed_in
from core.account_forms import ProfileForm
from core.clients import device_name
from core.models import User
from core.sessions import sessions_of
from core.views.language import remember
from notifications import push
from notifications.staff_signals import subscription_of


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    user = request.user
    # Another object than the one that the page's frame shows: a refused form changes its own.
    form = ProfileForm(request.POST if request.method == "POST" else None, instance=User.accounts.get(pk=user.pk))
    if form.is_bound and form.is_valid():
        accounts.profile_update(user=user, **form.cleaned_data)
        notes.success(request, _("Your details are saved."))
        response = redirect("core:account")
        remember(response, form.cleaned_data["language"])
        return response
    context = {
        "form": form,
        "is_on": second_factor.is_on(user),
        "is_required": second_factor.is_required(user),
        "codes_left": second_factor.codes_left(user) if second_factor.is_on(user) else 0,
        "sessions": [(line, device_name(line.user_agent)) for line in sessions_of(user, request.session.session_key)],
        "place": user.location,
    }
    return render(request, "core/account.html", context, status=422 if form.is_bound else 200)


@signed_in
@require_POST
def session_end(request: HttpRequest, handle: str) -> HttpResponse:
    """Signs out one of one's own devices; 404 for what is none of theirs, or is over already."""
    if not accounts.sign_out_there(user=request.user, handle=handle):
        raise Http404
    notes.success(request, _("That device is signed out."))
    return redirect("core:account")


@signed_in
@require_POST
def sessions_end(request: HttpRequest) -> HttpResponse:
    # The other browsers' notifications of the system end with their sessions.
    push.remove_all(request.user, but=subscription_of(request))
    ended = accounts.sign_out_elsewhere(user=request.user, session_key=request.session.session_key)
    notes.success(
        request,
        ngettext("%(count)d other device is signed out.", "%(count)d other devices are signed out.", ended)
        % {"count": ended}
        if ended
        else _("You are signed in nowhere else."),
    )
    return redirect("core:account")
