"""The WSGI door for the web server. The bell's idle poll is answered at the door; all else goes on to Django."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application

from agdar.heap import keep_loaded

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agdar.settings")


class Door:
    """The most frequent request of the house costs one statement and nothing else (docs/adr/0014-poll-in-front.md)."""

    def __init__(self, django: WSGIHandler) -> None:
        # Needs the apps that ``get_wsgi_application`` has loaded.
        from django.db import close_old_connections

        from notifications import poll

        self.django = django
        self.poll = poll
        self.close_old_connections = close_old_connections

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != self.poll.PATH:
            return self.django(environ, start_response)
        # What Django does around each of its requests: a connection that is broken or too old is not used again.
        self.close_old_connections()
        try:
            status = self.poll.answer(environ)
        finally:
            self.close_old_connections()
        if status is None:
            return self.django({**environ, self.poll.ASKED: True}, start_response)
        start_response(f"{status.value} {status.phrase}", list(self.poll.HEADERS[status].items()))
        return []


application = Door(get_wsgi_application())
keep_loaded()
