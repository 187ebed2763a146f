"""A therapy that comes every week: its visits belong together, each keeps its own life."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.tenancy import TenantModel


class Series(TenantModel):
    """Visits at one wall clock time every week. Written by ``appointments/series.py`` only.

    ``version`` grows when the whole is changed; a visit that moves alone changes only itself. The calendar's rule is
    (``first_starts_at``, weekly, ``count`` times); ``Appointment.series_start`` names the occurrence in it.
    """

    patient = models.ForeignKey("core.Patient", on_delete=models.PROTECT, related_name="series")
    provider = models.ForeignKey("core.User", on_delete=models.PROTECT, related_name="+")
    location = models.ForeignKey("core.Location", on_delete=models.PROTECT, related_name="+")
    department = models.ForeignKey("core.Department", on_delete=models.PROTECT, related_name="+")
    first_starts_at = models.DateTimeField(_("first visit"))
    duration = models.DurationField(_("length"))
    count = models.PositiveSmallIntegerField(_("visits"))
    version = models.PositiveIntegerField(default=1)
    # The code of the patient's page with all dates.
    code = models.CharField(max_length=24, unique=True)
    # The form's own key: the same form sent twice is one series.
    booking_key = models.UUIDField(null=True, blank=True, editable=False)
    booked_by = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("series of visits")
        verbose_name_plural = _("series of visits")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "booking_key"], name="series_booking_key_once"),
            models.CheckConstraint(condition=models.Q(count__gte=2), name="series_has_several_visits"),
        ]
