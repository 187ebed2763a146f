"""A send for tests: patients, words, and the steps up to any state."""

from __future__ import annotations

import datetime as dt
from typing import Any

from appointments.models import Appointment
from conftest import Clinic
from core.models import Patient
from integrations.bulk import audience, control, run
from integrations.bulk.audience import Person
from notifications.bulk_states import BulkState
from notifications.models import BulkSend
from tests import factories

SHARED_PHONE = "+966501239999"
TEXTS = {
    "body_en": "{patient_name}: {clinic_name} is closed on Sunday.",
    "body_ar": "{patient_name}: {clinic_name} مغلقة يوم الأحد.",
}


def patients(clinic: Clinic, count: int, **fields: object) -> list[Patient]:
    return [factories.PatientFactory(tenant=clinic.tenant, **fields) for _ in range(count)]


def draft(clinic: Clinic, people: list[Patient] | None = None, **fields: Any) -> BulkSend:
    chosen = [Person(one.pk) for one in people] if people is not None else audience.patients()
    options = {"message_class": "SERVICE", "source": "FILTERS", "name": "Closed on Sunday", **fields}
    return control.draft(actor=clinic.admin, people=chosen, **options)


def checked(clinic: Clinic, people: list[Patient] | None = None, **fields: Any) -> BulkSend:
    texts = fields.pop("texts", TEXTS)
    channel = fields.pop("channel", "SMS")
    bulk = draft(clinic, people, **fields)
    # Urgent where it may be, so that no test depends on the hour at which it runs.
    control.words_set(actor=clinic.admin, bulk=bulk, texts=texts, channel=channel, is_urgent=True)
    control.check(actor=clinic.admin, bulk=bulk)
    return bulk


def scheduled(clinic: Clinic, people: list[Patient] | None = None, **fields: Any) -> BulkSend:
    bulk = checked(clinic, people, **fields)
    control.submit(actor=clinic.admin, bulk=bulk)
    assert bulk.state == BulkState.SCHEDULED
    return bulk


def running(clinic: Clinic, people: list[Patient] | None = None, **fields: Any) -> BulkSend:
    bulk = scheduled(clinic, people, **fields)
    run.advance(clinic.tenant.pk, bulk.pk)
    bulk.refresh_from_db()
    return bulk


def siblings(clinic: Clinic) -> tuple[Patient, Patient]:
    """Omar and Sara, who have one number."""
    omar, sara = patients(clinic, 2, phone=SHARED_PHONE, language="en", name_en="Omar")
    Patient.objects.filter(pk=sara.pk).update(name_en="Sara")
    return omar, sara


def visit(clinic: Clinic, patient: Patient, starts_at: dt.datetime, **fields: object) -> Appointment:
    options = {"provider": clinic.provider, "number": f"A{Appointment.objects.count()}", **fields}
    return factories.AppointmentFactory(
        tenant=clinic.tenant,
        patient=patient,
        location=clinic.location,
        department=clinic.department,
        starts_at=starts_at,
        **options,
    )
