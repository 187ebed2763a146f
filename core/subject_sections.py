"""What core itself tells in a copy of a patient's data, and what it lets go of when a patient is erased.

Registered from ``CoreConfig.ready()``. Must never import anything of the other apps.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from core import audit, subject_data
from core.audit_words import action_label
from core.models import (
    AuditEvent,
    ConsentVerification,
    Guardian,
    Guardianship,
    Look,
    Patient,
    PatientTagging,
    PortalSession,
    RightsKind,
    RightsRequest,
    RightsState,
    SubFile,
    SubjectExport,
)
from core.subject_data import Copy, Row, Section
from core.subject_exports import delete_files


def _person(copy: Copy) -> Iterator[Row]:
    patient = copy.patient
    yield from (
        {"key": "file_number", "what": _("File number"), "value": patient.mrn},
        {"key": "name_en", "what": _("Name in English"), "value": patient.name_en},
        {"key": "name_ar", "what": _("Name in Arabic"), "value": patient.name_ar},
        {"key": "birth_date", "what": _("Date of birth"), "value": patient.birth_date},
        {"key": "gender", "what": _("Gender"), "value": patient.get_gender_display()},
        {"key": "phone", "what": _("Mobile phone"), "value": patient.phone},
        {"key": "phone_alternative", "what": _("Other phone"), "value": patient.phone_alternative},
        {"key": "email", "what": _("Email"), "value": patient.email},
        {"key": "language", "what": _("Language"), "value": patient.get_language_display()},
        {"key": "since", "what": _("File opened"), "value": patient.created_at},
    )


def _guardians(copy: Copy) -> Iterator[Row]:
    """Who speaks for the patient, by relation. Names and addresses are theirs: shown to themselves only."""
    for row in Guardianship.objects.filter(patient=copy.patient).select_related("guardian"):
        is_reader = copy.reader == f"guardian:{row.guardian_id}"
        yield {
            "relation": row.get_kind_display(),
            "name": row.guardian.name_in(copy.language) if is_reader else "",
            "phone": copy.address(row.guardian.phone),
            "email": copy.address(row.guardian.email),
            "first_contact": _("Yes") if row.is_primary else _("No"),
            "verified": row.verified_at,
            "from": row.valid_from,
            "until": row.valid_until,
        }


def _subfiles(copy: Copy) -> Iterator[Row]:
    for row in SubFile.objects.filter(patient=copy.patient).select_related("department").order_by("opened_at"):
        yield {"number": row.number, "department": row.department.name_in(copy.language), "opened": row.opened_at}


def _tags(copy: Copy) -> Iterator[Row]:
    for row in PatientTagging.objects.filter(patient=copy.patient).select_related("tag").order_by("created_at", "pk"):
        yield {"tag": row.tag.name_in(copy.language), "since": row.created_at}


def _treatment_consents(copy: Copy) -> Iterator[Row]:
    rows = ConsentVerification.objects.filter(subfile__patient=copy.patient).select_related("subfile", "verified_by")
    for row in rows.order_by("created_at", "pk"):
        yield {
            "time": row.created_at,
            "subfile": row.subfile.number,
            "status": row.get_status_display(),
            "until": row.valid_until,
            "by": copy.staff(row.verified_by),
        }


def _looks(copy: Copy) -> Iterator[Row]:
    """Who has looked at what was written to the patient: by role."""
    for row in Look.objects.filter(patient__in=copy.files).select_related("user").order_by("seen_at", "pk"):
        yield {
            "time": row.seen_at,
            "by": copy.staff(row.user),
            "page": row.get_page_display(),
            "message": str(row.message or ""),
        }


def _acts(copy: Copy) -> Iterator[Row]:
    """What was done to the file itself, without the values: they stand in the sections, or are gone."""
    for row in AuditEvent.objects.filter(object_id__in=copy.files).select_related("actor").order_by("created_at"):
        yield {"time": row.created_at, "by": copy.staff(row.actor), "act": action_label(row.action)}


def _requests(copy: Copy) -> Iterator[Row]:
    for row in RightsRequest.objects.filter(patient=copy.patient).order_by("created_at", "pk"):
        yield {
            "time": row.created_at,
            "kind": row.get_kind_display(),
            # Another guardian's own words are theirs, and so is what they were told.
            "details": copy.text(row.details) if row.asked_by == copy.reader else "",
            "due": row.due_on,
            "state": row.get_state_display(),
            "answered": row.answered_at,
            "answer": copy.text(row.answer) if row.asked_by == copy.reader else "",
        }


def _erase(patient: Patient) -> int:
    """Contact details, copies, sessions, and what was asked and answered. Guardians go with their last patient; the file
    itself is a medical record.
    """
    erased = delete_files(SubjectExport.objects.filter(patient=patient))
    erased += PortalSession.objects.filter(patient=patient).delete()[0]
    erased += PatientTagging.objects.filter(patient=patient).delete()[0]
    requests = RightsRequest.objects.filter(patient=patient)
    erased += requests.exclude(details="").update(details="")
    erased += requests.exclude(answer__in=["", "…"]).update(answer="…")
    with transaction.atomic():
        locked = Patient.objects.select_for_update().get(pk=patient.pk)
        for row in Guardianship.objects.filter(patient=locked).select_related("guardian"):
            if not _speaks_for_others(row, locked):
                erased += (
                    Guardian.objects.filter(pk=row.guardian_id).exclude(phone="", email="").update(phone="", email="")
                )
        if locked.phone or locked.phone_alternative or locked.email or locked.is_active:
            locked.phone = locked.phone_alternative = locked.email = ""
            locked.is_active = False
            locked.save(update_fields=["phone", "phone_alternative", "email", "is_active", "updated_at"])
            audit.record(tenant_id=locked.tenant_id, actor=None, action="patient.erased", obj=locked)
            erased += 1
    return erased


def _speaks_for_others(row: Guardianship, patient: Patient) -> bool:
    """Siblings who were erased before, and have not come back, need nobody to be reached for them."""
    erased = RightsRequest.objects.filter(kind=RightsKind.ERASURE, state=RightsState.DONE).values("patient")
    others = Guardianship.objects.filter(guardian=row.guardian_id).exclude(patient=patient)
    return others.exclude(patient__is_active=False, patient__in=erased).exists()


def register() -> None:
    for section in _SECTIONS:
        subject_data.register_section(section)
    subject_data.leave_out("core.LegalHold", "a matter between the clinic and a court; the patient hears of it there")
    subject_data.leave_out("core.SubjectExport", "the copy itself")
    subject_data.leave_out("core.PortalSession", "a browser that is signed in right now")
    subject_data.leave_out("core.PortalGuess", "how often somebody guessed, for some days")
    subject_data.register_eraser("core", _erase)


_SECTIONS = (
    Section(
        "person",
        _("Who you are"),
        {"what": _("What"), "value": _("Value")},
        _person,
        ("core.Patient",),
    ),
    Section(
        "guardians",
        _("Who speaks for you"),
        {
            "relation": _("Relation"),
            "name": _("Name"),
            "phone": _("Phone"),
            "email": _("Email"),
            "first_contact": _("First contact"),
            "verified": _("Verified"),
            "from": _("In force from"),
            "until": _("In force until"),
        },
        _guardians,
        ("core.Guardianship",),
    ),
    Section(
        "subfiles",
        _("Sub-files"),
        {"number": _("Number"), "department": _("Department"), "opened": _("Opened")},
        _subfiles,
        ("core.SubFile",),
    ),
    Section(
        "tags",
        _("Tags the clinic has put on your file"),
        {"tag": _("Tag"), "since": _("Since")},
        _tags,
        ("core.PatientTagging",),
    ),
    Section(
        "treatment_consents",
        _("Consents to treatment"),
        {
            "time": _("Time"),
            "subfile": _("Sub-file"),
            "status": _("Status"),
            "until": _("Valid until"),
            "by": _("Checked by"),
        },
        _treatment_consents,
        ("core.ConsentVerification",),
    ),
    Section(
        "access",
        _("Who looked at your messages"),
        {"time": _("Time"), "by": _("Who"), "page": _("Page"), "message": _("Message")},
        _looks,
        ("core.Look",),
    ),
    Section(
        "acts",
        _("What was done to your file"),
        {"time": _("Time"), "by": _("Who"), "act": _("What")},
        _acts,
        ("core.AuditEvent",),
    ),
    Section(
        "requests",
        _("Your requests"),
        {
            "time": _("Time"),
            "kind": _("Request"),
            "details": _("Details"),
            "due": _("Due"),
            "state": _("State"),
            "answered": _("Answered"),
            "answer": _("Answer"),
        },
        _requests,
        ("core.RightsRequest",),
    ),
)
