"""The lean tables as Django sees them (``tables.py`` makes them)."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone


class Message(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    recipient = models.TextField()
    body = models.TextField()
    status = models.TextField()
    provider_message_id = models.TextField(default="")
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "lean_message"

    def __str__(self) -> str:
        return str(self.pk)


class Log(models.Model):
    id = models.BigAutoField(primary_key=True)
    message = models.ForeignKey(Message, on_delete=models.DO_NOTHING)
    event = models.TextField()
    response = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        managed = False
        db_table = "lean_log"

    def __str__(self) -> str:
        return self.event
