"""The notification page: its views, days, pages and rows, and what it costs."""

from __future__ import annotations

import datetime as dt
import html
import re

import pytest
from django.urls import reverse
from django.utils import timezone

from conftest import Clinic
from core.access import Can
from notifications import actions, inbox
from notifications.inbox_filters import Show
from notifications.inbox_writing import Note, Recipient
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
    """The first is the latest."""
    rows = [inbox.notify(user=user, title=f"Notice {number:03}") for number in range(count)]
    now = timezone.now()
    for number, row in enumerate(rows):
        Notification.objects.filter(pk=row.pk).update(activity_at=now - every * number)
    return rows


def titles(page: str) -> list[str]:
    return re.findall(r'<bdi dir="auto">(Notice \d+)</bdi>', page)


def link(page: str, rel: str) -> str:
    """The address of the next or the previous page; empty when there is none."""
    found = re.search(rf'rel="{rel}" href="([^"]*)"', page)
    return PAGE + html.unescape(found[1]) if found else ""


# --- pages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("show", ["", "unread", "snoozed", "archived", "history"])
def test_a_page_costs_one_query_for_one_and_for_many(me, tab, show, django_assert_num_queries):
    rows = fill(me, 60, every=dt.timedelta(minutes=1))
    Notification.objects.filter(pk__in=[row.pk for row in rows[:30]]).update(
        **{
            "snoozed": {"snoozed_until": timezone.now() + dt.timedelta(days=1)},
            "archived": {"archived_at": timezone.now()},
        }.get(show, {"group_count": 2, "is_critical": True})
    )
    # Session with user, and the rows.
    with django_assert_num_queries(2):
        first = tab.get(PAGE, {"show": show}).content.decode()
    # On a deeper page also: is there a page on the other side?
    with django_assert_num_queries(3):
        tab.get(link(first, "next"))


def test_all_filters_at_once_cost_no_query_more(me, tab, django_assert_num_queries):
    fill(me, 3)
    with django_assert_num_queries(2):
        tab.get(PAGE, {"q": "notice", "category": "GENERAL", "level": "INFO", "since": "2026-01-01"})


def test_pages_follow_one_another_without_gap_or_overlap_there_and_back(me, tab):
    fill(me, 60, every=dt.timedelta(seconds=1))
    pages = [tab.get(PAGE).content.decode()]
    while address := link(pages[-1], "next"):
        pages.append(tab.get(address).content.decode())
    assert [len(titles(page)) for page in pages] == [25, 25, 10]
    assert [title for page in pages for title in titles(page)] == [f"Notice {number:03}" for number in range(60)]
    back = tab.get(link(pages[2], "prev")).content.decode()
    assert titles(back) == titles(pages[1])
    top = tab.get(link(back, "prev")).content.decode()
    assert titles(top) == titles(pages[0])
    assert not link(top, "prev")


def test_rows_of_one_moment_have_an_order_too(me, tab):
    fill(me, 30)
    Notification.objects.update(activity_at=timezone.now())
    first = tab.get(PAGE).content.decode()
    second = tab.get(link(first, "next")).content.decode()
    assert len(set(titles(first)) | set(titles(second))) == 30


def test_what_arrives_meanwhile_shifts_no_page(me, tab):
    fill(me, 50, every=dt.timedelta(seconds=1))
    first = tab.get(PAGE).content.decode()
    fill(me, 5)
    assert titles(tab.get(link(first, "next")).content.decode()) == [f"Notice {number:03}" for number in range(25, 50)]


def test_newer_at_the_top_is_the_full_first_page(me, tab):
    fill(me, 30, every=dt.timedelta(seconds=1))
    second = tab.get(link(tab.get(PAGE).content.decode(), "next")).content.decode()
    assert len(titles(tab.get(link(second, "prev")).content.decode())) == 25


@pytest.mark.parametrize(
    "cursor",
    [
        "nonsense",
        "x" * 5000,
        "é",
        "====",
        "AAAA",
        "_" * 32,
        "f" + "_" * 31,
        "A" * 32,
        "%00",
        "gAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ],
)
@pytest.mark.parametrize("side", ["older", "newer"])
def test_a_cursor_that_nobody_gave_out_shows_the_first_page(me, tab, cursor, side):
    fill(me, 3)
    response = tab.get(PAGE, {side: cursor})
    assert response.status_code == 200
    assert len(titles(response.content.decode())) == 3


def test_the_view_stays_while_paging(me, tab):
    rows = fill(me, 28, every=dt.timedelta(seconds=1))
    inbox.mark_read(me, rows[0].pk)
    page = tab.get(PAGE, {"show": "unread"}).content.decode()
    assert "Notice 000" not in page
    assert "show=unread" in link(page, "next")
    assert titles(tab.get(link(page, "next")).content.decode()) == ["Notice 026", "Notice 027"]
    assert "Notice 000" in tab.get(PAGE).content.decode()


# --- days ------------------------------------------------------------------------------------------------------------


def test_days_are_named_today_yesterday_and_by_date(me, tab):
    rows = fill(me, 3)
    now = timezone.now()
    for row, ago in zip(rows, (0, 1, 5), strict=True):
        Notification.objects.filter(pk=row.pk).update(activity_at=now - dt.timedelta(days=ago))
    page = tab.get(PAGE).content.decode()
    earlier = timezone.localtime(now - dt.timedelta(days=5))
    assert page.index(">Today<") < page.index(">Yesterday<") < page.index(f"{earlier:%a} {earlier.day}")


def test_a_day_begins_at_midnight_where_the_user_works(me):
    row = Notification(title="Late", activity_at=dt.datetime(2026, 11, 22, 20, 30, tzinfo=dt.UTC))
    riyadh, dubai = (days.by_day([row], days.zoneinfo.ZoneInfo(name)) for name in ("Asia/Riyadh", "Asia/Dubai"))
    assert riyadh[0].label != dubai[0].label


# --- rows ------------------------------------------------------------------------------------------------------------


def test_a_row_says_what_there_is_to_know(clinic, me, tab):
    row = fill(me, 1)[0]
    ten = timezone.make_aware(dt.datetime.combine(timezone.localdate(), dt.time(0, 5)))
    facts = {
        "is_critical": True,
        "acknowledged_at": ten,
        "acknowledged_by": clinic.front_desk,
        "instead_of": clinic.colleague,
        "resolved_at": ten,
        "override": "quiet",
    }
    Notification.objects.filter(pk=row.pk).update(**facts)
    page = re.sub(r"<[^>]+>", "", tab.get(PAGE).content.decode())
    for words in (
        "Acknowledged by Desk at 00:05",
        "On behalf of Dr. Nasser",
        "Over since 00:05",
        "Shown despite your quiet hours: critical",
    ):
        assert words in page
    Notification.objects.filter(pk=row.pk).update(override="muted", is_silent=True)
    assert "Shown although you switched this off: critical" in tab.get(PAGE).content.decode()
    assert "Came in your quiet time" not in tab.get(PAGE).content.decode()
    assert "Came in your quiet time" in tab.get(PAGE, {"show": "history"}).content.decode()


def test_a_folded_row_shows_how_many_and_the_latest_and_leads_to_all(me, tab):
    for number in range(5):
        note = Note(
            title=f"Reply {number}",
            title_ar=f"رد {number}",
            dedupe_key=f"reply:{number}",
            group="replies",
            fold_within=dt.timedelta(hours=1),
        )
        inbox.notify_many(tenant_id=me.tenant_id, note=note, recipients=[Recipient(me.pk)])
    row = Notification.objects.get()
    page = tab.get(PAGE).content.decode()
    assert ">×5<" in page
    assert page.count("data-row") == 1
    assert all(f">Reply {number}<" in page for number in (4, 3, 2))
    assert ">Reply 1<" not in page
    whole = tab.get(f"/notifications/{row.pk}/")
    assert whole.status_code == 200
    assert all(f"Reply {number}" in whole.content.decode() for number in range(5))
    row.refresh_from_db()
    assert not row.is_read, "looking changes nothing"
    arabic = tab.get(PAGE, headers={"Accept-Language": "ar"}).content.decode()
    assert all(f"رد {number}" in arabic for number in (4, 3, 2))


def test_nothing_is_inserted_as_raw_html(me, tab):
    evil = "<img src=x onerror=alert(1)>"
    for number in range(2):
        note = Note(title=evil, message=evil, dedupe_key=str(number), group="g", fold_within=dt.timedelta(hours=1))
        inbox.notify_many(tenant_id=me.tenant_id, note=note, recipients=[Recipient(me.pk)])
    row = Notification.objects.get()
    for address in (PAGE, f"/notifications/{row.pk}/", f"/notifications/{row.pk}/snooze/", "/notifications/bell/list/"):
        assert evil not in tab.get(address, headers={"HX-Request": "true"}).content.decode()


def test_an_app_adds_its_own_actions_to_the_rows_of_its_events(clinic, me, tab, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(actions, "_ACTIONS", {})
    retry = actions.RowAction("retry", "Send again", "refresh", lambda row: f"/again/{row.pk}/", Can.USE_BELL)
    look = actions.RowAction("look", "Look", "eye", lambda row: "/look/", Can.TREAT, is_post=False)
    hidden = actions.RowAction("admin", "Only admins", "tool", lambda row: "/admin-only/", Can.ADMINISTER)
    unfit = actions.RowAction("unfit", "Not here", "tool", lambda row: None, Can.USE_BELL)
    for action in (retry, look, hidden, unfit):
        actions.register_action("message.failed", action)
    with pytest.raises(actions.DuplicateAction):
        actions.register_action("message.failed", retry)
    for row in fill(me, 5)[1:]:
        Notification.objects.filter(pk=row.pk).update(event_key="message.failed")
    with django_assert_num_queries(2):
        page = tab.get(PAGE).content.decode()
    assert page.count("Send again") == page.count('href="/look/"') == 4
    assert "Only admins" not in page
    assert "Not here" not in page


# --- the rest --------------------------------------------------------------------------------------------------------


def test_the_history_has_everything_also_what_was_switched_off(me, tab):
    note = Note(title="Notice 777", dedupe_key="muted")
    inbox.notify_many(tenant_id=me.tenant_id, note=note, recipients=[Recipient(me.pk, is_muted=True)])
    rows = fill(me, 2)
    inbox.archive(me, rows[0].pk)
    inbox.snooze(me, rows[1].pk, timezone.now() + dt.timedelta(hours=2))
    shown = {show: set(titles(tab.get(PAGE, {"show": show}).content.decode())) for show in Show.values}
    assert shown == {
        "": set(),
        "unread": set(),
        "snoozed": {"Notice 001"},
        "archived": {"Notice 000"},
        "history": {"Notice 000", "Notice 001", "Notice 777"},
    }


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
    address = reverse("notifications:dashboard")
    assert clinic.client(clinic.front_desk).get(address).status_code == 200
    assert clinic.client(clinic.provider).get(address).url == reverse("notifications:inbox")
