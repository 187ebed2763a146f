"""What is done with one message: cancelled, looked at, its raw reports; and a template sent to one patient."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from conftest import Clinic
from core.models import AuditEvent, Look
from notifications import default_words, lifecycle, raw_reports
from notifications.models import Message, MessageTemplate, NotificationPreference, ProviderReceipt
from notifications.states import Channel, NotificationType, Reason, Status
from notifications.tests.test_message_list import write
from tests.factories import AppointmentFactory


def address(name: str, message: Message) -> str:
    return reverse(f"notifications:{name}", args=[message.pk])


# --- cancel ----------------------------------------------------------------------------------------------------------


def test_a_waiting_message_is_cancelled_by_name_and_audited(clinic: Clinic) -> None:
    message = write(clinic)
    desk = clinic.client(clinic.front_desk)
    assert address("message_cancel", message) in desk.get(address("message_detail", message)).content.decode()
    for _press in range(2):
        desk.post(address("message_cancel", message))
    message.refresh_from_db()
    assert (message.status, message.reason) == (Status.CANCELLED, Reason.WITHDRAWN)
    assert message.next_attempt_at is None
    told = AuditEvent.objects.get(action="message.cancelled")
    assert (told.actor, told.before, told.after) == (
        clinic.front_desk,
        {"status": "QUEUED"},
        {"status": "CANCELLED"},
    )
    page = desk.get(address("message_detail", message)).content.decode()
    assert f"Cancelled by {clinic.front_desk.name}." in page
    assert address("message_cancel", message) not in page


@pytest.mark.parametrize("status", [Status.SENDING, Status.SENT])
def test_what_is_on_its_way_cannot_be_cancelled(clinic: Clinic, status: Status) -> None:
    message = write(clinic)
    for step in (Status.SENDING, Status.SENT):
        lifecycle.move(message.pk, step, fields={"next_attempt_at": None})
        if step == status:
            break
    clinic.client(clinic.front_desk).post(address("message_cancel", message))
    message.refresh_from_db()
    assert message.status == status
    assert not AuditEvent.objects.filter(action="message.cancelled").exists()


def test_a_failed_message_that_would_be_tried_again_is_cancelled_with_its_other_channels(clinic: Clinic) -> None:
    message = write(clinic)
    Message.objects.filter(pk=message.pk).update(fallback_channels=["EMAIL"])
    lifecycle.move(message.pk, Status.SENDING)
    lifecycle.fail(message, bounced=False, may_retry=True)
    clinic.client(clinic.front_desk).post(address("message_cancel", message))
    message.refresh_from_db()
    assert (message.status, message.fallback_channels, message.fallback_due_at) == (Status.CANCELLED, [], None)


def test_only_the_own_house_cancels_and_only_by_post(clinic: Clinic, other_clinic: Clinic) -> None:
    message = write(clinic)
    assert other_clinic.client(other_clinic.admin).post(address("message_cancel", message)).status_code == 404
    assert clinic.client(clinic.provider).post(address("message_cancel", message)).status_code == 403
    assert clinic.client(clinic.admin).get(address("message_cancel", message)).status_code == 405
    message.refresh_from_db()
    assert message.status == Status.QUEUED


# --- why, and who looked ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"status": Status.QUEUED}, "goes within seconds"),
        ({"status": Status.SENDING, "provider": "twilio"}, "handed to Twilio right now"),
        ({"status": Status.SENT, "provider": "twilio"}, "no word of its delivery"),
        ({"status": Status.DELIVERED}, "It reached the phone at"),
        ({"status": Status.READ}, "It was read at"),
        ({"status": Status.SUPPRESSED, "reason": Reason.DECEASED}, "Not sent: The patient has died."),
    ],
)
def test_each_message_says_in_a_sentence_what_became_of_it(clinic: Clinic, fields: dict[str, Any], words: str) -> None:
    now = timezone.now()
    message = write(clinic, sent_at=now, delivered_at=now, read_at=now, **fields)
    page = clinic.client(clinic.front_desk).get(address("message_detail", message))
    assert words in page.context["verdict"]
    assert page.context["occasion"] == f"Written by {clinic.front_desk.name}."


def test_who_looks_at_a_message_is_noted_once(clinic: Clinic) -> None:
    message = write(clinic)
    desk = clinic.client(clinic.front_desk)
    for headers in ({}, {"HX-Request": "true"}):
        desk.get(address("message_detail", message), headers=headers)
    look = Look.objects.get()
    assert (look.user, look.patient_id, look.message, look.page) == (
        clinic.front_desk,
        clinic.patient.pk,
        message.pk,
        Look.Page.MESSAGE,
    )


# --- raw reports -----------------------------------------------------------------------------------------------------


def test_admins_see_what_the_provider_said_without_its_secrets(clinic: Clinic, other_clinic: Clinic) -> None:
    message = write(clinic)
    ProviderReceipt.objects.create(
        tenant=clinic.tenant,
        message=message,
        provider="twilio",
        status="delivered",
        dedupe_key="r1",
        payload={"MessageStatus": "delivered", "AccountSid": "AC123", "Deep": [{"AuthToken": "s3cret"}]},
    )
    lifecycle.move(message.pk, Status.SENDING, response={"provider_message_id": "SM9", "api_key": "s3cret"})
    page = clinic.client(clinic.admin).get(address("message_receipts", message)).content.decode()
    assert "MessageStatus" in page
    assert "SM9" in page
    assert raw_reports.HIDDEN in page
    assert "s3cret" not in page
    assert "AC123" not in page
    assert Look.objects.get().page == Look.Page.RECEIPTS
    assert clinic.client(clinic.front_desk).get(address("message_receipts", message)).status_code == 403
    assert other_clinic.client(other_clinic.admin).get(address("message_receipts", message)).status_code == 404
    desk = clinic.client(clinic.front_desk).get(address("message_detail", message)).content.decode()
    assert address("message_receipts", message) not in desk


# --- a template to one patient ---------------------------------------------------------------------------------------


@pytest.fixture
def reminder(clinic: Clinic) -> MessageTemplate:
    """The words of a reminder, and a visit that they can be about."""
    default_words.install(clinic.tenant.pk)
    AppointmentFactory(
        tenant=clinic.tenant,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        number="APT-77",
    )
    return MessageTemplate.objects.get(code__startswith="appointment.reminder_24h", channel=Channel.EMAIL)


def send_page(clinic: Clinic, template: MessageTemplate) -> str:
    return f"{reverse('notifications:message_send')}?patient={clinic.patient.pk}&template={template.pk}"


def fields_of(page: Any) -> dict[str, str]:
    form = page.context["form"]
    return {field.html_name: field.value() or "" for field in form} | {"key": str(uuid.uuid4())}


def test_a_template_comes_filled_from_the_next_visit_and_goes_as_it_was_shown(
    clinic: Clinic, reminder: MessageTemplate
) -> None:
    desk = clinic.client(clinic.front_desk)
    page = desk.get(send_page(clinic, reminder))
    values = fields_of(page)
    assert values["v_number"] == "APT-77"
    assert clinic.patient.name_ar in str(page.context["shown"])
    for _press in range(2):
        answer = desk.post(send_page(clinic, reminder), values)
    message = Message.objects.get(template=reminder)
    assert answer.url == address("message_detail", message)
    assert (message.template_version, message.sent_by) == (reminder.version, clinic.front_desk)
    assert message.status == Status.QUEUED
    assert "APT-77" in message.body
    assert re.search(r"/c/[2-9a-z]{11}", message.body)
    assert message.object_type == "appointments.appointment"


def test_what_a_person_changes_goes_out_changed_and_what_is_emptied_is_refused(
    clinic: Clinic, reminder: MessageTemplate
) -> None:
    desk = clinic.client(clinic.front_desk)
    values = fields_of(desk.get(send_page(clinic, reminder)))
    assert desk.post(send_page(clinic, reminder), values | {"v_location_name": ""}).status_code == 422
    desk.post(send_page(clinic, reminder), values | {"v_location_name": "المبنى الجديد"})
    assert "المبنى الجديد" in Message.objects.get(template=reminder).body


def test_looking_at_a_template_leaves_no_link_behind(clinic: Clinic, reminder: MessageTemplate) -> None:
    from appointments.models import ConfirmationToken

    clinic.client(clinic.front_desk).get(send_page(clinic, reminder))
    assert not ConfirmationToken.objects.exists()


def test_a_template_without_a_visit_or_a_wish_says_why_it_cannot_go(clinic: Clinic, reminder: MessageTemplate) -> None:
    desk = clinic.client(clinic.front_desk)
    NotificationPreference.objects.create(tenant=clinic.tenant, patient=clinic.patient, reminders_enabled=False)
    page = desk.get(send_page(clinic, reminder))
    assert str(Reason.OPT_OUT_TYPE.label) in page.context["filled"].obstacle
    assert desk.post(send_page(clinic, reminder), fields_of(page)).status_code == 422
    assert not Message.objects.exists()


def test_words_for_staff_and_for_others_are_not_offered(
    clinic: Clinic, other_clinic: Clinic, reminder: MessageTemplate
) -> None:
    desk = clinic.client(clinic.front_desk)
    for_staff = MessageTemplate.objects.filter(notification_type=NotificationType.CHANGE, code__endswith=".provider")
    assert desk.get(send_page(clinic, for_staff[0])).status_code == 404
    MessageTemplate.objects.filter(pk=reminder.pk).update(is_active=False)
    assert desk.get(send_page(clinic, reminder)).status_code == 404
    assert other_clinic.client(other_clinic.front_desk).get(send_page(clinic, reminder)).status_code == 404
