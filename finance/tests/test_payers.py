"""Who reads about a bill: the patient's readers, a guardian that it names, or somebody by name; refunds; and who may."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass

import pytest
from django.utils import timezone

from conftest import Clinic
from core.errors import DomainError
from core.models import AuditEvent, Guardian, Guardianship, Patient
from finance import services
from finance.models import Invoice, Refund
from finance.payers import Payer
from finance.tests.test_services import issue, pay
from integrations import fanout
from integrations.enclosures import enclosures_of
from notifications import default_words, gate
from notifications.models import Message, NotificationEvent
from notifications.states import Channel, Reason, Status
from tests import factories

TODAY = timezone.localdate


@dataclass
class Family:
    child: Patient
    mother: Guardian
    father: Guardian


@pytest.fixture
def family(clinic: Clinic) -> Family:
    """The mother reads about the child, the father is a verified guardian too and pays."""
    default_words.install(clinic.tenant.pk)
    child = factories.PatientFactory(tenant=clinic.tenant, birth_date=TODAY() - dt.timedelta(days=365 * 6), phone="")
    mother = factories.GuardianFactory(tenant=clinic.tenant, phone="+966501110001", email="m@home.example")
    father = factories.GuardianFactory(tenant=clinic.tenant, phone="+966501110002", email="f@home.example")
    for guardian, first in ((mother, True), (father, False)):
        factories.GuardianshipFactory(
            tenant=clinic.tenant,
            patient=child,
            guardian=guardian,
            is_primary=first,
            receives_messages=True,
            verified_at=timezone.now(),
        )
    Guardianship.objects.filter(guardian=father).update(not_for=["CONFIRMATION", "REMINDER"])
    return Family(child, mother, father)


def fan_out(key: str) -> list[Message]:
    event = NotificationEvent.objects.filter(key=key).latest("created_at")
    fanout.process_event(event.tenant_id, event.pk)
    return list(Message.objects.filter(event=event).order_by("created_at"))


def test_the_bill_goes_to_the_guardian_who_pays_and_to_nobody_else(clinic: Clinic, family: Family) -> None:
    issue(clinic, patient=family.child, payer=Payer(guardian=family.father))
    (message,) = fan_out("billing.invoice_issued")
    assert (message.recipient, message.guardian, message.status) == (family.father.phone, family.father, Status.QUEUED)
    assert gate.recheck(message) is None


def test_without_a_payer_it_goes_to_the_patients_readers(clinic: Clinic, family: Family) -> None:
    issue(clinic, patient=family.child)
    assert {message.recipient for message in fan_out("billing.invoice_issued")} == {
        family.mother.phone,
        family.father.phone,
    }


def test_a_payer_who_is_nobodys_guardian_reads_in_their_language(clinic: Clinic, family: Family) -> None:
    payer = Payer(name=" Uncle  Saleh ", phone="0501234567", language="en")
    issue(clinic, patient=family.child, payer=payer)
    (message,) = fan_out("billing.invoice_issued")
    assert (message.recipient, message.language, message.guardian) == ("+966501234567", "en", None)
    assert gate.recheck(message) is None, "the address is not the patient's, and right all the same"


def test_a_payer_with_an_email_alone_gets_a_letter_with_their_name(clinic: Clinic, family: Family) -> None:
    issue(clinic, patient=family.child, payer=Payer(name="Gulf Insurance", email="claims@gulf.example", language="en"))
    (message,) = fan_out("billing.invoice_issued")
    assert (message.channel, message.recipient) == (Channel.EMAIL, "claims@gulf.example")
    assert message.body.startswith("Dear Gulf Insurance,")


def test_their_letter_holds_no_link_to_the_wishes_of_the_patient(clinic: Clinic, family: Family) -> None:
    """It opened nothing. A guardian who pays has one, and so has an adult who pays for themselves."""
    insurer = Payer(name="Gulf Insurance", email="claims@gulf.example", language="en")
    for patient, payer, has_link in (
        (family.child, insurer, False),
        (clinic.patient, insurer, False),
        (clinic.patient, None, True),
        (family.child, Payer(guardian=family.father), True),
    ):
        Guardian.objects.filter(pk=family.father.pk).update(phone="")
        Patient.objects.filter(pk=clinic.patient.pk).update(phone="")
        issue(clinic, patient=patient, **({"payer": payer} if payer is not None else {}))
        (letter,) = fan_out("billing.invoice_issued")
        assert letter.channel == Channel.EMAIL
        paper = enclosures_of(clinic.tenant.pk, [letter]).get(letter.pk, {})
        assert bool(paper.get("preferences_url")) == bool(paper.get("unsubscribe_url")) == has_link


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"verified_at": None}, Reason.GUARDIAN_UNVERIFIED), ({"blocked_reason": "court order"}, Reason.GUARDIAN_BLOCKED)],
)
def test_a_guardian_who_may_not_know_any_more_gets_nothing_at_the_moment_of_sending(
    clinic: Clinic, family: Family, change: dict[str, object], reason: Reason
) -> None:
    issue(clinic, patient=family.child, payer=Payer(guardian=family.father))
    (message,) = fan_out("billing.invoice_issued")
    Guardianship.objects.filter(guardian=family.father).update(**change)
    assert gate.recheck(Message.objects.get(pk=message.pk)) is reason


def test_of_the_dead_nobody_is_billed_by_message(clinic: Clinic, family: Family) -> None:
    issue(clinic, patient=family.child, payer=Payer(name="Uncle", phone="0501234567"))
    (message,) = fan_out("billing.invoice_issued")
    Patient.objects.filter(pk=family.child.pk).update(deceased_at=TODAY())
    assert gate.recheck(Message.objects.get(pk=message.pk)) is Reason.DECEASED


@pytest.mark.parametrize(
    ("payer", "code"),
    [
        (Payer(name="Uncle"), "payer_unreachable"),
        (Payer(phone="0501234567"), "payer_name_missing"),
        (Payer(name="Uncle", phone="12"), "payer_phone_invalid"),
        (Payer(name="Uncle", email="nowhere"), "payer_email_invalid"),
    ],
)
def test_a_payer_must_be_somebody_who_can_be_reached(clinic: Clinic, payer: Payer, code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        issue(clinic, payer=payer)
    assert refusal.value.code == code


def test_a_guardian_who_is_not_verified_cannot_be_the_payer(clinic: Clinic, family: Family) -> None:
    Guardianship.objects.filter(guardian=family.father).update(verified_at=None)
    with pytest.raises(DomainError) as refusal:
        issue(clinic, patient=family.child, payer=Payer(guardian=family.father))
    assert refusal.value.code == "payer_not_verified"
    with pytest.raises(DomainError) as refusal:
        issue(clinic, patient=clinic.patient, payer=Payer(guardian=family.mother))
    assert refusal.value.code == "payer_not_verified", "an adult has no guardian"


def test_another_payer_withdraws_what_waits_for_the_former_one(clinic: Clinic, family: Family) -> None:
    invoice = issue(clinic, patient=family.child, payer=Payer(guardian=family.father))
    (message,) = fan_out("billing.invoice_issued")
    services.invoice_payer_set(
        actor=clinic.front_desk, invoice_id=invoice.pk, payer=Payer(name="Uncle", phone="0501234567")
    )
    message.refresh_from_db()
    assert (message.status, message.reason) == (Status.CANCELLED, Reason.WITHDRAWN)
    (told,) = fan_out("billing.invoice_issued")
    assert told.recipient == "+966501234567", "the bill itself, to who pays it now"
    services.payment_remind(actor=clinic.front_desk, invoice_id=invoice.pk)
    (reminder,) = fan_out("billing.payment_due")
    assert reminder.recipient == "+966501234567"
    audit = AuditEvent.objects.get(action="invoice.payer_set")
    assert audit.after == {"payer": "other"}, "neither name nor number"


def test_a_payer_changed_before_the_first_notice_is_told_once(clinic: Clinic, family: Family) -> None:
    invoice = issue(clinic, patient=family.child, payer=Payer(guardian=family.father))
    uncle = Payer(name="Uncle", phone="0501234567")
    for _twice in range(2):
        services.invoice_payer_set(actor=clinic.front_desk, invoice_id=invoice.pk, payer=uncle)
    assert NotificationEvent.objects.filter(key="billing.invoice_issued").count() == 1
    (message,) = fan_out("billing.invoice_issued")
    assert message.recipient == "+966501234567"


# --- refunds ----------------------------------------------------------------------------------------------------------


def refund(clinic: Clinic, invoice: Invoice, amount: int, **more: object) -> Refund:
    return services.refund_record(actor=clinic.admin, invoice_id=invoice.pk, amount_minor=amount, **more)  # type: ignore[arg-type]


def test_a_part_goes_back_and_the_bill_stays_paid(clinic: Clinic, family: Family) -> None:
    invoice = issue(clinic, patient=family.child, payer=Payer(guardian=family.father))
    pay(clinic, invoice, 45_000)
    refund(clinic, invoice, 15_000, reason="Session cut short")
    invoice.refresh_from_db()
    assert (invoice.status, invoice.refunded_minor, invoice.kept_minor) == (Invoice.Status.PAID, 15_000, 30_000)
    (message,) = fan_out("billing.refunded")
    assert "150.00" in message.body
    assert "Session" not in message.body
    assert message.recipient == family.father.phone


def test_all_of_it_back_closes_the_bill_and_its_reminders(clinic: Clinic) -> None:
    default_words.install(clinic.tenant.pk)
    invoice = issue(clinic)
    pay(clinic, invoice, 20_000)
    services.payment_remind(actor=clinic.front_desk, invoice_id=invoice.pk)
    (waiting,) = fan_out("billing.payment_due")
    refund(clinic, invoice, 20_000)
    invoice.refresh_from_db()
    waiting.refresh_from_db()
    assert invoice.status == Invoice.Status.REFUNDED
    assert (waiting.status, waiting.reason) == (Status.CANCELLED, Reason.STATUS_NOT_ELIGIBLE)
    with pytest.raises(DomainError):
        pay(clinic, invoice, 1)


def test_the_form_sent_twice_is_one_refund(clinic: Clinic) -> None:
    invoice, key = issue(clinic), uuid.uuid4()
    pay(clinic, invoice, 45_000)
    assert refund(clinic, invoice, 10_000, refund_key=key).pk == refund(clinic, invoice, 10_000, refund_key=key).pk
    invoice.refresh_from_db()
    assert invoice.refunded_minor == 10_000


def test_nobody_gets_back_more_than_was_paid_and_only_an_admin_gives(clinic: Clinic) -> None:
    invoice = issue(clinic)
    pay(clinic, invoice, 10_000)
    with pytest.raises(DomainError) as refusal:
        refund(clinic, invoice, 10_001)
    assert refusal.value.code == "overrefunded"
    with pytest.raises(DomainError) as refusal:
        services.refund_record(actor=clinic.front_desk, invoice_id=invoice.pk, amount_minor=1)
    assert refusal.value.code == "not_allowed"


def test_a_void_bill_is_told_only_to_who_has_it_in_hand(clinic: Clinic) -> None:
    default_words.install(clinic.tenant.pk)
    untold, told = issue(clinic), issue(clinic)
    (message,) = fan_out("billing.invoice_issued")
    assert message.object_id == told.pk
    Message.objects.filter(pk=message.pk).update(status=Status.SENT)
    for invoice in (untold, told):
        services.invoice_void(actor=clinic.admin, invoice_id=invoice.pk)
    event = NotificationEvent.objects.get(key="billing.invoice_voided")
    assert event.object_id == told.pk
    (cancelled,) = fan_out("billing.invoice_voided")
    assert told.number in cancelled.body


def test_at_a_sensitive_place_no_sum_is_written(clinic: Clinic) -> None:
    default_words.install(clinic.tenant.pk)
    type(clinic.location).objects.update(is_sensitive=True)
    invoice = issue(clinic)
    pay(clinic, invoice, 20_000)
    for key in ("billing.invoice_issued", "billing.payment_received"):
        (message,) = fan_out(key)
        assert "200.00" not in message.body
        assert "450.00" not in message.body
        assert invoice.number in message.body
