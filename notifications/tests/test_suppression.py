from __future__ import annotations

import pytest

from conftest import Clinic
from core.models import AuditEvent
from core.tenancy import tenant_scope
from notifications import suppression
from notifications.models import SuppressedAddress
from notifications.states import Reason
from notifications.suppression import lift, suppress, suppressed

NUMBERS = [f"+9665011{n:05d}" for n in range(120)]


def stop(clinic: Clinic, address: str, reason: Reason = Reason.OPTED_OUT, channel: str = "SMS") -> bool:
    return suppress(tenant_id=clinic.tenant.pk, channel=channel, address=address, reason=reason)


def test_the_first_reason_stays_and_the_second_changes_nothing(clinic: Clinic) -> None:
    assert stop(clinic, NUMBERS[0])
    assert not stop(clinic, NUMBERS[0], Reason.CONTACT_UNDELIVERABLE)
    assert suppressed("SMS", [NUMBERS[0]]) == {NUMBERS[0]: Reason.OPTED_OUT}


def test_an_empty_address_is_nobodys(clinic: Clinic) -> None:
    assert not stop(clinic, "")
    assert not SuppressedAddress.objects.exists()


@pytest.mark.parametrize("stopped", [1, suppression.FEW, suppression.FEW + 10], ids=["one", "a few", "many"])
@pytest.mark.parametrize("asked", [1, suppression.FEW + 20], ids=["asked for one", "asked for many"])
def test_only_those_asked_for_are_told_however_many_there_are(clinic: Clinic, stopped: int, asked: int) -> None:
    for address in NUMBERS[:stopped]:
        stop(clinic, address)
    stop(clinic, NUMBERS[0], channel="WHATSAPP")
    assert set(suppressed("SMS", NUMBERS[:asked])) == set(NUMBERS[: min(asked, stopped)])


def test_another_clinic_groups_addresses_are_not_ours(clinic: Clinic, other_clinic: Clinic) -> None:
    with tenant_scope(other_clinic.tenant.pk):
        stop(other_clinic, NUMBERS[0])
    assert suppressed("SMS", NUMBERS) == {}


def test_a_person_may_lift_it_and_the_trail_says_who(clinic: Clinic) -> None:
    stop(clinic, NUMBERS[0])
    row = SuppressedAddress.objects.get()
    lift(suppressed=row, actor=clinic.front_desk)
    lift(suppressed=row, actor=clinic.front_desk)
    assert suppressed("SMS", NUMBERS) == {}
    event = AuditEvent.objects.get(action="suppressed_address.lifted")
    assert (event.actor, event.object_id) == (clinic.front_desk, row.pk)
    assert stop(clinic, NUMBERS[0]), "and it can be stopped again"
