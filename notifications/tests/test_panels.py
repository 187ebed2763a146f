"""The bell's panel, handed out once more: only to whom it belongs, only while nothing has changed."""

from __future__ import annotations

import datetime as dt
from unittest import mock

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.access import CAPABILITIES
from core.models import Role, Session, User
from notifications import inbox, panels
from tests import factories

HX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(panels, "PANELS", panels.Panels())


@pytest.fixture
def me(clinic) -> User:
    return clinic.provider


@pytest.fixture
def tab(clinic, me) -> Client:
    inbox.notify(user=me, title="New appointment", title_ar="موعد جديد")
    return clinic.client(me)


@pytest.fixture
def no_stack(monkeypatch):
    """Switched on by the test: whoever then enters what is there for people fails."""

    def switch_on() -> None:
        def refuse(*_args):
            raise AssertionError("the panel went the ordinary way")

        monkeypatch.setattr("core.auth.AccountMiddleware.process_request", refuse)

    return switch_on


def panel(tab: Client, **headers: str):
    return tab.get(panels.PATH, headers=HX | headers)


def test_it_is_the_lists_address():
    assert reverse("notifications:bell_list") == panels.PATH


def test_asked_again_it_is_one_statement_and_the_same_answer_with_the_same_headers(
    tab, no_stack, django_assert_num_queries
):
    drawn = panel(tab)
    no_stack()
    with django_assert_num_queries(1):
        again = panel(tab)
    assert again.content == drawn.content
    assert b"New appointment" in again.content
    assert dict(again.headers) == dict(drawn.headers)
    assert "Content-Security-Policy" in again.headers
    assert again.headers["Cache-Control"] == "private, no-store"
    assert not again.cookies


def test_whatever_changes_the_bell_draws_it_anew(me, tab):
    panel(tab)
    inbox.notify(user=me, title="Another one")
    assert b"Another one" in panel(tab).content


def test_a_colleague_and_an_outsider_get_their_own(clinic, other_clinic, tab):
    panel(tab)
    for other in (clinic.client(clinic.colleague), other_clinic.client(other_clinic.provider)):
        assert b"New appointment" not in panel(other).content


def test_it_is_in_the_language_that_is_asked_for(tab):
    assert b"New appointment" in panel(tab, **{"Accept-Language": "en"}).content
    assert "موعد جديد" in panel(tab, **{"Accept-Language": "ar"}).content.decode()


def test_tomorrow_today_is_earlier(tab):
    assert b"Today" in panel(tab).content
    tomorrow = timezone.now() + dt.timedelta(days=1)
    with mock.patch("django.utils.timezone.now", return_value=tomorrow):
        Session.objects.update(expire_date=tomorrow + dt.timedelta(days=1))
        assert b"Earlier" in panel(tab).content


def test_another_place_has_another_clock(clinic, me, tab):
    before = panel(tab).content
    me.location = factories.LocationFactory(tenant=clinic.tenant, timezone="Asia/Tokyo")
    me.save()
    assert panel(tab).content != before


@pytest.mark.parametrize("end", ["signed out", "deactivated", "suspended", "password", "expired", "role"])
def test_whatever_ends_the_right_to_it_ends_it_at_once(clinic, me, tab, monkeypatch, end):
    panel(tab)
    match end:
        case "signed out":
            Session.objects.all().delete()
        case "deactivated":
            User.objects.filter(pk=me.pk).update(is_active=False)
        case "suspended":
            clinic.tenant.is_active = False
            clinic.tenant.save()
        case "password":
            me.set_password("another one")
            me.save()
        case "expired":
            Session.objects.update(expire_date=timezone.now())
        case "role":
            monkeypatch.setitem(CAPABILITIES, me.role, frozenset())
    answer = panel(tab)
    assert answer.status_code == (403 if end == "role" else 401)
    assert b"New appointment" not in answer.content


def test_an_admin_who_owes_a_second_step_gets_none(clinic):
    tab = clinic.client(clinic.admin)
    inbox.notify(user=clinic.admin, title="New appointment")
    assert b"New appointment" in panel(tab).content
    clinic.tenant.requires_second_factor = True
    clinic.tenant.save()
    answer = panel(tab)
    assert answer.status_code == 403
    assert b"New appointment" not in answer.content


def test_when_the_database_does_not_answer_the_ordinary_way_is_tried(tab):
    with mock.patch("notifications.poll.asker_of", side_effect=OperationalError):
        assert panel(tab).status_code == 200


def test_only_a_page_of_ours_gets_it(tab):
    panel(tab)
    assert tab.get(panels.PATH).status_code == 302
    assert tab.post(panels.PATH, headers=HX).status_code == 405


def test_a_role_that_exists_and_has_a_bell_gets_it(clinic):
    for user in (clinic.admin, clinic.front_desk, clinic.patient_user):
        assert Role(user.role)
        assert panel(clinic.client(user)).status_code == 200
