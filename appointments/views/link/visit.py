"""The patient's page of one visit: GET only shows, POST confirms or calls off."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.utils import timezone, translation

from appointments import calendar_file, tokens
from appointments.forms import LinkCancelForm
from appointments.models import Appointment
from appointments.reminders import family
from appointments.views.link.door import Opened, page
from core import discretion
from core.contacts import Contact, contact_for
from core.errors import DomainError
from notifications import desk_tasks, preference_links
from notifications.states import TaskKind

S = Appointment.Status


@page("GET", "HEAD", "POST")
def link(opened: Opened) -> HttpResponse:
    return _act(opened) if opened.request.method == "POST" else show(opened)


def _act(opened: Opened) -> HttpResponse:
    request, token = opened.request, opened.token
    if not opened.was_pressed:
        # A program that posts to every address, or a page of yesterday: nothing happens, and the page asks anew.
        return show(opened, status=422)
    form = LinkCancelForm(request.POST)
    try:
        if request.POST.get("answer") == "confirm":
            tokens.confirm_by_link(token.code)
        elif request.POST.get("answer") == "cancel" and form.is_valid():
            tokens.cancel_by_link(token.code, form.cleaned_data["reason"])
        else:
            return show(opened, form=form, status=422)
    except DomainError:
        # Somebody was faster: the desk, or the same finger twice. The page says how it stands now.
        return show(Opened(request, tokens.find(token.code) or token, opened.language))
    return opened.back(request.path)


def show(opened: Opened, *, form: LinkCancelForm | None = None, status: int = 200) -> HttpResponse:
    """The page of a code that exists. 410 when it can no longer be answered."""
    appointment = opened.appointment
    with translation.override(opened.language):
        refused = tokens.refusal(opened.token, timezone.now())
    if refused is not None:
        status = 410
    is_cancelled = appointment.status == S.CANCELLED and opened.token.version == appointment.version
    context: dict[str, Any] = {
        "who": calendar_file.short_name(appointment.patient, opened.language),
        "refused": refused,
        "is_over": refused is not None,
        "is_confirmed": appointment.status == S.CONFIRMED and refused is None,
        "called_off_by_patient": is_cancelled and appointment.cancelled_by == Appointment.CancelledBy.PATIENT,
        "has_entry": refused is None or is_cancelled,
        "has_asked": refused is None and desk_tasks.open_about(appointment.pk, {TaskKind.REBOOK}).exists(),
        "preferences": _preferences(appointment) if refused is None else "",
        "companions": _companions(appointment, opened.language),
        "form": form or LinkCancelForm(),
        "wants_to_cancel": "cancel" in opened.request.GET or (form is not None and form.is_bound),
    }
    return opened.show("appointments/link.html", context, status=status)


def _companions(appointment: Appointment, language: str) -> list[dict[str, Any]]:
    """The other visits of the message that led here: each has a page of its own."""
    return [_companion(visit, language) for visit in family.companions(appointment)]


def _companion(visit: Appointment, language: str) -> dict[str, Any]:
    """Of one at a sensitive place neither whose it is nor when: that stands behind the second question, on its own page."""
    names = discretion.names_for(visit.tenant, visit.location)
    if names.is_discreet:
        return {"who": names.clinic.name_in(language), "start": None, "link": tokens.link_for(visit)}
    who = calendar_file.short_name(visit.patient, language)
    return {"who": who, "start": visit.local_start, "link": tokens.link_for(visit)}


def _preferences(appointment: Appointment) -> str:
    """Where the reader says what they want to be written to about; empty when nobody reads for this patient."""
    contact = contact_for(appointment.patient)
    if not isinstance(contact, Contact):
        return ""
    return preference_links.link_for(appointment.patient, guardian=contact.guardian)
