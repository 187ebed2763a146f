"""What a clinic group decides for itself beyond its name: hours of rest, Ramadan, and how long what is kept.

Read by ``core.tenant_settings.of``; written by ``core/tenant_settings.py`` only. A tenant without a row has the defaults.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.tenancy import TenantModel

# Long enough for a complaint about a bill of the provider's.
RECEIPT_DAYS = 90


class TenantSettings(TenantModel):
    """One row a tenant. Times are the wall clock of the tenant's locations; days are whole days."""

    # What can wait is put off to the end (``notifications/rest.py``). Both or neither; midnight may lie between them.
    quiet_from = models.TimeField(_("quiet from"), null=True, blank=True)
    quiet_until = models.TimeField(_("quiet until"), null=True, blank=True)
    # The clinic follows the announcement, not a table: the month begins when it is called.
    ramadan_from = models.DateField(_("first day of Ramadan"), null=True, blank=True)
    ramadan_until = models.DateField(_("last day of Ramadan"), null=True, blank=True)
    # By the link in their messages patients take another free time themselves; off: they ask, and the desk decides.
    patients_may_move = models.BooleanField(_("patients move their appointments themselves"), default=False)
    # So long before the visit, and before the time they wish, the desk still has its say.
    move_notice_hours = models.PositiveSmallIntegerField(_("hours of notice for a move"), default=4)
    # How long the words of messages and of patients' replies stay; empty: as long as the message itself.
    message_days = models.PositiveIntegerField(_("words of messages"), null=True, blank=True)
    receipt_days = models.PositiveIntegerField(_("raw reports of the providers"), default=RECEIPT_DAYS)
    export_days = models.PositiveIntegerField(_("exported files"), default=7)
    # Category of a notification → days, where they are others than the house's (``NOTIFICATION_RETENTION``).
    notification_days = models.JSONField(_("notifications"), default=dict, blank=True)
    # Everything older has lost its words already: the nightly work begins there.
    words_erased_until = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("settings of a clinic group")
        verbose_name_plural = _("settings of clinic groups")
        constraints = [
            models.UniqueConstraint(fields=["tenant"], name="tenant_settings_once"),
            models.CheckConstraint(
                condition=models.Q(quiet_from=None, quiet_until=None)
                | models.Q(quiet_from__isnull=False, quiet_until__isnull=False),
                name="quiet_has_two_ends",
            ),
            models.CheckConstraint(
                condition=models.Q(ramadan_from=None, ramadan_until=None)
                | models.Q(ramadan_until__gte=models.F("ramadan_from")),
                name="ramadan_has_a_length",
            ),
        ]
