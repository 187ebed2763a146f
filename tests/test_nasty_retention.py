"""Words that lie beside the messages: in the rows of a send to many, and in files that were made of the message list."""

from __future__ import annotations

import datetime as dt
import uuid
import zlib

import pytest
from django.utils import timezone

from conftest import Clinic
from core import holds
from core.models import AuditEvent, Patient, TenantSettings
from core.tenancy import tenant_scope
from integrations.tasks import retention_task
from notifications import exports, retention
from notifications.bulk_states import BulkState
from notifications.message_filters import MessageFilterForm
from notifications.models import BulkRecipient, BulkSend, ExportStatus, MessageExport, MessageExportPart
from tests.test_nasty_rights import tables_with
from tests.test_scenarios_rights import DAY, Family, erased, family

__all__ = ["family"]
pytestmark = pytest.mark.django_db
OVER, YOUNG = 40 * DAY, 10 * DAY


def send(family: Family, *, ended: dt.timedelta | None) -> BulkSend:
    TenantSettings.objects.update_or_create(tenant=family.clinic.tenant, defaults={"message_days": 30})
    return BulkSend.objects.create(
        tenant=family.clinic.tenant,
        name="Results",
        source="UPLOAD",
        message_class="SERVICE",
        state=BulkState.DONE if ended is not None else BulkState.CHECKED,
        timezone="Asia/Riyadh",
        created_by=family.clinic.admin,
        finished_at=timezone.now() - ended if ended is not None else None,
    )


def add(
    bulk: BulkSend, position: int, patient: Patient, values: dict[str, str], into: int | None = None
) -> BulkRecipient:
    return BulkRecipient.objects.create(
        tenant_id=bulk.tenant_id, bulk=bulk, position=position, patient=patient, values=values, folded_into=into
    )


# --- sends to many ----------------------------------------------------------------------------------------------------


def test_the_values_of_a_send_go_when_the_time_of_its_words_is_over(family: Family) -> None:
    rows = {
        ended: add(send(family, ended=ended), 1, family.sara, {"note": "Zebrawort"}) for ended in (OVER, YOUNG, None)
    }
    retention_task()
    left = {ended: BulkRecipient.objects.get(pk=row.pk).values for ended, row in rows.items()}
    assert left == {OVER: {}, YOUNG: {"note": "Zebrawort"}, None: {"note": "Zebrawort"}}
    # The next night begins where this one ended.
    BulkSend.objects.filter(pk=rows[YOUNG].bulk_id).update(
        finished_at=timezone.now() - 30 * DAY - dt.timedelta(hours=1)
    )
    TenantSettings.objects.update(words_erased_until=timezone.now() - 31 * DAY)
    retention_task()
    assert BulkRecipient.objects.get(pk=rows[YOUNG].pk).values == {}


def test_under_a_hold_a_value_stays_also_where_the_name_stands_under_a_relatives(family: Family) -> None:
    bulk = send(family, ended=OVER)
    head = add(bulk, 1, family.sara, {"patient_name": "Sara and Omar", "note": "Zebrawort"})
    add(bulk, 2, family.omar, {"note": "Zebrafish"}, into=1)
    other = add(bulk, 3, family.clinic.patient, {"note": "Zebra"})
    hold = holds.hold_place(actor=family.clinic.admin, patient=family.omar, reason="Case")
    retention_task()
    assert tables_with("Zebrawort") == tables_with("Zebrafish") == {"notifications_bulkrecipient"}
    other.refresh_from_db()
    assert other.values == {}
    holds.hold_lift(actor=family.clinic.admin, hold=hold)
    retention_task()
    head.refresh_from_db()
    assert (head.values, tables_with("Zebrafish")) == ({}, set())


def test_who_is_erased_is_not_named_under_a_relative_either(family: Family) -> None:
    bulk = send(family, ended=YOUNG)
    head = add(bulk, 1, family.omar, {"patient_name": "Omar and Sara", "note": "Zebrawort"})
    mine = add(bulk, 2, family.sara, {"note": "Zebrafish"}, into=1)
    assert erased(family, family.sara).state == "DONE"
    for row in (head, mine):
        row.refresh_from_db()
    assert (head.values, mine.values) == ({"note": "Zebrawort"}, {})


# --- exports of the message list --------------------------------------------------------------------------------------


def export_of(family: Family) -> MessageExport:
    form = MessageFilterForm({})
    assert form.is_valid()
    export = exports.ask(user=family.clinic.admin, key=uuid.uuid4(), form=form, file_format="CSV", with_text=True)
    assert exports.make(family.clinic.tenant.pk, export.pk)
    export.refresh_from_db()
    return export


def parts_hold(word: str) -> bool:
    return any(word.encode() in zlib.decompress(part.data) for part in MessageExportPart.objects.all())


def test_no_file_of_the_message_list_keeps_the_words_of_who_was_erased(family: Family) -> None:
    family.write(family.sara, "Zebrawort")
    export = export_of(family)
    assert parts_hold("Zebrawort")
    assert erased(family, family.sara).state == "DONE"
    export.refresh_from_db()
    assert (export.status, export.parts.count()) == (ExportStatus.EXPIRED, 0)
    (note,) = AuditEvent.objects.filter(action="messages.export_removed")
    assert (note.object_id, note.actor, note.after) == (export.pk, None, {"because": "erasure"})
    fresh = export_of(family)
    assert fresh.status == ExportStatus.READY
    assert not parts_hold("Zebrawort")


def test_an_export_in_the_middle_of_being_made_is_given_up(family: Family) -> None:
    family.write(family.sara, "Zebrawort")
    export = export_of(family)
    MessageExport.objects.update(status=ExportStatus.RUNNING, lease_token=uuid.uuid4())
    assert erased(family, family.sara).state == "DONE"
    export.refresh_from_db()
    assert export.status == ExportStatus.EXPIRED


def test_under_a_hold_no_file_goes(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    family.write(family.sara, "Zebrawort")
    export = export_of(family)
    erase = retention.erase_words_of

    def held_meanwhile(patient: Patient) -> int:
        holds.hold_place(actor=family.clinic.admin, patient=patient, reason="Case")
        return erase(patient)

    monkeypatch.setattr(retention, "erase_words_of", held_meanwhile)
    assert erased(family, family.sara).state == "RUNNING"
    export.refresh_from_db()
    assert export.status == ExportStatus.READY


def test_the_files_of_another_clinic_group_stay(family: Family, other_clinic: Clinic) -> None:
    with tenant_scope(other_clinic.tenant.pk):
        theirs = MessageExport.objects.create(
            tenant=other_clinic.tenant,
            user=other_clinic.admin,
            format="CSV",
            language="en",
            timezone="Asia/Riyadh",
            status=ExportStatus.READY,
        )
    assert erased(family, family.sara).state == "DONE"
    with tenant_scope(theirs.tenant_id):
        theirs.refresh_from_db()
    assert theirs.status == ExportStatus.READY
