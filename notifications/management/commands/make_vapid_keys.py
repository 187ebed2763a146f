"""``manage.py make_vapid_keys``: a new key by which push services know us, as lines for ``.env``."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand

from notifications import push_keys


class Command(BaseCommand):
    help = "Prints a new key for browser push, as lines for .env. A new key ends all subscriptions."
    requires_system_checks = ()  # it is run to mend what they complain of

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--subject",
            default="mailto:operations@example.com",
            help="whom push services write to when something is wrong: mailto:… or https://…",
        )

    def handle(self, *args: Any, subject: str, **options: Any) -> None:
        self.stdout.write(f"VAPID_PRIVATE_KEY={push_keys.new_private_key()}\nVAPID_SUBJECT={subject}")
