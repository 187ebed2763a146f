"""Bills that change hands: who has one in hand and need not pay it any more is told so, once and in words that are true."""

from __future__ import annotations

import pytest

from conftest import Clinic
from core.models import Guardianship
from finance import services
from finance.models import Invoice
from finance.payers import Payer
from finance.tests.test_payers import Family, family
from finance.tests.test_services import issue, pay
from integrations.sms_providers import Outgoing
from integrations.tests.fakes import FakeProvider, provider
from notifications.models import Message, NotificationEvent
from notifications.states import NEVER_LEFT, Reason
from tests.test_nasty_billing import UNCLE, UNCLES_PHONE, plain, send_all

__all__ = ["family", "provider"]

AUNT = Payer(name="Aunt Noura", email="noura@home.example", language="en")


def move(clinic: Clinic, bill: Invoice, payer: Payer) -> None:
    services.invoice_payer_set(actor=clinic.front_desk, invoice_id=bill.pk, payer=payer)


def cancelled(provider: FakeProvider) -> list[str]:
    """Whom the provider was asked to tell that there is nothing to pay."""
    return [call.to for call in provider.calls if "is cancelled" in call.body or "أُلغيت الفاتورة" in call.body]


def test_who_has_the_bill_in_hand_is_told_once_that_it_is_no_longer_theirs(
    clinic: Clinic, family: Family, provider: FakeProvider
) -> None:
    bill = issue(clinic, patient=family.child, payer=UNCLE)
    send_all(clinic)
    services.payment_remind(actor=clinic.front_desk, invoice_id=bill.pk)
    send_all(clinic)
    move(clinic, bill, Payer(guardian=family.father))
    send_all(clinic)
    assert cancelled(provider) == [UNCLES_PHONE]
    told = next(plain(call.body) for call in provider.calls if "cancelled" in call.body)
    assert bill.number in told
    move(clinic, bill, AUNT)
    send_all(clinic)
    services.invoice_void(actor=clinic.admin, invoice_id=bill.pk)
    send_all(clinic)
    assert cancelled(provider) == [UNCLES_PHONE, family.father.phone, AUNT.email], "each of the three, once"


def test_who_was_never_told_of_the_bill_hears_of_no_end(clinic: Clinic, family: Family, provider: FakeProvider) -> None:
    bill = issue(clinic, patient=family.child, payer=UNCLE)
    move(clinic, bill, AUNT)
    move(clinic, bill, Payer(guardian=family.father))
    send_all(clinic)
    assert cancelled(provider) == []
    assert {call.to for call in provider.calls} == {family.father.phone}


def test_from_the_readers_to_one_of_them_only_the_other_is_told(
    clinic: Clinic, family: Family, provider: FakeProvider
) -> None:
    """Both parents have the bill; from now on the father pays."""
    bill = issue(clinic, patient=family.child)
    send_all(clinic)
    move(clinic, bill, Payer(guardian=family.father))
    send_all(clinic)
    assert cancelled(provider) == [family.mother.phone]


def test_a_bill_that_comes_back_before_the_notice_has_left_is_not_cancelled(
    clinic: Clinic, family: Family, provider: FakeProvider
) -> None:
    bill = issue(clinic, patient=family.child, payer=UNCLE)
    send_all(clinic)
    move(clinic, bill, AUNT)
    move(clinic, bill, UNCLE)
    send_all(clinic)
    assert cancelled(provider) == []
    (row,) = Message.objects.filter(event__key="billing.invoice_voided")
    assert row.reason == Reason.STALE_VERSION
    move(clinic, bill, AUNT)
    send_all(clinic)
    assert cancelled(provider) == [UNCLES_PHONE], "in the end it is"


def test_to_and_fro_before_anything_leaves_is_told_once(clinic: Clinic, family: Family, provider: FakeProvider) -> None:
    bill = issue(clinic, patient=family.child, payer=UNCLE)
    send_all(clinic)
    for payer in (AUNT, UNCLE, AUNT):
        move(clinic, bill, payer)
    send_all(clinic)
    assert cancelled(provider) == [UNCLES_PHONE]


def test_what_was_paid_meanwhile_by_the_new_payer_changes_nothing_for_the_former_one(
    clinic: Clinic, family: Family, provider: FakeProvider
) -> None:
    bill = issue(clinic, patient=family.child, payer=UNCLE)
    send_all(clinic)
    move(clinic, bill, AUNT)
    pay(clinic, bill, 45_000)
    send_all(clinic)
    assert cancelled(provider) == [UNCLES_PHONE]


def test_a_bill_that_is_paid_in_part_is_not_called_cancelled(
    clinic: Clinic, family: Family, provider: FakeProvider
) -> None:
    """Who has paid a part would ask for it back."""
    bill = issue(clinic, patient=family.child, payer=UNCLE)
    send_all(clinic)
    pay(clinic, bill, 10_000)
    move(clinic, bill, AUNT)
    send_all(clinic)
    assert cancelled(provider) == []


def test_a_guardian_who_may_not_know_any_more_is_told_nothing_of_the_bill_they_had(
    clinic: Clinic, family: Family, provider: FakeProvider
) -> None:
    bill = issue(clinic, patient=family.child, payer=Payer(guardian=family.father))
    send_all(clinic)
    move(clinic, bill, UNCLE)
    Guardianship.objects.filter(guardian=family.father).update(blocked_reason="court order")
    send_all(clinic)
    assert cancelled(provider) == []
    (row,) = Message.objects.filter(event__key="billing.invoice_voided")
    assert (row.status in NEVER_LEFT, row.reason) == (True, Reason.GUARDIAN_BLOCKED)


def test_no_name_and_no_number_of_a_former_payer_is_kept_with_the_event(
    clinic: Clinic, family: Family, provider: FakeProvider
) -> None:
    bill = issue(clinic, patient=family.child, payer=UNCLE)
    send_all(clinic)
    move(clinic, bill, AUNT)
    event = NotificationEvent.objects.get(key="billing.invoice_voided")
    assert "Saleh" not in str(event.payload)
    assert UNCLES_PHONE not in str(event.payload)


def test_a_bill_that_moves_while_the_provider_has_its_notice_is_taken_back(
    clinic: Clinic, family: Family, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    bill = issue(clinic, patient=family.child, payer=UNCLE)

    def moved_meanwhile(outgoing: Outgoing) -> None:
        if outgoing.to == UNCLES_PHONE and not provider.calls[1:]:
            move(clinic, bill, AUNT)

    provider.on_send = moved_meanwhile
    send_all(clinic)
    send_all(clinic)
    assert cancelled(provider) == [UNCLES_PHONE]
