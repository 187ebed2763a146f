"""The calendar entry of a visit, to put into one's own calendar, or to take it out again."""

from __future__ import annotations

from django.http import HttpResponse

from appointments import calendar_file, tokens
from appointments.models import Appointment
from appointments.views.link.door import Opened, page
from appointments.views.link.visit import show

S = Appointment.Status


@page("GET", "HEAD")
def calendar(opened: Opened) -> HttpResponse:
    appointment = opened.appointment
    is_cancelled = appointment.status == S.CANCELLED and opened.token.version == appointment.version
    if tokens.refusal(opened.token) is not None and not is_cancelled:
        return show(opened)
    method = calendar_file.method_of(appointment)
    # Nobody's address in it: the link is passed on in a family, and whose calendar it is nobody knows.
    content = calendar_file.ics_for(appointment, method, language=opened.language)
    response = HttpResponse(content, content_type=f"text/calendar; charset=utf-8; method={method}")
    response.headers["Content-Disposition"] = f'attachment; filename="{calendar_file.FILE_NAME}"'
    return response
