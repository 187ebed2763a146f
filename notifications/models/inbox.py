"""The bell's notifications and its counter. Written by ``notifications/inbox.py`` only."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.models.tenant import in_language
from core.tenancy import TenantModel
from notifications.models.event import NotificationEvent
from notifications.states import Category, Level

# What the badge counts, in one place: unread, neither put away nor put off.
COUNTED = models.Q(is_read=False, archived_at=None, snoozed_until=None)


class Notification(TenantModel):
    """One line in one user's bell, in both languages; ``title`` and ``message`` are the English text.

    Many of a kind on one object fold into one row while it is unread: ``open_group`` is the group's key as long as
    more may join (the database allows one open group of a key), ``group_count`` how many have, ``items`` each of them.
    """

    # The unique keys and the lists begin with the user; an index of the tenant alone would only be written.
    tenant = models.ForeignKey(
        "core.Tenant", on_delete=models.PROTECT, related_name="+", editable=False, db_index=False
    )
    user = models.ForeignKey("core.User", on_delete=models.CASCADE, related_name="notifications", db_index=False)
    event = models.ForeignKey(
        NotificationEvent, on_delete=models.SET_NULL, null=True, related_name="notifications", db_index=False
    )
    event_key = models.CharField(max_length=60, blank=True)
    category = models.CharField(_("category"), max_length=12, choices=Category.choices, default=Category.GENERAL)
    title = models.CharField(_("title"), max_length=200)
    title_ar = models.CharField(_("title in Arabic"), max_length=200, blank=True)
    message = models.TextField(_("text"), blank=True)
    message_ar = models.TextField(_("text in Arabic"), blank=True)
    notification_type = models.CharField(_("type"), max_length=7, choices=Level.choices, default=Level.INFO)
    is_read = models.BooleanField(_("read"), default=False)
    read_at = models.DateTimeField(null=True)
    # Somebody must acknowledge it, or it goes further (``notifications/escalation.py``).
    is_critical = models.BooleanField(_("critical"), default=False)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(
        "core.User", on_delete=models.SET_NULL, null=True, related_name="+", db_index=False
    )
    # What it tells of is over: the incident has ended.
    resolved_at = models.DateTimeField(null=True)
    archived_at = models.DateTimeField(null=True)
    # Off the list until then; the sweeper brings it back, however late it runs.
    snoozed_until = models.DateTimeField(null=True)
    # The reader switched this kind off: kept for the history, never counted.
    is_muted = models.BooleanField(default=False)
    # Came in the reader's quiet time: counted, but neither shown in the corner nor heard.
    is_silent = models.BooleanField(default=False)
    # Why a critical one came through all the same: "muted" or "quiet".
    override = models.CharField(max_length=5, blank=True)
    # On whose behalf the reader is told: the colleague who is away, or did not answer.
    instead_of = models.ForeignKey("core.User", on_delete=models.SET_NULL, null=True, related_name="+", db_index=False)
    related_object_type = models.CharField(max_length=60, null=True, blank=True)  # the contract's shape: null
    related_object_id = models.UUIDField(null=True, blank=True)
    dedupe_key = models.CharField(max_length=200)
    open_group = models.CharField(max_length=200, null=True)  # null: nothing may join, and unique allows many of those
    group_ends_at = models.DateTimeField(null=True)
    group_count = models.PositiveIntegerField(default=1)
    # The latest of the group, at most three: [{"title", "title_ar", "at"}]. Saves the list a query.
    sample = models.JSONField(default=list)
    # The reader's last own act on the row: what "undo" finds again.
    last_action = models.UUIDField(null=True)
    # When it last had something new to say: the order of the list.
    activity_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        ordering = ["-activity_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["user", "dedupe_key"], name="notification_once"),
            models.UniqueConstraint(
                fields=["user", "open_group"],
                condition=models.Q(open_group__isnull=False),
                name="notification_group_open_once",
            ),
        ]
        indexes = [
            # used by every list: keyset pages
            models.Index(fields=["user", "-activity_at", "-id"], name="notification_by_activity"),
            # used by "unread" and by marking all read
            models.Index(fields=["user", "-activity_at"], condition=COUNTED, name="notification_counted"),
            # used by the acts that concern everybody who was told: acknowledge, resolve, withdraw
            models.Index(fields=["event"], condition=models.Q(event__isnull=False), name="notification_by_event"),
            models.Index(
                fields=["related_object_id"],
                condition=models.Q(related_object_id__isnull=False),
                name="notification_by_object",
            ),
            # used by the sweeper
            models.Index(
                fields=["snoozed_until"], condition=models.Q(snoozed_until__isnull=False), name="notification_snoozed"
            ),
            # used by the page of what is put off
            models.Index(
                fields=["user", "-activity_at", "-id"],
                condition=models.Q(snoozed_until__isnull=False),
                name="notification_put_off",
            ),
            # used by housekeeping
            models.Index(fields=["tenant", "category", "activity_at"], name="notification_by_age"),
        ]

    @property
    def display_title(self) -> str:
        return in_language(self.title, self.title_ar)

    @property
    def display_message(self) -> str:
        return in_language(self.message, self.message_ar)

    @property
    def needs_acknowledgement(self) -> bool:
        return self.is_critical and self.acknowledged_at is None and self.resolved_at is None


class NotificationItem(TenantModel):
    """One of those that folded into a row, with its own words. Unique by the key of what it tells, so counted once."""

    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, related_name="items")
    user = models.ForeignKey("core.User", on_delete=models.CASCADE, related_name="+", db_index=False)
    event = models.ForeignKey(NotificationEvent, on_delete=models.SET_NULL, null=True, related_name="+")
    title = models.CharField(max_length=200)
    title_ar = models.CharField(max_length=200, blank=True)
    message = models.TextField(blank=True)
    message_ar = models.TextField(blank=True)
    dedupe_key = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["user", "dedupe_key"], name="notification_item_once")]

    @property
    def display_title(self) -> str:
        return in_language(self.title, self.title_ar)

    @property
    def display_message(self) -> str:
        return in_language(self.message, self.message_ar)


class BellState(TenantModel):
    """The bell's one row a user: the unread count, and a version that grows with every change.

    A poll compares the version and is done; the list is not touched. ``unread`` counts the user's rows that are
    ``COUNTED``.
    """

    # Nobody asks for a tenant's counters.
    tenant = models.ForeignKey(
        "core.Tenant", on_delete=models.PROTECT, related_name="+", editable=False, db_index=False
    )
    user = models.OneToOneField("core.User", on_delete=models.CASCADE, related_name="bell")
    unread = models.PositiveIntegerField(default=0)
    version = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.unread} unread"
