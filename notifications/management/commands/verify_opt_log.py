"""``manage.py verify_opt_log``: recomputes the seals of every clinic group's log of opt-outs; 1 when one is broken."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.models import Tenant
from core.tenancy import tenant_scope
from notifications import opt_log


class Command(BaseCommand):
    help = "Checks that no row of the log of opt-outs was changed, taken out or put in."

    def handle(self, *args: Any, **options: Any) -> None:
        broken = []
        for tenant in Tenant.objects.order_by("slug"):
            with tenant_scope(tenant.pk):
                place = opt_log.broken_at(tenant.pk)
            self.stdout.write(f"{tenant.slug}: {'whole' if place is None else f'broken at {place}'}")
            if place is not None:
                broken.append(tenant.slug)
        if broken:
            raise CommandError(f"broken: {', '.join(broken)}")
