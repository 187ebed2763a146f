"""Bulk sends, their audiences and recipients, and the hours of each class."""

from __future__ import annotations

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ('notifications', '0009_brands_approvals_links'),
    ]

    operations = [
        migrations.CreateModel(
            name='ClassRule',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('message_class', models.CharField(choices=[('SERVICE', 'Service'), ('AWARENESS', 'Awareness'), ('PROMOTIONAL', 'Promotional')], max_length=11, verbose_name='class')),
                ('opens_at', models.TimeField(verbose_name='from')),
                ('closes_at', models.TimeField(verbose_name='until')),
                ('approval_above', models.PositiveIntegerField(verbose_name='second person above')),
                ('updated_at', models.DateTimeField(auto_now=True)),
            ],
            options={
                'verbose_name': 'rule of a message class',
                'verbose_name_plural': 'rules of message classes',
            },
        ),
        migrations.AddField(
            model_name='notificationpreference',
            name='awareness_enabled',
            field=models.BooleanField(default=True, verbose_name='Health awareness'),
        ),
        migrations.AlterField(
            model_name='message',
            name='notification_type',
            field=models.CharField(choices=[('REMINDER', 'Appointment reminder'), ('CONFIRMATION', 'Appointment confirmation'), ('CHANGE', 'Appointment change'), ('RESULTS', 'Results'), ('BILLING', 'Billing'), ('AWARENESS', 'Health awareness'), ('MARKETING', 'Marketing'), ('GENERAL', 'General message'), ('STAFF', 'Staff notice')], max_length=12, verbose_name='type'),
        ),
        migrations.AlterField(
            model_name='message',
            name='reason',
            field=models.CharField(blank=True, choices=[('stale_version', 'The appointment has changed since'), ('status_not_eligible', 'The appointment no longer calls for it'), ('past_due', 'Too late to be useful'), ('booked_inside_window', 'Booked too late for this reminder'), ('opt_out:channel', 'The patient switched this channel off'), ('opt_out:type', 'The patient switched off this kind of message'), ('no_consent', 'The patient has not agreed to marketing'), ('guardian_unverified', 'No verified guardian to tell'), ('deceased', 'The patient has died'), ('merged_away', 'The file was merged into another'), ('no_contact', 'No phone number or email for this channel'), ('contact_undeliverable', 'The address cannot be reached'), ('template_missing', 'There is no active template'), ('variable_missing', 'The template asks for something we do not have'), ('channel_disabled', 'This channel is not set up'), ('tenant_suspended', 'The clinic group is suspended'), ('staff_inactive', 'This person no longer works here'), ('withdrawn', 'Withdrawn by the clinic'), ('opted_out', 'The recipient has opted out of this channel'), ('complained', 'The recipient marked our mail as spam'), ('whatsapp_unapproved', 'WhatsApp has not approved this text'), ('delivered_otherwise', 'It arrived over another channel'), ('combined_into', 'Told together with a relative who has the same number'), ('send_stopped', 'The bulk send was stopped')], max_length=30, verbose_name='reason'),
        ),
        migrations.AlterField(
            model_name='messagetemplate',
            name='notification_type',
            field=models.CharField(choices=[('REMINDER', 'Appointment reminder'), ('CONFIRMATION', 'Appointment confirmation'), ('CHANGE', 'Appointment change'), ('RESULTS', 'Results'), ('BILLING', 'Billing'), ('AWARENESS', 'Health awareness'), ('MARKETING', 'Marketing'), ('GENERAL', 'General message'), ('STAFF', 'Staff notice')], max_length=12, verbose_name='type'),
        ),
        migrations.AlterField(
            model_name='suppressedaddress',
            name='reason',
            field=models.CharField(choices=[('stale_version', 'The appointment has changed since'), ('status_not_eligible', 'The appointment no longer calls for it'), ('past_due', 'Too late to be useful'), ('booked_inside_window', 'Booked too late for this reminder'), ('opt_out:channel', 'The patient switched this channel off'), ('opt_out:type', 'The patient switched off this kind of message'), ('no_consent', 'The patient has not agreed to marketing'), ('guardian_unverified', 'No verified guardian to tell'), ('deceased', 'The patient has died'), ('merged_away', 'The file was merged into another'), ('no_contact', 'No phone number or email for this channel'), ('contact_undeliverable', 'The address cannot be reached'), ('template_missing', 'There is no active template'), ('variable_missing', 'The template asks for something we do not have'), ('channel_disabled', 'This channel is not set up'), ('tenant_suspended', 'The clinic group is suspended'), ('staff_inactive', 'This person no longer works here'), ('withdrawn', 'Withdrawn by the clinic'), ('opted_out', 'The recipient has opted out of this channel'), ('complained', 'The recipient marked our mail as spam'), ('whatsapp_unapproved', 'WhatsApp has not approved this text'), ('delivered_otherwise', 'It arrived over another channel'), ('combined_into', 'Told together with a relative who has the same number'), ('send_stopped', 'The bulk send was stopped')], max_length=30, verbose_name='reason'),
        ),
        migrations.CreateModel(
            name='BulkSend',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=120, verbose_name='name')),
                ('source', models.CharField(choices=[('FILTERS', 'Chosen by filters'), ('UPLOAD', 'Uploaded list'), ('CLOSED', 'Clinic closed'), ('AGAIN', 'Those who did not get another send')], max_length=7, verbose_name='audience')),
                ('message_class', models.CharField(choices=[('SERVICE', 'Service'), ('AWARENESS', 'Awareness'), ('PROMOTIONAL', 'Promotional')], max_length=11, verbose_name='class')),
                ('is_urgent', models.BooleanField(default=False, verbose_name='urgent')),
                ('state', models.CharField(choices=[('DRAFT', 'Draft'), ('CHECKED', 'Checked'), ('AWAITING', 'Waiting for approval'), ('SCHEDULED', 'Scheduled'), ('STARTING', 'Starting'), ('RUNNING', 'Sending'), ('PAUSED', 'Paused'), ('STOPPED', 'Stopped'), ('DONE', 'Done')], default='DRAFT', max_length=9, verbose_name='state')),
                ('audience', models.JSONField(default=dict)),
                ('file_name', models.CharField(blank=True, max_length=200)),
                ('row_count', models.PositiveIntegerField(default=0)),
                ('error_count', models.PositiveIntegerField(default=0)),
                ('object_type', models.CharField(blank=True, max_length=60)),
                ('variables', models.JSONField(default=list)),
                ('channel', models.CharField(blank=True, choices=[('SMS', 'SMS'), ('WHATSAPP', 'WhatsApp'), ('EMAIL', 'Email')], max_length=8, verbose_name='channel')),
                ('words', models.JSONField(default=dict)),
                ('timezone', models.CharField(max_length=64)),
                ('scheduled_at', models.DateTimeField(null=True, verbose_name='starts at')),
                ('sends_from', models.TimeField(null=True, verbose_name='sends from')),
                ('sends_until', models.TimeField(null=True, verbose_name='sends until')),
                ('useful_hours', models.PositiveSmallIntegerField(default=24, verbose_name='useful for hours')),
                ('expires_at', models.DateTimeField(null=True, verbose_name='useful until')),
                ('totals', models.JSONField(default=dict)),
                ('cursor', models.PositiveIntegerField(default=0)),
                ('lease_token', models.UUIDField(null=True)),
                ('lease_expires_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('checked_at', models.DateTimeField(null=True)),
                ('approved_at', models.DateTimeField(null=True)),
                ('started_at', models.DateTimeField(null=True)),
                ('written_at', models.DateTimeField(null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('again_of', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='repeats', to='notifications.bulksend')),
                ('approved_by', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('created_by', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('template', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='bulk_sends', to='notifications.messagetemplate')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
            ],
            options={
                'verbose_name': 'bulk send',
                'verbose_name_plural': 'bulk sends',
                'ordering': ['-created_at', '-pk'],
            },
        ),
        migrations.CreateModel(
            name='BulkRowError',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('row', models.PositiveIntegerField(verbose_name='row')),
                ('column', models.CharField(blank=True, max_length=80, verbose_name='column')),
                ('problem', models.CharField(choices=[('nothing_to_find', 'No file number, phone or email in this row'), ('phone_invalid', 'This is not a mobile number'), ('email_invalid', 'This is not an email address'), ('language_unknown', 'Write the language as en or ar, or leave it empty'), ('file_unknown', 'There is no patient with this file number'), ('person_unknown', 'Nobody in our files has this phone or email; only patients can be written to'), ('person_unclear', 'Several patients have this phone or email; add the file number'), ('repeated', 'The same patient stands in an earlier row'), ('value_long', 'This text is longer than 200 letters')], max_length=20, verbose_name='what is wrong')),
                ('other_row', models.PositiveIntegerField(null=True)),
                ('tenant', models.ForeignKey(db_constraint=False, db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
                ('bulk', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='row_errors', to='notifications.bulksend')),
            ],
            options={
                'verbose_name': 'row that cannot be used',
                'verbose_name_plural': 'rows that cannot be used',
                'ordering': ['row'],
            },
        ),
        migrations.CreateModel(
            name='BulkRecipient',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('position', models.PositiveIntegerField()),
                ('row', models.PositiveIntegerField(null=True)),
                ('values', models.JSONField(default=dict)),
                ('object_id', models.UUIDField(null=True)),
                ('object_version', models.PositiveIntegerField(default=0)),
                ('reason', models.CharField(blank=True, choices=[('stale_version', 'The appointment has changed since'), ('status_not_eligible', 'The appointment no longer calls for it'), ('past_due', 'Too late to be useful'), ('booked_inside_window', 'Booked too late for this reminder'), ('opt_out:channel', 'The patient switched this channel off'), ('opt_out:type', 'The patient switched off this kind of message'), ('no_consent', 'The patient has not agreed to marketing'), ('guardian_unverified', 'No verified guardian to tell'), ('deceased', 'The patient has died'), ('merged_away', 'The file was merged into another'), ('no_contact', 'No phone number or email for this channel'), ('contact_undeliverable', 'The address cannot be reached'), ('template_missing', 'There is no active template'), ('variable_missing', 'The template asks for something we do not have'), ('channel_disabled', 'This channel is not set up'), ('tenant_suspended', 'The clinic group is suspended'), ('staff_inactive', 'This person no longer works here'), ('withdrawn', 'Withdrawn by the clinic'), ('opted_out', 'The recipient has opted out of this channel'), ('complained', 'The recipient marked our mail as spam'), ('whatsapp_unapproved', 'WhatsApp has not approved this text'), ('delivered_otherwise', 'It arrived over another channel'), ('combined_into', 'Told together with a relative who has the same number'), ('send_stopped', 'The bulk send was stopped')], max_length=30, verbose_name='reason')),
                ('folded_into', models.PositiveIntegerField(null=True)),
                ('patient', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='core.patient')),
                ('tenant', models.ForeignKey(db_constraint=False, db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
                ('bulk', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='recipients', to='notifications.bulksend')),
            ],
            options={
                'verbose_name': 'recipient',
                'verbose_name_plural': 'recipients',
                'ordering': ['position'],
            },
        ),
        migrations.AddField(
            model_name='message',
            name='bulk',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='notifications.bulksend'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('bulk__isnull', False)), fields=['bulk'], name='message_by_bulk'),
        ),
        migrations.AddField(
            model_name='classrule',
            name='tenant',
            field=models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant'),
        ),
        migrations.AddIndex(
            model_name='bulksend',
            index=models.Index(fields=['tenant', '-created_at'], name='bulk_latest'),
        ),
        migrations.AddIndex(
            model_name='bulksend',
            index=models.Index(condition=models.Q(('finished_at', None), models.Q(('state__in', ['DRAFT', 'CHECKED', 'AWAITING']), _negated=True)), fields=['tenant', 'state'], name='bulk_under_way'),
        ),
        migrations.AddConstraint(
            model_name='bulkrowerror',
            constraint=models.UniqueConstraint(fields=('bulk', 'row'), name='bulk_row_error_once'),
        ),
        migrations.AddConstraint(
            model_name='bulkrecipient',
            constraint=models.UniqueConstraint(fields=('bulk', 'position'), name='bulk_recipient_position'),
        ),
        migrations.AddConstraint(
            model_name='classrule',
            constraint=models.UniqueConstraint(fields=('tenant', 'message_class'), name='class_rule_once'),
        ),
        migrations.AddConstraint(
            model_name='classrule',
            constraint=models.CheckConstraint(condition=models.Q(('closes_at__gt', models.F('opens_at'))), name='class_rule_opens_before_it_closes'),
        ),
    ]
