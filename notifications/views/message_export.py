"""Exports of the message list: a small one comes at once, a long one is made by a worker and waits on a page."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from django.contrib import messages as notes
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views import View
from django.views.decorators.http import require_POST, require_safe

from core.access import Can, get_or_404, require
from core.errors import DomainError
from notifications import exports
from notifications.message_filters import MessageFilterForm
from notifications.models import ExportFormat

SHOWN = 50
_TYPES = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class MessageExportView(View):
    """The messages of the filter in the address as a file. GET: a small CSV; a long list has a button to ask for it."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        return self._answer(request, request.GET, may_ask=False)

    def post(self, request: HttpRequest) -> HttpResponseBase:
        return self._answer(request, request.POST, may_ask=True)

    def _answer(self, request: HttpRequest, choices: QueryDict, *, may_ask: bool) -> HttpResponseBase:
        form = MessageFilterForm(request.GET)
        file_format = choices.get("format", "CSV").upper()
        with_text = bool(choices.get("with_text"))
        if not form.is_valid() or file_format not in ExportFormat.values:
            return _page(request, form=form, status=422)
        if not exports.is_long(form, request.user):
            pieces = exports.at_once(user=request.user, form=form, file_format=file_format, with_text=with_text)
            return _file(pieces, file_format, f"messages-{timezone.localdate():%Y-%m-%d}.{file_format.lower()}")
        if not may_ask:
            return _page(request, form=form)
        try:
            exports.ask(
                user=request.user,
                key=_key(choices.get("key", "")),
                form=form,
                file_format=file_format,
                with_text=with_text,
            )
        except DomainError as error:
            notes.error(request, str(error))
        else:
            notes.success(request, _("The file is being made. You will find it here, and your bell tells you."))
        return redirect("notifications:message_exports")


@require(Can.EXPORT_MESSAGES)
@require_safe
def message_exports(request: HttpRequest) -> HttpResponse:
    """The reader's own exports. The list alone when htmx asks, which it does while one is being made."""
    return _page(request)


@require(Can.EXPORT_MESSAGES)
@require_safe
def message_export_download(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """The file itself, for who asked for it."""
    export = get_or_404(exports.ready(request.user), pk)
    response = _file(exports.download(user=request.user, export=export), export.format, export.filename)
    response.headers["Content-Length"] = str(export.size)
    return response


@require(Can.EXPORT_MESSAGES)
@require_POST
def message_export_remove(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    exports.remove(user=request.user, export=get_or_404(exports.of_user(request.user), pk))
    notes.success(request, _("The file is deleted."))
    return redirect("notifications:message_exports")


def _page(request: HttpRequest, *, form: MessageFilterForm | None = None, status: int = 200) -> HttpResponse:
    """``form``: a list too long to be downloaded at once, or a filter that makes no sense."""
    rows = list(exports.of_user(request.user)[:SHOWN])
    is_fragment = request.htmx and not request.htmx.history_restore_request
    response = render(
        request,
        f"notifications/{'partials/message_export_list.html' if is_fragment else 'message_exports.html'}",
        {
            "exports": rows,
            "is_moving": any(row.is_moving for row in rows),
            "form": form,
            "key": uuid.uuid4(),
            "location": request.user.location,
        },
        status=status,
    )
    patch_vary_headers(response, ["HX-Request"])
    return response


def _file(pieces: Iterator[bytes], file_format: str, name: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(pieces, content_type=_TYPES[ExportFormat(file_format)])
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store, private"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _key(typed: str) -> uuid.UUID:
    try:
        return uuid.UUID(typed)
    except ValueError:
        return uuid.uuid4()
