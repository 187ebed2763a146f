"""Short links: made the same at every try, counted for people only, and never leading anywhere else."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from conftest import Clinic
from core.models import Tenant
from core.tenancy import tenant_scope
from integrations.messaging_service import MessagingService
from notifications import clicks, short_links
from notifications.models import Brand, LinkClick, Message, MessageTemplate, RollupMark, ShortLink
from notifications.rendering import Link

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1"
BASE = "http://127.0.0.1:8000"
PAGE = "/c/7kmq2xw9b4f"


@pytest.fixture
def template(clinic: Clinic) -> MessageTemplate:
    return MessageTemplate.objects.create(
        tenant=clinic.tenant,
        code="confirm",
        name="Confirm",
        channel="SMS",
        notification_type="GENERAL",
        body_en="Please confirm: {link}",
        body_ar="يرجى التأكيد: {link}",
        variables=["link"],
    )


@pytest.fixture
def counting(clinic: Clinic) -> Brand:
    return Brand.objects.create(tenant=clinic.tenant, track_clicks=True)


def send(clinic: Clinic, url: str = f"{BASE}{PAGE}", key: str = "k1") -> Message:
    return MessagingService().send_from_template(
        tenant_id=clinic.tenant.pk,
        template_code="confirm",
        patient=clinic.patient,
        channel="SMS",
        context={"link": Link(url)},
        dedupe_key=key,
    )


def sent_long_ago(message: Message) -> ShortLink:
    Message.objects.filter(pk=message.pk).update(sent_at=timezone.now() - dt.timedelta(minutes=5))
    return ShortLink.objects.get(message=message)


def visit(link: ShortLink, agent: str = PHONE, **headers: str) -> Any:
    return Client().get(f"/l/{link.code}", headers={"User-Agent": agent, **headers})


# --- rewriting -------------------------------------------------------------------------------------------------------


def test_without_a_wish_of_the_clinic_links_stay_as_they_are(clinic: Clinic, template: MessageTemplate) -> None:
    assert send(clinic).body.endswith(f"{BASE}{PAGE}")
    Brand.objects.create(tenant=clinic.tenant, track_opens=True)
    assert send(clinic, key="k2").body.endswith(f"{BASE}{PAGE}")
    assert not ShortLink.objects.exists()


def test_a_link_becomes_a_short_one_before_the_words_are_frozen(
    clinic: Clinic, template: MessageTemplate, counting: Brand
) -> None:
    message = send(clinic)
    link = ShortLink.objects.get()
    assert message.body.endswith(f"{BASE}/l/{link.code}")
    assert (link.target, link.message_id, link.language) == (PAGE, message.pk, message.language)
    # No longer than it was: the code has the length of the code it stands for.
    assert len(f"/l/{link.code}") == len(PAGE)
    assert message.segments == 1


def test_the_same_message_again_is_the_same_words_and_one_link(
    clinic: Clinic, template: MessageTemplate, counting: Brand
) -> None:
    assert send(clinic).pk == send(clinic).pk
    assert ShortLink.objects.count() == 1
    other = send(clinic, key="k2")
    assert ShortLink.objects.get(message=other).code not in send(clinic).body


def test_links_take_the_clinics_own_host(clinic: Clinic, template: MessageTemplate, counting: Brand) -> None:
    Brand.objects.update(link_host="go.noor.example")
    assert "http://go.noor.example/l/" in send(clinic).body


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/c/7kmq2xw9b4f",
        f"{BASE}.evil.example/c/7kmq2xw9b4f",
        f"{BASE}/sign-in/",
        f"{BASE}/c/../admin",
        f"{BASE}/c/7kmq2xw9b4f?next=//evil.example",
        f"{BASE}//evil.example/c/7kmq2xw9b4f",
    ],
)
def test_no_other_address_is_ever_behind_a_short_link(
    clinic: Clinic, template: MessageTemplate, counting: Brand, url: str
) -> None:
    assert send(clinic, url).body.endswith(url)
    assert not ShortLink.objects.exists()


def test_a_message_that_is_refused_has_no_link(clinic: Clinic, template: MessageTemplate, counting: Brand) -> None:
    clinic.patient.phone = ""
    clinic.patient.save(update_fields=["phone"])
    assert send(clinic).status == "SUPPRESSED"
    assert not ShortLink.objects.exists()


# --- opening ---------------------------------------------------------------------------------------------------------


def test_a_person_is_counted_and_led_to_the_page_without_a_trace(
    clinic: Clinic, template: MessageTemplate, counting: Brand
) -> None:
    link = sent_long_ago(send(clinic))
    answer = visit(link)
    assert (answer.status_code, answer["Location"]) == (302, f"{BASE}{PAGE}")
    assert not answer.cookies
    assert (answer["Referrer-Policy"], answer["Cache-Control"]) == ("no-referrer", "no-store")
    click = LinkClick.objects.get()
    assert (click.kind, click.is_suspicious, click.link_id, click.message_id) == (
        "CLICK", False, link.pk, link.message_id,
    )  # fmt: skip
    assert PHONE not in str(click.__dict__)
    assert "127.0.0.1" not in str(click.__dict__)


@pytest.mark.parametrize(
    "agent",
    [
        "",
        "WhatsApp/2.24.6.77 A",
        "TelegramBot (like TwitterBot)",
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "Mozilla/5.0 (Macintosh) AppleWebKit/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; ms-office; MSOffice 16)",
        "Mozilla/5.0 (Linux; Android 7.0) AppleWebKit/537.36 (compatible; Google-Read-Aloud)",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (X11) AppleWebKit/537.36 HeadlessChrome/120.0 Safari/537.36",
        "python-requests/2.32",
        "curl/8.5.0",
    ],
)
def test_programs_are_led_on_and_not_counted(
    clinic: Clinic, template: MessageTemplate, counting: Brand, agent: str
) -> None:
    assert visit(sent_long_ago(send(clinic)), agent).status_code == 302
    assert not LinkClick.objects.exists()


@pytest.mark.parametrize(
    "agent",
    [
        PHONE,
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Mobile/15E148 [FBAN/FBIOS;FBAV/500.0]",
        "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/130.0 Mobile Telegram-Android/11.2",
        "Mozilla/5.0 (Linux; Android 15; SM-S921B) AppleWebKit/537.36 SamsungBrowser/27.0 Mobile Safari/537.36",
    ],
)
def test_the_browsers_inside_messengers_are_people(agent: str) -> None:
    assert not clicks.is_program(clicks.Visit(agent, is_ahead=False))


def test_fetching_ahead_asking_for_the_head_and_haste_count_nowhere(
    clinic: Clinic, template: MessageTemplate, counting: Brand
) -> None:
    link = sent_long_ago(send(clinic))
    visit(link, **{"Sec-Purpose": "prefetch;prerender"})
    assert Client().head(f"/l/{link.code}", headers={"User-Agent": PHONE}).status_code == 302
    assert not LinkClick.objects.exists()
    Message.objects.update(sent_at=timezone.now() - dt.timedelta(seconds=2))
    visit(link)
    assert LinkClick.objects.get().is_suspicious


def test_the_numbers_of_an_earlier_day_learn_of_its_first_click_only(
    clinic: Clinic, template: MessageTemplate, counting: Brand
) -> None:
    link = sent_long_ago(send(clinic))
    Message.objects.update(created_at=timezone.now() - dt.timedelta(days=3))
    visit(link, "WhatsApp/2.24.6.77 A")
    assert not RollupMark.objects.exists()
    visit(link)
    visit(link)
    [mark] = RollupMark.objects.all()
    assert mark.hour <= ShortLink.objects.get().message.created_at


def test_nobody_can_fill_the_table_with_one_code(
    clinic: Clinic, template: MessageTemplate, counting: Brand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clicks, "AT_MOST", 3)
    link = sent_long_ago(send(clinic))
    assert [visit(link).status_code for _again in range(5)] == [302] * 5
    assert LinkClick.objects.count() == 3


def test_a_link_that_is_over_says_so_in_the_readers_language(
    clinic: Clinic, template: MessageTemplate, counting: Brand
) -> None:
    link = sent_long_ago(send(clinic))
    ShortLink.objects.update(expires_at=timezone.now(), language="ar")
    answer = visit(link)
    assert (answer.status_code, answer["Content-Language"]) == (410, "ar")
    assert 'dir="rtl"' in answer.content.decode()
    assert clinic.tenant.name_ar in answer.content.decode()
    assert PAGE not in answer.content.decode()
    assert not LinkClick.objects.exists()


def test_an_unknown_code_and_a_suspended_clinic_are_the_same_404(
    clinic: Clinic, template: MessageTemplate, counting: Brand
) -> None:
    link = sent_long_ago(send(clinic))
    assert Client().get("/l/2222222222a").status_code == 404
    Tenant.objects.filter(pk=clinic.tenant.pk).update(is_active=False)
    assert visit(link).status_code == 404


def test_a_target_that_somebody_wrote_into_the_table_leads_nowhere(
    clinic: Clinic, template: MessageTemplate, counting: Brand
) -> None:
    link = sent_long_ago(send(clinic))
    ShortLink.objects.update(target="//evil.example/c/x")
    assert visit(link).status_code == 404


def test_staff_of_another_clinic_who_open_a_link_are_led_on_too(
    clinic: Clinic, other_clinic: Clinic, template: MessageTemplate, counting: Brand
) -> None:
    link = sent_long_ago(send(clinic))
    with tenant_scope(other_clinic.tenant.pk):
        client = other_clinic.client(other_clinic.admin)
        answer = client.get(f"/l/{link.code}", headers={"User-Agent": PHONE})
    assert answer.status_code == 302
    assert LinkClick.objects.get().tenant_id == clinic.tenant.pk


# --- the picture in an email -----------------------------------------------------------------------------------------


def pixel(message: Message) -> str:
    return short_links.pixel_address(message.pk).removeprefix(BASE)


@pytest.mark.parametrize(
    ("agent", "is_suspicious"),
    [
        (PHONE, False),
        ("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", False),
        # Apple's Mail Privacy Protection: every picture of every mail, read or not.
        ("Mozilla/5.0", True),
    ],
)
def test_a_loaded_picture_is_an_open_where_it_tells_of_one(
    clinic: Clinic, template: MessageTemplate, agent: str, is_suspicious: bool
) -> None:
    message = send(clinic)
    Message.objects.update(sent_at=timezone.now() - dt.timedelta(hours=1))
    answer = Client().get(pixel(message), headers={"User-Agent": agent})
    assert (answer["Content-Type"], answer.content[:6]) == ("image/gif", b"GIF89a")
    click = LinkClick.objects.get()
    assert (click.kind, click.link_id, click.is_suspicious) == ("OPEN", None, is_suspicious)
    message.refresh_from_db()
    # READ is the receipt's word, not the picture's.
    assert (message.status, message.read_at) == ("QUEUED", None)


def test_a_picture_that_is_not_ours_is_a_picture_and_nothing_else(clinic: Clinic, template: MessageTemplate) -> None:
    message = send(clinic)
    forged = f"/l/o/{message.pk.hex}{'0' * 16}.gif"
    assert Client().get(forged, headers={"User-Agent": PHONE}).status_code == 200
    Client().get(pixel(message), headers={"User-Agent": "curl/8.5.0"})
    assert not LinkClick.objects.exists()


def test_the_messages_page_says_when_it_was_first_opened_and_never_that_it_was_not(
    clinic: Clinic, template: MessageTemplate, counting: Brand
) -> None:
    link = sent_long_ago(send(clinic))
    address = f"/notifications/messages/{link.message_id}/"
    assert "opened" not in clinic.client(clinic.front_desk).get(address).content.decode()
    visit(link)
    assert "Link first opened" in clinic.client(clinic.front_desk).get(address).content.decode()
