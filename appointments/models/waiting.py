"""Who wants to come earlier, what has become free, and what was offered to whom.

::

    FreedSlot   OPEN ──> TAKEN                     SlotOffer   OPEN ──> ACCEPTED
                  └────> CLOSED (too late, gone)                 ├────> DECLINED
                                                                 ├────> EXPIRED  (the hold is over)
                                                                 └────> LOST     (somebody was faster)
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.tenancy import TenantModel


class WaitlistEntry(TenantModel):
    """One wish for an earlier visit. Written by ``appointments/waiting.py`` only."""

    class State(models.TextChoices):
        WAITING = "WAITING", _("Waiting")
        PLACED = "PLACED", _("Has a visit")
        ENDED = "ENDED", _("Taken off the list")

    patient = models.ForeignKey("core.Patient", on_delete=models.PROTECT, related_name="waitlist_entries")
    department = models.ForeignKey("core.Department", on_delete=models.PROTECT, related_name="+")
    # Empty: any provider of the department, any location.
    provider = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    location = models.ForeignKey("core.Location", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    # The visit that is there already: it stays until an earlier one is accepted, which takes its place.
    appointment = models.ForeignKey(
        "appointments.Appointment", on_delete=models.PROTECT, null=True, blank=True, related_name="waitlist_entries"
    )
    first_day = models.DateField(_("not before"))
    last_day = models.DateField(_("not after"))
    # The hours that suit; both or neither.
    time_from = models.TimeField(_("from"), null=True, blank=True)
    time_until = models.TimeField(_("until"), null=True, blank=True)
    # So long the patient needs from the offer to the visit.
    notice_minutes = models.PositiveIntegerField(_("needs so much notice"), default=120)
    length_minutes = models.PositiveSmallIntegerField(_("length"), default=30)
    state = models.CharField(max_length=7, choices=State.choices, default=State.WAITING)
    created_by = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("entry of the waiting list")
        verbose_name_plural = _("waiting list")
        ordering = ["created_at", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(last_day__gte=models.F("first_day")), name="waitlist_days_in_order"
            ),
            models.CheckConstraint(
                condition=models.Q(time_from=None, time_until=None)
                | models.Q(time_from__isnull=False, time_until__gt=models.F("time_from")),
                name="waitlist_hours_in_order",
            ),
        ]
        indexes = [
            # used by the list and by every time that becomes free
            models.Index(
                fields=["department", "created_at"], condition=models.Q(state="WAITING"), name="waitlist_waiting"
            )
        ]


class FreedSlot(TenantModel):
    """A time that has become free and is offered to who waits. One row a visit and version that left it."""

    class State(models.TextChoices):
        OPEN = "OPEN", _("On offer")
        TAKEN = "TAKEN", _("Taken")
        CLOSED = "CLOSED", _("No longer on offer")

    appointment = models.ForeignKey("appointments.Appointment", on_delete=models.CASCADE, related_name="+")
    version = models.PositiveIntegerField()
    provider = models.ForeignKey("core.User", on_delete=models.PROTECT, related_name="+")
    location = models.ForeignKey("core.Location", on_delete=models.PROTECT, related_name="+")
    department = models.ForeignKey("core.Department", on_delete=models.PROTECT, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    state = models.CharField(max_length=6, choices=State.choices, default=State.OPEN)
    # When to look next: a hold ends, the night is over, somebody new may fit.
    due_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["starts_at", "pk"]
        constraints = [models.UniqueConstraint(fields=["appointment", "version"], name="freed_slot_once")]
        indexes = [
            # used by the sweep
            models.Index(fields=["due_at"], condition=models.Q(state="OPEN"), name="freed_slot_due")
        ]


class SlotOffer(TenantModel):
    """A time held for one person until a moment. The code opens the page on which they answer."""

    class State(models.TextChoices):
        OPEN = "OPEN", _("Waiting for an answer")
        ACCEPTED = "ACCEPTED", _("Accepted")
        DECLINED = "DECLINED", _("Declined")
        EXPIRED = "EXPIRED", _("No answer in time")
        LOST = "LOST", _("Somebody else was faster")

    slot = models.ForeignKey(FreedSlot, on_delete=models.CASCADE, related_name="offers")
    entry = models.ForeignKey(WaitlistEntry, on_delete=models.CASCADE, related_name="offers")
    # Whose phone rings: caps count people, not entries (``core.contacts.Contact.person_key``).
    person_key = models.CharField(max_length=60)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    hold_until = models.DateTimeField()
    code = models.CharField(max_length=24, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    answered_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["created_at", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["slot", "entry"], name="slot_offered_once"),
        ]
        indexes = [
            # used by the caps: what was this person offered lately
            models.Index(fields=["person_key", "created_at"], name="slot_offer_by_person"),
            # used by the sweep
            models.Index(fields=["hold_until"], condition=models.Q(state="OPEN"), name="slot_offer_open"),
        ]
