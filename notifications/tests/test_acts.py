"""What a reader does with notifications: each by POST, with the new count and “Undo”, with and without scripts."""

from __future__ import annotations

import datetime as dt
import html
import json
import re
import uuid
import zoneinfo

import pytest
from django.test import Client
from django.utils import timezone

from core.errors import DomainError
from notifications import escalation, inbox, snoozing, undoing
from notifications.inbox_writing import Note, Recipient
from notifications.models import BellState, Escalation, Notification, NotificationEvent
from notifications.states import EscalationStatus
from tests import factories

PAGE = "/notifications/inbox/"
HX = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{PAGE}"}
RIYADH = zoneinfo.ZoneInfo("Asia/Riyadh")


@pytest.fixture
def me(clinic):
    return clinic.provider


@pytest.fixture
def tab(clinic, me):
    return clinic.client(me)


@pytest.fixture
def row(me) -> Notification:
    return inbox.notify(user=me, title="Visit moved")


def critical(user, **fields) -> Notification:
    row = inbox.notify(user=user, title="Patient waits", **fields)
    Notification.objects.filter(pk=row.pk).update(is_critical=True)
    return Notification.objects.get(pk=row.pk)


def act(tab: Client, row: Notification, name: str, **data):
    return tab.post(f"/notifications/{row.pk}/{name}/", data, headers=HX)


def token_in(response) -> str:
    found = re.search(r'name="token" value="([^"]+)"', response.content.decode())
    return html.unescape(found[1]) if found else ""


def said(response) -> str:
    found = re.search(r'<span class="x-t">(.*?)</span>', response.content.decode(), re.DOTALL)
    return re.sub(r"<[^>]+>", "", html.unescape(found[1])).strip() if found else ""


def count(response) -> int:
    return json.loads(response["HX-Trigger"])["bell:count"]["n"]


# --- each act, and back ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "before", "words", "left"),
    [
        ("read", None, "Marked as read.", 0),
        ("unread", inbox.mark_read, "Marked as unread.", 1),
        ("archive", None, "Archived.", 0),
        ("unarchive", inbox.archive, "Back in the inbox.", 1),
    ],
)
def test_an_act_answers_with_the_count_and_undo_takes_it_back(me, tab, row, name, before, words, left):
    if before is not None:
        before(me, row.pk)
    was = (BellState.objects.get(user=me).unread, Notification.objects.get(pk=row.pk).archived_at is None)
    response = act(tab, row, name)
    assert response.status_code == 200
    assert count(response) == left == BellState.objects.get(user=me).unread
    assert said(response).startswith(words)
    assert '<hx-partial hx-target="#bell-count"' in response.content.decode()
    undone = tab.post("/notifications/undo/", {"token": token_in(response)}, headers=HX)
    assert said(undone) == "Undone."
    assert (count(undone), Notification.objects.get(pk=row.pk).archived_at is None) == was


def test_the_toast_names_the_key_only_where_there_are_keys(tab, row):
    assert "Press z to undo." in act(tab, row, "read").content.decode()
    elsewhere = tab.post(
        f"/notifications/{row.pk}/unread/", headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/"}
    )
    assert token_in(elsewhere)
    assert "Press z" not in elsewhere.content.decode()


def test_an_act_that_changes_nothing_offers_nothing_to_undo(me, tab, row):
    inbox.mark_read(me, row.pk)
    response = act(tab, row, "read")
    assert response.status_code == 200
    assert not token_in(response)


def test_all_are_read_and_undone_together_except_what_was_touched_since(me, tab):
    rows = [inbox.notify(user=me, title=str(number)) for number in range(3)]
    response = tab.post("/notifications/read-all/", headers=HX)
    assert said(response).startswith("3 notifications are marked as read.")
    assert count(response) == 0
    inbox.archive(me, rows[0].pk)
    undone = tab.post("/notifications/undo/", {"token": token_in(response)}, headers=HX)
    assert count(undone) == 2
    inbox.mark_all_read(me)
    assert said(tab.post("/notifications/read-all/", headers=HX)) == "There was nothing unread."


def test_without_scripts_an_act_leads_back_with_a_message_and_undo(me, tab, row):
    target = f"{PAGE}?show=unread"
    response = tab.post(f"/notifications/{row.pk}/archive/", {"next": target})
    assert (response.status_code, response["Location"]) == (303, target)
    page = tab.get(target)
    assert said(page) == "Archived."
    back = tab.post("/notifications/undo/", {"token": token_in(page), "next": target})
    assert (back.status_code, back["Location"]) == (303, target)
    assert Notification.objects.get(pk=row.pk).archived_at is None


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", ""])
def test_an_act_leads_to_no_other_site(tab, row, target):
    assert tab.post(f"/notifications/{row.pk}/read/", {"next": target})["Location"] == PAGE


# --- undo ------------------------------------------------------------------------------------------------------------


def test_undo_ends_when_it_is_too_late(me, tab, row, monkeypatch):
    token = token_in(act(tab, row, "read"))
    monkeypatch.setattr(undoing, "ACCEPTED_FOR", dt.timedelta(seconds=-1))
    response = tab.post("/notifications/undo/", {"token": token}, headers=HX)
    assert said(response) == "It is too late to undo that."
    assert Notification.objects.get(pk=row.pk).is_read


@pytest.mark.parametrize("token", ["", "x", "a:b:c", "é" * 50])
def test_a_token_of_nobody_undoes_nothing(tab, token):
    assert "too late" in said(tab.post("/notifications/undo/", {"token": token}, headers=HX))


def test_the_token_of_somebody_else_undoes_nothing(clinic, me, tab, row):
    token = token_in(act(tab, row, "read"))
    thief = clinic.client(clinic.colleague)
    assert "nothing to undo" in said(thief.post("/notifications/undo/", {"token": token}, headers=HX))
    assert Notification.objects.get(pk=row.pk).is_read


def test_undo_works_once(me, tab, row):
    token = token_in(act(tab, row, "read"))
    assert said(tab.post("/notifications/undo/", {"token": token}, headers=HX)) == "Undone."
    assert "nothing to undo" in said(tab.post("/notifications/undo/", {"token": token}, headers=HX))
    assert BellState.objects.get(user=me).unread == 1


# --- critical ones ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["archive", "snooze"])
def test_what_waits_for_somebody_cannot_be_put_away(me, tab, name):
    row = critical(me)
    response = act(tab, row, name, preset="hour")
    assert "Acknowledge it first" in response.content.decode()
    assert response.status_code == (422 if name == "snooze" else 200)
    assert inbox.current(me).filter(pk=row.pk).exists()


def test_acknowledging_says_so_and_who_was_first(clinic, me, tab):
    row = critical(me)
    response = act(tab, row, "acknowledge")
    assert said(response) == "You are taking care of it. Nobody else is called."
    assert not token_in(response)
    row.refresh_from_db()
    assert row.acknowledged_by == me
    Notification.objects.filter(pk=row.pk).update(acknowledged_by=clinic.colleague)
    assert said(act(tab, row, "acknowledge")).startswith("Dr. Nasser has taken care of it since ")


def test_there_is_nothing_to_acknowledge_on_an_ordinary_one(tab, row):
    assert said(act(tab, row, "acknowledge")) == "There is nothing to acknowledge here."


# --- snooze ----------------------------------------------------------------------------------------------------------


def at(day: int, hour: int, minute: int = 0) -> dt.datetime:
    return dt.datetime(2026, 11, day, hour, minute, tzinfo=RIYADH)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        # Thursday morning: all four.
        (at(26, 9), {"hour": at(26, 10), "afternoon": at(26, 14), "tomorrow": at(27, 8), "week": at(29, 8)}),
        # Within an hour of the afternoon, and in it: no afternoon.
        (at(26, 13), {"hour": at(26, 14), "tomorrow": at(27, 8), "week": at(29, 8)}),
        # Saturday: tomorrow is the working week.
        (at(28, 20), {"hour": at(28, 21), "tomorrow": at(29, 8)}),
        # Sunday: the next one is in a week.
        (at(22, 20), {"hour": at(22, 21), "tomorrow": at(23, 8), "week": at(29, 8)}),
        # It is already tomorrow in Riyadh, and still today in London.
        (at(26, 0, 30), {"hour": at(26, 1, 30), "afternoon": at(26, 14), "tomorrow": at(27, 8), "week": at(29, 8)}),
    ],
)
def test_the_choices_are_on_the_readers_wall_clock(now, expected):
    assert {choice.name: choice.until for choice in snoozing.choices(RIYADH, now)} == expected


def test_the_week_begins_where_the_weekend_ends():
    saturday = dt.datetime(2026, 11, 28, 9, tzinfo=RIYADH)
    found = {choice.name: choice.until.date() for choice in snoozing.choices(RIYADH, saturday, weekend=[5, 6])}
    assert found["week"] == dt.date(2026, 11, 30), "Monday, after a Saturday and a Sunday"
    assert "week" not in {choice.name for choice in snoozing.choices(RIYADH, saturday, weekend=[])}


def test_a_choice_keeps_its_clock_over_the_change_of_summer_time():
    cairo = zoneinfo.ZoneInfo("Africa/Cairo")
    # Clocks go back in the night to Friday 30 October 2026.
    found = snoozing.choices(cairo, dt.datetime(2026, 10, 29, 12, tzinfo=cairo))
    assert timezone.localtime(next(one.until for one in found if one.name == "tomorrow"), cairo).hour == 8


def test_a_snoozed_row_leaves_and_comes_back_unread_however_late(clinic, me, tab, row):
    inbox.mark_read(me, row.pk)
    response = act(tab, row, "snooze", preset="hour")
    assert said(response).startswith("Snoozed until ")
    assert "Visit moved" not in tab.get(PAGE).content.decode()
    assert "Visit moved" in tab.get(PAGE, {"show": "snoozed"}).content.decode()
    assert inbox.wake_due(clinic.tenant.pk) == 0
    Notification.objects.filter(pk=row.pk).update(snoozed_until=timezone.now() - dt.timedelta(days=3))
    assert inbox.wake_due(clinic.tenant.pk) == 1
    assert "Visit moved" in tab.get(PAGE, {"show": "unread"}).content.decode()
    assert BellState.objects.get(user=me).unread == 1


def test_snoozing_is_undone_and_ended_by_hand(me, tab, row):
    token = token_in(act(tab, row, "snooze", preset="tomorrow"))
    tab.post("/notifications/undo/", {"token": token}, headers=HX)
    assert Notification.objects.get(pk=row.pk).snoozed_until is None
    act(tab, row, "snooze", preset="tomorrow")
    response = act(tab, row, "wake")
    assert said(response) == "Back in the inbox."
    assert count(response) == 1


def test_a_time_of_ones_own_is_that_of_the_wall_clock(me, tab, row):
    later = timezone.localtime(timezone.now() + dt.timedelta(days=2), RIYADH).replace(second=0, microsecond=0)
    assert act(tab, row, "snooze", until=f"{later:%Y-%m-%dT%H:%M}").status_code == 200
    assert Notification.objects.get(pk=row.pk).snoozed_until == later


def test_arabic_digits_are_digits(me, tab, row):
    later = timezone.localtime(timezone.now() + dt.timedelta(days=2), RIYADH)
    typed = f"{later:%Y-%m-%d %H:%M}".translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    assert act(tab, row, "snooze", until=typed).status_code == 200


@pytest.mark.parametrize(
    "typed", ["", "tomorrow", "2020-01-01T10:00", "9999-12-31T23:59", "2026-13-45T99:99", "x" * 4000]
)
@pytest.mark.parametrize("headers", [HX, {}])
def test_a_time_that_cannot_be_is_refused_at_the_field(tab, row, typed, headers):
    response = tab.post(f"/notifications/{row.pk}/snooze/", {"until": typed}, headers=headers)
    page = response.content.decode()
    assert response.status_code == 422
    assert 'class="errorlist"' in page
    assert 'href="#snooze_until"' in page
    assert ("<html" in page) == (not headers)
    assert Notification.objects.get(pk=row.pk).snoozed_until is None
    if typed == "tomorrow":
        assert 'value="tomorrow"' in page, "what was typed stays"


def test_a_choice_that_is_not_offered_is_refused(tab, row):
    assert act(tab, row, "snooze", preset="never").status_code == 422


def test_the_choices_can_be_seen_without_scripts_and_change_nothing(tab, row):
    page = tab.get(f"/notifications/{row.pk}/snooze/", {"next": f"{PAGE}?show=unread"}).content.decode()
    assert "In one hour" in page
    assert f'value="{PAGE}?show=unread"' in page
    assert Notification.objects.get(pk=row.pk).snoozed_until is None


# --- the doors -------------------------------------------------------------------------------------------------------

ONE_ROW = ["read", "unread", "archive", "unarchive", "snooze", "wake", "acknowledge"]


@pytest.mark.parametrize("name", ONE_ROW)
def test_nobody_acts_on_the_row_of_somebody_else(clinic, other_clinic, row, name):
    before = Notification.objects.values().get(pk=row.pk)
    for user, client in [(clinic.colleague, clinic), (clinic.admin, clinic), (other_clinic.provider, other_clinic)]:
        assert act(client.client(user), row, name, preset="hour").status_code == 404
    assert Notification.objects.values().get(pk=row.pk) == before


@pytest.mark.parametrize("name", [*ONE_ROW, "all", "undo"])
def test_state_changes_only_by_a_post_that_carries_the_token(clinic, me, row, name):
    address = {"all": "/notifications/read-all/", "undo": "/notifications/undo/"}.get(
        name, f"/notifications/{row.pk}/{name}/"
    )
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(me, backend="core.auth.AccountBackend")
    assert strict.post(address).status_code == 403
    assert strict.get(address).status_code == (200 if name == "snooze" else 405)
    assert Client().post(address, headers=HX).status_code == 401
    assert Client().post(address)["Location"].startswith("/sign-in/")


def test_the_refusals_of_the_rules_have_codes(me):
    row = critical(me)
    with pytest.raises(DomainError) as refusal:
        inbox.archive(me, row.pk)
    assert refusal.value.code == "needs_acknowledgement"
    with pytest.raises(DomainError) as refusal:
        inbox.snooze(me, row.pk, timezone.now() - dt.timedelta(1))
    assert refusal.value.code == "snooze_out_of_range"


# --- the page of one -------------------------------------------------------------------------------------------------


def test_its_page_leads_where_the_reader_may_go_and_says_when_nothing_is_left(clinic, me, tab):
    visit = factories.AppointmentFactory(
        tenant=clinic.tenant,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        number="A-77",
    )
    row = inbox.notify(
        user=me, title="Moved", related_object_type="appointments.appointment", related_object_id=visit.pk
    )
    page = tab.get(f"/notifications/{row.pk}/").content.decode()
    assert "Open what it is about" in page
    assert "There is nothing to open" not in page
    visit.provider = clinic.colleague
    visit.save()
    page = tab.get(f"/notifications/{row.pk}/").content.decode()
    assert "Open what it is about" not in page
    assert "There is nothing to open" in page
    opened = tab.post(f"/notifications/{row.pk}/open/")
    assert opened.status_code == 303
    assert "There is nothing to open" in tab.get(opened["Location"]).content.decode()


def test_many_of_a_group_come_in_pages(me, tab):
    for number in range(60):
        note = Note(title=f"Reply {number:02}", dedupe_key=str(number), group="g", fold_within=dt.timedelta(hours=1))
        inbox.notify_many(tenant_id=me.tenant_id, note=note, recipients=[Recipient(me.pk)])
    address = f"/notifications/{Notification.objects.get().pk}/"
    assert tab.get(address).content.decode().count('<li class="lr">') == 50
    assert tab.get(address, {"page": 2}).content.decode().count('<li class="lr">') == 10


# --- undo and what goes further --------------------------------------------------------------------------------------


def alarm(clinic, user) -> tuple[Notification, Escalation]:
    event = NotificationEvent.objects.create(
        tenant=clinic.tenant, key="test.happened", object_type="x.y", object_id=uuid.uuid4(), dedupe_key="alarm"
    )
    escalation.start(event, after=dt.timedelta(minutes=5), useful_until=None)
    return critical(user, event=event), Escalation.objects.get()


def test_undoing_the_reading_starts_the_alarm_again(clinic, me, tab):
    row, running = alarm(clinic, me)
    token = token_in(act(tab, row, "read"))
    running.refresh_from_db()
    assert running.status == EscalationStatus.STOPPED
    tab.post("/notifications/undo/", {"token": token}, headers=HX)
    running.refresh_from_db()
    assert running.status == EscalationStatus.OPEN


@pytest.mark.parametrize("how", ["acknowledged", "over"])
def test_undoing_the_reading_does_not_start_what_has_ended_for_good(clinic, me, tab, how):
    row, running = alarm(clinic, me)
    token = token_in(act(tab, row, "read"))
    if how == "acknowledged":
        act(tab, row, "acknowledge")
    else:
        inbox.resolve(object_id=running.object_id, event_key="test.happened")
    tab.post("/notifications/undo/", {"token": token}, headers=HX)
    running.refresh_from_db()
    assert running.status == EscalationStatus.STOPPED


def test_undoing_does_not_start_what_a_colleague_has_read_meanwhile(clinic, me, tab):
    row, running = alarm(clinic, me)
    theirs = critical(clinic.colleague, event=row.event)
    token = token_in(act(tab, row, "read"))
    inbox.mark_read(clinic.colleague, theirs.pk)
    assert said(tab.post("/notifications/undo/", {"token": token}, headers=HX)) == "Undone."
    running.refresh_from_db()
    assert running.status == EscalationStatus.STOPPED


def test_the_token_of_somebody_else_starts_no_alarm_again(clinic, me, tab):
    row, running = alarm(clinic, me)
    token = token_in(act(tab, row, "read"))
    clinic.client(clinic.colleague).post("/notifications/undo/", {"token": token}, headers=HX)
    running.refresh_from_db()
    assert running.status == EscalationStatus.STOPPED
