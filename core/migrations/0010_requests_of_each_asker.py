"""One open request of a kind from each who may ask, no more one a patient."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0009_patient_tags")]
    operations = [
        migrations.RemoveConstraint("rightsrequest", "rights_open_once"),
        migrations.AddConstraint(
            "rightsrequest",
            models.UniqueConstraint(
                condition=models.Q(("state__in", ["OPEN", "RUNNING"])),
                fields=("patient", "kind", "asked_by"),
                name="rights_open_once",
            ),
        ),
    ]
