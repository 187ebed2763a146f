"""Second factors, letters about accounts, and what a person sees of their sessions."""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0003_append_only_audit_and_looks"),
        ("otp_totp", "0003_add_timestamps"),
        ("otp_static", "0003_add_timestamps"),
    ]

    operations = [
        migrations.CreateModel(
            name='Authenticator',
            fields=[
            ],
            options={
                'proxy': True,
                'indexes': [],
                'constraints': [],
            },
            bases=('otp_totp.totpdevice',),
        ),
        migrations.AddField(
            model_name='session',
            name='created_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='session',
            name='last_seen_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='session',
            name='user_agent',
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddField(
            model_name='tenant',
            name='requires_second_factor',
            field=models.BooleanField(default=False, verbose_name='admins need a second step to sign in'),
        ),
        migrations.AddField(
            model_name='user',
            name='second_factor_at',
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name='second step since'),
        ),
        migrations.AddField(
            model_name='user',
            name='trust_epoch',
            field=models.PositiveIntegerField(default=0, editable=False),
        ),
        migrations.CreateModel(
            name='AccountLetter',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('RESET', 'Link for a new password'), ('INVITE', 'Invitation'), ('PASSWORD_CHANGED', 'The password was changed'), ('FACTOR_ON', 'The second step was turned on'), ('FACTOR_OFF', 'The second step was turned off')], max_length=20)),
                ('ip', models.GenericIPAddressField(null=True)),
                ('created_at', models.DateTimeField()),
                ('next_attempt_at', models.DateTimeField()),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('sent_at', models.DateTimeField(null=True)),
                ('user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'account letter',
                'verbose_name_plural': 'account letters',
                'indexes': [
                    models.Index(fields=['ip', 'created_at'], name='letter_by_ip'),
                    models.Index(condition=models.Q(('sent_at', None)), fields=['next_attempt_at'], name='letter_waiting'),
                ],
            },
        ),
    ]
