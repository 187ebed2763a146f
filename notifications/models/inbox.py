"""The bell's notifications and its counter."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.models.tenant import in_language
from core.tenancy import TenantModel
from notifications.models.event import NotificationEvent
from notifications.states import Level


class Notification(TenantModel):
    """One line in one user's bell, in both languages; ``title`` and ``message`` are the English text."""

    user = models.ForeignKey("core.User", on_delete=models.CASCADE, related_name="notifications")
    event = models.ForeignKey(NotificationEvent, on_delete=models.SET_NULL, null=True, related_name="notifications")
    event_key = models.CharField(max_length=60, blank=True)
    title = models.CharField(_("title"), max_length=200)
    title_ar = models.CharField(_("title in Arabic"), max_length=200, blank=True)
    message = models.TextField(_("text"), blank=True)
    message_ar = models.TextField(_("text in Arabic"), blank=True)
    notification_type = models.CharField(_("type"), max_length=7, choices=Level.choices, default=Level.INFO)
    is_read = models.BooleanField(_("read"), default=False)
    read_at = models.DateTimeField(null=True)
    related_object_type = models.CharField(max_length=60, null=True, blank=True)  # the contract's shape: null
    related_object_id = models.UUIDField(null=True, blank=True)
    dedupe_key = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        ordering = ["-created_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["user", "dedupe_key"], name="notification_once")]
        indexes = [
            models.Index(fields=["user", "-created_at"], name="notification_latest"),
            models.Index(fields=["user"], condition=models.Q(is_read=False), name="notification_unread"),
        ]

    @property
    def display_title(self) -> str:
        return in_language(self.title, self.title_ar)

    @property
    def display_message(self) -> str:
        return in_language(self.message, self.message_ar)


class BellState(TenantModel):
    """The bell's one row a user: the unread count, and a version that grows with every change.

    A poll compares the version and is done; the list is not touched. Written by ``notifications/inbox.py`` only.
    """

    user = models.OneToOneField("core.User", on_delete=models.CASCADE, related_name="bell")
    unread = models.PositiveIntegerField(default=0)
    version = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.unread} unread"
