"""What a patient, or the guardian of a child, finds in their own view: visits, messages, wishes, consents, requests."""

from __future__ import annotations

import datetime as dt
import uuid

from django.db.models import Q
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from appointments import tokens
from appointments.models import Appointment
from appointments.states import AWAITED
from core import keyset, rights, subject_exports
from core.access import get_or_404
from core.discretion import names_for
from core.errors import DomainError
from core.merging import file_ids
from core.models import Guardian, RightsState
from core.portal_forms import RequestForm
from core.portal_sign_in import CODE_PREFIX
from core.views.portal.door import Visitor, own_view
from notifications import preference_links, selectors
from notifications.models import ConsentRecord
from notifications.states import NEVER_LEFT, Status

PAGE_SIZE = 20
# What is older is a matter for the clinic's records, and for a copy of the data.
SHOWN_FOR = dt.timedelta(days=365)
MOST_VISITS = 30


@own_view
@require_safe
def overview(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """The visits to come, each with its own page, and the way to everything else."""
    visits = (
        Appointment.objects.filter(patient=visitor.patient, starts_at__gt=timezone.now(), status__in=AWAITED)
        .select_related("location", "provider", "department", "patient__tenant")
        .order_by("starts_at", "pk")[:MOST_VISITS]
    )
    guardian = Guardian.objects.filter(pk=visitor.opened.guardian_id).first() if visitor.opened.guardian_id else None
    context = {
        "visits": [
            # At a sensitive place neither it nor who works there is named.
            (visit, names_for(visitor.session.tenant, visit.location), tokens.link_for(visit))
            for visit in visits
        ],
        "wishes_url": preference_links.link_for(visitor.patient, guardian=guardian),
        "open_requests": rights.requests_by(visitor.patient, visitor.opened.reader).filter(
            state__in=rights.OPEN_STATES
        ),
    }
    return _page(request, visitor, "overview", context)


@own_view
@require_safe
def messages(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """What the reader was written in the last year, the latest first; of the kinds that they still get."""
    rows = (
        selectors.messages_of(visitor.patient)
        .filter(created_at__gte=timezone.now() - SHOWN_FOR)
        .exclude(status__in=NEVER_LEFT | {Status.QUEUED, Status.SENDING})
        .exclude(notification_type__in=visitor.opened.hidden_types)
        # What another guardian was told is theirs: it may name children whom this one does not speak for.
        .filter(Q(guardian=visitor.opened.guardian_id) | Q(recipient=visitor.session.address))
        .exclude(dedupe_key__startswith=CODE_PREFIX)
    )
    older, newer = request.GET.get("older", ""), request.GET.get("newer", "")
    page = keyset.page_of(rows, by="created_at", size=PAGE_SIZE, older=older, newer=newer)
    return _page(request, visitor, "messages", {"page": page})


@own_view
@require_safe
def consents(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """Every word about consent, the latest first."""
    rows = ConsentRecord.objects.filter(patient__in=file_ids(visitor.patient))
    return _page(request, visitor, "consents", {"rows": rows[:200]})


@own_view
@require_http_methods(["GET", "HEAD", "POST"])
def requests(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """Ask for a copy, a correction or erasure; and what became of what was asked."""
    form = RequestForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            rights.rights_open(patient=visitor.patient, asked_by=visitor.opened.reader, **form.cleaned_data)
        except DomainError as error:
            form.add_error("details" if error.code.startswith("details") else None, str(error))
        else:
            return redirect("portal:requests")
    context = {
        "form": form,
        "rows": rights.requests_by(visitor.patient, visitor.opened.reader),
        "copies": subject_exports.ready_for(visitor.patient, visitor.opened.reader),
        "OPEN": RightsState.OPEN,
        "days": rights.ANSWERED_WITHIN.days,
    }
    return _page(request, visitor, "requests", context, status=422 if form.errors else 200)


@own_view
@require_POST
def request_withdraw(request: HttpRequest, visitor: Visitor, pk: uuid.UUID) -> HttpResponseBase:
    row = get_or_404(rights.requests_by(visitor.patient, visitor.opened.reader), pk)
    try:
        rights.rights_withdraw(request=row)
    except DomainError:
        # It was answered a second ago: the page says so.
        return redirect("portal:requests")
    return redirect("portal:requests")


@own_view
@require_safe
def copy(request: HttpRequest, visitor: Visitor, pk: uuid.UUID) -> HttpResponseBase:
    """The file of a copy that was made for this reader."""
    export = get_or_404(subject_exports.ready_for(visitor.patient, visitor.opened.reader), pk)
    pieces = subject_exports.download(export=export, actor=None, reader=visitor.opened.reader)
    return zip_answer(pieces, export.filename)


def zip_answer(pieces: object, filename: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(pieces, content_type="application/zip")  # type: ignore[arg-type]  # bytes
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _page(
    request: HttpRequest, visitor: Visitor, name: str, context: dict[str, object], status: int = 200
) -> HttpResponseBase:
    shown = {"visitor": visitor, "patient": visitor.patient, "tenant": visitor.session.tenant, "here": name}
    return render(request, f"core/portal/{name}.html", {**shown, **context}, status=status)
