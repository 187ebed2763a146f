"""What the settings pages share: a form that is saved by a service, and where it leads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages as notes
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from core.errors import DomainError
from core.settings_forms import SettingsForm


def save(
    request: HttpRequest, form: SettingsForm, service: Callable[..., Any], *, done: str = "", **named: Any
) -> Any | None:
    """The service's answer, and a word to the person; None when the form is refused, with the reason in it."""
    if not form.is_valid():
        return None
    try:
        answer = service(actor=request.user, **named, **form.wish())
    except DomainError as error:
        form.refuse(error)
        return None
    notes.success(request, done or _("Saved."))
    return answer


def act(request: HttpRequest, service: Callable[..., Any], *, done: str, to: str, **named: Any) -> HttpResponse:
    """A button: does it, or says why not, and goes back to the page."""
    try:
        service(actor=request.user, **named)
    except DomainError as error:
        notes.error(request, str(error))
    else:
        notes.success(request, done)
    return redirect(to)
