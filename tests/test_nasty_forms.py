"""One form's key for two bills at the same moment: the second one reads a sentence, and no sum is taken twice or lost."""

from __future__ import annotations

import uuid

import pytest

from appointments.tests.test_races import at_once, codes
from conftest import Clinic
from core.errors import DomainError
from finance import services
from finance.models import Invoice, Payment, Refund
from finance.tests.test_services import issue, pay


def give_back(clinic: Clinic, bill: Invoice, key: uuid.UUID) -> Refund:
    return services.refund_record(actor=clinic.admin, invoice_id=bill.pk, amount_minor=5_000, refund_key=key)


def between_look_and_write(monkeypatch: pytest.MonkeyPatch, act: object) -> None:
    """The other desk is done between this one's look for the key and its own row."""
    check, done = services._check_amount, []

    def meanwhile(amount_minor: int) -> None:
        check(amount_minor)
        if not done:
            done.append(True)
            act()  # type: ignore[operator]

    monkeypatch.setattr(services, "_check_amount", meanwhile)


def test_a_payment_that_comes_second_by_a_moment_reads_why(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, key = issue(clinic), issue(clinic), uuid.uuid4()
    between_look_and_write(monkeypatch, lambda: pay(clinic, one, 20_000, payment_key=key))
    with pytest.raises(DomainError) as refusal:
        pay(clinic, other, 20_000, payment_key=key)
    assert refusal.value.code == "form_used"


def test_a_refund_that_comes_second_by_a_moment_reads_why(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, key = issue(clinic), issue(clinic), uuid.uuid4()
    for bill in (one, other):
        pay(clinic, bill, 20_000)
    between_look_and_write(monkeypatch, lambda: give_back(clinic, one, key))
    with pytest.raises(DomainError) as refusal:
        give_back(clinic, other, key)
    assert refusal.value.code == "form_used"


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_on_two_connections_one_bill_is_paid_and_the_other_desk_reads_why(clinic: Clinic) -> None:
    for _round in range(3):
        one, other, key = issue(clinic), issue(clinic), uuid.uuid4()
        results = at_once(
            clinic, *[lambda bill=bill, key=key: pay(clinic, bill, 20_000, payment_key=key) for bill in (one, other)]
        )
        assert codes(results) == ["form_used", "ok"]
        assert Payment.objects.filter(payment_key=key).count() == 1
        assert sorted(bill.paid_minor for bill in Invoice.objects.filter(pk__in=[one.pk, other.pk])) == [0, 20_000]
