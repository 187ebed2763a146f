"""One template to many: the same rules as for one, in few statements, once."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from conftest import Clinic
from core.models import Guardianship, Patient
from core.tenancy import tenant_scope
from integrations import bulk_send
from integrations.messaging_service import MessagingService
from integrations.outbox import MessageConflict
from notifications import lifecycle
from notifications.models import Message, MessageLog, MessageTemplate, NotificationPreference
from notifications.rendering import LocalDate
from notifications.states import USEFUL_FOR, Lane, Reason, Status
from notifications.suppression import suppress
from tests import factories


@pytest.fixture
def template(clinic: Clinic) -> MessageTemplate:
    return MessageTemplate.objects.create(
        tenant=clinic.tenant,
        code="closed",
        name="Closed",
        channel="SMS",
        notification_type="GENERAL",
        body_en="{patient_name}: closed on {day}.",
        body_ar="{patient_name}: مغلق يوم {day}.",
        variables=["patient_name", "day"],
    )


def send(clinic: Clinic, patients: list[Patient], key: str = "k", **fields: Any) -> dict[str, int]:
    options = {"context": {"day": "Sunday"}, **fields}
    return MessagingService().send_bulk_messages(
        tenant_id=clinic.tenant.pk,
        patient_ids=iter([patient.pk for patient in patients]),
        template_code="closed",
        bulk_key=key,
        **options,
    )


def patients(clinic: Clinic, count: int, **fields: object) -> list[Patient]:
    return [factories.PatientFactory(tenant=clinic.tenant, **fields) for _ in range(count)]


def test_each_gets_one_in_their_own_language_in_the_bulk_lane(clinic: Clinic, template: MessageTemplate) -> None:
    english, arabic = patients(clinic, 1, language="en")[0], patients(clinic, 1, language="ar")[0]
    assert send(clinic, [english, arabic], sent_by=clinic.admin) == {"queued": 2, "refused": 0, "failed": 0}
    one, other = Message.objects.get(patient=english), Message.objects.get(patient=arabic)
    assert one.body == f"{english.name_en}: closed on Sunday."
    assert other.body.endswith("Sunday\u2069.")
    assert {one.lane, other.lane} == {Lane.BULK}
    assert (one.recipient, one.template, one.template_version) == (english.phone, template, template.version)
    assert (one.sent_by, one.conversation_id, one.segments) == (clinic.admin, one.pk, 1)
    assert one.expires_at - timezone.now() <= USEFUL_FOR["GENERAL"]
    assert [(row.event, row.actor) for row in one.logs.all()] == [("CREATED", clinic.admin), ("QUEUED", None)]
    assert lifecycle.fold(one.logs.values_list("event", "status")) == one.status


def test_it_writes_what_one_message_at_a_time_would_write(clinic: Clinic, template: MessageTemplate) -> None:
    patient = patients(clinic, 1)[0]
    send(clinic, [patient])
    single = MessagingService().send_from_template(
        tenant_id=clinic.tenant.pk, template_code="closed", patient=patient,
        context={"patient_name": patient, "day": "Sunday"},
    )  # fmt: skip
    bulk = Message.objects.get(patient=patient, lane=Lane.BULK)
    differs = {
        "id",
        "lane",
        "dedupe_key",
        "conversation_id",
        "created_at",
        "updated_at",
        "expires_at",
        "next_attempt_at",
    }
    for field in Message._meta.concrete_fields:
        if field.name not in differs:
            assert getattr(bulk, field.attname) == getattr(single, field.attname), field.name


def test_the_gate_is_asked_for_each(clinic: Clinic, template: MessageTemplate) -> None:
    fine, dead, off, stopped, phoneless, child = patients(clinic, 6)
    Patient.objects.filter(pk=dead.pk).update(deceased_at=timezone.localdate())
    NotificationPreference.objects.create(tenant=clinic.tenant, patient=off, sms_enabled=False)
    suppress(tenant_id=clinic.tenant.pk, channel="SMS", address=stopped.phone, reason=Reason.OPTED_OUT)
    Patient.objects.filter(pk=phoneless.pk).update(phone="")
    Patient.objects.filter(pk=child.pk).update(birth_date=timezone.localdate() - dt.timedelta(days=900))
    everybody = [fine, dead, off, stopped, phoneless, child]
    assert send(clinic, everybody) == {"queued": 1, "refused": 5, "failed": 0}
    reasons = {message.patient_id: message.reason for message in Message.objects.all()}
    assert [reasons[patient.pk] for patient in everybody] == [
        "",
        Reason.DECEASED,
        Reason.OPT_OUT_CHANNEL,
        Reason.OPTED_OUT,
        Reason.NO_CONTACT,
        Reason.GUARDIAN_UNVERIFIED,
    ]
    assert not Message.objects.exclude(reason="").filter(next_attempt_at__isnull=False).exists()


def test_a_childs_message_goes_to_the_verified_guardian_in_the_guardians_language(
    clinic: Clinic, template: MessageTemplate
) -> None:
    child = patients(clinic, 1, birth_date=timezone.localdate() - dt.timedelta(days=900), language="en")[0]
    mother = factories.GuardianFactory(tenant=clinic.tenant, language="ar")
    Guardianship.objects.create(
        tenant=clinic.tenant, patient=child, guardian=mother, kind="MOTHER", is_primary=True, verified_at=timezone.now()
    )
    send(clinic, [child])
    message = Message.objects.get()
    assert (message.recipient, message.guardian, message.language) == (mother.phone, mother, "ar")


def test_the_same_key_again_sends_nobody_a_second_one_and_reaches_the_rest(
    clinic: Clinic, template: MessageTemplate
) -> None:
    everybody = patients(clinic, 4)
    send(clinic, everybody[:2])
    assert send(clinic, everybody) == {"queued": 4, "refused": 0, "failed": 0}
    assert Message.objects.count() == 4
    assert MessageLog.objects.count() == 8


def test_the_same_key_with_other_words_is_a_mistake_and_sends_nothing(
    clinic: Clinic, template: MessageTemplate
) -> None:
    everybody = patients(clinic, 3)
    send(clinic, everybody[:2])
    with pytest.raises(MessageConflict):
        send(clinic, everybody, context={"day": "Monday"})
    assert Message.objects.count() == 2


def test_who_cannot_be_rendered_for_or_is_unknown_does_not_stop_the_others(
    clinic: Clinic, other_clinic: Clinic, template: MessageTemplate
) -> None:
    fine = patients(clinic, 1)[0]
    stranger = Patient(pk=uuid.uuid4())
    assert send(clinic, [fine, other_clinic.patient, stranger]) == {"queued": 1, "refused": 0, "failed": 2}
    assert send(clinic, [fine], key="other", context={}) == {"queued": 0, "refused": 0, "failed": 1}


def test_without_a_channel_each_patients_preferred_one_that_has_words_is_taken(
    clinic: Clinic, template: MessageTemplate
) -> None:
    MessageTemplate.objects.create(
        tenant=clinic.tenant, code="closed", name="Closed", channel="EMAIL", notification_type="GENERAL",
        subject_en="{day}", body_en="{patient_name}: closed on {day}.", variables=["patient_name", "day"],
    )  # fmt: skip
    by_mail, by_whatsapp = patients(clinic, 2, email="sara@patients.example")
    for patient, channel in ((by_mail, "EMAIL"), (by_whatsapp, "WHATSAPP")):
        NotificationPreference.objects.create(tenant=clinic.tenant, patient=patient, preferred_channel=channel)
    send(clinic, [by_mail, by_whatsapp])
    assert Message.objects.get(patient=by_mail).subject.strip("\u2068\u2069") == "Sunday"
    assert Message.objects.get(patient=by_whatsapp).channel == "SMS"


def test_a_template_that_is_not_there_is_an_error_before_anything_is_written(clinic: Clinic) -> None:
    with pytest.raises(MessageTemplate.DoesNotExist):
        send(clinic, [clinic.patient])


def test_the_cost_of_a_chunk_does_not_grow_with_its_size(
    clinic: Clinic, template: MessageTemplate, django_assert_max_num_queries: Any
) -> None:
    everybody = patients(clinic, 60)
    with django_assert_max_num_queries(12):
        send(clinic, everybody)
    assert Message.objects.count() == 60


def test_chunks_are_written_one_after_the_other(
    clinic: Clinic, template: MessageTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_send, "CHUNK", 3)
    assert send(clinic, patients(clinic, 8))["queued"] == 8


@pytest.mark.django_db(transaction=True)
def test_the_same_send_twice_at_once_still_sends_each_one(clinic: Clinic, template: MessageTemplate) -> None:
    everybody = patients(clinic, 30)
    start = threading.Barrier(2)
    counts: list[dict[str, int]] = []

    def run() -> None:
        try:
            start.wait(10)
            counts.append(send(clinic, everybody))
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [count["queued"] for count in counts] == [30, 30]
    with tenant_scope(clinic.tenant.pk):
        assert Message.objects.filter(status=Status.QUEUED).count() == 30
        assert MessageLog.objects.count() == 60


def test_each_reader_gets_their_own_digits_and_calendar(clinic: Clinic) -> None:
    plain, wishing = (
        factories.PatientFactory(tenant=clinic.tenant, language="ar", numerals=numerals, show_hijri=numerals == "arab")
        for numerals in ("latn", "arab")
    )
    job = bulk_send.Job(
        clinic.tenant.pk,
        {
            "SMS": MessageTemplate(
                tenant=clinic.tenant,
                code="",
                channel="SMS",
                notification_type="GENERAL",
                body_en="{date}",
                body_ar="{date}",
                variables=["date"],
            )
        },
        channel="SMS",
        context={"date": LocalDate(dt.date(2026, 11, 29))},
        sent_by_id=None,
        key="wishes",
    )
    rows, failed = job.rows([bulk_send.Recipient(one.pk) for one in (plain, wishing)], timezone.now())
    bodies = {row["patient_id"]: row["body"] for row in rows}
    assert not failed
    assert "29" in bodies[plain.pk]
    assert "٢٩" in bodies[wishing.pk]
    assert "هـ" in bodies[wishing.pk]
    assert "هـ" not in bodies[plain.pk]
