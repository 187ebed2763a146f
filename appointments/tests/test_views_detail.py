"""One visit and its moves: who may, what is shown, and what a refusal looks like."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from appointments import services
from appointments.links import appointment_address
from appointments.models import Appointment, Reminder
from appointments.states import Verb
from appointments.views.verbs import MOVES
from conftest import Clinic
from core.models import ConsentVerification
from notifications.models import Message, NotificationEvent
from tests import factories

pytestmark = pytest.mark.django_db

S = Appointment.Status


@pytest.fixture
def visit(clinic: Clinic, ten_oclock: dt.datetime) -> Appointment:
    return services.appointment_book(
        actor=clinic.front_desk,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=ten_oclock,
        duration=dt.timedelta(minutes=30),
        notes="Needs a ramp",
    )


def page_of(visit: Appointment) -> str:
    return reverse("appointments:detail", args=[visit.pk])


def move(visit: Appointment, verb: str) -> str:
    return reverse("appointments:action", args=[visit.pk, verb])


def status(visit: Appointment) -> str:
    visit.refresh_from_db()
    return visit.status


def message(visit: Appointment, **fields: object) -> Message:
    values = {
        "tenant": visit.tenant,
        "patient": visit.patient,
        "notification_type": "CONFIRMATION",
        "channel": "SMS",
        "recipient": visit.patient.phone,
        "language": "ar",
        "object_type": "appointments.appointment",
        "object_id": visit.pk,
        "status": "DELIVERED",
        "dedupe_key": uuid.uuid4().hex,
        **fields,
    }
    return Message.objects.create(**values)


def test_every_verb_of_the_state_machine_has_its_words() -> None:
    assert set(MOVES) == {verb.value for verb in Verb}


# --- who enters ------------------------------------------------------------------------------------------------------


def all_addresses(visit: Appointment) -> list[str]:
    names = ("detail", "checks", "messages", "consent", "results_ready")
    return [reverse(f"appointments:{name}", args=[visit.pk]) for name in names] + [move(visit, verb) for verb in MOVES]


def test_strangers_and_patients_stay_outside(clinic: Clinic, visit: Appointment) -> None:
    patient = clinic.client(clinic.patient_user)
    for address in all_addresses(visit):
        for method in ("get", "post"):
            assert getattr(Client(), method)(address).status_code == 302
            assert getattr(patient, method)(address).status_code == 403
    assert status(visit) == S.BOOKED


def test_an_outsider_does_not_even_learn_that_it_exists(
    clinic: Clinic, other_clinic: Clinic, visit: Appointment
) -> None:
    for person in (other_clinic.front_desk, other_clinic.admin, other_clinic.provider):
        client = other_clinic.client(person)
        for address in all_addresses(visit):
            statuses = {client.get(address).status_code, client.post(address, {"reason": "x"}).status_code}
            assert statuses <= {404, 403, 405}
            assert 404 in statuses or 403 in statuses
        assert client.get(page_of(visit)).status_code == 404
    assert status(visit) == S.BOOKED


def test_another_provider_does_not_find_it(clinic: Clinic, visit: Appointment) -> None:
    client = clinic.client(clinic.colleague)
    assert client.get(page_of(visit)).status_code == 404
    assert client.post(move(visit, "start")).status_code == 404
    assert client.get(reverse("appointments:checks", args=[visit.pk])).status_code == 404


def test_the_provider_sees_no_money_no_messages_and_no_desk_buttons(clinic: Clinic, visit: Appointment) -> None:
    message(visit)
    page = clinic.client(clinic.provider).get(page_of(visit)).content.decode()
    assert "Sara Al-Mutairi" in page
    assert "Consent" in page
    for forbidden in (
        reverse("finance:invoice_create"),
        "/notifications/messages/",
        move(visit, "confirm"),
        move(visit, "cancel"),
        clinic.patient.phone,
        "/c/",
    ):
        assert forbidden not in page


def test_the_provider_may_not_do_the_desks_moves(clinic: Clinic, visit: Appointment) -> None:
    client = clinic.client(clinic.provider)
    assert client.post(move(visit, "confirm")).status_code == 403
    assert client.post(move(visit, "cancel"), {"reason": "x", "by": "CLINIC"}).status_code == 403
    assert client.post(reverse("appointments:consent", args=[visit.pk])).status_code == 403
    assert status(visit) == S.BOOKED


def test_the_desk_may_not_treat_and_an_unknown_verb_is_not_found(clinic: Clinic, visit: Appointment) -> None:
    services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk)
    client = clinic.client(clinic.front_desk)
    assert client.post(move(visit, "start")).status_code == 403
    assert client.post(move(visit, "explode")).status_code == 404
    assert status(visit) == S.ARRIVED


def test_a_post_without_the_token_is_refused(clinic: Clinic, visit: Appointment) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(clinic.front_desk, backend="core.auth.AccountBackend")
    assert client.post(move(visit, "confirm")).status_code == 403
    assert status(visit) == S.BOOKED


# --- the page --------------------------------------------------------------------------------------------------------


def test_the_page_holds_the_facts(clinic: Clinic, visit: Appointment) -> None:
    page = clinic.client(clinic.front_desk).get(page_of(visit)).content.decode()
    for text in (
        visit.number,
        "Sara Al-Mutairi",
        clinic.patient.mrn,
        "Dr. Layla",
        "Family Medicine",
        "Olaya Branch",
        f"{clinic.patient.mrn}-{clinic.department.code}",
        "Needs a ramp",
        "10:00–10:30",
        "24 hours before",
        "2 hours before",
        visit.tokens.get().code,
    ):
        assert text in page
    assert "style=" not in page


def test_messages_show_their_state_and_refusals_their_reason(clinic: Clinic, visit: Appointment) -> None:
    sent = message(visit)
    refused = message(visit, channel="EMAIL", recipient="", status="SUPPRESSED", reason="no_contact")
    message(visit, object_id=uuid.uuid4(), status="BOUNCED")
    page = clinic.client(clinic.front_desk).get(page_of(visit)).content.decode()
    assert reverse("notifications:message_detail", args=[sent.pk]) in page
    assert reverse("notifications:message_detail", args=[refused.pk]) in page
    assert "Delivered" in page
    assert "No phone number or email for this channel" in page
    assert "Bounced" not in page


def test_the_messages_card_asks_again_only_while_something_moves(clinic: Clinic, visit: Appointment) -> None:
    client = clinic.client(clinic.front_desk)
    card = reverse("appointments:messages", args=[visit.pk])
    assert "every 2s" in client.get(card).content.decode()
    Appointment.objects.update(updated_at=visit.updated_at - dt.timedelta(minutes=2))
    assert "every 2s" not in client.get(card).content.decode()
    moving = message(visit, status="SENDING")
    assert "every 2s" in client.get(card).content.decode()
    Message.objects.filter(pk=moving.pk).update(created_at=visit.updated_at - dt.timedelta(hours=1))
    assert "every 2s" not in client.get(card).content.decode()


def test_the_page_makes_at_most_twelve_queries(
    clinic: Clinic, visit: Appointment, django_assert_max_num_queries: object
) -> None:
    for number in range(6):
        message(visit, status="SUPPRESSED" if number % 2 else "READ", reason="no_contact" if number % 2 else "")
    for days in range(1, 4):
        services.appointment_reschedule(
            appointment_id=visit.pk, actor=clinic.front_desk, starts_at=visit.starts_at + dt.timedelta(days=days)
        )
    for person in (clinic.front_desk, clinic.admin, clinic.provider):
        client = clinic.client(person)
        with django_assert_max_num_queries(12):
            assert client.get(page_of(visit)).status_code == 200


def test_old_reminders_stay_with_their_reason(clinic: Clinic, visit: Appointment) -> None:
    services.appointment_reschedule(
        appointment_id=visit.pk,
        actor=clinic.front_desk,
        starts_at=visit.starts_at + dt.timedelta(days=1),
        reason="Provider at a congress",
    )
    page = clinic.client(clinic.front_desk).get(page_of(visit)).content.decode()
    assert Reminder.objects.filter(appointment=visit).count() == 4
    assert "The appointment has changed since" in page
    assert "Provider at a congress" in page
    assert "Moved to another time" in page


# --- the moves -------------------------------------------------------------------------------------------------------


def test_looking_at_a_move_does_not_make_it(clinic: Clinic, visit: Appointment) -> None:
    client = clinic.client(clinic.front_desk)
    for verb in ("confirm", "reschedule", "arrive", "cancel"):
        response = client.get(move(visit, verb))
        assert response.status_code == 200
        assert 'name="csrfmiddlewaretoken"' in response.content.decode()
    assert status(visit) == S.BOOKED


def test_the_buttons_are_the_legal_moves(clinic: Clinic, visit: Appointment) -> None:
    client = clinic.client(clinic.front_desk)
    page = client.get(page_of(visit)).content.decode()
    for verb in ("confirm", "reschedule", "arrive", "cancel"):
        assert f'"{move(visit, verb)}"' in page
    for verb in ("unconfirm", "start", "complete", "no_show", "reinstate", "void", "undo_arrival"):
        assert f'"{move(visit, verb)}"' not in page
    assert f'"{move(visit, "void")}"' in clinic.client(clinic.admin).get(page_of(visit)).content.decode()


def test_the_whole_way_by_hand(clinic: Clinic, visit: Appointment) -> None:
    desk, provider, admin = (clinic.client(who) for who in (clinic.front_desk, clinic.provider, clinic.admin))
    new = visit.local_start + dt.timedelta(days=1)

    def does(client: Client, verb: str, expected: str, **data: object) -> None:
        response = client.post(move(visit, verb), data)
        assert response.status_code == 302, response.context["form"].errors
        assert response["Location"] == page_of(visit)
        assert status(visit) == expected

    does(desk, "confirm", S.CONFIRMED)
    does(desk, "unconfirm", S.BOOKED, reason="Called back")
    moved = {"date": new.date().isoformat(), "time": "11:15", "duration": "45", "provider": clinic.colleague.pk}
    does(desk, "reschedule", S.RESCHEDULED, reason="Congress", **moved)
    assert visit.provider == clinic.colleague
    assert visit.local_start.strftime("%H:%M") == "11:15"
    assert visit.ends_at - visit.starts_at == dt.timedelta(minutes=45)
    does(desk, "reschedule", S.RESCHEDULED, **{**moved, "provider": clinic.provider.pk})
    does(desk, "cancel", S.CANCELLED, reason="Strike", by="CLINIC")
    does(desk, "reinstate", S.BOOKED)
    does(desk, "arrive", S.ARRIVED)
    does(desk, "undo_arrival", S.BOOKED)
    does(desk, "arrive", S.ARRIVED)
    does(provider, "start", S.IN_PROGRESS)
    does(provider, "complete", S.COMPLETED, next_steps="Rest")
    does(admin, "reopen", S.IN_PROGRESS, reason="Too early")
    does(provider, "complete", S.COMPLETED)
    does(admin, "void", S.ENTERED_IN_ERROR, reason="Wrong patient")


def test_a_no_show_and_its_correction(clinic: Clinic, visit: Appointment) -> None:
    client = clinic.client(clinic.front_desk)
    response = client.post(move(visit, "no_show"))
    assert response.status_code == 422
    assert "at the earliest" in response.content.decode()
    with time_machine.travel(visit.starts_at + dt.timedelta(minutes=30), tick=True):
        client = clinic.client(clinic.front_desk)
        assert client.post(move(visit, "no_show")).status_code == 302
        assert status(visit) == S.NO_SHOW
        response = client.post(move(visit, "correct_no_show"), {"to": "COMPLETED", "reason": "Wrong line"})
        assert response.status_code == 302
        assert status(visit) == S.COMPLETED


def test_the_patients_wish_is_kept_as_such(clinic: Clinic, visit: Appointment) -> None:
    client = clinic.client(clinic.front_desk)
    client.post(move(visit, "cancel"), {"reason": "Called in", "by": "PATIENT"})
    assert status(visit) == S.CANCELLED
    assert visit.cancelled_by == "PATIENT"
    assert "as the patient asked" in client.get(page_of(visit)).content.decode()


@pytest.mark.parametrize("verb", ["cancel", "unconfirm", "void"])
def test_a_missing_reason_is_asked_for(clinic: Clinic, visit: Appointment, verb: str) -> None:
    services.appointment_confirm(appointment_id=visit.pk, actor=clinic.front_desk)
    response = clinic.client(clinic.admin).post(move(visit, verb), {"by": "CLINIC", "reason": "  "})
    assert response.status_code == 422
    assert "Please give a reason" in str(response.context["form"].errors["reason"])
    assert status(visit) == S.CONFIRMED


def test_a_refused_reschedule_keeps_what_was_typed(clinic: Clinic, visit: Appointment) -> None:
    client = clinic.client(clinic.front_desk)
    local = visit.local_start
    same = {
        "date": local.date().isoformat(),
        "time": local.strftime("%H:%M"),
        "duration": "30",
        "provider": clinic.provider.pk,
        "reason": "Just because",
    }
    response = client.post(move(visit, "reschedule"), same)
    assert response.status_code == 422
    assert "Nothing has changed" in str(response.context["form"].errors["time"])
    assert "Just because" in response.content.decode()
    past = client.post(move(visit, "reschedule"), {**same, "date": "2020-01-01"})
    assert "in the past" in str(past.context["form"].errors["time"])
    assert status(visit) == S.BOOKED


def test_a_move_that_came_too_late_is_told_on_the_page_as_it_is_now(clinic: Clinic, visit: Appointment) -> None:
    client = clinic.client(clinic.front_desk)
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.admin, reason="Strike")
    response = client.post(move(visit, "confirm"))
    assert response.status_code == 422
    page = response.content.decode()
    assert "cannot become" in page
    assert "Cancelled" in page
    late = client.post(move(visit, "unconfirm"), {"reason": "x"})
    assert late.status_code == 422
    assert "cannot become" in late.content.decode()
    looked = client.get(move(visit, "confirm"))
    assert looked.status_code == 422
    assert "not possible" in looked.content.decode()


def test_pressing_a_button_twice_is_one_move(clinic: Clinic, visit: Appointment) -> None:
    client = clinic.client(clinic.front_desk)
    assert client.post(move(visit, "confirm")).status_code == 302
    assert client.post(move(visit, "confirm")).status_code == 302
    assert visit.events.filter(to_status=S.CONFIRMED).count() == 1


def test_results_are_announced_once_and_only_after_the_visit(clinic: Clinic, visit: Appointment) -> None:
    address = reverse("appointments:results_ready", args=[visit.pk])
    desk = clinic.client(clinic.front_desk)
    assert desk.get(address).status_code == 405
    refused = desk.post(address)
    assert refused.status_code == 422
    assert "only after the visit" in refused.content.decode()
    services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk)
    services.appointment_start(appointment_id=visit.pk, actor=clinic.provider)
    assert address in desk.get(page_of(visit)).content.decode()
    for client in (desk, clinic.client(clinic.provider)):
        assert client.post(address).status_code == 302
    assert NotificationEvent.objects.filter(key="results.ready").count() == 1


def test_the_consent_check_clears_the_arrival(clinic: Clinic, visit: Appointment) -> None:
    client = clinic.client(clinic.front_desk)
    address = reverse("appointments:consent", args=[visit.pk])
    assert "missing" in client.get(page_of(visit)).content.decode()
    assert client.get(address).status_code == 200
    assert client.post(address, {"status": "NONSENSE"}).status_code == 422
    past = client.post(address, {"status": "VERIFIED", "valid_until": "2020-01-01"})
    assert past.status_code == 422
    assert "valid_until" in past.context["form"].errors
    assert client.post(address, {"status": "VERIFIED"}).status_code == 302
    assert "verified" in client.get(page_of(visit)).content.decode()
    noted = ConsentVerification.objects.get()
    assert noted.verified_by == clinic.front_desk


def test_the_reschedule_page_of_an_unusual_length_offers_it(clinic: Clinic, visit: Appointment) -> None:
    visit.ends_at = visit.starts_at + dt.timedelta(minutes=25)
    visit.save()
    page = clinic.client(clinic.front_desk).get(move(visit, "reschedule")).content.decode()
    assert '<option value="25" selected>' in page


def test_a_notification_leads_here_for_staff_and_home_for_the_patient(
    clinic: Clinic, other_clinic: Clinic, visit: Appointment
) -> None:
    assert appointment_address(clinic.front_desk, visit.pk) == page_of(visit)
    assert appointment_address(clinic.provider, visit.pk) == page_of(visit)
    assert appointment_address(clinic.colleague, visit.pk) is None
    assert appointment_address(clinic.patient_user, visit.pk) == reverse("core:home")
    assert appointment_address(clinic.front_desk, uuid.uuid4()) is None


def test_a_visit_without_history_still_has_its_page(clinic: Clinic) -> None:
    bare = factories.AppointmentFactory(
        tenant=clinic.tenant,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
    )
    bare.events.all().delete()
    assert clinic.client(clinic.front_desk).get(page_of(bare)).status_code == 200
