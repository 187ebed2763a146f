"""Whose words go out: a second person has read them, a retired version is history (scenario 8)."""

from __future__ import annotations

from typing import Any

import pytest

from conftest import Clinic
from core.errors import DomainError
from core.models import Role
from integrations.messaging_service import MessagingService
from integrations.tests.fakes import FakeProvider, provider
from notifications import template_versions
from notifications.models import MessageTemplate
from tests import factories
from tests.journey import send_all

__all__ = ["provider"]

FIRST = {
    "body_en": "Hello {patient_name}, {clinic_name} opens at eight.",
    "body_ar": "مرحبًا {patient_name}، تفتح {clinic_name} الساعة الثامنة.",
}
SECOND = {
    "body_en": "Hello {patient_name}, {clinic_name} opens at nine.",
    "body_ar": "مرحبًا {patient_name}، تفتح {clinic_name} الساعة التاسعة.",
}


def test_scenario_08_an_author_cannot_approve_and_a_retired_version_is_never_sent_again(
    clinic: Clinic, provider: FakeProvider, django_capture_on_commit_callbacks: Any
) -> None:
    patient = factories.PatientFactory(tenant=clinic.tenant, language="en")
    other = factories.UserFactory(tenant=clinic.tenant, role=Role.ADMIN, email="second@noor.example")

    def publish(version: Any) -> None:
        template_versions.submit(actor=clinic.admin, version=version, revision=version.revision)
        with pytest.raises(DomainError) as refused:
            template_versions.publish(actor=clinic.admin, version=version, revision=version.revision)
        assert refused.value.code == "same_person"
        template_versions.publish(actor=other, version=version, revision=version.revision)

    version = template_versions.create(
        actor=clinic.admin,
        name="Opening hours",
        channel="SMS",
        notification_type="GENERAL",
        words=FIRST,
        variables=[],
    )
    template = version.template

    def send() -> Any:
        row = MessageTemplate.objects.get(pk=template.pk)
        return MessagingService().send_from_template(
            tenant_id=clinic.tenant.pk,
            template_code=row.code,
            patient=patient,
            channel="SMS",
            context={"patient_name": patient, "clinic_name": clinic.tenant},
        )

    publish(version)
    with django_capture_on_commit_callbacks(execute=False):
        old = send()
    template_versions.save_draft(
        actor=clinic.admin, template=MessageTemplate.objects.get(pk=template.pk), words=SECOND, variables=[], revision=0
    )
    draft = template_versions.open_version(template)
    assert draft is not None
    # What is written but not read by anybody else is not what goes out.
    assert send().template_version == 1
    publish(draft)
    new = send()
    old.refresh_from_db()
    assert (old.template_version, new.template_version) == (1, 2)
    assert "opens at eight" in old.body
    assert "opens at nine" in new.body
    told = [call.body for call in send_all(provider)]
    assert sum("opens at nine" in body for body in told) == 1
    assert sum("opens at eight" in body for body in told) == 2
