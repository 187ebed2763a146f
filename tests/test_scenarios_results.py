"""Results: a link and a phone number go out, what they say never does; by its own type, and to nobody who declined."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from appointments import services
from appointments.models import Appointment
from conftest import Clinic
from core.models import Location
from integrations import fanout
from notifications import default_words
from notifications.models import Message, NotificationEvent, NotificationPreference
from notifications.states import Channel, NotificationType, Reason, Status
from tests import factories


@pytest.fixture
def visit(clinic: Clinic) -> Appointment:
    default_words.install(clinic.tenant.pk)
    made: Appointment = factories.AppointmentFactory(
        tenant=clinic.tenant,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=timezone.now() - dt.timedelta(hours=2),
        status=Appointment.Status.COMPLETED,
    )
    return made


def tell(clinic: Clinic, visit: Appointment) -> Message:
    services.appointment_tell_results_ready(appointment_id=visit.pk, actor=clinic.provider)
    event = NotificationEvent.objects.get(key="results.ready")
    fanout.process_event(clinic.tenant.pk, event.pk)
    return Message.objects.get(event=event)


@pytest.mark.parametrize("channel", [Channel.SMS, Channel.WHATSAPP, Channel.EMAIL])
def test_the_message_is_a_link_behind_a_sign_in_and_no_content(
    clinic: Clinic, visit: Appointment, channel: str, settings
) -> None:
    type(clinic.patient).objects.filter(pk=clinic.patient.pk).update(email="sara@mail.example")
    NotificationPreference.objects.update_or_create(
        tenant=clinic.tenant, patient=clinic.patient, defaults={"preferred_channel": channel}
    )
    message = tell(clinic, visit)
    assert (message.channel, message.status) == (channel, Status.QUEUED)
    assert message.notification_type == NotificationType.RESULTS
    assert f"{settings.PUBLIC_BASE_URL}/me" in message.body
    for secret in (clinic.department.name_en, clinic.department.name_ar, clinic.provider.name_en):
        assert secret not in f"{message.subject} {message.body}"


def test_who_wants_no_messages_about_results_gets_none(clinic: Clinic, visit: Appointment) -> None:
    NotificationPreference.objects.update_or_create(
        tenant=clinic.tenant, patient=clinic.patient, defaults={"results_enabled": False}
    )
    message = tell(clinic, visit)
    assert (message.status, message.reason) == (Status.SUPPRESSED, Reason.OPT_OUT_TYPE)


def test_at_a_sensitive_place_the_clinic_is_not_named(clinic: Clinic, visit: Appointment) -> None:
    Location.objects.update(is_sensitive=True, discreet_name_en="Your care team", discreet_name_ar="فريق الرعاية")
    message = tell(clinic, visit)
    for name in (clinic.tenant.name_en, clinic.tenant.name_ar, clinic.location.name_en, clinic.location.name_ar):
        assert not name or name not in f"{message.subject} {message.body}"


def test_two_weeks_later_it_is_no_news(clinic: Clinic, visit: Appointment) -> None:
    message = tell(clinic, visit)
    assert message.expires_at is not None
    assert dt.timedelta(days=13) < message.expires_at - timezone.now() <= dt.timedelta(days=14)
