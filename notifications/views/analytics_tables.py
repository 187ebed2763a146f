"""The tables of the analytics page: each figure in words, with the address of the messages behind it. The file has
the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from core.models import Department, Tenant
from integrations import health
from notifications import analytics, default_words
from notifications.analytics import Report
from notifications.models import Dimension, MessageTemplate
from notifications.rollup_sources import Counts, Span
from notifications.states import Channel, NotificationType, Reason
from notifications.views import figures
from notifications.views.figures import number
from notifications.views.timeline import provider_name
from notifications.views.words import milliseconds

TOP_TEMPLATES = 10
TOP_CAUSES = 12
# A text message does not tell whether it was read.
_TELLS_READING = (Channel.WHATSAPP, Channel.EMAIL)
# Answers to arrivals by minutes: up to but not including.
_MINUTES = (1, 2, 5, 10, 30)
DASH = "–"


@dataclass(frozen=True, slots=True)
class Column:
    label: str
    is_number: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """``share`` (0 to 100) is a bar under the label; ``url`` the messages behind the line."""

    label: str
    cells: Sequence[str]
    url: str = ""
    share: float | None = None

    @property
    def permille(self) -> int:
        """A bar's length needs no decimal point, which is written differently from language to language."""
        return round((self.share or 0) * 10)


@dataclass(frozen=True, slots=True)
class Table:
    """The first column holds the labels."""

    key: str
    title: str
    columns: Sequence[Column]
    lines: Sequence[Line]
    hint: str = ""


def funnel(span: Span, now: Report) -> Table:
    counts = now.totals.all
    stages = [
        (_("Sent"), counts.sent, "sent"),
        (_("Delivered"), counts.delivered, "delivered"),
        (_("Read"), counts.read, "read"),
    ]
    if counts.clicked:
        stages.append((_("Link opened"), counts.clicked, "clicked"))
    lines = [
        Line(
            label,
            [number(n), per_cent(n, counts.sent)],
            figures.figure_url(span, stage=stage) if n else "",
            analytics.share(n, counts.sent),
        )
        for label, n, stage in stages
    ]
    return Table(
        "funnel",
        _("From sent to read"),
        [Column(_("Stage")), Column(_("Messages")), Column(_("Of those sent"))],
        lines,
        _("Text messages do not tell whether they were read."),
    )


def channels(span: Span, now: Report) -> Table:
    lines = []
    for channel in Channel:
        counts = now.totals.by_channel.get(channel)
        if counts is None or not counts.messages:
            continue
        read = per_cent(counts.read, counts.delivered) if channel in _TELLS_READING else DASH
        cells = [
            number(counts.messages),
            per_cent(counts.delivered, counts.messages),
            read,
            number(counts.failed),
            *_paid(now, Dimension.STATUS, channel),
        ]
        lines.append(Line(str(channel.label), cells, figures.messages_url(span, channel=channel)))
    columns = [_("Channel"), _("Messages"), _("Success rate"), _("Read, of delivered"), _("Failed"), *_cost_columns()]
    return Table("channels", _("Channels compared"), [Column(label) for label in columns], lines)


def types(span: Span, now: Report) -> Table:
    lines = [
        Line(
            str(NotificationType(key).label),
            [number(counts.messages), per_cent(counts.delivered, counts.messages), number(counts.failed)],
            figures.messages_url(span, type=key),
        )
        for key, counts in _largest(now.by_type)
    ]
    columns = [_("Type"), _("Messages"), _("Success rate"), _("Failed")]
    return Table("types", _("By type of message"), [Column(label) for label in columns], lines)


def templates(span: Span, now: Report) -> Table:
    top = _largest({key: counts for key, counts in now.by_template.items() if key})[:TOP_TEMPLATES]
    names = {
        str(row.pk): default_words.title(row) for row in MessageTemplate.objects.filter(pk__in=[k for k, _c in top])
    }
    has_clicks = any(counts.clicked for _key, counts in top)
    lines = []
    for key, counts in top:
        cells = [
            number(counts.messages),
            per_cent(counts.delivered, counts.messages),
            per_cent(counts.read, counts.delivered) if counts.read else DASH,
            *([per_cent(counts.clicked, counts.delivered)] if has_clicks else []),
            _paid(now, Dimension.TEMPLATE, key)[0],
        ]
        lines.append(Line(names.get(key, DASH), cells, figures.messages_url(span, template=key)))
    columns = [_("Template"), _("Messages"), _("Success rate"), _("Read, of delivered")]
    columns += [*([_("Link opened, of delivered")] if has_clicks else []), _("Cost")]
    return Table("templates", _("Most used templates"), [Column(label) for label in columns], lines)


def causes(span: Span, now: Report) -> Table:
    """What did not arrive and why."""
    whole = sum(now.causes.values())
    top = sorted(now.causes.items(), key=lambda item: -item[1])[:TOP_CAUSES]
    lines = [
        Line(
            cause(key),
            [str(Channel(channel).label), number(n), per_cent(n, whole)],
            figures.figure_url(span, cause=key, channel=channel),
            analytics.share(n, whole),
        )
        for (key, channel), n in top
    ]
    columns = [Column(_("Reason")), Column(_("Channel"), is_number=False), Column(_("Messages")), Column(_("Share"))]
    return Table("causes", _("Why messages did not arrive"), columns, lines)


def cause(key: str) -> str:
    if not key:
        return _("No reason was given")
    provider, colon, code = key.partition(":")
    # "opt_out:channel" is a reason of ours with a colon.
    if key in Reason.values:
        return str(Reason(key).label)
    words = health.explain(provider, code) if colon else ""
    if words:
        return words.rstrip(".")
    return _("%(provider)s, code %(code)s") % {"provider": capfirst(provider_name(provider)), "code": code or key}


def departments(span: Span, now: Report) -> Table:
    names = {str(row.pk): row.name for row in Department.objects.all()}
    lines = [
        Line(
            names.get(key, _("Without a department")),
            [
                number(counts.messages),
                per_cent(counts.delivered, counts.messages),
                *_paid(now, Dimension.DEPARTMENT, key),
            ],
            figures.figure_url(span, department=key or "none"),
        )
        for key, counts in _largest(now.by_department)
    ]
    columns = [_("Department"), _("Messages"), _("Success rate"), *_cost_columns()]
    return Table(
        "departments",
        _("By department"),
        [Column(label) for label in columns],
        lines,
        _("Of the visit that a message is about"),
    )


def providers(span: Span, now: Report) -> Table:
    lines = [
        Line(
            capfirst(provider_name(one.provider)),
            [
                str(Channel(one.channel).label),
                number(one.calls),
                per_cent(one.accepted, one.calls),
                _time(one.within(50)),
                _time(one.within(95)),
            ],
            figures.messages_url(span, provider=one.provider, channel=one.channel),
        )
        for one in now.calls
    ]
    columns = [
        Column(pgettext("sends messages", "Provider")),
        Column(_("Channel"), is_number=False),
        Column(_("Attempts")),
        Column(_("Accepted")),
        Column(_("Half answered within")),
        Column(_("95% answered within")),
    ]
    return Table("providers", pgettext("sends messages", "Providers"), columns, lines)


def attendance(now: Report) -> Table:
    labels = {"reminded": _("With a reminder"), "unreminded": _("Without a reminder")}
    lines = []
    for key, label in labels.items():
        one = now.visits.get(key, analytics.Attendance())
        rate = per_cent(one.missed, one.visits)
        lines.append(Line(label, [number(one.visits), number(one.missed), rate], share=one.rate))
    columns = [_("Visits"), _("Were due"), _("No-shows"), _("No-show rate")]
    return Table(
        "attendance",
        _("No-shows, with and without a reminder"),
        [Column(label) for label in columns],
        lines,
        _("A reminder counts when it was sent, delivered or read."),
    )


def opt_outs(now: Report) -> Table:
    lines = []
    for channel in Channel:
        counts = now.totals.by_channel.get(channel, Counts())
        n = now.opt_outs.get(channel, 0)
        if counts.sent or n:
            per_thousand = f"{n / counts.sent * 1000:.1f}" if counts.sent else DASH
            lines.append(Line(str(channel.label), [number(n), number(counts.sent), per_thousand]))
    columns = [_("Channel"), _("Opted out"), _("Messages sent"), _("Per 1,000 sent")]
    return Table("opt-outs", _("Opt-outs"), [Column(label) for label in columns], lines)


def answers(now: Report) -> Table:
    found, lines, low = now.answers, [], 0
    for high in _MINUTES:
        n = sum(count for took, count in found.minutes.items() if low <= took < high)
        words = _("%(low)s to %(high)s minutes") if low else _("Within a minute")
        label = words % {"low": low, "high": high}
        lines.append((label, n))
        low = high
    lines.append((_("Later"), sum(count for took, count in found.minutes.items() if took >= low)))
    lines.append((_("By nobody"), found.unanswered))
    return Table(
        "answers",
        _("How fast staff answered arrivals"),
        [Column(_("Answered")), Column(_("Arrivals")), Column(_("Share"))],
        [
            Line(label, [number(n), per_cent(n, found.alerts)], share=analytics.share(n, found.alerts))
            for label, n in lines
            if found.alerts
        ],
        _("From the alert until somebody opened or acknowledged it"),
    )


def answer_facts(tenant: Tenant, now: Report, before: Report) -> list[tuple[str, str, str]]:
    """(what, number, beside it)."""
    within = tenant.escalate_after_minutes
    found, earlier = now.answers, before.answers
    if not found.alerts:
        return []
    minutes = _minutes(found.median)
    share = _("%(share)s%% in the period before") % {"share": earlier.share_within(within)} if earlier.alerts else ""
    title = ngettext("Within %(minutes)s minute", "Within %(minutes)s minutes", within) % {"minutes": within}
    median_before = _("%(time)s in the period before") % {"time": _minutes(earlier.median)} if earlier.alerts else ""
    return [
        (_("Half were answered within"), minutes, median_before),
        (title, f"{found.share_within(within)}%", share),
        (_("Arrivals with an alert"), number(found.alerts), ""),
    ]


def _minutes(begun: int | None) -> str:
    """Whole minutes are counted without the one that has begun: 0 is “less than a minute”."""
    if begun is None:
        return DASH
    return ngettext("%(minutes)s minute", "%(minutes)s minutes", begun + 1) % {"minutes": begun + 1}


# --- cells -----------------------------------------------------------------------------------------------------------


def _largest(found: dict[str, Counts]) -> list[tuple[str, Counts]]:
    return sorted(found.items(), key=lambda item: (-item[1].messages, item[0]))


def per_cent(part: int, whole: int) -> str:
    return f"{analytics.share(part, whole)}%" if whole else DASH


def _time(value: int | None) -> str:
    return milliseconds(value) if value else _("longer than 30 s")


def _cost_columns() -> list[str]:
    return [_("Cost"), _("Cost a message")]


def _paid(now: Report, dimension: Dimension, key: str) -> tuple[str, str]:
    """What it cost altogether and each; several currencies side by side."""
    totals, each = [], []
    for currency, dimensions in now.costs.items():
        counts = dimensions.get(dimension, {}).get(key)
        if counts is not None and counts.cost:
            totals.append(figures.money(counts.cost, currency))
            each.append(figures.money(counts.cost / Decimal(counts.messages), currency, places=4))
    return " · ".join(totals) or DASH, " · ".join(each) or DASH
