"""Brands of emails, WhatsApp approvals, short links and their clicks."""

from __future__ import annotations

import uuid

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0008_template_versions"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name='message',
            name='reason',
            field=models.CharField(blank=True, choices=[('stale_version', 'The appointment has changed since'), ('status_not_eligible', 'The appointment no longer calls for it'), ('past_due', 'Too late to be useful'), ('booked_inside_window', 'Booked too late for this reminder'), ('opt_out:channel', 'The patient switched this channel off'), ('opt_out:type', 'The patient switched off this kind of message'), ('no_consent', 'The patient has not agreed to marketing'), ('guardian_unverified', 'No verified guardian to tell'), ('deceased', 'The patient has died'), ('merged_away', 'The file was merged into another'), ('no_contact', 'No phone number or email for this channel'), ('contact_undeliverable', 'The address cannot be reached'), ('template_missing', 'There is no active template'), ('variable_missing', 'The template asks for something we do not have'), ('channel_disabled', 'This channel is not set up'), ('tenant_suspended', 'The clinic group is suspended'), ('staff_inactive', 'This person no longer works here'), ('withdrawn', 'Withdrawn by the clinic'), ('opted_out', 'The recipient has opted out of this channel'), ('complained', 'The recipient marked our mail as spam'), ('whatsapp_unapproved', 'WhatsApp has not approved this text'), ('delivered_otherwise', 'It arrived over another channel')], max_length=30, verbose_name='reason'),
        ),
        migrations.AlterField(
            model_name='suppressedaddress',
            name='reason',
            field=models.CharField(choices=[('stale_version', 'The appointment has changed since'), ('status_not_eligible', 'The appointment no longer calls for it'), ('past_due', 'Too late to be useful'), ('booked_inside_window', 'Booked too late for this reminder'), ('opt_out:channel', 'The patient switched this channel off'), ('opt_out:type', 'The patient switched off this kind of message'), ('no_consent', 'The patient has not agreed to marketing'), ('guardian_unverified', 'No verified guardian to tell'), ('deceased', 'The patient has died'), ('merged_away', 'The file was merged into another'), ('no_contact', 'No phone number or email for this channel'), ('contact_undeliverable', 'The address cannot be reached'), ('template_missing', 'There is no active template'), ('variable_missing', 'The template asks for something we do not have'), ('channel_disabled', 'This channel is not set up'), ('tenant_suspended', 'The clinic group is suspended'), ('staff_inactive', 'This person no longer works here'), ('withdrawn', 'Withdrawn by the clinic'), ('opted_out', 'The recipient has opted out of this channel'), ('complained', 'The recipient marked our mail as spam'), ('whatsapp_unapproved', 'WhatsApp has not approved this text'), ('delivered_otherwise', 'It arrived over another channel')], max_length=30, verbose_name='reason'),
        ),
        migrations.CreateModel(
            name='ShortLink',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('code', models.CharField(max_length=16, unique=True)),
                ('target', models.CharField(max_length=300)),
                ('purpose', models.CharField(choices=[('CONFIRMATION', "The patient's page of a visit")], default='CONFIRMATION', max_length=12)),
                ('language', models.CharField(choices=[('en', 'English'), ('ar', 'Arabic')], max_length=2)),
                ('expires_at', models.DateTimeField()),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('message', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='short_links', to='notifications.message')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
            ],
            options={
                'verbose_name': 'short link',
                'verbose_name_plural': 'short links',
            },
        ),
        migrations.CreateModel(
            name='WhatsAppContent',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('content_sid', models.CharField(max_length=34)),
                ('variables', models.JSONField(default=dict)),
                ('message', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='whatsapp_content', to='notifications.message')),
                ('tenant', models.ForeignKey(db_constraint=False, db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
            ],
            options={
                'verbose_name': 'approved content',
                'verbose_name_plural': 'approved contents',
            },
        ),
        migrations.CreateModel(
            name='Brand',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('colour', models.CharField(default='#3451c9', max_length=7, verbose_name='colour')),
                ('footer_en', models.TextField(blank=True, max_length=500, verbose_name='footer in English')),
                ('footer_ar', models.TextField(blank=True, max_length=500, verbose_name='footer in Arabic')),
                ('reply_to', models.EmailField(blank=True, max_length=254, verbose_name='replies go to')),
                ('logo_digest', models.CharField(blank=True, max_length=64)),
                ('logo_type', models.CharField(blank=True, max_length=10)),
                ('logo_width', models.PositiveSmallIntegerField(default=0)),
                ('logo_height', models.PositiveSmallIntegerField(default=0)),
                ('link_host', models.CharField(blank=True, max_length=200, verbose_name='host of the links')),
                ('track_clicks', models.BooleanField(default=False, verbose_name='count who opens the links in messages')),
                ('track_opens', models.BooleanField(default=False, verbose_name='count who opens emails')),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
                ('updated_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'brand',
                'verbose_name_plural': 'brands',
                'constraints': [models.UniqueConstraint(fields=('tenant',), name='brand_once')],
            },
        ),
        migrations.CreateModel(
            name='BrandLogo',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('digest', models.CharField(max_length=64)),
                ('content_type', models.CharField(max_length=20)),
                ('content', models.BinaryField()),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
            ],
            options={
                'verbose_name': 'logo',
                'verbose_name_plural': 'logos',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'digest'), name='logo_once')],
            },
        ),
        migrations.CreateModel(
            name='LinkClick',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('CLICK', 'Link opened'), ('OPEN', 'Email opened')], max_length=5, verbose_name='kind')),
                ('is_suspicious', models.BooleanField(default=False)),
                ('agent_hash', models.CharField(blank=True, max_length=16)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='time')),
                ('message', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='clicks', to='notifications.message')),
                ('tenant', models.ForeignKey(db_constraint=False, db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
                ('link', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='clicks', to='notifications.shortlink')),
            ],
            options={
                'verbose_name': 'click',
                'verbose_name_plural': 'clicks',
                'ordering': ['created_at'],
                'indexes': [models.Index(fields=['message', 'kind'], name='click_by_message'), models.Index(fields=['tenant', 'created_at'], name='click_latest')],
            },
        ),
        migrations.CreateModel(
            name='WhatsAppApproval',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('language', models.CharField(choices=[('en', 'English'), ('ar', 'Arabic')], max_length=2, verbose_name='language')),
                ('state', models.CharField(choices=[('NOT_SUBMITTED', 'Not submitted'), ('PENDING', 'Being reviewed'), ('APPROVED', 'Approved'), ('REJECTED', 'Rejected'), ('PAUSED', 'Paused by WhatsApp')], default='NOT_SUBMITTED', max_length=13, verbose_name='state')),
                ('content_sid', models.CharField(blank=True, max_length=34, validators=[django.core.validators.RegexValidator('^HX[0-9a-f]{32}$')], verbose_name='ContentSid')),
                ('category', models.CharField(choices=[('UTILITY', 'Utility'), ('MARKETING', 'Marketing'), ('AUTHENTICATION', 'Authentication')], default='UTILITY', max_length=14, verbose_name='category')),
                ('rejection_reason', models.CharField(blank=True, max_length=300, verbose_name='why it was rejected')),
                ('version', models.PositiveIntegerField(default=0, verbose_name='version')),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('checked_at', models.DateTimeField(null=True)),
                ('template', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='approvals', to='notifications.messagetemplate')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='core.tenant')),
                ('updated_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'WhatsApp approval',
                'verbose_name_plural': 'WhatsApp approvals',
                'constraints': [models.UniqueConstraint(fields=('template', 'language'), name='approval_once_per_language')],
            },
        ),
    ]
