"""``manage.py seed_demo``: the demo clinics and their accounts, and a calendar that is never empty."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.management.demo_data.clinics import CLINICS
from core.management.demo_data.demo import build_clinic
from core.management.demo_data.refresh import refresh_clinic
from core.models import Tenant


class Command(BaseCommand):
    help = (
        "Creates the two demo clinic groups with their accounts, patients, appointments and message history. "
        "Run again, it changes nothing while the calendar is fresh. On a later day it ends the visits whose time has "
        "passed (completed or no-show, nobody is told), and when one of the next three working days is nearly empty "
        "it fills the nearly empty days, from a month ago until two weeks ahead. "
        "Works only with the sandbox, because the patients' numbers are made up and might be somebody's."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--fresh-dates",
            action="store_true",
            help="fill nearly empty days also when enough visits lie ahead",
        )

    def handle(self, *args: Any, fresh_dates: bool, **options: Any) -> None:
        if not settings.SANDBOX_ENABLED:
            raise CommandError(
                "The demo data is only for the sandbox (DEBUG on, SMS_PROVIDER and WHATSAPP_PROVIDER “sandbox”): "
                "its phone numbers are made up, and its passwords are known to everybody."
            )
        for plan in CLINICS:
            began = time.perf_counter()
            if not Tenant.objects.filter(slug=plan.slug).exists():
                made = build_clinic(plan)
                done = f"created, {made.appointments} appointments, {made.messages} messages"
            else:
                freshened = refresh_clinic(plan, fill=fresh_dates)
                if not (freshened.ended or freshened.added.appointments):
                    done = "is there, nothing to do"
                else:
                    done = (
                        f"brought up to today, {freshened.ended} visits ended, "
                        f"{freshened.added.appointments} appointments and {freshened.added.messages} messages added"
                    )
            self.stdout.write(f"{plan.name.en}: {done} ({time.perf_counter() - began:.1f} s)")
