from __future__ import annotations

import datetime as dt
import email
import email.policy
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from conftest import Clinic
from core.models import User
from core.tenancy import tenant_scope
from integrations import staff_delivery
from integrations.delivery import deliver
from integrations.providers.letter import html
from integrations.sms_providers import Outgoing
from integrations.tasks import send_staff_deliveries_task
from integrations.tests.http_double import Answer, Double, double
from integrations.tests.push_service import Browser, browser, push_service
from integrations.tests.smtp_server import MailServer
from integrations.tests.test_chat_targets import SLACK, slack
from notifications import chat, inbox, staff_outbox
from notifications import push as browsers
from notifications.models import (
    ChatTarget,
    Escalation,
    Message,
    Notification,
    NotificationDelivery,
    NotificationEvent,
    PushSubscription,
    StaffPreference,
)
from notifications.staff_outbox import Wish
from notifications.states import (
    Category,
    DeliveryStatus,
    DropReason,
    EscalationStatus,
    NotificationType,
    StaffChannel,
    Status,
)

__all__ = ["browser", "double", "push_service", "slack"]

PUSH, EMAIL, CHAT = StaffChannel.PUSH, StaffChannel.EMAIL, StaffChannel.CHAT
SECRET_NAME = "Sara Al-Mutairi"


def note(user: User, category: Category = Category.SYSTEM, **fields: Any) -> Notification:
    words = {"title": f"{SECRET_NAME} has arrived", "title_ar": "وصلت سارة المطيري", "message": "Room 3"}
    return inbox.notify(user=user, category=category, **(words | fields))


def wish(clinic: Clinic, one: Notification, channel: StaffChannel, held_for: str = "", **more: Any) -> None:
    due_at = more.pop("due_at", timezone.now())
    staff_outbox.enqueue(
        tenant_id=clinic.tenant.pk, deliveries=[Wish(one.pk, one.user_id, channel, due_at, held_for)], **more
    )


def sent(clinic: Clinic) -> dict[str, int]:
    return staff_delivery.send_due(clinic.tenant.pk)


def only() -> NotificationDelivery:
    return NotificationDelivery.objects.get()


def register(user: User, browser: Browser) -> PushSubscription:
    return browsers.subscribe(user=user, endpoint=browser.endpoint, p256dh=browser.p256dh, auth=browser.auth)


# --- email -----------------------------------------------------------------------------------------------------------


def test_an_email_says_what_the_bell_says_and_leads_there(clinic: Clinic, settings: Any) -> None:
    one = note(clinic.admin)
    wish(clinic, one, EMAIL)
    sent(clinic)
    row = only()
    assert (row.status, row.reason) == (DeliveryStatus.SENT, "")
    message = row.email
    assert message is not None
    assert (message.notification_type, message.channel) == (NotificationType.STAFF, "EMAIL")
    assert (message.user, message.recipient, message.status) == (clinic.admin, clinic.admin.email, Status.QUEUED)
    assert message.subject == f"{SECRET_NAME} has arrived"
    assert "Room 3" in message.body
    assert f"{settings.PUBLIC_BASE_URL}/notifications/{one.pk}/open/" in message.body


def test_a_second_run_sends_nothing(clinic: Clinic) -> None:
    wish(clinic, note(clinic.admin), EMAIL)
    sent(clinic)
    assert "sent" not in sent(clinic)
    assert Message.objects.count() == 1


def test_what_was_held_becomes_one_summary(clinic: Clinic) -> None:
    StaffPreference.objects.create(tenant=clinic.tenant, user=clinic.admin, timezone="Europe/London")
    noon = dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC)
    for place, category in enumerate((Category.SYSTEM, Category.APPOINTMENT, Category.SYSTEM)):
        one = note(clinic.admin, category, title=f"News {place}")
        Notification.objects.filter(pk=one.pk).update(activity_at=noon)
        wish(clinic, one, EMAIL, "digest")
    assert sent(clinic)["merged"] == 3
    message = Message.objects.get()
    assert message.subject == "3 notifications"
    system, rest = message.body.index("System alerts"), message.body.index("Appointments")
    assert rest < system < message.body.index("News 0") < message.body.index("News 2")
    assert "1:00 PM" in message.body, "noon in UTC is one o'clock on a London summer's day"
    assert "/notifications/inbox/" in message.body
    assert set(NotificationDelivery.objects.values_list("status", "email")) == {(DeliveryStatus.MERGED, message.pk)}


def test_a_summary_in_arabic_reads_from_the_right(clinic: Clinic) -> None:
    User.objects.filter(pk=clinic.admin.pk).update(language="ar")
    for _number in range(2):
        wish(clinic, note(clinic.admin), EMAIL, "quiet")
    sent(clinic)
    message = Message.objects.get()
    assert message.language == "ar"
    assert "وصلت سارة المطيري" in message.body
    outgoing = Outgoing(
        message_id=message.pk,
        attempt=1,
        channel="EMAIL",
        to=message.recipient,
        sender=message.sender,
        subject=message.subject,
        body=message.body,
        language="ar",
        callback_url="",
        valid_seconds=60,
    )
    assert 'dir="rtl"' in html(outgoing)


def test_people_do_not_share_a_summary(clinic: Clinic) -> None:
    for user in (clinic.admin, clinic.front_desk):
        for _number in range(2):
            wish(clinic, note(user), EMAIL, "digest")
    sent(clinic)
    assert set(Message.objects.values_list("user", "subject")) == {
        (clinic.admin.pk, "2 notifications"),
        (clinic.front_desk.pk, "2 notifications"),
    }


def test_what_is_not_due_waits(clinic: Clinic) -> None:
    wish(clinic, note(clinic.admin), EMAIL, "digest", due_at=timezone.now() + dt.timedelta(hours=1))
    assert not any(sent(clinic).values())
    assert only().status == DeliveryStatus.PENDING


def test_a_crash_before_the_record_makes_no_second_email(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    wish(clinic, note(clinic.admin), EMAIL)
    finish = staff_outbox.finish
    with monkeypatch.context() as patch:
        patch.setattr(staff_outbox, "finish", lambda *_args, **_more: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(MemoryError):
            sent(clinic)
    assert finish is staff_outbox.finish
    NotificationDelivery.objects.update(lease_expires_at=timezone.now())
    sent(clinic)
    assert Message.objects.count() == 1
    assert only().status == DeliveryStatus.SENT


@pytest.fixture
def post_office(settings: Any) -> Iterator[MailServer]:
    server = MailServer()
    settings.EMAIL_PROVIDER, settings.EMAIL_URL = ["smtp"], f"smtp://127.0.0.1:{server.port}"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
    yield server
    server.stop()


@pytest.mark.django_db(transaction=True)
def test_a_summary_arrives_by_a_mail_server(clinic: Clinic, post_office: MailServer) -> None:
    User.objects.filter(pk=clinic.admin.pk).update(language="ar")
    for number in range(3):
        wish(clinic, note(clinic.admin, title_ar=f"خبر {number}"), EMAIL, "digest")
    sent(clinic)
    assert deliver(Message.objects.get().pk)
    (raw,) = post_office.mails
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert "3" in mail["Subject"]
    assert mail["To"] == clinic.admin.email
    parts = {part.get_content_type(): part.get_content() for part in mail.iter_parts()}
    assert all(f"خبر {number}" in parts["text/plain"] for number in range(3))
    assert 'dir="rtl"' in parts["text/html"]
    sent(clinic)
    assert len(post_office.mails) == 1


# --- everything is checked again -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"is_read": True}, DropReason.ALREADY_READ),
        ({"archived_at": timezone.now()}, DropReason.ALREADY_READ),
        ({"acknowledged_at": timezone.now()}, DropReason.ALREADY_READ),
        ({"snoozed_until": timezone.now() + dt.timedelta(days=1)}, DropReason.ALREADY_READ),
        ({"resolved_at": timezone.now()}, DropReason.NO_LONGER_TRUE),
    ],
)
def test_what_was_dealt_with_in_the_bell_is_dropped(clinic: Clinic, change: dict[str, Any], reason: str) -> None:
    one = note(clinic.admin)
    wish(clinic, one, EMAIL)
    Notification.objects.filter(pk=one.pk).update(**change)
    assert sent(clinic)["dropped"] == 1
    row = only()
    assert (row.status, row.reason) == (DeliveryStatus.DROPPED, reason)
    assert row.finished_at is not None
    assert not Message.objects.exists()


def test_a_suspended_clinic_sends_nothing_and_loses_nothing(clinic: Clinic) -> None:
    wish(clinic, note(clinic.admin), EMAIL)
    type(clinic.tenant).objects.filter(pk=clinic.tenant.pk).update(is_active=False)
    assert sent(clinic) == {}
    assert only().status == DeliveryStatus.PENDING


def test_what_is_gone_is_no_news_and_stops_nobody_elses(clinic: Clinic) -> None:
    event = NotificationEvent.objects.create(tenant=clinic.tenant, key="of.an.older.release", dedupe_key="x")
    gone, fresh = note(clinic.admin, event=event), note(clinic.admin)
    for one in (gone, fresh):
        wish(clinic, one, EMAIL)
    sent(clinic)
    assert dict(NotificationDelivery.objects.values_list("notification", "reason")) == {
        gone.pk: DropReason.NO_LONGER_TRUE,
        fresh.pk: "",
    }


def test_an_alert_that_somebody_has_answered_goes_no_further(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staff_delivery, "_is_void", lambda _event: False)
    event = NotificationEvent.objects.create(tenant=clinic.tenant, key="provider.down", dedupe_key="x")
    one = note(clinic.admin, event=event)
    Escalation.objects.create(tenant=clinic.tenant, event=event, status=EscalationStatus.STOPPED, due_at=timezone.now())
    wish(clinic, one, EMAIL, step=1)
    sent(clinic)
    assert only().reason == DropReason.NO_LONGER_TRUE


def test_who_has_left_gets_nothing(clinic: Clinic) -> None:
    wish(clinic, note(clinic.admin), EMAIL)
    User.objects.filter(pk=clinic.admin.pk).update(is_active=False)
    sent(clinic)
    assert only().reason == DropReason.STAFF_INACTIVE


def test_what_was_switched_off_since_is_dropped(clinic: Clinic) -> None:
    wish(clinic, note(clinic.admin), EMAIL)
    StaffPreference.objects.create(tenant=clinic.tenant, user=clinic.admin, matrix={"SYSTEM": ["IN_APP"]})
    sent(clinic)
    assert only().reason == DropReason.SWITCHED_OFF


def test_a_step_of_an_escalation_asks_no_matrix(clinic: Clinic) -> None:
    StaffPreference.objects.create(tenant=clinic.tenant, user=clinic.admin, matrix={"SYSTEM": ["IN_APP"]})
    wish(clinic, note(clinic.admin), EMAIL, step=1)
    sent(clinic)
    assert only().status == DeliveryStatus.SENT


def test_what_is_too_late_is_dropped(clinic: Clinic) -> None:
    wish(clinic, note(clinic.admin), EMAIL, useful_until=timezone.now() - dt.timedelta(seconds=1))
    sent(clinic)
    assert only().reason == DropReason.PAST_DUE


def test_one_that_was_read_meanwhile_is_not_in_the_summary(clinic: Clinic) -> None:
    read, fresh = note(clinic.admin, title="Old news"), note(clinic.admin, title="Fresh news")
    for one in (read, fresh):
        wish(clinic, one, EMAIL, "digest")
    inbox.mark_read(clinic.admin, read.pk)
    sent(clinic)
    message = Message.objects.get()
    assert message.subject == "Fresh news"
    assert "Old news" not in message.body
    assert dict(NotificationDelivery.objects.values_list("notification", "reason")) == {
        read.pk: DropReason.ALREADY_READ,
        fresh.pk: "",
    }


# --- push ------------------------------------------------------------------------------------------------------------


def test_a_lock_screen_names_nobody(clinic: Clinic, browser: Browser, push_service: Double) -> None:
    register(clinic.admin, browser)
    one = note(clinic.admin, Category.ARRIVAL)
    wish(clinic, one, PUSH)
    sent(clinic)
    (request,) = push_service.requests
    shown = browser.read(request)
    assert shown == {
        "title": "Arrivals",
        "body": "1 new notification",
        "url": f"/notifications/{one.pk}/open/",
        "tag": one.pk.hex,
        "lang": "en",
        "dir": "ltr",
    }
    assert only().status == DeliveryStatus.SENT
    assert PushSubscription.objects.get().last_success_at is not None


def test_what_came_in_the_quiet_time_is_one_message(clinic: Clinic, browser: Browser, push_service: Double) -> None:
    register(clinic.admin, browser)
    for _number in range(5):
        wish(clinic, note(clinic.admin), PUSH, "quiet")
    assert sent(clinic)["merged"] == 5
    (request,) = push_service.requests
    assert browser.read(request)["body"] == "5 notifications while you were away"


def test_every_device_of_a_person_rings(clinic: Clinic, push_service: Double) -> None:
    phones = [Browser(f"{push_service.url}/send/{name}") for name in ("one", "two")]
    for phone in phones:
        register(clinic.admin, phone)
    wish(clinic, note(clinic.admin), PUSH)
    sent(clinic)
    assert sorted(request.path for request in push_service.requests) == ["/send/one", "/send/two"]


@pytest.mark.parametrize("status", [404, 410])
def test_a_dead_browser_is_forgotten(clinic: Clinic, browser: Browser, push_service: Double, status: int) -> None:
    register(clinic.admin, browser)
    push_service.answer = Answer(status, b"")
    wish(clinic, note(clinic.admin), PUSH)
    sent(clinic)
    assert not PushSubscription.objects.exists()
    assert (only().status, only().reason) == (DeliveryStatus.DROPPED, DropReason.NO_DEVICE)


def test_other_failures_keep_the_browser(clinic: Clinic, browser: Browser, push_service: Double) -> None:
    register(clinic.admin, browser)
    push_service.answer = Answer(403, b"")
    wish(clinic, note(clinic.admin), PUSH)
    sent(clinic)
    assert PushSubscription.objects.exists()
    assert (only().status, only().reason) == (DeliveryStatus.FAILED, DropReason.UNREACHABLE)


def test_a_busy_service_is_tried_three_times_with_a_pause(
    clinic: Clinic, browser: Browser, push_service: Double
) -> None:
    register(clinic.admin, browser)
    push_service.answer = Answer(503, b"")
    wish(clinic, note(clinic.admin), PUSH)
    for tries in (1, 2):
        assert sent(clinic)["again"] == 1
        assert only().attempts == tries
        assert only().due_at > timezone.now() + dt.timedelta(seconds=20)
        assert not any(sent(clinic).values()), "not before the pause is over"
        NotificationDelivery.objects.update(due_at=timezone.now())
    sent(clinic)
    assert len(push_service.requests) == 3
    assert (only().status, only().reason) == (DeliveryStatus.FAILED, DropReason.UNREACHABLE)


def test_nothing_is_tried_again_once_it_is_too_late(clinic: Clinic, browser: Browser, push_service: Double) -> None:
    register(clinic.admin, browser)
    push_service.answer = Answer(503, b"")
    wish(clinic, note(clinic.admin), PUSH, useful_until=timezone.now() + dt.timedelta(minutes=5))
    sent(clinic)
    NotificationDelivery.objects.update(due_at=timezone.now(), useful_until=timezone.now())
    sent(clinic)
    assert len(push_service.requests) == 1
    assert only().reason == DropReason.PAST_DUE


def test_a_call_without_a_record_is_not_made_again(clinic: Clinic, browser: Browser, push_service: Double) -> None:
    register(clinic.admin, browser)
    wish(clinic, note(clinic.admin), PUSH)
    claim = staff_outbox.claim()
    assert claim is not None
    staff_outbox.start_attempt(claim.rows, claim.lease)
    NotificationDelivery.objects.update(lease_expires_at=timezone.now())
    sent(clinic)
    assert not push_service.requests
    assert (only().status, only().reason) == (DeliveryStatus.FAILED, DropReason.UNREACHABLE)


def test_no_browser_no_push(clinic: Clinic, push_service: Double) -> None:
    wish(clinic, note(clinic.admin), PUSH)
    sent(clinic)
    assert only().reason == DropReason.NO_DEVICE


def test_without_our_key_push_is_off(clinic: Clinic, settings: Any) -> None:
    settings.VAPID_PRIVATE_KEY = ""
    wish(clinic, note(clinic.admin), PUSH)
    sent(clinic)
    assert only().reason == DropReason.SWITCHED_OFF


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_a_service_is_called(
    clinic: Clinic, browser: Browser, push_service: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(clinic.admin, browser)
    seen: list[bool] = []
    made = staff_delivery._make

    def make(*args: Any) -> Any:
        seen.append(connection.in_atomic_block)
        return made(*args)

    monkeypatch.setattr(staff_delivery, "_make", make)
    wish(clinic, note(clinic.admin), PUSH)
    sent(clinic)
    assert seen == [False]
    assert len(push_service.requests) == 1


@pytest.mark.django_db(transaction=True)
def test_two_senders_make_one_call(clinic: Clinic, browser: Browser, push_service: Double) -> None:
    register(clinic.admin, browser)
    rows = 6
    for place in range(rows):
        wish(clinic, note(clinic.admin), PUSH, "quiet" if place % 2 else "")
    push_service.answer = Answer(201, b"", pause=0.2)
    barrier = threading.Barrier(4)
    counts: list[dict[str, int]] = []

    def work() -> None:
        try:
            barrier.wait(10)
            counts.append(staff_delivery.send_due(clinic.tenant.pk))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _sender in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(counts) == 4
    assert len(push_service.requests) == 3 + 1, "three alone, and one for the three that were held"
    assert sum(one.get("sent", 0) + one.get("merged", 0) for one in counts) == rows


# --- chat ------------------------------------------------------------------------------------------------------------


def test_a_persons_own_channel_hears_what_kind_and_where(clinic: Clinic, slack: Double, settings: Any) -> None:
    chat.target_add(actor=clinic.admin, name="Me", url=SLACK, is_team=False)
    one = note(clinic.admin)
    wish(clinic, one, CHAT)
    sent(clinic)
    (request,) = slack.requests
    assert "System alerts" in request.body
    assert f"/notifications/{one.pk}/open/" in request.body
    assert "Sara" not in request.body
    assert only().status == DeliveryStatus.SENT
    assert ChatTarget.objects.get().last_success_at is not None


def test_without_a_channel_there_is_nobody_to_tell(clinic: Clinic, slack: Double) -> None:
    wish(clinic, note(clinic.admin), CHAT)
    sent(clinic)
    assert only().reason == DropReason.NO_TARGET


def test_a_system_alert_goes_once_to_each_of_the_tenants_channels(clinic: Clinic, slack: Double) -> None:
    chat.target_add(actor=clinic.admin, name="Operations", url=SLACK, is_team=True)
    chat.target_add(actor=clinic.admin, name="Night", url=f"{SLACK}b", is_team=True)
    told = [note(clinic.admin).pk, note(clinic.front_desk).pk]
    for _again in range(2):
        staff_outbox.enqueue_for_team(tenant_id=clinic.tenant.pk, notification_ids=told)
    sent(clinic)
    assert len(slack.requests) == 2
    assert len({request.path for request in slack.requests}) == 2
    assert {row.status for row in NotificationDelivery.objects.all()} == {DeliveryStatus.SENT}


def test_the_tenants_channel_hears_it_though_one_admin_has_read_it(clinic: Clinic, slack: Double) -> None:
    chat.target_add(actor=clinic.admin, name="Operations", url=SLACK, is_team=True)
    one = note(clinic.admin)
    staff_outbox.enqueue_for_team(tenant_id=clinic.tenant.pk, notification_ids=[one.pk])
    inbox.mark_read(clinic.admin, one.pk)
    sent(clinic)
    assert len(slack.requests) == 1


def test_one_clinics_rows_are_not_sent_for_another(clinic: Clinic, other_clinic: Clinic, slack: Double) -> None:
    wish(clinic, note(clinic.admin), EMAIL)
    assert not any(sent(other_clinic).values())
    with tenant_scope(other_clinic.tenant.pk):
        assert not Message.objects.exists()


# --- the doorbell ----------------------------------------------------------------------------------------------------


def test_what_is_due_rings_for_its_clinic_and_the_clock_walks_all(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    published: list[tuple[Any, ...]] = []
    monkeypatch.setattr("core.queueing.publish", lambda task, *args, **_more: published.append((task.name, *args)))
    with django_capture_on_commit_callbacks(execute=True):
        wish(clinic, note(clinic.admin), EMAIL)
    assert published == [(send_staff_deliveries_task.name, str(clinic.tenant.pk))]
    assert send_staff_deliveries_task()["sent"] == 1
