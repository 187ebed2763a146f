"""Patients' own sign-in, requests about their data, copies of it, legal holds, and the proof of words that are gone."""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import core.secrets


class Migration(migrations.Migration):
    dependencies = [("core", "0007_discreet_locations")]

    operations = [
        migrations.CreateModel(
            name='ErasedWords',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('digest', models.CharField(max_length=64)),
                ('erased_at', models.DateTimeField()),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
            ],
            options={
                'verbose_name': 'proof of erased words',
                'verbose_name_plural': 'proofs of erased words',
            },
        ),
        migrations.CreateModel(
            name='PortalRequest',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('address', core.secrets.EncryptedTextField(blank=True)),
                ('address_hash', models.CharField(max_length=64)),
                ('ip', models.GenericIPAddressField(null=True)),
                ('tries', models.PositiveSmallIntegerField(default=0)),
                ('created_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('handled_at', models.DateTimeField(null=True)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('used_at', models.DateTimeField(null=True)),
            ],
            options={
                'verbose_name': 'wish for a sign-in code',
                'verbose_name_plural': 'wishes for a sign-in code',
                'indexes': [models.Index(fields=['address_hash', 'created_at'], name='portal_by_address'), models.Index(fields=['ip', 'created_at'], name='portal_by_ip'), models.Index(condition=models.Q(('handled_at', None)), fields=['created_at'], name='portal_waiting')],
            },
        ),
        migrations.CreateModel(
            name='RightsRequest',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('EXPORT', 'A copy of the data'), ('CORRECTION', 'Correction'), ('ERASURE', 'Erasure')], max_length=10, verbose_name='request')),
                ('state', models.CharField(choices=[('OPEN', 'Open'), ('RUNNING', 'Being carried out'), ('DONE', 'Done'), ('REFUSED', 'Refused'), ('WITHDRAWN', 'Withdrawn')], default='OPEN', max_length=9, verbose_name='state')),
                ('details', models.TextField(blank=True, verbose_name='details')),
                ('asked_by', models.CharField(max_length=50)),
                ('due_on', models.DateField(verbose_name='to be answered by')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='asked')),
                ('answered_at', models.DateTimeField(null=True, verbose_name='answered')),
                ('answer', models.TextField(blank=True, verbose_name='answer')),
                ('lease_expires_at', models.DateTimeField(null=True)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('answered_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('patient', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='rights_requests', to='core.patient')),
                ('taken_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
            ],
            options={
                'verbose_name': 'request about data',
                'verbose_name_plural': 'requests about data',
                'ordering': ['due_on', 'created_at'],
            },
        ),
        migrations.CreateModel(
            name='SubjectExport',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('reader', models.CharField(max_length=50)),
                ('language', models.CharField(choices=[('en', 'English'), ('ar', 'Arabic')], max_length=2, verbose_name='language')),
                ('status', models.CharField(choices=[('QUEUED', 'Waiting'), ('RUNNING', 'Being made'), ('READY', 'Ready'), ('FAILED', 'Failed'), ('EXPIRED', 'Deleted')], default='QUEUED', max_length=7, verbose_name='status')),
                ('counts', models.JSONField(default=dict)),
                ('size', models.PositiveBigIntegerField(default=0, verbose_name='size')),
                ('digest', models.CharField(blank=True, max_length=64)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('lease_token', models.UUIDField(null=True)),
                ('lease_expires_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='asked')),
                ('finished_at', models.DateTimeField(null=True)),
                ('expires_at', models.DateTimeField(null=True)),
                ('asked_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('patient', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='exports', to='core.patient')),
                ('request', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='exports', to='core.rightsrequest')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
            ],
            options={
                'verbose_name': "copy of a patient's data",
                'verbose_name_plural': "copies of patients' data",
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='SubjectExportPart',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('position', models.PositiveIntegerField()),
                ('data', models.BinaryField()),
                ('export', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='parts', to='core.subjectexport')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
            ],
            options={
                'ordering': ['position'],
            },
        ),
        migrations.CreateModel(
            name='LegalHold',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('reason', models.CharField(max_length=300, verbose_name='reason')),
                ('until', models.DateField(blank=True, null=True, verbose_name='until')),
                ('placed_at', models.DateTimeField(auto_now_add=True, verbose_name='since')),
                ('lifted_at', models.DateTimeField(null=True, verbose_name='lifted')),
                ('settled_at', models.DateTimeField(null=True)),
                ('lifted_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('patient', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='legal_holds', to='core.patient')),
                ('placed_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
            ],
            options={
                'verbose_name': 'legal hold',
                'verbose_name_plural': 'legal holds',
                'ordering': ['-placed_at'],
                'indexes': [models.Index(condition=models.Q(('settled_at', None)), fields=['tenant', 'patient'], name='hold_unsettled')],
            },
        ),
        migrations.CreateModel(
            name='PortalCode',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('address', models.CharField(max_length=254)),
                ('digest', models.CharField(blank=True, max_length=64)),
                ('sealed', models.BinaryField(default=bytes)),
                ('message_id', models.UUIDField(null=True)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='core.tenant')),
                ('request', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='codes', to='core.portalrequest')),
            ],
            options={
                'verbose_name': 'sign-in code',
                'verbose_name_plural': 'sign-in codes',
                'indexes': [models.Index(condition=models.Q(('message_id__isnull', False)), fields=['message_id'], name='portal_by_message')],
                'constraints': [models.UniqueConstraint(fields=('request', 'tenant'), name='portal_code_once')],
            },
        ),
        migrations.CreateModel(
            name='PortalSession',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('key_hash', models.CharField(max_length=64, unique=True)),
                ('address', models.CharField(max_length=254)),
                ('proven', models.JSONField(default=list)),
                ('wrong_dates', models.PositiveSmallIntegerField(default=0)),
                ('user_agent', models.CharField(blank=True, max_length=200)),
                ('created_at', models.DateTimeField()),
                ('last_seen_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(null=True)),
                ('patient', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='core.patient')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='core.tenant')),
            ],
            options={
                'verbose_name': "patient's session",
                'verbose_name_plural': "patients' sessions",
                'indexes': [models.Index(fields=['tenant', 'address'], name='portal_session_by_address'), models.Index(fields=['last_seen_at'], name='portal_session_by_age')],
            },
        ),
        migrations.AddIndex(
            model_name='rightsrequest',
            index=models.Index(condition=models.Q(('state__in', ['OPEN', 'RUNNING'])), fields=['tenant', 'due_on'], name='rights_open'),
        ),
        migrations.AddConstraint(
            model_name='rightsrequest',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ['OPEN', 'RUNNING'])), fields=('patient', 'kind'), name='rights_open_once'),
        ),
        migrations.AddConstraint(
            model_name='rightsrequest',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'REFUSED'), _negated=True), models.Q(('answer', ''), _negated=True), _connector='OR'), name='rights_refused_with_reason'),
        ),
        migrations.AddIndex(
            model_name='subjectexport',
            index=models.Index(condition=models.Q(('status__in', ['QUEUED', 'RUNNING'])), fields=['created_at'], name='subject_export_unfinished'),
        ),
        migrations.AddConstraint(
            model_name='subjectexportpart',
            constraint=models.UniqueConstraint(fields=('export', 'position'), name='subject_export_part_once'),
        ),
    ]
