"""The staff centre's benchmarks at a small size: what they count, and that they would notice when it is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from benchmarks import bell_counter, bell_dropdown, inbox_page, notify_many
from benchmarks.__main__ import NAMES
from benchmarks.services import ROOT
from benchmarks.staff_bell import hq, seed
from core.models import Tenant
from core.tenancy import tenant_scope
from notifications.models import BellState, Notification
from notifications.panels import PANELS


@pytest.fixture
def staff(db: None) -> seed.Staff:
    return seed.found_staff(12)


def told_of(staff: seed.Staff, count: int) -> None:
    """So many rows for each of the staff. Not by ``seed.fill``, whose statements are PostgreSQL's."""
    from notifications.inbox_writing import Note, Recipient, notify_many

    with tenant_scope(staff.tenant_id):
        for _ in range(count):
            note = Note(title="Arrived", dedupe_key=str(uuid.uuid4()))
            notify_many(tenant_id=staff.tenant_id, note=note, recipients=[Recipient(one) for one in staff.user_ids])


def test_the_staff_benchmarks_can_be_called_by_name() -> None:
    assert {"bell_counter", "bell_dropdown", "notify_many", "inbox_page"} <= set(NAMES)


@pytest.mark.parametrize("people", [1, 12])
def test_a_word_to_all_takes_the_same_two_statements_for_one_and_for_many(staff: seed.Staff, people: int) -> None:
    assert notify_many.statements(staff, staff.user_ids[:people]) == 2


def test_a_word_to_all_is_counted_and_timed(staff: seed.Staff) -> None:
    assert notify_many.tell(staff, staff.user_ids) > 0
    with tenant_scope(staff.tenant_id):
        assert set(BellState.objects.values_list("unread", flat=True)) == {1}


def test_an_announcement_reaches_everybody_through_the_fan_out(staff: seed.Staff) -> None:
    told = notify_many.found_people(staff, 3)
    assert notify_many.announce(staff, told[0]) > 0


def test_the_panel_takes_at_most_two_statements_beside_session_and_user(staff: seed.Staff) -> None:
    told_of(staff, 12)
    assert bell_dropdown.most_statements(staff) <= bell_dropdown.GOAL_STATEMENTS


def test_a_panel_is_drawn_once_until_the_bell_changes(staff: seed.Staff) -> None:
    told_of(staff, 1)
    drawn = bell_dropdown.statements(staff.keys[0])
    kept = bell_dropdown.statements(staff.keys[0])
    told_of(staff, 1)
    assert (kept, bell_dropdown.statements(staff.keys[0])) == (1, drawn)


def test_a_kept_panel_is_its_owners_alone_and_holds_no_token(staff: seed.Staff) -> None:
    told_of(staff, 1)
    first, again, other = (panel_of(key) for key in (staff.keys[0], staff.keys[0], staff.keys[1]))
    rows = [set(ids_in(html)) for html in (first, again, other)]
    assert rows[0] == rows[1]
    assert not rows[0] & rows[2]
    assert first == again
    assert "csrfmiddlewaretoken" not in first


def test_only_so_many_panels_are_kept(staff: seed.Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PANELS, "kept", 1)
    told_of(staff, 1)
    drawn = bell_dropdown.statements(staff.keys[0])
    bell_dropdown.statements(staff.keys[1])
    assert bell_dropdown.statements(staff.keys[0]) == drawn


def panel_of(session_key: str) -> str:
    from django.conf import settings
    from django.test import Client

    client = Client(headers={"host": "127.0.0.1", "HX-Request": "true"})
    client.cookies[settings.SESSION_COOKIE_NAME] = session_key
    return client.get(bell_dropdown.PANEL, secure=True).content.decode()


def ids_in(html: str) -> list[str]:
    return [part.partition('"')[0] for part in html.split('id="notification-')[1:]]


@pytest.mark.django_db(transaction=True)
def test_after_writers_at_once_every_counter_is_that_of_its_rows() -> None:
    houses = [bell_counter.found(f"bench-{number}", 6) for number in range(2)]
    tally = bell_counter.Tally()
    bell_counter.storm(houses, tally, writers=8, seconds=1.5)
    assert sum(tally.done.values()) > 8
    assert not tally.deadlocks
    for house in houses:
        assert bell_counter.wrong_counters(house) == []
        assert bell_counter.wrong_groups(house) == []


def test_a_wrong_counter_and_a_wrong_group_are_noticed(db: None) -> None:
    house = bell_counter.found("bench", 2)
    with tenant_scope(house.tenant_id):
        Notification.objects.create(
            tenant=Tenant.objects.get(), user=house.users[0], title="x", dedupe_key="group:1", group_count=2
        )
        assert bell_counter.wrong_counters(house) == [house.users[0].pk]
        assert len(bell_counter.wrong_groups(house)) == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)  # VACUUM has no transaction around it
def test_the_long_history_has_something_in_every_view(staff: seed.Staff) -> None:
    inbox_page.fill(staff, 2_000)
    visitor = inbox_page.Visitor(staff.keys[0])
    for query in inbox_page._VIEWS.values():
        assert visitor.get(query) > 0
    with tenant_scope(staff.tenant_id):
        mine = Notification.objects.filter(user=staff.user_ids[0])
        assert mine.count() == 100
    assert visitor.get({"show": "history", "older": inbox_page.cursor_at(staff, 0.95)}) > 0


def test_the_other_side_is_the_version_that_is_named_and_in_one_line_another(tmp_path: Path) -> None:
    site = hq.Site.made_in(tmp_path)
    models = site.folder / "notifications" / "base" / "models.py"
    assert "index_together" not in models.read_text()
    assert hq.VERSION == "1.8.3"


def test_a_house_to_measure_says_its_environment_before_django_is_set_up(tmp_path: Path) -> None:
    unset = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    code = "import sys, pathlib; from benchmarks import house; house.environment(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, env=unset, check=True)
