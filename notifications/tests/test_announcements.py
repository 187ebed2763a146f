"""A word from an admin to staff: who gets it, in which words, once; and what the page says of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from conftest import Clinic
from core.errors import DomainError
from core.models import AuditEvent, Role, User
from core.permissions import NotAllowed
from integrations import fanout
from notifications import announcements, inbox
from notifications.models import Announcement, Notification, NotificationEvent
from notifications.states import Category
from tests.factories import UserFactory

PAGE = "/notifications/announcements/"
WORDS = {
    "title_en": "Fire drill",
    "title_ar": "تدريب إخلاء",
    "body_en": "At ten.\nPlease leave by the stairs.",
    "body_ar": "في الساعة العاشرة.",
}


def announce(clinic: Clinic, **fields: Any) -> Announcement:
    wish = {"actor": clinic.admin, "role": "", "key": uuid.uuid4(), **WORDS, **fields}
    return announcements.announce(**wish)


def tell() -> None:
    """What the worker does after the commit."""
    for event in NotificationEvent.objects.filter(key=announcements.EVENT, processed_at=None):
        fanout.process_event(event.tenant_id, event.pk)


def told() -> set[User]:
    return {row.user for row in Notification.objects.filter(event_key=announcements.EVENT).select_related("user")}


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(DomainError) as caught:
        act()
    return caught.value.code


# --- the service -----------------------------------------------------------------------------------------------------


def test_all_staff_are_told_and_no_patient_and_nobody_who_left(clinic: Clinic, other_clinic: Clinic) -> None:
    gone = UserFactory(tenant=clinic.tenant, role=Role.PROVIDER, is_active=False)
    announce(clinic)
    tell()
    assert told() == {clinic.admin, clinic.front_desk, clinic.provider, clinic.colleague}
    assert gone not in told()
    row = Notification.objects.get(user=clinic.provider)
    assert (row.title, row.title_ar, row.message) == (WORDS["title_en"], WORDS["title_ar"], WORDS["body_en"])
    assert row.category == Category.ANNOUNCEMENT


def test_one_role_is_told_alone(clinic: Clinic) -> None:
    announce(clinic, role=Role.PROVIDER)
    tell()
    assert told() == {clinic.provider, clinic.colleague}


def test_the_number_that_is_shown_is_the_number_that_is_told(clinic: Clinic) -> None:
    assert announcements.audience_counts() == {"": 4, Role.FRONT_DESK: 1, Role.PROVIDER: 2, Role.ADMIN: 1}
    for role, count in announcements.audience_counts().items():
        assert announcements.audience(role).count() == count


def test_a_double_click_posts_once(clinic: Clinic) -> None:
    key = uuid.uuid4()
    first = announce(clinic, key=key)
    assert announce(clinic, key=key) == first
    assert Announcement.objects.count() == NotificationEvent.objects.filter(key=announcements.EVENT).count() == 1
    assert AuditEvent.objects.filter(action="announcement.posted").count() == 1
    # Other words under the same key would be lost without a word.
    assert refusal(lambda: announce(clinic, key=key, title_en="Other")) == "key_used"


def test_the_same_key_of_another_author_is_another_announcement(clinic: Clinic, other_clinic: Clinic) -> None:
    key = uuid.uuid4()
    second = UserFactory(tenant=clinic.tenant, role=Role.ADMIN)
    assert announce(clinic, key=key) != announce(clinic, key=key, actor=second)


def test_it_is_audited_with_its_audience_and_without_its_words(clinic: Clinic) -> None:
    row = announce(clinic, role=Role.FRONT_DESK)
    audit = AuditEvent.objects.get(action="announcement.posted")
    assert (audit.actor, audit.object_id, audit.after) == (clinic.admin, row.pk, {"role": "FRONT_DESK", "people": 1})


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (dict.fromkeys(WORDS, " "), "empty"),
        ({"title_ar": ""}, "title_ar_missing"),
        ({"body_en": "\n"}, "body_en_missing"),
        ({"title_en": "x" * 121}, "title_en_long"),
        ({"body_ar": "x" * 2001}, "body_ar_long"),
        ({"role": "PATIENT"}, "role_unknown"),
        ({"role": "nonsense"}, "role_unknown"),
    ],
)
def test_what_nobody_could_read_is_refused(clinic: Clinic, fields: dict[str, str], code: str) -> None:
    assert refusal(lambda: announce(clinic, **fields)) == code
    assert not NotificationEvent.objects.exists()


def test_nobody_to_tell_is_refused(clinic: Clinic) -> None:
    User.objects.filter(role=Role.PROVIDER).update(is_active=False)
    assert refusal(lambda: announce(clinic, role=Role.PROVIDER)) == "nobody"
    assert not Announcement.objects.exists()


def test_one_language_is_enough_for_both(clinic: Clinic) -> None:
    announce(clinic, title_en="", body_en="")
    tell()
    row = Notification.objects.get(user=clinic.front_desk)
    assert WORDS["title_ar"] in row.title
    assert row.title_ar == WORDS["title_ar"]


def test_only_an_admin_announces(clinic: Clinic) -> None:
    for actor in (clinic.front_desk, clinic.provider, clinic.patient_user):
        with pytest.raises(NotAllowed):
            announce(clinic, actor=actor)


def test_how_many_have_read_it_is_one_query(clinic: Clinic, django_assert_num_queries: Callable[[int], Any]) -> None:
    rows = [announce(clinic), announce(clinic, role=Role.PROVIDER), announce(clinic, role=Role.ADMIN)]
    for event in NotificationEvent.objects.filter(key=announcements.EVENT).order_by("created_at")[:2]:
        fanout.process_event(event.tenant_id, event.pk)
    inbox.mark_read(clinic.provider, Notification.objects.filter(user=clinic.provider).earliest("created_at").pk)
    with django_assert_num_queries(1):
        reached = announcements.reached(rows)
    assert reached[rows[0].pk] == announcements.Reached(told=4, read=1)
    assert reached[rows[1].pk] == announcements.Reached(told=2, read=0)
    assert rows[2].pk not in reached


# --- the page --------------------------------------------------------------------------------------------------------


def form(step: str = "review", **fields: str) -> dict[str, str]:
    return {"step": step, "role": "", "key": str(uuid.uuid4()), **WORDS, **fields}


def test_the_page_is_the_admins(clinic: Clinic) -> None:
    assert clinic.client(clinic.admin).get(PAGE).status_code == 200
    for user in (clinic.front_desk, clinic.provider, clinic.patient_user):
        assert clinic.client(user).get(PAGE).status_code == 403
        assert clinic.client(user).post(PAGE, form("post", people="4")).status_code == 403
    assert not Announcement.objects.exists()


def test_nothing_is_posted_before_it_was_looked_at(clinic: Clinic) -> None:
    answer = clinic.client(clinic.admin).post(PAGE, form())
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "4 people get it in the bell" in text
    assert WORDS["title_ar"] in text
    assert not Announcement.objects.exists()
    assert 'name="step" value="post"' in text


def test_it_is_posted_once_with_the_number_that_was_shown(clinic: Clinic) -> None:
    client = clinic.client(clinic.admin)
    wish = form("post", people="4")
    assert client.post(PAGE, wish).status_code == client.post(PAGE, wish).status_code == 302
    assert Announcement.objects.count() == 1
    tell()
    text = client.get(PAGE).content.decode()
    assert "Read by 0 of 4" in text
    assert clinic.admin.name in text


def test_somebody_who_comes_meanwhile_is_not_told_behind_the_admins_back(clinic: Clinic) -> None:
    UserFactory(tenant=clinic.tenant)
    answer = clinic.client(clinic.admin).post(PAGE, form("post", people="4"))
    assert answer.status_code == 409
    assert "5 people" in answer.content.decode()
    assert not Announcement.objects.exists()


def test_going_back_and_being_refused_lose_nothing(clinic: Clinic) -> None:
    client = clinic.client(clinic.admin)
    for answer, status in (
        (client.post(PAGE, form("edit", role=Role.PROVIDER)), 200),
        (client.post(PAGE, form(role=Role.PROVIDER, title_ar="")), 422),
        (client.post(PAGE, form("post", role=Role.PROVIDER, title_ar="", people="2")), 422),
    ):
        text = answer.content.decode()
        assert answer.status_code == status
        assert WORDS["title_en"] in text
        assert WORDS["body_ar"] in text
        assert 'value="PROVIDER" checked' in text
    assert "The title is missing" in text
    assert not Announcement.objects.exists()


def test_what_somebody_writes_is_text_and_never_markup(clinic: Clinic) -> None:
    client = clinic.client(clinic.admin)
    wish = form("post", people="4", title_en="<script>alert(1)</script>", body_en="<b>x</b>")
    assert b"<script>alert" not in client.post(PAGE, {**wish, "step": "review"}).content
    client.post(PAGE, wish)
    assert b"<script>alert" not in client.get(PAGE).content


def test_another_clinic_groups_announcements_are_not_listed(clinic: Clinic, other_clinic: Clinic) -> None:
    announce(clinic)
    assert WORDS["title_en"] not in other_clinic.client(other_clinic.admin).get(PAGE).content.decode()


def test_the_page_costs_the_same_however_much_was_posted(
    clinic: Clinic, django_assert_num_queries: Callable[[int], Any]
) -> None:
    announce(clinic)
    client = clinic.client(clinic.admin)
    client.get(PAGE)
    for _number in range(3):
        announce(clinic)
    tell()
    # session and user; people; how many, which and how they were read
    with django_assert_num_queries(5):
        client.get(PAGE)
