"""Series, absences of a provider, the waiting list, asking again after a visit that did not take place."""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ('appointments', '0003_reminder_rules'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='appointment',
            name='replaces',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='replaced_by', to='appointments.appointment'),
        ),
        migrations.AddField(
            model_name='appointment',
            name='series_start',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.CreateModel(
            name='FreedSlot',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('version', models.PositiveIntegerField()),
                ('starts_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField()),
                ('state', models.CharField(choices=[('OPEN', 'On offer'), ('TAKEN', 'Taken'), ('CLOSED', 'No longer on offer')], default='OPEN', max_length=6)),
                ('due_at', models.DateTimeField()),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('appointment', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='appointments.appointment')),
                ('department', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.department')),
                ('location', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.location')),
                ('provider', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
            ],
            options={
                'ordering': ['starts_at', 'pk'],
            },
        ),
        migrations.CreateModel(
            name='ProviderAbsence',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('starts_at', models.DateTimeField(verbose_name='from')),
                ('ends_at', models.DateTimeField(verbose_name='to')),
                ('reason', models.CharField(blank=True, max_length=300, verbose_name='reason')),
                ('key', models.UUIDField(editable=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('lifted_at', models.DateTimeField(null=True)),
                ('created_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('location', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.location')),
                ('provider', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
            ],
            options={
                'verbose_name': "provider's absence",
                'verbose_name_plural': "providers' absences",
                'ordering': ['-starts_at'],
            },
        ),
        migrations.CreateModel(
            name='AbsenceVisit',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('version', models.PositiveIntegerField()),
                ('outcome', models.CharField(choices=[('CANCELLED', 'Called off'), ('KEPT', 'Left as it was')], max_length=9)),
                ('needs_call', models.CharField(blank=True, max_length=12)),
                ('family', models.PositiveSmallIntegerField(default=0)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('appointment', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='appointments.appointment')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
                ('absence', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='visits', to='appointments.providerabsence')),
            ],
            options={
                'ordering': ['created_at', 'pk'],
            },
        ),
        migrations.CreateModel(
            name='RebookLink',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('code', models.CharField(max_length=24, unique=True)),
                ('expires_at', models.DateTimeField()),
                ('used_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('appointment', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='rebook_link', to='appointments.appointment')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='Series',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('first_starts_at', models.DateTimeField(verbose_name='first visit')),
                ('duration', models.DurationField(verbose_name='length')),
                ('count', models.PositiveSmallIntegerField(verbose_name='visits')),
                ('version', models.PositiveIntegerField(default=1)),
                ('code', models.CharField(max_length=24, unique=True)),
                ('booking_key', models.UUIDField(blank=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('booked_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('department', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.department')),
                ('location', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.location')),
                ('patient', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='series', to='core.patient')),
                ('provider', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
            ],
            options={
                'verbose_name': 'series of visits',
                'verbose_name_plural': 'series of visits',
                'ordering': ['-created_at'],
            },
        ),
        migrations.AddField(
            model_name='appointment',
            name='series',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='visits', to='appointments.series'),
        ),
        migrations.CreateModel(
            name='VisitPolicy',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('no_show_hold_minutes', models.PositiveIntegerField(default=120, verbose_name='minutes before a no-show is told')),
                ('no_show_needs_ok', models.BooleanField(default=False, verbose_name='somebody decides about each')),
                ('offer_hold_minutes', models.PositiveIntegerField(default=30, verbose_name='minutes to answer an offer')),
                ('offers_at_once', models.PositiveSmallIntegerField(default=1, verbose_name='people asked at once')),
                ('offer_notice_minutes', models.PositiveIntegerField(default=120, verbose_name='least notice in minutes')),
                ('offers_per_day', models.PositiveSmallIntegerField(default=2, verbose_name='offers a person and day')),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
            ],
            options={
                'verbose_name': 'rules for visits',
                'verbose_name_plural': 'rules for visits',
            },
        ),
        migrations.CreateModel(
            name='WaitlistEntry',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('first_day', models.DateField(verbose_name='not before')),
                ('last_day', models.DateField(verbose_name='not after')),
                ('time_from', models.TimeField(blank=True, null=True, verbose_name='from')),
                ('time_until', models.TimeField(blank=True, null=True, verbose_name='until')),
                ('notice_minutes', models.PositiveIntegerField(default=120, verbose_name='needs so much notice')),
                ('length_minutes', models.PositiveSmallIntegerField(default=30, verbose_name='length')),
                ('state', models.CharField(choices=[('WAITING', 'Waiting'), ('PLACED', 'Has a visit'), ('ENDED', 'Taken off the list')], default='WAITING', max_length=7)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('appointment', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='waitlist_entries', to='appointments.appointment')),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('department', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.department')),
                ('location', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.location')),
                ('patient', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='waitlist_entries', to='core.patient')),
                ('provider', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
            ],
            options={
                'verbose_name': 'entry of the waiting list',
                'verbose_name_plural': 'waiting list',
                'ordering': ['created_at', 'pk'],
            },
        ),
        migrations.CreateModel(
            name='SlotOffer',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('person_key', models.CharField(max_length=60)),
                ('state', models.CharField(choices=[('OPEN', 'Waiting for an answer'), ('ACCEPTED', 'Accepted'), ('DECLINED', 'Declined'), ('EXPIRED', 'No answer in time'), ('LOST', 'Somebody else was faster')], default='OPEN', max_length=8)),
                ('hold_until', models.DateTimeField()),
                ('code', models.CharField(max_length=24, unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('answered_at', models.DateTimeField(null=True)),
                ('slot', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='offers', to='appointments.freedslot')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
                ('entry', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='offers', to='appointments.waitlistentry')),
            ],
            options={
                'ordering': ['created_at', 'pk'],
            },
        ),
        migrations.AddIndex(
            model_name='freedslot',
            index=models.Index(condition=models.Q(('state', 'OPEN')), fields=['due_at'], name='freed_slot_due'),
        ),
        migrations.AddConstraint(
            model_name='freedslot',
            constraint=models.UniqueConstraint(fields=('appointment', 'version'), name='freed_slot_once'),
        ),
        migrations.AddIndex(
            model_name='providerabsence',
            index=models.Index(condition=models.Q(('lifted_at', None)), fields=['provider', 'ends_at'], name='provider_absence_in_force'),
        ),
        migrations.AddConstraint(
            model_name='providerabsence',
            constraint=models.UniqueConstraint(fields=('tenant', 'key'), name='provider_absence_once'),
        ),
        migrations.AddConstraint(
            model_name='providerabsence',
            constraint=models.CheckConstraint(condition=models.Q(('ends_at__gt', models.F('starts_at'))), name='provider_absence_has_a_length'),
        ),
        migrations.AddConstraint(
            model_name='absencevisit',
            constraint=models.UniqueConstraint(fields=('absence', 'appointment'), name='absence_visit_once'),
        ),
        migrations.AddConstraint(
            model_name='series',
            constraint=models.UniqueConstraint(fields=('tenant', 'booking_key'), name='series_booking_key_once'),
        ),
        migrations.AddConstraint(
            model_name='series',
            constraint=models.CheckConstraint(condition=models.Q(('count__gte', 2)), name='series_has_several_visits'),
        ),
        migrations.AddConstraint(
            model_name='visitpolicy',
            constraint=models.UniqueConstraint(fields=('tenant',), name='visit_policy_once'),
        ),
        migrations.AddIndex(
            model_name='waitlistentry',
            index=models.Index(condition=models.Q(('state', 'WAITING')), fields=['department', 'created_at'], name='waitlist_waiting'),
        ),
        migrations.AddConstraint(
            model_name='waitlistentry',
            constraint=models.CheckConstraint(condition=models.Q(('last_day__gte', models.F('first_day'))), name='waitlist_days_in_order'),
        ),
        migrations.AddConstraint(
            model_name='waitlistentry',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('time_from', None), ('time_until', None)), models.Q(('time_from__isnull', False), ('time_until__gt', models.F('time_from'))), _connector='OR'), name='waitlist_hours_in_order'),
        ),
        migrations.AddIndex(
            model_name='slotoffer',
            index=models.Index(fields=['person_key', 'created_at'], name='slot_offer_by_person'),
        ),
        migrations.AddIndex(
            model_name='slotoffer',
            index=models.Index(condition=models.Q(('state', 'OPEN')), fields=['hold_until'], name='slot_offer_open'),
        ),
        migrations.AddConstraint(
            model_name='slotoffer',
            constraint=models.UniqueConstraint(fields=('slot', 'entry'), name='slot_offered_once'),
        ),
    ]
