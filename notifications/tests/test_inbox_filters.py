"""The filters of the notification page: what passes, and what is said to a wish that makes no sense."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from notifications import inbox
from notifications.inbox_writing import Note, Recipient
from notifications.models import Notification
from notifications.states import Category, Level
from notifications.tests.test_inbox_views import link, titles

PAGE = "/notifications/inbox/"
HX = {"HX-Request": "true"}


@pytest.fixture
def me(clinic):
    return clinic.provider


@pytest.fixture
def tab(clinic, me):
    return clinic.client(me)


def found(tab, **filters) -> set[str]:
    return set(titles(tab.get(PAGE, filters).content.decode()))


def write(user, number: int, *, at: dt.datetime | None = None, **fields) -> Notification:
    row = inbox.notify(user=user, title=f"Notice {number:03}", **fields)
    if at is not None:
        Notification.objects.filter(pk=row.pk).update(activity_at=at)
    return row


def test_the_kind_and_the_subject_narrow_the_list_together(me, tab):
    write(me, 1, category=Category.ARRIVAL, level=Level.WARNING)
    write(me, 2, category=Category.ARRIVAL)
    write(me, 3, category=Category.SYSTEM, level=Level.WARNING)
    assert found(tab, category="ARRIVAL") == {"Notice 001", "Notice 002"}
    assert found(tab, level="WARNING") == {"Notice 001", "Notice 003"}
    assert found(tab, category="ARRIVAL", level="WARNING") == {"Notice 001"}
    assert found(tab, category="MESSAGING") == set()


def test_days_are_those_of_the_readers_wall_clock_and_the_last_is_included(me, tab):
    # In Riyadh (three hours ahead) both are the 20th, the third is the 21st.
    write(me, 1, at=dt.datetime(2026, 11, 19, 21, 0, tzinfo=dt.UTC))
    write(me, 2, at=dt.datetime(2026, 11, 20, 20, 59, 59, tzinfo=dt.UTC))
    write(me, 3, at=dt.datetime(2026, 11, 20, 21, 0, tzinfo=dt.UTC))
    assert found(tab, since="2026-11-20", until="2026-11-20") == {"Notice 001", "Notice 002"}
    assert found(tab, since="2026-11-21") == {"Notice 003"}
    assert found(tab, until="2026-11-20") == {"Notice 001", "Notice 002"}
    assert found(tab, since="٢٠٢٦-١١-٢١") == {"Notice 003"}
    assert len(found(tab, since="0001-01-01", until="9999-12-31")) == 3


@pytest.mark.parametrize(
    ("typed", "numbers"),
    [
        ("arrived", {1}),
        ("ARRIVED sara", {1}),
        ("sara arrived", {1}),
        ("وصلت", {1}),
        ("ساره", {1}),  # written سارة
        ("احمد", {2}),  # written أحمد
        ("x100%", {3}),
        ("100_", set()),
        ("A-77", {2}),
        ("nobody", set()),
        ("   ", {1, 2, 3}),
        ("'; DROP TABLE", set()),
        ("سارة.*", set()),
    ],
)
def test_the_search_looks_at_the_words_of_both_languages(me, tab, typed, numbers):
    write(me, 1, title_ar="وصلت سارة المطيري", message="Sara Al-Mutairi has arrived")
    write(me, 2, message="Visit A-77", message_ar="موعد أحمد")
    write(me, 3, message="x100% done")
    assert found(tab, q=typed) == {f"Notice {number:03}" for number in numbers}


def test_the_search_finds_a_word_of_any_that_folded_into_a_row(me, tab):
    for number, words in enumerate(("first", "second", "third", "fourth", "fifth")):
        note = Note(
            title=f"Notice {number:03}",
            message=f"The {words} reply",
            dedupe_key=words,
            group="g",
            fold_within=dt.timedelta(hours=1),
        )
        inbox.notify_many(tenant_id=me.tenant_id, note=note, recipients=[Recipient(me.pk)])
    assert "Notice 004" in found(tab, q="second")
    assert found(tab, q="sixth") == set()


def test_filters_stay_in_the_views_and_the_pages(me, tab):
    for number in range(30):
        write(me, number, at=timezone.now() - dt.timedelta(minutes=number), category=Category.SYSTEM)
    page = tab.get(PAGE, {"category": "SYSTEM", "q": "notice"}).content.decode()
    assert "category=SYSTEM" in link(page, "next")
    assert "q=notice" in link(page, "next")
    assert "category=SYSTEM&amp;q=notice&amp;show=unread" in page
    assert len(titles(tab.get(link(page, "next")).content.decode())) == 5


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"since": "2026-11-20", "until": "2026-11-01"}, "The last day is before the first one."),
        ({"since": "yesterday"}, "Enter a valid date."),
        ({"category": "NONSENSE"}, "Select a valid choice."),
        ({"level": "LOUD"}, "Select a valid choice."),
        ({"q": "x" * 101}, "at most 100 characters"),
    ],
)
@pytest.mark.parametrize("headers", [HX, {}])
def test_a_filter_that_makes_no_sense_is_said_and_nothing_typed_is_lost(me, tab, filters, words, headers):
    write(me, 1)
    response = tab.get(PAGE, filters, headers=headers)
    page = response.content.decode()
    assert response.status_code == 422
    assert words in page
    assert 'role="alert"' in page
    if not headers and "since" in filters:
        assert f'value="{filters["since"]}"' in page


def test_a_view_that_does_not_exist_is_the_inbox(me, tab):
    write(me, 1)
    assert found(tab, show="nonsense") == {"Notice 001"}


def test_an_empty_result_says_that_the_filters_are_the_reason(me, tab):
    write(me, 1)
    assert "No notification fits these filters." in tab.get(PAGE, {"q": "nobody"}).content.decode()


def test_for_htmx_the_views_come_with_the_filters_in_their_addresses(me, tab):
    page = tab.get(PAGE, {"q": "notice"}, headers=HX).content.decode()
    assert '<hx-partial hx-target="#inbox-views"' in page
    assert "q=notice&amp;show=unread" in page


def test_going_back_in_the_browser_brings_the_whole_page(me, tab):
    page = tab.get(PAGE, headers=HX | {"HX-History-Restore-Request": "true"}).content.decode()
    assert "<html" in page


def test_nobody_finds_the_words_of_somebody_else(clinic, me, tab):
    write(clinic.colleague, 1, message="secret")
    note = Note(title="Notice 002", message="secret", dedupe_key="s", group="g", fold_within=dt.timedelta(hours=1))
    inbox.notify_many(tenant_id=me.tenant_id, note=note, recipients=[Recipient(clinic.colleague.pk)])
    assert found(tab, q="secret") == set()
