"""The patients' pages beside the visit's own: an offered time, all dates of a series, “find me a new time”.

GET only shows, as on every address of a patient; a POST counts with the mark of the page's form (``link/door.py`` says why
there is no cookie and no CSRF token). What a page says is what the message said: at a sensitive place neither clinic nor
place nor provider is named, and the series sends its reader to the first visit's link, which asks the second question.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from appointments import offers, rebooking, series, tokens
from appointments.calendar_file import short_name
from appointments.models import RebookLink, Series, SlotOffer
from appointments.rebook_forms import WishForm
from appointments.views.link.door import FORM_SECONDS, in_language, private, reader_language
from core import discretion
from core.access import public
from core.errors import DomainError
from core.models import Language, Location, Patient, Tenant
from core.tenancy import tenant_scope

_FORM = "appointments.offered.form"


class _Coded(Protocol):
    """A row behind a code."""

    @property
    def pk(self) -> uuid.UUID: ...
    @property
    def tenant_id(self) -> uuid.UUID: ...


Row = TypeVar("Row", bound=_Coded)


def _page(
    find: Callable[[str], Row | None], patient_of: Callable[[Row], Patient]
) -> Callable[[Callable[[HttpRequest, Row, str], HttpResponse]], Callable[..., HttpResponse]]:
    """The one way in: finds the code, opens its clinic's scope, speaks the reader's language."""

    def wrap(inner: Callable[[HttpRequest, Row, str], HttpResponse]) -> Callable[..., HttpResponse]:
        @public
        @csrf_exempt
        @require_http_methods(["GET", "HEAD", "POST"])
        @functools.wraps(inner)
        def view(request: HttpRequest, code: str) -> HttpResponse:
            wanted = request.GET.get("lang", "")
            asked = wanted if wanted in Language.values else ""
            row = find(code)
            if row is None:
                return private(in_language(request, asked, "appointments/link_unknown.html", {}, status=404))
            with tenant_scope(row.tenant_id):
                return private(inner(request, row, asked or reader_language(patient_of(row))))

        return view

    return wrap


def _show(
    request: HttpRequest,
    row: _Coded,
    language: str,
    template: str,
    *,
    tenant: Tenant,
    location: Location,
    status: int = 200,
    **context: Any,
) -> HttpResponse:
    names = discretion.names_for(tenant, location)
    mark = signing.TimestampSigner(salt=_FORM).sign(str(row.pk))
    shown = {"names": names, "location": location, "mark": mark, **context}
    return in_language(request, language, template, shown, status=status)


def _was_pressed(request: HttpRequest, row: _Coded) -> bool:
    """A POST from a form of ours, about this row, not too old."""
    try:
        sealed = request.POST.get("mark", "")
        return signing.TimestampSigner(salt=_FORM).unsign(sealed, max_age=FORM_SECONDS) == str(row.pk)
    except signing.BadSignature:
        return False


# --- an offered time -------------------------------------------------------------------------------------------------


@_page(offers.find, lambda row: row.entry.patient)
def offer(request: HttpRequest, row: SlotOffer, language: str) -> HttpResponse:
    status = 200
    if request.method == "POST":
        answer = request.POST.get("answer", "")
        if _was_pressed(request, row) and answer in ("accept", "decline", "leave"):
            try:
                if answer == "accept":
                    offers.accept(row.code)
                else:
                    offers.decline(row.code, leave_list=answer == "leave")
            except DomainError:
                # Somebody was faster; the page says so.
                pass
            return redirect(f"{request.path}?lang={language}")
        status = 422
    refused = offers.refusal(row)
    return _show(
        request,
        row,
        language,
        "appointments/offer.html",
        tenant=row.entry.patient.tenant,
        location=row.slot.location,
        status=410 if refused and refused != "accepted" else status,
        offer=row,
        slot=row.slot,
        refused=refused,
        is_waiting=row.entry.state == row.entry.State.WAITING,
        kept=row.entry.appointment,
        who=short_name(row.entry.patient, language),
    )


# --- all dates of a series -------------------------------------------------------------------------------------------


@_page(series.find, lambda row: row.patient)
def series_page(request: HttpRequest, row: Series, language: str) -> HttpResponse:
    visits = list(row.visits.select_related("location", "provider").order_by("starts_at", "pk"))
    coming = series.remaining(row)
    if discretion.is_discreet(row.location) and coming:
        return redirect(f"{tokens.link_for(coming[0])}?lang={language}")
    shown = [] if discretion.is_discreet(row.location) else visits
    links = {visit.pk: tokens.link_for(visit) for visit in coming} if shown else {}
    return _show(
        request,
        row,
        language,
        "appointments/series_link.html",
        tenant=row.patient.tenant,
        location=row.location,
        lines=[(visit, links.get(visit.pk, "")) for visit in shown],
        number=len(coming),
        who=short_name(row.patient, language),
    )


# --- “find me a new time” --------------------------------------------------------------------------------------------


@_page(rebooking.find, lambda row: row.appointment.patient)
def again(request: HttpRequest, row: RebookLink, language: str) -> HttpResponse:
    form, status = WishForm(), 200
    if request.method == "POST":
        form, status = WishForm(request.POST), 422
        if _was_pressed(request, row) and form.is_valid():
            try:
                rebooking.ask(row.code, parts=form.cleaned_data["parts"], weekdays=form.cleaned_data["weekdays"])
            except DomainError as error:
                with translation.override(language):
                    form.add_error(None, str(error) or _("This did not work."))
            else:
                return redirect(f"{request.path}?lang={language}")
    visits = rebooking.visits_of(row)
    refused = rebooking.refusal(row, visits)
    is_discreet = any(discretion.is_discreet(visit.location) for visit in visits)
    location = discretion.strictest([visit.location for visit in visits]) or row.appointment.location
    return _show(
        request,
        row,
        language,
        "appointments/again.html",
        tenant=row.appointment.tenant,
        location=location,
        status=410 if refused in ("settled", "expired") else status,
        form=form,
        refused=refused,
        lines=[(visit, "" if is_discreet else short_name(visit.patient, language)) for visit in visits],
    )
