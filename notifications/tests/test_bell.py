"""The bell: a cheap poll, the panel's list, opening and marking read; never somebody else's."""

from __future__ import annotations

import datetime as dt
import json
import uuid

import pytest
from django.test import Client
from django.utils import timezone, translation

from core.models import User
from core.tenancy import tenant_scope
from notifications import inbox, links, registry
from notifications.inbox_writing import Note, Recipient, notify_many
from notifications.models import BellState, Notification, NotificationEvent, StaffPreference
from notifications.states import Category, Level
from tests import factories

POLL = "/notifications/bell/"
LIST = "/notifications/bell/list/"
HX = {"HX-Request": "true"}
# Session, user and bell in one; and then the rows.
POLL_QUERIES = 1
# Whose bell it is, whether its panel was kept or not; the session; the rows.
LIST_QUERIES = 3


def ring(user, title="New appointment", **fields) -> Notification:
    return inbox.notify(user=user, title=title, **fields)


def poll(client: Client, tag: str | None = None):
    return client.get(POLL, headers=HX | ({"HX-PTag": tag} if tag else {}))


def count_event(response) -> dict[str, object]:
    return json.loads(response["HX-Trigger"])["bell:count"]


class Page:
    """A page with a bell: it knows what it was loaded with, and then what each answer told it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        content = client.get("/notifications/inbox/").content.decode()
        self.tag = content.split('hx-ptag="')[1].split('"')[0]
        self.since = content.split('data-since="')[1].split('"')[0]

    def poll(self):
        response = self.client.get(POLL, headers=HX | {"HX-PTag": self.tag, "Bell-Since": self.since})
        if response.status_code == 200:
            self.tag, self.since = count_event(response)["tag"], count_event(response)["since"]
        return response

    def news(self) -> dict[str, object]:
        return count_event(self.poll())


@pytest.fixture
def me(clinic):
    return clinic.provider


@pytest.fixture
def tab(clinic, me):
    return clinic.client(me)


# --- the poll --------------------------------------------------------------------------------------------------------


def test_a_poll_costs_one_query(me, tab, django_assert_num_queries):
    ring(me)
    with django_assert_num_queries(1):
        response = poll(tab)
    assert response.status_code == 200
    with django_assert_num_queries(1):
        assert poll(tab, response["HX-PTag"]).status_code == 304


def test_a_poll_of_somebody_who_never_got_anything_is_as_cheap(tab, django_assert_num_queries):
    with django_assert_num_queries(1):
        response = poll(tab)
    assert count_event(response)["n"] == 0
    assert poll(tab, response["HX-PTag"]).status_code == 304


def test_the_tag_of_the_page_is_the_tag_of_the_poll(me, tab):
    ring(me)
    page = tab.get("/notifications/inbox/").content.decode()
    tag = page.split('hx-ptag="')[1].split('"')[0]
    assert poll(tab, tag).status_code == 304
    ring(me)
    assert poll(tab, tag).status_code == 200


def test_a_new_notification_raises_the_count_and_says_so_without_a_name(me, tab):
    page = Page(tab)
    ring(me, "Sara Al-Mutairi has arrived")
    response = page.poll()
    told = count_event(response)
    assert (told["n"], told["new"], told["tag"]) == (1, True, response["HX-PTag"])
    assert told["sentence"] == "You have 1 unread notification."
    assert told["name"] == "Notifications, 1 unread"
    assert told["toasts"] == [{"kind": "Everything else", "text": "Everything else", "critical": False}]
    assert told["sound"] is False
    content = response.content.decode()
    assert '<hx-partial hx-target="#bell-count"' in content
    assert "Notifications, 1 unread" in content
    assert "Sara" not in content + response["HX-Trigger"]


def test_reading_lowers_the_count_without_news(me, tab):
    first = ring(me)
    ring(me)
    tag = poll(tab)["HX-PTag"]
    inbox.mark_read(me, first.pk)
    response = poll(tab, tag)
    assert (count_event(response)["n"], count_event(response)["new"]) == (1, False)


@pytest.mark.parametrize("tag", ["", "x", "a.b.c", "....", "1.2.٣", "abc.1.-5"])
def test_a_tag_that_nobody_gave_out_is_answered_in_full(me, tab, tag):
    ring(me)
    assert count_event(poll(tab, tag or None))["n"] == 1


def test_the_page_of_somebody_who_has_left_this_browser_is_told_that_their_session_is_over(clinic, me, tab):
    ring(me)
    ring(clinic.colleague)
    theirs = poll(clinic.client(clinic.colleague))["HX-PTag"]
    response = poll(tab, theirs)
    assert response.status_code == 401
    assert "HX-Trigger" not in response


# --- what is new -----------------------------------------------------------------------------------------------------


def prefer(user: User, **fields: object) -> None:
    StaffPreference.objects.create(tenant_id=user.tenant_id, user=user, **fields)


def tell(user: User, *, event_key: str = "", is_silent: bool = False, **fields: object) -> None:
    """As the fan-out writes them."""
    event = None
    if event_key:
        event = NotificationEvent.objects.create(tenant_id=user.tenant_id, key=event_key, dedupe_key=str(uuid.uuid4()))
    note = Note(title="Sara Al-Mutairi", dedupe_key=str(uuid.uuid4()), event=event, **fields)
    notify_many(tenant_id=user.tenant_id, note=note, recipients=[Recipient(user.pk, is_silent=is_silent)])


def test_what_changed_costs_two_queries_more(me, tab, django_assert_num_queries):
    page = Page(tab)
    prefer(me, has_sound=True)
    for category in Category:
        ring(me, category=category)
    with django_assert_num_queries(POLL_QUERIES + 2):
        assert page.news()["n"] == len(Category)
    with django_assert_num_queries(POLL_QUERIES):
        assert page.poll().status_code == 304


def test_what_the_page_showed_when_it_was_loaded_is_not_new(me, tab):
    first = ring(me)
    page = Page(tab)
    first_came = timezone.now() - dt.timedelta(seconds=2)
    Notification.objects.update(activity_at=first_came)
    inbox.mark_read(me, first.pk)
    told = page.news()
    assert (told["n"], told["new"], told["toasts"]) == (0, False, [])
    inbox.mark_unread(me, first.pk)
    told = page.news()
    assert (told["n"], told["new"], told["toasts"]) == (1, False, [])


def test_one_that_came_while_another_was_read_is_new(me, tab):
    first = ring(me)
    page = Page(tab)
    inbox.mark_read(me, first.pk)
    ring(me)
    told = page.news()
    assert (told["n"], told["new"], len(told["toasts"])) == (1, True, 1)


def test_one_that_was_written_before_the_page_and_came_to_light_after_is_new(me, tab):
    """Its transaction took a while."""
    ring(me)
    page = Page(tab)
    late = ring(me, category=Category.ARRIVAL)
    for age, rows in enumerate((Notification.objects.filter(pk=late.pk), Notification.objects.exclude(pk=late.pk)), 3):
        written = timezone.now() - dt.timedelta(seconds=age)
        rows.update(activity_at=written, updated_at=written)
    assert [toast["text"] for toast in page.news()["toasts"]] == ["Arrivals"]


def test_toasts_are_one_a_kind_and_the_critical_first(me, tab):
    page = Page(tab)
    for _ in range(2):
        tell(me, category=Category.APPOINTMENT)
    tell(me, category=Category.SYSTEM, is_critical=True)
    assert page.news()["toasts"] == [
        {"kind": "System alerts", "text": "System alerts", "critical": True},
        {"kind": "Appointments", "text": "Appointments (2)", "critical": False},
    ]


@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_toast_says_the_events_name_in_the_readers_language(me, tab, language):
    event = registry.get("appointment.arrived")
    tab.cookies["django_language"] = language
    page = Page(tab)
    tell(me, event_key=event.key)
    response = page.poll()
    told = count_event(response)
    assert [toast["text"] for toast in told["toasts"]] == [event.name_ar if language == "ar" else event.name_en]
    assert "Sara" not in response["HX-Trigger"]


def test_an_event_that_is_no_longer_known_is_called_by_its_category(me, tab):
    page = Page(tab)
    tell(me, event_key="long.gone", category=Category.ARRIVAL)
    assert [toast["text"] for toast in page.news()["toasts"]] == ["Arrivals"]


def test_what_came_in_the_quiet_time_raises_the_count_and_nothing_else(me, tab):
    prefer(me, has_sound=True)
    page = Page(tab)
    tell(me, is_silent=True)
    told = page.news()
    assert (told["n"], told["new"], told["toasts"], told["sound"]) == (1, False, [], False)


@pytest.mark.parametrize("has_toasts", [True, False])
@pytest.mark.parametrize("has_sound", [True, False])
def test_the_reader_says_what_is_shown_and_heard(me, tab, has_toasts, has_sound):
    prefer(me, has_toasts=has_toasts, has_sound=has_sound)
    page = Page(tab)
    ring(me)
    told = page.news()
    assert (told["new"], len(told["toasts"]), told["sound"]) == (True, int(has_toasts), has_sound)


def test_a_group_is_told_of_when_it_opens_and_not_with_each_that_joins(me, tab):
    page = Page(tab)
    fold = {"group": "failed:1", "fold_within": dt.timedelta(hours=1), "category": Category.MESSAGING}
    tell(me, **fold)
    assert page.news()["new"] is True
    tell(me, **fold)
    told = page.news()
    assert (told["n"], told["new"], told["toasts"]) == (1, False, [])


def test_what_was_put_off_is_new_when_it_comes_back(clinic, me, tab):
    row = ring(me)
    inbox.snooze(me, row.pk, timezone.now() + dt.timedelta(minutes=5))
    page = Page(tab)
    Notification.objects.filter(pk=row.pk).update(snoozed_until=timezone.now())
    assert inbox.wake_due(clinic.tenant.pk) == 1
    assert page.news()["new"] is True


@pytest.mark.parametrize("since", ["", "x", "-5", "nan", "inf", "1e9", "9" * 400, "1.x", "99999999999.0"])
def test_to_a_page_that_does_not_say_what_it_knows_nothing_is_new(me, tab, since):
    ring(me)
    response = tab.get(POLL, headers=HX | {"HX-PTag": "x", "Bell-Since": since})
    told = count_event(response)
    assert (told["n"], told["new"], told["toasts"]) == (1, False, [])


# --- the badge -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("unread", "badge"), [(1, ">1<"), (99, ">99<"), (100, ">99+<")])
def test_the_badge_stops_counting_at_99(me, tab, unread, badge):
    ring(me)
    BellState.objects.filter(user=me).update(unread=unread)
    page = poll(tab).content.decode()
    assert badge in page
    assert f"Notifications, {unread} unread" in page


def test_nothing_may_be_kept_by_a_cache(me, tab):
    for address in (POLL, LIST):
        header = tab.get(address, headers=HX)["Cache-Control"]
        assert "private" in header
        assert "no-store" in header
    assert "no-store" in poll(tab, poll(tab)["HX-PTag"])["Cache-Control"]


def test_without_a_session_a_fragment_gets_401_and_a_page_the_sign_in(db):
    for address in (POLL, LIST):
        assert Client().get(address, headers=HX).status_code == 401
        assert Client().get(address)["Location"].startswith("/sign-in/")


def test_opened_by_hand_the_fragments_lead_to_the_page(tab):
    for address in (POLL, LIST):
        assert tab.get(address)["Location"] == "/notifications/inbox/"


def test_a_user_whose_clinic_was_suspended_polls_no_more(clinic, tab):
    clinic.tenant.is_active = False
    clinic.tenant.save()
    assert poll(tab).status_code == 401


# --- the panel -------------------------------------------------------------------------------------------------------


def test_the_list_costs_three_queries_and_shows_the_latest_ten(me, tab, django_assert_num_queries):
    for number in range(15):
        ring(me, f"Visit {number:02}")
    with django_assert_num_queries(LIST_QUERIES):
        page = tab.get(LIST, headers=HX).content.decode()
    assert page.count('class="n unread"') == 10
    assert "Visit 14" in page
    assert "Visit 04" not in page
    assert page.strip().startswith("{#") is False
    assert 'id="bell-list"' in page


def test_the_list_is_grouped_into_today_and_earlier(me, tab):
    old = ring(me, "Old")
    Notification.objects.filter(pk=old.pk).update(activity_at=timezone.now() - dt.timedelta(days=2))
    ring(me, "New")
    page = tab.get(LIST, headers=HX).content.decode()
    assert page.index("Today") < page.index("New") < page.index("Earlier") < page.index("Old")


def test_the_list_costs_as_little_whatever_is_in_it(clinic, me, tab, django_assert_num_queries):
    """Folded, critical, acknowledged by a colleague, instead of a colleague, resolved, read."""
    fold = {"group": "failed:1", "fold_within": dt.timedelta(hours=1), "category": Category.MESSAGING}
    for _ in range(4):
        tell(me, **fold)
    for event_key in ("appointment.arrived", "appointment.booked", "long.gone"):
        tell(me, event_key=event_key, is_critical=True, category=Category.ARRIVAL)
    for number in range(4):
        inbox.mark_read(me, ring(me, f"Read {number}").pk)
    acknowledged, resolved = Notification.objects.filter(user=me, is_critical=True)[:2]
    acknowledged.acknowledged_at, acknowledged.acknowledged_by = timezone.now(), clinic.colleague
    acknowledged.instead_of = clinic.front_desk
    acknowledged.save()
    resolved.resolved_at, resolved.override = timezone.now(), "quiet"
    resolved.save()
    with django_assert_num_queries(LIST_QUERIES):
        page = tab.get(LIST, headers=HX).content.decode()
    assert page.count('id="notification-') == 8
    assert "/acknowledge/" in page


def test_the_panel_leads_staff_to_their_preferences_and_patients_to_none(clinic, tab):
    address = "/notifications/preferences/"
    assert f'<a href="{address}">Preferences</a>' in tab.get("/notifications/inbox/").content.decode()
    theirs = clinic.client(clinic.patient_user)
    assert address not in theirs.get("/notifications/inbox/").content.decode()


def test_an_empty_list_says_so(tab):
    assert "Nothing new" in tab.get(LIST, headers=HX).content.decode()


def test_the_list_is_in_the_readers_language(me, tab):
    ring(me, "New appointment", title_ar="موعد جديد", message="At ten", message_ar="في العاشرة")
    tab.cookies["django_language"] = "ar"
    page = tab.get(LIST, headers=HX).content.decode()
    assert "موعد جديد" in page
    assert "في العاشرة" in page
    assert "New appointment" not in page


def test_text_of_people_is_escaped(me, tab):
    ring(me, "<script>alert(1)</script>", message="<b>x</b>")
    page = tab.get(LIST, headers=HX).content.decode()
    assert "<script>" not in page
    assert "<b>x</b>" not in page


# --- opening ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def visit(clinic, me):
    return factories.AppointmentFactory(
        tenant=clinic.tenant,
        patient=clinic.patient,
        provider=me,
        location=clinic.location,
        department=clinic.department,
    )


def about(user, obj) -> Notification:
    return ring(user, related_object_type=obj._meta.label_lower, related_object_id=obj.pk)


def test_opening_marks_read_and_goes_to_the_visit(me, tab, visit):
    row = about(me, visit)
    response = tab.post(f"/notifications/{row.pk}/open/")
    assert response.status_code == 303
    assert response["Location"] == f"/appointments/{visit.pk}/"
    row.refresh_from_db()
    assert row.is_read
    assert BellState.objects.get(user=me).unread == 0


def test_a_link_preview_goes_there_and_changes_nothing(me, tab, visit):
    row = about(me, visit)
    assert tab.get(f"/notifications/{row.pk}/open/")["Location"] == f"/appointments/{visit.pk}/"
    row.refresh_from_db()
    assert not row.is_read


def test_what_is_gone_or_not_for_this_user_is_said_kindly(clinic, me, tab, visit):
    visit.provider = clinic.colleague
    visit.save()
    for row in (
        about(me, visit),
        ring(me, related_object_type="appointments.appointment", related_object_id=uuid.uuid4()),
        ring(me, related_object_type="nobody.knows", related_object_id=uuid.uuid4()),
    ):
        response = tab.post(f"/notifications/{row.pk}/open/", follow=True)
        assert response.status_code == 200
        assert "There is nothing to open" in response.content.decode()
        row.refresh_from_db()
        assert row.is_read


def test_a_notice_about_nothing_in_particular_is_its_own_page(me, tab):
    row = ring(me, "SMS is not being sent", message="The provider refuses our account.", level=Level.ERROR)
    page = tab.post(f"/notifications/{row.pk}/open/", follow=True).content.decode()
    assert "The provider refuses our account." in page
    assert "nothing to open" not in page


def test_a_reply_leads_the_front_desk_to_the_message_and_a_provider_nowhere(clinic):
    message_id = uuid.uuid4()
    assert links.message_address(clinic.front_desk, message_id) is None
    assert links.message_address(clinic.provider, message_id) is None


def test_one_object_type_has_one_resolver():
    with pytest.raises(links.DuplicateLink):
        links.register_link("notifications.message", links.message_address)


# --- marking read ----------------------------------------------------------------------------------------------------


def test_one_is_marked_and_the_answer_to_htmx_is_the_new_count(me, tab):
    row = ring(me)
    ring(me)
    response = tab.post(f"/notifications/{row.pk}/read/", headers=HX)
    assert (count_event(response)["n"], count_event(response)["new"]) == (1, False)
    assert "Notifications, 1 unread" in response.content.decode()
    again = tab.post(f"/notifications/{row.pk}/read/", headers=HX)
    assert count_event(again)["n"] == 1


def test_all_are_marked(me, tab):
    for _ in range(3):
        ring(me)
    response = tab.post("/notifications/read-all/", headers=HX)
    assert count_event(response)["n"] == 0
    assert not Notification.objects.filter(user=me, is_read=False).exists()


def test_without_scripts_marking_leads_back_to_the_page_with_a_word(me, tab):
    row = ring(me)
    ring(me)
    back = tab.post(f"/notifications/{row.pk}/read/", {"next": "/notifications/inbox/?show=unread"})
    assert (back.status_code, back["Location"]) == (303, "/notifications/inbox/?show=unread")
    assert tab.post(f"/notifications/{row.pk}/read/", {"next": "https://evil.example/"})["Location"] == (
        "/notifications/inbox/"
    )
    page = tab.post("/notifications/read-all/", follow=True).content.decode()
    assert "1 notification is marked as read." in page
    page = tab.post("/notifications/read-all/", follow=True).content.decode()
    assert "There was nothing unread." in page


@pytest.mark.parametrize("address", ["/notifications/{pk}/read/", "/notifications/read-all/"])
def test_nothing_changes_by_get(me, tab, address):
    row = ring(me)
    assert tab.get(address.format(pk=row.pk)).status_code == 405
    row.refresh_from_db()
    assert not row.is_read


def test_nothing_changes_without_the_forms_token(me):
    row = ring(me)
    client = Client(enforce_csrf_checks=True)
    client.force_login(me, backend="core.auth.AccountBackend")
    for address in (f"/notifications/{row.pk}/read/", f"/notifications/{row.pk}/open/", "/notifications/read-all/"):
        assert client.post(address, headers=HX).status_code == 403


def test_a_colleague_and_an_outsider_reach_nothing(clinic, other_clinic, me):
    row = ring(me)
    for client in (
        clinic.client(clinic.colleague),
        clinic.client(clinic.admin),
        other_clinic.client(other_clinic.provider),
        other_clinic.client(other_clinic.admin),
    ):
        assert client.get(f"/notifications/{row.pk}/open/").status_code == 404
        assert client.post(f"/notifications/{row.pk}/open/").status_code == 404
        assert client.post(f"/notifications/{row.pk}/read/").status_code == 404
        client.post("/notifications/read-all/")
        assert "New appointment" not in client.get(LIST, headers=HX).content.decode()
    row.refresh_from_db()
    assert not row.is_read


def test_an_outsiders_bell_is_their_own(clinic, other_clinic, me):
    ring(me)
    with tenant_scope(other_clinic.tenant.pk):
        ring(other_clinic.provider)
        ring(other_clinic.provider)
    assert count_event(poll(other_clinic.client(other_clinic.provider)))["n"] == 2
    assert count_event(poll(clinic.client(me)))["n"] == 1


def test_the_sentence_knows_the_arabic_plurals(me, tab):
    tab.cookies["django_language"] = "ar"
    ring(me)
    BellState.objects.filter(user=me).update(unread=3)
    sentence = str(count_event(poll(tab))["sentence"])
    assert "3" in sentence
    with translation.override("ar"):
        assert sentence != "You have 3 unread notifications."
