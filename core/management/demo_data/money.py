"""Invoices and payments of the visits: paid, partly paid, open and overdue, and what the payers were told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field

from appointments.models import Appointment
from core.management.demo_data import build as building
from core.management.demo_data.build import Build
from core.management.demo_data.happenings import MESSAGE_DAYS, Happening, base_context
from core.management.demo_data.lives import Life
from core.management.demo_data.names import SERVICES
from core.management.demo_data.people import People
from core.management.demo_data.visits import History
from core.models import Language, NumberSequence
from finance.events import USEFUL_FOR
from finance.models import Invoice, Payment
from notifications.rendering import Code, LocalDate, Money

S = Appointment.Status
Status = Invoice.Status
DAY = dt.timedelta(days=1)
# Who pays at the desk, who pays later, who pays a part first; the rest is open.
PAID_AT_ONCE, PAID_LATER, PART_PAID = 0.62, 0.14, 0.1
DUE_AFTER = 10 * DAY


@dataclass(slots=True)
class Books:
    """The invoices with their payments, in the order of issue."""

    invoices: list[tuple[Life, Invoice]] = field(default_factory=list)
    payments: list[tuple[Life, Payment, int]] = field(default_factory=list)
    reminded: list[tuple[Life, Invoice, dt.datetime]] = field(default_factory=list)


def build_money(build: Build, people: People, history: History) -> Books:
    """Issues and saves."""
    books = Books()
    for life in history.lives:
        issued_at = _issued_at(build, people, life)
        if issued_at is not None and issued_at < build.now:
            _bill(build, people, books, life, issued_at)
    books.invoices.sort(key=lambda pair: pair[1].created_at)
    _number(build, books)
    building.save([invoice for _life, invoice in books.invoices], [payment for _life, payment, _open in books.payments])
    return books


def _issued_at(build: Build, people: People, life: Life) -> dt.datetime | None:
    """After the visit, or a few days ahead for those who pay before they come."""
    completed = life.step(S.COMPLETED)
    if life.visit.patient is people.story:
        return build.after(completed.at, 60, 300) if completed else None
    if completed is not None:
        return build.after(completed.at, 60, 900) if build.chance(0.5) else None
    begun = life.steps[-1]
    is_near = life.visit.starts_at < build.now + 4 * DAY
    if begun.to in (S.CONFIRMED, S.ARRIVED, S.IN_PROGRESS) and is_near and build.chance(0.45):
        return build.after(begun.at, 60, 3600)
    return None


def _bill(build: Build, people: People, books: Books, life: Life, issued_at: dt.datetime) -> None:
    visit = life.visit
    name, price = SERVICES[visit.department.code]
    amount = price + build.rng.choice((0, 0, 0, 5000, 12000))
    invoice = Invoice(
        id=build.new_id(),
        tenant=build.tenant,
        patient=visit.patient,
        appointment=visit,
        description=name.ar if visit.patient.language == Language.ARABIC else name.en,
        amount_minor=amount,
        currency=build.tenant.currency,
        due_on=(issued_at + DUE_AFTER).astimezone(build.zone).date(),
        created_at=issued_at,
    )
    books.invoices.append((life, invoice))
    # The story patient still owes a part of the last visit.
    is_story = visit.patient is people.story
    is_last = is_story and issued_at > build.now - 9 * DAY
    dice = 0.8 if is_last else 0.0 if is_story else build.rng.random()
    if dice < PAID_AT_ONCE:
        _pay(build, books, life, invoice, amount, build.after(issued_at, 60, 900))
    elif dice < PAID_AT_ONCE + PAID_LATER:
        _pay(build, books, life, invoice, amount, build.after(issued_at, 86400, 8 * 86400))
    elif dice < PAID_AT_ONCE + PAID_LATER + PART_PAID:
        _pay(build, books, life, invoice, amount // 200 * 100, build.after(issued_at, 60, 86400))
    if invoice.open_minor:
        reminded_at = build.at(invoice.due_on - 2 * DAY, dt.time(10, build.rng.randint(0, 59)))
        if reminded_at < build.now:
            books.reminded.append((life, invoice, reminded_at))


def _pay(build: Build, books: Books, life: Life, invoice: Invoice, amount: int, at: dt.datetime) -> None:
    if at >= build.now:
        return
    invoice.paid_minor += amount
    invoice.status = Status.PAID if invoice.open_minor == 0 else Status.PART_PAID
    payment = Payment(
        id=build.new_id(),
        tenant=build.tenant,
        invoice=invoice,
        amount_minor=amount,
        received_by=life.visit.booked_by,
        created_at=at,
    )
    books.payments.append((life, payment, invoice.open_minor))


def _number(build: Build, books: Books) -> None:
    """INV-2026-000001 and so on; the counters stand where the next invoice goes on."""
    counters: dict[int, NumberSequence] = {}
    for _life, invoice in books.invoices:
        year = invoice.created_at.astimezone(build.zone).year
        if year not in counters:
            counters[year] = build.counter(f"invoice:{year}")
        counters[year].value += 1
        invoice.number = f"INV-{year}-{counters[year].value:06d}"
    for counter in counters.values():
        counter.save()


def of_books(build: Build, people: People, books: Books) -> Iterator[Happening]:
    """The billing events of the last month."""
    told = [
        *(("billing.invoice_issued", life, invoice, invoice.created_at, {}) for life, invoice in books.invoices),
        *(
            ("billing.payment_received", life, payment.invoice, payment.created_at, {"payment": payment, "open": left})
            for life, payment, left in books.payments
        ),
        *(("billing.payment_due", life, invoice, at, {}) for life, invoice, at in books.reminded),
    ]
    since = build.now - MESSAGE_DAYS * DAY
    for key, life, invoice, at, more in told:
        if at < since:
            continue
        payment = more.get("payment")
        visit = life.visit
        left = more.get("open", invoice.amount_minor if key == "billing.invoice_issued" else invoice.open_minor)
        context = base_context(build, people, visit.patient, visit.location, invoice.number) | {
            "amount": Money(invoice.amount_minor, invoice.currency),
            "open_amount": Money(left, invoice.currency),
            "due_date": LocalDate(invoice.due_on),
            "number": Code(invoice.number),
        }
        if payment is not None:
            context["paid_amount"] = Money(payment.amount_minor, invoice.currency)
        dedupe = {
            "billing.invoice_issued": str(invoice.pk),
            "billing.payment_received": str(payment.pk) if payment is not None else "",
            "billing.payment_due": f"{invoice.pk}:{at.astimezone(build.zone).date().isoformat()}",
        }[key]
        yield Happening(
            key=key,
            at=at,
            dedupe=dedupe,
            context=context,
            object_type="finance.invoice",
            object_id=invoice.pk,
            actor=visit.booked_by,
            payload={"payment_id": str(payment.pk)} if payment is not None else {},
            patient=visit.patient,
            location=visit.location,
            useful_until=at + USEFUL_FOR,
        )
