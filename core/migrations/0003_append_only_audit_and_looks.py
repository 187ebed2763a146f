"""The audit trail cannot be changed, and a log of who looked at whose messages.

The rule stands in the database, so that no code of ours, no shell and no console can rewrite history by accident:
rows of ``core_auditevent`` are never changed, deleted or truncated; rows of ``core_look`` are never changed, and deleted
only when they are older than two years (``core.looks.KEPT``), which is what the clean-up does. There is no switch for
it. What a court orders the owner of the tables does by hand, with the trigger disabled for one transaction
(docs/operations.md); the tests' tear-down does the same (tests/append_only.py).

Both databases report a refusal as an integrity error.
"""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

POSTGRES = """
CREATE FUNCTION agdar_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER auditevent_append_only BEFORE UPDATE OR DELETE ON core_auditevent
    FOR EACH ROW EXECUTE FUNCTION agdar_append_only();
CREATE TRIGGER auditevent_not_truncated BEFORE TRUNCATE ON core_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION agdar_append_only();
CREATE TRIGGER look_append_only BEFORE UPDATE ON core_look
    FOR EACH ROW EXECUTE FUNCTION agdar_append_only();
CREATE TRIGGER look_kept BEFORE DELETE ON core_look
    FOR EACH ROW WHEN (OLD.seen_at > now() - interval '730 days') EXECUTE FUNCTION agdar_append_only();
CREATE TRIGGER look_not_truncated BEFORE TRUNCATE ON core_look
    FOR EACH STATEMENT EXECUTE FUNCTION agdar_append_only();
"""
POSTGRES_BACK = """
DROP TRIGGER look_not_truncated ON core_look;
DROP TRIGGER look_kept ON core_look;
DROP TRIGGER look_append_only ON core_look;
DROP TRIGGER auditevent_not_truncated ON core_auditevent;
DROP TRIGGER auditevent_append_only ON core_auditevent;
DROP FUNCTION agdar_append_only();
"""
SQLITE = (
    "CREATE TRIGGER auditevent_not_changed BEFORE UPDATE ON core_auditevent "
    "BEGIN SELECT RAISE(ABORT, 'core_auditevent is append-only'); END",
    "CREATE TRIGGER auditevent_not_deleted BEFORE DELETE ON core_auditevent "
    "BEGIN SELECT RAISE(ABORT, 'core_auditevent is append-only'); END",
    "CREATE TRIGGER look_append_only BEFORE UPDATE ON core_look "
    "BEGIN SELECT RAISE(ABORT, 'core_look is append-only'); END",
    "CREATE TRIGGER look_kept BEFORE DELETE ON core_look "
    "WHEN OLD.seen_at > strftime('%Y-%m-%d %H:%M:%f', 'now', '-730 days') "
    "BEGIN SELECT RAISE(ABORT, 'core_look is append-only'); END",
)
SQLITE_NAMES = ("auditevent_not_changed", "auditevent_not_deleted", "look_append_only", "look_kept")


def lay_down(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES, params=None)
    else:
        for statement in SQLITE:
            schema_editor.execute(statement, params=None)


def take_away(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES_BACK)
    else:
        for name in SQLITE_NAMES:
            schema_editor.execute(f"DROP TRIGGER {name}")


class Migration(migrations.Migration):
    dependencies = [("core", "0002_duty_sessions")]

    operations = [
        migrations.CreateModel(
            name='Look',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('message', models.UUIDField(null=True, verbose_name='message')),
                ('page', models.CharField(choices=[('message', "The message's page"), ('messages', 'The list of messages of one patient'), ('patient', "The patient's file"), ('appointment', "The visit's page"), ('send', 'The form for writing to the patient'), ('receipts', 'The raw reports of the provider'), ('preview', "A preview with the patient's data"), ('support', 'The support console')], max_length=12, verbose_name='page')),
                ('seen_at', models.DateTimeField(verbose_name='time')),
                ('patient', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='core.patient')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
                ('user', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'look',
                'verbose_name_plural': 'looks',
                'ordering': ['-seen_at', '-pk'],
                'indexes': [
                    models.Index(fields=['tenant', '-seen_at', '-id'], name='look_latest'),
                    models.Index(fields=['tenant', 'patient', '-seen_at', '-id'], name='look_by_patient'),
                    models.Index(fields=['tenant', 'user', '-seen_at', '-id'], name='look_by_user'),
                ],
            },
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['tenant', 'actor', '-created_at'], name='audit_by_actor'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['tenant', 'action', '-created_at'], name='audit_by_action'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['tenant', 'object_id', '-created_at'], name='audit_by_object'),
        ),
        migrations.RunPython(lay_down, take_away),
    ]
