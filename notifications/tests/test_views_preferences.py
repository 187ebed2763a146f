"""The preferences page: who may enter, what it shows, what it saves, and the sentence while one is choosing."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from conftest import Clinic
from core.models import AuditEvent, Holiday, User
from core.tenancy import tenant_scope
from notifications.models import PushSubscription, StaffPreference
from notifications.quiet import Schedule
from notifications.staff_preferences import DEFAULT_MATRIX, effective_matrix, preference_of
from notifications.states import Category, StaffChannel
from notifications.views.preferences_words import quiet_words

PAGE = reverse("notifications:preferences")
LIVE = reverse("notifications:preferences_quiet")
RIYADH = zoneinfo.ZoneInfo("Asia/Riyadh")


def sent(**changes: Any) -> dict[str, Any]:
    """What a browser sends of the page as it first stands, with changes. None leaves a field out."""
    values: dict[str, Any] = {
        **{f"on_{category}": sorted(channels) for category, channels in DEFAULT_MATRIX.items()},
        "quiet_starts": "",
        "quiet_ends": "",
        "ramadan_quiet_starts": "",
        "ramadan_quiet_ends": "",
        "timezone": "",
        "frequency": "IMMEDIATE",
        "digest_time": "08:00",
        "digest_weekday": "6",
        "has_toasts": "on",
        **changes,
    }
    return {name: value for name, value in values.items() if value is not None}


@pytest.fixture
def desk(clinic: Clinic) -> Client:
    return clinic.client(clinic.front_desk)


# --- who -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", ["admin", "front_desk", "provider"])
def test_staff_find_their_page_in_the_account_menu(clinic: Clinic, role: str) -> None:
    user: User = getattr(clinic, role)
    page = clinic.client(user).get(PAGE)
    assert page.status_code == 200
    html = page.content.decode()
    assert f'href="{PAGE}"' in html
    assert re.search(r'aria-current="true"[^>]*>\s*<svg[^>]*><use[^>]*#bell"', html), "the side bar knows where we are"


@pytest.mark.parametrize("address", [PAGE, LIVE])
def test_a_patient_has_no_such_page(clinic: Clinic, address: str) -> None:
    client = clinic.client(clinic.patient_user)
    assert client.post(address, sent()).status_code == 403
    assert PAGE not in client.get(reverse("core:home")).content.decode()


def test_a_visitor_is_asked_to_sign_in(clinic: Clinic) -> None:
    assert Client().get(PAGE).status_code == 302
    assert Client().post(LIVE, sent(), headers={"HX-Request": "true"}).status_code == 401


def test_each_has_their_own(clinic: Clinic, desk: Client) -> None:
    desk.post(PAGE, sent(has_sound="on"))
    assert preference_of(clinic.front_desk).has_sound
    assert not preference_of(clinic.provider).has_sound


def test_forms_need_their_token(clinic: Clinic) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(clinic.front_desk, backend="core.auth.AccountBackend")
    assert client.post(PAGE, sent()).status_code == 403
    assert client.get(LIVE).status_code == 405


# --- what the page shows -----------------------------------------------------------------------------------------------
def test_the_matrix_is_a_table_with_headers_and_a_name_at_each_box(clinic: Clinic, desk: Client) -> None:
    StaffPreference.objects.create(
        tenant=clinic.tenant, user=clinic.front_desk, matrix={Category.ARRIVAL: [StaffChannel.EMAIL]}
    )
    html = desk.get(PAGE).content.decode()
    assert len(re.findall(r'<th scope="col">', html)) == 5
    assert len(re.findall(r'<th scope="row">', html)) == len(Category) + 1
    boxes = dict(re.findall(r'<input type="checkbox" id="id_on_([A-Z_]+)"[^>]*?( checked)?>', html))
    assert len(boxes) == len(Category) * len(StaffChannel)
    assert not boxes["ARRIVAL_IN_APP"]
    assert boxes["ARRIVAL_EMAIL"]
    assert boxes["SYSTEM_CHAT"]
    assert "Always on" in html


def test_a_way_that_is_not_set_up_says_so(clinic: Clinic, desk: Client) -> None:
    assert desk.get(PAGE).content.decode().count("not set up yet") == 2
    PushSubscription.objects.create(
        tenant=clinic.tenant, user=clinic.front_desk, endpoint="https://push.example/1", p256dh="k", auth="a"
    )
    assert desk.get(PAGE).content.decode().count("not set up yet") == 1


def test_the_weekend_and_the_next_holiday_are_named(clinic: Clinic, other_clinic: Clinic, desk: Client) -> None:
    day = timezone.localdate() + dt.timedelta(days=3)
    with tenant_scope(other_clinic.tenant.pk):
        Holiday.objects.create(tenant=other_clinic.tenant, name_en="Their Day", first_day=day, last_day=day)
    html = desk.get(PAGE).content.decode()
    assert "Friday and Saturday, the whole day, as at Olaya Branch." in html
    assert "Their Day" not in html
    assert "Your admins enter them." in html
    Holiday.objects.create(tenant=clinic.tenant, name_en="Founding Day", first_day=day, last_day=day)
    clinic.location.weekend = [6, 5]
    clinic.location.save()
    html = desk.get(PAGE).content.decode()
    assert "Next: Founding Day, " in html
    assert "Sunday and Saturday, the whole day" in html


def test_ramadan_stands_there_with_its_days(desk: Client) -> None:
    assert re.search(
        r"(Next|Now): \w{3} \d+ \w{3}( \d{4})? – \w{3} \d+ \w{3}( \d{4})?, from the evening",
        desk.get(PAGE).content.decode(),
    )


def test_the_page_has_its_cards_of_devices_channels_and_absences(desk: Client) -> None:
    html = desk.get(PAGE).content.decode()
    for card in ("push-devices", "chat-mine", "absence-mine"):
        assert f'id="{card}"' in html


# --- what it saves -----------------------------------------------------------------------------------------------------
def test_everything_on_the_page_is_saved(clinic: Clinic, desk: Client) -> None:
    answer = desk.post(
        PAGE,
        sent(
            on_ARRIVAL=["IN_APP", "EMAIL"],
            on_GENERAL=None,
            quiet_starts="22:00",
            quiet_ends="٠٧:٣٠",
            ramadan_quiet_starts="03:00",
            ramadan_quiet_ends="11:00",
            is_quiet_on_weekends="on",
            is_quiet_on_holidays="on",
            timezone="Asia/Dubai",
            frequency="WEEKLY",
            digest_time="06:15",
            digest_weekday="0",
            has_sound="on",
            has_toasts=None,
        ),
        follow=True,
    )
    assert answer.redirect_chain == [(PAGE, 302)]
    assert "Your preferences are saved." in answer.content.decode()
    saved = preference_of(clinic.front_desk)
    matrix = effective_matrix(saved)
    assert (matrix["ARRIVAL"], matrix["GENERAL"], matrix["SYSTEM"]) == (
        {"IN_APP", "EMAIL"},
        set(),
        DEFAULT_MATRIX["SYSTEM"],
    )
    assert (saved.quiet_starts, saved.quiet_ends) == (dt.time(22), dt.time(7, 30))
    assert (saved.ramadan_quiet_starts, saved.ramadan_quiet_ends) == (dt.time(3), dt.time(11))
    assert saved.is_quiet_on_weekends
    assert saved.is_quiet_on_holidays
    assert (saved.timezone, saved.frequency, saved.digest_weekday) == ("Asia/Dubai", "WEEKLY", 0)
    assert (saved.digest_time, saved.has_sound, saved.has_toasts) == (dt.time(6, 15), True, False)
    assert AuditEvent.objects.get().actor == clinic.front_desk


def test_the_page_as_it_stands_changes_nothing(clinic: Clinic, desk: Client) -> None:
    desk.post(PAGE, sent())
    assert not AuditEvent.objects.exists()
    assert preference_of(clinic.front_desk).matrix == {}


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"quiet_starts": "22:00"}, "quiet_ends", "Give both times, or neither."),
        ({"quiet_ends": "22:00"}, "quiet_starts", "Give both times, or neither."),
        ({"ramadan_quiet_starts": "03:00"}, "ramadan_quiet_ends", "Give both times, or neither."),
        ({"quiet_starts": "22:00", "quiet_ends": "22:00"}, "quiet_ends", "begins and ends at the same minute"),
        ({"quiet_starts": "late"}, "quiet_starts", "Write a time such as 22:00."),
        ({"digest_time": ""}, "digest_time", "This field is required."),
        ({"timezone": "Mars/Olympus"}, "timezone", "not one of the available choices"),
    ],
)
def test_a_refused_form_says_why_at_the_field_and_loses_nothing(
    clinic: Clinic, desk: Client, changes: dict[str, str], field: str, words: str
) -> None:
    answer = desk.post(PAGE, sent(on_ARRIVAL=["EMAIL"], is_quiet_on_weekends="on", has_toasts=None, **changes))
    html = answer.content.decode()
    assert answer.status_code == 422
    assert words in html
    control = re.search(rf'<(?:input|select)[^>]*name="{field}"[^>]*>', html)
    assert control
    assert 'aria-invalid="true"' in control[0]
    assert f'<a href="#id_{field}">' in html, "the summary leads to it"
    boxes = dict(re.findall(r'<input type="checkbox" id="id_on_([A-Z_]+)"[^>]*?( checked)?>', html))
    assert not boxes["ARRIVAL_IN_APP"]
    assert boxes["ARRIVAL_EMAIL"]
    assert re.search(r'<input[^>]*name="is_quiet_on_weekends"[^>]*checked', html)
    assert not re.search(r'<input[^>]*name="has_toasts"[^>]*checked', html)
    for name, value in changes.items():
        if name != "timezone" and value:
            assert f'value="{value}"' in html
    assert not StaffPreference.objects.exists()


def test_a_box_that_is_not_on_the_page_is_refused(desk: Client) -> None:
    assert desk.post(PAGE, sent(on_ARRIVAL=["PAGER"])).status_code == 422


# --- the sentence ------------------------------------------------------------------------------------------------------
def test_the_sentence_follows_what_is_typed_and_saves_nothing(clinic: Clinic, desk: Client) -> None:
    def live(**changes: Any) -> str:
        answer = desk.post(LIVE, sent(**changes), headers={"HX-Request": "true"})
        assert answer.status_code == 200
        return answer.content.decode()

    assert "Never quiet" in live()
    assert "The next quiet time is from" in live(is_quiet_on_weekends="on") or "Quiet now" in live(
        is_quiet_on_weekends="on"
    )
    assert "Give both times" in live(quiet_starts="22:00")
    assert "The next summary goes at" in live(frequency="HOURLY")
    assert "The next summary goes at" not in live()
    assert not StaffPreference.objects.exists()


NIGHTS = Schedule(RIYADH, (dt.time(22), dt.time(7)))
TUESDAY = dt.datetime(2026, 9, 1, 12, tzinfo=RIYADH)


@pytest.mark.parametrize(
    ("schedule", "now", "words"),
    [
        (NIGHTS, TUESDAY.replace(hour=23), "Quiet now until 07:00 tomorrow."),
        (NIGHTS, TUESDAY.replace(hour=6), "Quiet now until 07:00 today."),
        (
            NIGHTS,
            TUESDAY,
            "Not quiet now. The next quiet time is from 22:00 today until 07:00 tomorrow.",
        ),
        (
            Schedule(RIYADH, weekdays=frozenset({4, 5})),
            TUESDAY,
            "Not quiet now. The next quiet time is from Friday 00:00 until Sunday 00:00.",
        ),
        (Schedule(RIYADH), TUESDAY, "Never quiet: you are told at any time."),
    ],
)
def test_quiet_time_in_plain_words(schedule: Schedule, now: dt.datetime, words: str) -> None:
    assert quiet_words(schedule, [], now).now == words


def test_weekend_holiday_and_ramadan_add_their_sentences_once() -> None:
    holiday = Holiday(name_en="National Day", first_day=dt.date(2026, 9, 23), last_day=dt.date(2026, 9, 24))
    schedule = Schedule(
        RIYADH,
        (dt.time(22), dt.time(7)),
        (dt.time(3), dt.time(11)),
        frozenset({4, 5}),
        ((holiday.first_day, holiday.last_day),),
    )
    with translation.override("en"):
        words = quiet_words(schedule, [holiday], TUESDAY)
        friday = quiet_words(schedule, [holiday], dt.datetime(2026, 9, 4, 12, tzinfo=RIYADH))
    assert words.more[0] == "On weekends you hear nothing until Sunday 07:00."
    assert words.more[1].startswith("National Day: quiet until Sun 27 Sep")
    assert words.more[2].startswith("In Ramadan (Mon 8 Feb 2027 – ")
    assert words.more[2].endswith("quiet from 03:00 until 11:00 instead.")
    assert friday.now == "Quiet now until Sunday 07:00."
    assert len(friday.more) == 2, "the weekend is told already"
