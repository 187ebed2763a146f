"""The notification page: days, filter, pages, and what it costs."""

from __future__ import annotations

import datetime as dt

import pytest
from django.urls import reverse
from django.utils import timezone

from conftest import Clinic
from notifications import inbox
from notifications.models import Notification
from notifications.views import days

PAGE = "/notifications/inbox/"


@pytest.fixture
def me(clinic):
    return clinic.provider


@pytest.fixture
def tab(clinic, me):
    return clinic.client(me)


def fill(user, count: int, *, every: dt.timedelta = dt.timedelta(0)) -> list[Notification]:
    rows = [inbox.notify(user=user, title=f"Notice {number:03}") for number in range(count)]
    for number, row in enumerate(rows):
        Notification.objects.filter(pk=row.pk).update(created_at=timezone.now() - every * number)
    return rows


def test_the_page_costs_the_same_for_one_and_for_many(me, tab, django_assert_max_num_queries):
    fill(me, 1)
    with django_assert_max_num_queries(6) as few:
        tab.get(PAGE)
    fill(me, 60)
    with django_assert_max_num_queries(6) as many:
        tab.get(PAGE)
    assert len(few.captured_queries) == len(many.captured_queries)


def test_a_page_holds_25_and_leads_to_the_next(me, tab):
    fill(me, 30, every=dt.timedelta(seconds=1))
    first = tab.get(PAGE).content.decode()
    assert first.count('class="n unread"') == 25
    assert "1 to 25 of 30" in first
    assert "?page=2" in first
    second = tab.get(PAGE, {"page": 2}).content.decode()
    assert second.count('class="n unread"') == 5
    assert tab.get(PAGE, {"page": "nonsense"}).status_code == 200
    assert tab.get(PAGE, {"page": 99}).status_code == 200


def test_the_filter_shows_the_unread_and_stays_while_paging(me, tab):
    rows = fill(me, 28, every=dt.timedelta(seconds=1))
    inbox.mark_read(me, rows[0].pk)
    page = tab.get(PAGE, {"show": "unread"}).content.decode()
    assert "Notice 000" not in page
    assert "Notice 001" in page
    assert "?show=unread&amp;page=2" in page
    assert "Notice 000" in tab.get(PAGE).content.decode()


def test_days_are_named_today_yesterday_and_by_date(me, tab):
    rows = fill(me, 3)
    now = timezone.now()
    for row, ago in zip(rows, (0, 1, 5), strict=True):
        Notification.objects.filter(pk=row.pk).update(created_at=now - dt.timedelta(days=ago))
    page = tab.get(PAGE).content.decode()
    earlier = timezone.localtime(now - dt.timedelta(days=5))
    assert page.index(">Today<") < page.index(">Yesterday<") < page.index(f"{earlier:%a} {earlier.day}")


def test_a_day_begins_at_midnight_where_the_user_works(me):
    row = Notification(title="Late", created_at=dt.datetime(2026, 11, 22, 20, 30, tzinfo=dt.UTC))
    riyadh, dubai = (days.by_day([row], days.zoneinfo.ZoneInfo(name)) for name in ("Asia/Riyadh", "Asia/Dubai"))
    assert riyadh[0].label != dubai[0].label


def test_empty_is_said_kindly(me, tab):
    assert "No notifications yet" in tab.get(PAGE).content.decode()
    inbox.mark_read(me, fill(me, 1)[0].pk)
    assert "You have read everything" in tab.get(PAGE, {"show": "unread"}).content.decode()


def test_htmx_gets_the_list_alone(me, tab):
    fill(me, 1)
    response = tab.get(PAGE, headers={"HX-Request": "true"})
    page = response.content.decode().strip()
    assert 'id="inbox-list"' in page
    assert "<html" not in page
    assert "HX-Request" in response["Vary"]


@pytest.mark.parametrize("who", ["admin", "front_desk", "provider", "patient_user"])
def test_everybody_has_a_page_with_their_own_rows_only(clinic, other_clinic, who):
    fill(clinic.provider, 1)
    page = clinic.client(getattr(clinic, who)).get(PAGE).content.decode()
    assert ("Notice 000" in page) == (who == "provider")
    assert "Notice 000" not in other_clinic.client(getattr(other_clinic, who)).get(PAGE).content.decode()


def test_a_stranger_signs_in_first(client, db):
    assert client.get(PAGE)["Location"].startswith("/sign-in/")
    assert client.get(PAGE, headers={"HX-Request": "true"}).status_code == 401


def test_the_page_reads_and_never_writes(tab):
    assert tab.post(PAGE).status_code == 405


def test_the_front_door_leads_each_role_to_its_own_page(clinic: Clinic) -> None:
    address = reverse("notifications:front_door")
    assert clinic.client(clinic.front_desk).get(address).url == reverse("notifications:message_list")
    assert clinic.client(clinic.provider).get(address).url == reverse("notifications:inbox")
