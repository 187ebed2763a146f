"""One template to very many patients: rendered, checked and written some thousand at a time, in constant memory.

The same rules as for one message (gate, rendering, outbox, lifecycle), asked for many at once. ``MessagingService``
is the door; nothing else calls this.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from core.bulk import blank_row, insert_rows, tell_planner
from core.contacts import CONTACT_FIELDS, Contact
from core.ids import ordered_uuid
from core.models import Patient, Tenant, User
from core.tenancy import tenant_scope
from integrations import outbox
from notifications import gate, lifecycle, rendering, segments
from notifications.models import Message, MessageLog, MessageTemplate, NotificationPreference
from notifications.states import USEFUL_FOR, Channel, Lane

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
        job = _Job(tenant_id, templates, channel, context, sent_by, bulk_key)
    ids = iter(patient_ids)
    while chunk := list(itertools.islice(ids, CHUNK)):
        for name, count in job.write(chunk).items():
            counts[name] += count
    if sum(counts.values()) >= MANY:
        tell_planner(Message, MessageLog)
    return counts


class _Job:
    """What all chunks of one send share: the templates, and the values that are the same for everybody."""

    def __init__(
        self,
        tenant_id: uuid.UUID,
        templates: Mapping[str, MessageTemplate],
        channel: str | None,
        context: Mapping[str, Any],
        sent_by: User | None,
        bulk_key: str,
    ) -> None:
        self.tenant = Tenant.objects.get(pk=tenant_id)
        self.templates = templates
        self.channel = channel
        self.context = context
        self.sent_by = sent_by
        self.bulk_key = bulk_key
        self._values: dict[tuple[str, str], str] = {}
        self._blanks: dict[uuid.UUID, dict[str, Any]] = {}
        self._compiled: dict[tuple[uuid.UUID, str], tuple[rendering.Compiled, rendering.Compiled]] = {}

    def write(self, ids: Sequence[uuid.UUID]) -> Counter[str]:
        """Writes a chunk in one transaction; counts by what became of each."""
        with tenant_scope(self.tenant.pk):
            try:
                with transaction.atomic():
                    return self._write(ids, may_be_there=False)
            except IntegrityError:
                pass
            # Some are there: this send was begun before, or runs twice at once.
            for _ in range(_TRIES):
                with contextlib.suppress(IntegrityError), transaction.atomic():
                    return self._write(ids, may_be_there=True)
            raise RuntimeError("another send with the same key keeps writing the same rows")

    def _write(self, ids: Sequence[uuid.UUID], *, may_be_there: bool) -> Counter[str]:
        now = timezone.now()
        patients = list(Patient.objects.filter(pk__among=ids).only(*CONTACT_FIELDS).order_by())
        for patient in patients:
            patient.tenant = self.tenant
        # Twice in the list, or nobody's id: neither gets a message, and the second is told of.
        counts: Counter[str] = Counter(failed=len(set(ids)) - len(patients))
        messages: list[dict[str, Any]] = []
        logs: list[dict[str, Any]] = []
        preferences = gate.preferences_of(patients)
        for channel, theirs in self._by_channel(patients, preferences).items():
            template = self.templates[channel]
            answers = gate.refusals_for_patients(
                theirs, preferences, channel=channel, notification_type=template.notification_type
            )
            for patient in theirs:
                contact, preference, refusal = answers[patient.id]
                try:
                    row = self._row(patient, template, contact, preference, now)
                except rendering.TemplateError:
                    counts["failed"] += 1
                    continue
                row["reason"] = refusal
                messages.append(row)
        fresh = self._without_those_there(messages, counts) if may_be_there else messages
        for row in fresh:
            refusal = row["reason"]
            fields, its_logs = lifecycle.first_state(
                row["id"], self.tenant.pk, refusal=refusal, actor_id=row["sent_by_id"], now=now
            )
            row.update(fields)
            logs += its_logs
            counts["queued" if refusal is None else "refused"] += 1
        insert_rows(Message, fresh)
        insert_rows(MessageLog, logs)
        outbox.ring_on_commit(Lane.BULK)
        return counts

    def _by_channel(
        self, patients: Sequence[Patient], preferences: Mapping[uuid.UUID, NotificationPreference]
    ) -> dict[str, list[Patient]]:
        """The channel asked for, or each patient's preferred one that has a template."""
        if self.channel is not None:
            return {self.channel: list(patients)}
        groups: dict[str, list[Patient]] = defaultdict(list)
        for patient in patients:
            order = gate.preferred_order(preferences[patient.id])
            groups[next(channel for channel in order if channel in self.templates)].append(patient)
        return groups

    def _row(
        self,
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
        text = self._fill(body, patient, language)
        key = ordered_uuid()
        return self._blank(template, now) | {
            "id": key,
            "conversation_id": key,
            "patient_id": patient.id,
            "guardian_id": guardian.id if guardian is not None else None,
            "recipient": gate.address_of(contact, template.channel) if contact is not None else "",
            "language": language,
            "subject": self._fill(subject, patient, language)[:300],
            "body": text,
            "segments": segments.count(text).parts if template.channel == Channel.SMS else 0,
            "dedupe_key": f"bulk:{self.bulk_key}:{patient.id}",
        }

    def _blank(self, template: MessageTemplate, now: dt.datetime) -> dict[str, Any]:
        """What all rows of a template share."""
        if template.id not in self._blanks:
            # Columns that stay empty are left out: a third of them.
            self._blanks[template.id] = {
                name: value for name, value in blank_row(Message).items() if value is not None
            } | {
                "tenant_id": self.tenant.pk,
                "template_id": template.id,
                "template_version": template.version,
                "notification_type": template.notification_type,
                "sent_by_id": self.sent_by.pk if self.sent_by is not None else None,
                "lane": Lane.BULK.value,
                "channel": template.channel,
                "sender": outbox.sender_for(None, template.channel),
            }
        blank = self._blanks[template.id]
        if blank["created_at"] is not now:
            expires_at = now + USEFUL_FOR[template.notification_type]
            blank |= {"created_at": now, "updated_at": now, "expires_at": expires_at}
        return blank

    def _texts(self, template: MessageTemplate, language: str) -> tuple[rendering.Compiled, rendering.Compiled]:
        key = (template.id, language)
        if key not in self._compiled:
            self._compiled[key] = template.texts(language)
        return self._compiled[key]

    def _fill(self, text: rendering.Compiled, patient: Patient, language: str) -> str:
        return text.fill({name: self._value(name, patient, language) for name in text.names})

    def _value(self, name: str, patient: Patient, language: str) -> str:
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
