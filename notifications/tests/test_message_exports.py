"""Exports: what the file holds, who gets it, and that a long one survives a worker's death."""

from __future__ import annotations

import csv
import datetime as dt
import io
import uuid
import zipfile
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone
from python_calamine import CalamineWorkbook

from conftest import Clinic
from core.models import AuditEvent, Language, Patient, Role
from core.tenancy import tenant_scope
from notifications import export_rows, exports, links
from notifications.message_filters import MessageFilterForm
from notifications.models import ExportStatus, Message, MessageExport, MessageExportPart, Notification
from notifications.states import Status
from notifications.tasks import sweep_exports_task
from notifications.tests.test_message_list import write
from tests.factories import PatientFactory, UserFactory

EXPORT = reverse("notifications:message_export")
MINE = reverse("notifications:message_exports")


@pytest.fixture(autouse=True)
def no_doorbell(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is called by hand."""
    monkeypatch.setattr("core.queueing.publish", lambda *_args, **_options: True)


@pytest.fixture
def long_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows are a long list, and are read one by one."""
    monkeypatch.setattr(exports, "AT_ONCE", 1)
    monkeypatch.setattr(export_rows, "BATCH", 1)


def body_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def table_of(data: bytes) -> list[list[str]]:
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def asked(clinic: Clinic, file_format: str = "CSV", **query: str) -> MessageExport:
    form = MessageFilterForm(query)
    assert form.is_valid()
    return exports.ask(user=clinic.admin, key=uuid.uuid4(), form=form, file_format=file_format, with_text=False)


# --- at once ---------------------------------------------------------------------------------------------------------


def test_the_file_holds_the_filtered_messages_in_words_on_the_clinics_clock(clinic: Clinic) -> None:
    message = write(
        clinic, created_at=dt.datetime(2026, 3, 9, 22, 30, tzinfo=dt.UTC), status=Status.FAILED, provider="twilio"
    )
    write(clinic)
    answer = clinic.client(clinic.admin).get(EXPORT, {"status": "FAILED"})
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["Content-Disposition"]
    head, row = table_of(body_of(answer))
    told = dict(zip(head, row, strict=True))
    assert told["Created"] == "2026-03-10 01:30:00"
    assert told["Name"] == clinic.patient.name_en
    assert told["Address"] == message.recipient
    assert (told["Status"], told["Provider"], told["Sent by"]) == ("Failed", "Twilio", clinic.front_desk.name_en)
    assert uuid.UUID(told["Message number"]) == message.pk
    # Nobody asked for the texts.
    assert "Text" not in told
    assert "Please bring your card." not in ",".join(row)


def test_the_reader_of_arabic_gets_arabic_words_and_names(clinic: Clinic) -> None:
    write(clinic)
    browser = clinic.client(clinic.admin)
    browser.cookies["django_language"] = "ar"
    answer = browser.post(EXPORT, {"format": "CSV", "with_text": "1"}, headers={"Accept-Language": "ar"})
    head, row = table_of(body_of(answer))
    assert clinic.patient.name_ar in row
    assert "Please bring your card." in row
    assert "القناة" in head


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "\t=1", " =1", "\u200e=1", "＝1"])
def test_nothing_in_the_file_is_run_as_a_formula(clinic: Clinic, text: str) -> None:
    Patient.objects.filter(pk=clinic.patient.pk).update(name_en=text, name_ar="")
    write(clinic, body=text, subject=text, error_message=text, error_code=text[:4])
    answer = clinic.client(clinic.admin).post(EXPORT, {"format": "CSV", "with_text": "1"})
    _head, row = table_of(body_of(answer))
    assert not [cell for cell in row if cell[:1] and cell[0] in export_rows.DANGEROUS and cell != row[3]]
    assert row[1] == f"'{text}"
    # A bare number stays one.
    assert row[3].startswith("+966")


def test_an_address_that_is_no_number_is_guarded_too(clinic: Clinic) -> None:
    write(clinic, recipient="+966;=1")
    _head, row = table_of(body_of(clinic.client(clinic.admin).get(EXPORT)))
    assert row[3] == "'+966;=1"


def test_a_workbook_says_that_its_texts_are_text(clinic: Clinic) -> None:
    Patient.objects.filter(pk=clinic.patient.pk).update(name_en="=1+1")
    write(clinic, created_at=dt.datetime(2026, 3, 9, 22, 30, tzinfo=dt.UTC), cost="0.03100", currency="SAR")
    data = body_of(clinic.client(clinic.admin).post(EXPORT, {"format": "XLSX"}))
    head, row = CalamineWorkbook.from_filelike(io.BytesIO(data)).get_sheet_by_index(0).to_python()
    told = dict(zip(head, row, strict=True))
    assert told["Created"] == dt.datetime(2026, 3, 10, 1, 30)  # a cell has no zone
    assert (told["Name"], told["Cost"]) == ("=1+1", 0.031)
    sheet = zipfile.ZipFile(io.BytesIO(data)).read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "rightToLeft" not in sheet


def test_an_arabic_workbook_reads_from_the_right(clinic: Clinic) -> None:
    table = export_rows.Table(zone=clinic.location.zone, language="ar", with_text=False, is_safe=False)
    data = b"".join(part.data for part in export_rows.xlsx_parts(table, Message.objects.none()))
    assert 'rightToLeft="1"' in zipfile.ZipFile(io.BytesIO(data)).read("xl/worksheets/sheet1.xml").decode()


def test_an_export_is_audited_without_what_was_searched_for(clinic: Clinic) -> None:
    write(clinic)
    body_of(clinic.client(clinic.admin).get(EXPORT, {"q": "sara", "channel": "SMS"}))
    told = AuditEvent.objects.get(action="messages.exported")
    assert told.actor == clinic.admin
    assert told.after == {
        "filters": {"channel": "SMS"},
        "is_search": True,
        "format": "CSV",
        "with_text": False,
        "rows": 1,
    }


# --- who -------------------------------------------------------------------------------------------------------------


def test_only_an_admin_exports_and_only_of_the_own_clinic_group(clinic: Clinic, other_clinic: Clinic) -> None:
    write(clinic)
    for user in (clinic.front_desk, clinic.provider, clinic.patient_user):
        browser = clinic.client(user)
        assert browser.get(EXPORT).status_code == 403
        assert browser.post(EXPORT).status_code == 403
        assert browser.get(MINE).status_code == 403
    assert len(table_of(body_of(other_clinic.client(other_clinic.admin).get(EXPORT)))) == 1
    assert (
        "message_export"
        not in clinic.client(clinic.front_desk).get(reverse("notifications:message_list")).content.decode()
    )


def test_a_file_is_its_makers_alone(clinic: Clinic, other_clinic: Clinic, long_lists: None) -> None:
    for _number in range(2):
        write(clinic)
    export = asked(clinic)
    exports.make(clinic.tenant.pk, export.pk)
    address = reverse("notifications:message_export_download", args=[export.pk])
    colleague = UserFactory(tenant=clinic.tenant, role=Role.ADMIN)
    assert clinic.client(colleague).get(address).status_code == 404
    assert other_clinic.client(other_clinic.admin).get(address).status_code == 404
    assert clinic.client(clinic.front_desk).get(address).status_code == 403
    answer = clinic.client(clinic.admin).get(address)
    data = body_of(answer)
    assert answer.headers["Content-Length"] == str(len(data))
    assert len(table_of(data)) == 3
    assert AuditEvent.objects.filter(action="messages.export_downloaded", actor=clinic.admin).count() == 1


# --- in the background -----------------------------------------------------------------------------------------------


def test_a_long_list_is_asked_for_once_and_made_by_a_worker(clinic: Clinic, long_lists: None) -> None:
    for _number in range(3):
        write(clinic)
    admin = clinic.client(clinic.admin)
    # Looking makes nothing.
    assert "Make a CSV file" in admin.get(EXPORT).content.decode()
    key = str(uuid.uuid4())
    for _time in range(2):
        assert admin.post(EXPORT, {"format": "CSV", "key": key}).url == MINE
    export = MessageExport.objects.get()
    assert "data-refresh-ms" in admin.get(MINE).content.decode()
    write(clinic)

    assert exports.make(clinic.tenant.pk, export.pk)
    assert not exports.make(clinic.tenant.pk, export.pk)

    export.refresh_from_db()
    # What was written after it was asked for is not in it.
    assert (export.status, export.rows) == (ExportStatus.READY, 3)
    assert MessageExportPart.objects.count() == 4
    assert "data-refresh-ms" not in admin.get(MINE).content.decode()
    told = Notification.objects.get(user=clinic.admin)
    assert (told.title, told.related_object_id) == ("Your export is ready", export.pk)
    assert links.address_of(told, clinic.admin) == MINE
    assert links.address_of(told, clinic.front_desk) is None


def test_a_worker_that_dies_leaves_a_file_that_is_finished_below_its_last_piece(
    clinic: Clinic, long_lists: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _number in range(4):
        write(clinic)
    export = asked(clinic)
    whole = export_rows.csv_parts

    def dies(*args: Any, **options: Any) -> Any:
        for number, part in enumerate(whole(*args, **options)):
            if number == 3:
                raise SystemExit
            yield part

    monkeypatch.setattr(export_rows, "csv_parts", dies)
    with pytest.raises(SystemExit):
        exports.make(clinic.tenant.pk, export.pk)
    monkeypatch.setattr(export_rows, "csv_parts", whole)
    assert not exports.make(clinic.tenant.pk, export.pk)  # its lease holds
    MessageExport.objects.update(lease_expires_at=timezone.now())
    assert sweep_exports_task() == {"rung": 1, "deleted": 0}
    assert exports.make(clinic.tenant.pk, export.pk)

    export.refresh_from_db()
    data = b"".join(exports.download(user=clinic.admin, export=export))
    rows = table_of(data)
    assert export.size == len(data)
    assert len(rows) == 5
    assert {uuid.UUID(row[22]) for row in rows[1:]} == set(Message.objects.values_list("pk", flat=True))


def test_what_fails_again_and_again_is_given_up_and_told(
    clinic: Clinic, long_lists: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(clinic)
    export = asked(clinic)

    def breaks(*_args: Any, **_options: Any) -> Any:
        raise OSError("disk")

    monkeypatch.setattr(exports, "_write_file", breaks)
    for _time in range(exports.MAX_ATTEMPTS + 1):
        assert not exports.make(clinic.tenant.pk, export.pk)
    export.refresh_from_db()
    assert export.status == ExportStatus.FAILED
    assert Notification.objects.get(user=clinic.admin).title == "Your export could not be made"


def test_somebody_who_may_no_longer_export_gets_no_file(clinic: Clinic, long_lists: None) -> None:
    write(clinic)
    export = asked(clinic)
    type(clinic.admin).objects.filter(pk=clinic.admin.pk).update(is_active=False)
    assert not exports.make(clinic.tenant.pk, export.pk)
    export.refresh_from_db()
    assert export.status == ExportStatus.FAILED


def test_files_are_deleted_when_their_time_is_over_and_at_a_wish(clinic: Clinic, long_lists: None) -> None:
    write(clinic)
    old, kept = asked(clinic), asked(clinic)
    for export in (old, kept):
        exports.make(clinic.tenant.pk, export.pk)
    MessageExport.objects.filter(pk=old.pk).update(expires_at=timezone.now())
    assert sweep_exports_task()["deleted"] == 1
    assert not old.parts.exists()
    admin = clinic.client(clinic.admin)
    assert admin.get(reverse("notifications:message_export_download", args=[old.pk])).status_code == 404
    admin.post(reverse("notifications:message_export_remove", args=[kept.pk]))
    assert not MessageExportPart.objects.exists()
    assert set(MessageExport.objects.values_list("status", flat=True)) == {ExportStatus.EXPIRED}


def test_a_person_has_two_exports_under_way_at_most(clinic: Clinic, long_lists: None) -> None:
    for _number in range(2):
        write(clinic)
    admin = clinic.client(clinic.admin)
    for _time in range(3):
        admin.post(EXPORT, {"format": "CSV"})
    assert MessageExport.objects.count() == exports.MOST_UNFINISHED


def test_a_period_is_fixed_when_the_export_is_asked_for(clinic: Clinic) -> None:
    today = timezone.localdate(timezone=clinic.location.zone)
    export = asked(clinic, period="7", channel="SMS")
    assert export.query == {"channel": "SMS", "since": f"{today - dt.timedelta(days=6)}", "until": f"{today}"}


def test_the_list_of_exports_makes_the_same_queries_for_one_and_for_many(
    clinic: Clinic, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "MOST_UNFINISHED", 99)
    admin = clinic.client(clinic.admin)
    for count in (1, 5):
        for _number in range(count):
            asked(clinic)
        with django_assert_num_queries(2):
            assert admin.get(MINE).status_code == 200


def test_rows_of_another_clinic_group_are_never_read(clinic: Clinic, other_clinic: Clinic, long_lists: None) -> None:
    write(clinic)
    with tenant_scope(other_clinic.tenant.pk):
        write(other_clinic, patient=PatientFactory(tenant=other_clinic.tenant, language=Language.ENGLISH))
        write(other_clinic)
    export = asked(clinic)
    exports.make(clinic.tenant.pk, export.pk)
    export.refresh_from_db()
    assert export.rows == 1
