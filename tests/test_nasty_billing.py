"""Bills at their worst moments: a payment in the middle of a send, a payer who changes, money that is typed twice."""

from __future__ import annotations

import datetime as dt
import re
import uuid
import zoneinfo

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from conftest import Clinic
from core.errors import DomainError
from core.models import Guardianship, Location, Patient
from finance import payment_reminders, services
from finance.models import Invoice, Payment, Refund
from finance.payers import Payer
from finance.tests.test_payers import Family, family
from finance.tests.test_services import issue, pay
from integrations import delivery, fanout
from integrations.sms_providers import Outgoing
from integrations.tests.fakes import FakeProvider, provider
from notifications import default_words
from notifications.models import Message, NotificationEvent
from notifications.states import NEVER_LEFT, Lane, Reason, Status
from tests import factories

__all__ = ["family", "provider"]

UNCLE = Payer(name="Uncle Saleh", phone="0501234567", language="en")
UNCLES_PHONE = "+966501234567"
DUE = dt.date(2027, 3, 10)
RIYADH = dt.timezone(dt.timedelta(hours=3))
OVERDUE_AT = dt.datetime(2027, 3, 11, 12, tzinfo=RIYADH)


def fan_out_all(clinic: Clinic) -> None:
    for pk in NotificationEvent.objects.filter(processed_at=None).values_list("pk", flat=True):
        fanout.process_event(clinic.tenant.pk, pk)


def send_all(clinic: Clinic) -> None:
    fan_out_all(clinic)
    for lane in (Lane.URGENT, Lane.TRANSACTIONAL, Lane.BULK):
        delivery.drain(lane)


def plain(text: str) -> str:
    return re.sub(r"[\u2066-\u2069]", "", text)


# --- who is told ------------------------------------------------------------------------------------------------------


def test_a_payment_in_mid_call_thanks_once_and_is_never_followed_by_a_second_reminder(
    clinic: Clinic, provider: FakeProvider
) -> None:
    """Paid at the desk in the second in which the provider has the reminder: that one has left, no other may."""
    default_words.install(clinic.tenant.pk)
    with time_machine.travel(dt.datetime(2027, 2, 20, 9, tzinfo=RIYADH), tick=False):
        bill = issue(clinic, due_on=DUE)
        send_all(clinic)
    provider.calls.clear()

    def paid_meanwhile(_outgoing: Outgoing) -> None:
        if not Payment.objects.exists():
            pay(clinic, bill, 45_000)

    provider.on_send = paid_meanwhile
    with time_machine.travel(OVERDUE_AT, tick=False):
        payment_reminders.send_due()
        send_all(clinic)
        send_all(clinic)
    for days in range(1, 20):
        with time_machine.travel(OVERDUE_AT + dt.timedelta(days=days), tick=False):
            payment_reminders.send_due()
            send_all(clinic)
    keys = sorted(row.event.key for row in Message.objects.filter(sent_at__gte=OVERDUE_AT) if row.event)
    assert keys == ["billing.payment_overdue", "billing.payment_received"]
    assert len(provider.calls) == 2


def test_a_payer_changed_in_the_moment_of_the_claim_is_told_and_the_former_one_is_not(
    clinic: Clinic, family: Family, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    bill = issue(clinic, patient=family.child, payer=Payer(guardian=family.father))
    fan_out_all(clinic)
    services.payment_remind(actor=clinic.front_desk, invoice_id=bill.pk)
    fan_out_all(clinic)
    assert Message.objects.filter(recipient=family.father.phone, status=Status.QUEUED).count() == 2
    # What the withdrawal misses, because it is with a worker already, is found by the worker.
    monkeypatch.setattr("finance.notices.withdraw", lambda *_args: 0)
    services.invoice_payer_set(actor=clinic.front_desk, invoice_id=bill.pk, payer=UNCLE)
    send_all(clinic)
    assert {call.to for call in provider.calls} == {UNCLES_PHONE}


def test_a_bill_that_the_new_payer_never_heard_of_is_not_cancelled_to_them(
    clinic: Clinic, family: Family, provider: FakeProvider
) -> None:
    """The father has the bill in hand; the uncle's own notice is still waiting when the bill is taken back."""
    bill = issue(clinic, patient=family.child, payer=Payer(guardian=family.father))
    send_all(clinic)
    services.invoice_payer_set(actor=clinic.front_desk, invoice_id=bill.pk, payer=UNCLE)
    services.invoice_void(actor=clinic.admin, invoice_id=bill.pk)
    send_all(clinic)
    assert UNCLES_PHONE not in {call.to for call in provider.calls}, "the uncle hears of no bill at all"
    # Once the bill, once that it is over.
    assert [call.to for call in provider.calls] == [family.father.phone] * 2
    assert "أُلغيت الفاتورة" in provider.calls[1].body


def test_a_payer_who_is_no_guardian_learns_of_no_visit_and_gets_no_link(
    clinic: Clinic, family: Family, provider: FakeProvider, ten_oclock: dt.datetime
) -> None:
    visit = factories.AppointmentFactory(
        tenant=clinic.tenant, patient=family.child, provider=clinic.provider, location=clinic.location,
        department=clinic.department, starts_at=ten_oclock, is_silent=False,
    )  # fmt: skip
    bill = issue(clinic, patient=family.child, appointment=visit, payer=UNCLE, description="Speech therapy")
    send_all(clinic)
    services.payment_remind(actor=clinic.front_desk, invoice_id=bill.pk)
    send_all(clinic)
    pay(clinic, bill, 45_000)
    send_all(clinic)
    services.refund_record(actor=clinic.admin, invoice_id=bill.pk, amount_minor=45_000, reason="therapy not given")
    send_all(clinic)
    told = [plain(f"{call.subject} {call.body}") for call in provider.calls if call.to == UNCLES_PHONE]
    assert len(told) == 4
    for text in told:
        for secret in (
            "/c/",
            "http",
            "herapy",
            "10:00",
            clinic.department.name_en,
            clinic.provider.name_en,
            visit.number,
        ):
            assert secret not in text
    # And of the visit itself the uncle hears nothing.
    about_the_visit = Message.objects.filter(object_id=visit.pk).exclude(recipient="")
    assert UNCLES_PHONE not in set(about_the_visit.values_list("recipient", flat=True))


@pytest.mark.parametrize("change", [{"not_for": ["BILLING"]}, {"valid_until": dt.date(2020, 1, 1)}])
def test_a_paying_guardian_who_stops_bills_or_whose_time_is_over_leaves_a_reason_and_nobody_takes_the_bill_over(
    clinic: Clinic, family: Family, provider: FakeProvider, change: dict[str, object]
) -> None:
    bill = issue(clinic, patient=family.child, payer=Payer(guardian=family.father))
    send_all(clinic)
    Guardianship.objects.filter(guardian=family.father).update(**change)
    provider.calls.clear()
    services.payment_remind(actor=clinic.front_desk, invoice_id=bill.pk)
    send_all(clinic)
    assert provider.calls == [], "not the mother either: she was not asked to pay"
    (row,) = Message.objects.filter(event__key="billing.payment_due")
    assert row.status in NEVER_LEFT
    assert row.reason in (Reason.GUARDIAN_BLOCKED, Reason.GUARDIAN_UNVERIFIED)


def test_a_bill_of_a_child_who_comes_of_age_is_not_told_to_the_parent_any_more(
    clinic: Clinic, family: Family, provider: FakeProvider
) -> None:
    bill = issue(clinic, patient=family.child, payer=Payer(guardian=family.father))
    fan_out_all(clinic)
    Patient.objects.filter(pk=family.child.pk).update(birth_date=dt.date(1990, 1, 1), phone="+966501119999")
    send_all(clinic)
    services.payment_remind(actor=clinic.front_desk, invoice_id=bill.pk)
    send_all(clinic)
    assert family.father.phone not in {call.to for call in provider.calls}


def test_two_children_with_one_payer_each_bill_is_told_once_and_one_payment_stops_one_of_them(
    clinic: Clinic, family: Family, provider: FakeProvider
) -> None:
    other = factories.PatientFactory(
        tenant=clinic.tenant, name_en="Omar Al-Rashid", birth_date=family.child.birth_date, phone=""
    )
    factories.GuardianshipFactory(tenant=clinic.tenant, patient=other, guardian=family.mother)
    first = issue(clinic, patient=family.child, payer=UNCLE)
    second = issue(clinic, patient=other, payer=UNCLE)
    send_all(clinic)
    for bill in (first, second):
        services.payment_remind(actor=clinic.front_desk, invoice_id=bill.pk)
    fan_out_all(clinic)
    pay(clinic, first, 45_000)
    send_all(clinic)
    told = [plain(call.body) for call in provider.calls if call.to == UNCLES_PHONE]
    asked = [text for text in told if "a reminder" in text]
    assert len(asked) == 1
    assert second.number in asked[0]
    assert first.number not in asked[0]


# --- sums and doubles -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other_bill", [False, True])
def test_a_form_that_was_used_for_one_payment_does_not_swallow_another(clinic: Clinic, other_bill: bool) -> None:
    """Back in the browser, another amount, sent again: it must not look recorded while the books know nothing of it."""
    bill, key = issue(clinic), uuid.uuid4()
    target = issue(clinic) if other_bill else bill
    pay(clinic, bill, 20_000, payment_key=key)
    with pytest.raises(DomainError) as refusal:
        pay(clinic, target, 20_000 if other_bill else 15_000, payment_key=key)
    assert refusal.value.code == "form_used"
    assert Payment.objects.get().amount_minor == 20_000
    with pytest.raises(DomainError):
        services.refund_record(actor=clinic.admin, invoice_id=bill.pk, amount_minor=-5)
    refund_key = uuid.uuid4()
    services.refund_record(actor=clinic.admin, invoice_id=bill.pk, amount_minor=5_000, refund_key=refund_key)
    with pytest.raises(DomainError) as refusal:
        services.refund_record(actor=clinic.admin, invoice_id=bill.pk, amount_minor=6_000, refund_key=refund_key)
    assert refusal.value.code == "form_used"
    assert Refund.objects.get().amount_minor == 5_000


def test_the_page_says_so_and_offers_a_fresh_form(clinic: Clinic) -> None:
    bill, desk = issue(clinic), clinic.client(clinic.front_desk)
    address = reverse("finance:payment_create", args=[bill.pk])
    key = re.search(r'name="payment_key" value="([0-9a-f-]{36})"', desk.get(address).content.decode())
    assert key is not None
    assert desk.post(address, {"amount": "200", "payment_key": key[1]}).status_code == 302
    again = desk.post(address, {"amount": "150", "payment_key": key[1]})
    assert again.status_code == 422
    assert key[1] not in again.content.decode(), "what is sent next is a payment of its own"


@pytest.mark.parametrize("amount", [0, -1, services.LARGEST_AMOUNT + 1])
def test_no_sum_that_makes_no_sense_gets_through_any_door(clinic: Clinic, amount: int) -> None:
    bill = issue(clinic)
    pay(clinic, bill, 10_000)
    for act in (
        lambda: issue(clinic, amount_minor=amount),
        lambda: pay(clinic, bill, amount),
        lambda: services.refund_record(actor=clinic.admin, invoice_id=bill.pk, amount_minor=amount),
    ):
        with pytest.raises(DomainError):
            act()
    bill.refresh_from_db()
    assert (bill.paid_minor, bill.refunded_minor) == (10_000, 0)


def test_a_refund_of_a_part_leaves_no_reminder_and_a_paid_bill(clinic: Clinic, provider: FakeProvider) -> None:
    default_words.install(clinic.tenant.pk)
    with time_machine.travel(dt.datetime(2027, 2, 20, 9, tzinfo=RIYADH), tick=False):
        bill = issue(clinic, due_on=DUE)
        pay(clinic, bill, 45_000)
        services.refund_record(actor=clinic.admin, invoice_id=bill.pk, amount_minor=5_000)
        send_all(clinic)
    provider.calls.clear()
    with time_machine.travel(OVERDUE_AT, tick=False):
        assert payment_reminders.send_due() == {"reminded": 0}
        send_all(clinic)
    assert provider.calls == []
    with pytest.raises(DomainError):
        services.payment_remind(actor=clinic.front_desk, invoice_id=bill.pk)


# --- days -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "now"),
    [
        # In Riyadh it is tomorrow already, at the clinic it is still today.
        ("America/New_York", dt.datetime(2027, 3, 10, 21, 30, tzinfo=zoneinfo.ZoneInfo("America/New_York"))),
        ("Pacific/Auckland", dt.datetime(2027, 3, 10, 0, 0, tzinfo=zoneinfo.ZoneInfo("Pacific/Auckland"))),
    ],
)
def test_due_today_is_the_day_of_the_place_and_the_day_before_is_the_past_there(
    clinic: Clinic, zone: str, now: dt.datetime
) -> None:
    default_words.install(clinic.tenant.pk)
    Location.objects.filter(pk=clinic.location.pk).update(timezone=zone)
    with time_machine.travel(now, tick=False):
        bill = issue(clinic, due_on=dt.date(2027, 3, 10))
        with pytest.raises(DomainError) as refusal:
            issue(clinic, due_on=dt.date(2027, 3, 9))
        assert refusal.value.code == "due_past"
        services.payment_remind(actor=clinic.front_desk, invoice_id=bill.pk)
        event = NotificationEvent.objects.get(object_id=bill.pk, key__startswith="billing.payment_")
    assert event.key == "billing.payment_due", "it is not overdue before its day is over there"


def test_the_last_minute_of_the_due_day_asks_and_the_first_after_it_says_overdue(clinic: Clinic) -> None:
    default_words.install(clinic.tenant.pk)
    midnight = dt.datetime(2027, 3, 11, 0, 0, tzinfo=RIYADH)
    with time_machine.travel(midnight - dt.timedelta(minutes=1), tick=False):
        bill = issue(clinic, due_on=DUE)
        services.payment_remind(actor=clinic.front_desk, invoice_id=bill.pk)
    with time_machine.travel(midnight, tick=False):
        services.payment_remind(actor=clinic.front_desk, invoice_id=bill.pk)
    found = NotificationEvent.objects.filter(object_id=bill.pk, key__startswith="billing.payment_")
    assert list(found.order_by("created_at").values_list("key", flat=True)) == [
        "billing.payment_due",
        "billing.payment_overdue",
    ]


def test_a_due_day_put_off_after_a_reminder_is_reminded_of_by_its_own_days(
    clinic: Clinic, provider: FakeProvider
) -> None:
    """No verb moves it; whoever does so in the admin finds neither the old steps nor none at all."""
    default_words.install(clinic.tenant.pk)
    with time_machine.travel(dt.datetime(2027, 2, 20, 9, tzinfo=RIYADH), tick=False):
        bill = issue(clinic, due_on=DUE)
    with time_machine.travel(OVERDUE_AT, tick=False):
        payment_reminders.send_due()
        fan_out_all(clinic)
        Invoice.objects.filter(pk=bill.pk).update(due_on=DUE + dt.timedelta(days=20))
        payment_reminders.send_due()
        bill.refresh_from_db()
    with time_machine.travel(OVERDUE_AT + dt.timedelta(days=6), tick=False):
        assert payment_reminders.send_due() == {"reminded": 0}, "the old bill's week is over, the new day is not there"
    with time_machine.travel(OVERDUE_AT + dt.timedelta(days=20), tick=False):
        assert payment_reminders.send_due() == {"reminded": 1}


def test_another_clinics_bill_is_not_found_by_any_door(clinic: Clinic, other_clinic: Clinic) -> None:
    bill = issue(clinic)
    outsider: Client = other_clinic.client(other_clinic.admin)
    for name in (
        "invoice_detail",
        "payment_create",
        "invoice_payer",
        "refund_create",
        "invoice_void",
        "payment_remind",
    ):
        address = reverse(f"finance:{name}", args=[bill.pk])
        assert outsider.get(address).status_code in (404, 405)
        assert outsider.post(address, {"amount": "1"}).status_code in (404, 405)
    bill.refresh_from_db()
    assert (bill.status, bill.paid_minor) == (Invoice.Status.ISSUED, 0)
