"""The first page of each role: what it shows, what it never shows, and how many queries it costs."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from appointments import tokens
from appointments.models import Appointment
from conftest import Clinic
from core.models import User
from core.views import today
from integrations.messaging_service import MessagingService
from notifications import inbox, lifecycle
from notifications.models import Message, NotificationEvent, NotificationPreference
from notifications.states import Channel, Status
from tests.factories import AppointmentFactory, GuardianFactory, GuardianshipFactory, PatientFactory

HOME = reverse("core:home")
S = Appointment.Status
# Noon in Riyadh on a Wednesday: the day has a past and a future, whenever the tests run.
NOON = dt.datetime(2026, 3, 11, 9, 0, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> dt.datetime:
    monkeypatch.setattr(timezone, "now", lambda: NOON)
    return NOON


def visit(clinic: Clinic, hours: float = 1, status: str = S.BOOKED, **fields: Any) -> Appointment:
    """A visit that many hours from noon."""
    starts_at = NOON + dt.timedelta(hours=hours)
    return AppointmentFactory(
        **{
            "tenant": clinic.tenant,
            "patient": clinic.patient,
            "provider": clinic.provider,
            "location": clinic.location,
            "department": clinic.department,
            "number": f"A-{Appointment.objects.count()}",
            "starts_at": starts_at,
            "ends_at": starts_at + dt.timedelta(minutes=30),
            "status": status,
            **fields,
        }
    )


def tell(clinic: Clinic, about: Appointment, *statuses: Status, channel: str = Channel.SMS) -> Message:
    """A message about a visit, moved along."""
    message = MessagingService().send_message(
        tenant_id=clinic.tenant.pk, patient_id=about.patient_id, channel=channel, body="About your visit"
    )
    Message.objects.filter(pk=message.pk).update(object_type="appointments.appointment", object_id=about.pk)
    for status in statuses:
        assert lifecycle.move(message.pk, status)
    message.refresh_from_db()
    return message


def queries(clinic: Clinic, user: User) -> int:
    browser = clinic.client(user)
    with CaptureQueriesContext(connection) as captured:
        assert browser.get(HOME).status_code == 200
    return len(captured)


# --- who may enter ---------------------------------------------------------------------------------------------------


def test_each_role_has_its_own_page(clinic: Clinic) -> None:
    for user, template in (
        (clinic.front_desk, "core/home_front_desk.html"),
        (clinic.admin, "core/home_front_desk.html"),
        (clinic.provider, "core/home_provider.html"),
        (clinic.patient_user, "core/home_patient.html"),
    ):
        page = clinic.client(user).get(HOME)
        assert page.status_code == 200
        assert template in [used.name for used in page.templates]


def test_a_stranger_is_sent_to_the_sign_in_page(clinic: Clinic, client: Any) -> None:
    answer = client.get(HOME)
    assert answer.status_code == 302
    assert answer.url.startswith(reverse("core:sign_in"))


def test_an_account_of_no_clinic_group_has_no_home(clinic: Clinic) -> None:
    support = User.accounts.create_superuser("support@agdar.example", "x" * 12)
    assert clinic.client(support).get(HOME).status_code == 403


def test_nothing_of_another_clinic_group_is_shown(clinic: Clinic, other_clinic: Clinic) -> None:
    tell(clinic, visit(clinic), Status.SENDING, Status.FAILED)
    for user in (other_clinic.front_desk, other_clinic.admin, other_clinic.provider, other_clinic.patient_user):
        page = other_clinic.client(user).get(HOME)
        assert str(clinic.patient.pk) not in page.content.decode()
    assert other_clinic.client(other_clinic.front_desk).get(HOME).context["counts"]["visits"] == 0


# --- front desk ------------------------------------------------------------------------------------------------------


def test_the_cards_count_the_day(clinic: Clinic) -> None:
    for hours, status in (
        (-3, S.COMPLETED),
        (-2, S.NO_SHOW),
        (1, S.CONFIRMED),
        (2, S.BOOKED),
        (3, S.RESCHEDULED),
        (4, S.CANCELLED),
        (5, S.ENTERED_IN_ERROR),
        # 21:00 UTC is midnight in Riyadh: tomorrow.
        (12, S.BOOKED),
        (-13, S.COMPLETED),
    ):
        visit(clinic, hours, status)
    shown = clinic.client(clinic.front_desk).get(HOME).context
    assert shown["counts"] == {"visits": 5, "confirmed": 2, "awaiting": 2, "left": 3}
    assert shown["confirmed_share"] == 40


def test_the_day_is_that_of_the_desks_own_place(clinic: Clinic) -> None:
    clinic.location.timezone = "America/New_York"
    clinic.location.save()
    # Five in the morning there. In 18 hours it is 11 at night in New York, and tomorrow in Riyadh.
    visit(clinic, -4)
    visit(clinic, 18)
    assert clinic.client(clinic.front_desk).get(HOME).context["counts"]["visits"] == 2


def test_only_failures_of_the_last_day_are_counted(clinic: Clinic) -> None:
    for hours in (1, 30):
        message = tell(clinic, visit(clinic), Status.SENDING, Status.FAILED)
        Message.objects.filter(pk=message.pk).update(failed_at=NOON - dt.timedelta(hours=hours))
    tell(clinic, visit(clinic), Status.SENDING, Status.BOUNCED)
    page = clinic.client(clinic.front_desk).get(HOME)
    assert page.context["undelivered"] == 2
    assert reverse("notifications:message_list") + "?status=problem" in page.content.decode()


def test_up_next_shows_what_is_left_of_the_day_with_its_last_message(clinic: Clinic) -> None:
    visit(clinic, -2, S.COMPLETED)
    coming = visit(clinic, 1, S.CONFIRMED)
    visit(clinic, 30)
    tell(clinic, coming, Status.SENDING)
    told = tell(clinic, coming, Status.SENDING, Status.SENT, Status.DELIVERED)
    Message.objects.filter(pk=told.pk).update(created_at=NOON + dt.timedelta(seconds=1))

    page = clinic.client(clinic.front_desk).get(HOME)

    lines = page.context["up_next"]
    assert [line.appointment.pk for line in lines] == [coming.pk]
    assert lines[0].message is not None
    assert lines[0].message.pk == told.pk
    assert reverse("notifications:message_detail", args=[told.pk]) in page.content.decode()


def test_a_day_without_visits_says_so(clinic: Clinic) -> None:
    page = clinic.client(clinic.front_desk).get(HOME).content.decode()
    assert "No more visits today" in page
    assert "Everybody has been told, and nothing is waiting for you." in page


def attention(clinic: Clinic) -> list[tuple[str, Any]]:
    lines = clinic.client(clinic.front_desk).get(HOME).context["attention"]
    return [(line.kind, line.appointment.pk) for line in lines]


def test_needs_attention_lists_the_untold_the_unreachable_and_the_unconfirmed(clinic: Clinic) -> None:
    unconfirmed = visit(clinic, 20)
    confirmed = visit(clinic, 21, S.CONFIRMED)
    later = visit(clinic, 72)
    silent = visit(clinic, 96, S.CONFIRMED, patient=PatientFactory(tenant=clinic.tenant, phone="", email=""))
    bounced = visit(clinic, 90, S.CONFIRMED)
    tell(clinic, bounced, Status.SENDING, Status.BOUNCED)
    far = visit(clinic, 24 * 9, S.CONFIRMED)
    tell(clinic, far, Status.SENDING, Status.BOUNCED)

    assert attention(clinic) == [
        ("untold", bounced.pk),
        ("unreachable", silent.pk),
        ("unconfirmed", unconfirmed.pk),
    ]
    assert not {confirmed.pk, later.pk, far.pk} & {pk for _kind, pk in attention(clinic)}


def test_a_refused_message_is_shown_with_its_reason(clinic: Clinic) -> None:
    NotificationPreference.objects.create(tenant=clinic.tenant, patient=clinic.patient, sms_enabled=False)
    tell(clinic, visit(clinic, 50, S.CONFIRMED))
    page = clinic.client(clinic.front_desk).get(HOME).content.decode()
    assert "The patient switched this channel off" in page


def test_who_was_told_over_another_channel_or_is_tried_again_needs_nobody(clinic: Clinic) -> None:
    by_email = visit(clinic, 50, S.CONFIRMED)
    one = tell(clinic, by_email, Status.SENDING, Status.BOUNCED)
    other = tell(clinic, by_email, Status.SENDING, Status.SENT, channel=Channel.EMAIL)
    event = NotificationEvent.objects.create(tenant=clinic.tenant, key="appointment.booked", dedupe_key="x")
    Message.objects.filter(pk__in=[one.pk, other.pk]).update(event=event)
    retried = visit(clinic, 51, S.CONFIRMED)
    again = tell(clinic, retried, Status.SENDING, Status.FAILED)
    Message.objects.filter(pk=again.pk).update(next_attempt_at=NOON + dt.timedelta(minutes=1))
    # Old news that failed does not matter once newer news has arrived.
    healed = visit(clinic, 52, S.CONFIRMED)
    tell(clinic, healed, Status.SENDING, Status.BOUNCED)
    newer = tell(clinic, healed, Status.SENDING, Status.SENT, Status.DELIVERED)
    Message.objects.filter(pk=newer.pk).update(created_at=NOON + dt.timedelta(seconds=1))

    assert attention(clinic) == []


def test_a_child_is_reached_through_the_guardian(clinic: Clinic) -> None:
    child = PatientFactory(tenant=clinic.tenant, phone="", email="", birth_date=dt.date(2020, 1, 1))
    expecting = visit(clinic, 90, S.CONFIRMED, patient=child)
    assert attention(clinic) == [("unreachable", expecting.pk)]
    GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=GuardianFactory(tenant=clinic.tenant))
    assert attention(clinic) == []


def test_a_long_list_is_cut_and_says_how_many_are_left(clinic: Clinic) -> None:
    for number in range(today.ATTENTION + 3):
        visit(clinic, 14 + number / 10)
    page = clinic.client(clinic.front_desk).get(HOME)
    assert len(page.context["attention"]) == today.ATTENTION
    assert "and 3 more in the list of appointments" in " ".join(page.content.decode().split())


def test_only_the_admin_sees_the_totals_of_the_week(clinic: Clinic) -> None:
    tell(clinic, visit(clinic), Status.SENDING, Status.SENT, Status.DELIVERED)
    tell(clinic, visit(clinic), Status.SENDING, Status.SENT)
    page = clinic.client(clinic.admin).get(HOME)
    assert page.context["totals"]["total"] == 2
    assert page.context["totals"]["success_rate"] == 50.0
    assert "Messages of the last 7 days" in page.content.decode()
    assert "Messages of the last 7 days" not in clinic.client(clinic.front_desk).get(HOME).content.decode()


def test_the_front_desks_page_costs_ten_queries_at_most_however_full_the_day(clinic: Clinic) -> None:
    tell(clinic, visit(clinic), Status.SENDING, Status.FAILED)
    few, admins = queries(clinic, clinic.front_desk), queries(clinic, clinic.admin)
    for number in range(12):
        patient = PatientFactory(tenant=clinic.tenant, phone="" if number % 2 else "+966501112233", email="")
        coming = visit(clinic, 1 + number, patient=patient, provider=clinic.colleague)
        if patient.phone:
            tell(clinic, coming, Status.SENDING, Status.BOUNCED)
    assert queries(clinic, clinic.front_desk) == few <= 10
    # The admin's totals: how far the days are kept, those that are, and today.
    assert queries(clinic, clinic.admin) == admins <= 12


# --- provider --------------------------------------------------------------------------------------------------------


def test_a_provider_sees_their_own_day_and_nobody_elses(clinic: Clinic) -> None:
    own = visit(clinic, 1)
    visit(clinic, 1, provider=clinic.colleague)
    visit(clinic, 30)
    visit(clinic, 2, S.CANCELLED)
    page = clinic.client(clinic.provider).get(HOME)
    assert [row.pk for row in page.context["visits"]] == [own.pk]


def test_who_has_waited_longest_comes_first_with_what_is_open(clinic: Clinic) -> None:
    visit(clinic, 0.5, S.CONFIRMED)
    visit(clinic, 1, S.ARRIVED, arrived_at=NOON - dt.timedelta(minutes=5))
    longest = visit(clinic, 2, S.ARRIVED, arrived_at=NOON - dt.timedelta(minutes=20))

    page = clinic.client(clinic.provider).get(HOME)

    assert page.context["following"].pk == longest.pk
    assert page.context["waiting"] == 2
    assert "Waiting for you" in page.content.decode()
    assert "Consent: missing" in page.content.decode()
    assert "Arrived at" in page.content.decode()


def test_without_anybody_waiting_the_next_visit_is_highlighted(clinic: Clinic) -> None:
    visit(clinic, -3, S.COMPLETED)
    following = visit(clinic, 1, S.CONFIRMED)
    visit(clinic, 2)
    page = clinic.client(clinic.provider).get(HOME)
    assert page.context["following"].pk == following.pk
    assert "Next visit" in page.content.decode()


def test_a_free_day_says_so(clinic: Clinic) -> None:
    page = clinic.client(clinic.provider).get(HOME).content.decode()
    assert "You have no visits today." in page
    assert "You have read everything." in page


def test_the_five_latest_unread_notifications_are_shown(clinic: Clinic) -> None:
    rows = [inbox.notify(user=clinic.provider, title=f"News {number}") for number in range(7)]
    inbox.mark_read(clinic.provider, rows[6].pk)
    inbox.notify(user=clinic.colleague, title="Not yours")
    page = clinic.client(clinic.provider).get(HOME)
    assert len(page.context["notifications"]) == 5
    assert "News 6" not in [row.title for row in page.context["notifications"]]
    assert "Not yours" not in page.content.decode()


def test_the_providers_page_costs_ten_queries_at_most_however_full_the_day(clinic: Clinic) -> None:
    visit(clinic, 1, S.ARRIVED, arrived_at=NOON)
    few = queries(clinic, clinic.provider)
    for number in range(10):
        visit(clinic, 2 + number / 2, S.ARRIVED, arrived_at=NOON, patient=PatientFactory(tenant=clinic.tenant))
        inbox.notify(user=clinic.provider, title=f"News {number}")
    assert queries(clinic, clinic.provider) == few <= 10


# --- patient ---------------------------------------------------------------------------------------------------------


def test_a_patient_sees_their_own_visits_with_the_link_to_confirm(clinic: Clinic) -> None:
    own = visit(clinic, 30)
    confirmed = visit(clinic, 60, S.CONFIRMED)
    visit(clinic, 30, patient=PatientFactory(tenant=clinic.tenant))
    visit(clinic, 40, S.CANCELLED)
    codes = [tokens.issue(one).code for one in (own, confirmed)]

    page = clinic.client(clinic.patient_user).get(HOME)

    assert [row["visit"].pk for row in page.context["upcoming"]] == [own.pk, confirmed.pk]
    for code in codes:
        assert reverse("appointments:link", args=[code]) in page.content.decode()


def test_a_dead_link_is_not_offered(clinic: Clinic) -> None:
    moved = visit(clinic, 30)
    code = tokens.issue(moved).code
    Appointment.objects.filter(pk=moved.pk).update(version=2)
    assert code not in clinic.client(clinic.patient_user).get(HOME).content.decode()


def test_a_patient_reads_what_was_sent_and_nothing_that_was_not(clinic: Clinic) -> None:
    about = visit(clinic, 30)
    sent = tell(clinic, about, Status.SENDING, Status.SENT)
    Message.objects.filter(pk=sent.pk).update(body="Sent to you")
    waiting = tell(clinic, about)
    Message.objects.filter(pk=waiting.pk).update(body="Still in the queue")
    other = tell(clinic, visit(clinic, 30, patient=PatientFactory(tenant=clinic.tenant)), Status.SENDING, Status.SENT)
    Message.objects.filter(pk=other.pk).update(body="Somebody else's")

    page = clinic.client(clinic.patient_user).get(HOME).content.decode()

    assert "Sent to you" in page
    assert "Still in the queue" not in page
    assert "Somebody else" not in page


def test_an_account_without_a_file_is_told_what_to_do(clinic: Clinic) -> None:
    clinic.patient.user = None
    clinic.patient.save()
    page = clinic.client(clinic.patient_user).get(HOME)
    assert "Please ask the front desk" in page.content.decode()


def test_the_patients_page_costs_ten_queries_at_most(clinic: Clinic) -> None:
    tokens.issue(visit(clinic, 30))
    few = queries(clinic, clinic.patient_user)
    for number in range(6):
        coming = visit(clinic, 40 + number)
        tokens.issue(coming)
        tell(clinic, coming, Status.SENDING, Status.SENT)
    assert queries(clinic, clinic.patient_user) == few <= 10
