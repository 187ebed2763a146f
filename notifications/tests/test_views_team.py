"""The admin's page about the team, and everybody's own absences: who may enter, what a refused form keeps."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from conftest import Clinic
from core import roster
from core.models import Absence, DutyShift, Holiday, Location, Role, Tenant, User
from tests.factories import LocationFactory, UserFactory

PAGE = "/notifications/team/"
OWN = "/notifications/absences/"
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


def typed(moment: dt.datetime, zone: str = "Asia/Riyadh") -> str:
    return f"{moment.astimezone(zoneinfo.ZoneInfo(zone)):%Y-%m-%dT%H:%M}"


def span(starts: dt.timedelta = DAY, length: dt.timedelta = DAY, zone: str = "Asia/Riyadh") -> dict[str, str]:
    start = timezone.now() + starts
    return {"starts_at": typed(start, zone), "ends_at": typed(start + length, zone)}


def absence(user: User, cover: User | None = None, starts: dt.timedelta = -HOUR) -> Absence:
    start = timezone.now() + starts
    return roster.absence_create(actor=user, user=user, cover=cover, starts_at=start, ends_at=start + DAY)


def shift(clinic: Clinic, user: User) -> DutyShift:
    start = timezone.now() - HOUR
    return roster.shift_create(actor=clinic.admin, user=user, location=None, starts_at=start, ends_at=start + DAY)


def text_of(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


# --- who may enter ---------------------------------------------------------------------------------------------------


def test_the_page_and_its_acts_are_the_admins(clinic: Clinic, client: Client) -> None:
    acts = ["team_minutes", "shift_create", "team_absence_create", "holiday_create"]
    assert clinic.client(clinic.admin).get(PAGE).status_code == 200
    for user in (clinic.front_desk, clinic.provider, clinic.patient_user):
        assert clinic.client(user).get(PAGE).status_code == 403
        for act in acts:
            assert clinic.client(user).post(reverse(f"notifications:{act}")).status_code == 403
    assert client.get(PAGE).status_code == 302


def test_a_patient_has_no_absences(clinic: Clinic) -> None:
    row = absence(clinic.provider)
    client = clinic.client(clinic.patient_user)
    assert client.get(OWN).status_code == 403
    assert client.post(reverse("notifications:absence_end", args=[row.pk])).status_code == 403


def test_nothing_changes_by_looking(clinic: Clinic) -> None:
    row, duty = absence(clinic.provider), shift(clinic, clinic.front_desk)
    client = clinic.client(clinic.admin)
    for route, arguments in (("absence_end", [row.pk]), ("shift_remove", [duty.pk]), ("holiday_create", [])):
        assert client.get(reverse(f"notifications:{route}", args=arguments)).status_code == 405


def test_a_form_from_another_site_changes_nothing(clinic: Clinic) -> None:
    row = absence(clinic.provider)
    client = Client(enforce_csrf_checks=True)
    client.force_login(clinic.provider, backend="core.auth.AccountBackend")
    assert client.post(reverse("notifications:absence_end", args=[row.pk])).status_code == 403
    row.refresh_from_db()
    assert row.ends_at > timezone.now()


def test_only_the_admins_side_bar_leads_there(clinic: Clinic) -> None:
    inbox = reverse("notifications:inbox")
    assert f'href="{PAGE}"' in clinic.client(clinic.admin).get(inbox).content.decode()
    for user in (clinic.front_desk, clinic.provider, clinic.patient_user):
        assert PAGE not in clinic.client(user).get(inbox).content.decode()


# --- the page --------------------------------------------------------------------------------------------------------


def test_an_absence_is_on_the_clock_of_the_person(clinic: Clinic) -> None:
    cairo: Location = LocationFactory(tenant=clinic.tenant, name_en="Cairo", timezone="Africa/Cairo")
    User.objects.filter(pk=clinic.provider.pk).update(location=cairo)
    form = {
        "user": clinic.provider.pk,
        "cover": clinic.colleague.pk,
        "starts_at": f"{timezone.now() + DAY:%Y-%m-%d}T08:00",
        "ends_at": f"{timezone.now() + DAY:%Y-%m-%d}T16:00",
    }
    answer = clinic.client(clinic.admin).post(reverse("notifications:team_absence_create"), form)
    assert answer.status_code == 302
    row = Absence.objects.get()
    assert f"{row.starts_at.astimezone(cairo.zone):%H:%M}" == "08:00"
    assert "08:00" in text_of(clinic.client(clinic.admin).get(PAGE))


def test_a_time_that_the_clocks_leave_out_is_refused(clinic: Clinic) -> None:
    """In Beirut the clocks go forward at midnight of the last Sunday in March."""
    place: Location = LocationFactory(tenant=clinic.tenant, name_en="Beirut", timezone="Asia/Beirut")
    User.objects.filter(pk=clinic.provider.pk).update(location=place)
    year = timezone.localdate().year + 1
    last_sunday = max(day for n in range(1, 32) if (day := dt.date(year, 3, n)).weekday() == 6)
    form = {"starts_at": f"{last_sunday}T00:30", "ends_at": f"{last_sunday}T09:00"}
    answer = clinic.client(clinic.provider).post(OWN, form)
    assert answer.status_code == 422
    assert "The clocks go forward" in text_of(answer)


@pytest.mark.parametrize(
    ("route", "fields", "kept", "sentence"),
    [
        ("team_absence_create", {"user": "provider", "cover": "front_desk"}, "absence_cover", "able to do the same"),
        ("team_absence_create", {"user": "provider", "ends_at": ""}, "absence_ends_at", "Choose when it ends."),
        ("shift_create", {"user": ""}, "shift_user", "Choose who is on duty."),
        ("shift_create", {"user": "patient_user"}, "shift_user", "does not work here"),
        ("team_minutes", {"minutes": "99"}, "escalation_minutes", "less than or equal to 60"),
        ("holiday_create", {"name_en": "", "first_day": "2020-01-01", "last_day": "2020-01-01"}, "holiday_name_en", "A name"),
    ],
)  # fmt: skip
def test_a_refused_form_says_where_and_keeps_the_rest(
    clinic: Clinic, route: str, fields: dict[str, str], kept: str, sentence: str
) -> None:
    people = {name: str(getattr(clinic, fields[name]).pk) for name in ("user", "cover") if fields.get(name)}
    wish = {**span(), **fields, **people}
    answer = clinic.client(clinic.admin).post(reverse(f"notifications:{route}"), wish)
    text = text_of(answer)
    assert answer.status_code == 422
    assert sentence in text
    assert f'href="#{kept}"' in text, "the summary leads to the field"
    assert "data-error-summary" in text
    if "starts_at" in text and route != "team_minutes" and route != "holiday_create":
        assert f'value="{wish["starts_at"]}"' in text
    assert not Absence.objects.exists()
    assert not DutyShift.objects.exists()


def test_people_of_another_clinic_group_cannot_be_chosen(clinic: Clinic, other_clinic: Clinic) -> None:
    client = clinic.client(clinic.admin)
    text = text_of(client.get(PAGE))
    assert str(other_clinic.provider.pk) not in text
    for route, fields in (
        ("team_absence_create", {"user": other_clinic.provider.pk}),
        ("team_absence_create", {"user": clinic.provider.pk, "cover": other_clinic.provider.pk}),
        ("shift_create", {"user": clinic.provider.pk, "location": other_clinic.location.pk}),
    ):
        assert client.post(reverse(f"notifications:{route}"), {**span(), **fields}).status_code == 422
    assert not Absence.objects.exists()


def test_supervisors_minutes_and_holidays_are_kept(clinic: Clinic) -> None:
    client = clinic.client(clinic.admin)
    tomorrow = (timezone.localdate() + DAY).isoformat()
    for route, fields in (
        ("shift_create", {**span(-HOUR), "user": clinic.front_desk.pk}),
        ("team_minutes", {"minutes": "7"}),
        ("holiday_create", {"name_ar": "اليوم الوطني", "first_day": tomorrow, "last_day": tomorrow}),
    ):
        answer = client.post(reverse(f"notifications:{route}"), fields)
        assert answer.status_code == 302
        assert answer["Location"].startswith(f"{PAGE}#team-")
    text = text_of(client.get(PAGE))
    assert "On duty now" in text
    assert "اليوم الوطني" in text
    assert Tenant.objects.get(pk=clinic.tenant.pk).escalate_after_minutes == 7
    for route, row in (("shift_remove", DutyShift.objects.get()), ("holiday_remove", Holiday.objects.get())):
        assert client.post(reverse(f"notifications:{route}", args=[row.pk])).status_code == 302
    assert not Holiday.objects.exists()
    assert DutyShift.objects.get().ends_at <= timezone.now()


def test_the_page_stands_when_people_have_left(clinic: Clinic) -> None:
    absence(clinic.provider, clinic.colleague)
    shift(clinic, clinic.front_desk)
    User.objects.filter(pk__in=[clinic.colleague.pk, clinic.front_desk.pk]).update(is_active=False)
    text = text_of(clinic.client(clinic.admin).get(PAGE))
    assert "The cover no longer works here" in text
    assert "nothing reaches them" in text
    User.objects.filter(pk=clinic.provider.pk).update(is_active=False)
    assert "Away now" not in text_of(clinic.client(clinic.admin).get(PAGE))


def test_the_page_costs_the_same_however_many_there_are(
    clinic: Clinic, django_assert_num_queries: Callable[[int], Any]
) -> None:
    def queries() -> None:
        client = clinic.client(clinic.admin)
        # session and user; staff; locations; shifts and absences with who is away; holidays;
        # the channels of Slack and Teams
        with django_assert_num_queries(9):
            client.get(PAGE)

    absence(clinic.provider, clinic.colleague)
    shift(clinic, clinic.front_desk)
    queries()
    for _number in range(3):
        other = UserFactory(tenant=clinic.tenant, role=Role.PROVIDER, location=clinic.location)
        absence(other, clinic.colleague)
        shift(clinic, UserFactory(tenant=clinic.tenant))
        LocationFactory(tenant=clinic.tenant)
    queries()


# --- my own ----------------------------------------------------------------------------------------------------------


def test_staff_write_down_their_own_and_come_back_from_it(clinic: Clinic) -> None:
    client = clinic.client(clinic.provider)
    assert str(clinic.front_desk.pk) not in text_of(client.get(OWN)), "only who can do the same is offered"
    answer = client.post(OWN, {**span(-HOUR), "cover": clinic.colleague.pk, "next": reverse("notifications:inbox")})
    assert (answer.status_code, answer["Location"]) == (302, reverse("notifications:inbox"))
    row = Absence.objects.get()
    assert (row.user, row.cover) == (clinic.provider, clinic.colleague)
    assert "I am back" in text_of(client.get(OWN))
    client.post(reverse("notifications:absence_end", args=[row.pk]))
    row.refresh_from_db()
    assert row.ends_at <= timezone.now()


def test_my_refused_form_loses_nothing_and_leads_nowhere_else(clinic: Clinic) -> None:
    absence(clinic.provider)
    client = clinic.client(clinic.provider)
    wish = {
        **span(),
        "starts_at": span(HOUR)["starts_at"],
        "cover": clinic.colleague.pk,
        "next": "https://evil.example/",
    }
    answer = client.post(OWN, wish)
    text = text_of(answer)
    assert answer.status_code == 422
    assert "There is already an absence" in text
    assert f'value="{wish["starts_at"]}"' in text
    assert f'<option value="{clinic.colleague.pk}" selected' in text
    assert "evil.example" not in text
    assert "evil" not in client.post(OWN, {**wish, **span(3 * DAY)})["Location"]


def test_a_colleagues_absence_cannot_be_ended(clinic: Clinic) -> None:
    row = absence(clinic.provider)
    assert clinic.client(clinic.colleague).post(reverse("notifications:absence_end", args=[row.pk])).status_code == 404
    assert clinic.client(clinic.admin).post(reverse("notifications:absence_end", args=[row.pk])).status_code == 302
