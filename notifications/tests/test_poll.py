"""The idle poll before Django's stack: one statement; whatever ends a session, or its right to the bell, ends the next
poll; in doubt the ordinary way answers. The same at both doors: the real WSGI application and the middleware."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from unittest import mock

import pytest
from django.core.signals import request_finished, request_started
from django.db import OperationalError, close_old_connections, connection, connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from agdar.wsgi import application
from core.models import Role, Session, Tenant, User
from notifications import inbox
from notifications import poll as idle
from notifications.models import BellState

HX = {"HX-Request": "true"}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes = b""


def by_wsgi(tab: Client, tag: str | None, method: str = "GET", **headers: str) -> Answer:
    """As the web server calls us, with the cookies that the browser has."""
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": idle.PATH,
        "QUERY_STRING": "",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "testserver",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "HTTP_COOKIE": "; ".join(f"{name}={morsel.value}" for name, morsel in tab.cookies.items()),
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
    }
    if tag is not None:
        environ["HTTP_HX_PTAG"] = tag
    told: list[tuple[str, list[tuple[str, str]]]] = []
    with the_tests_connection_kept():
        answered = application(environ, lambda status, fields, *_error: told.append((status, fields)))
        body = b"".join(answered)
        getattr(answered, "close", lambda: None)()
    ((status, fields),) = told
    return Answer(int(status.split()[0]), dict(fields), body)


@contextlib.contextmanager
def the_tests_connection_kept() -> Iterator[None]:
    """As the tests' client does: a connection in the middle of a test's transaction looks unusable to Django."""
    if not connection.in_atomic_block:
        yield
        return
    ends = (request_started, request_finished)
    with mock.patch.object(application, "close_old_connections"):
        for end in ends:
            end.disconnect(close_old_connections)
        try:
            yield
        finally:
            for end in ends:
                end.connect(close_old_connections)


def by_client(tab: Client, tag: str | None, method: str = "GET", **headers: str) -> Answer:
    answered = tab.generic(method, idle.PATH, headers=headers | ({"HX-PTag": tag} if tag is not None else {}))
    return Answer(answered.status_code, dict(answered.items()), answered.content)


Door = Callable[..., Answer]


@pytest.fixture(params=[by_wsgi, by_client], ids=["in front", "inside"])
def door(request) -> Door:
    return request.param


@pytest.fixture
def me(clinic) -> User:
    return clinic.provider


@pytest.fixture
def tab(clinic, me) -> Client:
    return clinic.client(me)


@pytest.fixture
def tag(tab, me) -> str:
    """What the page shows after one notification."""
    inbox.notify(user=me, title="New appointment")
    return by_client(tab, None, **HX).headers["HX-PTag"]


@pytest.fixture
def no_stack(monkeypatch):
    """Whoever enters what is there for people fails."""

    def refuse(*_args):
        raise AssertionError("the poll went the ordinary way")

    monkeypatch.setattr("core.auth.AccountMiddleware.process_request", refuse)
    monkeypatch.setattr("core.sessions.SessionStore.load", refuse)


@contextlib.contextmanager
def statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(execute, sql, params, many, context):
        seen.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield seen


def session_of(tab: Client) -> Session:
    return Session.objects.get(pk=tab.cookies["sessionid"].value)


# --- unchanged -------------------------------------------------------------------------------------------------------


def test_it_is_the_polls_address():
    assert reverse("notifications:bell") == idle.PATH


def test_unchanged_is_one_statement_which_does_not_touch_the_list(door, tab, tag, no_stack):
    with statements() as queries:
        answer = door(tab, tag, **HX)
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers == {"Cache-Control": "private, no-store"}
    assert len(queries) == 1
    assert "notifications_notification" not in queries[0]


def test_in_front_of_django_means_that_djangos_handler_is_not_entered(tab, tag, monkeypatch):
    monkeypatch.setattr(application, "django", None)
    assert by_wsgi(tab, tag, **HX).status == 304
    assert by_wsgi(Client(), tag, **HX).status == 401


def test_somebody_who_never_got_anything_is_as_cheap(door, clinic, django_assert_num_queries):
    tab = clinic.client(clinic.colleague)
    with django_assert_num_queries(1):
        assert door(tab, f"{clinic.colleague.pk.hex[:12]}.0.0", **HX).status == 304


def test_the_role_of_every_person_with_a_bell_will_do(door, clinic):
    for user in (clinic.admin, clinic.front_desk, clinic.provider, clinic.patient_user):
        assert door(clinic.client(user), f"{user.pk.hex[:12]}.0.0", **HX).status == 304


def test_the_hash_is_djangos(me, settings):
    assert idle.session_hash(me.password) == me.get_session_auth_hash()
    settings.SECRET_KEY = "another one, long enough to be taken for one"
    assert idle.session_hash(me.password) == me.get_session_auth_hash()


# --- changed, or not a poll: the ordinary way ------------------------------------------------------------------------


def test_a_change_is_told_the_ordinary_way_and_nobody_asks_twice(door, tab, tag, me):
    inbox.notify(user=me, title="Another one")
    with statements() as queries:
        answer = door(tab, tag, **HX)
    assert answer.status == 200
    assert answer.headers["HX-PTag"] == f"{me.pk.hex[:12]}.2.2"
    assert sum("s.auth_hash" in query for query in queries) == 1


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [("GET", {}, 302), ("POST", HX, 403), ("PUT", HX, 403), ("GET", {"HX-Request": "yes"}, 302)],
)
def test_what_is_no_poll_goes_the_ordinary_way(door, me, tag, method, headers, status):
    tab = Client(enforce_csrf_checks=True)
    tab.force_login(me, backend="core.auth.AccountBackend")
    assert door(tab, tag, method, **headers).status == status


def test_without_a_tag_the_count_is_told(door, tab, tag):
    assert door(tab, None, **HX).status == 200
    assert door(tab, "", **HX).status == 200


def test_another_address_is_not_looked_at(tab, tag, monkeypatch):
    monkeypatch.setattr(idle, "find", None)
    assert tab.get("/notifications/inbox/", headers=HX | {"HX-PTag": tag}).status_code == 200


# --- whatever ends a session, or its right to the bell, ends the next poll ---------------------------------------------


def sign_out(tab, me):
    cookie = tab.cookies["sessionid"].value
    tab.post("/sign-out/")
    # The browser's other tab still sends what it had.
    tab.cookies["sessionid"] = cookie


def revoke(tab, me):
    me.sessions.all().delete()


def expire(tab, me):
    me.sessions.update(expire_date=timezone.now() - dt.timedelta(seconds=1))


def change_password(tab, me):
    me.set_password("another long password")
    me.save()


def deactivate(tab, me):
    User.accounts.filter(pk=me.pk).update(is_active=False)


def delete(tab, me):
    BellState.objects.filter(user=me).delete()
    me.notifications.all().delete()
    me.delete()


def suspend(tab, me):
    Tenant.objects.filter(pk=me.tenant_id).update(is_active=False)


def leave_the_clinic(tab, me):
    User.accounts.filter(pk=me.pk).update(tenant=None, is_superuser=True)


def forget_the_cookie(tab, me):
    tab.cookies.clear()


def forge_the_cookie(tab, me):
    tab.cookies["sessionid"] = "x" * 32


def sign_with_another_secret(tab, me):
    Session.objects.filter(user=me).update(auth_hash="0" * 64, session_data="forged")


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (sign_out, 401),
        (revoke, 401),
        (expire, 401),
        (change_password, 401),
        (deactivate, 401),
        (delete, 401),
        (suspend, 401),
        (leave_the_clinic, 403),
        (forget_the_cookie, 401),
        (forge_the_cookie, 401),
        (sign_with_another_secret, 401),
    ],
)
def test_the_very_next_poll_stops(door, tab, me, tag, end, status):
    assert door(tab, tag, **HX).status == 304
    end(tab, me)
    assert door(tab, tag, **HX).status == status


def test_a_role_without_a_bell_is_refused_by_the_very_next_poll(door, tab, me, tag, monkeypatch):
    assert door(tab, tag, **HX).status == 304
    User.accounts.filter(pk=me.pk).update(role=Role.PATIENT)
    assert door(tab, tag, **HX).status == 304
    monkeypatch.setitem(idle.CAPABILITIES, Role.PATIENT, frozenset())
    assert door(tab, tag, **HX).status == 403


def test_an_anonymous_session_is_no_ones(door, db):
    tab = Client()
    session = tab.session
    session["seen"] = True
    session.save()
    tab.cookies["sessionid"] = session.session_key
    assert door(tab, "x.0.0", **HX).status == 401


@pytest.mark.parametrize("key", ["", "a b", "a\x00b", "é" * 32, "'; --", "x" * 5000])
def test_what_is_no_key_of_ours_is_no_session(key, db):
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": idle.PATH,
        "HTTP_HX_REQUEST": "true",
        "HTTP_HX_PTAG": "x.0.0",
        "HTTP_COOKIE": f"sessionid={key}",
    }
    assert idle.answer(environ) == 401


def test_a_refusal_says_no_more_than_that(door, db, no_stack):
    answer = door(Client(), "x.0.0", **HX)
    assert (answer.status, answer.body) == (401, b"")
    assert answer.headers == {"Cache-Control": "private, no-store", "Content-Length": "0"}


def test_a_session_of_yesterdays_secret_is_renewed_by_django_and_then_idle_again(door, tab, me, tag, settings):
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another one, long enough to be taken for one"
    old = session_of(tab).pk
    answer = door(tab, tag, **HX)
    assert answer.status == 304
    renewed = Session.objects.get(user=me)
    assert renewed.pk != old
    assert renewed.auth_hash == me.get_session_auth_hash()
    tab.cookies["sessionid"] = renewed.pk
    with statements() as queries:
        assert door(tab, tag, **HX).status == 304
    assert len(queries) == 1


def test_the_tag_of_a_colleague_is_not_ones_own(door, clinic, tab, tag, me):
    inbox.notify(user=clinic.colleague, title="Theirs")
    theirs = f"{clinic.colleague.pk.hex[:12]}.1.1"
    assert door(clinic.client(clinic.colleague), theirs, **HX).status == 304
    assert door(tab, theirs, **HX).status != 304


def test_an_outsiders_session_answers_for_the_outsider(door, other_clinic, tag):
    assert door(other_clinic.client(other_clinic.provider), tag, **HX).status != 304


# --- the database ----------------------------------------------------------------------------------------------------


def test_a_database_that_does_not_answer_is_left_to_the_ordinary_way(door, tab, tag, monkeypatch):
    def away(*_args):
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(idle, "find", away)
    with mock.patch.object(connections["default"], "close") as closed:
        assert door(tab, tag, **HX).status == 304
    closed.assert_called_once_with()


def test_connections_are_looked_after_before_and_after_as_djangos_own_requests_do(tab, tag, monkeypatch):
    """A connection that is broken or too old is not used again."""
    looked: list[str] = []

    def find(*_args: object) -> None:
        looked.append("asked")

    monkeypatch.setattr(idle, "find", find)
    monkeypatch.setattr(application, "close_old_connections", lambda: looked.append("looked"))
    monkeypatch.setattr(f"{__name__}.the_tests_connection_kept", contextlib.nullcontext)
    assert by_wsgi(tab, tag, **HX).status == 401
    assert looked == ["looked", "asked", "looked"]


def closed_by_the_server(gone) -> None:
    with connection.copy(alias="default").cursor() as other:
        other.execute("SELECT pg_terminate_backend(%s)", [gone.info.backend_pid])
        other.connection.close()


def robbed_of_its_plan(gone) -> None:
    gone.execute("DEALLOCATE ALL")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("harm", [closed_by_the_server, robbed_of_its_plan])
def test_a_connection_that_came_to_harm_costs_nobody_an_answer(tab, tag, harm, monkeypatch):
    assert by_wsgi(tab, tag, **HX).status == 304
    gone = connection.connection
    harm(gone)
    assert by_wsgi(tab, tag, **HX).status == 304
    assert connection.connection is not gone
    # And then all is as before.
    monkeypatch.setattr(application, "django", None)
    assert by_wsgi(tab, tag, **HX).status == 304


@pytest.mark.postgres
@pytest.mark.django_db
def test_the_statement_is_planned_once_for_a_connection_and_says_the_same_as_djangos_cursor(tab, me, tag):
    key, now = tab.cookies["sessionid"].value, timezone.now()
    planned = [idle.find(key, now) for _ in range(3)]
    with statements() as heard:
        assert [idle.find(key, now)] == planned[:1]
    assert len(heard) == 1
    assert planned[0].user_id == me.pk
    assert planned[0].may_ask
    assert idle.find(key, session_of(tab).expire_date) is None
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE name = 'agdar_poll'")
        assert cursor.fetchone() == (1,)
