"""Template filters for the tables of numbers. No queries."""

from __future__ import annotations

from collections.abc import Iterator

from django import template

from notifications.views.analytics_tables import Column, Line

register = template.Library()


@register.filter
def with_columns(line: Line, columns: list[Column]) -> Iterator[tuple[str, Column]]:
    """The cells of a line, each with its column; the first column is the label's."""
    return zip(line.cells, columns[1:], strict=True)
