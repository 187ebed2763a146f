"""Tags of patients: the words themselves, and who has them.

Keyword-only, atomic, audited; refusals are ``DomainError`` with a sentence for the person at the screen. Needs the
tenant's scope open. Must never import anything of the other apps.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection

from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from core import audit, changes
from core.access import Can
from core.errors import DomainError
from core.models import Patient, PatientTag, PatientTagging, Tenant, User
from core.permissions import NotAllowed, demand

# More are a list that nobody reads.
MOST = 100


def all_tags() -> QuerySet[PatientTag]:
    return PatientTag.objects.all()


def counted() -> QuerySet[PatientTag]:
    """Each with ``people``: how many patients have it."""
    return PatientTag.objects.annotate(people=Count("taggings"))


def tags_of(patient: Patient) -> QuerySet[PatientTag]:
    return PatientTag.objects.filter(taggings__patient=patient)


@transaction.atomic
def tag_create(*, actor: User, name_en: str, name_ar: str, is_health: bool) -> PatientTag:
    tenant = _locked_tenant(actor)
    if PatientTag.objects.count() >= MOST:
        raise DomainError(
            _("There are %(most)d tags already. Remove one that nobody uses.") % {"most": MOST}, code="too_many"
        )
    values = _values(name_en, name_ar, None)
    tag = PatientTag.objects.create(tenant=tenant, **values, is_health=is_health)
    audit.record(
        tenant_id=tenant.pk, actor=actor, action="tag.created", obj=tag, after={**values, "is_health": is_health}
    )
    return tag


@transaction.atomic
def tag_update(*, actor: User, tag: PatientTag, name_en: str, name_ar: str, is_health: bool) -> PatientTag:
    _locked_tenant(actor)
    demand(actor, Can.MANAGE_SETTINGS, tag)
    row = PatientTag.objects.select_for_update(no_key=True).get(pk=tag.pk)
    values = {**_values(name_en, name_ar, row), "is_health": is_health}
    changes.apply(actor=actor, row=row, values=values, action="tag.updated")
    return row


@transaction.atomic
def tag_delete(*, actor: User, tag: PatientTag) -> None:
    """Takes the word off every patient and away."""
    _locked_tenant(actor)
    demand(actor, Can.MANAGE_SETTINGS, tag)
    people = PatientTagging.objects.filter(tag=tag).count()
    audit.record(
        tenant_id=tag.tenant_id,
        actor=actor,
        action="tag.deleted",
        obj=tag,
        before={"name_en": tag.name_en, "name_ar": tag.name_ar, "people": people},
    )
    tag.delete()


@transaction.atomic
def patient_tags_set(*, actor: User, patient: Patient, tags: Collection[PatientTag]) -> None:
    """The patient has these from now on, and no others."""
    demand(actor, Can.EDIT_PATIENTS, patient, *tags)
    Patient.objects.select_for_update(of=("self",), no_key=True).get(pk=patient.pk)
    before = set(PatientTagging.objects.filter(patient=patient).values_list("tag_id", flat=True))
    after = {tag.pk for tag in tags}
    if before == after:
        return
    PatientTagging.objects.filter(patient=patient, tag__in=before - after).delete()
    PatientTagging.objects.bulk_create(
        PatientTagging(tenant_id=patient.tenant_id, patient=patient, tag_id=pk) for pk in after - before
    )
    audit.record(
        tenant_id=patient.tenant_id,
        actor=actor,
        action="patient.tagged",
        obj=patient,
        before={"tags": _listed(before)},
        after={"tags": _listed(after)},
    )


def _listed(keys: Collection[uuid.UUID]) -> list[str]:
    return sorted(str(key) for key in keys)


def _values(name_en: str, name_ar: str, own: PatientTag | None) -> dict[str, str]:
    values = {"name_en": " ".join(name_en.split()), "name_ar": " ".join(name_ar.split())}
    if not any(values.values()):
        raise DomainError(_("A name is needed, in English or in Arabic."), code="name_missing")
    same = Q()
    for field, name in values.items():
        if name:
            same |= Q(**{f"{field}__iexact": name})
    others = PatientTag.objects.filter(same)
    if own is not None:
        others = others.exclude(pk=own.pk)
    if others.exists():
        raise DomainError(_("Another tag has this name."), code="name_taken")
    return values


def _locked_tenant(actor: User) -> Tenant:
    demand(actor, Can.MANAGE_SETTINGS)
    if actor.tenant_id is None:
        raise NotAllowed
    return Tenant.objects.select_for_update(no_key=True).get(pk=actor.tenant_id)
