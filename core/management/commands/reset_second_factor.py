"""Turns the second step of one account off, for somebody who lost phone and recovery codes and has no admin to ask."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core import second_factor
from core.errors import DomainError
from core.models import User


class Command(BaseCommand):
    help = "Turns the second step of one account off and ends its sessions. Make sure first that it is the person who asks."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.accounts.filter(email__iexact=options["email"]).first()
        if user is None:
            raise CommandError("No account has this email.")
        try:
            second_factor.reset_by_operator(user=user)
        except DomainError as refused:
            raise CommandError(str(refused)) from refused
        self.stdout.write("The second step is off, and all sessions of the account have ended.")
