"""A patient's rights, from the request to the file: scenarios 17 and 18 of the clinic's ground, and a family around them."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
import uuid
import zipfile
from typing import Any

import pytest
from django.utils import timezone

from appointments import services
from conftest import Clinic
from core import holds, looks, rights, subject_exports
from core.erasure import run as erase
from core.models import ErasedWords, Guardian, Look, Patient, RightsRequest, SubjectExport, TenantSettings
from core.tasks import make_subject_export_task, sweep_rights_task
from finance.services import invoice_issue
from integrations.messaging_service import MessagingService
from integrations.tasks import retention_task
from integrations.tests.fakes import FakeProvider, provider
from notifications import consents, opt_outs, retention
from notifications.consent_states import ConsentStatus, Method, Purpose
from notifications.models import DeskTask, InboundMessage, Message
from notifications.states import NEVER_LEFT, Status, TaskKind
from tests import factories

__all__ = ["provider"]
pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)


class Family:
    """A mother with two children at one clinic, and a father who is told of neither but has his own number."""

    def __init__(self, clinic: Clinic) -> None:
        self.clinic, tenant = clinic, clinic.tenant
        self.mother = factories.GuardianFactory(tenant=tenant, phone="+966551112222", email="huda@mail.example")
        self.father = factories.GuardianFactory(
            tenant=tenant,
            name_en="Faisal Al-Rashid",
            name_ar="فيصل الراشد",
            phone="+966553334444",
            email="f@mail.example",
        )
        self.sara = self._child("Sara Al-Rashid", "سارة الراشد", 6)
        self.omar = self._child("Omar Al-Rashid", "عمر الراشد", 9)
        for child in (self.sara, self.omar):
            factories.GuardianshipFactory(tenant=tenant, patient=child, guardian=self.mother)
            factories.GuardianshipFactory(
                tenant=tenant, patient=child, guardian=self.father, kind="FATHER", is_primary=False
            )

    def _child(self, name_en: str, name_ar: str, age: int) -> Patient:
        return factories.PatientFactory(
            tenant=self.clinic.tenant,
            name_en=name_en,
            name_ar=name_ar,
            birth_date=timezone.localdate() - age * 366 * DAY,
            phone="",
            email="",
        )

    def write(self, patient: Patient, body: str) -> Message:
        return MessagingService().send_message(
            tenant_id=self.clinic.tenant.pk, patient_id=patient.pk, channel="SMS", body=body
        )

    def book(self, patient: Patient, hour: int) -> Any:
        day = timezone.localdate() + 3 * DAY
        return services.appointment_book(
            actor=self.clinic.front_desk,
            patient=patient,
            provider=self.clinic.provider,
            location=self.clinic.location,
            department=self.clinic.department,
            starts_at=timezone.make_aware(dt.datetime.combine(day, dt.time(hour))),
            duration=dt.timedelta(minutes=30),
        )

    def ask(self, patient: Patient, kind: str = "EXPORT", guardian: Guardian | None = None) -> RightsRequest:
        return rights.rights_open(
            patient=patient, kind=kind, asked_by=f"guardian:{(guardian or self.mother).pk}", details="x"
        )


@pytest.fixture
def family(clinic: Clinic) -> Family:
    return Family(clinic)


def copy_of(family: Family, request: RightsRequest) -> tuple[dict[str, Any], str, SubjectExport]:
    """What an admin's yes brings: the file for machines, everything in the zip as one text, and its row."""
    export = subject_exports.export_ask(actor=family.clinic.admin, request=request, language="en")
    assert make_subject_export_task(str(export.tenant_id), str(export.pk)) is True
    export.refresh_from_db()
    data = b"".join(subject_exports.download(export=export, actor=family.clinic.admin))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    return json.loads(texts["data.json"]), "\n".join(texts.values()), export


def test_scenario_17_a_copy_for_one_child_holds_everything_of_the_child_and_nothing_of_the_sibling(
    family: Family,
) -> None:
    clinic, sara, omar = family.clinic, family.sara, family.omar
    mine = [family.write(sara, f"Words for one, number {number}") for number in range(3)]
    family.write(omar, "A secret of the brother")
    visit, brothers = family.book(sara, 10), family.book(omar, 11)
    for patient in (sara, omar):
        consents.record(
            patient=patient,
            guardian=family.mother,
            purpose=Purpose.AWARENESS,
            status=ConsentStatus.GRANTED,
            method=Method.STAFF,
            actor=clinic.front_desk,
        )
        invoice_issue(
            actor=clinic.front_desk,
            patient=patient,
            amount_minor=10_000,
            description=f"Visit of {patient.name_en.split()[0]}",
            due_on=timezone.localdate() + 7 * DAY,
        )
        looks.record_look(user=clinic.front_desk, patient=patient, page=Look.Page.PATIENT)
        InboundMessage.objects.create(
            tenant=clinic.tenant,
            channel="SMS",
            sender=family.mother.phone,
            patient=patient,
            body=f"About {patient.name_en.split()[0]}",
            provider_message_id=str(uuid.uuid4()),
        )
    opt_outs.stop(
        tenant_id=clinic.tenant.pk, channel="SMS", sender="CLINIC", address=family.mother.phone, raw="STOP",
        source="reply", patient=omar,
    )  # fmt: skip

    request = family.ask(sara)
    assert request.due_on == timezone.localdate() + 30 * DAY
    task = DeskTask.objects.get(kind=TaskKind.RIGHTS)
    assert (task.object_id, task.role, timezone.localdate(task.due_at)) == (request.pk, "ADMIN", request.due_on)

    told, whole, export = copy_of(family, request)

    assert {row["id"] for row in told["messages"]} == {
        str(pk) for pk in Message.objects.filter(patient=sara).values_list("pk", flat=True)
    }
    assert {row["text"] for row in told["messages"]} >= {message.body for message in mine}
    assert [row["number"] for row in told["visits"]] == [visit.number]
    assert len(told["consents"]) == 1
    assert [row["text"] for row in told["opt_events"]] == ["STOP"], "it stops her messages as well"
    assert [row["by"] for row in told["access"]] == ["Front desk"]
    assert [row["for"] for row in told["invoices"]] == ["Visit of Sara"]
    assert [row["text"] for row in told["replies"]] == ["About Sara"]
    assert told["about"]["file_number"] == sara.mrn

    for secret in ("Omar", "عمر", "secret", omar.mrn, str(omar.pk), brothers.number):
        assert secret not in whole, secret
    # The other guardian and the staff are other people too.
    for secret in (
        family.father.phone,
        family.father.email,
        "Faisal",
        clinic.front_desk.email,
        clinic.front_desk.name_en,
    ):
        assert secret not in whole, secret
    assert family.mother.phone in whole, "her own number is hers to read"

    request.refresh_from_db()
    assert request.state == "DONE"
    assert export.counts["messages"] == len(told["messages"])
    assert not DeskTask.objects.filter(kind=TaskKind.RIGHTS, state="OPEN").exists()


def test_a_message_that_tells_of_both_children_is_in_the_copy_without_its_words(family: Family) -> None:
    english = family.write(family.sara, "Reminder: Sara at 10:00, Omar at 10:30.")
    arabic = family.write(family.sara, "تذكير بموعد سارة الساعة 10:00 وعمر الساعة 10:30.")
    alike = family.write(family.sara, "Romario is no brother of hers.")
    told, whole, _export = copy_of(family, family.ask(family.sara))
    texts = {row["id"]: row["text"] for row in told["messages"]}
    assert texts[str(english.pk)] is None
    assert texts[str(arabic.pk)] is None
    assert texts[str(alike.pk)] == alike.body
    assert "10:30" not in whole
    assert told["about"]["texts_left_out"] == 2


def test_the_other_guardian_gets_a_copy_with_their_own_number_and_not_the_first_ones(family: Family) -> None:
    family.write(family.sara, "Words")
    told, whole, _export = copy_of(family, family.ask(family.sara, guardian=family.father))
    assert family.mother.phone not in whole
    assert "Huda" not in whole
    assert family.father.phone in whole
    assert told["messages"][0]["to"] == "+9665•••••22"


def test_the_tables_can_be_opened_by_a_spreadsheet_without_harm(family: Family) -> None:
    family.write(family.sara, "=1+1")
    _told, _whole, export = copy_of(family, family.ask(family.sara))
    data = b"".join(subject_exports.download(export=export, actor=family.clinic.admin))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        rows = list(csv.reader(io.StringIO(archive.read("messages.csv").decode("utf-8-sig"))))
        page = archive.read("index.html").decode()
    assert rows[1][6] == "'=1+1"
    assert 'dir="ltr"' in page
    assert not re.search(r"<script|https?://", page)


def test_a_copy_whose_worker_died_is_made_by_the_sweeper_and_a_lost_doorbell_too(
    family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[tuple[Any, ...]] = []
    monkeypatch.setattr("core.tasks.publish", lambda task, *args: bool(rung.append((task.name, *args)) or True))
    export = subject_exports.export_ask(actor=family.clinic.admin, request=family.ask(family.sara), language="ar")
    SubjectExport.objects.update(created_at=timezone.now() - dt.timedelta(minutes=1))
    sweep_rights_task()
    SubjectExport.objects.update(status="RUNNING", lease_expires_at=timezone.now() - DAY)
    sweep_rights_task()
    assert [key for _name, _tenant, key in rung] == [str(export.pk)] * 2
    assert make_subject_export_task(str(export.tenant_id), str(export.pk)) is True
    assert make_subject_export_task(str(export.tenant_id), str(export.pk)) is False, "it is there"


def test_a_file_is_deleted_when_its_time_is_over(family: Family) -> None:
    _told, _whole, export = copy_of(family, family.ask(family.sara))
    assert export.expires_at >= timezone.now() + 13 * DAY
    SubjectExport.objects.update(expires_at=timezone.now() - DAY)
    assert sweep_rights_task()["deleted"] == 1
    export.refresh_from_db()
    assert (export.status, export.parts.count()) == ("EXPIRED", 0)


def test_scenario_18_a_hold_keeps_the_words_and_without_it_they_go_and_the_proof_stays(
    family: Family, provider: FakeProvider
) -> None:
    clinic = family.clinic
    held, free = family.write(family.sara, "Kept for the court."), family.write(family.omar, "Nobody asks for it.")
    from integrations import delivery

    delivery.drain(held.lane)
    Message.objects.update(created_at=timezone.now() - 40 * DAY)
    holds.hold_place(actor=clinic.admin, patient=family.sara, reason="Case 12/1448")
    TenantSettings.objects.update_or_create(tenant=clinic.tenant, defaults={"message_days": 30})

    assert retention_task()["words"] == 1
    held.refresh_from_db()
    free.refresh_from_db()
    assert held.body == "Kept for the court."
    assert (free.body, free.status, free.recipient) == ("", Status.SENT, family.mother.phone)
    assert free.sent_at is not None
    assert free.logs.exists()
    assert retention.fits(free.pk, subject="", body="Nobody asks for it.") is True
    assert not ErasedWords.objects.filter(pk=held.pk).exists()

    holds.hold_lift(actor=clinic.admin, hold=holds.in_force().get())
    assert retention_task()["words"] == 1
    held.refresh_from_db()
    assert held.body == ""
    assert retention.fits(held.pk, subject="", body="Kept for the court.") is True


# --- erasure ---------------------------------------------------------------------------------------------------------


def erased(family: Family, patient: Patient) -> RightsRequest:
    request = family.ask(patient, "ERASURE")
    rights.erasure_start(actor=family.clinic.admin, request=request)
    erase(family.clinic.tenant.pk, request.pk)
    request.refresh_from_db()
    return request


def test_erasure_takes_words_and_addresses_of_one_child_and_leaves_proof_and_the_sibling(
    family: Family, provider: FakeProvider
) -> None:
    from integrations import delivery

    sent, brothers = family.write(family.sara, "Words for her"), family.write(family.omar, "Words for him")
    delivery.drain(sent.lane)
    waiting = family.write(family.sara, "Not gone yet")
    granted = consents.record(
        patient=family.sara, guardian=family.mother, purpose=Purpose.AWARENESS, status=ConsentStatus.GRANTED,
        method=Method.STAFF, actor=family.clinic.front_desk,
    )  # fmt: skip
    request = erased(family, family.sara)
    assert request.state == "DONE"
    for message in (sent, waiting):
        message.refresh_from_db()
        assert (message.body, message.subject, message.recipient) == ("", "", "")
    assert sent.status == Status.SENT
    assert waiting.status in NEVER_LEFT
    assert retention.fits(sent.pk, subject="", body="Words for her") is True
    brothers.refresh_from_db()
    assert (brothers.body, brothers.recipient) == ("Words for him", family.mother.phone)
    family.mother.refresh_from_db()
    assert family.mother.phone, "the brother's guardian is still reached"
    assert type(granted).objects.filter(pk=granted.pk).exists(), "the proof of a consent stays"
    family.sara.refresh_from_db()
    assert family.sara.is_active is False
    # Again, from anywhere: nothing more to do, and nothing breaks.
    RightsRequest.objects.filter(pk=request.pk).update(state="RUNNING", lease_expires_at=None)
    assert set(erase(family.clinic.tenant.pk, request.pk).values()) == {0}


def test_erasure_waits_for_a_message_that_is_with_a_provider(family: Family) -> None:
    message = family.write(family.sara, "On its way")
    Message.objects.filter(pk=message.pk).update(status=Status.SENDING, next_attempt_at=None)
    request = erased(family, family.sara)
    assert request.state == "RUNNING"
    message.refresh_from_db()
    assert message.body == "On its way"
    Message.objects.filter(pk=message.pk).update(status=Status.SENT)
    assert erase(family.clinic.tenant.pk, request.pk) == {}, "not before its time"
    RightsRequest.objects.filter(pk=request.pk).update(lease_expires_at=timezone.now() - DAY)
    erase(family.clinic.tenant.pk, request.pk)
    request.refresh_from_db()
    assert request.state == "DONE"


def test_nothing_is_erased_under_a_hold_and_a_hold_placed_later_stops_it(family: Family) -> None:
    from core.errors import DomainError

    message = family.write(family.sara, "Kept")
    Message.objects.filter(pk=message.pk).update(status=Status.SENT, next_attempt_at=None)
    hold = holds.hold_place(actor=family.clinic.admin, patient=family.sara, reason="Case")
    request = family.ask(family.sara, "ERASURE")
    with pytest.raises(DomainError) as refused:
        rights.erasure_start(actor=family.clinic.admin, request=request)
    assert refused.value.code == "legal_hold"
    holds.hold_lift(actor=family.clinic.admin, hold=hold)
    rights.erasure_start(actor=family.clinic.admin, request=request)
    holds.hold_place(actor=family.clinic.admin, patient=family.sara, reason="Another case")
    assert erase(family.clinic.tenant.pk, request.pk) == {}
    message.refresh_from_db()
    request.refresh_from_db()
    assert (message.body, request.state) == ("Kept", "RUNNING")


def test_what_is_unsettled_stands_in_the_way_of_erasing(family: Family) -> None:
    from core.errors import DomainError

    family.book(family.sara, 10)
    with pytest.raises(DomainError) as refused:
        erased(family, family.sara)
    assert refused.value.code == "unsettled"
