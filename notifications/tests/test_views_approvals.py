"""WhatsApp's approvals on the template's page: what is submitted, who may note it, and asking anew."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from conftest import Clinic
from core.tenancy import tenant_scope
from integrations.sms_providers import Approval
from integrations.tests.fakes import FakeProvider, provider
from notifications.models import MessageTemplate, WhatsAppApproval
from notifications.states import Channel

__all__ = ["provider"]

SID = "HX" + "b2" * 16


@pytest.fixture
def template(clinic: Clinic) -> MessageTemplate:
    return MessageTemplate.objects.create(
        tenant=clinic.tenant,
        code="notice",
        name="Notice",
        channel=Channel.WHATSAPP,
        notification_type="GENERAL",
        body_en="{patient_name}, we have moved to {place}. Bye {patient_name}.",
        body_ar="عزيزنا {patient_name}، انتقلنا.",
        variables=["patient_name", "place"],
    )


def page_of(template: MessageTemplate, language: str = "en") -> str:
    return reverse("notifications:template_approval", args=[template.pk, language])


def post(clinic: Clinic, template: MessageTemplate, language: str = "en", **fields: str) -> Any:
    words = {"content_sid": SID, "category": "UTILITY", "state": "APPROVED", "rejection_reason": ""}
    return clinic.client(clinic.admin).post(page_of(template, language), words | fields)


def test_the_page_shows_the_words_as_they_are_submitted(clinic: Clinic, template: MessageTemplate) -> None:
    page = clinic.client(clinic.admin).get(page_of(template)).content.decode()
    assert "{{1}}, we have moved to {{2}}. Bye {{1}}." in page
    assert "begins or ends with a placeholder" in page
    arabic = clinic.client(clinic.admin).get(page_of(template, "ar")).content.decode()
    assert "عزيزنا {{1}}، انتقلنا." in arabic
    assert "begins or ends with a placeholder" not in arabic


def test_noting_an_approval_leads_back_to_the_template_which_shows_it(
    clinic: Clinic, template: MessageTemplate
) -> None:
    answer = post(clinic, template)
    detail = reverse("notifications:template_detail", args=[template.pk])
    assert (answer.status_code, answer["Location"]) == (302, f"{detail}#template-approvals")
    row = WhatsAppApproval.objects.get()
    assert (row.language, row.state, row.version) == ("en", "APPROVED", template.version)
    page = clinic.client(clinic.admin).get(detail).content.decode()
    assert "Approved" in page
    assert SID in page
    MessageTemplate.objects.update(version=template.version + 1)
    assert "Submit it again." in clinic.client(clinic.admin).get(detail).content.decode()


def test_a_refused_form_says_what_is_missing(clinic: Clinic, template: MessageTemplate) -> None:
    answer = post(clinic, template, content_sid="")
    assert answer.status_code == 422
    assert "Write the ContentSid" in answer.content.decode()
    assert post(clinic, template, state="FAMOUS").status_code == 422
    assert not WhatsAppApproval.objects.exists()


def test_asking_the_provider_notes_its_answer_or_says_why_not(
    clinic: Clinic, template: MessageTemplate, provider: FakeProvider
) -> None:
    provider.approves = frozenset({Channel.WHATSAPP})
    provider.approval = Approval(status="rejected", category="utility", reason="Too vague.")
    post(clinic, template, state="PENDING")
    address = reverse("notifications:template_approval_refresh", args=[template.pk, "en"])
    page = clinic.client(clinic.admin).post(address, follow=True).content.decode()
    assert "WhatsApp says: Rejected" in page
    assert "Too vague." in page
    provider.approval = None
    assert "knows no text" in clinic.client(clinic.admin).post(address, follow=True).content.decode()
    assert WhatsAppApproval.objects.get().state == "REJECTED"
    assert clinic.client(clinic.admin).get(address).status_code == 405


def test_only_who_manages_templates_and_only_their_own(
    clinic: Clinic, other_clinic: Clinic, template: MessageTemplate
) -> None:
    refresh = reverse("notifications:template_approval_refresh", args=[template.pk, "en"])
    for user in (clinic.front_desk, clinic.provider, clinic.patient_user):
        assert clinic.client(user).get(page_of(template)).status_code == 403
        assert clinic.client(user).post(refresh).status_code == 403
    with tenant_scope(other_clinic.tenant.pk):
        client = other_clinic.client(other_clinic.admin)
        assert client.get(page_of(template)).status_code == 404
        assert client.post(page_of(template), {"state": "APPROVED", "content_sid": SID}).status_code == 404
        assert client.post(refresh).status_code == 404


def test_other_channels_and_languages_that_are_not_written_have_no_such_page(
    clinic: Clinic, template: MessageTemplate
) -> None:
    client = clinic.client(clinic.admin)
    assert client.get(page_of(template, "fr")).status_code == 404
    MessageTemplate.objects.update(body_ar="")
    assert client.get(page_of(template, "ar")).status_code == 404
    MessageTemplate.objects.update(channel=Channel.SMS)
    assert client.get(page_of(template)).status_code == 404
