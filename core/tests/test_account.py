"""Signing in and out, the language switch, and the frame of the pages."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from core.demo_accounts import DEMO_ACCOUNTS
from core.models import Role, User
from tests.factories import PASSWORD

SIGN_IN = "/sign-in/"


def sign_in(client: Client, email: str, password: str = PASSWORD, **data: str):
    return client.post(SIGN_IN, {"username": email, "password": password, **data})


# --- sign-in ---------------------------------------------------------------------------------------------------------


def test_the_right_password_leads_home_in_the_users_own_language(clinic):
    User.accounts.filter(pk=clinic.front_desk.pk).update(language="ar")
    response = sign_in(Client(), clinic.front_desk.email)
    assert response.status_code == 302
    assert response["Location"] == reverse("core:home")
    assert response.cookies[settings.LANGUAGE_COOKIE_NAME].value == "ar"


def test_the_email_may_be_written_in_any_case_and_with_spaces(clinic):
    assert sign_in(Client(), f"  {clinic.front_desk.email.upper()} ").status_code == 302


@pytest.mark.parametrize(("email", "password"), [("desk@noor.example", "wrong"), ("nobody@noor.example", PASSWORD)])
def test_a_failure_says_the_same_whether_the_email_exists_or_not(clinic, email, password):
    response = sign_in(Client(), email, password)
    assert response.status_code == 422
    assert "do not belong together" in response.content.decode()


def test_people_who_left_and_people_of_a_suspended_clinic_stay_outside(clinic):
    User.accounts.filter(pk=clinic.front_desk.pk).update(is_active=False)
    assert "do not belong together" in sign_in(Client(), clinic.front_desk.email).content.decode()
    clinic.tenant.is_active = False
    clinic.tenant.save()
    assert sign_in(Client(), clinic.admin.email).status_code == 422


@pytest.mark.parametrize(
    ("target", "lands"),
    [
        ("/notifications/inbox/", "/notifications/inbox/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_the_page_asked_for_is_followed_only_within_this_site(clinic, target, lands):
    assert sign_in(Client(), clinic.front_desk.email, next=target)["Location"] == lands


def test_a_stranger_is_sent_to_sign_in_and_back(clinic):
    response = Client().get("/notifications/inbox/?show=unread")
    assert response["Location"] == "/sign-in/?next=/notifications/inbox/%3Fshow%3Dunread"


def test_somebody_signed_in_already_is_sent_home(clinic):
    response = clinic.client(clinic.front_desk).get(SIGN_IN)
    assert response.status_code == 302
    assert response["Location"] == reverse("core:home")


def test_the_platforms_own_people_land_in_the_support_console(clinic):
    User.accounts.create_superuser("support@agdar.example", PASSWORD)
    assert sign_in(Client(), "support@agdar.example")["Location"] == reverse("admin:index")


def test_too_many_wrong_passwords_close_the_door_for_a_while(clinic):
    client = Client()
    for attempt in range(settings.AXES_FAILURE_LIMIT):
        # The spelling does not open a second door.
        email = clinic.front_desk.email.upper() if attempt % 2 else clinic.front_desk.email
        response = sign_in(client, email, "wrong")
    assert response.status_code == 429
    response = sign_in(client, clinic.front_desk.email)
    page = response.content.decode()
    assert response.status_code == 429
    assert "try again in 15 minutes" in page
    assert sign_in(Client(), clinic.admin.email).status_code == 302


def test_the_password_field_is_kept_by_password_managers_and_never_comes_back(clinic):
    page = sign_in(Client(), clinic.front_desk.email, "some-wrong-password").content.decode()
    assert "some-wrong-password" not in page
    assert 'autocomplete="current-password"' in page
    assert 'autocomplete="username"' in page


def test_demo_accounts_are_offered_only_in_a_demo(clinic, settings):
    settings.SANDBOX_ENABLED = True
    assert DEMO_ACCOUNTS[0].email in Client().get(SIGN_IN).content.decode()
    settings.SANDBOX_ENABLED = False
    page = Client().get(SIGN_IN).content.decode()
    assert DEMO_ACCOUNTS[0].email not in page
    assert "Demo accounts" not in page


# --- sign-out --------------------------------------------------------------------------------------------------------


def test_signing_out_takes_a_post(clinic):
    client = clinic.client(clinic.front_desk)
    assert client.get("/sign-out/").status_code == 405
    assert client.get("/notifications/inbox/").status_code == 200
    response = client.post("/sign-out/")
    assert response["Location"] == SIGN_IN
    assert client.get("/notifications/inbox/").status_code == 302


def test_signing_out_without_the_forms_token_is_refused(clinic):
    client = Client(enforce_csrf_checks=True)
    client.force_login(clinic.front_desk, backend="core.auth.AccountBackend")
    response = client.post("/sign-out/")
    assert response.status_code == 403
    assert "too old" in response.content.decode()


# --- language --------------------------------------------------------------------------------------------------------


def test_the_switch_changes_the_page_the_cookie_and_the_user(clinic):
    client = clinic.client(clinic.front_desk)
    assert 'lang="en" dir="ltr"' in client.get("/notifications/inbox/").content.decode()
    response = client.post("/language/", {"lang": "ar", "next": "/notifications/inbox/?show=unread"})
    assert response["Location"] == "/notifications/inbox/?show=unread"
    page = client.get("/notifications/inbox/").content.decode()
    assert 'lang="ar" dir="rtl"' in page
    assert "tabler.rtl.min.css" in page
    assert User.accounts.get(pk=clinic.front_desk.pk).language == "ar"


def test_a_visitor_can_switch_too(db):
    client = Client()
    client.post("/language/", {"lang": "ar", "next": SIGN_IN})
    assert 'lang="ar" dir="rtl"' in client.get(SIGN_IN).content.decode()


def test_the_switch_refuses_other_languages_other_sites_and_get(clinic):
    client = Client()
    assert client.post("/language/", {"lang": "fr"}).status_code == 400
    assert client.post("/language/", {"lang": "ar", "next": "https://evil.example/"})["Location"] == "/"
    assert client.get("/language/").status_code == 405


# --- the frame -------------------------------------------------------------------------------------------------------


def _links(page: str) -> list[str]:
    side = page[page.index('<aside class="side"') : page.index("</aside>")]
    return re.findall(r'<a href="([^"]+)"', side)


DESK = [
    "core:home",
    "appointments:calendar",
    "appointments:list",
    "core:patient_list",
    "notifications:dashboard",
    "notifications:message_list",
    "notifications:conversations",
    "notifications:desk_tasks",
    "notifications:inbox",
]


@pytest.mark.parametrize(
    ("who", "routes"),
    [
        (
            "admin",
            [
                *DESK[:-1],
                "notifications:template_list",
                "notifications:bulk_message",
                "notifications:analytics",
                "notifications:inbox",
                "notifications:operations",
                "notifications:team",
                "notifications:announcements",
                "core:rights_list",
                "core:audit",
                "core:settings",
            ],
        ),
        ("front_desk", DESK),
        ("provider", ["core:home", "appointments:day", "notifications:inbox"]),
        ("patient_user", ["core:home", "core:own_messages", "notifications:inbox"]),
    ],
)
def test_the_side_bar_holds_what_the_role_may_open(clinic, settings, who, routes):
    settings.SANDBOX_ENABLED = False
    page = clinic.client(getattr(clinic, who)).get("/notifications/inbox/").content.decode()
    assert _links(page) == [reverse(route) for route in routes]


def test_the_side_bar_opens_every_page_it_names(clinic):
    for role in Role:
        user = User.objects.filter(role=role).first()
        client = clinic.client(user)
        for address in _links(client.get("/notifications/inbox/").content.decode()):
            if address != reverse("integrations:sandbox"):
                assert client.get(address).status_code == 200, (role, address)


def test_the_sandbox_and_the_console_are_named_only_where_they_exist(clinic, settings):
    User.objects.filter(pk=clinic.admin.pk).update(is_staff=True)
    settings.SANDBOX_ENABLED = True
    links = _links(clinic.client(clinic.admin).get("/notifications/inbox/").content.decode())
    assert links[-2:] == [reverse("integrations:sandbox"), reverse("admin:index")]
    settings.SANDBOX_ENABLED = False
    page = clinic.client(clinic.front_desk).get("/notifications/inbox/").content.decode()
    assert reverse("admin:index") not in _links(page)
    assert "Sandbox" not in page


def test_the_page_one_is_on_is_marked(clinic):
    page = clinic.client(clinic.front_desk).get("/notifications/inbox/").content.decode()
    assert '<a href="/notifications/inbox/" aria-current="page">' in page
    assert page.count("aria-current") == 2  # side bar, and the filter of the page itself


def test_the_search_is_there_for_those_who_may_see_patients(clinic):
    assert 'id="search"' in clinic.client(clinic.front_desk).get("/notifications/inbox/").content.decode()
    assert 'id="search"' not in clinic.client(clinic.provider).get("/notifications/inbox/").content.decode()


def test_no_page_carries_inline_script_or_style(clinic):
    for page in (
        clinic.client(clinic.front_desk).get("/notifications/inbox/").content.decode(),
        Client().get(SIGN_IN).content.decode(),
    ):
        assert not re.search(r"<script(?![^>]*\bsrc=)", page)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on", page)


# --- when it does not go well ----------------------------------------------------------------------------------------


def test_an_unknown_address_says_so_to_visitors_and_to_staff(clinic):
    for client in (Client(), clinic.client(clinic.front_desk)):
        response = client.get("/no/such/page/")
        assert response.status_code == 404
        assert "We cannot find this page" in response.content.decode()


def test_the_wrong_role_gets_a_page_that_explains(clinic):
    response = clinic.client(clinic.provider).get(reverse("notifications:message_list"))
    assert response.status_code == 403
    assert "not for your role" in response.content.decode()


def test_an_error_of_ours_is_a_page_too(clinic, monkeypatch):
    def broken(*args: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("notifications.views.inbox.by_day", broken)
    client = clinic.client(clinic.front_desk)
    client.raise_request_exception = False
    response = client.get("/notifications/inbox/")
    assert response.status_code == 500
    assert "Something went wrong on our side" in response.content.decode()
    assert "boom" not in response.content.decode()
