"""STOP and START: per sender, at once, with a proof that shows every tampering."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from conftest import Clinic
from core.models import NumberSequence
from core.tenancy import tenant_scope
from notifications import consents, opt_log, opt_outs, suppression
from notifications.consent_states import ConsentStatus, Method, OptAct, OptSource, Purpose
from notifications.models import OptEvent, SuppressedAddress
from notifications.states import Reason
from tests.append_only import triggers_off

NUMBER = "+966501234567"


def stop(clinic: Clinic, sender: str = "CLINIC", **fields: Any) -> OptEvent:
    values: dict[str, Any] = {"channel": "SMS", "address": NUMBER, "raw": "إيقاف ", "source": OptSource.REPLY}
    return opt_outs.stop(tenant_id=clinic.tenant.pk, sender=sender, **{**values, **fields})


def resume(clinic: Clinic, sender: str = "CLINIC", **fields: Any) -> OptEvent:
    values: dict[str, Any] = {"channel": "SMS", "address": NUMBER, "raw": "START", "source": OptSource.REPLY}
    return opt_outs.resume(tenant_id=clinic.tenant.pk, sender=sender, **{**values, **fields})


def stopped(sender: str | None, channel: str = "SMS") -> Reason | None:
    return suppression.suppressed(channel, [NUMBER], sender=sender).get(NUMBER)


def test_a_stop_silences_the_sender_that_was_told_and_no_other(clinic: Clinic) -> None:
    row = stop(clinic)
    assert (row.raw, row.act, row.position) == ("إيقاف ", OptAct.STOP, 1)
    assert stopped("CLINIC") == Reason.OPT_OUT_SENDER
    assert stopped("") == Reason.OPT_OUT_SENDER, "the provider's default may be the one that was told"
    assert stopped("OTHER") is None
    assert stopped(None) is None
    assert stopped("CLINIC", "WHATSAPP") is None
    assert opt_outs.is_stopped(channel="SMS", sender="CLINIC", address="0501234567")


def test_a_stop_to_whatever_we_write_from_silences_all(clinic: Clinic) -> None:
    stop(clinic, "")
    assert {stopped(sender) for sender in ("CLINIC", "", None)} == {Reason.OPT_OUT_SENDER}


def test_a_start_opens_what_the_stop_had_shut(clinic: Clinic) -> None:
    stop(clinic)
    stop(clinic, "OTHER")
    resume(clinic)
    assert stopped("CLINIC") is None
    assert stopped("OTHER") == Reason.OPT_OUT_SENDER
    resume(clinic, "")
    assert stopped("OTHER") is None
    assert [row.act for row in OptEvent.objects.all()] == ["STOP", "STOP", "START", "START"]


def test_a_start_does_not_bring_a_dead_number_to_life(clinic: Clinic) -> None:
    for reason in (Reason.WRONG_NUMBER, Reason.CONTACT_UNDELIVERABLE):
        SuppressedAddress.objects.all().delete()
        suppression.suppress(tenant_id=clinic.tenant.pk, channel="SMS", address=NUMBER, reason=reason)
        resume(clinic, "")
        assert stopped("CLINIC") == reason


def test_who_says_stop_wants_no_offers_either(clinic: Clinic) -> None:
    consents.record(
        patient=clinic.patient, purpose=Purpose.PROMOTION, status=ConsentStatus.GRANTED, method=Method.STAFF
    )
    stop(clinic, patient=clinic.patient)
    assert consents.state_of(clinic.patient, Purpose.PROMOTION) == ConsentStatus.WITHDRAWN
    resume(clinic, patient=clinic.patient)
    assert consents.state_of(clinic.patient, Purpose.PROMOTION) == ConsentStatus.WITHDRAWN, "a start is no consent"


def test_the_number_is_the_same_however_the_provider_writes_it(clinic: Clinic) -> None:
    rows = [stop(clinic, address=way) for way in ("whatsapp:+966501234567", "00966501234567", "٠٥٠١٢٣٤٥٦٧")]
    assert {row.address for row in rows} == {NUMBER}
    assert SuppressedAddress.objects.filter(lifted_at=None).count() == 1
    assert stop(clinic, address="70012").address == "70012", "a short code stays as it is"


def test_a_stop_to_one_clinic_group_is_none_to_another(clinic: Clinic, other_clinic: Clinic) -> None:
    stop(clinic)
    with tenant_scope(other_clinic.tenant.pk):
        assert stopped("CLINIC") is None
        assert not OptEvent.objects.exists()
        assert stop(other_clinic).position == 1


def test_the_desk_that_lifts_a_stop_is_logged(clinic: Clinic) -> None:
    stop(clinic)
    suppression.lift(suppressed=SuppressedAddress.objects.get(), actor=clinic.front_desk)
    last = OptEvent.objects.get(position=2)
    assert (last.act, last.source, last.actor) == (OptAct.START, OptSource.STAFF, clinic.front_desk)


# --- the proof -------------------------------------------------------------------------------------------------------


def test_the_log_is_never_changed_nor_deleted(clinic: Clinic) -> None:
    stop(clinic)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        OptEvent.objects.update(raw="STOP")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM notifications_optevent")


@pytest.mark.parametrize(
    ("deed", "found"),
    [
        ("UPDATE notifications_optevent SET raw = 'no' WHERE position = 2", 2),
        ("UPDATE notifications_optevent SET at = '2020-01-01 00:00:00+00:00' WHERE position = 3", 3),
        ("DELETE FROM notifications_optevent WHERE position = 1", 1),
        ("DELETE FROM notifications_optevent WHERE position = 2", 2),
        ("DELETE FROM notifications_optevent WHERE position = 4", 4),
        ("UPDATE notifications_optevent SET patient_id = NULL WHERE position = 4", 4),
        ("UPDATE notifications_optevent SET position = 9 WHERE position = 4", 4),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_whoever_gets_past_the_triggers_shows(clinic: Clinic, deed: str, found: int) -> None:
    for turn in (stop, resume, stop, resume):
        turn(clinic, patient=clinic.patient)
    assert opt_log.broken_at(clinic.tenant.pk) is None
    with triggers_off(), connection.cursor() as cursor:
        cursor.execute(deed)
    assert opt_log.broken_at(clinic.tenant.pk) == found


def test_an_empty_log_is_whole_and_a_log_that_was_emptied_is_not(clinic: Clinic) -> None:
    assert opt_log.broken_at(clinic.tenant.pk) is None
    NumberSequence.objects.create(tenant=clinic.tenant, name="opt_log", value=3)
    assert opt_log.broken_at(clinic.tenant.pk) == 1


def test_the_proof_lists_every_row_as_it_came(clinic: Clinic) -> None:
    stop(clinic, raw="STOP\x00 now", patient=clinic.patient)
    header, line = opt_log.proof_rows(clinic.tenant.pk)
    proof = dict(zip(header, line, strict=True))
    assert (proof["as_it_came"], proof["address"], proof["patient"]) == ("STOP now", NUMBER, clinic.patient.mrn)
    assert len(proof["seal"]) == 64
