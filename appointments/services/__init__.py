"""Every verb of an appointment. Keyword-only, atomic, the row locked; refusals are ``DomainError``.

A service checks, changes the row and saves it with the act that explains the change; what follows (history, tokens,
reminders, events) hangs on the save in ``appointments/signals.py``. Needs the tenant's scope open.
"""

from appointments.services.booking import (
    appointment_book,
    appointment_reinstate,
    appointment_reschedule,
)
from appointments.services.moves import (
    appointment_arrive,
    appointment_cancel,
    appointment_complete,
    appointment_confirm,
    appointment_correct_no_show,
    appointment_no_show,
    appointment_reopen,
    appointment_start,
    appointment_tell_results_ready,
    appointment_unconfirm,
    appointment_undo_arrival,
    appointment_void,
)

__all__ = [
    "appointment_arrive",
    "appointment_book",
    "appointment_cancel",
    "appointment_complete",
    "appointment_confirm",
    "appointment_correct_no_show",
    "appointment_no_show",
    "appointment_reinstate",
    "appointment_reopen",
    "appointment_reschedule",
    "appointment_start",
    "appointment_tell_results_ready",
    "appointment_unconfirm",
    "appointment_undo_arrival",
    "appointment_void",
]
