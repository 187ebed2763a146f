"""A template for one patient: which can be used, its placeholders filled from the patient's visit or bill, and sending it."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from appointments.models import Appointment
from core.contacts import Contact, contact_for
from core.errors import DomainError
from core.models import Location, Patient, User
from finance.models import Invoice
from integrations.messaging_service import MessagingService
from integrations.outbox import Origin
from notifications import address, default_words, gate, rendering, template_context
from notifications.models import Message, MessageTemplate, NotificationEvent
from notifications.registry import Audience
from notifications.states import Channel, Reason
from notifications.template_context import LABELS

# Nobody writes more into a reminder's place or time.
MAX_VALUE = 300
_GONE = (Appointment.Status.CANCELLED, Appointment.Status.ENTERED_IN_ERROR)


def usable() -> list[MessageTemplate]:
    """The active templates that are written to patients, by the names on the page. Those of staff are not for them."""
    rows = MessageTemplate.objects.filter(is_active=True, archived_at=None)
    found = [row for row in rows if _is_for_patients(row)]
    return sorted(found, key=default_words.title)


def _is_for_patients(template: MessageTemplate) -> bool:
    entry = template_context.entry_of(template.code)
    return entry is None or entry[1] is Audience.PATIENT


@dataclass(slots=True)
class Filling:
    """What a template says to this patient now. ``values`` as the event gives them; ``obstacle`` says why it cannot go."""

    template: MessageTemplate
    language: str
    values: Mapping[str, Any] = field(default_factory=dict)
    obstacle: str = ""
    location: Location | None = None
    useful_until: dt.datetime | None = None
    subject: Any = None

    @property
    def names(self) -> list[str]:
        """The placeholders that stand in the words of the reader's language, in their order."""
        subject, body = self.template.texts(self.language)
        return list(dict.fromkeys([*subject.names, *body.names]))

    def text_of(self, name: str) -> str:
        value = self.values.get(name)
        return "" if value in (None, "") else rendering.value_text(value, self.language)

    def is_link(self, name: str) -> bool:
        return isinstance(self.values.get(name), rendering.Link)


def filling(template: MessageTemplate, patient: Patient, *, keeps: bool) -> Filling:
    """``keeps``: what reading makes (the patient's link) stays; else it leaves nothing behind."""
    preference = gate.preference_of(patient)
    contact = contact_for(patient)
    language = preference.preferred_language or patient.language
    if isinstance(contact, Contact) and contact.guardian is not None:
        language = contact.language
    made = Filling(template, language)
    refusal = gate.refusal_for_patient(
        patient=patient,
        preference=preference,
        channel=template.channel,
        notification_type=template.notification_type,
    )
    if refusal is not None:
        made.obstacle = str(Reason(refusal).label)
    # As the sender adds it: how the reader is addressed.
    addressed = rendering.for_reader(address.values_for(patient), contact if isinstance(contact, Contact) else None)
    entry = template_context.entry_of(template.code)
    if entry is None:
        made.values = {"patient_name": patient, "clinic_name": patient.tenant, **addressed}
        return made
    event, made.subject = _event_of(entry[0].key, patient)
    if event is None:
        made.obstacle = made.obstacle or _("There is no visit or bill that this template could be about.")
        return made
    with transaction.atomic():
        told = entry[0].describe(event)
        if not keeps:
            transaction.set_rollback(True)
    made.values, made.location, made.useful_until = {**told.context, **addressed}, told.location, told.useful_until
    if told.refusal is not None:
        made.obstacle = made.obstacle or str(Reason(told.refusal).label)
    return made


def _event_of(key: str, patient: Patient) -> tuple[NotificationEvent | None, Appointment | Invoice | None]:
    """The event as it would be about the patient's next visit (or the last one, or the last bill). Never saved."""
    found: Appointment | Invoice | None
    if key.startswith("billing."):
        found = Invoice.objects.filter(patient=patient).order_by("-created_at").first()
    else:
        visits: QuerySet[Appointment] = Appointment.objects.filter(patient=patient).exclude(status__in=_GONE)
        coming = visits.filter(starts_at__gte=timezone.now()).order_by("starts_at").first()
        found = coming or visits.order_by("-starts_at").first()
    if found is None:
        return None, None
    event = NotificationEvent(
        id=uuid.uuid4(),
        tenant_id=patient.tenant_id,
        key=key,
        object_type=found._meta.label_lower,
        object_id=found.pk,
        object_version=getattr(found, "version", 0),
        payload={},
        created_at=timezone.now(),
    )
    return event, found


class TemplateValuesForm(forms.Form):
    """One field for each placeholder, filled with what we know. Links are the patient's own and cannot be typed."""

    key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, filled: Filling) -> None:
        super().__init__(data, initial={"key": uuid.uuid4()})
        self.filled = filled
        for name in filled.names:
            if filled.is_link(name):
                continue
            self.fields[f"v_{name}"] = forms.CharField(
                label=LABELS.get(name, name),
                max_length=MAX_VALUE,
                initial=filled.text_of(name),
                widget=forms.TextInput(attrs={"dir": "auto", "autocomplete": "off"}),
            )

    def values(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith("v_")]

    def context(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The values to render with. What nobody has changed stays as the event gave it, with its own direction."""
        made = dict(self.filled.values)
        for name in self.filled.names:
            typed = data.get(f"v_{name}")
            if typed is not None and typed.strip() != self.filled.text_of(name):
                made[name] = typed.strip()
        return made

    def preview(self) -> tuple[str, str]:
        """Subject and text as they would go now; a missing value stands as its name."""
        typed = self.data if self.is_bound else {f"v_{name}": self.filled.text_of(name) for name in self.filled.names}
        context = self.context(typed)
        known = {name: context.get(name) or f"[{LABELS.get(name, name)}]" for name in self.filled.names}
        subject, body = self.filled.template.texts(self.filled.language)
        made = {name: rendering.fill_value(name, value, self.filled.language) for name, value in known.items()}
        return subject.fill(made), body.fill(made)


def send(*, patient: Patient, form: TemplateValuesForm, user: User) -> Message:
    """Sends it, once for each form. Raises ``DomainError`` with the obstacle, or for a placeholder without a value."""
    filled = form.filled
    if filled.obstacle:
        raise DomainError(
            _("Not sent: %(reason)s.") % {"reason": filled.obstacle.rstrip(".")}, code="template_obstacle"
        )
    about = filled.subject
    try:
        return MessagingService().send_from_template(
            tenant_id=patient.tenant_id,
            template_code=filled.template.code,
            patient=patient,
            channel=Channel(filled.template.channel),
            context=form.context(form.cleaned_data),
            dedupe_key=f"single:{user.pk}:{form.cleaned_data['key']}",
            origin=Origin(
                sent_by=user,
                object_type=about._meta.label_lower if about is not None else "",
                object_id=about.pk if about is not None else None,
                object_version=getattr(about, "version", 0),
                location=filled.location,
                useful_until=filled.useful_until,
            ),
        )
    except rendering.TemplateError as error:
        raise DomainError(str(error), code="template_values") from error
