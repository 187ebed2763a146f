"""Of each guardianship the last day whose end was followed."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0010_requests_of_each_asker")]
    operations = [
        migrations.AddField("guardianship", "shut_out_after", models.DateField(editable=False, null=True)),
    ]
