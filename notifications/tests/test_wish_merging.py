"""Two files of one person become one: the stricter wish, the stricter word."""

from __future__ import annotations

import datetime as dt

from conftest import Clinic
from core import merging
from notifications import consents, gate
from notifications.consent_states import ConsentStatus, Purpose
from notifications.preferences import preference_update
from tests.factories import PatientFactory, agree


def test_a_no_of_either_file_is_a_no(clinic: Clinic) -> None:
    other = PatientFactory(tenant=clinic.tenant)
    desk = clinic.front_desk
    preference_update(
        actor=desk, patient=clinic.patient, values={"sms_enabled": False, "switched_off": ["EMAIL:BILLING"]}
    )
    preference_update(
        actor=desk,
        patient=other,
        values={
            "reminders_enabled": False,
            "switched_off": ["WHATSAPP:RESULTS"],
            "quiet_from": dt.time(21),
            "quiet_until": dt.time(9),
        },
    )
    agree(clinic.patient, "promotion")
    agree(other, "promotion", "withdrawn")
    agree(other, "awareness")
    merging.patient_merge(actor=clinic.admin, survivor=clinic.patient, merged=other)
    wishes = gate.preference_of(clinic.patient)
    assert (wishes.sms_enabled, wishes.reminders_enabled, wishes.email_enabled) == (False, False, True)
    assert wishes.switched_off == ["EMAIL:BILLING", "WHATSAPP:RESULTS"]
    assert (wishes.quiet_from, wishes.quiet_until) == (dt.time(21), dt.time(9))
    assert wishes.agreed(Purpose.PROMOTION) == ConsentStatus.WITHDRAWN
    assert wishes.agreed(Purpose.AWARENESS) == ConsentStatus.NONE
    assert [one.patient_id for one in consents.history_of(clinic.patient)].count(other.pk) == 2


def test_a_file_without_wishes_changes_none(clinic: Clinic) -> None:
    preference_update(actor=clinic.front_desk, patient=clinic.patient, values={"billing_enabled": False})
    before = gate.preference_of(clinic.patient)
    merging.patient_merge(actor=clinic.admin, survivor=clinic.patient, merged=PatientFactory(tenant=clinic.tenant))
    after = gate.preference_of(clinic.patient)
    assert (after.billing_enabled, after.sms_enabled, after.updated_at) == (False, True, before.updated_at)
