"""Two files of one person become one: everything travels, nothing is said twice, the stricter rule holds."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
from django.apps import apps
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from appointments import services
from appointments.models import Appointment, Reminder
from conftest import Clinic
from core import merging
from core.contacts import contact_for
from core.errors import DomainError
from core.models import AuditEvent, ConsentVerification, Guardianship, Patient, SubFile
from core.subfiles import subfile_ensure
from core.tenancy import tenant_scope
from finance.models import Invoice
from integrations.delivery import deliver
from integrations.fanout import process_event
from integrations.messaging_service import MessagingService
from integrations.tests.fakes import FakeProvider, provider
from notifications import default_words, desk_tasks
from notifications.models import DeskTask, InboundMessage, Message, NotificationEvent
from notifications.states import Reason, Status, TaskKind, TaskState
from tests.factories import GuardianFactory, GuardianshipFactory, PatientFactory

__all__ = ["provider"]


@pytest.fixture(autouse=True)
def words(clinic: Clinic) -> None:
    default_words.install(clinic.tenant.pk)


@pytest.fixture
def twin(clinic: Clinic) -> Patient:
    """A second file of the clinic's patient, opened with another number."""
    made: Patient = PatientFactory(tenant=clinic.tenant, phone="+966501230042", email="")
    return made


def merge(clinic: Clinic, twin: Patient) -> Patient:
    return merging.patient_merge(actor=clinic.admin, survivor=clinic.patient, merged=twin)


def say(clinic: Clinic, patient: Patient, body: str = "Please come fasting.") -> Message:
    return MessagingService().send_message(
        tenant_id=clinic.tenant.pk, patient_id=patient.pk, channel="SMS", body=body, sent_by=clinic.front_desk
    )


def book(clinic: Clinic, patient: Patient, starts_at: dt.datetime) -> Appointment:
    return services.appointment_book(
        actor=clinic.front_desk,
        patient=patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=starts_at,
        duration=dt.timedelta(minutes=30),
    )


def test_every_table_that_knows_a_patient_has_a_step() -> None:
    """Who adds a link to a patient says what becomes of it in a merge."""
    labels = {
        model._meta.label_lower
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if field.is_relation and field.concrete and field.related_model is Patient and not field.many_to_many
    }
    assert labels - merging.covered() == set(), "register a step with covers=[…], in the app's AppConfig.ready()"


def test_visits_bills_replies_and_tasks_travel_and_nobody_is_told(
    clinic: Clinic, twin: Patient, ten_oclock: dt.datetime
) -> None:
    visit = book(clinic, twin, ten_oclock)
    invoice = Invoice.objects.create(
        tenant=clinic.tenant, patient=twin, number="INV-1", amount_minor=100, due_on=timezone.localdate()
    )
    reply = InboundMessage.objects.create(
        tenant=clinic.tenant, patient=twin, channel="SMS", sender=twin.phone, provider="x", provider_message_id="1"
    )
    for patient in (clinic.patient, twin):
        desk_tasks.open_task(
            TaskKind.OWN_CONTACT, tenant_id=clinic.tenant.pk, key=str(patient.pk), patient=patient, obj=patient
        )
    events = NotificationEvent.objects.count()
    reminders = set(Reminder.objects.values_list("pk", "status"))
    merge(clinic, twin)
    assert NotificationEvent.objects.count() == events
    assert set(Reminder.objects.values_list("pk", "status")) == reminders, "planned they stay"
    for row in (visit, invoice, reply):
        row.refresh_from_db()
        assert row.patient_id == clinic.patient.pk
    open_ones = DeskTask.objects.filter(kind=TaskKind.OWN_CONTACT, state=TaskState.OPEN)
    assert [task.patient for task in open_ones] == [clinic.patient], "one task about the person is enough"
    twin.refresh_from_db()
    assert twin.merged_into == clinic.patient
    assert contact_for(twin) == Reason.MERGED_AWAY
    assert merging.survivor_of(twin) == clinic.patient
    audit = AuditEvent.objects.get(action="patient.merged")
    assert (audit.actor, audit.object_id, audit.after["merged_id"]) == (clinic.admin, clinic.patient.pk, str(twin.pk))


def test_what_waits_goes_to_the_survivors_number_once(clinic: Clinic, twin: Patient, provider: FakeProvider) -> None:
    own, same, other = say(clinic, clinic.patient), say(clinic, twin), say(clinic, twin, "Bring your old report.")
    sent = say(clinic, twin, "This one has left.")
    assert deliver(sent.pk)
    provider.calls.clear()
    merge(clinic, twin)
    for message in (own, same, other, sent):
        message.refresh_from_db()
    assert {message.patient_id for message in (own, same, other, sent)} == {clinic.patient.pk}
    assert (same.status, same.reason) == (Status.SUPPRESSED, Reason.MERGED_AWAY), "the same words to the same person"
    assert sent.recipient == twin.phone, "what was sent is frozen"
    assert deliver(own.pk)
    assert deliver(other.pk)
    assert [call.to for call in provider.calls] == [clinic.patient.phone] * 2


def test_what_waits_is_refused_where_the_survivor_cannot_be_reached_that_way(clinic: Clinic, twin: Patient) -> None:
    letter = MessagingService().send_message(
        tenant_id=clinic.tenant.pk, patient_id=clinic.patient.pk, channel="EMAIL", body="x", sent_by=clinic.front_desk
    )
    merged = merging.patient_merge(actor=clinic.admin, survivor=twin, merged=clinic.patient)
    letter.refresh_from_db()
    # The email came along, since the survivor had none.
    assert (merged.email, letter.status) == (letter.recipient, Status.QUEUED)


def test_a_visit_of_the_old_file_is_told_to_the_survivor(
    clinic: Clinic, twin: Patient, ten_oclock: dt.datetime
) -> None:
    visit = book(clinic, twin, ten_oclock)
    services.appointment_confirm(appointment_id=visit.pk, actor=clinic.front_desk)
    merge(clinic, twin)
    # The event was recorded before, and is fanned out after.
    event = NotificationEvent.objects.get(key="appointment.confirmed")
    process_event(event.tenant_id, event.pk)
    text = Message.objects.get(event=event, channel="SMS", patient__isnull=False)
    assert (text.patient_id, text.recipient, text.status) == (clinic.patient.pk, clinic.patient.phone, Status.QUEUED)


def test_the_stricter_of_two_restrictions_and_guardianships_holds(clinic: Clinic, twin: Patient) -> None:
    guardian = GuardianFactory(tenant=clinic.tenant)
    other = GuardianFactory(tenant=clinic.tenant)
    kept = GuardianshipFactory(tenant=clinic.tenant, patient=clinic.patient, guardian=guardian, not_for=["BILLING"])
    GuardianshipFactory(
        tenant=clinic.tenant,
        patient=twin,
        guardian=guardian,
        not_for=["RESULTS"],
        blocked_reason="court order",
        valid_until=dt.date(2030, 1, 1),
        receives_messages=False,
    )
    GuardianshipFactory(tenant=clinic.tenant, patient=twin, guardian=other, is_primary=False)
    Patient.objects.filter(pk=twin.pk).update(is_restricted=True, restriction_reason="asked for it")
    survivor = merge(clinic, twin)
    assert (survivor.is_restricted, survivor.restriction_reason) == (True, "asked for it")
    kept.refresh_from_db()
    assert kept.not_for == ["BILLING", "RESULTS"]
    assert (kept.blocked_reason, kept.valid_until, kept.receives_messages) == (
        "court order",
        dt.date(2030, 1, 1),
        False,
    )
    rows = Guardianship.objects.filter(patient=clinic.patient)
    assert {row.guardian for row in rows} == {guardian, other}
    assert [row.guardian for row in rows if row.is_primary] == [guardian]


def test_one_sub_file_a_department_with_all_its_checks(clinic: Clinic, twin: Patient) -> None:
    mine = subfile_ensure(patient=clinic.patient, department=clinic.department)
    theirs = subfile_ensure(patient=twin, department=clinic.department)
    for row in (mine, theirs):
        ConsentVerification.objects.create(tenant=clinic.tenant, subfile=row, status="VERIFIED")
    merge(clinic, twin)
    assert list(SubFile.objects.all()) == [mine]
    assert mine.consents.count() == 2


def test_the_numbers_of_both_files_are_kept_and_old_files_lead_to_the_one_in_one_step(
    clinic: Clinic, twin: Patient
) -> None:
    third = PatientFactory(tenant=clinic.tenant, phone="")
    merging.patient_merge(actor=clinic.admin, survivor=twin, merged=third)
    survivor = merge(clinic, twin)
    assert survivor.phone_alternative == twin.phone
    third.refresh_from_db()
    assert third.merged_into == clinic.patient
    assert set(merging.file_ids(survivor)) == {clinic.patient.pk, twin.pk, third.pk}
    page = clinic.client(clinic.front_desk).get(reverse("core:patient_detail", args=[third.pk]))
    assert reverse("core:patient_detail", args=[clinic.patient.pk]) in page.content.decode()


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (lambda clinic, twin: None, "same_file"),
        (lambda clinic, twin: Patient.objects.filter(pk=twin.pk).update(merged_into=clinic.patient), "merged_away"),
        (lambda clinic, twin: Patient.objects.filter(pk=twin.pk).update(deceased_at="2026-01-01"), "deceased_differs"),
    ],
)
def test_what_cannot_be_merged_says_why(clinic: Clinic, twin: Patient, prepare: object, code: str) -> None:
    prepare(clinic, twin)  # type: ignore[operator]
    merged = clinic.patient if code == "same_file" else twin
    with pytest.raises(DomainError) as refusal:
        merge(clinic, merged)
    assert refusal.value.code == code


def test_merging_is_an_admins_act_within_one_clinic_group(clinic: Clinic, other_clinic: Clinic, twin: Patient) -> None:
    for actor in (clinic.front_desk, clinic.provider, other_clinic.admin):
        with pytest.raises(DomainError) as refusal:
            merging.patient_merge(actor=actor, survivor=clinic.patient, merged=twin)
        assert refusal.value.code == "not_allowed"
    with pytest.raises(DomainError) as refusal:
        merging.patient_merge(actor=clinic.admin, survivor=clinic.patient, merged=other_clinic.patient)
    assert refusal.value.code == "not_found"


def test_a_step_that_fails_leaves_both_files_as_they_were(
    clinic: Clinic, twin: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(survivor: Patient, merged: Patient) -> None:
        raise RuntimeError

    monkeypatch.setitem(merging._STEPS, "last", merging._Registered(fails, frozenset()))
    message = say(clinic, twin)
    with pytest.raises(RuntimeError):
        merge(clinic, twin)
    message.refresh_from_db()
    twin.refresh_from_db()
    assert (message.patient_id, twin.merged_into_id) == (twin.pk, None)
    with pytest.raises(merging.DuplicateStep):
        merging.register_step("last", fails)


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_two_admins_who_merge_the_same_files_either_way_merge_once(clinic: Clinic, twin: Patient) -> None:
    results: list[str] = []
    start = threading.Barrier(2)

    def run(survivor: Patient, merged: Patient) -> None:
        try:
            with tenant_scope(clinic.tenant.pk):
                start.wait()
                merging.patient_merge(actor=clinic.admin, survivor=survivor, merged=merged)
                results.append("merged")
        except DomainError as error:
            results.append(error.code)
        finally:
            connection.close()

    pairs = [(clinic.patient, twin), (twin, clinic.patient)]
    threads = [threading.Thread(target=run, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["merged", "merged_away"]
    assert Patient.objects.filter(merged_into__isnull=False).count() == 1


# --- the pages -------------------------------------------------------------------------------------------------------


def test_an_admin_finds_the_twins_compares_them_and_merges(clinic: Clinic, twin: Patient) -> None:
    admin = clinic.client(clinic.admin)
    listed = admin.get(reverse("core:patient_twins"))
    assert [sorted(row.pk for row in group) for group in listed.context["groups"]] == [
        sorted([clinic.patient.pk, twin.pk])
    ]
    address = reverse("core:patient_merge", args=[clinic.patient.pk])
    assert list(admin.get(address).context["twins"]) == [twin]
    assert list(admin.get(address, {"q": twin.mrn}).context["found"]) == [twin]
    page = admin.get(address, {"other": str(twin.pk)})
    assert [side.patient for side in page.context["sides"]] == [clinic.patient, twin]
    unchecked = admin.post(address, {"other": str(twin.pk), "stays": str(twin.pk)})
    assert unchecked.status_code == 422
    answer = admin.post(address, {"other": str(twin.pk), "stays": str(twin.pk), "is_same": "1"})
    assert answer["Location"] == reverse("core:patient_detail", args=[twin.pk])
    clinic.patient.refresh_from_db()
    assert clinic.patient.merged_into == twin
    assert admin.get(address).status_code == 404, "it has gone"


def test_a_file_of_another_clinic_group_is_not_there_to_be_merged(clinic: Clinic, other_clinic: Clinic) -> None:
    admin = clinic.client(clinic.admin)
    address = reverse("core:patient_merge", args=[clinic.patient.pk])
    foreign = {"other": str(other_clinic.patient.pk)}
    assert admin.get(address, foreign).status_code == 404
    assert admin.post(address, {**foreign, "is_same": "1"}).status_code == 404
    assert admin.get(address, {"other": "x"}).status_code == 404
