"""What a clinic group decides about its visits: how long a no-show rests, how times are offered to who waits."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.tenancy import TenantModel


class VisitPolicy(TenantModel):
    """One row a tenant, written by ``appointments/policy.py`` only. A tenant without a row has the defaults."""

    # Many no-shows are slips at the desk: so long one can be corrected before the patient hears of it.
    no_show_hold_minutes = models.PositiveIntegerField(_("minutes before a no-show is told"), default=120)
    # A person looks at each first.
    no_show_needs_ok = models.BooleanField(_("somebody decides about each"), default=False)
    offer_hold_minutes = models.PositiveIntegerField(_("minutes to answer an offer"), default=30)
    # 1: one after the other in the order of the list; more: to so many at once, the first to accept has it.
    offers_at_once = models.PositiveSmallIntegerField(_("people asked at once"), default=1)
    # A time nearer than this is not offered: nobody could come.
    offer_notice_minutes = models.PositiveIntegerField(_("least notice in minutes"), default=120)
    # One person, however many entries and children they have.
    offers_per_day = models.PositiveSmallIntegerField(_("offers a person and day"), default=2)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("rules for visits")
        verbose_name_plural = _("rules for visits")
        constraints = [models.UniqueConstraint(fields=["tenant"], name="visit_policy_once")]
