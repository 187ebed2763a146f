from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class FinanceConfig(AppConfig):
    name = "finance"
    verbose_name = _("Billing")

    def ready(self) -> None:
        from core import arrival
        from finance import enclosures, merging, signals  # noqa: F401  # the handlers connect themselves
        from finance.clearance import check_clearances
        from finance.events import ENTRIES
        from finance.links import invoice_address
        from finance.models import Invoice
        from notifications import links, registry, rollup_sources

        arrival.register_check("financial clearance", check_clearances)
        registry.register(*ENTRIES)
        merging.register()
        enclosures.register()
        links.register_link("finance.invoice", invoice_address)
        from finance import subject_sections

        subject_sections.register()
        rollup_sources.register_department(
            Invoice._meta.label_lower,
            lambda key: Invoice.objects.filter(pk=key).values("appointment__department_id"),
        )
