"""Events that wait a while before they are told."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notifications", "0016_conversations")]
    operations = [
        migrations.AddField("notificationevent", "due_at", models.DateTimeField(null=True)),
        migrations.AddField("notificationevent", "audiences", models.JSONField(default=list)),
        migrations.AddField("notificationevent", "dropped_because", models.CharField(blank=True, max_length=30)),
        migrations.AddIndex(
            "notificationevent",
            models.Index(
                fields=["object_id", "due_at"],
                condition=models.Q(("due_at__isnull", False), ("processed_at", None)),
                name="event_waiting",
            ),
        ),
    ]
