"""Consents, the log of opt-outs, wishes by channel and type.

Awareness was on until somebody said no; now nothing of the kind goes out without a yes. Who had said no has refused, on the
day they said so. A yes to marketing was written down by staff as the patient's word, audited; it is carried over as a
consent whose method says where it comes from. What nobody ever touched is no consent.

Consents and opt-outs are proof and append-only, by triggers as in ``core/migrations/0003``.
"""

from __future__ import annotations

import datetime as dt
import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

TABLES = ("notifications_consentrecord", "notifications_optevent")
BATCH = 1000


def carry_over(apps, schema_editor):
    """Each answer as a record, and as what the row holds of the records."""
    preferences = apps.get_model("notifications", "NotificationPreference")
    records = apps.get_model("notifications", "ConsentRecord")
    answered = preferences.objects.filter(models.Q(awareness_enabled=False) | models.Q(marketing_enabled=True))
    last = None
    while True:
        page = answered.order_by("pk") if last is None else answered.filter(pk__gt=last).order_by("pk")
        rows = list(page[:BATCH])
        if not rows:
            break
        last = rows[-1].pk
        written = []
        for row in rows:
            said = row.updated_at.astimezone(dt.UTC).isoformat(timespec="microseconds")
            for is_answered, purpose, status in (
                (not row.awareness_enabled, "awareness", "refused"),
                (row.marketing_enabled, "promotion", "granted"),
            ):
                if is_answered:
                    row.consents[purpose] = {"": [status, said, None]}
                    written.append(
                        records(
                            id=uuid.uuid4(),
                            tenant_id=row.tenant_id,
                            patient_id=row.patient_id,
                            purpose=purpose,
                            status=status,
                            method="carried",
                            at=row.updated_at,
                        )
                    )
        records.objects.bulk_create(written)
        preferences.objects.bulk_update(rows, ["consents"])
    if schema_editor.connection.vendor == "postgresql":
        # The columns cannot go while the database still owes a check of the rows.
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def carry_back(apps, schema_editor):
    """The columns as they were. What was agreed since by other means stays in the records until their table goes."""
    preferences = apps.get_model("notifications", "NotificationPreference")
    for row in preferences.objects.exclude(consents={}).iterator():
        for name, purpose in (("awareness_enabled", "awareness"), ("marketing_enabled", "promotion")):
            said = row.consents.get(purpose, {}).get("")
            if said is not None:
                setattr(row, name, said[0] == "granted")
        row.save(update_fields=["awareness_enabled", "marketing_enabled"])


def lay_down(apps, schema_editor):
    is_postgres = schema_editor.connection.vendor == "postgresql"
    for table in TABLES:
        name = table.removeprefix("notifications_")
        if is_postgres:
            schema_editor.execute(
                f"CREATE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION agdar_append_only()"
            )
            schema_editor.execute(
                f"CREATE TRIGGER {name}_not_truncated BEFORE TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION agdar_append_only()"
            )
        else:
            for verb, done in (("UPDATE", "changed"), ("DELETE", "deleted")):
                schema_editor.execute(
                    f"CREATE TRIGGER {name}_not_{done} BEFORE {verb} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )


def take_away(apps, schema_editor):
    is_postgres = schema_editor.connection.vendor == "postgresql"
    for table in TABLES:
        name = table.removeprefix("notifications_")
        if is_postgres:
            schema_editor.execute(f"DROP TRIGGER {name}_append_only ON {table}")
            schema_editor.execute(f"DROP TRIGGER {name}_not_truncated ON {table}")
        else:
            schema_editor.execute(f"DROP TRIGGER {name}_not_changed")
            schema_editor.execute(f"DROP TRIGGER {name}_not_deleted")


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0005_tenant_settings"),
        ("notifications", "0014_desk_tasks"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ConsentRecord',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('purpose', models.CharField(choices=[('care_messages', 'Messages about the care'), ('awareness', 'Health awareness'), ('promotion', 'Offers and marketing'), ('whatsapp', 'Messages on WhatsApp')], max_length=13, verbose_name='purpose')),
                ('channel', models.CharField(blank=True, choices=[('SMS', 'SMS'), ('WHATSAPP', 'WhatsApp'), ('EMAIL', 'Email')], max_length=8, verbose_name='channel')),
                ('status', models.CharField(choices=[('granted', 'Agreed'), ('refused', 'Refused'), ('withdrawn', 'Withdrawn'), ('expired', 'Expired'), ('none', 'Never asked')], max_length=9, verbose_name='status')),
                ('method', models.CharField(choices=[('staff', 'Told the staff'), ('paper', 'Signed on paper'), ('page', 'On the page of preferences'), ('one_click', 'Unsubscribed in the mail program'), ('reply', 'Replied to a message'), ('portal', "In the patient's own view"), ('merge', 'Taken over from a merged file'), ('carried', 'Set before consents were recorded')], max_length=9, verbose_name='how')),
                ('text_version', models.CharField(blank=True, max_length=20, verbose_name='version of the words')),
                ('language', models.CharField(blank=True, choices=[('en', 'English'), ('ar', 'Arabic')], max_length=2, verbose_name='language')),
                ('evidence', models.CharField(blank=True, max_length=300, verbose_name='evidence')),
                ('at', models.DateTimeField(verbose_name='said at')),
                ('valid_until', models.DateTimeField(null=True, verbose_name='valid until')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'verbose_name': 'consent',
                'verbose_name_plural': 'consents',
                'ordering': ['-at', '-created_at', '-pk'],
            },
        ),
        migrations.CreateModel(
            name='ConsentText',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('purpose', models.CharField(choices=[('care_messages', 'Messages about the care'), ('awareness', 'Health awareness'), ('promotion', 'Offers and marketing'), ('whatsapp', 'Messages on WhatsApp')], max_length=13, verbose_name='purpose')),
                ('version', models.PositiveIntegerField(verbose_name='version')),
                ('words_en', models.TextField(verbose_name='words in English')),
                ('words_ar', models.TextField(verbose_name='words in Arabic')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='since')),
            ],
            options={
                'verbose_name': 'words of a consent',
                'verbose_name_plural': 'words of consents',
                'ordering': ['purpose', '-version'],
            },
        ),
        migrations.CreateModel(
            name='OptEvent',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('position', models.PositiveIntegerField()),
                ('act', models.CharField(choices=[('STOP', 'Stop'), ('START', 'Start again')], max_length=5, verbose_name='what')),
                ('channel', models.CharField(choices=[('SMS', 'SMS'), ('WHATSAPP', 'WhatsApp'), ('EMAIL', 'Email')], max_length=8, verbose_name='channel')),
                ('sender', models.CharField(blank=True, max_length=254, verbose_name='sender')),
                ('address', models.CharField(max_length=254, verbose_name='address')),
                ('raw', models.TextField(blank=True, verbose_name='as it came')),
                ('source', models.CharField(choices=[('reply', 'Reply to a message'), ('page', 'Page of preferences'), ('one_click', 'Unsubscribed in the mail program'), ('staff', 'Told the staff'), ('provider', 'Reported by the provider')], max_length=9, verbose_name='source')),
                ('at', models.DateTimeField(verbose_name='time')),
                ('seal', models.CharField(max_length=64)),
            ],
            options={
                'verbose_name': 'opt-out',
                'verbose_name_plural': 'opt-outs',
                'ordering': ['position'],
            },
        ),
        migrations.CreateModel(
            name='SendingRule',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('daily_caps', models.JSONField(blank=True, default=dict, verbose_name='at most a day')),
                ('whatsapp_needs_consent', models.BooleanField(default=False, verbose_name='WhatsApp only with consent')),
                ('wakes_within_minutes', models.PositiveIntegerField(default=180, verbose_name='called off shortly before: told in quiet hours')),
            ],
            options={
                'verbose_name': 'rules of sending',
                'verbose_name_plural': 'rules of sending',
            },
        ),
        migrations.RemoveConstraint(
            model_name='suppressedaddress',
            name='suppressed_once',
        ),
        migrations.AddField(
            model_name='notificationpreference',
            name='combine_family',
            field=models.BooleanField(default=True, verbose_name='One message for the family'),
        ),
        migrations.AddField(
            model_name='notificationpreference',
            name='consents',
            field=models.JSONField(blank=True, default=dict, editable=False),
        ),
        migrations.AddField(
            model_name='notificationpreference',
            name='quiet_from',
            field=models.TimeField(blank=True, null=True, verbose_name='quiet from'),
        ),
        migrations.AddField(
            model_name='notificationpreference',
            name='quiet_until',
            field=models.TimeField(blank=True, null=True, verbose_name='quiet until'),
        ),
        migrations.AddField(
            model_name='notificationpreference',
            name='switched_off',
            field=models.JSONField(blank=True, default=list, verbose_name='switched off'),
        ),
        migrations.AddField(
            model_name='suppressedaddress',
            name='sender',
            field=models.CharField(blank=True, max_length=254, verbose_name='sender'),
        ),
        migrations.AddConstraint(
            model_name='notificationpreference',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('quiet_from', None), ('quiet_until', None)), models.Q(('quiet_from__isnull', False), ('quiet_until__isnull', False)), _connector='OR'), name='own_quiet_has_two_ends'),
        ),
        migrations.AddConstraint(
            model_name='suppressedaddress',
            constraint=models.UniqueConstraint(condition=models.Q(('lifted_at__isnull', True)), fields=('tenant', 'channel', 'address', 'sender'), name='suppressed_once'),
        ),
        migrations.AddField(
            model_name='consentrecord',
            name='captured_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='consentrecord',
            name='guardian',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.guardian'),
        ),
        migrations.AddField(
            model_name='consentrecord',
            name='patient',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='consent_records', to='core.patient'),
        ),
        migrations.AddField(
            model_name='consentrecord',
            name='tenant',
            field=models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant'),
        ),
        migrations.AddField(
            model_name='consenttext',
            name='created_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='consenttext',
            name='tenant',
            field=models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant'),
        ),
        migrations.AddField(
            model_name='optevent',
            name='actor',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='optevent',
            name='patient',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='opt_events', to='core.patient'),
        ),
        migrations.AddField(
            model_name='optevent',
            name='tenant',
            field=models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant'),
        ),
        migrations.AddField(
            model_name='sendingrule',
            name='tenant',
            field=models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant'),
        ),
        migrations.AddIndex(
            model_name='consentrecord',
            index=models.Index(fields=['patient', '-at'], name='consent_by_patient'),
        ),
        migrations.AddConstraint(
            model_name='consenttext',
            constraint=models.UniqueConstraint(fields=('tenant', 'purpose', 'version'), name='consent_text_once'),
        ),
        migrations.AddIndex(
            model_name='optevent',
            index=models.Index(fields=['tenant', 'address', '-position'], name='opt_event_by_address'),
        ),
        migrations.AddConstraint(
            model_name='optevent',
            constraint=models.UniqueConstraint(fields=('tenant', 'position'), name='opt_event_in_line'),
        ),
        migrations.AddConstraint(
            model_name='sendingrule',
            constraint=models.UniqueConstraint(fields=('tenant',), name='sending_rule_once'),
        ),
        migrations.RunPython(carry_over, carry_back),
        migrations.RemoveField(
            model_name='notificationpreference',
            name='awareness_enabled',
        ),
        migrations.RemoveField(
            model_name='notificationpreference',
            name='marketing_enabled',
        ),
        migrations.RunPython(lay_down, take_away),
    ]
