"""``manage.py sandbox``: a provider that behaves like a real one, and a mail server, on this machine only."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from integrations.sandbox.server import SandboxServer
from integrations.sandbox.smtp import mail_server
from integrations.sandbox.store import Store
from integrations.sandbox.twilio_api import Delays


class Command(BaseCommand):
    help = "Runs the sandbox provider and its mail server until Ctrl-C."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        port = urlsplit(settings.SANDBOX_URL).port or 8025
        smtp_port = urlsplit(settings.EMAIL_URL).port or 8026
        parser.add_argument("--port", type=int, default=port, help=f"HTTP, default {port} (SANDBOX_URL)")
        parser.add_argument("--smtp-port", type=int, default=smtp_port, help=f"SMTP, default {smtp_port} (EMAIL_URL)")
        parser.add_argument("--database", default=str(settings.VAR_DIR / "sandbox.sqlite3"), help="its database file")
        parser.add_argument("--pace", type=float, default=1.0, help="factor on all delays; 0 calls back at once")

    def handle(self, *args: Any, **options: Any) -> None:
        store = Store(options["database"])
        try:
            server = SandboxServer(
                store,
                port=options["port"],
                inbound_url=f"{settings.PUBLIC_BASE_URL}/webhooks/twilio/inbound/",
                delays=Delays().times(options["pace"]),
            )
            mails = mail_server(store, port=options["smtp_port"])
            mails.start()
        except OSError as error:
            raise CommandError(f"The sandbox cannot listen: {error.strerror or error}.") from error
        self.stdout.write(f"Sandbox at {server.url}, mail server at 127.0.0.1:{options['smtp_port']}.")
        for number in (signal.SIGINT, signal.SIGTERM):
            # shutdown() waits for the loop that runs in this very thread, so it needs another one.
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        try:
            server.run()
        finally:
            mails.stop()
            store.close()
