"""Something happened: the rows that the fan-out works through."""

from __future__ import annotations

from django.db import models

from core.tenancy import TenantModel


class NotificationEvent(TenantModel):
    """Something happened. Recorded in the transaction of the act; the fan-out makes messages of it.

    ``payload`` holds ids and what cannot be read again later (the reason given, the old start); ``object_version``
    is the appointment's version, so that a stale event is recognised.
    """

    key = models.CharField(max_length=60)
    object_type = models.CharField(max_length=60, blank=True)
    object_id = models.UUIDField(null=True)
    object_version = models.PositiveIntegerField(default=0)
    actor = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+")
    payload = models.JSONField(default=dict)
    dedupe_key = models.CharField(max_length=160)
    created_at = models.DateTimeField(auto_now_add=True)
    # Not to be told before: a quick correction may come. Empty: at once.
    due_at = models.DateTimeField(null=True)
    # Only these of the key's audiences are told; empty: all. What may wait for one need not wait for the other.
    audiences = models.JSONField(default=list)
    processed_at = models.DateTimeField(null=True)
    # Why nothing was made of it (``Reason``): overtaken while it waited.
    dropped_because = models.CharField(max_length=30, blank=True)
    # A fan-out that failed is tried again by the sweeper; the class of the error tells support why.
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "dedupe_key"], name="event_once")]
        indexes = [
            # used by the sweeper
            models.Index(fields=["created_at"], condition=models.Q(processed_at=None), name="event_unprocessed"),
            # used when what waits about an object is overtaken, and by the sweeper
            models.Index(
                fields=["object_id", "due_at"],
                condition=models.Q(processed_at=None, due_at__isnull=False),
                name="event_waiting",
            ),
        ]
