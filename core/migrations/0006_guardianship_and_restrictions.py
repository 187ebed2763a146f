"""Guardianships in force, restrictions, how names and digits are wished."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

KINDS = [
    ("MOTHER", "Mother"),
    ("FATHER", "Father"),
    ("COURT", "Guardian appointed by a court"),
    ("PROXY", "Holder of a power of attorney"),
    ("OTHER", "Other legal guardian"),
]


def numerals() -> models.CharField:
    return models.CharField(
        choices=[("latn", "1 2 3"), ("arab", "١ ٢ ٣")], default="latn", max_length=4, verbose_name="digits"
    )


def hijri() -> models.BooleanField:
    return models.BooleanField(default=False, verbose_name="Hijri date beside the Gregorian")


class Migration(migrations.Migration):
    dependencies = [("core", "0005_tenant_settings")]
    operations = [
        migrations.AddField(
            "guardian",
            "gender",
            models.CharField(
                blank=True, choices=[("F", "Female"), ("M", "Male")], default="", max_length=1, verbose_name="gender"
            ),
            preserve_default=False,
        ),
        migrations.AddField("guardian", "numerals", numerals()),
        migrations.AddField("guardian", "show_hijri", hijri()),
        migrations.AddField("patient", "numerals", numerals()),
        migrations.AddField("patient", "show_hijri", hijri()),
        migrations.AddField("patient", "is_restricted", models.BooleanField(default=False, verbose_name="restricted")),
        migrations.AddField(
            "patient",
            "restriction_reason",
            models.CharField(blank=True, default="", max_length=200, verbose_name="why it is restricted"),
            preserve_default=False,
        ),
        migrations.AlterField(
            "guardianship", "kind", models.CharField(choices=KINDS, max_length=8, verbose_name="relation")
        ),
        migrations.AddField(
            "guardianship",
            "not_for",
            models.JSONField(blank=True, default=list, verbose_name="does not get"),
        ),
        migrations.AddField(
            "guardianship",
            "valid_from",
            models.DateField(blank=True, null=True, verbose_name="in force from"),
        ),
        migrations.AddField(
            "guardianship",
            "valid_until",
            models.DateField(blank=True, null=True, verbose_name="in force until"),
        ),
        migrations.AddField(
            "guardianship",
            "verified_by",
            models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="verified by",
            ),
        ),
        migrations.AddField(
            "guardianship",
            "evidence",
            models.CharField(blank=True, default="", max_length=200, verbose_name="evidence"),
            preserve_default=False,
        ),
        migrations.AddField(
            "guardianship",
            "blocked_reason",
            models.CharField(blank=True, default="", max_length=200, verbose_name="why blocked"),
            preserve_default=False,
        ),
    ]
