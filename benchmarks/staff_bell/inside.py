"""Our application without the door in front: what a poll costs inside Django (``notifications/middleware.py``)."""

from __future__ import annotations

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
