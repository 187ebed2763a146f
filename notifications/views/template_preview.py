"""How a template's words will look: in both languages, with example data or a patient's own, counted and priced."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from appointments.models import Appointment
from core.access import get_or_404
from core.looks import record_look
from core.models import Look, Patient, Tenant
from core.selectors import matching
from core.tenancy import current_tenant_id
from finance.models import Invoice, Payment
from notifications import markup, prices, rendering, segments, template_checks, template_context
from notifications.models import MessageTemplate, NotificationEvent, TemplateVersion
from notifications.models.template import TEXTS, TemplateWords
from notifications.prices import Price
from notifications.segments import Segments
from notifications.states import Channel
from notifications.template_forms import OWN_TYPES

# As many as fit under the search without scrolling.
CANDIDATES = 5
# Longer texts are cut before they are looked at; the form refuses them.
_MOST = template_checks.MAX_BODY_EMAIL
_DIRECTIONS = {"en": "ltr", "ar": "rtl"}


@dataclass(frozen=True, slots=True)
class Preview:
    """One language. ``error`` says why there is nothing to see; prices are None where none is known."""

    language: str
    name: str
    channel: str
    sender: str = ""
    subject: str = ""
    body: str = ""
    error: str = ""
    count: Segments | None = None
    worst: Segments | None = None
    price: Price | None = None
    worst_price: Price | None = None
    # Where the email stands on the clinic's paper; only for words that are saved.
    letter: str = ""

    @property
    def direction(self) -> str:
        return _DIRECTIONS[self.language]

    @property
    def is_empty(self) -> bool:
        return not self.body and not self.subject and not self.error

    @property
    def shown(self) -> str:
        """As the phone shows it."""
        return markup.as_shown(self.body, self.channel)

    @property
    def paragraphs(self) -> list[str]:
        return [part for part in self.body.split("\n\n") if part.strip()]


def previews(
    template: MessageTemplate, words: TemplateWords, context: Mapping[str, Any] | None = None
) -> list[Preview]:
    """English and Arabic. Two queries: the price, and the clinic's name."""
    values = context if context is not None else template_context.examples(template, words.variables)
    price = prices.price_of_segment(template.channel)
    tenant = Tenant.objects.get(pk=current_tenant_id())
    names = {"en": _("English"), "ar": _("Arabic")}
    return [
        _preview(template, words, values, language, name, tenant.name_in(language), price)
        for language, name in names.items()
    ]


def saved_previews(template: MessageTemplate, words: MessageTemplate | TemplateVersion) -> list[Preview]:
    """The same of words that are saved, with example data; an email on the clinic's own paper, in a frame."""
    number = words.number if isinstance(words, TemplateVersion) else words.version
    rows = previews(template, words)
    if template.channel != Channel.EMAIL or not number:
        return rows
    address = reverse("notifications:template_letter", args=[template.pk, number])
    return [replace(row, letter=f"{address}?lang={row.language}" if row.body else "") for row in rows]


def _preview(
    template: MessageTemplate,
    words: TemplateWords,
    values: Mapping[str, Any],
    language: str,
    name: str,
    sender: str,
    price: Price | None,
) -> Preview:
    known = template_context.known_names(template, words.variables)
    try:
        body = rendering.render(getattr(words, f"body_{language}"), known, values, language)
        subject = rendering.render(getattr(words, f"subject_{language}"), known, values, language)
    except rendering.TemplateError as error:
        return Preview(language, name, template.channel, sender, error=str(error))
    longest = template_checks.longest_text(template, words, language) or ""
    is_sms = template.channel == Channel.SMS
    count, worst = (segments.count(body), segments.count(longest)) if is_sms else (None, None)
    parts, most = (count.parts, worst.parts) if count and worst else (1, 1)
    return Preview(
        language=language,
        name=name,
        channel=template.channel,
        sender=sender,
        subject=subject,
        body=body,
        count=count,
        worst=worst,
        price=price.times(parts) if price is not None and body else None,
        worst_price=price.times(max(most, parts)) if price is not None and most > parts else None,
    )


def candidates(text: str) -> list[Patient]:
    """Patients that match what was typed; nobody for nothing."""
    if not text.strip():
        return []
    return list(Patient.objects.filter(matching(text), merged_into=None).order_by("name_en", "pk")[:CANDIDATES])


def patient_context(template: MessageTemplate, words: TemplateWords, patient: Patient) -> dict[str, Any]:
    """The values as this patient would get them now: of the latest visit or bill, where the event is about one.

    What the patient has not got stays an example; so does the link, which would be theirs alone.
    """
    context = template_context.examples(template, words.variables)
    context |= {
        name: value
        for name, value in {"patient_name": patient, "recipient_name": patient, "clinic_name": patient.tenant}.items()
        if name in context
    }
    found = template_context.entry_of(template.code)
    if found is None:
        return context
    event = _event_of(found[0].key, patient)
    if event is None:
        return context
    with transaction.atomic():
        real = found[0].describe(event).context
        # Reading may make a patient's link; a preview leaves nothing behind.
        transaction.set_rollback(True)
    return context | {
        name: value
        for name, value in real.items()
        if name in context and value not in ("", None) and not isinstance(value, rendering.Link)
    }


def _event_of(key: str, patient: Patient) -> NotificationEvent | None:
    """The event as it would be about the patient's latest visit or bill; None without one. Never saved."""
    payload: dict[str, Any] = {}
    found: Appointment | Invoice | None
    if key.startswith("billing."):
        found = Invoice.objects.filter(patient=patient).order_by("-created_at").first()
        if found is not None and key == "billing.payment_received":
            payment = Payment.objects.filter(invoice=found).order_by("-created_at").first()
            if payment is None:
                return None
            payload = {"payment_id": str(payment.pk)}
    else:
        found = Appointment.objects.filter(patient=patient).order_by("-starts_at").first()
    if found is None:
        return None
    return NotificationEvent(
        id=uuid.uuid4(),
        tenant_id=patient.tenant_id,
        key=key,
        object_type=found._meta.label_lower,
        object_id=found.pk,
        payload=payload,
        created_at=dt.datetime.now(dt.UTC),
    )


def language_of(wanted: str, fallback: str) -> str:
    """One of the two."""
    return wanted if wanted in _DIRECTIONS else fallback if fallback in _DIRECTIONS else "en"


def shown_of(rows: Iterable[Preview], language: str) -> Preview:
    return next(row for row in rows if row.language == language)


# --- beside the editor -------------------------------------------------------------------------------------------------


def blank(data: Any = None) -> MessageTemplate:
    """A template that is not there yet, for the editor and its preview."""
    given = data or {}
    channel, kind = given.get("channel", Channel.SMS), given.get("notification_type", OWN_TYPES[0])
    return MessageTemplate(
        code="",
        channel=channel if channel in Channel.values else Channel.SMS,
        notification_type=kind if kind in OWN_TYPES else OWN_TYPES[0],
        version=0,
        is_active=False,
    )


def preview_context(request: HttpRequest, template: MessageTemplate, typed: Mapping[str, Any]) -> dict[str, Any]:
    """What the preview shows of what is typed; the patient and the language are those of the request."""
    extra = str(typed.get("extra") or "")
    words = TemplateVersion(
        template=template,
        **{name: template_checks.tidy(str(typed.get(name) or "")[:_MOST]) for name in TEXTS},
        variables=[name for name in extra.replace("،", " ").replace(",", " ").split() if name.isidentifier()],
    )
    search = request.POST.get("patient_search", "")[:100]
    patient = _patient(request)
    context = None
    if patient is not None:
        context = patient_context(template, words, patient)
        record_look(user=request.user, patient=patient, page=Look.Page.PREVIEW)
    rows = previews(template, words, context)
    language = language_of(request.POST.get("shown", ""), "en")
    findings = template_checks.look_over(template, words)
    return {
        "template": template,
        "previews": rows,
        "shown": shown_of(rows, language),
        "findings": findings if words.body_en or words.body_ar else [],
        "is_sms": template.channel == Channel.SMS,
        "patient": patient,
        "patient_search": search,
        "candidates": candidates(search),
    }


def _patient(request: HttpRequest) -> Patient | None:
    pk = request.POST.get("patient", "")
    return get_or_404(Patient.objects.select_related("tenant"), pk) if pk else None
