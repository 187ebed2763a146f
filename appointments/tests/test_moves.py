"""The verbs that move a visit through its states: history, audit, stamps, idempotence, refusals."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
import time_machine
from django.utils import timezone

from appointments import services
from appointments.models import Appointment, AppointmentEvent, ConfirmationToken, Reminder
from appointments.states import ALLOWED, Verb
from conftest import Clinic
from core.errors import DomainError
from core.models import AuditEvent, User
from notifications import inbox
from notifications.models import Notification, NotificationEvent
from tests.factories import AppointmentFactory

S = Appointment.Status
MINUTE = dt.timedelta(minutes=1)


def visit_in(clinic: Clinic, status: str, **fields: object) -> Appointment:
    """A visit that is in this state, past the services; it tells like any other."""
    defaults = {"arrived_at": timezone.now(), "no_show_at": timezone.now(), "is_silent": False}
    return AppointmentFactory(
        tenant=clinic.tenant,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        status=status,
        **{**defaults, **fields},
    )


def call(verb: Verb, visit: Appointment, actor: User, wanted: str) -> Appointment:
    """Each verb with all that it needs."""
    given = {"appointment_id": visit.pk, "actor": actor}
    calls: dict[Verb, Callable[[], Appointment]] = {
        Verb.CONFIRM: lambda: services.appointment_confirm(**given),
        Verb.UNCONFIRM: lambda: services.appointment_unconfirm(**given, reason="why"),
        Verb.RESCHEDULE: lambda: services.appointment_reschedule(
            **given, starts_at=timezone.now() + dt.timedelta(days=9)
        ),
        Verb.ARRIVE: lambda: services.appointment_arrive(**given),
        Verb.UNDO_ARRIVAL: lambda: services.appointment_undo_arrival(**given),
        Verb.START: lambda: services.appointment_start(**given),
        Verb.COMPLETE: lambda: services.appointment_complete(**given),
        Verb.REOPEN: lambda: services.appointment_reopen(**given, reason="why"),
        Verb.CANCEL: lambda: services.appointment_cancel(**given, reason="why"),
        Verb.REINSTATE: lambda: services.appointment_reinstate(**given),
        Verb.NO_SHOW: lambda: services.appointment_no_show(**given),
        Verb.CORRECT_NO_SHOW: lambda: services.appointment_correct_no_show(**given, to=wanted, reason="why"),
        Verb.VOID: lambda: services.appointment_void(**given, reason="why"),
    }
    return calls[verb]()


TARGETS = {
    Verb.CONFIRM: [S.CONFIRMED],
    Verb.UNCONFIRM: [S.BOOKED],
    Verb.RESCHEDULE: [S.RESCHEDULED],
    Verb.ARRIVE: [S.ARRIVED],
    Verb.START: [S.IN_PROGRESS],
    Verb.COMPLETE: [S.COMPLETED],
    Verb.REOPEN: [S.IN_PROGRESS],
    Verb.CANCEL: [S.CANCELLED],
    Verb.REINSTATE: [S.BOOKED],
    Verb.NO_SHOW: [S.NO_SHOW],
    Verb.CORRECT_NO_SHOW: [S.ARRIVED, S.COMPLETED],
    Verb.VOID: [S.ENTERED_IN_ERROR],
}
EVERY_CALL = [(status, verb, wanted) for status in S for verb, targets in TARGETS.items() for wanted in targets]


@pytest.mark.parametrize(("status", "verb", "wanted"), EVERY_CALL)
def test_every_verb_from_every_state(clinic: Clinic, status: S, verb: Verb, wanted: S) -> None:
    """Legal: one line of history. The own state again: nothing. Everything else: refused, and nothing has changed."""
    start = timezone.now() - dt.timedelta(hours=1) if verb is Verb.NO_SHOW else timezone.now() + dt.timedelta(days=2)
    visit = visit_in(clinic, status, starts_at=start)
    history = AppointmentEvent.objects.filter(appointment=visit)
    before = history.count()
    if ALLOWED[status].get(wanted) is verb:
        moved = call(verb, visit, clinic.admin, wanted)
        assert moved.status == wanted
        assert history.count() == before + 1
        last = history.latest("created_at")
        assert (last.from_status, last.to_status, last.actor) == (status, wanted, clinic.admin)
        assert last.version == moved.version == (2 if verb in (Verb.RESCHEDULE, Verb.REINSTATE) else 1)
    elif status == wanted:
        assert call(verb, visit, clinic.admin, wanted).status == status
        assert history.count() == before
    else:
        with pytest.raises(DomainError) as refusal:
            call(verb, visit, clinic.admin, wanted)
        assert refusal.value.code == "illegal_move"
        visit.refresh_from_db()
        assert (visit.status, visit.version) == (status, 1)
        assert history.count() == before


ADMINISTRATIVE = {
    Verb.UNCONFIRM: "appointment.unconfirmed",
    Verb.RESCHEDULE: "appointment.rescheduled",
    Verb.REOPEN: "appointment.reopened",
    Verb.CANCEL: "appointment.cancelled",
    Verb.REINSTATE: "appointment.reinstated",
    Verb.NO_SHOW: "appointment.no_show",
    Verb.CORRECT_NO_SHOW: "appointment.no_show_corrected",
    Verb.VOID: "appointment.voided",
}


@pytest.mark.parametrize("verb", list(TARGETS))
def test_administrative_moves_are_audited_with_before_and_after(clinic: Clinic, verb: Verb) -> None:
    status = next(s for s in S if verb in ALLOWED[s].values())
    start = timezone.now() - dt.timedelta(hours=1) if verb is Verb.NO_SHOW else timezone.now() + dt.timedelta(days=2)
    visit = visit_in(clinic, status, starts_at=start)
    call(verb, visit, clinic.admin, TARGETS[verb][0])
    rows = AuditEvent.objects.filter(object_id=visit.pk)
    if verb not in ADMINISTRATIVE:
        assert not rows
        return
    row = rows.get()
    assert (row.action, row.actor) == (ADMINISTRATIVE[verb], clinic.admin)
    assert (row.before["status"], row.after["status"]) == (status, TARGETS[verb][0])


def test_the_stamps_tell_when(clinic: Clinic) -> None:
    visit = visit_in(clinic, S.BOOKED, arrived_at=None, no_show_at=None)
    with time_machine.travel(timezone.now(), tick=False):
        now = timezone.now()
        services.appointment_confirm(appointment_id=visit.pk, actor=clinic.front_desk)
        services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk)
        services.appointment_start(appointment_id=visit.pk, actor=clinic.provider)
        done = services.appointment_complete(appointment_id=visit.pk, actor=clinic.provider)
    assert (done.confirmed_at, done.arrived_at, done.started_at, done.completed_at) == (now, now, now, now)


def test_only_the_own_provider_or_an_admin_treats(clinic: Clinic, other_clinic: Clinic) -> None:
    visit = visit_in(clinic, S.ARRIVED)
    for actor in (clinic.colleague, clinic.front_desk, clinic.patient_user, other_clinic.admin):
        with pytest.raises(DomainError) as refusal:
            services.appointment_start(appointment_id=visit.pk, actor=actor)
        assert refusal.value.code == "not_allowed"
    assert services.appointment_start(appointment_id=visit.pk, actor=clinic.provider).status == S.IN_PROGRESS


def test_a_provider_neither_books_out_nor_cancels(clinic: Clinic) -> None:
    visit = visit_in(clinic, S.BOOKED)
    for verb in (Verb.CONFIRM, Verb.CANCEL, Verb.RESCHEDULE, Verb.ARRIVE, Verb.VOID):
        with pytest.raises(DomainError) as refusal:
            call(verb, visit, clinic.provider, TARGETS[verb][0])
        assert refusal.value.code == "not_allowed"


def test_only_an_admin_aborts_a_visit_in_progress(clinic: Clinic) -> None:
    visit = visit_in(clinic, S.IN_PROGRESS)
    with pytest.raises(DomainError) as refusal:
        services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="fire alarm")
    assert refusal.value.code == "not_allowed"
    done = services.appointment_cancel(appointment_id=visit.pk, actor=clinic.admin, reason="fire alarm")
    assert (done.status, done.reason) == (S.CANCELLED, "fire alarm")


def test_a_member_who_left_moves_nothing(clinic: Clinic) -> None:
    visit = visit_in(clinic, S.BOOKED)
    clinic.front_desk.is_active = False
    with pytest.raises(DomainError) as refusal:
        services.appointment_confirm(appointment_id=visit.pk, actor=clinic.front_desk)
    assert refusal.value.code == "not_allowed"


@pytest.mark.parametrize("reason", ["", "   ", "\n"])
def test_the_clinic_says_why_it_cancels(clinic: Clinic, reason: str) -> None:
    visit = visit_in(clinic, S.BOOKED)
    with pytest.raises(DomainError) as refusal:
        services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason=reason)
    assert refusal.value.code == "reason_missing"


def test_a_reason_fits_its_column(clinic: Clinic) -> None:
    visit = visit_in(clinic, S.BOOKED)
    with pytest.raises(DomainError) as refusal:
        services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x" * 301)
    assert refusal.value.code == "reason_too_long"


def test_an_unknown_or_foreign_visit_is_not_there(clinic: Clinic, other_clinic: Clinic) -> None:
    from core.tenancy import tenant_scope

    with tenant_scope(other_clinic.tenant.pk):
        foreign = visit_in(other_clinic, S.BOOKED)
    for actor in (clinic.admin, other_clinic.admin):
        with pytest.raises(DomainError) as refusal:
            services.appointment_confirm(appointment_id=foreign.pk, actor=actor)
        assert refusal.value.code == "not_found"


def test_an_arrival_is_taken_back_to_where_it_was_and_the_alert_is_withdrawn(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    visit = visit_in(clinic, S.BOOKED, starts_at=ten_oclock)
    services.appointment_confirm(appointment_id=visit.pk, actor=clinic.front_desk)
    code = ConfirmationToken.objects.get(appointment=visit).code
    services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk)
    assert set(Reminder.objects.values_list("status", "reason")) == {("CANCELLED", "status_not_eligible")}
    assert ConfirmationToken.objects.get(appointment=visit).revoked_at is not None
    event = NotificationEvent.objects.get(key="appointment.arrived")
    alert = inbox.notify(user=clinic.provider, title="x", event=event, related_object_id=visit.pk)

    back = services.appointment_undo_arrival(appointment_id=visit.pk, actor=clinic.front_desk, reason="wrong line")
    assert (back.status, back.arrived_at) == (S.CONFIRMED, None)
    assert set(Reminder.objects.values_list("status", "reason")) == {("PLANNED", "")}
    assert Notification.objects.get(pk=alert.pk).is_read
    token = ConfirmationToken.objects.get(appointment=visit)
    assert (token.code, token.revoked_at) == (code, None)
    assert NotificationEvent.objects.filter(key="appointment.confirmed").count() == 1, "nobody is told again"
    assert AuditEvent.objects.filter(action="appointment.arrival_undone").count() == 1


def test_a_second_arrival_is_a_second_alert(clinic: Clinic) -> None:
    visit = visit_in(clinic, S.BOOKED)
    for _round in range(2):
        services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk)
        services.appointment_undo_arrival(appointment_id=visit.pk, actor=clinic.front_desk)
    assert NotificationEvent.objects.filter(key="appointment.arrived").count() == 2


def test_an_arrival_that_corrected_a_no_show_does_not_become_a_no_show_again(clinic: Clinic) -> None:
    visit = visit_in(clinic, S.NO_SHOW)
    services.appointment_correct_no_show(
        appointment_id=visit.pk, actor=clinic.front_desk, to="ARRIVED", reason="sat in the wrong room"
    )
    with pytest.raises(DomainError) as refusal:
        services.appointment_undo_arrival(appointment_id=visit.pk, actor=clinic.front_desk)
    assert refusal.value.code == "illegal_move"


def test_a_no_show_is_corrected_only_to_what_can_have_been(clinic: Clinic) -> None:
    visit = visit_in(clinic, S.NO_SHOW)
    with pytest.raises(DomainError) as refusal:
        services.appointment_correct_no_show(
            appointment_id=visit.pk, actor=clinic.front_desk, to="CONFIRMED", reason="x"
        )
    assert refusal.value.code == "illegal_move"


def test_a_confirmation_taken_back_asks_again_with_the_same_link(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    from appointments import tokens

    visit = visit_in(clinic, S.BOOKED, starts_at=ten_oclock)
    token = ConfirmationToken.objects.get(appointment=visit)
    tokens.confirm_by_link(token.code)
    back = services.appointment_unconfirm(appointment_id=visit.pk, actor=clinic.front_desk, reason="called us")
    assert (back.status, back.version, back.confirmed_at) == (S.BOOKED, 1, None)
    assert tokens.confirm_by_link(token.code).status == S.CONFIRMED


def test_results_are_announced_once_and_only_after_a_visit(clinic: Clinic, other_clinic: Clinic) -> None:
    visit = visit_in(clinic, S.BOOKED)
    with pytest.raises(DomainError) as refusal:
        services.appointment_tell_results_ready(appointment_id=visit.pk, actor=clinic.provider)
    assert refusal.value.code == "no_visit_yet"
    Appointment.objects.filter(pk=visit.pk).update(status=S.COMPLETED)
    for _press in range(2):
        services.appointment_tell_results_ready(appointment_id=visit.pk, actor=clinic.provider)
    assert NotificationEvent.objects.filter(key="results.ready").count() == 1
    for actor in (clinic.colleague, clinic.patient_user, other_clinic.admin):
        with pytest.raises(DomainError) as refusal:
            services.appointment_tell_results_ready(appointment_id=visit.pk, actor=actor)
        assert refusal.value.code == "not_allowed"
