"""The patients' pages of an offered time, a series and a wish for a new time: GET shows, a pressed form acts, once."""

from __future__ import annotations

import datetime as dt
import re
import uuid

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from appointments import absences, free_slots, rebooking, series, services, waiting
from appointments.models import Appointment, RebookLink, SlotOffer
from appointments.tests.test_booking import book
from conftest import Clinic
from core.models import Location
from notifications.models import DeskTask
from tests.factories import PatientFactory

pytestmark = pytest.mark.django_db


def mark_of(response: HttpResponse) -> str:
    found = re.search(r'name="mark" value="([^"]+)"', response.content.decode())
    assert found is not None
    return found.group(1)


def press(address: str, **answer: object) -> HttpResponse:
    client = Client()
    mark = mark_of(client.get(address))
    return client.post(f"{address}?lang=en", {"mark": mark, **answer}, follow=True)


@pytest.fixture
def offered(clinic: Clinic, ten_oclock: dt.datetime) -> SlotOffer:
    person = PatientFactory(tenant=clinic.tenant)
    day = timezone.localdate()
    waiting.entry_add(
        actor=clinic.front_desk,
        patient=person,
        department=clinic.department,
        first_day=day,
        last_day=day + dt.timedelta(days=30),
    )
    visit = book(clinic, ten_oclock)
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")
    free_slots.tend()
    return SlotOffer.objects.get()


def test_looking_at_an_offer_changes_nothing_and_pressing_takes_it(offered: SlotOffer, ten_oclock: dt.datetime) -> None:
    address = reverse("appointments:offer", args=[offered.code])
    client = Client()
    for method in (client.get, client.head, client.post):
        method(address, {"answer": "accept"})
    offered.refresh_from_db()
    assert offered.state == "OPEN"
    page = client.get(f"{address}?lang=en").content.decode()
    assert "10:00" in page
    taken = press(address, answer="accept")
    assert "The time is yours" in taken.content.decode()
    assert Appointment.objects.filter(patient=offered.entry.patient, starts_at=ten_oclock).count() == 1
    assert taken.headers["Referrer-Policy"] == "no-referrer"


def test_who_comes_second_reads_that_it_is_gone(clinic: Clinic, offered: SlotOffer, ten_oclock: dt.datetime) -> None:
    address = reverse("appointments:offer", args=[offered.code])
    client = Client()
    mark = mark_of(client.get(address))
    book(clinic, ten_oclock)
    client.post(address, {"mark": mark, "answer": "accept"})
    offered.slot.due_at = timezone.now()
    offered.slot.save()
    free_slots.tend()
    gone = client.get(f"{address}?lang=en")
    assert gone.status_code == 410
    assert "no longer available" in gone.content.decode()


def test_leaving_the_list_by_the_link(offered: SlotOffer) -> None:
    page = press(reverse("appointments:offer", args=[offered.code]), answer="leave")
    assert "no longer on our list" in page.content.decode()
    offered.entry.refresh_from_db()
    assert offered.entry.state == "ENDED"


def test_a_sensitive_place_is_not_named_in_an_offer(offered: SlotOffer) -> None:
    Location.objects.update(is_sensitive=True)
    page = Client().get(f"{reverse('appointments:offer', args=[offered.code])}?lang=en").content.decode()
    for word in ("Olaya", "Noor", "Layla"):
        assert word not in page


def test_a_series_shows_all_its_dates_with_their_links(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    row = series.series_book(
        actor=clinic.front_desk,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=ten_oclock,
        duration=dt.timedelta(minutes=30),
        count=4,
    )
    address = reverse("appointments:series_link", args=[row.code])
    page = Client().get(f"{address}?lang=en").content.decode()
    assert page.count("10:00") == 4
    for visit in row.visits.all():
        assert visit.tokens.get().code in page
    Location.objects.update(is_sensitive=True)
    led = Client().get(address)
    assert led.status_code == 302
    assert row.visits.order_by("starts_at")[0].tokens.get().code in led.headers["Location"]


@pytest.fixture
def again(clinic: Clinic, ten_oclock: dt.datetime) -> RebookLink:
    visit = book(clinic, ten_oclock)
    absences.call_off(
        actor=clinic.front_desk,
        provider=clinic.provider,
        starts_at=ten_oclock,
        ends_at=ten_oclock + dt.timedelta(hours=8),
        reason="ill",
        key=uuid.uuid4(),
    )
    visit.refresh_from_db()
    rebooking.link_for(visit)
    return RebookLink.objects.get()


def test_a_wish_for_a_new_time_stands_in_the_desks_task_once(again: RebookLink) -> None:
    address = reverse("appointments:again", args=[again.code])
    assert Client().post(address, {"parts": ["morning"]}).status_code == 422
    page = press(address, parts=["morning"], weekdays=["0", "6"])
    assert "We will find you a new time" in page.content.decode()
    [task] = DeskTask.objects.filter(kind="REBOOK", state="OPEN")
    assert task.details["wish"] == {"parts": ["morning"], "weekdays": [0, 6]}
    assert 'name="mark"' not in Client().get(address).content.decode()


def test_who_was_booked_anew_need_not_ask(clinic: Clinic, again: RebookLink, ten_oclock: dt.datetime) -> None:
    book(clinic, ten_oclock + dt.timedelta(days=1), replaces=again.appointment)
    assert not DeskTask.objects.filter(kind="REBOOK", state="OPEN").exists()
    assert Client().get(reverse("appointments:again", args=[again.code])).status_code == 410


def test_unknown_codes_are_404(clinic: Clinic) -> None:
    for name in ("offer", "series_link", "again"):
        assert Client().get(reverse(f"appointments:{name}", args=["nothing"])).status_code == 404
