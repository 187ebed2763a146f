"""What an upgrade brings to a clinic group that is there: the new events' words, and nothing of its own changed."""

from __future__ import annotations

import importlib

from django.apps import apps

from conftest import Clinic
from core.tenancy import system_scope
from notifications import default_words
from notifications.models import MessageTemplate, TemplateVersion

migration = importlib.import_module("notifications.migrations.0018_words_for_new_events")


def test_new_words_come_once_and_own_words_stay(clinic: Clinic, other_clinic: Clinic) -> None:
    default_words.install(clinic.tenant.pk)
    own = MessageTemplate.objects.get(code="billing.payment_due.patient", channel="SMS")
    MessageTemplate.objects.filter(pk=own.pk).update(body_en="Our own words for {patient_name}")
    MessageTemplate.objects.filter(code__startswith="billing.refunded").delete()
    with system_scope("an upgrade goes through all clinic groups"):
        for _twice in range(2):
            migration.add_words(apps, None)
        theirs = MessageTemplate.objects.filter(tenant=other_clinic.tenant)
        assert theirs.count() == len(default_words.rows())
    own.refresh_from_db()
    assert own.body_en == "Our own words for {patient_name}"
    mine = MessageTemplate.objects.filter(tenant=clinic.tenant)
    assert mine.filter(code="billing.refunded.patient").count() == 3
    assert mine.count() == len(default_words.rows())
    versions = TemplateVersion.objects.filter(template__code="billing.refunded.patient")
    assert [version.state for version in versions] == ["PUBLISHED"] * 3
    for version in versions:
        assert version.words() == version.template.words()
