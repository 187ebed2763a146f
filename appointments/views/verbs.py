"""The moves of a visit as the pages show them: a label, an icon, a form, the service that does it. Data, no request.

Which of them are legal is decided by ``appointments.states``; this table only gives them words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _

from appointments import services
from appointments.forms import (
    CancelForm,
    CompleteForm,
    CorrectNoShowForm,
    OptionalReasonForm,
    PlainMoveForm,
    ReasonForm,
    RescheduleForm,
)
from appointments.models import Appointment
from appointments.states import Verb

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@dataclass(frozen=True, slots=True)
class Move:
    """One verb. ``asks`` is the sentence over its own page; ``done`` is said when it worked."""

    verb: Verb
    label: StrOrPromise
    asks: StrOrPromise
    done: StrOrPromise
    icon: str
    service: Callable[..., Appointment]
    form: type[forms.Form] = PlainMoveForm
    fields: tuple[str, ...] = ()
    is_danger: bool = False

    @property
    def needs_page(self) -> bool:
        """Whether the button opens a page to fill in, or acts at once."""
        return self.form is not PlainMoveForm

    def carry_out(self, *, appointment: Appointment, actor: Any, data: Mapping[str, Any]) -> Appointment:
        return self.service(appointment_id=appointment.pk, actor=actor, **{name: data[name] for name in self.fields})


_TABLE = (
    Move(
        Verb.CONFIRM,
        _("Confirm"),
        _("The patient will come as planned. They get a confirmation."),
        _("The appointment is confirmed. The patient is being told."),
        "check",
        services.appointment_confirm,
    ),
    Move(
        Verb.UNCONFIRM,
        _("Take back confirmation"),
        _("The appointment goes back to “Booked”, waiting for a confirmation."),
        _("The confirmation is taken back."),
        "history",
        services.appointment_unconfirm,
        ReasonForm,
        ("reason",),
    ),
    Move(
        Verb.RESCHEDULE,
        _("Reschedule"),
        _("The patient and the provider are told, and the patient is asked to confirm the new time."),
        _("The appointment has moved. The patient and the provider are being told."),
        "calendar-event",
        services.appointment_reschedule,
        RescheduleForm,
        ("starts_at", "duration", "provider", "reason"),
    ),
    Move(
        Verb.ARRIVE,
        _("Mark as arrived"),
        _("The provider is told that the patient is here, and what is still open."),
        _("The patient has arrived. The provider is being told."),
        "user-check",
        services.appointment_arrive,
    ),
    Move(
        Verb.UNDO_ARRIVAL,
        _("Undo arrival"),
        _("The appointment goes back to what it was before the arrival, and the provider's alert is withdrawn."),
        _("The arrival is taken back."),
        "history",
        services.appointment_undo_arrival,
        OptionalReasonForm,
        ("reason",),
    ),
    Move(
        Verb.START,
        _("Start visit"),
        _("The patient is with the provider now. Nobody is told."),
        _("The visit has begun."),
        "arrow-right",
        services.appointment_start,
    ),
    Move(
        Verb.COMPLETE,
        _("Complete visit"),
        _("The patient gets an email with thanks and the next steps."),
        _("The visit is completed. The patient gets an email with thanks."),
        "circle-check",
        services.appointment_complete,
        CompleteForm,
        ("next_steps",),
    ),
    Move(
        Verb.REOPEN,
        _("Reopen visit"),
        _("Completed by mistake? The visit goes back to “In progress”."),
        _("The visit is open again."),
        "history",
        services.appointment_reopen,
        ReasonForm,
        ("reason",),
    ),
    Move(
        Verb.CANCEL,
        _("Cancel appointment"),
        _("The time becomes free, reminders are dropped, and the patient and the provider are told."),
        _("The appointment is cancelled. The patient and the provider are being told."),
        "circle-x",
        services.appointment_cancel,
        CancelForm,
        ("reason", "by"),
        is_danger=True,
    ),
    Move(
        Verb.REINSTATE,
        _("Reinstate"),
        _("The cancellation is taken back and the same time is booked again, if it is still free."),
        _("The appointment is booked again."),
        "refresh",
        services.appointment_reinstate,
        OptionalReasonForm,
        ("reason",),
    ),
    Move(
        Verb.NO_SHOW,
        _("Note a no-show"),
        _("The patient did not come. They get a friendly email with how to book again."),
        _("Noted as a no-show."),
        "user",
        services.appointment_no_show,
        is_danger=True,
    ),
    Move(
        Verb.CORRECT_NO_SHOW,
        _("Correct no-show"),
        _("The patient was here after all."),
        _("The no-show is corrected."),
        "history",
        services.appointment_correct_no_show,
        CorrectNoShowForm,
        ("to", "reason"),
    ),
    Move(
        Verb.VOID,
        _("Entered in error"),
        _("As if it had never been booked. The patient is told nothing; their calendar takes it out."),
        _("The appointment is marked as entered in error."),
        "x",
        services.appointment_void,
        ReasonForm,
        ("reason",),
        is_danger=True,
    ),
)
MOVES: Mapping[str, Move] = {move.verb.value: move for move in _TABLE}
