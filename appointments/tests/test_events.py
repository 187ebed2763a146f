"""The lifecycle table as data, and how each event reads its visit at fan-out and again at send."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
import time_machine
from django.utils import timezone

from appointments import services, tokens
from appointments.arrival_card import describe_checks
from appointments.events import ENTRIES
from appointments.models import Appointment, ConfirmationToken
from appointments.tests.test_booking import book
from conftest import Clinic
from core.arrival import Check
from core.consent import consent_verify
from core.models import Role, SubFile
from finance.services import invoice_issue, payment_record
from notifications import address, registry, rendering
from notifications.models import NotificationEvent
from notifications.registry import Audience, Slot, Subject
from notifications.rendering import Link, LocalDate, LocalTime
from notifications.states import NotificationType, Reason
from tests.factories import GuardianFactory, GuardianshipFactory, UserFactory

S = Appointment.Status
P, PROVIDER, DESK = Audience.PATIENT, Audience.PROVIDER, Audience.FRONT_DESK
BELL, MAIL, MOBILE, PREFERRED = Slot.IN_APP, Slot.EMAIL, Slot.MOBILE, Slot.PREFERRED

# The contract's table: event → who is told over which slots.
LIFECYCLE = {
    "appointment.new": {PROVIDER: {BELL, MAIL}},
    "appointment.booked": {P: {MOBILE}},
    "appointment.confirmed": {P: {MOBILE, MAIL, BELL}},
    "appointment.confirmed_by_patient": {DESK: {BELL}},
    "appointment.rescheduled": {P: {MOBILE, MAIL, BELL}, PROVIDER: {MAIL, BELL}, DESK: {BELL}},
    "appointment.arrived": {PROVIDER: {BELL}},
    "appointment.in_progress": {},
    "appointment.completed": {P: {MAIL}},
    "appointment.cancelled": {P: {MOBILE, MAIL, BELL}, PROVIDER: {MAIL, BELL}, DESK: {BELL}},
    # Beside the table: silent, but what a letter put into a calendar only a letter takes out.
    "appointment.entered_in_error": {P: {MAIL}},
    "appointment.no_show": {P: {MAIL, BELL}, PROVIDER: {MAIL, BELL}},
    "appointment.reminder_3d": {P: {PREFERRED}},
    "appointment.reminder_24h": {P: {PREFERRED}},
    "appointment.reminder_2h": {P: {PREFERRED}},
    "results.ready": {P: {PREFERRED, BELL}},
}
KINDS = {
    "appointment.booked": NotificationType.CONFIRMATION,
    "appointment.confirmed": NotificationType.CONFIRMATION,
    "appointment.rescheduled": NotificationType.CHANGE,
    "appointment.cancelled": NotificationType.CHANGE,
    "appointment.entered_in_error": NotificationType.CHANGE,
    "appointment.reminder_24h": NotificationType.REMINDER,
    "appointment.reminder_2h": NotificationType.REMINDER,
    "results.ready": NotificationType.RESULTS,
}


def test_the_registry_is_the_contracts_table() -> None:
    table = {entry.key: {d.audience: set(d.slots) for d in entry.deliveries} for entry in ENTRIES}
    assert table == LIFECYCLE


@pytest.mark.parametrize(("key", "kind"), KINDS.items())
def test_the_patient_can_switch_off_the_right_kind(key: str, kind: NotificationType) -> None:
    assert registry.get(key).notification_type == kind


def latest(key: str) -> NotificationEvent:
    return NotificationEvent.objects.filter(key=key).latest("created_at")


def subject(key: str) -> Subject:
    event = latest(key)
    return registry.get(key).describe(event)


@pytest.fixture
def visit(clinic: Clinic, ten_oclock: dt.datetime) -> Appointment:
    return book(clinic, ten_oclock)


Walk = Callable[[Clinic, Appointment], object]
WALKS: dict[str, Walk] = {
    "appointment.new": lambda clinic, visit: None,
    "appointment.booked": lambda clinic, visit: None,
    "appointment.confirmed": lambda clinic, visit: services.appointment_confirm(
        appointment_id=visit.pk, actor=clinic.front_desk
    ),
    "appointment.confirmed_by_patient": lambda clinic, visit: tokens.confirm_by_link(
        ConfirmationToken.objects.get(appointment=visit).code
    ),
    "appointment.rescheduled": lambda clinic, visit: services.appointment_reschedule(
        appointment_id=visit.pk, actor=clinic.front_desk, starts_at=visit.starts_at + dt.timedelta(hours=1)
    ),
    "appointment.arrived": lambda clinic, visit: services.appointment_arrive(
        appointment_id=visit.pk, actor=clinic.front_desk
    ),
    "appointment.in_progress": lambda clinic, visit: [
        services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk),
        services.appointment_start(appointment_id=visit.pk, actor=clinic.provider),
    ],
    "appointment.completed": lambda clinic, visit: [
        services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk),
        services.appointment_start(appointment_id=visit.pk, actor=clinic.provider),
        services.appointment_complete(appointment_id=visit.pk, actor=clinic.provider),
    ],
    "appointment.cancelled": lambda clinic, visit: services.appointment_cancel(
        appointment_id=visit.pk, actor=clinic.front_desk, reason="flood"
    ),
    "results.ready": lambda clinic, visit: [
        Appointment.objects.filter(pk=visit.pk).update(status=S.COMPLETED),
        services.appointment_tell_results_ready(appointment_id=visit.pk, actor=clinic.provider),
    ],
}


@pytest.mark.parametrize("key", WALKS)
def test_what_a_visit_offers_is_what_the_example_promises(clinic: Clinic, visit: Appointment, key: str) -> None:
    """An admin may use every placeholder of the example; none may be missing when it counts."""
    WALKS[key](clinic, visit)
    entry, read = registry.get(key), subject(key)
    values = offered(read)
    assert set(values) == set(entry.example)
    assert read.refusal is None
    for delivery in entry.deliveries:
        for words in delivery.words:
            for language, text in (("en", words.body_en), ("ar", words.body_ar)):
                assert rendering.render(text, values, values, language)


def offered(read: Subject) -> dict[str, object]:
    """What the event knows, and what the sender adds to every patient's message."""
    return {**read.context, **(address.values_for(read.patient) if read.patient is not None else {})}


def test_a_no_show_offers_what_its_example_promises(clinic: Clinic, visit: Appointment) -> None:
    with time_machine.travel(visit.starts_at + dt.timedelta(minutes=15), tick=False):
        services.appointment_no_show(appointment_id=visit.pk, actor=clinic.front_desk)
        # The patient's part, which waits; the provider's is told at once.
        waiting = NotificationEvent.objects.exclude(due_at=None).get(key="appointment.no_show")
        read = registry.get("appointment.no_show").describe(waiting)
        assert set(offered(read)) == set(registry.get("appointment.no_show").example)
        assert read.refusal is None
        assert read.useful_until == timezone.now() + dt.timedelta(hours=2, days=3), "days from when it is told"
        assert read.users[PROVIDER] == [clinic.provider]


def test_time_and_day_are_those_of_the_location(clinic: Clinic) -> None:
    clinic.location.timezone = "Europe/London"
    clinic.location.save()
    # Half past midnight in Riyadh is half past nine in the evening before in London.
    start = timezone.now().replace(hour=21, minute=30, second=0, microsecond=0) + dt.timedelta(days=40)
    book(clinic, start)
    context = subject("appointment.booked").context
    local = timezone.localtime(start, clinic.location.zone)
    assert (context["date"], context["time"]) == (LocalDate(local.date()), LocalTime(local.time()))


def test_a_child_is_spoken_of_and_the_guardian_is_spoken_to(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    clinic.patient.birth_date = timezone.localdate() - dt.timedelta(days=5 * 366)
    clinic.patient.save()
    mother = GuardianFactory(tenant=clinic.tenant)
    GuardianshipFactory(tenant=clinic.tenant, patient=clinic.patient, guardian=mother)
    book(clinic, ten_oclock)
    context = subject("appointment.booked").context
    assert context["patient_name"].name_in("ar") == clinic.patient.name_ar
    assert context["recipient_name"].name_in("ar") == mother.name_ar


def test_deadlines(clinic: Clinic, visit: Appointment) -> None:
    start = visit.starts_at
    assert subject("appointment.new").useful_until == start
    assert subject("appointment.booked").useful_until == start
    with time_machine.travel(start - dt.timedelta(hours=2), tick=False):
        from appointments.reminders import send_due_reminders

        send_due_reminders()
        assert subject("appointment.reminder_2h").useful_until == start - dt.timedelta(minutes=15)
    WALKS["appointment.confirmed"](clinic, visit)
    assert subject("appointment.confirmed").useful_until == start
    WALKS["appointment.completed"](clinic, visit)
    assert subject("appointment.arrived").useful_until is None
    done = latest("appointment.completed").created_at
    assert subject("appointment.completed").useful_until == done + dt.timedelta(days=3)


# --- the look at send time ------------------------------------------------------------------------------------------


def test_a_moved_visit_makes_the_old_news_stale(clinic: Clinic, visit: Appointment) -> None:
    WALKS["appointment.confirmed"](clinic, visit)
    WALKS["appointment.rescheduled"](clinic, visit)
    for key in ("appointment.new", "appointment.booked", "appointment.confirmed"):
        assert subject(key).refusal is Reason.STALE_VERSION
    assert subject("appointment.rescheduled").refusal is None


def test_who_has_confirmed_is_not_asked_to(clinic: Clinic, visit: Appointment) -> None:
    WALKS["appointment.confirmed"](clinic, visit)
    assert subject("appointment.booked").refusal is Reason.STATUS_NOT_ELIGIBLE


@pytest.mark.parametrize("key", ["appointment.new", "appointment.booked", "appointment.confirmed"])
def test_a_cancelled_visit_is_no_longer_announced(clinic: Clinic, visit: Appointment, key: str) -> None:
    WALKS["appointment.confirmed"](clinic, visit)
    WALKS["appointment.cancelled"](clinic, visit)
    assert subject(key).refusal is Reason.STATUS_NOT_ELIGIBLE
    assert subject("appointment.cancelled").refusal is None


def test_a_reinstated_visit_is_no_longer_cancelled(clinic: Clinic, visit: Appointment) -> None:
    WALKS["appointment.cancelled"](clinic, visit)
    services.appointment_reinstate(appointment_id=visit.pk, actor=clinic.front_desk)
    assert subject("appointment.cancelled").refusal is Reason.STALE_VERSION
    assert subject("appointment.booked").refusal is None


def test_a_withdrawn_arrival_is_no_alert(clinic: Clinic, visit: Appointment) -> None:
    WALKS["appointment.arrived"](clinic, visit)
    services.appointment_undo_arrival(appointment_id=visit.pk, actor=clinic.front_desk)
    assert subject("appointment.arrived").refusal is Reason.STATUS_NOT_ELIGIBLE


def test_an_alert_that_comes_after_the_visit_has_begun_still_comes(clinic: Clinic, visit: Appointment) -> None:
    WALKS["appointment.in_progress"](clinic, visit)
    assert subject("appointment.arrived").refusal is None


def test_a_message_past_its_deadline_is_refused(clinic: Clinic, visit: Appointment) -> None:
    with time_machine.travel(visit.starts_at, tick=False):
        assert subject("appointment.booked").refusal is Reason.PAST_DUE


@pytest.mark.parametrize(
    ("field", "reason"), [("deceased_at", Reason.DECEASED), ("merged_into_id", Reason.MERGED_AWAY)]
)
def test_the_dead_and_the_merged_are_not_written_to(
    clinic: Clinic, visit: Appointment, field: str, reason: Reason
) -> None:
    value = dt.date(2026, 1, 1) if field == "deceased_at" else clinic.patient.pk
    type(clinic.patient).objects.filter(pk=clinic.patient.pk).update(**{field: value})
    assert subject("appointment.booked").refusal is reason
    # The provider is told all the same.
    WALKS["appointment.cancelled"](clinic, visit)
    assert subject("appointment.cancelled").refusal is None


def test_a_visit_that_is_gone_is_refused(clinic: Clinic) -> None:
    for entry in ENTRIES:
        event = NotificationEvent(key=entry.key, object_id=clinic.patient.pk, created_at=timezone.now())
        assert entry.describe(event).refusal is Reason.STATUS_NOT_ELIGIBLE
        event.object_id = None
        assert entry.describe(event).refusal is Reason.STATUS_NOT_ELIGIBLE


# --- people ---------------------------------------------------------------------------------------------------------


def test_nobody_is_told_what_he_did_himself(clinic: Clinic, visit: Appointment) -> None:
    assert subject("appointment.new").users[PROVIDER] == [clinic.provider]
    event = latest("appointment.new")
    event.actor = clinic.provider
    assert registry.get(event.key).describe(event).users[PROVIDER] == []


def test_both_providers_of_a_visit_that_changes_hands_are_told(clinic: Clinic, visit: Appointment) -> None:
    services.appointment_reschedule(
        appointment_id=visit.pk, actor=clinic.front_desk, starts_at=visit.starts_at, provider=clinic.colleague
    )
    assert set(subject("appointment.rescheduled").users[PROVIDER]) == {clinic.provider, clinic.colleague}


def test_the_desk_is_told_what_the_patient_did_by_the_link(clinic: Clinic, visit: Appointment) -> None:
    roaming = UserFactory(tenant=clinic.tenant, role=Role.FRONT_DESK)
    tokens.confirm_by_link(ConfirmationToken.objects.get(appointment=visit).code)
    assert set(subject("appointment.confirmed_by_patient").users[DESK]) == {clinic.front_desk, roaming}
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="flood")
    assert subject("appointment.cancelled").users[DESK] == [], "the desk knows what the desk did"


def test_the_desk_is_told_of_a_cancellation_by_the_patient(clinic: Clinic, visit: Appointment) -> None:
    tokens.cancel_by_link(ConfirmationToken.objects.get(appointment=visit).code)
    read = subject("appointment.cancelled")
    assert read.users[DESK] == [clinic.front_desk]
    assert read.context["reason"].name_in("en") == "at the patient's request"


def test_staff_of_another_clinic_are_never_told(clinic: Clinic, other_clinic: Clinic, visit: Appointment) -> None:
    tokens.cancel_by_link(ConfirmationToken.objects.get(appointment=visit).code)
    told = [user for users in subject("appointment.cancelled").users.values() for user in users]
    assert {user.tenant_id for user in told} == {clinic.tenant.pk}


# --- what they say --------------------------------------------------------------------------------------------------


def test_a_move_tells_the_old_time_the_reason_and_asks_to_confirm(clinic: Clinic, visit: Appointment) -> None:
    old = visit.local_start
    moved = services.appointment_reschedule(
        appointment_id=visit.pk,
        actor=clinic.front_desk,
        starts_at=visit.starts_at + dt.timedelta(days=1, hours=3),
        reason="the room is painted.",
    )
    context = subject("appointment.rescheduled").context
    assert (context["old_date"], context["old_time"]) == (LocalDate(old.date()), LocalTime(old.time()))
    assert context["date"] == LocalDate(moved.local_start.date())
    assert context["reason"] == "the room is painted", "the sentence has its own full stop"
    assert context["link"] == Link(tokens.link_for(moved))


def test_a_move_without_a_reason_has_a_neutral_one(clinic: Clinic, visit: Appointment) -> None:
    WALKS["appointment.rescheduled"](clinic, visit)
    reason = subject("appointment.rescheduled").context["reason"]
    assert reason.name_in("en") == "a change in the clinic's schedule"
    assert reason.name_in("ar")


def test_next_steps_are_those_of_the_provider_or_a_neutral_line(clinic: Clinic, visit: Appointment) -> None:
    WALKS["appointment.in_progress"](clinic, visit)
    services.appointment_complete(appointment_id=visit.pk, actor=clinic.provider, next_steps=" Rest for two days. ")
    assert subject("appointment.completed").context["next_steps"] == "Rest for two days."
    event = latest("appointment.completed")
    event.payload = {}
    assert registry.get(event.key).describe(event).context["next_steps"].name_in("ar")


def test_a_location_without_a_phone_is_still_a_sentence(clinic: Clinic, visit: Appointment) -> None:
    type(clinic.location).objects.update(phone="")
    WALKS["appointment.confirmed"](clinic, visit)
    context = subject("appointment.confirmed").context
    words = registry.get("appointment.confirmed").deliveries[0].words[0]
    assert "call the clinic" in rendering.render(words.body_en, context, context, "en")


def test_a_reminder_asks_only_who_has_not_confirmed(clinic: Clinic, visit: Appointment) -> None:
    from appointments.reminders import send_due_reminders

    with time_machine.travel(visit.starts_at - dt.timedelta(hours=23), tick=False):
        send_due_reminders()
        assert "confirm" in subject("appointment.reminder_24h").context["link_note"].name_in("en").lower()
        tokens.confirm_by_link(ConfirmationToken.objects.get(appointment=visit).code)
        assert subject("appointment.reminder_24h").context["link_note"].name_in("en") == "Details"


def test_the_arrival_alert_tells_clearance_and_consent_as_they_are_now(clinic: Clinic, visit: Appointment) -> None:
    invoice = invoice_issue(
        actor=clinic.front_desk,
        patient=clinic.patient,
        appointment=visit,
        amount_minor=30000,
        due_on=timezone.localdate(),
    )
    WALKS["appointment.arrived"](clinic, visit)

    def said(language: str = "en") -> str:
        return subject("appointment.arrived").context["open_points"].name_in(language)

    assert said() == "Open: consent (missing), financial clearance (pending)."
    payment_record(actor=clinic.front_desk, invoice_id=invoice.pk, amount_minor=30000)
    assert said() == "Open: consent (missing). Clear: financial clearance (cleared)."
    subfile = SubFile.objects.get(patient=clinic.patient)
    consent_verify(actor=clinic.front_desk, subfile=subfile, status="VERIFIED", valid_until=None)
    assert said() == "All clear: consent (verified), financial clearance (cleared)."
    assert "الموافقة" in said("ar")


def test_checks_make_a_sentence_in_both_languages() -> None:
    consent = Check("Consent", "الموافقة", "verified", "موثّقة", is_clear=True)
    money = Check("Financial clearance", "التسوية المالية", "pending", "معلّقة", is_clear=False)
    words = describe_checks([consent, money])
    assert words.en == "Open: financial clearance (pending). Clear: consent (verified)."
    assert words.ar == "نقاط معلقة: التسوية المالية (معلّقة). مكتمل: الموافقة (موثّقة)."
