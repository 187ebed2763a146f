"""The rule of the database: what was written to the audit trail and to the log of looks stays as it is."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from conftest import Clinic
from core import audit, looks
from core.audit_diff import changes_of
from core.models import AuditEvent, Look, Patient
from tests import factories


@pytest.fixture
def act(clinic: Clinic) -> AuditEvent:
    return audit.record(tenant_id=clinic.tenant.pk, actor=clinic.admin, action="user.created", obj=clinic.provider)


@pytest.fixture
def look(clinic: Clinic) -> Look:
    looks.record_look(user=clinic.front_desk, patient=clinic.patient, page=Look.Page.PATIENT)
    return Look.objects.get()


# --- The database rule ----------------------------------------------------------------------------------------------


def test_an_act_is_never_changed(act: AuditEvent) -> None:
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        AuditEvent.objects.update(action="user.deactivated")
    with pytest.raises(TypeError, match="append-only"):
        act.save()
    assert AuditEvent.objects.get().action == "user.created"


def test_an_act_is_never_deleted_by_the_models_nor_by_hand(act: AuditEvent) -> None:
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        act.delete()
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM core_auditevent")
    assert AuditEvent.objects.count() == 1


def test_a_look_is_never_changed_and_not_deleted_while_it_is_kept(clinic: Clinic, look: Look) -> None:
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Look.objects.update(user=clinic.admin)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Look.objects.all().delete()
    with pytest.raises(TypeError, match="append-only"):
        look.save()
    assert Look.objects.get().user == clinic.front_desk


@pytest.mark.postgres
def test_neither_table_can_be_truncated(act: AuditEvent) -> None:
    connection.check_constraints()  # no foreign key of this transaction is left to be checked
    for table in ("core_auditevent", "core_look"):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {table} CASCADE")


def test_the_clean_up_forgets_looks_after_two_years_and_not_a_day_before(clinic: Clinic, look: Look) -> None:
    now = timezone.now()
    for age in (looks.KEPT - dt.timedelta(days=1), looks.KEPT + dt.timedelta(days=1)):
        Look.objects.create(
            tenant=clinic.tenant, user=clinic.admin, patient=clinic.patient, page="patient", seen_at=now - age
        )
    assert looks.looks_forget() == 1
    assert Look.objects.count() == 2
    assert looks.looks_forget() == 0


@pytest.mark.django_db(transaction=True)
def test_the_rule_is_back_after_a_test_that_empties_the_tables(clinic: Clinic) -> None:
    """Two runs of it in a row: the second would not start on a table that could not be emptied."""
    from tests.append_only import triggers_off

    audit.record(tenant_id=clinic.tenant.pk, actor=None, action="user.created")
    with triggers_off():
        AuditEvent.objects.all().delete()
    audit.record(tenant_id=clinic.tenant.pk, actor=None, action="user.created")
    with pytest.raises(IntegrityError, match="append-only"):
        AuditEvent.objects.all().delete()


def test_the_trail_keeps_no_words_whoever_calls(clinic: Clinic) -> None:
    row = audit.record(
        tenant_id=clinic.tenant.pk,
        actor=clinic.admin,
        action="template.renamed",
        before={"body_en": "old", "phone": "", "name": "Reminder"},
        after={"body_en": "new", "phone": "+966501234567", "name": "Reminder, short"},
    )
    assert row.before == {"body_en": audit.WITHHELD, "phone": "", "name": "Reminder"}
    assert row.after == {"body_en": audit.WITHHELD, "phone": audit.WITHHELD, "name": "Reminder, short"}
    changes = [(change.before, change.after) for change in changes_of(row, {})]
    assert changes == [("(not kept)", "(not kept)"), ("—", "(not kept)"), ("Reminder", "Reminder, short")]


# --- The log of looks -----------------------------------------------------------------------------------------------


def test_a_page_that_is_loaded_again_is_the_same_look(clinic: Clinic, look: Look, django_assert_num_queries) -> None:
    with django_assert_num_queries(1):
        looks.record_look(user=clinic.front_desk, patient=clinic.patient, page=Look.Page.PATIENT)
    assert Look.objects.count() == 1
    looks.record_look(user=clinic.admin, patient=clinic.patient, page=Look.Page.PATIENT)
    looks.record_look(user=clinic.front_desk, patient=clinic.patient, page=Look.Page.APPOINTMENT)
    looks.record_look(user=clinic.front_desk, patient=factories.PatientFactory(tenant=clinic.tenant), page="patient")
    assert Look.objects.count() == 4


def test_the_same_page_an_hour_later_is_another_look(
    clinic: Clinic, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = timezone.now() + dt.timedelta(hours=1)
    monkeypatch.setattr("core.looks.timezone.now", lambda: later)
    looks.record_look(user=clinic.front_desk, patient=clinic.patient, page=Look.Page.PATIENT)
    assert [row.seen_at for row in looks.looks_at(clinic.patient)] == [later, look.seen_at]


def test_patients_who_read_their_own_messages_are_not_logged(clinic: Clinic) -> None:
    looks.record_look(user=clinic.patient_user, patient=clinic.patient, page=Look.Page.PATIENT)
    assert not Look.objects.exists()


def test_an_unknown_page_is_an_error(clinic: Clinic) -> None:
    with pytest.raises(ValueError, match="cellar"):
        looks.record_look(user=clinic.admin, patient=clinic.patient, page="cellar")


def test_a_look_outlives_the_patients_file(clinic: Clinic) -> None:
    patient = factories.PatientFactory(tenant=clinic.tenant)
    looks.record_look(user=clinic.admin, patient=patient, page=Look.Page.PATIENT)
    pk = patient.pk
    Patient.objects.filter(pk=pk).delete()
    assert Look.objects.get().patient_id == pk
