"""Reminders as rows with a due time, the clinic's rules for them, and what was told of several visits at once."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from appointments.models.visits import Appointment
from core.tenancy import TenantModel


class Reminder(TenantModel):
    """A reminder as a row with a due time, planned in the appointment's transaction."""

    class Kind(models.TextChoices):
        EARLY = "3D", _("3 days before")
        DAY_BEFORE = "24H", _("24 hours before")
        TWO_HOURS = "2H", _("2 hours before")

    class Status(models.TextChoices):
        PLANNED = "PLANNED", _("Planned")
        SENT = "SENT", _("Handed to messaging")
        CANCELLED = "CANCELLED", _("Cancelled")
        EXPIRED = "EXPIRED", _("Too late to be useful")

    appointment = models.ForeignKey(Appointment, on_delete=models.CASCADE, related_name="reminders")
    version = models.PositiveIntegerField()
    kind = models.CharField(max_length=3, choices=Kind.choices)
    # May be later than it was planned: a try that failed, a quiet time, too many to one phone at once.
    due_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.PLANNED)
    # Why it was cancelled or not sent, from notifications.states.Reason.
    reason = models.CharField(max_length=30, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["due_at"]
        constraints = [
            models.UniqueConstraint(fields=["appointment", "version", "kind"], name="reminder_once_per_version")
        ]
        indexes = [
            # used by the sweep of due reminders
            models.Index(fields=["due_at"], condition=models.Q(status="PLANNED"), name="reminder_due")
        ]


class ReminderRule(TenantModel):
    """What a clinic group decides about one kind of reminder, for all or for one department.

    Written by ``appointments/reminders/rules.py`` only. What there is no row for has the defaults there; a department's
    row stands instead of the clinic group's.
    """

    department = models.ForeignKey("core.Department", on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    kind = models.CharField(max_length=3, choices=Reminder.Kind.choices)
    is_on = models.BooleanField(_("sent"), default=True)
    # How long before the start. Whole days are days of the calendar, anything else is elapsed time.
    offset_minutes = models.PositiveIntegerField(_("minutes before the start"))
    # Moved out of a quiet time it comes no later than so long before the start.
    lead_minutes = models.PositiveIntegerField(_("least lead in minutes"))
    # Closer to the start than this it would only startle.
    until_minutes = models.PositiveIntegerField(_("useless within minutes of the start"))
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("rule for reminders")
        verbose_name_plural = _("rules for reminders")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "kind"], condition=models.Q(department=None), name="reminder_rule_once"
            ),
            models.UniqueConstraint(
                fields=["department", "kind"],
                condition=models.Q(department__isnull=False),
                name="reminder_rule_once_per_department",
            ),
        ]


class ReminderTiming(TenantModel):
    """One row a tenant: how long news rests, what counts as just said, how many at once. A tenant without has the defaults.

    Written by ``appointments/reminders/rules.py`` only.
    """

    # A visit that is booked or moved by the clinic is told after so long; a correction meanwhile is the news.
    undo_minutes = models.PositiveSmallIntegerField(_("minutes before a booking is told"), default=3)
    # No reminder of what was told so shortly before.
    recent_hours = models.PositiveSmallIntegerField(_("hours without a reminder after other news"), default=2)
    # After a standstill: so many reminders to one phone or address in one go, the others a little later.
    at_once_per_address = models.PositiveSmallIntegerField(_("reminders to one phone at once"), default=2)
    # Rules, quiet hours or clocks have changed: the visits after this one are still to be planned anew.
    replan_after = models.UUIDField(null=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("timing of reminders")
        verbose_name_plural = _("timing of reminders")
        constraints = [models.UniqueConstraint(fields=["tenant"], name="reminder_timing_once")]
        indexes = [
            # used by the sweep that plans anew
            models.Index(
                fields=["tenant"], condition=models.Q(replan_after__isnull=False), name="reminder_timing_replan"
            )
        ]


class FamilyNews(TenantModel):
    """Several visits told in one message, because they are read on one phone. The object of the message's event."""

    class Kind(models.TextChoices):
        BOOKED = "BOOKED", _("Appointment booked")
        EARLY = "3D", _("3 days before")
        DAY_BEFORE = "24H", _("24 hours before")
        TWO_HOURS = "2H", _("2 hours before")

    kind = models.CharField(max_length=6, choices=Kind.choices)
    created_at = models.DateTimeField(auto_now_add=True)
    # It has left, or what was still true of it was told again by visit.
    settled_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            # used by the sweep that looks what became of it
            models.Index(fields=["created_at"], condition=models.Q(settled_at=None), name="family_news_open")
        ]


class FamilyVisit(TenantModel):
    """One visit in it, as it was told."""

    news = models.ForeignKey(FamilyNews, on_delete=models.CASCADE, related_name="visits")
    appointment = models.ForeignKey(Appointment, on_delete=models.CASCADE, related_name="family_news")
    version = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["news", "appointment"], name="family_visit_once")]
