"""Numbers of messages by day."""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notifications", "0011_message_lists_exports")]

    operations = [
        migrations.CreateModel(
            name='RollupState',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('zone', models.CharField(max_length=64)),
                ('closed_through', models.DateField(null=True)),
                ('checked_at', models.DateTimeField(null=True)),
                ('tenant', models.OneToOneField(editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='core.tenant')),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='DailyCount',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('dimension', models.CharField(max_length=10)),
                ('key', models.CharField(blank=True, max_length=80)),
                ('channel', models.CharField(blank=True, max_length=8)),
                ('currency', models.CharField(blank=True, max_length=3)),
                ('bucket', models.PositiveIntegerField(default=0)),
                ('messages', models.PositiveIntegerField(default=0)),
                ('sent', models.PositiveIntegerField(default=0)),
                ('delivered', models.PositiveIntegerField(default=0)),
                ('read', models.PositiveIntegerField(default=0)),
                ('clicked', models.PositiveIntegerField(default=0)),
                ('failed', models.PositiveIntegerField(default=0)),
                ('segments', models.PositiveIntegerField(default=0)),
                ('cost', models.DecimalField(decimal_places=5, default=0, max_digits=16)),
                ('tenant', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('tenant', 'dimension', 'day', 'key', 'channel', 'currency', 'bucket'), name='daily_count_once')],
            },
        ),
        migrations.CreateModel(
            name='RollupMark',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('hour', models.DateTimeField()),
                ('tenant', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='core.tenant')),
            ],
            options={
                'indexes': [models.Index(fields=['tenant', 'hour'], name='rollup_mark_by_hour')],
            },
        ),
        migrations.AddIndex(
            model_name='escalation',
            index=models.Index(fields=['tenant', 'created_at'], name='escalation_by_day'),
        ),
    ]
