"""What follows when a visit is saved: which event is it? One call each, no rules.

The services save with an ``Act``; a save without one (the console, an import, a test) has the same consequences, only
that nobody is named. Everything here writes rows in the same transaction (history, token, reminders, the event's row);
sending happens after the commit, so a notification problem never undoes a booking.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models.signals import post_save, pre_save
from django.dispatch import receiver
from django.utils import timezone

from appointments import absences, first_news, free_slots, no_shows, reminders, series, tokens
from appointments.models import Act, Appointment, AppointmentEvent, Before
from appointments.states import AWAITED
from core.sequences import next_number
from core.subfiles import subfile_ensure
from notifications import desk_tasks, escalation, inbox, lifecycle
from notifications.models import NotificationEvent
from notifications.states import Reason, StopReason, TaskKind

S = Appointment.Status
_ARRIVAL = "appointment.arrived"
# No visit begins so late.
_MAY_STILL_BE_HERE = dt.timedelta(hours=12)
Handler = Callable[[Appointment, AppointmentEvent], None]


@receiver(pre_save, sender=Appointment)
def appointment_pre_save(sender: type[Appointment], *, instance: Appointment, raw: bool = False, **kwargs: Any) -> None:
    """Gives the number, and remembers what the database holds."""
    if raw:
        return
    instance.before = None if instance._state.adding else _as_it_was(instance)
    if not instance.number:
        year = timezone.localtime().year
        number = next_number(instance.tenant_id, f"appointment:{year}")
        instance.number = f"APT-{year}-{number:06d}"
    if instance.before is not None and _moved_without_version(instance, instance.before):
        instance.version += 1


@receiver(post_save, sender=Appointment)
@transaction.atomic
def appointment_post_save(
    sender: type[Appointment], *, instance: Appointment, created: bool, raw: bool = False, **kwargs: Any
) -> None:
    """Writes the history and calls the handlers of the event. Silent visits tell nobody."""
    if raw:
        return
    before, act = instance.before, instance.act or Act()
    instance.before = instance.act = None
    if before is not None and (before.status, before.version) == (instance.status, instance.version):
        return
    move = _write_history(instance, before, act)
    if before is None:
        create_subfile_if_needed(instance, move)
    if before is not None and before.status == S.ARRIVED:
        # Whoever still waits to answer the alert need not: the visit has begun, or the arrival was a slip.
        escalation.stop_for_object(instance.pk, StopReason.CHANGED)
        inbox.resolve(object_id=instance.pk, event_key=_ARRIVAL, is_read=instance.status in AWAITED)
    if instance.is_silent:
        if before is None:
            # Why nobody is reminded of it, for who looks.
            reminders.plan(instance)
        return
    for handler in _handlers(move.from_status, move.to_status):
        handler(instance, move)


def create_subfile_if_needed(appointment: Appointment, move: AppointmentEvent) -> None:
    """The first visit in a department opens the patient's file there."""
    subfile_ensure(patient=appointment.patient, department=appointment.department)


def notify_provider_new_appointment(appointment: Appointment, move: AppointmentEvent) -> None:
    _record("appointment.new", appointment, move)


def create_patient_confirmation_token(appointment: Appointment, move: AppointmentEvent) -> None:
    """The link, and the message that carries it to the patient."""
    tokens.issue(appointment)
    if appointment.status == S.BOOKED:
        first_news.tell_booked(appointment, move)


def end_follow_up_of_replaced(appointment: Appointment, move: AppointmentEvent) -> None:
    """Booked anew for one that did not take place: nobody is asked to book anew any more."""
    if appointment.replaces is not None:
        no_shows.withdraw(appointment.replaces)


def schedule_appointment_reminders(appointment: Appointment, move: AppointmentEvent) -> None:
    reminders.plan(appointment)


def handle_appointment_confirmed(appointment: Appointment, move: AppointmentEvent) -> None:
    first_news.take_back(appointment, Reason.STATUS_NOT_ELIGIBLE)
    _record("appointment.confirmed", appointment, move)


def handle_appointment_rescheduled(appointment: Appointment, move: AppointmentEvent) -> None:
    """A new version: nothing of the old one may leave any more."""
    overtaken = first_news.overtake(appointment, Reason.STALE_VERSION)
    lifecycle.cancel_for_object(appointment.pk, appointment.version, Reason.STALE_VERSION)
    tokens.issue(appointment)
    reminders.plan(appointment)
    # Whoever asked for another time has one now.
    desk_tasks.end_for_object(appointment.pk, {TaskKind.REBOOK})
    first_news.tell_moved(appointment, move, overtaken)
    free_slots.on_moved(appointment, move)


def handle_appointment_arrived(appointment: Appointment, move: AppointmentEvent) -> None:
    """Who was expected yesterday sits in no waiting room: the desk writes down what was, and nobody is called."""
    _end_waiting(appointment)
    if appointment.ends_at + _MAY_STILL_BE_HERE > timezone.now():
        _record(_ARRIVAL, appointment, move)


def handle_appointment_in_progress(appointment: Appointment, move: AppointmentEvent) -> None:
    """Log only: the event has no deliveries."""
    _record("appointment.in_progress", appointment, move)


def handle_appointment_completed(appointment: Appointment, move: AppointmentEvent) -> None:
    _record("appointment.completed", appointment, move)


def handle_appointment_cancelled(appointment: Appointment, move: AppointmentEvent) -> None:
    overtaken = first_news.overtake(appointment, Reason.STATUS_NOT_ELIGIBLE)
    desk_tasks.end_for_object(appointment.pk, {TaskKind.REBOOK})
    _withdraw_everything(appointment, move)
    first_news.tell_cancelled(appointment, move, overtaken)
    free_slots.on_cancelled(appointment, move)


def handle_appointment_no_show(appointment: Appointment, move: AppointmentEvent) -> None:
    _withdraw_everything(appointment, move)
    no_shows.follow(appointment, move)


def _drop_older_news(appointment: Appointment, move: AppointmentEvent) -> None:
    """A cancellation taken back: who has not heard of it yet need not, and nobody need look for another time."""
    desk_tasks.end_for_object(appointment.pk, [TaskKind.REBOOK, TaskKind.CALL])
    first_news.overtake(appointment, Reason.STALE_VERSION)
    lifecycle.cancel_for_object(appointment.pk, appointment.version, Reason.STALE_VERSION)
    absences.taken_back(appointment)
    series.taken_back(appointment)


def _ask_again(appointment: Appointment, move: AppointmentEvent) -> None:
    """A confirmation taken back: the link the patient has asks again."""
    tokens.revive(appointment, unused=True)
    confirmed = NotificationEvent.objects.filter(object_id=appointment.pk, key=first_news.CONFIRMED)
    first_news.withdraw_messages(confirmed, Reason.STATUS_NOT_ELIGIBLE)
    first_news.tell_after_all(appointment, move)


def _arrival_undone(appointment: Appointment, move: AppointmentEvent) -> None:
    """The visit is still to come; the provider's alert is withdrawn already."""
    tokens.revive(appointment)
    reminders.plan(appointment)
    first_news.tell_after_all(appointment, move)


def _end_waiting(appointment: Appointment) -> None:
    first_news.take_back(appointment, Reason.STATUS_NOT_ELIGIBLE)
    tokens.revoke(appointment)
    reminders.cancel(appointment, Reason.STATUS_NOT_ELIGIBLE)


def _withdraw_everything(appointment: Appointment, move: AppointmentEvent) -> None:
    """What was said, or was about to be said, holds no longer."""
    no_shows.withdraw(appointment)
    _end_waiting(appointment)
    lifecycle.cancel_for_object(appointment.pk, appointment.version + 1, Reason.STATUS_NOT_ELIGIBLE)


_BOOKED_ANEW: tuple[Handler, ...] = (
    notify_provider_new_appointment,
    create_patient_confirmation_token,
    schedule_appointment_reminders,
)
# A row that is new, in the state it is born in.
_ON_CREATION: dict[str, tuple[Handler, ...]] = dict.fromkeys(AWAITED, (*_BOOKED_ANEW, end_follow_up_of_replaced))
_ON_ENTERING: dict[str, tuple[Handler, ...]] = {
    S.CONFIRMED: (handle_appointment_confirmed,),
    S.RESCHEDULED: (handle_appointment_rescheduled,),
    S.ARRIVED: (handle_appointment_arrived,),
    S.IN_PROGRESS: (handle_appointment_in_progress,),
    S.COMPLETED: (handle_appointment_completed,),
    S.CANCELLED: (handle_appointment_cancelled,),
    S.NO_SHOW: (handle_appointment_no_show,),
    S.ENTERED_IN_ERROR: (_withdraw_everything, first_news.tell_voided),
}
# Steps back, which are not what their new state usually means.
_ON_STEP_BACK: dict[tuple[str, str], tuple[Handler, ...]] = {
    (S.CONFIRMED, S.BOOKED): (_ask_again,),
    (S.CANCELLED, S.BOOKED): (_drop_older_news, *_BOOKED_ANEW),
    (S.ARRIVED, S.BOOKED): (_arrival_undone,),
    (S.ARRIVED, S.CONFIRMED): (_arrival_undone,),
    (S.ARRIVED, S.RESCHEDULED): (_arrival_undone,),
    (S.NO_SHOW, S.ARRIVED): (_withdraw_everything, handle_appointment_arrived),
    (S.NO_SHOW, S.COMPLETED): (_withdraw_everything, handle_appointment_completed),
    (S.COMPLETED, S.IN_PROGRESS): (_withdraw_everything, handle_appointment_in_progress),
}


def _handlers(was: str, now: str) -> tuple[Handler, ...]:
    if not was:
        return _ON_CREATION.get(now, ())
    return _ON_STEP_BACK.get((was, now)) or _ON_ENTERING.get(now, ())


def _as_it_was(appointment: Appointment) -> Before | None:
    columns = ("status", "starts_at", "ends_at", "version", "provider_id")
    row = Appointment.objects.filter(pk=appointment.pk).values(*columns).first()
    return Before(**row) if row is not None else None


def _moved_without_version(appointment: Appointment, before: Before) -> bool:
    """Saved as moved, but past the services: it is a new version all the same, or the old messages would stay true."""
    return (
        appointment.status == S.RESCHEDULED
        and appointment.version == before.version
        and (appointment.starts_at, appointment.provider_id) != (before.starts_at, before.provider_id)
    )


def _write_history(appointment: Appointment, before: Before | None, act: Act) -> AppointmentEvent:
    details = dict(act.details)
    if before is not None and before.version != appointment.version:
        details |= {
            "old_starts_at": before.starts_at.isoformat(),
            "old_ends_at": before.ends_at.isoformat(),
            "old_provider_id": str(before.provider_id),
        }
    return AppointmentEvent.objects.create(
        tenant_id=appointment.tenant_id,
        appointment=appointment,
        version=appointment.version,
        from_status=before.status if before is not None else "",
        to_status=appointment.status,
        actor=act.actor,
        reason=act.reason,
        details=details,
    )


def _record(key: str, appointment: Appointment, move: AppointmentEvent) -> None:
    first_news.record_move(key, appointment, move, {"reason": move.reason, **move.details})
