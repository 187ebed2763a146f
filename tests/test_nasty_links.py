"""Links in the wrong hands, at the wrong time, pressed twice, forged, and opened by machines."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from icalendar import Calendar

from appointments import services, tokens
from appointments.models import Appointment, AppointmentEvent, ConfirmationToken, FamilyNews
from appointments.reminders import family as together
from appointments.tests.test_booking import book
from appointments.tests.test_views_link import address, mark_of, press, status
from conftest import Clinic
from core.models import Location, Patient
from core.patients import guardians, numbers
from core.tenancy import tenant_scope
from notifications.models import Message, NotificationEvent
from tests import factories

pytestmark = pytest.mark.django_db
S = Appointment.Status


@pytest.fixture
def visit(clinic: Clinic, ten_oclock: dt.datetime) -> Appointment:
    return book(clinic, ten_oclock)


def child_with_parents(clinic: Clinic) -> Patient:
    child: Patient = factories.PatientFactory(
        tenant=clinic.tenant, name_en="Omar Al-Rashid", phone="", email="", birth_date=dt.date(2020, 1, 1)
    )
    for number, (kind, email) in enumerate((("MOTHER", "huda@mail.example"), ("FATHER", "faisal@mail.example"))):
        guardian = factories.GuardianFactory(tenant=clinic.tenant, phone=f"+96655111222{number}", email=email)
        factories.GuardianshipFactory(
            tenant=clinic.tenant, patient=child, guardian=guardian, kind=kind, is_primary=not number
        )
    return child


def state_of_everything(visit: Appointment) -> tuple[Any, ...]:
    visit.refresh_from_db()
    return (
        visit.status, visit.version, visit.starts_at,
        AppointmentEvent.objects.count(), NotificationEvent.objects.count(), Message.objects.count(),
        list(ConfirmationToken.objects.order_by("pk").values_list("pk", "code", "used_at", "revoked_at")),
    )  # fmt: skip


@pytest.mark.parametrize("method", ["get", "head", "options", "put", "patch", "delete", "trace"])
@pytest.mark.parametrize("tail", ["", "/times", "/appointment.ics"])
def test_no_method_but_a_pressed_form_changes_anything(visit: Appointment, method: str, tail: str) -> None:
    before, client = state_of_everything(visit), Client(headers={"Purpose": "prefetch", "Sec-Purpose": "prefetch"})
    mark = mark_of(client.get(address(visit)).content.decode())
    for query in ("", f"?answer=confirm&mark={mark}", f"?answer=cancel&mark={mark}", "?cancel"):
        response = getattr(client, method)(f"{address(visit)}{tail}{query}")
        assert response.status_code in (200, 405)
        if response.status_code == 200:
            assert response.headers["Cache-Control"] == "no-store"
            assert response.headers["Referrer-Policy"] == "no-referrer"
    assert state_of_everything(visit) == before


def test_two_parents_with_one_link_the_second_to_press_is_told_how_it_stands(clinic: Clinic, ten_oclock: Any) -> None:
    visit = book(clinic, ten_oclock, patient=child_with_parents(clinic))
    mother, father = Client(), Client()
    pages = {one: mark_of(one.get(address(visit)).content.decode()) for one in (mother, father)}
    assert mother.post(address(visit), {"answer": "confirm", "mark": pages[mother]}).status_code == 302
    # He has the page open since before, and calls off: who has confirmed may still call off.
    assert father.post(address(visit), {"answer": "cancel", "mark": pages[father]}).status_code == 302
    assert status(visit) == S.CANCELLED
    for one in (mother, father):
        late = one.post(address(visit), {"answer": "confirm", "mark": pages[one]})
        assert late.status_code == 410
        assert "cancelled" in late.content.decode() or "أُلغي" in late.content.decode()
    assert status(visit) == S.CANCELLED
    assert AppointmentEvent.objects.filter(appointment=visit, to_status=S.CANCELLED).count() == 1


def test_the_entry_that_is_fetched_by_link_holds_nobodys_address(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    """The link is passed on in the family: the father's calendar must not tell him the mother's address."""
    visit = book(clinic, ten_oclock, patient=child_with_parents(clinic))
    content = Client().get(f"{address(visit)}/appointment.ics").content
    for secret in (b"huda@", b"faisal@", b"mail.example"):
        assert secret not in content.replace(b"\r\n ", b"")
    [event] = Calendar.from_ical(content).walk("VEVENT")
    assert event["ATTENDEE"] == "invalid:nomail"


def test_the_page_of_a_childs_visit_leads_to_no_other_persons_wishes_than_its_own_readers(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    visit = book(clinic, ten_oclock, patient=child_with_parents(clinic))
    page = Client().get(f"{address(visit)}?lang=en").content.decode()
    for secret in ("Huda", "huda@", "faisal@", "+96655", "55 111"):
        assert secret not in page


@pytest.mark.parametrize("sensitive", ["first", "second"])
def test_the_page_of_one_child_tells_nothing_of_the_others_visit_at_a_sensitive_place(
    clinic: Clinic, ten_oclock: dt.datetime, sensitive: str
) -> None:
    child = child_with_parents(clinic)
    sister = factories.PatientFactory(
        tenant=clinic.tenant, name_en="Sara Al-Rashid", phone="", email="", birth_date=child.birth_date
    )
    for row in child.guardianships.all():
        factories.GuardianshipFactory(
            tenant=clinic.tenant, patient=sister, guardian=row.guardian, kind=row.kind, is_primary=row.is_primary
        )
    garden = factories.LocationFactory(
        tenant=clinic.tenant, name_en="Garden", is_sensitive=True, discreet_name_en="The Garden"
    )
    plain = book(clinic, ten_oclock, patient=child)
    quiet = book(clinic, ten_oclock + dt.timedelta(hours=1), patient=sister, location=garden, provider=clinic.colleague)
    together.record(FamilyNews.Kind.DAY_BEFORE, [plain, quiet] if sensitive == "second" else [quiet, plain])
    page = Client().get(f"{address(plain)}?lang=en").content.decode()
    assert "Omar" in page
    assert "11:00" not in page, "what is there stands behind the question"
    assert "Sara" not in page


def test_a_companion_is_shown_only_to_who_was_told_of_both(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    """The mother was told of both in one message; since then a father who speaks for one of them alone has the link too."""
    child = child_with_parents(clinic)
    mother = child.guardianships.get(is_primary=True).guardian
    half = factories.PatientFactory(
        tenant=clinic.tenant, name_en="Zayn Al-Harbi", phone="", email="", birth_date=child.birth_date
    )
    factories.GuardianshipFactory(tenant=clinic.tenant, patient=half, guardian=mother)
    shared = book(clinic, ten_oclock, patient=child)
    hers = book(clinic, ten_oclock + dt.timedelta(hours=1), patient=half, provider=clinic.colleague)
    together.record(FamilyNews.Kind.DAY_BEFORE, [shared, hers])
    page = Client().get(f"{address(shared)}?lang=en").content.decode()
    assert "Zayn" not in page
    assert address(hers) not in page


@pytest.mark.parametrize("what", ["moved", "cancelled", "began", "merged", "of another clinic", "tampered"])
def test_a_page_that_was_opened_before_presses_nothing_after(
    clinic: Clinic, other_clinic: Clinic, visit: Appointment, ten_oclock: dt.datetime, what: str
) -> None:
    client, link = Client(), address(visit)
    mark = mark_of(client.get(link).content.decode())
    expected = S.BOOKED
    if what == "moved":
        services.appointment_reschedule(
            appointment_id=visit.pk, actor=clinic.front_desk, starts_at=ten_oclock + dt.timedelta(hours=1), reason="x"
        )
        expected = S.RESCHEDULED
    elif what == "cancelled":
        services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")
        expected = S.CANCELLED
    elif what == "merged":
        from core import merging

        survivor = factories.PatientFactory(tenant=clinic.tenant)
        merging.patient_merge(actor=clinic.admin, survivor=survivor, merged=clinic.patient)
        assert client.post(link, {"answer": "confirm", "mark": mark}).status_code == 302
        visit.refresh_from_db()
        assert (visit.status, visit.patient) == (S.CONFIRMED, survivor), (
            "the visit is the survivor's, and so is the link"
        )
        return
    elif what == "of another clinic":
        with tenant_scope(other_clinic.tenant.pk):
            foreign = book(other_clinic, ten_oclock)
            theirs = address(foreign)
        assert client.post(theirs, {"answer": "cancel", "mark": mark}).status_code == 422
        with tenant_scope(other_clinic.tenant.pk):
            assert status(foreign) == S.BOOKED
    elif what == "tampered":
        for forged in ("", "x", mark[:-1], mark[::-1], mark.replace(":", "")):
            assert client.post(link, {"answer": "cancel", "mark": forged}).status_code == 422
        for code in (link[:-1], f"{link}x", link[:-1] + "ж", link + "%00", link.replace("/c/", "/c/..%2f")):
            assert client.post(code, {"answer": "cancel", "mark": mark}).status_code in (404, 410, 301)
    if what in ("moved", "cancelled"):
        assert client.post(link, {"answer": "confirm", "mark": mark}).status_code in (410, 422)
        assert client.post(link, {"answer": "cancel", "mark": mark}).status_code in (410, 422)
    if what == "began":
        with time_machine.travel(visit.starts_at, tick=False):
            fresh = mark_of(client.get(link).content.decode()) or mark
            for answer in ("confirm", "cancel"):
                assert client.post(link, {"answer": answer, "mark": fresh}).status_code in (410, 422)
            assert client.post(f"{link}/times", {"answer": "ask", "mark": fresh}).status_code in (410, 422)
    assert status(visit) == expected


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example"])
def test_no_query_leads_away_and_no_page_tells_the_address_it_came_from(visit: Appointment, wanted: str) -> None:
    client = Client()
    for query in (f"?next={wanted}", f"?lang={wanted}", f"?lang=en&next={wanted}"):
        response = press(client, f"{address(visit)}{query}", {"answer": "confirm", "next": wanted})
        assert "evil" not in response.headers.get("Location", "")
    page = client.get(address(visit))
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "http-equiv" not in page.content.decode()


def test_wrong_dates_are_counted_for_each_link_and_a_move_gives_no_fresh_tries_to_who_is_locked_out(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    Location.objects.update(is_sensitive=True, discreet_name_en="The Garden")
    visit = book(clinic, ten_oclock)
    client, link = Client(), address(visit)

    def guess(year: str, **more: str) -> int:
        mark = mark_of(client.get(link).content.decode())
        data = {"birth_day": "17", "birth_month": "5", "birth_year": year, "mark": mark, **more}
        return int(client.post(f"{link}?lang=en", data).status_code)

    for typed in ("١٩٨٠", "1401", "۱۹۸۲"):
        assert guess(typed) == 422
    for nonsense in ("abcd", "", "0000", "99999"):
        assert guess(nonsense) == 422
    row = ConfirmationToken.objects.get(appointment=visit)
    assert row.wrong_tries == 3, "what is no date is no try"
    # Another browser, another network: the same link.
    client = Client(REMOTE_ADDR="10.9.8.7")
    assert guess("1983") == 422
    assert guess("1984") == 403
    assert guess("1990") == 403, "the right one comes too late"
    for tail in ("", "/times", "/appointment.ics"):
        assert b"Sara" not in client.get(f"{link}{tail}").content
    # The code of the same version is written anew, as for another message: still locked.
    visit.refresh_from_db()
    link = tokens.address(tokens.issue(visit)).split("//", 1)[1].partition("/")[2]
    link = f"/{link}"
    assert guess("1990") == 403


def test_a_link_is_found_by_its_code_only_and_never_by_ids(clinic: Clinic, visit: Appointment) -> None:
    token = ConfirmationToken.objects.get(appointment=visit)
    for wrong in (
        str(visit.pk),
        str(token.pk),
        visit.number,
        token.code[:-1] + ("2" if token.code[-1] != "2" else "3"),
    ):
        assert Client().get(reverse("appointments:link", args=[wrong])).status_code == 404


# --- links that lie on a phone in the wrong hands --------------------------------------------------------------------


@pytest.mark.parametrize("how", ["blocked", "removed", "wrong number"])
def test_the_link_on_the_phone_of_who_must_not_know_any_more_is_dead_and_the_next_message_brings_another(
    clinic: Clinic, ten_oclock: dt.datetime, how: str
) -> None:
    """It tells a stranger to the family when and where the child will be, and lets them call it off."""
    visit = book(clinic, ten_oclock, patient=child_with_parents(clinic))
    begun = book(clinic, ten_oclock + dt.timedelta(hours=2), patient=visit.patient)
    services.appointment_cancel(appointment_id=begun.pk, actor=clinic.front_desk, reason="x")
    old, cancelled, client = address(visit), address(begun), Client()
    mark = mark_of(client.get(old).content.decode())
    father = visit.patient.guardianships.get(is_primary=False)
    {
        "blocked": lambda: guardians.guardian_block(
            actor=clinic.admin, guardianship_id=father.pk, reason="court order"
        ),
        "removed": lambda: guardians.guardian_remove(actor=clinic.admin, guardianship_id=father.pk),
        "wrong number": lambda: numbers.number_is_wrong(actor=clinic.admin, phone=father.guardian.phone),
    }[how]()
    for tail in ("", "/times", "/appointment.ics"):
        page = client.get(f"{old}{tail}")
        assert page.status_code == 404
        assert "Omar" not in page.content.decode()
    assert client.post(old, {"answer": "cancel", "mark": mark}).status_code == 404
    assert status(visit) == S.BOOKED
    new = tokens.link_for(visit).rpartition("/")[2]
    assert new not in old
    assert press(client, f"/c/{new}", {"answer": "confirm"}).status_code == 302
    assert status(visit) == S.CONFIRMED
    assert client.get(cancelled).status_code == 410, "of what is over nothing need change"


@pytest.mark.parametrize("change", [{"is_restricted": True}, {"deceased_at": dt.date(2026, 1, 1)}])
def test_of_a_file_that_is_closed_to_everybody_no_link_opens_anything(
    clinic: Clinic, visit: Appointment, change: dict[str, object]
) -> None:
    client, link = Client(), address(visit)
    mark = mark_of(client.get(link).content.decode())
    Patient.objects.filter(pk=clinic.patient.pk).update(**change)
    for tail in ("", "/times", "/appointment.ics"):
        page = client.get(f"{link}{tail}")
        assert page.status_code == 404
        assert "Sara" not in page.content.decode()
    for answer in ("confirm", "cancel"):
        assert client.post(link, {"answer": answer, "mark": mark}).status_code == 404
    assert status(visit) == S.BOOKED
