"""Passwords and their links, letters about accounts, and the sessions that a person sees and ends."""

from __future__ import annotations

import datetime as dt
import re
import smtplib

import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.core import mail, signing
from django.core.mail import EmailMultiAlternatives
from django.test import Client, RequestFactory
from django.utils import timezone

from core import account_letters, accounts, sessions
from core.clients import client_ip
from core.context import bell_tag
from core.errors import DomainError
from core.models import AccountLetter, AuditEvent, Session, User
from core.tasks import sweep_account_letters_task
from notifications.models import PushSubscription
from notifications.staff_signals import COOKIE
from tests.factories import PASSWORD

SIGN_IN = "/sign-in/"
FORGOT = "/sign-in/forgot/"
ACCOUNT = "/account/"
INBOX = "/patients/"
NEW = "a-password-nobody-else-has"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36"


def send_all() -> None:
    for letter in AccountLetter.objects.filter(sent_at=None):
        account_letters.letter_send(letter.pk)


def link_in(letter: EmailMultiAlternatives) -> str:
    return re.search(r"https?://\S+(/sign-in/password/\S+)", str(letter.body))[1]


def wish(email: str, **extra: str):
    return Client().post(FORGOT, {"email": email}, **extra)


def link_for(user: User) -> str:
    wish(user.email)
    send_all()
    return link_in(mail.outbox[-1])


def open_link(link: str) -> tuple[Client, str]:
    client = Client()
    response = client.get(link)
    return client, response["Location"] if response.status_code == 302 else ""


def choose(link: str, password: str = NEW):
    client, address = open_link(link)
    return client.post(address, {"new_password1": password, "new_password2": password})


def actions(user: User) -> list[str]:
    return list(AuditEvent.objects.filter(object_id=user.pk).order_by("created_at").values_list("action", flat=True))


def key_of(client: Client) -> str:
    return client.cookies["sessionid"].value


# --- a forgotten password --------------------------------------------------------------------------------------------


def test_known_and_unknown_addresses_get_the_same_answer_and_cost_the_same(clinic, django_assert_num_queries):
    answers = []
    for email in (clinic.front_desk.email, "nobody@noor.example"):
        with django_assert_num_queries(6):
            response = wish(email)
        assert response.status_code == 200
        answers.append(response.content.decode().replace(email, "…"))
    token = r'name="csrfmiddlewaretoken" value="[^"]+"'
    assert re.sub(token, "", answers[0]) == re.sub(token, "", answers[1])
    assert AccountLetter.objects.count() == 2
    send_all()
    assert [letter.to for letter in mail.outbox] == [[clinic.front_desk.email]]
    assert actions(clinic.front_desk) == ["password.reset_asked"]


def test_the_letter_is_in_its_readers_language_and_holds_a_link_to_this_site(clinic):
    User.accounts.filter(pk=clinic.front_desk.pk).update(language="ar")
    link_for(clinic.front_desk)
    letter = mail.outbox[-1]
    html = letter.alternatives[0].content
    assert 'lang="ar" dir="rtl"' in html
    assert clinic.tenant.name_ar in html
    assert settings.PUBLIC_BASE_URL + "/sign-in/password/" in letter.body
    assert clinic.front_desk.name_ar in letter.body


def test_no_row_holds_the_link(clinic):
    link = link_for(clinic.front_desk)
    token = link.rstrip("/").rpartition("/")[2]
    row = AccountLetter.objects.get()
    assert all(token not in str(value) for value in vars(row).values())


def test_the_link_sets_a_password_once_ends_all_sessions_and_is_noted(clinic):
    tab = clinic.client(clinic.front_desk)
    link = link_for(clinic.front_desk)
    response = choose(link)
    assert response["Location"] == SIGN_IN
    assert SESSION_KEY not in response.wsgi_request.session
    assert not Session.objects.filter(user=clinic.front_desk).exists()
    assert tab.get(INBOX).status_code == 302
    assert User.accounts.get(pk=clinic.front_desk.pk).check_password(NEW)
    assert "password.set_by_link" in actions(clinic.front_desk)
    assert Client().get(link).status_code == 200
    assert "does not work any more" in Client().get(link).content.decode()
    send_all()
    assert "was changed" in mail.outbox[-1].subject


def test_the_token_does_not_stay_in_the_address(clinic):
    link = link_for(clinic.front_desk)
    client, address = open_link(link)
    assert address.endswith("/set-password/")
    assert client.get(address)["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("password", ["short", "1234567890123", "password123", "desk@noor.example"])
def test_weak_passwords_are_refused(clinic, password):
    assert choose(link_for(clinic.front_desk), password).status_code == 422
    assert User.accounts.get(pk=clinic.front_desk.pk).check_password(PASSWORD)


def test_a_link_for_a_new_password_lives_an_hour_and_an_invitation_three_days(clinic, monkeypatch):
    reset = link_for(clinic.front_desk)
    accounts.send_set_password_link(user=clinic.colleague, actor=clinic.admin)
    send_all()
    invitation = link_in(mail.outbox[-1])

    def after(**passed: int) -> tuple[str, str]:
        later = dt.datetime.now() + dt.timedelta(**passed)
        monkeypatch.setattr(accounts.LinkTokens, "_now", lambda self: later)
        return open_link(reset)[1], open_link(invitation)[1]

    assert all(after(minutes=59))
    assert [bool(found) for found in after(minutes=61)] == [False, True]
    assert all(after(hours=71)) is False
    assert after(hours=71)[1]
    assert after(hours=73) == ("", "")


def test_a_link_of_before_a_sign_in_or_another_password_is_void(clinic):
    first = link_for(clinic.front_desk)
    Client().post(SIGN_IN, {"username": clinic.front_desk.email, "password": PASSWORD})
    assert open_link(first)[1] == ""


@pytest.mark.parametrize("why", ["left", "suspended"])
def test_who_may_not_sign_in_gets_no_letter_and_no_use_of_an_old_one(clinic, why):
    link = link_for(clinic.front_desk)
    wish(clinic.front_desk.email)
    if why == "left":
        User.accounts.filter(pk=clinic.front_desk.pk).update(is_active=False)
    else:
        clinic.tenant.is_active = False
        clinic.tenant.save()
    sent = len(mail.outbox)
    send_all()
    wish(clinic.front_desk.email)
    send_all()
    assert len(mail.outbox) == sent
    assert open_link(link)[1] == ""


def test_nobodys_mailbox_is_flooded_and_the_answer_stays_the_same(clinic):
    answers = [wish(clinic.front_desk.email) for _wish in range(5)]
    assert {answer.status_code for answer in answers} == {200}
    send_all()
    assert len(mail.outbox) == accounts.WISHES_AN_ACCOUNT


def test_an_address_that_asks_without_end_is_refused_whatever_it_asks_for(clinic, monkeypatch):
    monkeypatch.setattr(accounts, "WISHES_AN_ADDRESS", 3)
    for number in range(3):
        wish(f"nobody{number}@noor.example")
    for email in (clinic.front_desk.email, "nobody@noor.example"):
        response = wish(email)
        assert response.status_code == 429
        assert "Try again in an hour" in response.content.decode()
    assert wish(clinic.front_desk.email, REMOTE_ADDR="203.0.113.9").status_code == 200


def test_a_new_password_opens_a_door_that_wrong_ones_had_closed(clinic):
    client = Client()
    for _attempt in range(settings.AXES_FAILURE_LIMIT):
        response = client.post(SIGN_IN, {"username": clinic.front_desk.email, "password": "wrong"})
    assert response.status_code == 429
    assert FORGOT in response.content.decode()
    assert actions(clinic.front_desk).count("sign_in.locked") == 1
    choose(link_for(clinic.front_desk))
    assert not AccessAttempt.objects.exists()
    assert client.post(SIGN_IN, {"username": clinic.front_desk.email, "password": NEW}).status_code == 302


def test_the_door_closes_for_an_email_that_nobody_has_just_the_same(clinic):
    pages = []
    for email in (clinic.front_desk.email, "nobody@noor.example"):
        client = Client()
        for _attempt in range(settings.AXES_FAILURE_LIMIT):
            response = client.post(SIGN_IN, {"username": email, "password": "wrong"})
        assert response.status_code == 429
        pages.append(re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", response.content.decode()))
    assert pages[0] == pages[1]


def test_behind_a_proxy_the_address_is_the_one_that_the_proxy_saw(settings):
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="1.2.3.4, 203.0.113.7")
    assert client_ip(request) == "10.0.0.1"
    settings.BEHIND_PROXY = True
    assert client_ip(request) == "203.0.113.7"
    request.META["HTTP_X_FORWARDED_FOR"] = "nonsense"
    assert client_ip(request) is None


# --- letters ---------------------------------------------------------------------------------------------------------


def test_an_invitation_names_the_clinic_and_is_noted(clinic):
    accounts.send_set_password_link(user=clinic.provider, actor=clinic.admin)
    send_all()
    assert clinic.tenant.name_en in mail.outbox[-1].subject
    assert actions(clinic.provider) == ["user.invited"]
    User.accounts.filter(pk=clinic.provider.pk).update(last_login=timezone.now(), is_active=False)
    gone = User.accounts.select_related("tenant").get(pk=clinic.provider.pk)
    with pytest.raises(DomainError) as refused:
        accounts.send_set_password_link(user=gone, actor=clinic.admin)
    assert refused.value.code == "cannot_sign_in"


def test_a_mail_server_that_is_away_is_tried_again_by_the_sweeper(clinic, monkeypatch):
    def away(self: EmailMultiAlternatives) -> None:
        raise smtplib.SMTPServerDisconnected("gone")

    wish(clinic.front_desk.email)
    with monkeypatch.context() as patch:
        patch.setattr(EmailMultiAlternatives, "send", away)
        send_all()
    letter = AccountLetter.objects.get()
    assert (letter.sent_at, letter.attempts) == (None, 1)
    assert sweep_account_letters_task() == {"sent": 0, "cleared": 0}
    AccountLetter.objects.update(next_attempt_at=timezone.now() - dt.timedelta(seconds=10))
    assert sweep_account_letters_task() == {"sent": 1, "cleared": 0}
    assert account_letters.letter_send(letter.pk) is False
    assert len(mail.outbox) == 1


def test_old_letters_are_cleared(clinic):
    wish(clinic.front_desk.email)
    AccountLetter.objects.update(created_at=timezone.now() - dt.timedelta(days=8))
    assert sweep_account_letters_task() == {"sent": 0, "cleared": 1}


@pytest.mark.parametrize("kind", AccountLetter.Kind.values)
@pytest.mark.parametrize("language", ["en", "ar"])
def test_every_letter_has_its_words(clinic, kind, language):
    clinic.admin.language = language
    letter = account_letters.compose(AccountLetter(user=clinic.admin, kind=kind))
    assert letter.subject
    assert "%(" not in letter.body
    assert settings.PUBLIC_BASE_URL in letter.body


# --- the password of somebody who is signed in -----------------------------------------------------------------------


def test_changing_it_keeps_this_session_and_ends_the_others(clinic):
    here, there = clinic.client(clinic.front_desk), clinic.client(clinic.front_desk)
    data = {"current_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    assert here.post("/account/password/", data)["Location"] == ACCOUNT
    assert Session.objects.filter(user=clinic.front_desk).count() == 1
    assert here.get(INBOX).status_code == 200
    assert there.get(INBOX).status_code == 302
    assert "password.changed" in actions(clinic.front_desk)


def test_it_takes_the_old_one_and_guessing_that_closes_the_door(clinic):
    client = clinic.client(clinic.front_desk)
    data = {"current_password": "wrong", "new_password1": NEW, "new_password2": NEW}
    answers = [client.post("/account/password/", data).status_code for _attempt in range(settings.AXES_FAILURE_LIMIT)]
    assert answers[0] == 422
    assert answers[-1] == 429
    assert User.accounts.get(pk=clinic.front_desk.pk).check_password(PASSWORD)


# --- sessions --------------------------------------------------------------------------------------------------------


def sign_in_with(clinic, agent: str) -> Client:
    client = Client(headers={"User-Agent": agent})
    client.post(SIGN_IN, {"username": clinic.front_desk.email, "password": PASSWORD})
    return client


def test_the_page_names_each_device_and_marks_this_one(clinic):
    here = sign_in_with(clinic, CHROME)
    sign_in_with(clinic, "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1")
    page = here.get(ACCOUNT).content.decode()
    assert "Chrome on Windows" in page
    assert "Safari on iPhone" in page
    assert page.count("This device") == 1
    assert key_of(here) not in page


def test_ending_one_holds_at_its_next_page_and_poll(clinic):
    here, there = sign_in_with(clinic, CHROME), sign_in_with(clinic, CHROME)
    poll = {"HX-Request": "true", "HX-Ptag": bell_tag(clinic.front_desk, 0, 0)}
    assert there.get("/notifications/bell/", headers=poll).status_code == 304
    handle = sessions.sessions_of(clinic.front_desk, key_of(here))[1].handle
    assert here.post(f"/account/sessions/{handle}/end/")["Location"] == ACCOUNT
    assert there.get("/notifications/bell/", headers=poll).status_code == 401
    assert there.get(INBOX).status_code == 302
    assert here.get(ACCOUNT).status_code == 200
    assert "session.revoked" in actions(clinic.front_desk)


def test_nobody_ends_somebody_elses_session(clinic, other_clinic):
    theirs = clinic.client(clinic.admin)
    handle = sessions.sessions_of(clinic.admin, None)[0].handle
    for user in (clinic.front_desk, other_clinic.admin):
        assert clinic.client(user).post(f"/account/sessions/{handle}/end/").status_code == 404
    assert theirs.get(INBOX).status_code == 200


def test_ending_all_others_keeps_this_one(clinic):
    here, there = sign_in_with(clinic, CHROME), sign_in_with(clinic, CHROME)
    page = here.post("/account/sessions/end/", follow=True).content.decode()
    assert "1 other device is signed out" in page
    assert there.get(INBOX).status_code == 302
    assert clinic.client(clinic.admin).get(INBOX).status_code == 200


def subscribe(clinic, client: Client, name: str) -> PushSubscription:
    row = PushSubscription.objects.create(
        tenant=clinic.tenant,
        user=clinic.front_desk,
        endpoint=f"https://fcm.googleapis.com/{name}",
        p256dh="x",
        auth="x",
    )
    client.cookies[COOKIE] = signing.get_cookie_signer(salt=COOKIE).sign(str(row.pk))
    return row


@pytest.mark.parametrize("how", ["elsewhere", "password", "link"])
def test_browsers_that_are_signed_out_are_not_told_of_news_any_more(clinic, how):
    here, there = sign_in_with(clinic, CHROME), sign_in_with(clinic, CHROME)
    kept = subscribe(clinic, here, "here")
    subscribe(clinic, there, "there")
    if how == "elsewhere":
        here.post("/account/sessions/end/")
    elif how == "password":
        here.post("/account/password/", {"current_password": PASSWORD, "new_password1": NEW, "new_password2": NEW})
    else:
        choose(link_for(clinic.front_desk))
    assert list(PushSubscription.objects.values_list("pk", flat=True)) == ([] if how == "link" else [kept.pk])


def test_when_it_was_last_used_is_written_every_ten_minutes_and_not_before(clinic, django_assert_num_queries):
    client = sign_in_with(clinic, CHROME)
    row = Session.objects.filter(pk=key_of(client))
    with django_assert_num_queries(1):
        client.get("/language/")
    for ago, queries in ((dt.timedelta(minutes=9), 1), (dt.timedelta(minutes=11), 2)):
        seen = timezone.now() - ago
        row.update(last_seen_at=seen)
        with django_assert_num_queries(queries):
            client.get("/account/password/")
        assert (row.get().last_seen_at > seen) == (queries == 2)


def test_a_session_that_began_before_these_columns_is_shown_too(clinic):
    client = clinic.client(clinic.front_desk)
    Session.objects.update(created_at=None, last_seen_at=None, user_agent="")
    assert "A browser" in client.get(ACCOUNT).content.decode()


# --- the page --------------------------------------------------------------------------------------------------------


def test_everybody_has_the_page_and_it_costs_as_much_with_many_sessions(clinic, django_assert_num_queries):
    for user in (clinic.admin, clinic.front_desk, clinic.provider, clinic.patient_user):
        assert clinic.client(user).get(ACCOUNT).status_code == 200
    client = clinic.client(clinic.front_desk)
    for _session in range(5):
        clinic.client(clinic.front_desk)
    with django_assert_num_queries(3):
        client.get(ACCOUNT)
    assert Client().get(ACCOUNT)["Location"] == f"{SIGN_IN}?next={ACCOUNT}"
    assert Client().get(ACCOUNT, headers={"HX-Request": "true"}).status_code == 401


def test_name_and_language_change_and_the_trail_does_not_learn_the_name(clinic):
    client = clinic.client(clinic.front_desk)
    data = {"name_en": "Hind Q", "name_ar": "هند", "language": "ar", "email": "thief@evil.example", "role": "ADMIN"}
    response = client.post(ACCOUNT, data)
    assert response.cookies[settings.LANGUAGE_COOKIE_NAME].value == "ar"
    user = User.accounts.get(pk=clinic.front_desk.pk)
    assert (user.name_en, user.language, user.role) == ("Hind Q", "ar", "FRONT_DESK")
    assert user.email == clinic.front_desk.email
    row = AuditEvent.objects.get(action="user.profile_updated")
    assert row.after == {"fields": ["language", "name_ar", "name_en"], "language": "ar"}
    client.post(ACCOUNT, data)
    assert AuditEvent.objects.filter(action="user.profile_updated").count() == 1
    assert client.post(ACCOUNT, data | {"name_en": ""}).status_code == 422
