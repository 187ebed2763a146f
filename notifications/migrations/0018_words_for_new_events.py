"""The words of the events that are new: series, waiting lists, absences, families, bills, the patient's own view.

Clinic groups that are there get what a new one would start with; what they have written themselves stays as it is.
"""

from __future__ import annotations

import itertools

from django.db import migrations

_WORDS = ("subject_en", "subject_ar", "body_en", "body_ar", "variables")
_BATCH = 500


def add_words(apps, schema_editor):
    # The words are those of the running version: of an event that has gone since, none are added.
    from notifications import default_words

    wanted = default_words.rows()
    templates = apps.get_model("notifications", "MessageTemplate")._base_manager
    versions = apps.get_model("notifications", "TemplateVersion")._base_manager
    for tenant_id in apps.get_model("core", "Tenant")._base_manager.values_list("pk", flat=True):
        there = set(templates.filter(tenant_id=tenant_id).values_list("code", "channel"))
        new = (
            templates.model(tenant_id=tenant_id, **row) for row in wanted if (row["code"], row["channel"]) not in there
        )
        while batch := list(itertools.islice(new, _BATCH)):
            made = templates.bulk_create(batch)
            versions.bulk_create(
                versions.model(
                    tenant_id=tenant_id,
                    template_id=row.pk,
                    number=1,
                    state="PUBLISHED",
                    decided_at=row.created_at,
                    **{name: getattr(row, name) for name in _WORDS},
                )
                for row in made
            )


class Migration(migrations.Migration):
    dependencies = [("notifications", "0017_events_with_a_due_time"), ("core", "0008_rights_and_holds")]
    operations = [migrations.RunPython(add_words, migrations.RunPython.noop, elidable=True)]
