"""The desk's pages about several visits: absences with their preview, a series, the waiting list, the rules."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from appointments import policy, services
from appointments.models import Appointment, ProviderAbsence, Series, VisitPolicy, WaitlistEntry
from appointments.tests.test_booking import book
from conftest import Clinic
from core.models import AuditEvent
from notifications.models import NotificationEvent

pytestmark = pytest.mark.django_db

S = Appointment.Status
Absences = reverse("appointments:absences")
QUERIES = 14


def wish(clinic: Clinic, start: dt.datetime, **fields: object) -> dict[str, Any]:
    local = timezone.localtime(start)
    return {
        "provider": clinic.provider.pk,
        "starts_at": f"{local - dt.timedelta(hours=2):%Y-%m-%dT%H:%M}",
        "ends_at": f"{local + dt.timedelta(hours=8):%Y-%m-%dT%H:%M}",
        "reason": "ill",
        "key": str(uuid.uuid4()),
        **fields,
    }


def test_the_first_press_shows_and_the_second_calls_off_once(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    client, typed = clinic.client(clinic.front_desk), wish(clinic, ten_oclock)
    seen = client.post(Absences, typed)
    assert seen.status_code == 200
    assert "1 appointment is called off." in seen.content.decode()
    assert clinic.patient.name in seen.content.decode()
    visit.refresh_from_db()
    assert visit.status == S.BOOKED
    assert not ProviderAbsence.objects.exists()
    for _press in range(2):
        done = client.post(Absences, {**typed, "confirm": "1"})
        assert done.status_code == 302
    visit.refresh_from_db()
    assert visit.status == S.CANCELLED
    assert NotificationEvent.objects.filter(key="absence.called_off").count() == 1
    assert AuditEvent.objects.filter(action="provider_absence.called_off").count() == 1
    page = client.get(done.headers["Location"]).content.decode()
    assert f"replaces={visit.pk}" in page
    assert client.post(done.headers["Location"]).status_code == 302
    assert ProviderAbsence.objects.get().lifted_at is not None


def test_a_wrong_time_is_said_at_its_field(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    typed = wish(clinic, ten_oclock, ends_at="2020-01-01T10:00", confirm="1")
    answer = clinic.client(clinic.front_desk).post(Absences, typed)
    assert answer.status_code == 422
    assert "This time is over" in answer.content.decode()
    assert not ProviderAbsence.objects.exists()


def test_a_series_is_booked_on_the_booking_page_and_its_rest_called_off_on_its_own(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    client, local = clinic.client(clinic.front_desk), timezone.localtime(ten_oclock)
    typed = {
        "patient": clinic.patient.pk,
        "provider": clinic.provider.pk,
        "location": clinic.location.pk,
        "department": clinic.department.pk,
        "date": f"{local:%Y-%m-%d}",
        "time": f"{local:%H:%M}",
        "duration": "30",
        "visits": "4",
        "booking_key": str(uuid.uuid4()),
    }
    done = client.post(reverse("appointments:create"), typed)
    row = Series.objects.get()
    assert done.headers["Location"] == reverse("appointments:series", args=[row.pk])
    page = client.get(done.headers["Location"]).content.decode()
    since = re.findall(r'<option value="([^"]+)"', page)[2]
    gone = client.post(done.headers["Location"], {"since": since, "reason": "The therapy ends"})
    assert gone.status_code == 302
    statuses = row.visits.order_by("starts_at").values_list("status", flat=True)
    assert list(statuses) == [S.BOOKED, S.BOOKED, S.CANCELLED, S.CANCELLED]
    detail = client.get(reverse("appointments:detail", args=[row.visits.all()[0].pk])).content.decode()
    assert reverse("appointments:series", args=[row.pk]) in detail


def test_who_wants_to_come_earlier_is_put_on_the_list_from_their_visit(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock + dt.timedelta(days=20))
    client = clinic.client(clinic.front_desk)
    detail = client.get(reverse("appointments:detail", args=[visit.pk])).content.decode()
    address = f"{reverse('appointments:waiting_add')}?appointment={visit.pk}"
    assert address in detail
    form = client.get(address).context["form"]
    typed = {name: form[name].value() for name in form.fields}
    sent = {name: value for name, value in typed.items() if value not in (None, "")}
    assert client.post(reverse("appointments:waiting_add"), sent).status_code == 302
    entry = WaitlistEntry.objects.get()
    assert (entry.appointment, entry.patient) == (visit, clinic.patient)
    page = client.get(reverse("appointments:waiting")).content.decode()
    assert clinic.patient.name in page
    assert client.post(reverse("appointments:waiting_add"), sent).status_code == 422, "on the list already"
    client.post(reverse("appointments:waiting_end", args=[entry.pk]))
    entry.refresh_from_db()
    assert entry.state == "ENDED"


def test_the_lists_ask_no_more_for_many_than_for_few(
    clinic: Clinic, ten_oclock: dt.datetime, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    for number in range(8):
        visit = book(clinic, ten_oclock + dt.timedelta(days=20 + number), patient=_somebody(clinic))
        WaitlistEntry.objects.create(
            tenant=clinic.tenant,
            patient=visit.patient,
            department=clinic.department,
            appointment=visit,
            first_day=timezone.localdate(),
            last_day=timezone.localdate() + dt.timedelta(days=9),
        )
    client = clinic.client(clinic.front_desk)
    with django_assert_max_num_queries(QUERIES):
        client.get(reverse("appointments:waiting"))
    typed = wish(clinic, ten_oclock, ends_at=f"{timezone.localtime() + dt.timedelta(days=40):%Y-%m-%dT%H:%M}")
    with django_assert_max_num_queries(QUERIES):
        client.post(Absences, typed)
    done = client.post(Absences, {**typed, "confirm": "1"})
    with django_assert_max_num_queries(QUERIES):
        client.get(done.headers["Location"])


def _somebody(clinic: Clinic) -> Any:
    from tests.factories import PatientFactory

    return PatientFactory(tenant=clinic.tenant)


def test_the_rules_are_the_clinics_own(clinic: Clinic) -> None:
    client = clinic.client(clinic.admin)
    typed = {
        "no_show_hold_minutes": "180",
        "no_show_needs_ok": "on",
        "offer_hold_minutes": "45",
        "offers_at_once": "3",
        "offer_notice_minutes": "240",
        "offers_per_day": "1",
    }
    assert client.post(reverse("appointments:policy"), typed).status_code == 302
    own = policy.of(clinic.tenant.pk)
    assert (own.no_show_hold_minutes, own.no_show_needs_ok, own.offers_at_once) == (180, True, 3)
    refused = client.post(reverse("appointments:policy"), {**typed, "offers_at_once": "100"})
    assert refused.status_code == 422
    assert AuditEvent.objects.filter(action="visit_policy.set").count() == 1


def test_a_no_show_says_when_the_patient_hears_of_it_or_asks_whether_they_shall(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    first, second = book(clinic, ten_oclock), book(clinic, ten_oclock + dt.timedelta(hours=1))
    with time_machine.travel(ten_oclock + dt.timedelta(hours=2), tick=False):
        client = clinic.client(clinic.front_desk)
        services.appointment_no_show(appointment_id=first.pk, actor=clinic.front_desk)
        page = client.get(reverse("appointments:detail", args=[first.pk])).content.decode()
        assert "unless it is corrected" in page
        VisitPolicy.objects.create(tenant=clinic.tenant, no_show_needs_ok=True)
        services.appointment_no_show(appointment_id=second.pk, actor=clinic.front_desk)
        button = reverse("appointments:follow_up", args=[second.pk])
        assert button in client.get(reverse("appointments:detail", args=[second.pk])).content.decode()
        assert client.post(button).status_code == 302
        assert button not in client.get(reverse("appointments:detail", args=[second.pk])).content.decode()
