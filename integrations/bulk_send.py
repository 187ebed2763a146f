"""One template to very many patients: rendered, checked and written some thousand at a time, in constant memory.

The same rules as for one message (gate, rendering, outbox, lifecycle), asked for many at once. Called by
``MessagingService`` for one context for all, and by ``integrations/bulk/`` for a send with values of each one's own.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from core.bulk import blank_row, insert_rows, tell_planner
from core.contacts import CONTACT_FIELDS, Contact
from core.ids import ordered_uuid, ordered_uuids
from core.models import Patient, Tenant, User
from core.tenancy import tenant_scope
from integrations import outbox, whatsapp
from notifications import gate, lifecycle, rendering, segments, whatsapp_approval
from notifications.models import Message, MessageLog, MessageTemplate, NotificationPreference, WhatsAppContent
from notifications.states import USEFUL_FOR, Channel, Lane, Reason

CHUNK = 2500
# From here on the database's statistics are no longer right.
MANY = 5000
# A chunk that met the same send running beside it is made again; it then finds the other one's rows.
_TRIES = 3


def send(
    *,
    tenant_id: uuid.UUID,
    patient_ids: Iterable[uuid.UUID],
    template_code: str,
    channel: str | None,
    context: Mapping[str, Any],
    sent_by: User | None,
    bulk_key: str,
) -> dict[str, int]:
    """Queues one message a patient in the bulk lane; see ``MessagingService.send_bulk_messages``."""
    counts = {"queued": 0, "refused": 0, "failed": 0}
    with tenant_scope(tenant_id):
        found = MessageTemplate.objects.filter(code=template_code, is_active=True)
        templates = {template.channel: template for template in found}
        if not templates or (channel is not None and channel not in templates):
            raise MessageTemplate.DoesNotExist(template_code)
        job = Job(
            tenant_id,
            templates,
            channel=channel,
            context=context,
            sent_by_id=sent_by.pk if sent_by is not None else None,
            key=bulk_key,
        )
    people = map(Recipient, patient_ids)
    while chunk := list(itertools.islice(people, CHUNK)):
        for name, count in job.write(chunk).items():
            counts[name] += count
    if sum(counts.values()) >= MANY:
        tell_planner(Message, MessageLog)
    return counts


@dataclass(frozen=True, slots=True)
class Recipient:
    """One patient to write to, with the values that only this message has, and the object that it is about."""

    patient_id: uuid.UUID
    values: Mapping[str, Any] = field(default_factory=dict)
    object_id: uuid.UUID | None = None
    object_version: int = 0
    refusal: Reason | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """What the messages of one ``BulkSend`` carry beside the words: its id, what they are about, until when they are of use."""

    bulk_id: uuid.UUID
    lane: Lane
    object_type: str
    expires_at: dt.datetime | None


class Job:
    """What all chunks of one send share: the templates, and the values that are the same for everybody."""

    def __init__(
        self,
        tenant_id: uuid.UUID,
        templates: Mapping[str, MessageTemplate],
        *,
        channel: str | None,
        context: Mapping[str, Any],
        sent_by_id: uuid.UUID | None,
        key: str,
        frame: Frame | None = None,
        switched_off: Collection[str] = (),
    ) -> None:
        self.tenant = Tenant.objects.get(pk=tenant_id)
        # Channels whose template was switched off after its words were chosen.
        self.switched_off = switched_off
        self.templates = templates
        self.channel = channel
        self.context = context
        self.sent_by_id = sent_by_id
        self.key = key
        self.frame = frame
        self.lane = Lane.BULK if frame is None else frame.lane
        # What WhatsApp has approved of the templates; None where nobody asks for it.
        self._approved = whatsapp.approved_of(tenant_id, list(templates.values()))
        # Row id → the approved content that it is sent as.
        self._contents: dict[uuid.UUID, dict[str, Any]] = {}
        self._values: dict[tuple[str, str], str] = {}
        self._blanks: dict[str, dict[str, Any]] = {}
        self._compiled: dict[tuple[str, str], tuple[rendering.Compiled, rendering.Compiled]] = {}

    def write(self, people: Sequence[Recipient], *, inside: Callable[[], None] | None = None) -> Counter[str]:
        """Writes a chunk in one transaction, with what ``inside`` does at its end; counts by what became of each."""
        with tenant_scope(self.tenant.pk):
            try:
                with transaction.atomic():
                    return self._write(people, inside, may_be_there=False)
            except IntegrityError:
                pass
            # Some are there: this send was begun before, or runs twice at once.
            for _ in range(_TRIES):
                with contextlib.suppress(IntegrityError), transaction.atomic():
                    return self._write(people, inside, may_be_there=True)
            raise RuntimeError("another send with the same key keeps writing the same rows")

    def rows(self, people: Sequence[Recipient], now: dt.datetime) -> tuple[list[dict[str, Any]], list[Recipient]]:
        """The rows that would be written, each with its refusal under ``reason``; and those nothing can be rendered for."""
        failed: list[Recipient] = []
        return list(self._rendered(people, now, failed)), failed

    def _rendered(
        self, people: Sequence[Recipient], now: dt.datetime, failed: list[Recipient]
    ) -> Iterator[dict[str, Any]]:
        """All questions are asked of the database before the first row comes: from then on it may be busy with them."""
        wanted = {one.patient_id: one for one in people}
        patients = list(Patient.objects.filter(pk__among=wanted).only(*CONTACT_FIELDS).order_by())
        for patient in patients:
            patient.tenant = self.tenant
        self._contents.clear()
        # Nobody's id gets no message.
        failed += [wanted[pk] for pk in wanted.keys() - {patient.id for patient in patients}]
        preferences = gate.preferences_of(patients)
        groups = self._by_channel(patients, preferences)
        answers = {
            channel: gate.refusals_for_patients(
                theirs, preferences, channel=channel, notification_type=self.templates[channel].notification_type
            )
            for channel, theirs in groups.items()
        }
        keys = iter(ordered_uuids(len(patients)))
        return self._render(groups, answers, wanted, now, keys, failed)

    def _render(
        self,
        groups: Mapping[str, Sequence[Patient]],
        answers: Mapping[str, Mapping[uuid.UUID, tuple[Contact | None, NotificationPreference, Reason | None]]],
        wanted: Mapping[uuid.UUID, Recipient],
        now: dt.datetime,
        keys: Iterator[uuid.UUID],
        failed: list[Recipient],
    ) -> Iterator[dict[str, Any]]:
        for channel, theirs in groups.items():
            template = self.templates[channel]
            off = Reason.TEMPLATE_MISSING if channel in self.switched_off else None
            for patient in theirs:
                contact, preference, refusal = answers[channel][patient.id]
                one = wanted[patient.id]
                try:
                    row = self._row(next(keys), one, patient, template, contact, preference, now)
                except rendering.TemplateError:
                    failed.append(one)
                    continue
                row["reason"] = one.refusal or off or refusal or self._whatsapp(row, template, one, patient, contact)
                yield row

    def _write(
        self, people: Sequence[Recipient], inside: Callable[[], None] | None, *, may_be_there: bool
    ) -> Counter[str]:
        now = timezone.now()
        failed: list[Recipient] = []
        counts: Counter[str] = Counter()
        rows: Iterable[dict[str, Any]] = self._rendered(people, now, failed)
        if may_be_there:
            rows = self._without_those_there(list(rows), counts)
        written: list[dict[str, Any]] = []
        insert_rows(Message, self._begun(rows, now, written, counts))
        insert_rows(MessageLog, lifecycle.first_logs(written, now))
        # Twice in the list is one message, and is not told of.
        counts["failed"] += len(failed)
        contents = [self._contents[row["id"]] for row in written if not row["reason"] and row["id"] in self._contents]
        insert_rows(WhatsAppContent, contents)
        if inside is not None:
            inside()
        outbox.ring_on_commit(self.lane)
        return counts

    def _begun(
        self, rows: Iterable[dict[str, Any]], now: dt.datetime, written: list[dict[str, Any]], counts: Counter[str]
    ) -> Iterator[dict[str, Any]]:
        """Each row with its first state, noted and counted as it goes by."""
        states: dict[Reason | None, dict[str, Any]] = {}
        for row in rows:
            refusal = row["reason"]
            if refusal not in states:
                states[refusal] = lifecycle.first_fields(refusal, now)
            row.update(states[refusal])
            counts["queued" if refusal is None else "refused"] += 1
            written.append(row)
            yield row

    def _by_channel(
        self, patients: Sequence[Patient], preferences: Mapping[uuid.UUID, NotificationPreference]
    ) -> dict[str, list[Patient]]:
        """The channel asked for, or each patient's preferred one that has a template."""
        if self.channel is not None:
            return {self.channel: list(patients)}
        groups: dict[str, list[Patient]] = defaultdict(list)
        for patient in patients:
            preference = preferences[patient.id]
            offered = [channel for channel in gate.preferred_order(preference) if channel in self.templates]
            language = preference.preferred_language or patient.language
            groups[next((one for one in offered if self._may_go(one, language)), offered[0])].append(patient)
        return groups

    def _may_go(self, channel: str, language: str) -> bool:
        if channel != Channel.WHATSAPP or self._approved is None:
            return True
        return (self.templates[channel].pk, language) in self._approved

    def _whatsapp(
        self,
        row: Mapping[str, Any],
        template: MessageTemplate,
        one: Recipient,
        patient: Patient,
        contact: Contact | None,
    ) -> Reason | None:
        """Why WhatsApp would not take it. What it takes it as is kept for when the row is written."""
        if template.channel != Channel.WHATSAPP or self._approved is None:
            return None
        language = row["language"]
        approval = self._approved.get((template.pk, language))
        if approval is None:
            return Reason.WHATSAPP_UNAPPROVED
        names = self._texts(template, language)[1].names
        wishes = _wishes(contact)
        self._contents[row["id"]] = {
            "id": ordered_uuid(),
            "tenant_id": self.tenant.pk,
            "message_id": row["id"],
            "content_sid": approval.content_sid,
            "variables": whatsapp_approval.variables(
                [self._value(name, one, patient, language, wishes) for name in names]
            ),
        }
        return None

    def _row(
        self,
        key: uuid.UUID,
        one: Recipient,
        patient: Patient,
        template: MessageTemplate,
        contact: Contact | None,
        preference: NotificationPreference,
        now: dt.datetime,
    ) -> dict[str, Any]:
        guardian = contact.guardian if contact is not None else None
        own_language = preference.preferred_language or patient.language
        language = own_language if guardian is None else guardian.language
        subject, body = self._texts(template, language)
        wishes = _wishes(contact)
        text = self._fill(body, one, patient, language, wishes)
        row = self._blank(template, now) | {
            "id": key,
            "conversation_id": key,
            "patient_id": patient.id,
            "guardian_id": guardian.id if guardian is not None else None,
            "recipient": gate.address_of(contact, template.channel) if contact is not None else "",
            "language": language,
            "subject": self._fill(subject, one, patient, language, wishes)[:300],
            "body": text,
            "segments": segments.count(text).parts if template.channel == Channel.SMS else 0,
            "dedupe_key": f"bulk:{self.key}:{patient.id}",
        }
        if self.frame is not None:
            row["object_id"], row["object_version"] = one.object_id, one.object_version
        return row

    def _blank(self, template: MessageTemplate, now: dt.datetime) -> dict[str, Any]:
        """What all rows of a template share."""
        if template.channel not in self._blanks:
            # Columns that stay empty are left out: a third of them.
            self._blanks[template.channel] = {
                name: value for name, value in blank_row(Message).items() if value is not None
            } | {
                "tenant_id": self.tenant.pk,
                # Words of a send's own have no template.
                "template_id": template.id if template.code else None,
                "template_version": template.version if template.code else None,
                "notification_type": template.notification_type,
                "sent_by_id": self.sent_by_id,
                "lane": self.lane.value,
                "channel": template.channel,
                "sender": outbox.sender_for(None, template.channel),
            }
            if self.frame is not None:
                self._blanks[template.channel] |= {
                    "bulk_id": self.frame.bulk_id,
                    "object_type": self.frame.object_type,
                }
        blank = self._blanks[template.channel]
        if blank["created_at"] is not now:
            expires_at = self.frame.expires_at if self.frame is not None else None
            expires_at = expires_at or now + USEFUL_FOR[template.notification_type]
            blank |= {"created_at": now, "updated_at": now, "expires_at": expires_at}
        return blank

    def _texts(self, template: MessageTemplate, language: str) -> tuple[rendering.Compiled, rendering.Compiled]:
        key = (template.channel, language)
        if key not in self._compiled:
            self._compiled[key] = template.texts(language)
        return self._compiled[key]

    def _fill(
        self, text: rendering.Compiled, one: Recipient, patient: Patient, language: str, wishes: Contact | None
    ) -> str:
        return text.fill({name: self._value(name, one, patient, language, wishes) for name in text.names})

    def _value(self, name: str, one: Recipient, patient: Patient, language: str, wishes: Contact | None) -> str:
        """``wishes``: the reader, where they read other digits or another calendar than most."""
        if wishes is not None:
            values = {"patient_name": patient, **self.context, **one.values}
            suited = rendering.for_reader({name: values.get(name)}, wishes)
            return rendering.fill_value(name, suited[name], language)
        if name in one.values:
            return rendering.fill_value(name, one.values[name], language)
        if name == "patient_name" and name not in self.context:
            return rendering.fill_value(name, patient, language)
        key = (name, language)
        if key not in self._values:
            self._values[key] = rendering.fill_value(name, self.context.get(name), language)
        return self._values[key]

    def _without_those_there(self, rows: Sequence[dict[str, Any]], counts: Counter[str]) -> list[dict[str, Any]]:
        """The new ones. One that is there already is counted as it stands; with other words it is a mistake."""
        keys = [row["dedupe_key"] for row in rows]
        there = {message.dedupe_key: message for message in Message.objects.filter(dedupe_key__among=keys)}
        fresh = []
        for row in rows:
            known = there.get(row["dedupe_key"])
            if known is None:
                fresh.append(row)
                continue
            outbox.refuse_other_content(known, Message(**{name: row[name] for name in outbox.CONTENT}))
            counts["refused" if known.reason else "queued"] += 1
        return fresh


def _wishes(contact: Contact | None) -> Contact | None:
    """The reader, if they read other digits or another calendar. Most do not: then a value is made once for all."""
    return contact if contact is not None and (contact.numerals == "arab" or contact.show_hijri) else None
