"""Files as they come from desks and from people who mean harm: cut off, half hidden, bent, or full of somebody else's data."""

from __future__ import annotations

import contextlib
import io
import random
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import xlsxwriter
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from conftest import Clinic
from core.errors import DomainError
from core.models import Patient
from core.tenancy import tenant_scope
from integrations.bulk import control, reading, upload
from integrations.tests.bulk_rows import TEXTS, patients
from integrations.tests.test_bulk_upload import load, problems
from notifications.bulk_states import RowProblem
from notifications.models import BulkRecipient, BulkSend
from notifications.states import Reason
from tests import factories


def book(draw: Callable[[Any], None]) -> bytes:
    made = io.BytesIO()
    with xlsxwriter.Workbook(made, {"in_memory": True}) as open_book:
        draw(open_book)
    return made.getvalue()


def texts_of(content: bytes, name: str = "list.xlsx") -> list[list[str]]:
    return [cells for _number, cells in reading.rows(io.BytesIO(content), name)]


# --- broken files ----------------------------------------------------------------------------------------------------

BROKEN = {
    "UTF-16 cut off in the middle of a letter": b"\xff\xfep",
    "UTF-16 with half a letter at its end": b"\xff\xfe" + "phone\n".encode("utf-16-le") + b"\x00\xd8",
    "the mark of UTF-8 and something else behind it": b"\xef\xbb\xbfphone\n\xff\xfe05",
    "a NUL far down": b"phone,room\n" + b"0501234567,a\n" * 8000 + b"0501234567,a\x00b\n",
    "one cell without end": b'phone,room\n0501234567,"' + b"x" * 200_000,
    "a ZIP that is none": b"PK\x03\x04" + b"x" * 500,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_refused_in_words_and_leaves_nothing(clinic: Clinic, kind: str) -> None:
    file = SimpleUploadedFile("قائمة.csv", BROKEN[kind])
    fields = {"name": "List", "message_class": "SERVICE", "source": "UPLOAD", "file": file}
    answer = clinic.client(clinic.admin).post("/notifications/bulk/create/", fields)
    assert answer.status_code == 422
    assert answer.context["form"].errors["file"]
    assert not BulkSend.objects.exists()


def test_whatever_bit_of_a_workbook_is_bent_it_is_read_or_refused() -> None:
    whole = book(lambda made: made.add_worksheet().write_row(0, 0, ["phone", "0501234567", 4.5]))
    dice = random.Random(7)
    for _try in range(400):
        bent = bytearray(whole)
        for _byte in range(dice.choice([1, 3, 20])):
            bent[dice.randrange(4, len(bent))] = dice.randrange(256)
        # Anything else that is raised fails the test.
        with contextlib.suppress(DomainError):
            texts_of(bytes(bent))


def test_entities_that_name_each_other_are_not_unfolded() -> None:
    whole = book(lambda made: made.add_worksheet().write_row(0, 0, ["phone", "room"]))
    bomb = b'<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a0 "ha">%s]>' % b"".join(
        b'<!ENTITY a%d "%s">' % (number, b"&a%d;" % (number - 1) * 10) for number in range(1, 12)
    )
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(made, "w") as new:
        for part in old.infolist():
            data = old.read(part)
            if part.filename == "xl/sharedStrings.xml":
                data = bomb + data.partition(b"?>")[2].replace(b"room", b"&a11;")
            new.writestr(part, data)
    found: list[list[str]] = []
    with contextlib.suppress(DomainError):
        found = texts_of(made.getvalue())
    assert sum(len(cell) for row in found for cell in row) < 100


# --- what cannot be seen ---------------------------------------------------------------------------------------------


def test_a_hidden_sheet_before_the_one_that_is_seen_is_not_the_list() -> None:
    def draw(made: Any) -> None:
        old, new = made.add_worksheet("Last year"), made.add_worksheet("Now")
        old.write_column(0, 0, ["phone", "0501111111"])
        new.write_column(0, 0, ["phone", "0502222222"])
        old.hide()
        new.activate()
        new.set_first_sheet()

    assert texts_of(book(draw)) == [["phone"], ["0502222222"]]


def test_a_chart_before_the_list_is_not_the_list() -> None:
    def draw(made: Any) -> None:
        chart = made.add_chart({"type": "bar"})
        made.add_chartsheet("Chart").set_chart(chart)
        sheet = made.add_worksheet("List")
        sheet.write_column(0, 0, ["phone", "0502222222"])
        chart.add_series({"values": "=List!$A$2:$A$2"})

    assert texts_of(book(draw)) == [["phone"], ["0502222222"]]


def test_a_filtered_list_is_refused_because_the_file_still_holds_those_who_were_filtered_away() -> None:
    def draw(made: Any) -> None:
        sheet = made.add_worksheet()
        sheet.write_column(0, 0, ["phone", "0501111111", "0502222222"])
        sheet.autofilter(0, 0, 2, 0)
        sheet.set_row(1, None, None, {"hidden": True})

    with pytest.raises(DomainError, match="hidden") as refused:
        texts_of(book(draw))
    assert refused.value.code == "file_hidden"


def test_empty_rows_and_columns_that_are_hidden_for_looks_do_not_matter() -> None:
    def draw(made: Any) -> None:
        sheet = made.add_worksheet()
        sheet.write_column(0, 0, ["phone", "0501111111"])
        sheet.set_row(7, None, None, {"hidden": True})
        sheet.set_column(5, 9, None, None, {"hidden": True})

    assert texts_of(book(draw)) == [["phone"], ["0501111111"]]


# --- cells -----------------------------------------------------------------------------------------------------------


def test_numbers_formulas_and_merged_cells_are_what_a_person_sees() -> None:
    def draw(made: Any) -> None:
        sheet = made.add_worksheet()
        sheet.write_row(0, 0, ["phone", "note"])
        sheet.write_number(1, 0, 9.66501234567e11)
        sheet.write_formula(1, 1, '=A1&"!"', None, "phone!")
        sheet.merge_range(2, 0, 3, 0, "0503333333")
        sheet.write_string(3, 1, "below")
        sheet.write_boolean(4, 1, True)

    assert texts_of(book(draw)) == [
        ["phone", "note"], ["966501234567", "phone!"], ["0503333333", ""], ["", "below"], ["", "yes"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    "typed",
    [
        *("9.66E+11", "9,66501E+11", "0501234567 / 0507654321", "05O1234567", "050123456", "0501234567x5"),
        *("966501234567.0", "tel:0501234567", "1-800-FLOWERS", "=0501234567", "0501234567;ext=1"),
    ],
)
def test_what_is_only_nearly_a_number_finds_nobody(clinic: Clinic, typed: str) -> None:
    factories.PatientFactory(tenant=clinic.tenant, phone="+966501234567")
    assert upload.e164(typed) == ""
    bulk = load(clinic, f'phone\n"{typed}"\n'.encode())
    assert not bulk.recipients.exists()
    assert problems(bulk) == {2: RowProblem.PHONE_INVALID}


@pytest.mark.parametrize("typed", ["٠٥٠١٢٣٤٥٦٧", "۰۵۰۱۲۳۴۵۶۷", "+966(0)50 123-4567", "\u200e0501234567\u200f"])
def test_a_number_is_found_however_it_is_written(clinic: Clinic, typed: str) -> None:
    one = factories.PatientFactory(tenant=clinic.tenant, phone="+966501234567")
    assert load(clinic, f"phone\n{typed}\n".encode()).recipients.get().patient == one


def test_quotes_with_line_ends_and_columns_called_alike(clinic: Clinic) -> None:
    one = patients(clinic, 1)[0]
    content = f'File no;Note;note;NOTE \n{one.mrn};"first\nsecond";b;c\n'.encode("utf-8-sig")
    bulk = load(clinic, content)
    assert bulk.variables == ["note", "column_3", "column_4"]
    assert bulk.recipients.get().values == {"note": "first\nsecond", "column_3": "b", "column_4": "c"}


# --- whose -----------------------------------------------------------------------------------------------------------


def test_a_number_that_two_clinic_groups_know_finds_only_ones_own_patient(clinic: Clinic, other_clinic: Clinic) -> None:
    with tenant_scope(other_clinic.tenant.pk):
        factories.PatientFactory(tenant=other_clinic.tenant, phone="+966501234567", mrn="777", email="x@example.com")
    bulk = load(clinic, b"phone,file,email\n0501234567,,\n,777,\n,,x@example.com\n")
    assert not bulk.recipients.exists()
    assert set(problems(bulk).values()) == {RowProblem.PERSON_UNKNOWN, RowProblem.FILE_NUMBER_UNKNOWN}


def test_the_dead_the_restricted_and_children_without_a_guardian_are_left_out_with_their_reason(clinic: Clinic) -> None:
    fine, dead, restricted = patients(clinic, 3)
    child = factories.PatientFactory(tenant=clinic.tenant, birth_date=timezone.localdate().replace(year=2020))
    Patient.objects.filter(pk=dead.pk).update(deceased_at=timezone.localdate())
    Patient.objects.filter(pk=restricted.pk).update(is_restricted=True)
    lines = "\n".join(one.mrn for one in (fine, dead, restricted, child))
    bulk = load(clinic, f"file\n{lines}\n".encode())
    control.words_set(actor=clinic.admin, bulk=bulk, texts=TEXTS, channel="SMS")
    control.check(actor=clinic.admin, bulk=bulk)
    assert bulk.totals["send"] == 1
    reasons = dict(BulkRecipient.objects.filter(bulk=bulk).values_list("patient", "reason"))
    assert reasons == {
        fine.pk: "",
        dead.pk: Reason.DECEASED,
        restricted.pk: Reason.RESTRICTED,
        child.pk: Reason.GUARDIAN_UNVERIFIED,
    }


def test_one_number_under_two_names_is_one_message_and_one_problem(clinic: Clinic) -> None:
    factories.PatientFactory(tenant=clinic.tenant, phone="+966501234567", name_en="Sara Al-Mutairi")
    bulk = load(clinic, b"phone,name,room\n0501234567,Sara,1\n+966501234567,Sarah Almutairi,2\n")
    assert bulk.recipients.get().values == {"room": "1"}
    assert problems(bulk) == {3: RowProblem.REPEATED}


def test_a_column_that_was_sorted_alone_sends_nobody_somebody_elses_news(clinic: Clinic) -> None:
    sara = factories.PatientFactory(tenant=clinic.tenant, mrn="501", phone="+966501230501", name_en="Sara Al-Mutairi")
    omar = factories.PatientFactory(tenant=clinic.tenant, mrn="502", phone="+966501230502", name_en="Omar Al-Harbi")
    rows = "502,0501230501,Sara Al-Mutairi,500\n501,0501230502,Omar Al-Harbi,20\n"
    bulk = load(clinic, f"file,phone,name,amount\n{rows}".encode())
    assert not bulk.recipients.exists()
    assert set(problems(bulk).values()) == {RowProblem.FILE_NUMBER_OTHER}
    # Another spelling, a new number or a relative's phone are no contradiction.
    rows = "501,0501230502,Sarah Mutairi,1\n502,0509999999,Somebody,2\n"
    bulk = load(clinic, f"file,phone,name,amount\n{rows}".encode())
    assert {row.patient for row in bulk.recipients.all()} == {sara, omar}


def test_a_childs_file_number_beside_the_phone_of_a_mother_who_is_a_patient_too_is_the_childs(clinic: Clinic) -> None:
    factories.PatientFactory(tenant=clinic.tenant, phone="+966501230501", name_en="Huda Al-Mutairi")
    child = factories.PatientFactory(tenant=clinic.tenant, mrn="777", name_en="Sara Al-Mutairi")
    bulk = load(clinic, b"file,phone,name\n777,0501230501,Sara Al-Mutairi\n")
    assert bulk.recipients.get().patient == child
