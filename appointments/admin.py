"""The support console's view of the visits: to read, not to move. The verbs are the services', with their checks."""

from __future__ import annotations

from django.contrib import admin

from appointments.models import Appointment, AppointmentEvent, ConfirmationToken, Reminder
from core.admin import ReadOnlyAdmin, ReadOnlyInline


class EventInline(ReadOnlyInline):
    model = AppointmentEvent
    fields = ("created_at", "version", "from_status", "to_status", "actor", "reason")


class ReminderInline(ReadOnlyInline):
    model = Reminder
    fields = ("kind", "version", "due_at", "expires_at", "status", "reason")


class TokenInline(ReadOnlyInline):
    """Without the code: who reads it could confirm in the patient's name."""

    model = ConfirmationToken
    fields = ("version", "created_at", "expires_at", "used_at", "revoked_at")


@admin.register(Appointment)
class AppointmentAdmin(ReadOnlyAdmin):
    list_display = ("number", "tenant", "starts_at", "status", "version", "provider")
    list_filter = ("status", "tenant")
    list_select_related = ("tenant", "provider")
    search_fields = ("number", "patient__mrn")
    date_hierarchy = "starts_at"
    inlines = (EventInline, ReminderInline, TokenInline)
