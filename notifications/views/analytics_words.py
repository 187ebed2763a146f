"""The analytics of a range in words: cards, charts, and tables that the page and the file share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from core.models import Tenant
from notifications import analytics
from notifications.analytics import Report, Step
from notifications.models import Dimension
from notifications.rollup_sources import Counts, Span
from notifications.states import Channel
from notifications.views import analytics_tables, figures
from notifications.views.analytics_tables import DASH, Column, Line, Table, per_cent
from notifications.views.figures import COLOURS, Card, number

# Of the period before only what is compared with.
_COMPARED = (Dimension.STATUS, Dimension.VISIT, Dimension.ALERT)


@dataclass(frozen=True, slots=True)
class Chart:
    """``data`` is what static/js/charts.js draws; ``table`` has the same numbers."""

    key: str
    title: str
    hint: str
    label: str
    data: dict[str, Any]
    table: Table
    has_legend: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """The whole page."""

    is_empty: bool
    compared: str
    cards: Sequence[Card]
    charts: Sequence[Chart]
    funnel: Table
    channels: Table
    types: Table
    templates: Table
    causes: Table
    departments: Table
    providers: Table
    attendance: Table
    opt_outs: Table
    answers: Table
    answer_facts: Sequence[tuple[str, str, str]]

    def tables(self) -> Iterable[Table]:
        yield from (chart.table for chart in self.charts)
        yield from (self.funnel, self.channels, self.types, self.templates, self.causes, self.departments)
        yield from (self.providers, self.attendance, self.opt_outs, self.answers)


def everything(tenant: Tenant, span: Span, unit: str) -> Told:
    """Of the open tenant, which is ``tenant``."""
    book = analytics.open_book()
    now = analytics.report(span, book=book)
    before = analytics.report(analytics.before(span), _COMPARED, book)
    steps = analytics.series(span, unit, book)
    return Told(
        is_empty=not now.totals.all.messages and not any(one.visits for one in now.visits.values()),
        compared=figures.compared(span),
        cards=_cards(span, now, before, steps),
        charts=[_volume(span, steps, unit), _rates(span, steps, unit)],
        funnel=analytics_tables.funnel(span, now),
        channels=analytics_tables.channels(span, now),
        types=analytics_tables.types(span, now),
        templates=analytics_tables.templates(span, now),
        causes=analytics_tables.causes(span, now),
        departments=analytics_tables.departments(span, now),
        providers=analytics_tables.providers(span, now),
        attendance=analytics_tables.attendance(now),
        opt_outs=analytics_tables.opt_outs(now),
        answers=analytics_tables.answers(now),
        answer_facts=analytics_tables.answer_facts(tenant, now, before),
    )


# --- cards and charts ------------------------------------------------------------------------------------------------


def _cards(span: Span, now: Report, before: Report, steps: Sequence[Step]) -> list[Card]:
    everybody, earlier = now.totals.all, before.totals.all
    cards = [
        Card(
            _("Messages"),
            "messages",
            number(everybody.messages),
            change=figures.change_of(everybody.messages, earlier.messages),
            url=figures.messages_url(span),
            **_spark([step.all.messages for step in steps]),
        ),
        Card(
            _("Success rate"),
            "circle-check",
            f"{now.totals.success_rate}",
            unit="%",
            change=figures.points_of(now.totals.success_rate, before.totals.success_rate, earlier.messages),
            hint=_("Delivered or read, of all messages"),
            **_spark([analytics.success_rate(step.all) for step in steps]),
        ),
    ]
    spent, spent_before = _spent(now), _spent(before)
    if not spent:
        cards.append(Card(_("Cost"), "coin", DASH, hint=_("No provider has named a price yet")))
    for currency, counts in spent.items():
        earlier_cost = spent_before.get(currency, Counts()).cost
        each = counts.cost / counts.messages
        cards.append(
            Card(
                _("Cost"),
                "coin",
                f"{counts.cost:,.2f}",
                unit=_(currency),
                change=figures.change_of(counts.cost, earlier_cost),
                hint=_("%(cost)s a message") % {"cost": figures.money(each, currency, places=4)},
            )
        )
    missed, missed_before = _missed(now), _missed(before)
    cards.append(
        Card(
            _("No-show rate"),
            "user-x",
            f"{missed.rate}" if missed.visits else DASH,
            unit="%" if missed.visits else "",
            change=figures.points_of(missed.rate, missed_before.rate, missed_before.visits, more_is="bad"),
            hint=_("of the visits that were due"),
        )
    )
    return cards


def _spark(values: Sequence[float]) -> dict[str, str]:
    line, area = figures.spark(values)
    return {"line": line, "area": area}


def _spent(report: Report) -> dict[str, Counts]:
    """Currency → all that was paid in it. The largest first."""
    made: dict[str, Counts] = {}
    for currency, dimensions in report.costs.items():
        total = made.setdefault(currency, Counts())
        for counts in dimensions[Dimension.STATUS].values():
            total.add(counts)
    return dict(sorted(made.items(), key=lambda item: -item[1].cost))


def _missed(report: Report) -> analytics.Attendance:
    made = analytics.Attendance()
    for one in report.visits.values():
        made.visits += one.visits
        made.missed += one.missed
    return made


def _step(step: Step, span: Span) -> tuple[str, str]:
    return figures.step_title(step.first, step.last), figures.messages_url(Span(step.first, step.last, span.zone))


def _volume(span: Span, steps: Sequence[Step], unit: str) -> Chart:
    lines = []
    for step in steps:
        title, url = _step(step, span)
        cells = [number(step.by_channel[channel].messages) for channel in Channel]
        counts = step.all
        cells += [number(counts.messages), per_cent(counts.delivered, counts.messages), number(counts.failed)]
        lines.append(Line(title, cells, url))
    data = {
        "type": "bar",
        "stacked": True,
        "labels": [figures.step_label(step.first, unit) for step in steps],
        "urls": [line.url for line in lines],
        "series": [
            {
                "label": str(channel.label),
                "color": COLOURS[channel],
                "data": [step.by_channel[channel].messages for step in steps],
            }
            for channel in Channel
        ],
    }
    columns = [
        Column(_("Days")),
        *(Column(str(channel.label)) for channel in Channel),
        Column(_("All")),
        Column(_("Success rate")),
        Column(_("Failed")),
    ]
    title = {"day": _("Messages a day"), "week": _("Messages a week"), "month": _("Messages a month")}[unit]
    return Chart(
        "volume",
        title,
        _("By channel. Choose a bar to see its messages."),
        _("Bars of the messages of each period, by channel. The table below has the same numbers."),
        data,
        Table("volume-table", title, columns, lines),
        has_legend=True,
    )


def _rates(span: Span, steps: Sequence[Step], unit: str) -> Chart:
    """Success by channel, as lines."""

    def rate(counts: Counts) -> float | None:
        return analytics.success_rate(counts) if counts.messages else None

    used = [channel for channel in Channel if any(step.by_channel[channel].messages for step in steps)]
    data = {
        "type": "line",
        "labels": [figures.step_label(step.first, unit) for step in steps],
        "suffix": "%",
        "max": 100,
        "series": [
            {
                "label": str(channel.label),
                "color": COLOURS[channel],
                "data": [rate(step.by_channel[channel]) for step in steps],
            }
            for channel in used
        ],
    }
    lines = []
    for step in steps:
        title, url = _step(step, span)
        counts = [step.by_channel[channel] for channel in used]
        lines.append(Line(title, [per_cent(one.delivered, one.messages) for one in counts], url))
    columns = [Column(_("Days")), *(Column(str(channel.label)) for channel in used)]
    return Chart(
        "rates",
        _("Success rate by channel"),
        _("Delivered or read, of all messages"),
        _("Lines of the success rate of each channel. The table below has the same numbers."),
        data,
        Table("rates-table", _("Success rate by channel"), columns, lines),
        has_legend=True,
    )
