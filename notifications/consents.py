"""The only writer of consents: what a patient, or the guardian for them, has agreed to. Append-only; the latest counts.

Every record is proof (PDPL Implementing Regulation Art. 11): what for, over which channel, said by whom, when and how,
agreeing to which words in which language. A no is as easy to say as a yes and holds before the next send, because it is
written into the preference row that every send reads (``NotificationPreference.consents``), in the same transaction.

A yes of a guardian ends when the patient is of age. Needs the tenant's scope open.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from core import audit, merging
from core.access import Can
from core.errors import DomainError
from core.models import Guardian, Patient, User
from core.permissions import demand
from notifications.consent_states import (
    NO,
    ConsentStatus,
    Entry,
    Method,
    Purpose,
    entry,
    state,
    strictest,
)
from notifications.models import ConsentRecord, ConsentText, NotificationPreference
from notifications.states import Channel

EVIDENCE_LENGTH = 300
WORDS_LENGTH = 2000
SAYABLE = frozenset({ConsentStatus.GRANTED, ConsentStatus.REFUSED, ConsentStatus.WITHDRAWN})
# The words a new clinic group begins with: (English, Arabic).
FIRST_WORDS: Mapping[str, tuple[str, str]] = {
    Purpose.CARE: (
        "I agree to get messages about my appointments, results and bills.",
        "أوافق على استلام رسائل تخص المواعيد والنتائج والفواتير.",
    ),
    Purpose.AWARENESS: (
        "I agree to get health awareness messages from this clinic. I can withdraw this at any time.",
        "أوافق على استلام رسائل التوعية الصحية من هذه العيادة، ويمكن سحب هذه الموافقة في أي وقت.",
    ),
    Purpose.PROMOTION: (
        "I agree to get offers and news from this clinic. I can withdraw this at any time.",
        "أوافق على استلام عروض هذه العيادة وأخبارها، ويمكن سحب هذه الموافقة في أي وقت.",
    ),
    Purpose.WHATSAPP: (
        "I agree that this clinic writes to me on WhatsApp. I can withdraw this at any time.",
        "أوافق على أن تراسلني هذه العيادة عبر واتساب، ويمكن سحب هذه الموافقة في أي وقت.",
    ),
}


# --- writing ---------------------------------------------------------------------------------------------------------


@transaction.atomic
def record(
    *,
    patient: Patient,
    purpose: str,
    status: str,
    method: str,
    guardian: Guardian | None = None,
    channel: str = "",
    actor: User | None = None,
    text_version: str = "",
    language: str = "",
    evidence: str = "",
    at: dt.datetime | None = None,
    valid_until: dt.datetime | None = None,
) -> ConsentRecord:
    """Adds one word. ``at`` is when it was said (now); a word about the future is refused.

    ``text_version`` is filled in for a yes that names none: the words in force. ``actor`` is the member of staff who
    wrote it down, and needs the right to edit patients; None where the person said it on a page of ours or by a reply.
    """
    if actor is not None:
        demand(actor, Can.EDIT_PATIENTS, patient)
    now = timezone.now()
    said = at or now
    if said > now + dt.timedelta(minutes=1):
        raise DomainError(_("A consent cannot be given in the future."), code="consent_in_future")
    if ConsentStatus(status) not in SAYABLE:
        raise ValueError(f"nobody can say {status}")
    proof = " ".join(evidence.split())
    if len(proof) > EVIDENCE_LENGTH:
        raise DomainError(_("The evidence is too long."), code="evidence_too_long")
    is_yes = status == ConsentStatus.GRANTED
    if is_yes and (guardian is not None or patient.is_minor_on(timezone.localdate(said))):
        # Whoever wrote it down: for a child only a guardian can have said it.
        valid_until = min(filter(None, (valid_until, of_age_at(patient))))
    preference = locked_preference(patient)
    row = ConsentRecord.objects.create(
        tenant_id=patient.tenant_id,
        patient=patient,
        guardian=guardian,
        purpose=Purpose(purpose),
        channel=Channel(channel) if channel else "",
        status=status,
        method=Method(method),
        captured_by=actor,
        text_version=text_version or (version_name(text_in_force(patient.tenant_id, purpose)) if is_yes else ""),
        language=language or patient.language,
        evidence=proof,
        at=said,
        valid_until=valid_until if is_yes else None,
    )
    before = preference.agreed(purpose, channel)
    _write_held(preference)
    audit.record(
        tenant_id=patient.tenant_id,
        actor=actor,
        action=f"consent.{ConsentStatus(status).value}",
        obj=row,
        before={"status": before},
        after={"status": status, "purpose": purpose, "channel": channel, "method": method},
    )
    return row


def withdraw(
    *,
    patient: Patient,
    purposes: Iterable[str],
    method: str,
    channel: str = "",
    guardian: Guardian | None = None,
    evidence: str = "",
) -> list[ConsentRecord]:
    """Takes back what of these is agreed, and nothing that is not. For a stop that came by itself."""
    held = NotificationPreference.objects.filter(patient=patient).first() or NotificationPreference(patient=patient)
    return [
        record(
            patient=patient,
            guardian=guardian,
            purpose=purpose,
            channel=channel,
            status=ConsentStatus.WITHDRAWN,
            method=method,
            evidence=evidence,
        )
        for purpose in purposes
        if held.agreed(purpose, channel) == ConsentStatus.GRANTED or (not channel and held.agreed_somewhere(purpose))
    ]


def locked_preference(patient: Patient) -> NotificationPreference:
    """The patient's row, made where there is none, locked until the transaction ends: two words come one after the other."""
    row, _is_new = NotificationPreference.objects.select_for_update().get_or_create(
        patient=patient, defaults={"tenant_id": patient.tenant_id}
    )
    return row


def _write_held(preference: NotificationPreference) -> None:
    rows = ConsentRecord.objects.filter(patient=preference.patient_id)
    preference.consents = held_of(rows)
    preference.save(update_fields=["consents", "updated_at"])


def held_of(rows: Iterable[ConsentRecord]) -> dict[str, dict[str, Entry]]:
    """The records of one patient as the preference row keeps them: of each purpose and channel the word that counts."""
    held: dict[str, dict[str, Entry]] = {}
    for row in sorted(rows, key=lambda one: one.at):
        places = held.setdefault(row.purpose, {})
        new, old = entry(row.status, row.at, row.valid_until), places.get(row.channel)
        if old is None or old[1] != new[1] or strictest(str(old[0]), str(new[0])) == new[0]:
            places[row.channel] = new
    return held


def of_age_at(patient: Patient) -> dt.datetime:
    """The beginning of the day on which the patient is of age."""
    year = patient.birth_date.year + patient.tenant.age_of_majority
    try:
        day = patient.birth_date.replace(year=year)
    except ValueError:
        # Born on 29 February: of age on 1 March, as ``Patient.age_on`` counts.
        day = dt.date(year, 3, 1)
    return timezone.make_aware(dt.datetime.combine(day, dt.time()))


# --- reading ---------------------------------------------------------------------------------------------------------


def state_of(patient: Patient, purpose: str, channel: str = "") -> ConsentStatus:
    """What holds now: granted, refused, withdrawn, expired, or none. Read from the records themselves."""
    rows = ConsentRecord.objects.filter(patient=patient, purpose=purpose)
    return state(held_of(rows), purpose, channel, timezone.now())


def history_of(patient: Patient) -> list[ConsentRecord]:
    """Every word, the latest first, with those in files that were merged into this one."""
    rows = ConsentRecord.objects.filter(patient__in=merging.file_ids(patient)).select_related("captured_by", "guardian")
    return list(rows.order_by("-at", "-created_at", "-pk"))


# --- the words -------------------------------------------------------------------------------------------------------


def text_in_force(tenant_id: uuid.UUID, purpose: str) -> ConsentText:
    """The latest version of a purpose's words; a clinic group that has none yet gets the first ones."""
    found = ConsentText.objects.filter(tenant_id=tenant_id, purpose=purpose).order_by("-version").first()
    if found is not None:
        return found
    words_en, words_ar = FIRST_WORDS[purpose]
    row, _is_new = ConsentText.objects.get_or_create(
        tenant_id=tenant_id,
        purpose=purpose,
        version=1,
        defaults={"words_en": words_en, "words_ar": words_ar},
    )
    return row


def version_name(text: ConsentText) -> str:
    return f"{text.purpose} {text.version}"


@transaction.atomic
def text_set(*, actor: User, purpose: str, words_en: str, words_ar: str) -> ConsentText:
    """New words are a new version; who agreed to the old ones has agreed to those. Unchanged words change nothing."""
    demand(actor, Can.MANAGE_SETTINGS)
    if actor.tenant_id is None:
        raise ValueError("the words belong to a tenant")
    words = {"words_en": " ".join(words_en.split()), "words_ar": " ".join(words_ar.split())}
    if not all(words.values()):
        raise DomainError(_("The words are needed in both languages."), code="consent_words_missing")
    if any(len(text) > WORDS_LENGTH for text in words.values()):
        raise DomainError(_("The words are too long."), code="consent_words_too_long")
    old = text_in_force(actor.tenant_id, purpose)
    if (old.words_en, old.words_ar) == (words["words_en"], words["words_ar"]):
        return old
    row = ConsentText.objects.create(
        tenant_id=actor.tenant_id, purpose=purpose, version=old.version + 1, created_by=actor, **words
    )
    values: dict[str, Any] = {"purpose": purpose, "version": row.version}
    audit.record(
        tenant_id=actor.tenant_id,
        actor=actor,
        action="consent_text.set",
        obj=row,
        before={"version": old.version},
        after=values,
    )
    return row


# --- two files become one --------------------------------------------------------------------------------------------


def keep_strictest(survivor: Patient, merged: Patient) -> None:
    """The step of a merge: a no of either file holds for the one that stays, as a record of its own.

    A yes of the other file is not taken over: a merge never lets more through than before.
    """
    by_patient: dict[uuid.UUID, list[ConsentRecord]] = {survivor.pk: [], merged.pk: []}
    for row in ConsentRecord.objects.filter(patient__in=[survivor, merged]):
        by_patient[row.patient_id].append(row)
    own, other = (held_of(by_patient[one.pk]) for one in (survivor, merged))
    now = timezone.now()
    for purpose in Purpose.values:
        # What is said about all channels comes first: a word about one of them is said after it.
        for channel in sorted({"", *own.get(purpose, {}), *other.get(purpose, {})}):
            theirs = state(other, purpose, channel, now)
            if theirs in NO and state(own, purpose, channel, now) not in NO:
                record(
                    patient=survivor,
                    purpose=purpose,
                    channel=channel,
                    status=theirs,
                    method=Method.MERGE,
                    evidence=f"file {merged.mrn}",
                )
