"""A patient is of one clinic group only. Told so, PostgreSQL finds the newest messages of those who are searched for in
the list's index; unaware of it, it takes one in twenty of theirs to be the group's own and reads them all.
"""

from __future__ import annotations

from django.db import migrations


def _execute(*statements):
    def run(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            for statement in statements:
                schema_editor.execute(statement)

    return run


class Migration(migrations.Migration):
    dependencies = [("notifications", "0019_words_for_entries_taken_back")]
    operations = [
        migrations.RunPython(
            _execute(
                "CREATE STATISTICS message_of_patient (dependencies)"
                " ON tenant_id, patient_id FROM notifications_message",
                # Statistics are empty until then, and the table's own turn comes after a tenth of it has changed.
                "ANALYZE notifications_message",
            ),
            _execute("DROP STATISTICS message_of_patient"),
        )
    ]
