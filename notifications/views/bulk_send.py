"""One bulk send: its check or its progress, the buttons, and the lists that can be downloaded."""

from __future__ import annotations

import itertools
import uuid
import zoneinfo
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from django.contrib import messages as notes
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from core import audit
from core.access import Can, get_or_404, require
from core.csv_rows import csv_lines
from core.errors import DomainError
from core.models import User
from core.tenancy import tenant_scope
from integrations.bulk import control, plan, progress, upload
from notifications import bulk_hold, message_classes
from notifications.bulk_forms import SubmitForm
from notifications.bulk_states import EDITABLE, OVER, UNDER_WAY, BulkState
from notifications.models import BulkSend
from notifications.states import Channel
from notifications.views import bulk_words as say

PAGE_SIZE = 25
# While one of these is shown, the page asks for news.
_MOVING = UNDER_WAY | {BulkState.SCHEDULED}


@require(Can.SEND_BULK)
@require_safe
def bulk_detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """A draft shows its check, everything later its progress. For htmx: the moving part alone."""
    bulk = get_or_404(BulkSend.objects.select_related("created_by", "approved_by", "again_of"), pk)
    if not bulk.words or bulk.state == BulkState.DRAFT:
        # Without words, or with numbers that are of other words.
        return redirect("notifications:bulk_words", pk=bulk.pk)
    if request.htmx:
        response = render(request, "notifications/partials/bulk_live.html", _live(request, bulk))
        patch_vary_headers(response, ["HX-Request"])
        return response
    return _page(request, bulk)


def _page(request: HttpRequest, bulk: BulkSend, form: SubmitForm | None = None) -> HttpResponse:
    zone = zoneinfo.ZoneInfo(bulk.timezone)
    rule = message_classes.rules()[bulk.message_class]
    context: dict[str, Any] = {
        "bulk": bulk,
        "zone": bulk.timezone,
        "chosen": say.chosen(bulk),
        "channels": say.channels_of(bulk),
        "excluded": say.excluded_of(bulk),
        "cost": say.cost_of(bulk),
        "unpriced": [Channel(one).label for one in bulk.totals.get("cost", {}).get("unknown", [])],
        "samples": plan.samples(bulk) if bulk.state not in OVER else [],
        "rule": rule,
        "windows": bulk_hold.windows(bulk, rule),
        "is_draft": bulk.state in EDITABLE,
        "needs_second": control.needs_second_person(bulk),
        "is_own": not control.may_approve(request.user, bulk),
        "seen": control.mark_of(bulk),
    }
    if bulk.state in EDITABLE:
        context["form"] = form or SubmitForm(zone=zone)
    else:
        context |= _live(request, bulk) | _missed(request, bulk)
    response = render(request, "notifications/bulk_detail.html", context, status=422 if form is not None else 200)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _live(request: HttpRequest, bulk: BulkSend) -> dict[str, Any]:
    """What changes while a send runs."""
    standing = progress.progress(bulk)
    now = timezone.now()
    rule = message_classes.rules()[bulk.message_class]
    waits_for_hours = bulk.state in (BulkState.STARTING, BulkState.RUNNING) and bulk_hold.is_held(bulk, rule, now)
    return {
        "bulk": bulk,
        "zone": bulk.timezone,
        "standing": standing,
        "acts": say.acts_of(bulk, request.user),
        "is_moving": bulk.state in _MOVING and bulk.finished_at is None,
        "opens_at": bulk_hold.opens_at(bulk, now) if waits_for_hours else None,
        "is_own": not control.may_approve(request.user, bulk),
        "seen": control.mark_of(bulk),
    }


def _missed(request: HttpRequest, bulk: BulkSend) -> dict[str, Any]:
    """Who has not got it: the reasons as filters, and a page of the list."""
    found = progress.reasons(bulk)
    reason = request.GET.get("reason", "")
    if reason not in {value for value, _label, _count in found}:
        reason = ""
    return {
        "reasons": found,
        "reason": reason,
        "missed_count": sum(count for _value, _label, count in found),
        "page": Paginator(progress.MissedList(bulk, reason), PAGE_SIZE).get_page(request.GET.get("page")),
    }


# --- acts ------------------------------------------------------------------------------------------------------------


@require(Can.SEND_BULK)
@require_POST
def bulk_submit(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Starts a checked send, now or later, or asks a second person."""
    bulk = get_or_404(BulkSend.objects.select_related("created_by", "approved_by", "again_of"), pk)
    if not bulk.words or bulk.state == BulkState.DRAFT:
        return redirect("notifications:bulk_words", pk=bulk.pk)
    form = SubmitForm(request.POST, zone=zoneinfo.ZoneInfo(bulk.timezone))
    if form.is_valid():
        try:
            control.submit(actor=request.user, bulk=bulk, **form.cleaned_data, seen=request.POST.get("seen", ""))
        except DomainError as error:
            form.refuse(error)
        else:
            is_waiting = bulk.state == BulkState.AWAITING_APPROVAL
            notes.success(
                request, _("A colleague has to approve it now.") if is_waiting else _("The send is on its way.")
            )
            return redirect("notifications:bulk_detail", pk=bulk.pk)
    if bulk.state not in EDITABLE:
        notes.error(request, " ".join(str(error) for error in form.non_field_errors()))
        return redirect("notifications:bulk_detail", pk=bulk.pk)
    return _page(request, bulk, form)


@require(Can.SEND_BULK)
@require_POST
def bulk_action(request: HttpRequest, pk: uuid.UUID, verb: str) -> HttpResponse:
    """The buttons of a send's page. A refusal is shown on the page as it is by then."""
    bulk = get_or_404(BulkSend.objects.all(), pk)
    act = _ACTS.get(verb)
    if act is None:
        raise Http404
    try:
        return act(request, bulk)
    except DomainError as error:
        notes.error(request, str(error))
    return redirect("notifications:bulk_detail", pk=bulk.pk)


def _plain(act: Callable[..., object], words: Callable[[], str]) -> Callable[[HttpRequest, BulkSend], HttpResponse]:
    def run(request: HttpRequest, bulk: BulkSend) -> HttpResponse:
        act(actor=request.user, bulk=bulk)
        notes.success(request, words())
        return redirect("notifications:bulk_detail", pk=bulk.pk)

    return run


def _approve(request: HttpRequest, bulk: BulkSend) -> HttpResponse:
    control.approve(actor=request.user, bulk=bulk, seen=request.POST.get("seen", ""))
    notes.success(request, _("The send is approved."))
    return redirect("notifications:bulk_detail", pk=bulk.pk)


def _discard(request: HttpRequest, bulk: BulkSend) -> HttpResponse:
    control.discard(actor=request.user, bulk=bulk)
    notes.success(request, _("The draft was thrown away."))
    return redirect("notifications:bulk_message")


def _test(request: HttpRequest, bulk: BulkSend) -> HttpResponse:
    user: User = request.user
    count = control.test(actor=user, bulk=bulk)
    notes.success(
        request,
        ngettext("%(count)s test is on its way to %(email)s.", "%(count)s tests are on their way to %(email)s.", count)
        % {"count": count, "email": user.email},
    )
    return redirect("notifications:bulk_detail", pk=bulk.pk)


def _again(request: HttpRequest, bulk: BulkSend) -> HttpResponse:
    ids = progress.missed_patients(bulk, request.POST.get("reason", ""))
    copy = control.again(actor=request.user, bulk=bulk, patient_ids=ids)
    notes.success(request, _("Check the message, and who gets it this time."))
    return redirect("notifications:bulk_words", pk=copy.pk)


_ACTS: dict[str, Callable[[HttpRequest, BulkSend], HttpResponse]] = {
    "approve": _approve,
    "call-off": _plain(control.call_off, lambda: _("The send is called off. You can change it and submit it again.")),
    "pause": _plain(control.pause, lambda: _("Nothing more leaves until you resume it.")),
    "resume": _plain(control.resume, lambda: _("The send goes on.")),
    "stop": _plain(control.stop, lambda: _("The send is stopped. What had not left is cancelled.")),
    "check": _plain(control.check, lambda: _("Counted again.")),
    "discard": _discard,
    "test": _test,
    "again": _again,
}


# --- downloads -------------------------------------------------------------------------------------------------------


@require(Can.SEND_BULK)
@require_safe
def bulk_errors(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """The rows of the uploaded list that could not be used, as CSV: row, column, what is wrong."""
    bulk = get_or_404(BulkSend.objects.all(), pk)
    header = (_("Row"), _("Column"), _("What is wrong"))
    return _csv(bulk, "rows", lambda: itertools.chain([header], upload.error_rows(bulk)))


@require(Can.SEND_BULK)
@require_POST
def bulk_missed(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Who has not got it and why, as CSV; ``reason`` narrows it as on the page. POST: it leaves a row in the trail."""
    bulk = get_or_404(BulkSend.objects.all(), pk)
    reason = request.POST.get("reason", "")
    missed = progress.MissedList(bulk, reason)
    audit.record(
        tenant_id=bulk.tenant_id, actor=request.user, action="bulk.exported", obj=bulk, after={"rows": len(missed)}
    )
    header = (_("File number"), _("Patient"), _("Channel"), _("Why"), _("Row"))
    return _csv(bulk, "not-sent", lambda: itertools.chain([header], map(_line, missed.walk())))


def _line(one: progress.Missed) -> tuple[object, ...]:
    channel = str(Channel(one.channel).label) if one.channel else ""
    return one.patient.mrn, one.patient.name, channel, str(one.why), one.row or ""


def _csv(bulk: BulkSend, name: str, rows: Callable[[], Iterable[Sequence[object]]]) -> HttpResponseBase:
    """Streamed. The lines are made after the view has returned, so they bring scope and language along."""
    language = translation.get_language()

    def pieces() -> Iterator[str]:
        with tenant_scope(bulk.tenant_id), translation.override(language):
            yield from csv_lines(rows())

    response = StreamingHttpResponse(pieces(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="bulk-{bulk.created_at:%Y-%m-%d}-{name}.csv"'
    response["Cache-Control"] = "private, no-store"
    return response
