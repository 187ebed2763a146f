"""Lists from files: every form that a spreadsheet of the region writes, every row accounted for, no bomb goes off."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
import xlsxwriter
from django.core.exceptions import ValidationError

from conftest import Clinic
from core import phone
from core.errors import DomainError
from core.models import Guardianship, Patient
from integrations.bulk import control, reading, upload
from integrations.tests.bulk_rows import patients
from notifications.bulk_states import RowProblem
from notifications.models import BulkRecipient, BulkRowError, BulkSend
from tests import factories


def load(clinic: Clinic, content: bytes, name: str = "list.csv") -> BulkSend:
    return control.draft(
        actor=clinic.admin,
        name=name,
        source="UPLOAD",
        message_class="SERVICE",
        people=lambda bulk: upload.read(bulk, io.BytesIO(content), name),
    )


def workbook(rows: list[list[Any]]) -> bytes:
    made = io.BytesIO()
    with xlsxwriter.Workbook(made, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    return made.getvalue()


def problems(bulk: BulkSend) -> dict[int, str]:
    return dict(BulkRowError.objects.filter(bulk=bulk).values_list("row", "problem"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1256"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_is_read_in_every_encoding_and_with_every_delimiter(clinic: Clinic, encoding: str, delimiter: str) -> None:
    one = patients(clinic, 1)[0]
    lines = [
        ["رقم الملف", "الاسم", "Room"],
        [one.mrn, "سارة المطيري", "غرفة ٢" if encoding != "windows-1256" else "غرفة"],
    ]
    bulk = load(clinic, "\r\n".join(delimiter.join(line) for line in lines).encode(encoding))
    recipient = BulkRecipient.objects.get(bulk=bulk)
    assert (recipient.patient, recipient.row) == (one, 2)
    assert recipient.values["room"].startswith("غرفة")
    assert bulk.variables == ["room"]


def test_excel_is_read_with_its_numbers_and_dates(clinic: Clinic) -> None:
    import datetime as dt

    one, other = patients(clinic, 2)
    national = int(one.phone.removeprefix("+966"))
    made = io.BytesIO()
    with xlsxwriter.Workbook(made, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["Mobile", "File no.", "Visit date"])
        # Excel drops the zero of a phone that was typed as a number.
        sheet.write_number(1, 0, national)
        sheet.write_datetime(1, 2, dt.datetime(2026, 12, 1), book.add_format({"num_format": "yyyy-mm-dd"}))
        sheet.write_number(2, 1, int(other.mrn))
    bulk = load(clinic, made.getvalue(), "list.xlsx")
    assert [row.patient for row in bulk.recipients.all()] == [one, other]
    assert bulk.recipients.first().values == {"visit_date": "2026-12-01"}


def test_every_row_is_a_recipient_or_has_its_problem(clinic: Clinic, other_clinic: Clinic) -> None:
    one, twin, gone = patients(clinic, 3)
    shared = patients(clinic, 2, phone="+966501239999")
    Patient.objects.filter(pk=gone.pk).update(is_active=False)
    rows = [
        "file number,phone,email,name,language,note",
        f"{one.mrn},,,,,x",  # 2
        f",{one.phone},,,,",  # 3 the same patient
        ",0112345678,,,,",  # 4 a landline
        ",,not-an-address,,,",  # 5
        ",,,Sara,,",  # 6 nothing to find her by
        "99999999,,,,,",  # 7
        f",{other_clinic.patient.phone},,,,",  # 8 a stranger's
        f",{shared[0].phone},,,,",  # 9
        f"{twin.mrn},,,,fr,",  # 10
        f"{twin.mrn},,,,en," + "x" * 201,  # 11
        f"{gone.mrn},,,,,",  # 12
        f"{twin.mrn},,,,AR,",  # 13
    ]
    bulk = load(clinic, "\n".join(rows).encode())
    assert [row.row for row in bulk.recipients.all()] == [2, 13]
    assert problems(bulk) == {
        3: RowProblem.REPEATED,
        4: RowProblem.PHONE_INVALID,
        5: RowProblem.EMAIL_INVALID,
        6: RowProblem.NOTHING_TO_FIND,
        7: RowProblem.FILE_NUMBER_UNKNOWN,
        8: RowProblem.PERSON_UNKNOWN,
        9: RowProblem.PERSON_UNCLEAR,
        10: RowProblem.LANGUAGE_UNKNOWN,
        11: RowProblem.VALUE_LONG,
        12: RowProblem.FILE_NUMBER_UNKNOWN,
    }
    assert (bulk.row_count, bulk.error_count) == (12, 10)
    lines = list(upload.error_rows(bulk))
    assert lines[0] == (3, "phone", "The same patient stands in an earlier row (2)")


def test_a_name_tells_which_of_a_familys_patients_is_meant(clinic: Clinic) -> None:
    omar = patients(clinic, 1, phone="+966501239999", name_en="Omar Al-Harbi", name_ar="عمر الحربي")[0]
    patients(clinic, 1, phone="+966501239999", name_en="Sara Al-Harbi", name_ar="سارة الحربي")
    bulk = load(clinic, "الجوال,الاسم\n٠٥٠١٢٣٩٩٩٩,عمر الحربي\n".encode())
    assert bulk.recipients.get().patient == omar


def test_a_mothers_phone_finds_her_child(clinic: Clinic) -> None:
    child = patients(clinic, 1)[0]
    mother = factories.GuardianFactory(tenant=clinic.tenant)
    Guardianship.objects.create(tenant=clinic.tenant, patient=child, guardian=mother, kind="MOTHER", is_primary=True)
    assert load(clinic, f"phone\n{mother.phone}\n".encode()).recipients.get().patient == child


def test_rows_may_be_shorter_or_longer_than_the_header(clinic: Clinic) -> None:
    one, other = patients(clinic, 2)
    bulk = load(clinic, f"mrn,room\n{one.mrn}\n{other.mrn},R2,,,beyond\n".encode())
    assert [row.values for row in bulk.recipients.all()] == [{}, {"room": "R2"}]
    assert not problems(bulk)


def test_headers_become_placeholders_that_cannot_take_the_place_of_ours(clinic: Clinic) -> None:
    one = patients(clinic, 1)[0]
    bulk = load(clinic, f"mrn,Visit Date,موعد,clinic_name,Visit-Date\n{one.mrn},1,2,3,4\n".encode())
    assert bulk.variables == ["visit_date", "column_3", "column_4", "column_5"]


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (b"", "a.csv", "file_empty"),
        (b"phone\n", "a.csv", "file_empty"),
        (b"name,room\nSara,1\n", "a.csv", "columns_unknown"),
        (b"phone,mobile\n1,2\n", "a.csv", "column_twice"),
        (b"phone\n0501234567\n", "a.pdf", "file_format"),
        (b"\xd0\xcf\x11\xe0old", "a.xls", "file_format"),
        (b"phone\n\x00\n", "a.csv", "file_format"),
        (b"PK\x03\x04nonsense", "a.xlsx", "file_broken"),
        (b"phone\n" + b"," * 60 + b"x\n", "a.csv", "file_too_wide"),
    ],
)
def test_what_is_no_list_is_refused_with_a_reason_and_nothing_stays(
    clinic: Clinic, content: bytes, name: str, code: str
) -> None:
    with pytest.raises(DomainError) as refused:
        load(clinic, content, name)
    assert refused.value.code == code
    assert not BulkSend.objects.exists()


def test_limits_hold_whatever_the_file_says(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_ROWS", 2)
    with pytest.raises(DomainError) as refused:
        load(clinic, b"phone\n1\n2\n3\n")
    assert refused.value.code == "file_too_long"
    monkeypatch.setattr(reading, "MOST_BYTES", 5)
    with pytest.raises(DomainError) as refused:
        load(clinic, b"phone\n1\n")
    assert refused.value.code == "file_too_large"


def repacked(content: bytes, part: str, data: bytes) -> bytes:
    """The workbook with one part's content changed."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, data if entry.filename == part else old.read(entry))
    return made.getvalue()


@pytest.mark.parametrize("cell", [b"XFD2", b"BA2", b"A1048576", b"A110000"])
def test_one_cell_far_away_is_refused_before_room_is_made_for_it(clinic: Clinic, cell: bytes) -> None:
    content = workbook([["phone"], ["0501234567"]])
    with zipfile.ZipFile(io.BytesIO(content)) as old:
        sheet = old.read("xl/worksheets/sheet1.xml")
    far = sheet.replace(b"</sheetData>", b'<row r="2"><c r="' + cell + b'"><v>1</v></c></row></sheetData>')
    with pytest.raises(DomainError) as refused:
        load(clinic, repacked(content, "xl/worksheets/sheet1.xml", far), "a.xlsx")
    assert refused.value.code == "file_suspect"


def test_what_unpacks_to_too_much_is_refused(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_UNPACKED", 3 << 20)
    content = repacked(workbook([["phone"], ["0501234567"]]), "xl/styles.xml", b" " * (8 << 20))
    assert len(content) < 100_000
    with pytest.raises(DomainError) as refused:
        load(clinic, content, "a.xlsx")
    assert refused.value.code == "file_suspect"


@pytest.mark.parametrize(
    "typed",
    ["0501234567", "501234567", "+966501234567", "00966501234567", "966 50 123 4567", "050-123-4567", "٠٥٠١٢٣٤٥٦٧",
     "0521234567", "0579912345", "0112345678", "+971501234567", "05012345", "hello", "0571234567", "0510000000"],
)  # fmt: skip
def test_the_quick_way_to_read_a_phone_agrees_with_the_thorough_one(typed: str) -> None:
    plain = typed if not typed.startswith("966") else f"+{typed}"
    if plain == "501234567":
        plain = f"0{plain}"
    try:
        thorough = phone.to_e164(plain)
    except ValidationError:
        thorough = ""
    assert upload.e164(typed) == thorough


def test_a_chunk_of_rows_costs_the_same_number_of_queries_whatever_its_size(
    clinic: Clinic, django_assert_max_num_queries: Any
) -> None:
    people = patients(clinic, 40)
    content = "phone\n" + "\n".join(one.phone for one in people)
    with django_assert_max_num_queries(14):
        load(clinic, content.encode())
    assert BulkRecipient.objects.count() == 40
