"""What the bell asks most, before sessions, users, languages and templates: has anything changed; and the panel once more.

For the tests' client and any server; the poll is answered even before, at ``agdar/wsgi.py``, where that is the door.
"""

from __future__ import annotations

from collections.abc import Callable

from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.utils import translation

from notifications import panels, poll

Next = Callable[[HttpRequest], HttpResponse]


class IdlePollMiddleware:
    """Answers a poll that finds nothing new; all else goes on."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        status = None if poll.ASKED in request.META else poll.answer(request.META)
        if status is None:
            return self.get_response(request)
        response = HttpResponse(status=status, headers=poll.HEADERS[status])
        # There is no body that could be of a type.
        del response["Content-Type"]
        return response


class KeptPanelMiddleware:
    """Hands out the panel that this process has answered before, while the bell is the same. One statement.

    Who may have it is asked anew each time, as for the poll; in doubt the ordinary way answers.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info != panels.PATH or request.method != "GET" or request.headers.get("HX-Request") != "true":
            return self.get_response(request)
        try:
            asker = poll.asker_of(request.META)
        except Error:
            asker = None
        if asker is None or not asker.may_ask:
            return self.get_response(request)
        key = panels.Key.of(asker, translation.get_language_from_request(request))
        known = panels.PANELS.find(key)
        if known is not None:
            return known.response()
        # Drawn after the version was read: what came in between is in it already, and the next version draws it anew.
        response = self.get_response(request)
        if response.status_code == 200 and not response.cookies and request.user.pk == asker.user_id:
            panels.PANELS.keep(key, panels.Panel.of(response))
        return response
