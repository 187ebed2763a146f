"""Scenario 15 and the bill's own: the due notice goes, advertising does not; who has just paid is never asked to."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine

from appointments.tests.test_races import at_once
from conftest import Clinic
from core.models import Patient
from finance import payment_reminders, services
from finance.models import Invoice
from finance.tests.test_services import issue, pay
from integrations import fanout
from integrations.delivery import drain
from integrations.messaging_service import MessagingService
from integrations.tests.fakes import FakeProvider, provider
from notifications import consents, default_words
from notifications.consent_states import ConsentStatus, Method, Purpose
from notifications.models import Message, MessageTemplate, NotificationEvent, NotificationPreference
from notifications.states import Channel, Lane, Reason, Status

__all__ = ["provider"]

RIYADH = dt.timezone(dt.timedelta(hours=3))
DUE = dt.date(2027, 3, 10)
ISSUED_AT = dt.datetime(2027, 2, 20, 9, tzinfo=RIYADH)
# The day after the due day, in the middle of the allowed hours.
OVERDUE_AT = dt.datetime(2027, 3, 11, 12, tzinfo=RIYADH)
REMINDERS = ("billing.payment_due", "billing.payment_overdue")


@pytest.fixture
def bill(clinic: Clinic) -> Invoice:
    default_words.install(clinic.tenant.pk)
    with time_machine.travel(ISSUED_AT, tick=False):
        return issue(clinic, due_on=DUE)


def remind(clinic: Clinic) -> Message:
    """The clock's own reminder, fanned out; its message."""
    payment_reminders.send_due()
    event = NotificationEvent.objects.filter(key__in=REMINDERS).latest("created_at")
    fanout.process_event(clinic.tenant.pk, event.pk)
    return Message.objects.get(event=event)


def send_all() -> None:
    for lane in (Lane.URGENT, Lane.TRANSACTIONAL, Lane.BULK):
        drain(lane)


def test_scenario_15_the_due_notice_goes_out_and_the_offer_does_not(
    clinic: Clinic, bill: Invoice, provider: FakeProvider
) -> None:
    consents.record(
        patient=clinic.patient,
        purpose=Purpose.PROMOTION,
        status=ConsentStatus.REFUSED,
        method=Method.STAFF,
        actor=clinic.front_desk,
    )
    MessageTemplate.objects.create(
        tenant=clinic.tenant,
        code="offer",
        name="Offer",
        channel=Channel.SMS,
        notification_type="MARKETING",
        variables=[],
        body_en="An offer. Opt out at the desk.",
        body_ar="عرض. لإيقاف الرسائل: الاستقبال.",
    )
    with time_machine.travel(OVERDUE_AT, tick=False):
        notice = remind(clinic)
        offer = MessagingService().send_from_template(
            tenant_id=clinic.tenant.pk, template_code="offer", patient_id=clinic.patient.pk, channel=Channel.SMS
        )
        send_all()
        notice.refresh_from_db()
        offer.refresh_from_db()
    assert notice.status == Status.SENT
    assert notice.event is not None
    assert notice.event.key == "billing.payment_overdue"
    assert (offer.status, offer.sent_at) == (Status.SUPPRESSED, None)
    assert offer.reason in (Reason.NO_CONSENT, Reason.CONSENT_WITHDRAWN)
    assert [call.body for call in provider.calls] == [notice.body]


def test_scenario_05_bills_by_email_alone_where_sms_is_off_for_them(
    clinic: Clinic, bill: Invoice, provider: FakeProvider
) -> None:
    Patient.objects.filter(pk=clinic.patient.pk).update(email="sara@mail.example")
    NotificationPreference.objects.update_or_create(
        tenant=clinic.tenant,
        patient=clinic.patient,
        defaults={"switched_off": ["SMS:BILLING", "WHATSAPP:BILLING"]},
    )
    with time_machine.travel(OVERDUE_AT, tick=False):
        notice = remind(clinic)
    assert (notice.channel, notice.status) == (Channel.EMAIL, Status.QUEUED)
    NotificationPreference.objects.filter(patient=clinic.patient).update(
        switched_off=["SMS:BILLING", "WHATSAPP:BILLING", "EMAIL:BILLING"]
    )
    with time_machine.travel(OVERDUE_AT + dt.timedelta(days=6), tick=False):
        refused = remind(clinic)
    assert (refused.status, refused.reason) == (Status.SUPPRESSED, Reason.OPT_OUT_TYPE)


def test_who_pays_before_the_worker_comes_is_not_asked(clinic: Clinic, bill: Invoice, provider: FakeProvider) -> None:
    with time_machine.travel(OVERDUE_AT, tick=False):
        notice = remind(clinic)
        pay(clinic, bill, 45_000)
        send_all()
        notice.refresh_from_db()
    assert (notice.status, notice.reason) == (Status.CANCELLED, Reason.STATUS_NOT_ELIGIBLE)
    assert provider.calls == []


def test_a_part_payment_takes_back_the_reminder_for_the_whole_sum(
    clinic: Clinic, bill: Invoice, provider: FakeProvider
) -> None:
    with time_machine.travel(OVERDUE_AT, tick=False):
        notice = remind(clinic)
        assert "450.00" in notice.body
        pay(clinic, bill, 20_000)
        send_all()
        notice.refresh_from_db()
    assert (notice.status, notice.reason) == (Status.CANCELLED, Reason.STALE_VERSION)
    with time_machine.travel(OVERDUE_AT + dt.timedelta(days=6), tick=False):
        assert "250.00" in remind(clinic).body


def test_a_payment_between_event_and_fan_out_leaves_a_row_that_says_why(clinic: Clinic, bill: Invoice) -> None:
    with time_machine.travel(OVERDUE_AT, tick=False):
        payment_reminders.send_due()
        pay(clinic, bill, 45_000)
        event = NotificationEvent.objects.get(key="billing.payment_overdue")
        fanout.process_event(clinic.tenant.pk, event.pk)
    message = Message.objects.get(event=event)
    assert (message.status, message.reason) == (Status.CANCELLED, Reason.STATUS_NOT_ELIGIBLE)


def test_a_payment_that_the_withdrawal_missed_is_found_at_the_moment_of_sending(
    clinic: Clinic, bill: Invoice, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with time_machine.travel(OVERDUE_AT, tick=False):
        notice = remind(clinic)
        monkeypatch.setattr("finance.notices.withdraw", lambda *_args: 0)
        pay(clinic, bill, 45_000)
        send_all()
        notice.refresh_from_db()
    assert notice.reason == Reason.STATUS_NOT_ELIGIBLE
    assert provider.calls == []


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_payment_and_reminder_at_the_same_moment_never_end_in_a_reminder_for_a_paid_bill(
    clinic: Clinic, provider: FakeProvider
) -> None:
    """Twelve bills, each paid while the clock reminds and the worker fans out and sends."""
    default_words.install(clinic.tenant.pk)
    with time_machine.travel(ISSUED_AT, tick=False):
        bills = [issue(clinic, due_on=DUE) for _bill in range(12)]
    for one in NotificationEvent.objects.filter(key="billing.invoice_issued"):
        fanout.process_event(clinic.tenant.pk, one.pk)

    def fan_out_all() -> None:
        for event in NotificationEvent.objects.filter(key__in=REMINDERS, processed_at=None):
            fanout.process_event(clinic.tenant.pk, event.pk)

    with time_machine.travel(OVERDUE_AT):
        for one in bills:
            at_once(
                clinic,
                payment_reminders.send_due,
                lambda one=one: pay(clinic, one, 45_000),  # type: ignore[misc]
                payment_reminders.send_due,
            )
            at_once(clinic, fan_out_all, lambda: None)
        send_all()
    paid = {one.pk for one in Invoice.objects.filter(status=Invoice.Status.PAID)}
    assert len(paid) == 12
    sent = Message.objects.filter(event__key__in=REMINDERS, sent_at__isnull=False)
    assert not sent.filter(object_id__in=paid).exists()
    per_bill = NotificationEvent.objects.filter(key__in=REMINDERS).values_list("object_id", flat=True)
    assert len(per_bill) == len(set(per_bill)), "two ticks at once remind once"


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_refunds_at_once_never_give_back_more_than_was_paid(clinic: Clinic) -> None:
    invoice = issue(clinic)
    pay(clinic, invoice, 10_000)
    results = at_once(
        clinic,
        *[
            lambda: services.refund_record(actor=clinic.admin, invoice_id=invoice.pk, amount_minor=10_000)
            for _click in range(3)
        ],
    )
    assert sum(isinstance(result, services.DomainError) for result in results) == 2
    invoice.refresh_from_db()
    assert (invoice.refunded_minor, invoice.kept_minor) == (10_000, 0)
