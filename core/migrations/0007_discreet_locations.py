"""Locations that must not be named, and whether patients move their visits themselves."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0006_guardianship_and_restrictions")]
    operations = [
        migrations.AddField(
            model_name="location",
            name="is_sensitive",
            field=models.BooleanField(default=False, verbose_name="sensitive"),
        ),
        migrations.AddField(
            model_name="location",
            name="discreet_name_en",
            field=models.CharField(blank=True, max_length=60, verbose_name="discreet name in English"),
        ),
        migrations.AddField(
            model_name="location",
            name="discreet_name_ar",
            field=models.CharField(blank=True, max_length=60, verbose_name="discreet name in Arabic"),
        ),
        migrations.AddField(
            model_name="tenantsettings",
            name="patients_may_move",
            field=models.BooleanField(default=False, verbose_name="patients move their appointments themselves"),
        ),
        migrations.AddField(
            model_name="tenantsettings",
            name="move_notice_hours",
            field=models.PositiveSmallIntegerField(default=4, verbose_name="hours of notice for a move"),
        ),
    ]
