"""Who may enter, and the one door to a row.

Every view is wrapped by ``require`` (a signed-in user with a capability), ``signed_in`` (one's own account) or ``public``;
a house test walks all routes.
Rows come only through ``get_or_404``: a stranger learns nothing, not even that the row exists.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase

from core.models import Role, User

M = TypeVar("M", bound=Model)
View = Callable[..., HttpResponseBase]
# What a view of ``signed_in`` says it wants, as others name a capability or "public".
SIGNED_IN = "signed_in"


class Can(StrEnum):
    """What a role may do. Where a provider's view is narrower than the clinic's, the selector narrows it."""

    SEE_APPOINTMENTS = "see_appointments"
    MANAGE_APPOINTMENTS = "manage_appointments"
    TREAT = "treat"
    SEE_PATIENTS = "see_patients"
    EDIT_PATIENTS = "edit_patients"
    TAKE_PAYMENTS = "take_payments"
    SEE_MESSAGES = "see_messages"
    SEND_MESSAGES = "send_messages"
    RETRY_MESSAGES = "retry_messages"
    USE_BELL = "use_bell"
    SEE_OWN_CARE = "see_own_care"
    MANAGE_TEMPLATES = "manage_templates"
    SEND_BULK = "send_bulk"
    SEE_ANALYTICS = "see_analytics"
    EXPORT_MESSAGES = "export_messages"
    SEE_AUDIT = "see_audit"
    MANAGE_SETTINGS = "manage_settings"
    ADMINISTER = "administer"


_FRONT_DESK = frozenset(
    {
        Can.SEE_APPOINTMENTS,
        Can.MANAGE_APPOINTMENTS,
        Can.SEE_PATIENTS,
        Can.EDIT_PATIENTS,
        Can.TAKE_PAYMENTS,
        Can.SEE_MESSAGES,
        Can.SEND_MESSAGES,
        Can.RETRY_MESSAGES,
        Can.USE_BELL,
    }
)
CAPABILITIES: dict[str, frozenset[Can]] = {
    Role.ADMIN: _FRONT_DESK
    | {
        Can.TREAT,
        Can.MANAGE_TEMPLATES,
        Can.SEND_BULK,
        Can.SEE_ANALYTICS,
        Can.EXPORT_MESSAGES,
        Can.SEE_AUDIT,
        Can.MANAGE_SETTINGS,
        Can.ADMINISTER,
    },
    Role.FRONT_DESK: _FRONT_DESK,
    Role.PROVIDER: frozenset({Can.SEE_APPOINTMENTS, Can.TREAT, Can.USE_BELL}),
    Role.PATIENT: frozenset({Can.SEE_OWN_CARE, Can.USE_BELL}),
}


def allows(user: User | AnonymousUser, capability: Can) -> bool:
    return isinstance(user, User) and user.tenant_id is not None and capability in CAPABILITIES[user.role]


def require(capability: Can) -> Callable[[View], View]:
    """The view's door: the sign-in page for strangers, 403 for the wrong role, 401 for a fragment without a session."""

    def wrap(view: View) -> View:
        @functools.wraps(view)
        def inside(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                if request.headers.get("HX-Request") == "true":
                    return HttpResponse(status=401)
                return redirect_to_login(request.get_full_path())
            if not allows(request.user, capability):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        inside.access = capability  # type: ignore[attr-defined]
        return inside

    return wrap


def signed_in(view: View) -> View:
    """The door of a person's own account: everybody who has signed in, whatever their role, support too.

    Also for those who must set up a second step first (``core.middleware.SecondFactorMiddleware``).
    """

    @functools.wraps(view)
    def inside(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            if request.headers.get("HX-Request") == "true":
                return HttpResponse(status=401)
            return redirect_to_login(request.get_full_path())
        return view(request, *args, **kwargs)

    inside.access = SIGNED_IN  # type: ignore[attr-defined]
    return inside


def public(view: View) -> View:
    """Marks a view that anybody may call (sign-in, a provider's call-back, a patient's link, health)."""
    view.access = "public"  # type: ignore[attr-defined]
    return view


def get_or_404(rows: QuerySet[M], pk: uuid.UUID | str) -> M:
    """The row of that id inside ``rows``; 404 for everything else, a malformed id too."""
    try:
        return rows.get(pk=pk)
    except (ObjectDoesNotExist, ValidationError, ValueError) as error:
        raise Http404 from error
