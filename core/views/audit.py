"""The audit trail and the log of looks: two lists with filters, and the trail as a file. They read and change nothing."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from core import audit, keyset, looks
from core.access import Can, require
from core.audit_diff import Change, changes_of, rows_of
from core.audit_forms import AuditFilterForm, LookFilterForm
from core.audit_trail import trail
from core.audit_words import action_label, kind_label, who_of
from core.csv_rows import csv_lines
from core.models import AuditEvent, Look, Patient
from core.selectors import zone_of
from core.tenancy import tenant_scope
from core.views.audit_objects import Thing, thing_of
from notifications.models import Message

PAGE_SIZE = 50
# Rows of the export that are in memory at once.
_CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class Line:
    """An act as the page shows it. ``thing`` is what it was done to; None for acts without an object."""

    event: AuditEvent
    who: str
    label: str
    thing: Thing | None
    changes: list[Change]


@dataclass(frozen=True, slots=True)
class LookLine:
    """A look; ``patient`` is None when the file is gone, ``message_id`` when the message is."""

    look: Look
    patient: Patient | None
    message_id: uuid.UUID | None


@require(Can.SEE_AUDIT)
@require_safe
def audit_trail(request: HttpRequest) -> HttpResponse:
    """Who did what, 50 a page. The list alone when htmx asks for it."""
    form = AuditFilterForm(request.GET)
    page: keyset.Page[AuditEvent] = keyset.Page([])
    lines: list[Line] = []
    if form.is_valid():
        rows = trail(**form.selection(zone_of(request.user)))
        page = _page(request, rows, by="created_at")
        lines = _lines(request, page.rows)
    return _answer(request, "audit", {"form": form, "page": page, "lines": lines})


@require(Can.SEE_AUDIT)
@require_POST
def audit_export(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """The filtered trail as CSV, streamed. POST, because it leaves a row in the trail itself."""
    form = AuditFilterForm(request.POST)
    if not form.is_valid():
        return _answer(request, "audit", {"form": form, "page": keyset.Page([]), "lines": []})
    zone = zone_of(request.user)
    selection = form.selection(zone)
    audit.record(
        tenant_id=request.user.tenant_id,
        actor=request.user,
        action="audit.exported",
        after={
            name: str(getattr(value, "pk", value))
            for name, value in selection.items()
            # What was searched for may be a patient's name.
            if value and name != "search"
        },
    )
    response = StreamingHttpResponse(
        csv_lines(_export(request.user.tenant_id, selection, zone)), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="audit-{timezone.localdate(timezone=zone)}.csv"'
    response["Cache-Control"] = "private, no-store"
    return response


@require(Can.SEE_AUDIT)
@require_safe
def look_log(request: HttpRequest) -> HttpResponse:
    """Who looked at whose messages, 50 a page. The list alone when htmx asks for it."""
    form = LookFilterForm(request.GET)
    page: keyset.Page[Look] = keyset.Page([])
    if form.is_valid():
        page = _page(request, looks.log(**form.selection(zone_of(request.user))), by="seen_at")
    return _answer(request, "looks", {"form": form, "page": page, "lines": _look_lines(page.rows)})


def _page(request: HttpRequest, rows: Any, *, by: str) -> keyset.Page[Any]:
    older, newer = request.GET.get("older", ""), request.GET.get("newer", "")
    return keyset.page_of(rows, by=by, size=PAGE_SIZE, older=older, newer=newer)


def _answer(request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
    is_fragment = request.htmx and not request.htmx.history_restore_request
    template = f"core/partials/{name}_list.html" if is_fragment else f"core/{name}.html"
    context["location"] = request.user.location
    response = render(request, template, context, status=422 if context["form"].errors else 200)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _lines(request: HttpRequest, events: list[AuditEvent]) -> list[Line]:
    rows = rows_of(events)
    return [
        Line(
            event,
            who_of(event),
            action_label(event.action),
            thing_of(event, rows, request.user),
            changes_of(event, rows, request.user.location),
        )
        for event in events
    ]


def _look_lines(found: list[Look]) -> list[LookLine]:
    patients = Patient.objects.in_bulk([look.patient_id for look in found])
    named = [look.message for look in found if look.message is not None]
    there = set(Message.objects.filter(pk__in=named).values_list("pk", flat=True)) if named else set()
    return [
        LookLine(look, patients.get(look.patient_id), look.message if look.message in there else None) for look in found
    ]


def _export(tenant_id: uuid.UUID, selection: dict[str, Any], zone: Any) -> Iterator[list[object]]:
    """Head and rows. The response is read after the view has ended, so the scope is opened anew."""
    language = translation.get_language()
    with tenant_scope(tenant_id), translation.override(language):
        yield [
            _("Time"),
            _("Done by"),
            _("Email"),
            _("Action"),
            _("Action in words"),
            _("Object"),
            _("Object id"),
            _("Changes"),
        ]
        cursor = ""
        while True:
            page = keyset.page_of(trail(**selection), by="created_at", size=_CHUNK, older=cursor)
            rows = rows_of(page.rows)
            for event in page.rows:
                yield [
                    f"{event.created_at.astimezone(zone):%Y-%m-%d %H:%M:%S}",
                    who_of(event),
                    event.actor.email if event.actor else "",
                    event.action,
                    action_label(event.action),
                    kind_label(event.object_type),
                    str(event.object_id or ""),
                    "; ".join(_in_words(change) for change in changes_of(event, rows, zone)),
                ]
            if not page.older:
                return
            cursor = page.older


def _in_words(change: Change) -> str:
    if change.is_told_only:
        return f"{change.label}: {change.after}"
    return f"{change.label}: {change.before} → {change.after}"
