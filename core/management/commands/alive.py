"""``manage.py alive web|worker|beat``: exit code 0 when that kind of process lives. For container health checks."""

from __future__ import annotations

import argparse
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core import health


class Command(BaseCommand):
    help = "Tells whether a kind of process lives: web (this machine's port), worker or beat (their signs of life)."
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("kind", choices=["web", "worker", "beat"])
        parser.add_argument("--port", type=int, default=8000, help="where web listens (8000)")

    def handle(self, *args: Any, kind: str, port: int, **options: Any) -> None:
        answer = {"web": lambda: _web(port), "worker": health.check_worker, "beat": health.check_beat}[kind]()
        if answer != health.OK:
            raise CommandError(f"{kind}: {answer}")
        self.stdout.write(f"{kind}: {answer}")


def _web(port: int) -> str:
    """Asks under our public name: others are refused (ALLOWED_HOSTS)."""
    request = urllib.request.Request(  # this machine's own address
        f"http://127.0.0.1:{port}/healthz", headers={"Host": urlsplit(settings.PUBLIC_BASE_URL).netloc}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5) as response:
            return health.OK if response.status == 200 else f"status {response.status}"
    except OSError as error:
        return type(error).__name__
