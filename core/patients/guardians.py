"""Who speaks for a patient: since when, on what ground, and what they are told.

Needs the tenant's scope open. Must never import anything of the other apps.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.dispatch import Signal
from django.utils import timezone
from django.utils.translation import gettext as _

from core import audit
from core.access import Can
from core.changes import apply
from core.errors import DomainError
from core.models import Guardian, Guardianship, Language, Patient, User
from core.models.patient import Gender
from core.patients.numbers import note_dropped
from core.patients.rows import cleaned_fields, locked, note
from core.permissions import demand
from core.tenancy import active_tenant_ids, tenant_scope

# What may be changed of the person, for all the patients they speak for.
PERSON_FIELDS = frozenset({"name_en", "name_ar", "phone", "email", "language", "gender", "numerals", "show_hijri"})
WORDS_LENGTH = 200
# Sent in the transaction with ``patient``: somebody who was written to must not know any more. ``until``: what was
# written from that moment on did not go to them; None: all of it may have.
guardian_shut_out = Signal()


@transaction.atomic
def guardian_add(
    *,
    actor: User,
    patient: Patient,
    kind: str,
    guardian: Guardian | None = None,
    name_en: str = "",
    name_ar: str = "",
    phone: str = "",
    email: str = "",
    language: str = Language.ARABIC,
    gender: str = "",
    is_primary: bool = False,
    receives_messages: bool = True,
) -> Guardianship:
    """Links a guardian, a new one or one who already speaks for a sibling. Not verified yet: nothing is sent."""
    demand(actor, Can.EDIT_PATIENTS, patient, guardian)
    if guardian is None:
        fields = cleaned_fields(
            {"name_en": name_en, "name_ar": name_ar, "phone": phone, "email": email, "language": language}
        )
        guardian = Guardian.objects.create(tenant_id=patient.tenant_id, gender=_known_gender(kind, gender), **fields)
    elif Guardianship.objects.filter(patient=patient, guardian=guardian).exists():
        raise DomainError(_("This guardian is already in the patient's file."), code="guardian_there")
    if is_primary:
        Guardianship.objects.filter(patient=patient, is_primary=True).update(is_primary=False)
    guardianship = Guardianship.objects.create(
        tenant_id=patient.tenant_id,
        patient=patient,
        guardian=guardian,
        kind=Guardianship.Kind(kind),
        is_primary=is_primary,
        receives_messages=receives_messages,
    )
    note(patient, actor, "guardian.added", before={}, after={"guardian_id": str(guardian.pk), "kind": kind})
    return guardianship


@transaction.atomic
def guardian_update(*, actor: User, guardian_id: uuid.UUID, **changes: Any) -> Guardian:
    """Changes a guardian's name, addresses or language, for all the patients they speak for."""
    unknown = set(changes) - PERSON_FIELDS
    if unknown:
        raise ValueError(f"not editable: {', '.join(sorted(unknown))}")
    try:
        guardian = Guardian.objects.select_for_update(of=("self",), no_key=True).get(pk=guardian_id)
    except Guardian.DoesNotExist as error:
        raise DomainError(_("This guardian does not exist."), code="not_found") from error
    demand(actor, Can.EDIT_PATIENTS, guardian)
    if changes.get("gender") == "":
        # Not known: they are addressed in neutral words.
        changes = {name: value for name, value in changes.items() if name != "gender"}
        cleaned = cleaned_fields(changes) | {"gender": ""}
    else:
        cleaned = cleaned_fields(changes)
    changed = sorted(name for name, value in cleaned.items() if getattr(guardian, name) != value)
    if changed:
        number = guardian.phone
        for name in changed:
            setattr(guardian, name, cleaned[name])
        guardian.save(update_fields=changed)
        if guardian.phone != number:
            note_dropped(number)
        audit.record(
            tenant_id=guardian.tenant_id,
            actor=actor,
            action="guardian.updated",
            obj=guardian,
            after={"changed": changed},
        )
    return guardian


@transaction.atomic
def guardian_verify(*, actor: User, guardianship_id: uuid.UUID, evidence: str = "") -> Guardianship:
    """The guardianship was checked against a document; from now on the guardian may be told (PDPL IR Art. 13).

    ``evidence`` names the document. Whose authority comes from one alone is not verified without.
    """
    guardianship = _guardianship(guardianship_id, actor)
    if guardianship.verified_at is None:
        seen = _short(evidence) or guardianship.evidence
        if guardianship.kind in Guardianship.BY_DOCUMENT and not seen:
            raise DomainError(_("Write down the document that gives this guardian the right."), code="evidence_missing")
        guardianship.verified_at, guardianship.verified_by, guardianship.evidence = timezone.now(), actor, seen
        guardianship.save(update_fields=["verified_at", "verified_by", "evidence"])
        _audit_guardianship(guardianship, actor, "guardian.verified", {"verified": True})
    return guardianship


@transaction.atomic
def guardian_make_primary(*, actor: User, guardianship_id: uuid.UUID) -> Guardianship:
    """Makes this guardian the first contact."""
    guardianship = _guardianship(guardianship_id, actor)
    if not guardianship.is_primary:
        Guardianship.objects.filter(patient_id=guardianship.patient_id, is_primary=True).update(is_primary=False)
        guardianship.is_primary = True
        guardianship.save(update_fields=["is_primary"])
        _audit_guardianship(guardianship, actor, "guardian.made_primary", {"is_primary": True})
    return guardianship


@transaction.atomic
def guardian_set_messages(*, actor: User, guardianship_id: uuid.UUID, receives_messages: bool) -> Guardianship:
    """Whether this guardian gets the patient's messages."""
    guardianship = _guardianship(guardianship_id, actor)
    if guardianship.receives_messages != receives_messages:
        guardianship.receives_messages = receives_messages
        guardianship.save(update_fields=["receives_messages"])
        _audit_guardianship(guardianship, actor, "guardian.messages", {"receives_messages": receives_messages})
    return guardianship


@transaction.atomic
def guardian_set_terms(
    *,
    actor: User,
    guardianship_id: uuid.UUID,
    valid_from: dt.date | None,
    valid_until: dt.date | None,
    evidence: str,
    receives_messages: bool,
    not_for: Collection[str],
) -> Guardianship:
    """From when until when the guardianship holds, what shows it, and which kinds of messages this guardian gets.

    ``not_for``: values of ``NotificationType``; the caller knows them.
    """
    guardianship = _guardianship(guardianship_id, actor)
    if valid_from is not None and valid_until is not None and valid_until < valid_from:
        raise DomainError(_("The guardianship would end before it begins."), code="dates_crossed")
    seen = _short(evidence)
    if guardianship.verified_at is not None and guardianship.kind in Guardianship.BY_DOCUMENT and not seen:
        raise DomainError(_("Write down the document that gives this guardian the right."), code="evidence_missing")
    had_a_say = guardianship.is_in_force
    apply(
        actor=actor,
        row=guardianship,
        values={
            "valid_from": valid_from,
            "valid_until": valid_until,
            "evidence": seen,
            "receives_messages": receives_messages,
            "not_for": sorted(set(not_for)),
        },
        action="guardian.terms_set",
        withheld=("evidence",),
    )
    if had_a_say and not guardianship.is_in_force:
        Guardianship.objects.filter(pk=guardianship.pk).update(shut_out_after=valid_until)
        guardian_shut_out.send(sender=Guardianship, patient=guardianship.patient, until=None)
    return guardianship


def guardianships_end(today: dt.date | None = None) -> dict[str, int]:
    """Shuts out those whose last day is over, of every clinic group: each once, also after days without a run, and
    safe to run twice at once. Returns counts.
    """
    day = today or timezone.localdate()
    counts = {"ended": 0}
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            for row in _over_by(day):
                counts["ended"] += _shut_out(row, day)
    return counts


def _over_by(day: dt.date) -> QuerySet[Guardianship]:
    over = Guardianship.objects.filter(valid_until__lt=day)
    return over.filter(Q(shut_out_after=None) | ~Q(shut_out_after=F("valid_until"))).order_by("pk")


@transaction.atomic
def _shut_out(row: Guardianship, day: dt.date) -> bool:
    """The patient first, as everywhere. False where somebody else has done it, or has put the day off."""
    patient = locked(row.patient_id)
    last_day = row.valid_until
    if last_day is None or not _over_by(day).filter(pk=row.pk, valid_until=last_day).update(shut_out_after=last_day):
        return False
    ended = timezone.make_aware(dt.datetime.combine(last_day + dt.timedelta(days=1), dt.time.min))
    guardian_shut_out.send(sender=Guardianship, patient=patient, until=ended)
    return True


@transaction.atomic
def guardian_block(*, actor: User, guardianship_id: uuid.UUID, reason: str) -> Guardianship:
    """This guardian must not be told (a court's order, say), nor anybody over a phone or email that is theirs too."""
    guardianship = _guardianship(guardianship_id, actor)
    words = _short(reason)
    if not words:
        raise DomainError(_("Say why this guardian must not be told."), code="reason_missing")
    if not guardianship.blocked_reason:
        guardianship.blocked_reason = words
        guardianship.save(update_fields=["blocked_reason"])
        _audit_guardianship(guardianship, actor, "guardian.blocked", {"reason": words})
        guardian_shut_out.send(sender=Guardianship, patient=guardianship.patient, until=None)
    return guardianship


@transaction.atomic
def guardian_unblock(*, actor: User, guardianship_id: uuid.UUID) -> Guardianship:
    """May be told again, as far as everything else allows it."""
    guardianship = _guardianship(guardianship_id, actor)
    if guardianship.blocked_reason:
        guardianship.blocked_reason = ""
        guardianship.save(update_fields=["blocked_reason"])
        _audit_guardianship(guardianship, actor, "guardian.unblocked", {})
    return guardianship


@transaction.atomic
def guardian_remove(*, actor: User, guardianship_id: uuid.UUID) -> None:
    """Ends the guardianship. The guardian's own row stays: messages that went there point at it."""
    guardianship = _guardianship(guardianship_id, actor)
    patient, was_primary = guardianship.patient, guardianship.is_primary
    _audit_guardianship(guardianship, actor, "guardian.removed", {})
    number = guardianship.guardian.phone
    guardianship.delete()
    note_dropped(number)
    guardian_shut_out.send(sender=Guardianship, patient=patient, until=None)
    heir = Guardianship.objects.filter(patient=patient).order_by("pk").first() if was_primary else None
    if heir is not None:
        heir.is_primary = True
        heir.save(update_fields=["is_primary"])


def _guardianship(guardianship_id: uuid.UUID, actor: User) -> Guardianship:
    """The row; its patient is locked, so that there is one first contact at any moment."""
    guardianship = Guardianship.objects.filter(pk=guardianship_id).first()
    if guardianship is None:
        raise DomainError(_("This guardian is not in the patient's file."), code="not_found")
    demand(actor, Can.EDIT_PATIENTS, guardianship)
    guardianship.patient = locked(guardianship.patient_id)
    return guardianship


def _short(words: str) -> str:
    text = " ".join(words.split())
    if len(text) > WORDS_LENGTH:
        raise DomainError(_("Say it in fewer words."), code="too_long")
    return text


def _known_gender(kind: str, gender: str) -> str:
    """A mother and a father need not be asked."""
    known = {Guardianship.Kind.MOTHER: Gender.FEMALE, Guardianship.Kind.FATHER: Gender.MALE}
    return gender or str(known.get(Guardianship.Kind(kind), ""))


def _audit_guardianship(guardianship: Guardianship, actor: User, action: str, after: dict[str, Any]) -> None:
    note(guardianship.patient, actor, action, before={}, after={"guardian_id": str(guardianship.guardian_id), **after})
