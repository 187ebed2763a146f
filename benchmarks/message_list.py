"""The message list of one of twenty clinic groups with a year of messages: every filter that the page offers, pairs of
them that nothing fits, search, and deep pages.

The whole of Django in this process, from the request to the rendered page: middleware, session, user, template.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

from benchmarks.inbox_page import Visitor, collect_static
from benchmarks.measure import Measure, p95
from benchmarks.year import seed

SIZE = 5_000_000
SAMPLES = 20
GOAL_MS = 150.0
PAGE = "/notifications/messages/"
_DEPTHS = {"deep_10": 0.10, "deep_50": 0.50, "deep_95": 0.95}


def run(folder: Path, size: int = SIZE) -> Iterator[Measure]:
    collect_static(folder)
    year = seed.found(size)
    visitor = Visitor(year.groups[0].admin_key)
    pages = views(year)
    for query in pages.values():  # templates, plans
        visitor.get(query, PAGE)
    slowest = 0.0
    for name, query in pages.items():
        taken = p95([visitor.get(query, PAGE) for _ in range(SAMPLES)])
        slowest = max(slowest, taken)
        yield Measure(f"message_list_{name}_p95", taken, "ms", None, GOAL_MS)
    yield Measure("message_list_slowest_p95", slowest, "ms", None, GOAL_MS)


def views(year: seed.Year) -> dict[str, dict[str, str]]:
    """Each filter alone with each of its values, what is rare or cannot be, who is searched for, and far down."""
    from core.models import Patient
    from core.tenancy import tenant_scope
    from notifications.message_filters import Period
    from notifications.models import Message, MessageTemplate
    from notifications.states import Channel, NotificationType, Status

    found: dict[str, dict[str, str]] = {"first": {}, "status_problem": {"status": "problem"}}
    found |= {f"status_{value.lower()}": {"status": value} for value in Status.values}
    found |= {f"channel_{value.lower()}": {"channel": value} for value in Channel.values}
    found |= {f"type_{value.lower()}": {"type": value} for value in NotificationType.values}
    found |= {f"period_{value}": {"period": value} for value in Period.values}
    found |= {f"provider_{value}": {"provider": value} for value in ("twilio", "unifonic", "smtp", "anymail")}
    day = year.now.date() - dt.timedelta(days=200)
    found["days_long_ago"] = {"since": f"{day}", "until": f"{day}"}
    with tenant_scope(year.groups[0].tenant_id):
        templates = list(MessageTemplate.objects.order_by("name").values_list("pk", flat=True))
        patient = Patient.objects.order_by("mrn")[7]
        rows = Message.objects.order_by("-created_at", "-pk")
        total = rows.count()
        for name, share in _DEPTHS.items():
            found[name] = {"older": cursor_at(rows, int(total * share))}
        sms = rows.filter(channel="SMS")
        found["deep_50_sms"] = {"channel": "SMS", "older": cursor_at(sms, sms.count() // 2)}
    found |= {f"template_{place}": {"template": str(pk)} for place, pk in enumerate(templates[:3])}
    found |= {
        "patient": {"patient": str(patient.pk)},
        "sent_by": {"sent_by": str(year.groups[0].admin_id)},
        # SMS does not report reading: the whole of the tenant's index is read to find that out.
        "pair_impossible": {"channel": "SMS", "status": "READ"},
        "pair_rare": {"channel": "EMAIL", "status": "BOUNCED", "type": "RESULTS"},
        "pair_many": {"channel": "WHATSAPP", "status": "DELIVERED", "period": "90", "provider": "twilio"},
        "search_name": {"q": patient.name_en},
        "search_common": {"q": patient.name_en.split()[0]},
        "search_arabic": {"q": patient.name_ar.split()[0]},
        "search_phone": {"q": patient.phone.replace("+966", "0")},
        "search_part_of_a_phone": {"q": patient.phone[-4:]},
        "search_email": {"q": patient.email or "nobody@nowhere.example"},
        "search_nothing": {"q": "qwertz"},
        "search_and_status": {"q": patient.name_en.split()[0], "status": "BOUNCED", "channel": "EMAIL"},
    }
    return found


def cursor_at(rows, place: int) -> str:  # type: ignore[no-untyped-def]  # a queryset of messages
    from core.keyset import Place

    return str(Place.of(rows.only("created_at")[place], "created_at"))
