"""The same news twice, or about somebody whom it must not name: families that change, repetitions, “clinic closed” once more."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from django.test import Client
from django.utils import timezone

from appointments.models import Appointment
from conftest import Clinic
from core.errors import DomainError
from core.models import Patient
from integrations.bulk import control, plan, progress, run
from integrations.tests.bulk_rows import (
    SHARED_PHONE,
    patients,
    running,
    scheduled,
    siblings,
    visit,
)
from notifications.bulk_states import BulkState
from notifications.models import BulkRecipient, BulkSend, Message, NotificationPreference
from notifications.states import Reason, Status
from tests.factories import agree

URL = "/notifications/bulk/"


@pytest.fixture
def admin(clinic: Clinic) -> Client:
    return clinic.client(clinic.admin)


# --- families that change between the check and the start ------------------------------------------------------------


def test_a_child_that_has_died_since_the_check_is_not_named_beside_its_brother(clinic: Clinic) -> None:
    omar, sara = siblings(clinic)
    bulk = scheduled(clinic, [omar, sara])
    Patient.objects.filter(pk=sara.pk).update(deceased_at=timezone.localdate())
    run.advance(clinic.tenant.pk, bulk.pk)
    message = Message.objects.get(bulk=bulk)
    assert message.patient == omar
    assert message.body.startswith("Omar: ")
    assert [one.reason for one in progress.left_out(bulk)] == [Reason.DECEASED]


def test_who_took_a_consent_back_since_the_check_is_not_named_in_an_advertisement(clinic: Clinic) -> None:
    omar, sara = siblings(clinic)
    for one in (omar, sara):
        agree(one, "promotion")
    bulk = scheduled(clinic, [omar, sara], message_class="PROMOTIONAL")
    assert bulk.totals["folded"] == 1
    agree(sara, "promotion", "withdrawn")
    run.advance(clinic.tenant.pk, bulk.pk)
    assert "Sara" not in Message.objects.get(bulk=bulk).body


def test_a_child_that_has_another_number_by_now_is_not_named_at_the_old_one_and_is_told_there(clinic: Clinic) -> None:
    omar, sara = siblings(clinic)
    bulk = scheduled(clinic, [omar, sara])
    Patient.objects.filter(pk=sara.pk).update(phone="+966501230001")
    run.advance(clinic.tenant.pk, bulk.pk)
    told = {message.recipient: message.body for message in Message.objects.filter(bulk=bulk)}
    assert {number: text.split(":")[0] for number, text in told.items()} == {
        SHARED_PHONE: "Omar",
        "+966501230001": "Sara",
    }


def test_a_family_of_three_keeps_the_two_who_still_share_the_message(clinic: Clinic) -> None:
    omar, sara = siblings(clinic)
    huda = patients(clinic, 1, phone=SHARED_PHONE, language="en", name_en="Huda")[0]
    bulk = scheduled(clinic, [omar, sara, huda])
    Patient.objects.filter(pk=sara.pk).update(deceased_at=timezone.localdate())
    run.advance(clinic.tenant.pk, bulk.pk)
    assert Message.objects.get(bulk=bulk).body.startswith("Omar and Huda: ")


def test_families_that_did_not_change_are_written_as_they_were_checked(clinic: Clinic) -> None:
    bulk = running(clinic, [*siblings(clinic), *patients(clinic, 2)])
    assert Message.objects.filter(bulk=bulk).count() == bulk.totals["send"] == 3
    assert Message.objects.filter(bulk=bulk, body__startswith="Omar and Sara: ").count() == 1


def test_a_start_that_is_repeated_after_a_family_was_taken_apart_tells_nobody_twice(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    omar, sara = siblings(clinic)
    others = patients(clinic, 3)
    bulk = scheduled(clinic, [omar, *others, sara])
    Patient.objects.filter(pk=sara.pk).update(phone="+966501230001")
    monkeypatch.setattr(plan, "CHUNK", 2)
    written = run._write_chunk

    def dies(*args: object, **kwargs: object) -> None:
        written(*args, **kwargs)  # type: ignore[arg-type]
        raise RuntimeError("killed")

    monkeypatch.setattr(run, "_write_chunk", dies)
    with pytest.raises(RuntimeError):
        run.advance(clinic.tenant.pk, bulk.pk)
    monkeypatch.setattr(run, "_write_chunk", written)
    BulkSend.objects.filter(pk=bulk.pk).update(lease_expires_at=timezone.now() - dt.timedelta(seconds=1))
    run.advance(clinic.tenant.pk, bulk.pk)
    bulk.refresh_from_db()
    assert bulk.state == BulkState.RUNNING
    assert Message.objects.filter(bulk=bulk).count() == 5


# --- to those who did not get it -------------------------------------------------------------------------------------


def test_writing_again_reaches_the_relatives_whom_the_lost_message_named(clinic: Clinic) -> None:
    omar, sara = siblings(clinic)
    bulk = running(clinic, [omar, sara])
    Message.objects.update(status=Status.BOUNCED)
    copy = control.again(actor=clinic.admin, bulk=bulk, patient_ids=progress.missed_patients(bulk))
    control.check(actor=clinic.admin, bulk=copy)
    assert (copy.totals["people"], copy.totals["folded"]) == (2, 1)
    control.submit(actor=clinic.admin, bulk=copy)
    run.advance(clinic.tenant.pk, copy.pk)
    assert Message.objects.get(bulk=copy).body.startswith("Omar and Sara: ")


def test_a_relative_who_was_told_alone_is_not_told_again(clinic: Clinic) -> None:
    omar, sara = siblings(clinic)
    bulk = scheduled(clinic, [omar, sara])
    NotificationPreference.objects.create(tenant=clinic.tenant, patient=omar, sms_enabled=False)
    run.advance(clinic.tenant.pk, bulk.pk)
    Message.objects.filter(patient=sara).update(status=Status.DELIVERED)
    assert progress.missed_patients(bulk) == [omar.pk]


def test_again_pressed_twice_writes_to_each_once(clinic: Clinic) -> None:
    bulk = running(clinic, patients(clinic, 2))
    Message.objects.update(status=Status.BOUNCED)
    client = clinic.client(clinic.admin)
    for _press in range(2):
        client.post(f"{URL}{bulk.pk}/again/")
    first, second = BulkSend.objects.filter(again_of=bulk)
    for copy in (first, second):
        control.check(actor=clinic.admin, bulk=copy)
    control.submit(actor=clinic.admin, bulk=first)
    run.advance(clinic.tenant.pk, first.pk)
    # Checked before the first one left: it is looked at again at the start.
    control.submit(actor=clinic.admin, bulk=second)
    run.advance(clinic.tenant.pk, second.pk)
    assert Message.objects.filter(bulk=first, status=Status.QUEUED).count() == 2
    assert set(Message.objects.filter(bulk=second).values_list("reason", flat=True)) == {Reason.RECENT_CONFIRMATION}


def test_a_receipt_that_comes_late_takes_its_reader_out_of_the_repetition(clinic: Clinic) -> None:
    bulk = running(clinic, patients(clinic, 2))
    Message.objects.update(status=Status.UNCONFIRMED)
    ids = progress.missed_patients(bulk, Status.UNCONFIRMED)
    copy = control.again(actor=clinic.admin, bulk=bulk, patient_ids=ids)
    Message.objects.filter(patient=ids[0]).update(status=Status.DELIVERED)
    control.check(actor=clinic.admin, bulk=copy)
    assert (copy.totals["send"], copy.totals["excluded"]) == (1, {Reason.RECENT_CONFIRMATION: 1})


def test_a_repetition_of_a_repetition_knows_whom_the_first_one_reached(clinic: Clinic) -> None:
    bulk = running(clinic, patients(clinic, 2))
    Message.objects.update(status=Status.FAILED, next_attempt_at=None)
    first = control.again(actor=clinic.admin, bulk=bulk, patient_ids=progress.missed_patients(bulk))
    control.check(actor=clinic.admin, bulk=first)
    control.submit(actor=clinic.admin, bulk=first)
    run.advance(clinic.tenant.pk, first.pk)
    Message.objects.filter(bulk=first).update(status=Status.FAILED, next_attempt_at=None)
    second = control.again(actor=clinic.admin, bulk=first, patient_ids=progress.missed_patients(first))
    # Tried again by hand, one of the very first messages arrives after all.
    reached = Message.objects.filter(bulk=bulk).first()
    assert reached is not None
    Message.objects.filter(pk=reached.pk).update(status=Status.DELIVERED)
    control.check(actor=clinic.admin, bulk=second)
    assert second.totals["send"] == 1
    left = BulkRecipient.objects.exclude(reason="").get(bulk=second)
    assert (left.patient_id, left.reason) == (reached.patient_id, Reason.RECENT_CONFIRMATION)


# --- clinic closed ---------------------------------------------------------------------------------------------------


def closed(admin: Client, day: dt.date, **fields: str) -> BulkSend:
    ready = admin.get(f"{URL}closed/").context["form"].initial
    words = {name: ready[name] for name in ("body_en", "body_ar")}
    answer = admin.post(f"{URL}closed/", {"day": day.isoformat(), "channel": "SMS", **words, **fields})
    assert answer.status_code == 302, answer.content.decode()
    return BulkSend.objects.get(pk=answer.url.rstrip("/").split("/")[-1])


def send(clinic: Clinic, bulk: BulkSend) -> None:
    control.submit(actor=clinic.admin, bulk=bulk)
    run.advance(clinic.tenant.pk, bulk.pk)


def test_clinic_closed_pressed_twice_tells_each_family_once(
    clinic: Clinic, admin: Client, ten_oclock: dt.datetime
) -> None:
    omar, sara = siblings(clinic)
    alone = patients(clinic, 1)[0]
    for number, one in enumerate((omar, sara, alone)):
        visit(clinic, one, ten_oclock + dt.timedelta(minutes=30 * number))
    cancelled, arrived = patients(clinic, 2)
    visit(clinic, cancelled, ten_oclock, status=Appointment.Status.CANCELLED)
    visit(clinic, arrived, ten_oclock, status=Appointment.Status.ARRIVED, provider=clinic.colleague)
    first, second = closed(admin, ten_oclock.date()), closed(admin, ten_oclock.date())
    assert first.totals["people"] == 3
    send(clinic, first)
    sent = Message.objects.filter(bulk=first, status=Status.QUEUED).count()
    assert sent == first.totals["send"]
    # The second draft was checked before the first one left.
    send(clinic, second)
    assert not Message.objects.filter(bulk=second, status=Status.QUEUED).exists()
    with pytest.raises(DomainError, match="Nobody"):
        send(clinic, closed(admin, ten_oclock.date()))


def test_siblings_with_two_providers_are_told_in_one_message_and_not_again_one_by_one(
    clinic: Clinic, admin: Client, ten_oclock: dt.datetime
) -> None:
    omar, sara = siblings(clinic)
    for one in (omar, sara):
        visit(clinic, one, ten_oclock, provider=clinic.provider if one is omar else clinic.colleague)
    first = closed(admin, ten_oclock.date())
    send(clinic, first)
    assert re.search("(Omar and Sara|Sara and Omar)", Message.objects.get(bulk=first).body)
    again = closed(admin, ten_oclock.date())
    assert again.totals["send"] == 0
    assert again.totals["excluded"] == {Reason.RECENT_CONFIRMATION: 2}


def test_siblings_at_two_times_are_told_each_their_own_where_the_words_tell_it(
    clinic: Clinic, admin: Client, ten_oclock: dt.datetime
) -> None:
    omar, sara = siblings(clinic)
    visit(clinic, omar, ten_oclock)
    visit(clinic, sara, ten_oclock + dt.timedelta(hours=1))
    assert closed(admin, ten_oclock.date()).totals["send"] == 2
    shorter = {"body_en": "{patient_name}: closed on {date}.", "body_ar": "{patient_name}: مغلق يوم {date}."}
    assert closed(admin, ten_oclock.date(), **shorter).totals["send"] == 1


def test_another_visit_of_the_closed_day_is_news(clinic: Clinic, admin: Client, ten_oclock: dt.datetime) -> None:
    one = patients(clinic, 1)[0]
    visit(clinic, one, ten_oclock)
    visit(clinic, one, ten_oclock + dt.timedelta(hours=5))
    morning = closed(admin, ten_oclock.date(), ends="12:00")
    send(clinic, morning)
    afternoon = closed(admin, ten_oclock.date(), starts="12:00")
    send(clinic, afternoon)
    assert Message.objects.filter(patient=one, status=Status.QUEUED).count() == 2


def test_who_may_have_been_told_that_it_is_closed_is_not_told_twice(
    clinic: Clinic, admin: Client, ten_oclock: dt.datetime
) -> None:
    reached, lost = patients(clinic, 2)
    for one in (reached, lost):
        visit(clinic, one, ten_oclock, provider=clinic.provider if one is reached else clinic.colleague)
    send(clinic, closed(admin, ten_oclock.date()))
    Message.objects.filter(patient=reached).update(status=Status.UNCONFIRMED)
    Message.objects.filter(patient=lost).update(status=Status.BOUNCED)
    again = closed(admin, ten_oclock.date())
    assert again.totals["send"] == 1
    assert BulkRecipient.objects.get(bulk=again, reason="").patient == lost
