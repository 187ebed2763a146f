"""The support console for messaging. History can be read and never changed; words and wishes can."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Model
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse

from core import audit, looks
from core.models import Look
from notifications.models import (
    InboundMessage,
    Message,
    MessageLog,
    MessageTemplate,
    Notification,
    NotificationEvent,
    NotificationPreference,
    ProviderReceipt,
)


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that only the program writes."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(MessageTemplate)
class MessageTemplateAdmin(ReadOnlyAdmin):
    """Words change in the clinic's own pages, under the eyes of a second person (``template_versions``)."""

    list_display = ("name", "code", "channel", "notification_type", "version", "is_active", "tenant")
    list_filter = ("channel", "notification_type", "is_active")
    search_fields = ("name", "code")
    list_select_related = ("tenant",)


class MessageLogInline(admin.TabularInline):
    model = MessageLog
    fields = ("position", "event", "status", "error", "provider_response", "actor", "created_at")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    list_display = ("short_id", "patient", "user", "channel", "notification_type", "status", "provider", "created_at")
    list_filter = ("status", "channel", "notification_type", "provider")
    search_fields = ("id", "recipient", "provider_message_id", "patient__mrn")
    list_select_related = ("patient", "user")
    date_hierarchy = "created_at"
    inlines = (MessageLogInline,)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Support reads what was written to a patient, and the clinic sees that it did."""
        message = self.get_object(request, unquote(object_id))
        if message is not None:
            looks.record_look(user=request.user, message=message, page=Look.Page.SUPPORT)
        return super().change_view(request, object_id, *args, **kwargs)


@admin.register(MessageLog)
class MessageLogAdmin(ReadOnlyAdmin):
    list_display = ("message_id", "event", "status", "error", "created_at")
    list_filter = ("event",)
    search_fields = ("message__id",)


@admin.register(ProviderReceipt)
class ProviderReceiptAdmin(ReadOnlyAdmin):
    list_display = ("provider", "status", "provider_message_id", "message_id", "received_at", "applied_at")
    list_filter = ("provider", "status")
    search_fields = ("provider_message_id", "message__id")


@admin.register(NotificationEvent)
class NotificationEventAdmin(ReadOnlyAdmin):
    list_display = ("key", "object_type", "object_id", "attempts", "error", "created_at", "processed_at")
    list_filter = ("key",)
    search_fields = ("object_id", "dedupe_key")


@admin.register(InboundMessage)
class InboundMessageAdmin(ReadOnlyAdmin):
    list_display = ("patient", "channel", "provider", "in_reply_to_id", "created_at")
    list_filter = ("channel", "provider")
    list_select_related = ("patient",)


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    """Only ``notifications.inbox`` writes them, because it keeps the bell's counter."""

    list_display = ("title", "user", "notification_type", "is_read", "created_at")
    list_filter = ("notification_type", "is_read")
    list_select_related = ("user",)


@admin.register(NotificationPreference)
class NotificationPreferenceAdmin(admin.ModelAdmin):
    list_display = ("patient", "preferred_channel", "preferred_language", "updated_at")
    list_filter = ("preferred_channel",)
    search_fields = ("patient__name_en", "patient__name_ar", "patient__mrn")
    list_select_related = ("patient",)
    raw_id_fields = ("patient",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return ("patient",)

    def save_model(self, request: HttpRequest, obj: NotificationPreference, form: ModelForm, change: bool) -> None:  # noqa: FBT001
        super().save_model(request, obj, form, change)
        audit.record(
            tenant_id=obj.tenant_id,
            actor=request.user,
            action="preference.updated",
            obj=obj,
            before={name: form.initial.get(name) for name in form.changed_data},
            after={name: form.cleaned_data[name] for name in form.changed_data},
        )
