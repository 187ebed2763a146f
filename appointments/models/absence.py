"""A provider cannot come: the visits that were called off for it, in one operation."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.tenancy import TenantModel


class ProviderAbsence(TenantModel):
    """A stretch in which a provider sees nobody. Written by ``appointments/absences.py`` only.

    The row stands before the first visit is called off, so that nobody books into the gap; ``finished_at`` stands when
    everybody has been told. ``key`` makes two clicks one operation.
    """

    provider = models.ForeignKey("core.User", on_delete=models.PROTECT, related_name="+")
    # Empty: wherever the provider works.
    location = models.ForeignKey("core.Location", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("to"))
    # For the team. The patients are told no reason.
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    key = models.UUIDField(editable=False)
    created_by = models.ForeignKey("core.User", on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)
    # The provider comes after all: the time can be booked again. What was called off stays so.
    lifted_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("provider's absence")
        verbose_name_plural = _("providers' absences")
        ordering = ["-starts_at"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "key"], name="provider_absence_once"),
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")), name="provider_absence_has_a_length"
            ),
        ]
        indexes = [
            # used by every booking: is the provider there at that time?
            models.Index(
                fields=["provider", "ends_at"], condition=models.Q(lifted_at=None), name="provider_absence_in_force"
            )
        ]


class AbsenceVisit(TenantModel):
    """What became of one visit in an absence: the proof, and what the page lists."""

    class Outcome(models.TextChoices):
        CANCELLED = "CANCELLED", _("Called off")
        KEPT = "KEPT", _("Left as it was")

    absence = models.ForeignKey(ProviderAbsence, on_delete=models.CASCADE, related_name="visits")
    appointment = models.ForeignKey("appointments.Appointment", on_delete=models.CASCADE, related_name="+")
    version = models.PositiveIntegerField()
    outcome = models.CharField(max_length=9, choices=Outcome.choices)
    # Why somebody has to call (``absences.NeedsCall``); empty: a message is enough.
    needs_call = models.CharField(max_length=12, blank=True)
    # Who is told together has one number; 0: there is nobody to be told.
    family = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at", "pk"]
        constraints = [models.UniqueConstraint(fields=["absence", "appointment"], name="absence_visit_once")]
