from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.utils import timezone

from conftest import Clinic
from core.errors import DomainError
from core.models import Patient
from core.tenancy import tenant_scope
from integrations.messaging_service import MessagingService
from integrations.outbox import MessageConflict
from notifications import consents, lifecycle
from notifications.models import Message, MessageTemplate, NotificationPreference
from notifications.rendering import MissingPlaceholder
from notifications.states import NotificationType, Reason, Status
from tests import factories

service = MessagingService()


@pytest.fixture
def templates(clinic: Clinic) -> None:
    for channel in ("SMS", "WHATSAPP", "EMAIL"):
        MessageTemplate.objects.create(
            tenant=clinic.tenant,
            code="greeting",
            name="Greeting",
            channel=channel,
            notification_type=NotificationType.REMINDER,
            subject_en="Hello",
            subject_ar="مرحبًا",
            body_en="Hello {patient_name}",
            body_ar="مرحبًا {patient_name}",
            variables=["patient_name"],
        )


def greet(clinic: Clinic, **wishes: object) -> Message:
    patient = wishes.pop("patient", clinic.patient)
    return service.send_from_template(
        tenant_id=clinic.tenant.pk,
        template_code="greeting",
        patient=patient,
        context={"patient_name": patient},
        **wishes,
    )


def prefer(clinic: Clinic, **fields: object) -> NotificationPreference:
    return NotificationPreference.objects.create(tenant=clinic.tenant, patient=clinic.patient, **fields)


@pytest.mark.usefixtures("templates")
class TestFromTemplate:
    def test_the_words_are_frozen_in_the_patients_language(self, clinic: Clinic) -> None:
        message = greet(clinic)
        MessageTemplate.objects.update(body_ar="شيء آخر")
        message.refresh_from_db()
        assert (message.language, message.body) == ("ar", "مرحبًا سارة المطيري")
        assert (message.recipient, message.template_version) == (clinic.patient.phone, 1)

    def test_sms_is_the_default_channel_and_the_preference_wins(self, clinic: Clinic) -> None:
        assert greet(clinic).channel == "SMS"
        prefer(clinic, preferred_channel="WHATSAPP")
        assert greet(clinic).channel == "WHATSAPP"

    def test_the_preferred_language_wins_over_the_file(self, clinic: Clinic) -> None:
        prefer(clinic, preferred_language="en")
        assert greet(clinic).body == "Hello Sara Al-Mutairi"

    def test_a_missing_value_stops_before_anything_is_queued(self, clinic: Clinic) -> None:
        with pytest.raises(MissingPlaceholder):
            service.send_from_template(
                tenant_id=clinic.tenant.pk, template_code="greeting", patient=clinic.patient, context={}
            )
        assert not Message.objects.exists()

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({"sms_enabled": False}, Reason.OPT_OUT_CHANNEL),
            ({"reminders_enabled": False}, Reason.OPT_OUT_TYPE),
        ],
    )
    def test_a_refusal_is_a_row_with_a_reason(self, clinic: Clinic, fields: dict[str, bool], reason: Reason) -> None:
        prefer(clinic, **fields)
        message = greet(clinic, channel="SMS")
        assert (message.status, message.reason) == (Status.SUPPRESSED, reason)
        assert list(message.logs.values_list("event", flat=True)) == ["CREATED", "SUPPRESSED"]

    def test_a_child_is_reached_through_the_verified_guardian(self, clinic: Clinic) -> None:
        child = factories.PatientFactory(
            tenant=clinic.tenant, birth_date=timezone.localdate() - dt.timedelta(days=2000), phone="", email=""
        )
        guardian = factories.GuardianFactory(tenant=clinic.tenant, language="en")
        factories.GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=guardian)
        message = greet(clinic, patient=child)
        assert (message.recipient, message.language, message.guardian) == (guardian.phone, "en", guardian)
        assert message.status == Status.QUEUED

    def test_an_unverified_guardian_is_told_nothing(self, clinic: Clinic) -> None:
        child = factories.PatientFactory(
            tenant=clinic.tenant, birth_date=timezone.localdate() - dt.timedelta(days=2000), phone="", email=""
        )
        guardian = factories.GuardianFactory(tenant=clinic.tenant)
        factories.GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=guardian, verified_at=None)
        message = greet(clinic, patient=child)
        assert (message.status, message.reason) == (Status.SUPPRESSED, Reason.GUARDIAN_UNVERIFIED)

    def test_the_same_key_is_the_same_message(self, clinic: Clinic) -> None:
        assert greet(clinic, dedupe_key="k").pk == greet(clinic, dedupe_key="k").pk
        assert Message.objects.count() == 1

    def test_bulk_goes_to_each_once_and_one_bad_patient_stops_nobody(self, clinic: Clinic) -> None:
        others = [factories.PatientFactory(tenant=clinic.tenant) for _ in range(3)]
        Patient.objects.filter(pk=others[0].pk).update(phone="", email="")
        wish = {
            "tenant_id": clinic.tenant.pk,
            "patient_ids": [p.pk for p in others],
            "template_code": "greeting",
            "bulk_key": "b1",
        }
        assert service.send_bulk_messages(**wish) == {"queued": 2, "refused": 1, "failed": 0}
        service.send_bulk_messages(**wish)
        assert Message.objects.count() == 3


def say(clinic: Clinic, body: str = "x", **fields: object) -> Message:
    return service.send_message(
        tenant_id=clinic.tenant.pk, patient_id=clinic.patient.pk, channel="SMS", body=body, **fields
    )


def test_the_same_key_with_other_words_is_a_clear_error(clinic: Clinic) -> None:
    say(clinic, "one", dedupe_key="k")
    with pytest.raises(MessageConflict):
        say(clinic, "two", dedupe_key="k")


def test_an_empty_message_is_refused(clinic: Clinic) -> None:
    with pytest.raises(DomainError):
        say(clinic, "  ")


def test_a_patient_of_another_tenant_is_not_found(clinic: Clinic, other_clinic: Clinic) -> None:
    with pytest.raises(Patient.DoesNotExist):
        service.send_message(tenant_id=clinic.tenant.pk, patient_id=other_clinic.patient.pk, channel="SMS", body="x")


def test_marketing_needs_consent(clinic: Clinic) -> None:
    assert not service._check_patient_preferences(clinic.patient.pk, "SMS", "MARKETING")
    consents.record(patient=clinic.patient, purpose="promotion", status="granted", method="staff")
    assert service._check_patient_preferences(clinic.patient.pk, "SMS", "MARKETING")


def test_a_failed_message_can_be_sent_again_by_hand(clinic: Clinic) -> None:
    message = say(clinic)
    lifecycle.move(message.pk, Status.SENDING)
    message.refresh_from_db()
    lifecycle.fail(message, bounced=False, may_retry=False, code="21617")
    again = service.retry_failed_message(message.pk, actor=clinic.front_desk)
    assert (again.status, again.retry_count) == (Status.QUEUED, 1)
    assert again.logs.last().actor == clinic.front_desk


@pytest.mark.parametrize("fields", [{"status": "SENT"}, {"status": "FAILED", "retry_count": 3}, {"status": "BOUNCED"}])
def test_what_cannot_be_retried_says_so(clinic: Clinic, fields: dict[str, object]) -> None:
    message = say(clinic)
    Message.objects.filter(pk=message.pk).update(**fields)
    with pytest.raises(DomainError):
        service.retry_failed_message(message.pk)


def test_statistics_of_the_users_own_example(clinic: Clinic) -> None:
    def rows(n: int, channel: str, status: str) -> list[Message]:
        return [
            Message(
                tenant=clinic.tenant,
                patient=clinic.patient,
                channel=channel,
                status=status,
                notification_type="GENERAL",
                language="ar",
                dedupe_key=str(uuid.uuid4()),
            )
            for _ in range(n)
        ]

    Message.objects.bulk_create(
        rows(750, "SMS", "DELIVERED")
        + rows(300, "WHATSAPP", "DELIVERED")
        + rows(50, "WHATSAPP", "FAILED")
        + rows(100, "EMAIL", "DELIVERED")
        + rows(50, "SMS", "QUEUED")
    )
    assert service.get_message_statistics(tenant_id=clinic.tenant.pk, days=7) == {
        "total": 1250,
        "by_channel": {"SMS": 800, "WHATSAPP": 350, "EMAIL": 100},
        "by_status": {"DELIVERED": 1150, "FAILED": 50, "QUEUED": 50},
        "success_rate": 92.0,
    }


def test_statistics_of_nothing_are_zero(clinic: Clinic, other_clinic: Clinic) -> None:
    assert service.get_message_statistics(tenant_id=other_clinic.tenant.pk)["success_rate"] == 0.0


def test_a_message_is_retried_from_anywhere_but_not_from_inside_another_tenant(
    clinic: Clinic, other_clinic: Clinic
) -> None:
    message = say(clinic)
    Message.objects.filter(pk=message.pk).update(status="FAILED")
    with tenant_scope(other_clinic.tenant.pk), pytest.raises(Message.DoesNotExist):
        service.retry_failed_message(message.pk)
    assert service.retry_failed_message(message.pk).status == Status.QUEUED
