"""The idle poll, inside Django: passes by sessions, users, languages and templates. For the tests' client and any server
that does not come through ``agdar/wsgi.py``, which has asked already."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from notifications import poll


class IdlePollMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        status = None if poll.ASKED in request.META else poll.answer(request.META)
        if status is None:
            return self.get_response(request)
        response = HttpResponse(status=status, headers=poll.HEADERS[status])
        # There is no body that could be of a type.
        del response["Content-Type"]
        return response
