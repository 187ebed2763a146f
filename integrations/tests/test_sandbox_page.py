"""The demo's phone and mailbox: what a visitor sees and does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from conftest import Clinic
from integrations.providers.sandbox import SandboxProvider
from integrations.sandbox import client as asked
from integrations.sandbox import screen
from integrations.sandbox.server import SandboxServer
from integrations.sandbox.store import Store
from integrations.tests.sandbox_fixtures import NUMBER, Listener, listener, outgoing, sandbox, wait_for

__all__ = ["listener", "sandbox"]
HTMX = {"HX-Request": "true"}
ARABIC = "مرحبًا سارة، للتأكيد: \u2066https://clinic.example/c/7KQ2PX/\u2069"


@pytest.fixture
def phone(sandbox: SandboxServer, db: None) -> SandboxServer:
    """A phone with an SMS and a WhatsApp, and a mailbox."""
    provider = SandboxProvider()
    provider.send(outgoing(body="By SMS", sender="NOOR"))
    provider.send(outgoing(body=ARABIC, channel="WHATSAPP", language="ar"))
    sandbox.store.add_mail(
        mailbox="sara@mail.example",
        sender="عيادات نور <desk@noor.example>",
        subject="تأكيد <b>موعدك</b>",
        text="<script>alert(1)</script> مرحبًا",
        language="ar",
        message_id="<1@x>",
    )
    wait_for(lambda: all(m.status in ("delivered", "read") for m in sandbox.store.messages_of(NUMBER)))
    return sandbox


def page(**query: str) -> str:
    answer = Client().get("/sandbox/", query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_anybody_may_look_in_the_demo(phone: SandboxServer) -> None:
    html = page()
    assert "sara@mail.example" in html
    assert "+966 50 123 4567" in html


def test_without_the_sandbox_there_is_no_such_page(settings: Any, db: None) -> None:
    settings.SANDBOX_ENABLED = False
    assert Client().get("/sandbox/").status_code == 404
    assert Client().get("/sandbox/refresh/", headers=HTMX).status_code == 404
    assert Client().post("/sandbox/reply/").status_code == 404


def test_a_member_of_staff_sees_it_inside_the_shell(phone: SandboxServer, clinic: Clinic) -> None:
    html = clinic.client(clinic.front_desk).get("/sandbox/").content.decode()
    assert 'class="side"' in html
    assert NUMBER[-4:] in html


def test_an_arabic_message_is_shown_from_right_to_left_with_a_clean_link(phone: SandboxServer) -> None:
    html = page(phone=NUMBER, app="WHATSAPP")
    assert '<div class="phone-b" dir="rtl">' in html
    assert '<a href="https://clinic.example/c/7KQ2PX/" target="_blank" rel="noopener noreferrer">' in html
    assert "By SMS" not in html.split('id="sandbox-log"')[1]
    assert "x-sb-wa" in html


def test_each_app_has_its_own_messages_and_look(phone: SandboxServer) -> None:
    html = page(phone=NUMBER, app="SMS")
    log = html.split('id="sandbox-log"')[1]
    assert "By SMS" in log
    assert "Delivered" in log
    assert "x-sb-wa" not in html


def test_a_mail_is_shown_as_text_and_cannot_run_anything(phone: SandboxServer) -> None:
    html = page(mailbox="sara@mail.example")
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "&lt;b&gt;" in html
    assert 'lang="ar"' in html


def test_what_did_not_arrive_is_not_on_the_phone(phone: SandboxServer) -> None:
    SandboxProvider().send(outgoing("+966501230002", body="Lost words"))
    wait_for(lambda: phone.store.messages_of("+966501230002")[0].status == "undelivered")
    log = page(phone="+966501230002").split('id="sandbox-log"')[1]
    assert "Lost words" not in log
    assert "30006" in log


def test_the_refresh_is_silent_until_something_changes(phone: SandboxServer) -> None:
    wait_for(lambda: phone.store.seconds_to_next_step() is None)
    visitor = Client()
    query = {"phone": NUMBER, "app": "SMS"}
    first = visitor.get("/sandbox/refresh/", query, headers=HTMX)
    assert b"hx-partial" in first.content
    again = {**HTMX, "HX-PTag": first["HX-PTag"]}
    assert visitor.get("/sandbox/refresh/", query, headers=again).status_code == 304
    phone.store.add_message(
        direction="outbound-api", channel="SMS", number=NUMBER, peer="NOOR", body="New!", status="sent", segments=1
    )
    changed = visitor.get("/sandbox/refresh/", query, headers=again)
    assert changed.status_code == 200
    assert "New!" in changed.content.decode()


def test_without_scripts_the_refresh_leads_to_the_page(phone: SandboxServer) -> None:
    answer = Client().get("/sandbox/refresh/", {"phone": NUMBER})
    assert answer["Location"] == "/sandbox/?phone=%2B966501234567"


def test_a_reply_leaves_by_the_app_that_is_open(phone: SandboxServer, listener: Listener) -> None:
    answer = Client().post("/sandbox/reply/", {"phone": NUMBER, "app": "WHATSAPP", "body": " سأحضر "}, headers=HTMX)
    assert "سأحضر" in answer.content.decode()
    _path, form, _signature = wait_for(lambda: [call for call in listener.calls if "inbound" in call[0]])[0]
    assert (form["Body"], form["From"]) == ("سأحضر", f"whatsapp:{NUMBER}")


def test_without_scripts_a_reply_leads_back_to_the_phone(phone: SandboxServer) -> None:
    answer = Client().post("/sandbox/reply/", {"phone": NUMBER, "app": "SMS", "body": "Hello"})
    assert answer["Location"] == "/sandbox/?phone=%2B966501234567&app=SMS"
    assert [m.body for m in phone.store.messages_of(NUMBER)][-1] == "Hello"


@pytest.mark.parametrize(
    "form",
    [
        {"body": "  "},
        {"body": "x" * 1601},
        {"app": "PIGEON"},
        {"phone": "+966500000000"},
        {"phone": "../conversations"},
    ],
)
def test_a_reply_that_cannot_be_sent_says_why_and_keeps_the_words(phone: SandboxServer, form: dict[str, str]) -> None:
    values = {"phone": NUMBER, "app": "SMS", "body": "Words"} | form
    answer = Client().post("/sandbox/reply/", values, headers=HTMX)
    html = answer.content.decode()
    assert 'role="alert"' in html
    assert values["body"].strip()[:20] in html
    assert Client().post("/sandbox/reply/", values).status_code == 302


def test_a_reply_needs_the_csrf_token(phone: SandboxServer) -> None:
    stranger = Client(enforce_csrf_checks=True)
    assert stranger.post("/sandbox/reply/", {"phone": NUMBER, "app": "SMS", "body": "x"}).status_code == 403


def test_a_sandbox_that_is_down_is_a_notice_not_an_error(settings: Any, db: None) -> None:
    settings.SANDBOX_URL = "http://127.0.0.1:9"
    assert "The sandbox is not running" in page()
    answer = Client().post("/sandbox/reply/", {"phone": NUMBER, "app": "SMS", "body": "Kept words"}, headers=HTMX)
    assert "Kept words" in answer.content.decode()


def test_when_it_comes_back_the_page_recovers(settings: Any, db: None, sandbox: SandboxServer) -> None:
    up = Client().get("/sandbox/refresh/", headers=HTMX)
    settings.SANDBOX_URL = "http://127.0.0.1:9"
    down = Client().get("/sandbox/refresh/", headers={**HTMX, "HX-PTag": up["HX-PTag"]})
    assert "not running" in down.content.decode()
    settings.SANDBOX_URL = sandbox.url
    assert Client().get("/sandbox/refresh/", headers={**HTMX, "HX-PTag": down["HX-PTag"]}).status_code == 200


def test_opening_whatsapp_reads_it_and_opening_sms_does_not(sandbox: SandboxServer, db: None) -> None:
    sandbox.delays = sandbox.delays.__class__(queued=0, sent=0, delivered=0, read=600)
    sent = SandboxProvider().send(outgoing(channel="WHATSAPP"))

    def status() -> str:
        found = sandbox.store.message(sent.provider_message_id)
        assert found is not None
        return found.status

    wait_for(lambda: status() == "delivered")
    page(phone=NUMBER, app="SMS")
    assert sandbox.store.seconds_to_next_step() != 0
    page(phone=NUMBER, app="WHATSAPP")
    wait_for(lambda: status() == "read")


@pytest.fixture
def broken(settings: Any) -> Iterator[None]:
    """Something else listens there and answers nonsense."""
    import http.server

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    settings.SANDBOX_URL = f"http://127.0.0.1:{server.server_address[1]}"
    yield
    server.shutdown()
    server.server_close()
    thread.join()


def test_another_server_at_that_address_counts_as_down(broken: None) -> None:
    with pytest.raises(asked.SandboxDown):
        asked.conversations()


@pytest.mark.parametrize(
    ("text", "direction"),
    [("Hello", "ltr"), ("مرحبًا Sara", "rtl"), ("10:00 صباحًا", "rtl"), ("123", "ltr"), ("", "ltr")],
)
def test_the_first_letter_decides_the_direction(text: str, direction: str) -> None:
    assert screen.direction_of(text) == direction


def test_the_store_survives_two_writers(tmp_path: Any) -> None:
    store = Store(tmp_path / "s.sqlite3")

    def write() -> None:
        for n in range(50):
            store.add_message(
                direction="outbound-api", channel="SMS", number=NUMBER, peer="X", body=f"{n}", status="sent", segments=1
            )

    threads = [threading.Thread(target=write) for _n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.messages_of(NUMBER, limit=500)) == 200
    store.close()
