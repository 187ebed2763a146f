"""Sessions: the user comes in the session's own query, is never somebody else, and what is over is cleared away."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.contrib.auth import SESSION_KEY, get_user
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone

from core import sessions
from core.auth import AccountMiddleware
from core.models import Session, User
from core.sessions import SessionStore
from core.tasks import clear_sessions_task

PASSWORD = "a long enough password"


def request_with(key: str | None) -> HttpRequest:
    request = HttpRequest()
    request.session = SessionStore(key)
    AccountMiddleware(lambda _request: None).process_request(request)
    return request


def key_of(client: Client) -> str:
    return client.cookies["sessionid"].value


@pytest.fixture
def tab(clinic) -> Client:
    return clinic.client(clinic.front_desk)


# --- the user who comes along ----------------------------------------------------------------------------------------


def test_session_user_tenant_place_and_bell_are_one_query(clinic, tab, django_assert_num_queries):
    request = request_with(key_of(tab))
    with django_assert_num_queries(1):
        assert request.user == clinic.front_desk
        assert request.user.tenant == clinic.tenant
        assert request.user.location == clinic.location
        assert getattr(request.user, "bell", None) is None
        assert request.user.is_authenticated


def test_the_middleware_still_is_djangos():
    assert issubclass(AccountMiddleware, AuthenticationMiddleware)


def test_who_asks_again_learns_how_it_is_now(clinic, tab):
    request = request_with(key_of(tab))
    assert request.user.is_authenticated
    User.accounts.filter(pk=clinic.front_desk.pk).update(is_active=False)
    assert not get_user(request).is_authenticated


def test_the_user_of_one_session_is_never_handed_to_another(clinic, tab):
    store = SessionStore(key_of(tab))
    store.load()
    assert store.take_owner(clinic.colleague.pk) is None
    assert store.take_owner(clinic.front_desk.pk) is None
    store.load()
    assert store.take_owner(clinic.front_desk.pk) == clinic.front_desk
    assert store.take_owner(clinic.front_desk.pk) is None


def test_what_the_data_says_counts_when_the_column_says_something_else(clinic, tab):
    Session.objects.filter(pk=key_of(tab)).update(user=clinic.admin)
    assert request_with(key_of(tab)).user == clinic.front_desk


@pytest.mark.parametrize("key", [None, "", "short", "x" * 32, "é" * 32])
def test_a_key_that_we_did_not_give_out_is_nobody_and_is_not_taken_over(db, key):
    request = request_with(key)
    assert not request.user.is_authenticated
    assert request.session.session_key is None


def test_a_session_that_is_over_is_nobody(tab):
    Session.objects.filter(pk=key_of(tab)).update(expire_date=timezone.now())
    assert not request_with(key_of(tab)).user.is_authenticated


def test_a_change_of_the_password_ends_the_other_sessions(clinic, tab):
    user = User.accounts.get(pk=clinic.front_desk.pk)
    user.set_password(PASSWORD)
    user.save()
    assert not request_with(key_of(tab)).user.is_authenticated


def test_a_session_signed_with_yesterdays_secret_stays_and_gets_todays(clinic, tab, settings):
    old = key_of(tab)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the new one, long enough to be taken for one"
    assert tab.get("/notifications/inbox/").status_code == 200
    assert key_of(tab) != old
    row = Session.objects.get(pk=key_of(tab))
    assert (row.user, row.auth_hash) == (clinic.front_desk, clinic.front_desk.get_session_auth_hash())
    assert not Session.objects.filter(pk=old).exists()


def test_signing_in_over_somebody_elses_session_makes_a_new_one(clinic):
    tab = clinic.client(clinic.front_desk)
    old = key_of(tab)
    # The page would send them home; signing in itself must hold.
    tab.force_login(clinic.admin, backend="core.auth.AccountBackend")
    assert key_of(tab) != old
    row = Session.objects.get(pk=key_of(tab))
    assert row.user == clinic.admin
    assert request_with(key_of(tab)).user == clinic.admin


def test_signing_in_and_out_write_and_take_away_the_row(clinic):
    clinic.front_desk.set_password(PASSWORD)
    clinic.front_desk.save()
    tab = Client()
    tab.post("/sign-in/", {"username": clinic.front_desk.email, "password": PASSWORD})
    row = Session.objects.get(pk=key_of(tab))
    assert row.user == clinic.front_desk
    assert SessionStore(row.pk)[SESSION_KEY] == str(clinic.front_desk.pk)
    tab.post("/sign-out/")
    assert not Session.objects.filter(pk=row.pk).exists()


# --- housekeeping ----------------------------------------------------------------------------------------------------


def ended(moment: dt.datetime, count: int) -> None:
    Session.objects.bulk_create(
        Session(session_key=uuid.uuid4().hex, session_data="", expire_date=moment) for _ in range(count)
    )


def test_what_is_over_is_cleared_in_batches_and_nothing_else(tab):
    now = timezone.now()
    ended(now - dt.timedelta(seconds=1), 7)
    ended(now, 1)
    ended(now + dt.timedelta(seconds=1), 2)
    assert sessions.clear_expired(now, batch=3) == 8
    assert Session.objects.count() == 3
    assert sessions.clear_expired(now, batch=3) == 0
    assert request_with(key_of(tab)).user.is_authenticated


def test_a_session_that_is_used_again_meanwhile_stays(db, monkeypatch):
    """Between choosing and deleting somebody's session got a new end."""
    now = timezone.now()
    ended(now - dt.timedelta(seconds=1), 1)
    later = now + dt.timedelta(hours=1)
    filtered = Session.objects.filter

    def used_meanwhile(**wanted):
        if "pk__in" in wanted:
            filtered(pk__in=wanted["pk__in"]).update(expire_date=later)
        return filtered(**wanted)

    monkeypatch.setattr(Session.objects, "filter", used_meanwhile)
    assert sessions.clear_expired(now) == 0
    assert Session.objects.count() == 1


def test_the_task_says_how_many(db):
    ended(timezone.now() - dt.timedelta(days=1), 2)
    assert clear_sessions_task() == {"cleared": 2}
    assert clear_sessions_task() == {"cleared": 0}
