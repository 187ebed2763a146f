from __future__ import annotations

import json
from typing import Any

import pytest
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.urls import reverse

from conftest import Clinic
from core.models import AuditEvent, User
from core.tenancy import tenant_scope
from integrations import staff_delivery
from integrations.tests.http_double import Double, double
from integrations.tests.push_service import Browser, browser, push_service
from integrations.tests.test_chat_targets import SLACK, TEAMS, slack
from notifications import inbox, push, push_keys, staff_outbox
from notifications.models import ChatTarget, Notification, NotificationDelivery, PushSubscription
from notifications.staff_outbox import Wish
from notifications.states import DeliveryStatus, DropReason, StaffChannel
from notifications.views.channels import device_name
from tests.factories import PASSWORD

__all__ = ["browser", "double", "push_service", "slack"]

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
PAGE = "/notifications/inbox/"


def subscribe(client: Client, browser: Browser, **more: Any) -> Any:
    body = {"endpoint": browser.endpoint, "keys": {"p256dh": browser.p256dh, "auth": browser.auth}, **more}
    return client.post(
        reverse("notifications:push_subscribe"),
        json.dumps(body),
        content_type="application/json",
        headers={"User-Agent": CHROME},
    )


def sign_in(user: User) -> Client:
    client = Client()
    client.post(reverse("core:sign_in"), {"username": user.email, "password": PASSWORD})
    assert client.session.get("_auth_user_id") == str(user.pk)
    return client


def sign_out(client: Client) -> None:
    client.post(reverse("core:sign_out"))


def card(tag: str, user: User) -> str:
    request = RequestFactory().get(PAGE)
    request.user = user
    return Template(f"{{% load staff_tags %}}{{% {tag} %}}").render(Context({"request": request}))


# --- push ------------------------------------------------------------------------------------------------------------


def test_a_device_is_subscribed_under_a_name_that_people_know(clinic: Clinic, browser: Browser) -> None:
    assert subscribe(clinic.client(clinic.provider), browser).status_code == 200
    row = PushSubscription.objects.get()
    assert (row.user, row.endpoint, row.device) == (clinic.provider, browser.endpoint, "Chrome on Linux")
    assert AuditEvent.objects.filter(action="push.subscribed", actor=clinic.provider).exists()


def test_a_form_does_too(clinic: Clinic, browser: Browser) -> None:
    fields = {"endpoint": browser.endpoint, "p256dh": browser.p256dh, "auth": browser.auth}
    assert clinic.client(clinic.provider).post(reverse("notifications:push_subscribe"), fields).status_code == 200


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"endpoint": "https://10.0.0.1/x"}, "push_host"),
        ({"endpoint": "https://fcm.googleapis.com/" + "x" * 500}, "push_host"),
        ({"keys": {"p256dh": "AAAA", "auth": "AAAA"}}, "push_keys"),
        ({"keys": {"p256dh": push_keys.encode(b"\x04" + b"1" * 64), "auth": push_keys.encode(b"1" * 16)}}, "push_keys"),
        ({"keys": "x"}, "push_keys"),
        ({"endpoint": 5}, "push_host"),
    ],
)
def test_what_is_no_browser_is_refused(clinic: Clinic, browser: Browser, wrong: dict[str, Any], code: str) -> None:
    response = subscribe(clinic.client(clinic.provider), browser, **wrong)
    assert (response.status_code, response.json()["code"]) == (422, code)
    assert not PushSubscription.objects.exists()


@pytest.mark.parametrize("body", ["", "[]", "{", "null"])
def test_nonsense_is_refused(clinic: Clinic, body: str) -> None:
    address = reverse("notifications:push_subscribe")
    response = clinic.client(clinic.provider).post(address, body, content_type="application/json")
    assert response.status_code == 422


def test_a_person_has_at_most_twenty(clinic: Clinic, push_service: Double) -> None:
    client = clinic.client(clinic.provider)
    phones = [Browser(f"{push_service.url}/{number}") for number in range(21)]
    assert [subscribe(client, phone).status_code for phone in phones] == [200] * 20 + [422]
    assert subscribe(client, phones[0]).status_code == 200, "renewing one is no new one"


def test_a_browser_has_one_owner_also_across_clinics(clinic: Clinic, other_clinic: Clinic, browser: Browser) -> None:
    subscribe(clinic.client(clinic.provider), browser)
    subscribe(other_clinic.client(other_clinic.provider), browser)
    assert not PushSubscription.objects.exists()
    with tenant_scope(other_clinic.tenant.pk):
        assert PushSubscription.objects.get().user == other_clinic.provider


def test_patients_have_no_push(clinic: Clinic, browser: Browser) -> None:
    assert subscribe(clinic.client(clinic.patient_user), browser).json()["code"] == "not_allowed"


def test_nothing_changes_without_the_token_of_the_page(clinic: Clinic, browser: Browser) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(clinic.provider, backend="core.auth.AccountBackend")
    assert subscribe(client, browser).status_code == 403
    token = client.get(reverse("notifications:push_token")).json()["token"]
    client.defaults["HTTP_X_CSRFTOKEN"] = token
    assert subscribe(client, browser).status_code == 200


@pytest.mark.parametrize("route", ["push_subscribe", "push_unsubscribe", "push_test", "chat_team_add", "chat_mine_add"])
def test_reading_an_address_changes_nothing(clinic: Clinic, route: str) -> None:
    assert clinic.client(clinic.admin).get(reverse(f"notifications:{route}")).status_code == 405


def test_it_is_turned_off_on_the_device_itself(clinic: Clinic, browser: Browser) -> None:
    client = clinic.client(clinic.provider)
    subscribe(client, browser)
    assert client.post(reverse("notifications:push_unsubscribe"), {"endpoint": browser.endpoint}).status_code == 204
    assert not PushSubscription.objects.exists()


def test_or_from_another_one(clinic: Clinic, browser: Browser) -> None:
    subscribe(clinic.client(clinic.provider), browser)
    address = reverse("notifications:push_remove", args=[PushSubscription.objects.get().pk])
    assert clinic.client(clinic.colleague).post(address).status_code == 404
    response = clinic.client(clinic.provider).post(address, {"next": PAGE})
    assert (response.status_code, response.url) == (303, PAGE)
    assert not PushSubscription.objects.exists()


def test_signing_out_ends_it_on_this_device_only(clinic: Clinic, push_service: Double) -> None:
    desk, phone = sign_in(clinic.provider), sign_in(clinic.provider)
    for client, name in ((desk, "desk"), (phone, "phone")):
        subscribe(client, Browser(f"{push_service.url}/{name}"))
    sign_out(desk)
    assert [row.endpoint for row in PushSubscription.objects.all()] == [f"{push_service.url}/phone"]


def test_the_next_one_at_the_desk_ends_what_the_one_before_forgot(clinic: Clinic, browser: Browser) -> None:
    desk = sign_in(clinic.provider)
    subscribe(desk, browser)
    del desk.cookies["sessionid"]
    desk.post(reverse("core:sign_in"), {"username": clinic.front_desk.email, "password": PASSWORD})
    assert not PushSubscription.objects.exists()


def test_who_leaves_is_reached_nowhere(clinic: Clinic, browser: Browser) -> None:
    subscribe(clinic.client(clinic.provider), browser)
    clinic.client(clinic.provider).post(reverse("notifications:chat_mine_add"), {"name": "Me", "url": SLACK})
    clinic.provider.is_active = False
    clinic.provider.save()
    assert not PushSubscription.objects.exists()
    assert not ChatTarget.objects.get().is_active


def test_a_test_goes_the_way_of_all_others(clinic: Clinic, browser: Browser, push_service: Double) -> None:
    client = clinic.client(clinic.provider)
    subscribe(client, browser)
    client.post(reverse("notifications:push_test"), {"next": PAGE})
    staff_delivery.send_due(clinic.tenant.pk)
    assert browser.read(push_service.requests[0])["url"].startswith("/notifications/")
    assert Notification.objects.get(user=clinic.provider).title == "This is a test"


def test_the_worker_may_serve_the_whole_site(client: Client) -> None:
    response = client.get(reverse("notifications:push_worker"))
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert response.headers["Service-Worker-Allowed"] == "/"
    assert "no-cache" in response.headers["Cache-Control"]
    assert "worker-src 'self'" in response.headers["Content-Security-Policy"]
    assert b"showNotification" in response.content


def test_the_card_lists_devices_without_their_addresses(clinic: Clinic, browser: Browser) -> None:
    subscribe(clinic.client(clinic.provider), browser)
    html = card("push_devices", clinic.provider)
    assert "Chrome on Linux" in html
    assert push.public_key() in html
    assert browser.endpoint not in html
    assert f'value="{PAGE}"' in html


def test_without_a_key_the_card_says_so(clinic: Clinic, settings: Any) -> None:
    settings.VAPID_PRIVATE_KEY = ""
    html = card("push_devices", clinic.provider)
    assert "Push is not set up on this server." in html
    assert "data-push-on" not in html


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (CHROME, "Chrome on Linux"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on macOS"),
        ("curl/8", "A browser"),
    ],
)
def test_devices_have_names(agent: str, name: str) -> None:
    assert device_name(agent) == name


# --- Slack and Teams -------------------------------------------------------------------------------------------------


def test_an_admin_adds_the_clinics_channel_and_nobody_reads_its_address(clinic: Clinic) -> None:
    client = clinic.client(clinic.admin)
    response = client.post(
        reverse("notifications:chat_team_add"), {"name": "Operations", "url": SLACK, "next": PAGE}, follow=True
    )
    assert "The channel is added." in response.content.decode()
    target = ChatTarget.objects.get()
    assert (target.user, target.kind, target.url) == (None, "slack", SLACK)
    html = card("chat_team", clinic.admin)
    assert "Operations" in html
    for place in (html, json.dumps(list(AuditEvent.objects.values_list("before", "after")))):
        assert "hooks.slack.com" not in place
    event = AuditEvent.objects.get(action="chat_target.added")
    assert event.after == {"kind": "slack", "name": "Operations"}


def test_the_address_is_encrypted_in_the_database(clinic: Clinic) -> None:
    from django.db import connection

    clinic.client(clinic.admin).post(reverse("notifications:chat_mine_add"), {"name": "Me", "url": TEAMS})
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT url FROM {ChatTarget._meta.db_table}")
        (stored,) = cursor.fetchone()
    assert "azure" not in stored


@pytest.mark.parametrize("role", ["front_desk", "provider", "patient_user"])
def test_only_admins_touch_the_clinics_channels(clinic: Clinic, role: str) -> None:
    user = getattr(clinic, role)
    client = clinic.client(user)
    assert client.post(reverse("notifications:chat_team_add"), {"name": "x", "url": SLACK}).status_code == 403
    target = ChatTarget.objects.create(tenant=clinic.tenant, name="Operations", url=SLACK, kind="slack")
    for verb in ("remove", "test"):
        assert client.post(reverse(f"notifications:chat_{verb}", args=[target.pk])).status_code == 404
    assert "Operations" not in card("chat_team", user)


def test_a_wrong_address_is_refused_and_not_repeated(clinic: Clinic) -> None:
    client = clinic.client(clinic.admin)
    address = "https://evil.example/secret-token"
    response = client.post(
        reverse("notifications:chat_mine_add"), {"name": "Me", "url": address, "next": PAGE}, follow=True
    )
    assert "This is no address of a Slack webhook" in response.content.decode()
    assert "secret-token" not in response.content.decode()
    assert not ChatTarget.objects.exists()


def test_there_is_an_end_to_the_channels(clinic: Clinic) -> None:
    client = clinic.client(clinic.provider)
    for number in range(4):
        client.post(reverse("notifications:chat_mine_add"), {"name": f"{number}", "url": SLACK})
    assert ChatTarget.objects.count() == 3


def test_a_channel_is_tested_and_removed(clinic: Clinic, slack: Double) -> None:
    client = clinic.client(clinic.admin)
    for route, wanted in (("chat_team_add", 1), ("chat_mine_add", 2)):
        client.post(reverse(f"notifications:{route}"), {"name": route, "url": SLACK})
        target = ChatTarget.objects.get(name=route)
        client.post(reverse("notifications:chat_test", args=[target.pk]))
        staff_delivery.send_due(clinic.tenant.pk)
        assert len(slack.requests) == wanted
        client.post(reverse("notifications:chat_remove", args=[target.pk]))
    assert not ChatTarget.objects.exists()
    assert AuditEvent.objects.filter(action="chat_target.removed").count() == 2


# --- the history -----------------------------------------------------------------------------------------------------


def test_a_notification_shows_what_became_of_it(clinic: Clinic) -> None:
    one = inbox.notify(user=clinic.admin, title="News")
    wish = Wish(one.pk, clinic.admin.pk, StaffChannel.PUSH, one.created_at)
    staff_outbox.enqueue(tenant_id=clinic.tenant.pk, deliveries=[wish])
    NotificationDelivery.objects.update(status=DeliveryStatus.DROPPED, reason=DropReason.NO_DEVICE)
    request = RequestFactory().get(PAGE)
    request.user = clinic.admin
    template = Template("{% load staff_tags %}{% deliveries_of one %}")
    html = template.render(Context({"request": request, "one": one}))
    assert "Browser push" in html
    assert "Not sent" in html
    assert "No browser is registered" in html
