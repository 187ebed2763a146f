"""Who is at work: absences with their cover, supervisors on duty, and the days on which the house is closed."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.models.tenant import BilingualName
from core.tenancy import TenantModel


class Absence(TenantModel):
    """From–to, a colleague covers: what would ring somebody who is away rings the cover. Written by ``core.duty``."""

    user = models.ForeignKey("core.User", on_delete=models.CASCADE, related_name="absences", verbose_name=_("who"))
    # Empty: whoever is on duty.
    cover = models.ForeignKey(
        "core.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("covered by")
    )
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("to"))
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("absence")
        verbose_name_plural = _("absences")
        ordering = ["starts_at"]
        constraints = [
            models.CheckConstraint(condition=models.Q(ends_at__gt=models.F("starts_at")), name="absence_has_a_length"),
            models.CheckConstraint(
                condition=models.Q(cover=None) | ~models.Q(cover=models.F("user")), name="absence_covered_by_another"
            ),
        ]
        # used by every staff notice: who of these is away now
        indexes = [models.Index(fields=["user", "ends_at"], name="absence_by_user")]


class DutyShift(TenantModel):
    """A supervisor on duty: whom an alert reaches that nobody has acknowledged. Without a location: everywhere."""

    user = models.ForeignKey("core.User", on_delete=models.CASCADE, related_name="+", verbose_name=_("who"))
    location = models.ForeignKey(
        "core.Location", on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("location")
    )
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("to"))
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("supervisor on duty")
        verbose_name_plural = _("supervisors on duty")
        ordering = ["starts_at"]
        constraints = [
            models.CheckConstraint(condition=models.Q(ends_at__gt=models.F("starts_at")), name="shift_has_a_length")
        ]
        indexes = [models.Index(fields=["tenant", "ends_at"], name="shift_by_end")]


class Holiday(TenantModel, BilingualName):
    """Days on which the house, or one location, is closed. Both days are meant."""

    location = models.ForeignKey(
        "core.Location", on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("location")
    )
    first_day = models.DateField(_("first day"))
    last_day = models.DateField(_("last day"))

    class Meta:
        verbose_name = _("holiday")
        verbose_name_plural = _("holidays")
        ordering = ["first_day"]
        constraints = [
            models.CheckConstraint(condition=models.Q(last_day__gte=models.F("first_day")), name="holiday_has_a_length")
        ]
