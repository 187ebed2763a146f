"""The door of the patient's own view: which session it is, which files it opens, and the tenant's scope around the page.

Public to Django's eyes: nobody here is a ``User``. Whoever has no session is led to the sign-in.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from core import portal_sessions
from core.access import public
from core.models import Patient, PortalSession
from core.portal_people import OpenFile, files_of
from core.tenancy import tenant_scope

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is there: the session, the files of its address, and the one that is open (None: to be chosen first)."""

    session: PortalSession
    files: list[OpenFile]
    file: OpenFile | None

    @property
    def patient(self) -> Patient:
        return self.opened.patient

    @property
    def opened(self) -> OpenFile:
        """The open file; for pages that ``own_view`` has let in."""
        if self.file is None:
            raise ValueError("no file is open")
        return self.file


def visitor_of(session: PortalSession) -> Visitor:
    """Read anew at each page. The tenant's scope is open."""
    files = files_of(session.address)
    opened = next((one for one in files if portal_sessions.is_open(session, one)), None)
    return Visitor(session, files, opened)


View = Callable[Concatenate[HttpRequest, Visitor, P], HttpResponseBase]


def signed_in_by_code(view: View[P]) -> Callable[..., HttpResponseBase]:
    """Whoever has typed a code; a file need not be open yet."""

    @functools.wraps(view)
    def inside(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        session = portal_sessions.of(request)
        if session is None:
            return private(redirect("portal:sign_in"))
        with tenant_scope(session.tenant_id):
            visitor = visitor_of(session)
            if not visitor.files:
                # The address was taken out of the files since.
                portal_sessions.end(session)
                return private(redirect("portal:sign_in"))
            return private(view(request, visitor, *args, **kwargs))

    return public(inside)


def own_view(view: View[P]) -> Callable[..., HttpResponseBase]:
    """The same, with a file open."""

    @functools.wraps(view)
    def inside(request: HttpRequest, visitor: Visitor, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if visitor.file is None:
            return redirect("portal:choose")
        return view(request, visitor, *args, **kwargs)

    return signed_in_by_code(inside)


def private(response: HttpResponseBase) -> HttpResponseBase:
    """Not kept, not found by a search engine."""
    if isinstance(response, HttpResponse) or hasattr(response, "headers"):
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Robots-Tag"] = "noindex, nofollow"
        # For browsers that share a computer: the back button shows nothing of the one before.
        response.headers["Vary"] = "Cookie, Accept-Language"
    return response
