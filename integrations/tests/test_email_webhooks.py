"""The mail service reports: who may, what is kept, and what it means for the message and the address."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import pytest
from anymail.signals import AnymailTrackingEvent, tracking
from django.test import Client
from django.utils import timezone

from conftest import Clinic
from integrations import email_webhooks
from notifications import receipts
from notifications.models import Message, MessageAttempt, MessageLog, ProviderReceipt, SuppressedAddress
from notifications.states import NotificationType, Outcome, Reason, Status

MAIL = "b7bc2f4a-e38e-4336-af7d-e6c392c2f817"
AT = "2026-11-23T10:00:00Z"


@pytest.fixture(autouse=True)
def postmark(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    settings.EMAIL_PROVIDER, settings.ANYMAIL_ESP = ["anymail"], "postmark"
    settings.ANYMAIL = {"POSTMARK_SERVER_TOKEN": "the-token"}
    settings.ANYMAIL_WEBHOOK_SECRET = ["noor:secret", "noor:next"]


@pytest.fixture
def message(clinic: Clinic) -> Message:
    """A mail that the service has taken."""
    made = Message.objects.create(
        tenant=clinic.tenant,
        patient=clinic.patient,
        notification_type=NotificationType.GENERAL,
        channel="EMAIL",
        recipient=clinic.patient.email,
        language="ar",
        subject="private",
        body="words",
        status=Status.SENT,
        sent_at=timezone.now(),
        provider="anymail",
        provider_message_id=MAIL,
        dedupe_key=str(uuid.uuid4()),
        attempt_count=1,
    )
    MessageAttempt.objects.create(
        tenant=clinic.tenant,
        message=made,
        number=1,
        provider="anymail",
        lease_token=uuid.uuid4(),
        started_at=timezone.now(),
        finished_at=timezone.now(),
        outcome=Outcome.ACCEPTED,
        provider_message_id=MAIL,
    )
    return made


def report(message: Message | None = None, *, secret: str = "noor:secret", **event: Any) -> int:
    """What Postmark posts; the answer's status."""
    ours = {"message_id": str(message.pk), "attempt": "1"} if message else {}
    known = {"MessageID": MAIL, "Metadata": ours, "Recipient": "sara@mail.example", "Subject": "private", "Tag": ""}
    headers = {"Authorization": f"Basic {base64.b64encode(secret.encode()).decode()}"} if secret else {}
    answer = Client(enforce_csrf_checks=True).post(
        "/webhooks/email/", json.dumps(known | event), content_type="application/json", headers=headers
    )
    return int(answer.status_code)


def delivered(message: Message | None = None, **more: Any) -> int:
    return report(message, RecordType="Delivery", DeliveredAt=AT, Details="250 sara@mail.example 2.0.0", **more)


def bounced(message: Message | None, kind: str = "HardBounce") -> int:
    return report(
        message,
        RecordType="Bounce",
        ID=42,
        Type=kind,
        Email="sara@mail.example",
        BouncedAt=AT,
        Details="smtp;550 5.1.1 <sara@mail.example> unknown",
    )


def complained(message: Message | None) -> int:
    return report(message, RecordType="SpamComplaint", ID=43, Type="SpamComplaint", BouncedAt=AT)


def outcome(message: Message) -> tuple[str, str]:
    """Status and error code once what is stored has been applied."""
    receipts.apply_stored()
    message.refresh_from_db()
    return message.status, message.error_code


def test_a_delivery_moves_the_message(message: Message) -> None:
    assert delivered(message) == 200
    receipt = ProviderReceipt.objects.get()
    assert (receipt.provider, receipt.status, receipt.attempt) == ("anymail", "delivered", 1)
    assert (receipt.message_ref, receipt.provider_message_id) == (str(message.pk), MAIL)
    assert outcome(message) == (Status.DELIVERED, "")


def test_neither_address_nor_subject_is_kept(message: Message) -> None:
    bounced(message)
    assert ProviderReceipt.objects.get().payload == {
        "service": "Postmark",
        "event": "bounced",
        "event_id": "42",
        "reason": "bounced",
        "mail_status": "5.1.1",
        "at": "2026-11-23T10:00:00+00:00",
    }


@pytest.mark.parametrize("secret", ["", "noor:wrong", "secret", "noor:secret:", "é:é"])
def test_without_our_secret_nothing_is_believed(message: Message, secret: str) -> None:
    assert delivered(message, secret=secret) == 403
    assert not ProviderReceipt.objects.exists()


def test_while_the_secret_changes_both_are_good(message: Message) -> None:
    assert delivered(message, secret="noor:next") == 200


@pytest.mark.parametrize("setting", ["ANYMAIL_ESP", "ANYMAIL_WEBHOOK_SECRET"])
def test_without_a_service_or_a_secret_there_is_no_such_address(message: Message, settings: Any, setting: str) -> None:
    settings.ANYMAIL = {"WEBHOOK_SECRET": ""}
    setattr(settings, setting, "")
    assert delivered(message) == 404
    assert not ProviderReceipt.objects.exists()


def test_what_is_no_report_is_refused(message: Message) -> None:
    headers = {"Authorization": f"Basic {base64.b64encode(b'noor:secret').decode()}"}
    for body in ("", "no json", b"\xff\xfe"):
        answer = Client().post("/webhooks/email/", body, content_type="application/json", headers=headers)
        assert answer.status_code == 400
    assert Client().get("/webhooks/email/").status_code == 405
    assert Client().head("/webhooks/email/").status_code == 200


def test_the_same_event_again_is_one_row_and_one_move(message: Message) -> None:
    for _turn in range(3):
        assert delivered(message) == 200
    assert ProviderReceipt.objects.count() == 1
    assert outcome(message) == (Status.DELIVERED, "")
    assert MessageLog.objects.filter(message=message, status=Status.DELIVERED).count() == 1


def test_an_unknown_mail_is_kept_and_the_service_thanked(clinic: Clinic) -> None:
    assert delivered() == 200
    assert report(RecordType="Delivery", DeliveredAt=AT, Metadata={"message_id": "?", "attempt": "-1"}) == 200
    receipts.apply_stored()
    assert ProviderReceipt.objects.filter(message=None, attempt=None).count() == 2


def test_without_our_id_the_mail_is_found_by_the_services(message: Message) -> None:
    assert delivered() == 200
    assert outcome(message) == (Status.DELIVERED, "")


def test_a_hard_bounce_corrects_a_delivery_and_stops_the_address(message: Message) -> None:
    delivered(message)
    assert outcome(message) == (Status.DELIVERED, "")
    bounced(message)
    assert outcome(message) == (Status.BOUNCED, "bounced")
    assert SuppressedAddress.objects.get().reason == Reason.CONTACT_UNDELIVERABLE


@pytest.mark.parametrize(("kind", "code"), [("SoftBounce", "soft_bounce"), ("Blocked", "blocked")])
def test_a_bounce_that_says_nothing_about_the_address_stops_nothing(message: Message, kind: str, code: str) -> None:
    bounced(message, kind)
    assert outcome(message) == (Status.FAILED, code)
    assert not SuppressedAddress.objects.exists()


def test_a_bad_address_is_dead(message: Message) -> None:
    bounced(message, "BadEmailAddress")
    assert outcome(message) == (Status.BOUNCED, "invalid")


def test_a_complaint_stops_the_address_and_fails_nothing(message: Message) -> None:
    complained(message)
    assert outcome(message)[0] == Status.DELIVERED
    assert SuppressedAddress.objects.get().reason == Reason.COMPLAINED


def test_who_unsubscribes_gets_no_more_mail(message: Message) -> None:
    delivered(message)
    report(
        message,
        RecordType="SubscriptionChange",
        SuppressSending=True,
        SuppressionReason="ManualSuppression",
        ChangedAt=AT,
    )
    assert outcome(message)[0] == Status.DELIVERED
    assert SuppressedAddress.objects.get().reason == Reason.OPTED_OUT


@pytest.mark.parametrize("record", ["Open", "Click"])
def test_that_somebody_opened_it_is_kept_and_not_believed(message: Message, record: str) -> None:
    assert report(message, RecordType=record, ReceivedAt=AT, UserAgent="x", OriginalLink="https://y.example") == 200
    assert ProviderReceipt.objects.get().payload["event"] == {"Open": "opened", "Click": "clicked"}[record]
    assert outcome(message) == (Status.SENT, "")


def test_a_delay_proves_that_the_service_has_the_mail(message: Message) -> None:
    Message.objects.filter(pk=message.pk).update(status=Status.UNCONFIRMED, provider_message_id="")
    bounced(message, "Transient")
    assert outcome(message) == (Status.SENT, "")


@pytest.mark.parametrize(
    ("kind", "reason", "esp_event", "read"),
    [
        ("queued", None, {}, ("queued", "")),
        ("sent", None, None, ("sent", "")),
        ("bounced", "bounced", {"event": "hard_bounce"}, ("bounced", "bounced")),
        ("bounced", "bounced", {"event": "soft_bounce"}, ("failed", "soft_bounce")),
        ("bounced", "timed_out", {}, ("failed", "timed_out")),
        ("bounced", "spam", {}, ("failed", "spam")),
        ("bounced", None, [], ("failed", "other")),
        ("rejected", "unsubscribed", {}, ("rejected", "unsubscribed")),
        ("rejected", None, {}, ("rejected", "other")),
        ("failed", None, {}, ("failed", "other")),
    ],
)
def test_an_event_of_any_service_has_one_word_and_one_code(
    kind: str, reason: str | None, esp_event: Any, read: tuple[str, str]
) -> None:
    event = AnymailTrackingEvent(event_type=kind, reject_reason=reason, esp_event=esp_event)
    assert email_webhooks._read(event) == read


def test_each_of_a_batch_of_events_is_kept(clinic: Clinic) -> None:
    for number in range(3):
        event = AnymailTrackingEvent(event_type="delivered", message_id=f"mail-{number}", metadata=None)
        tracking.send(sender=None, event=event, esp_name="SendGrid")
    assert ProviderReceipt.objects.count() == 3


@pytest.mark.parametrize("service", ["postmark", "mailgun", "sendgrid", "mandrill", "sparkpost", "brevo", "mailjet"])
def test_each_service_has_its_reader(service: str) -> None:
    assert email_webhooks._view_class(service) is not None
