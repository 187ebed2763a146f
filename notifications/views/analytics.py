"""The analytics page, and its tables as a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views import View

from core.csv_rows import csv_lines
from core.selectors import zone_of_tenant
from notifications.range_forms import RangeForm
from notifications.views import analytics_words


class MessageAnalyticsView(View):
    """``?range=30`` or ``?since=…&until=…``, ``&unit=week``; ``&format=csv`` for the tables as a file."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        zone = zone_of_tenant()
        form = RangeForm(request.GET, zone=zone, today=timezone.now().astimezone(zone).date())
        if not form.is_valid():
            return render(request, "notifications/analytics.html", {"form": form}, status=422)
        span = form.span()
        unit = form.unit_of(span)
        told = analytics_words.everything(request.user.tenant, span, unit)
        if request.GET.get("format") == "csv":
            return _file(told, f"analytics-{span.first:%Y%m%d}-{span.last:%Y%m%d}.csv")
        context = {"form": form, "span": span, "told": told}
        return render(request, "notifications/analytics.html", context)


def _file(told: analytics_words.Told, name: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(csv_lines(_lines(told)), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _lines(told: analytics_words.Told) -> Iterator[Sequence[object]]:
    """Every table of the page, one under the other."""
    for table in told.tables():
        yield [table.title]
        yield [column.label for column in table.columns]
        for line in table.lines:
            yield [line.label, *line.cells]
        yield []
