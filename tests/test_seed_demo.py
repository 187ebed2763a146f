"""The demo's data: two living clinic groups whose figures add up. Built once for the whole module."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.hashers import check_password
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone

from appointments import reminders, services
from appointments.models import Appointment, AppointmentEvent, ConfirmationToken, Reminder
from appointments.states import ALLOWED, AWAITED
from core.contacts import Contact, contact_for
from core.demo_accounts import DEMO_ACCOUNTS, DEMO_PASSWORD
from core.management.demo_data.clinics import CLINICS, NOOR
from core.management.demo_data.refresh import refresh_clinic
from core.models import (
    Absence,
    ConsentVerification,
    DutyShift,
    Guardian,
    Guardianship,
    Holiday,
    Patient,
    Role,
    SubFile,
    Tenant,
    User,
)
from core.phone import to_e164
from core.tenancy import system_scope, tenant_scope
from finance.models import Invoice, Payment
from integrations.messaging_service import MessagingService
from integrations.tasks import sweep_messages_task
from notifications import address, lifecycle, registry, rendering, short_links
from notifications.models import (
    Announcement,
    BellState,
    InboundMessage,
    Message,
    MessageLog,
    MessageTemplate,
    Notification,
    NotificationEvent,
    NotificationPreference,
)
from notifications.states import Channel, LogEvent, Status

SLUGS = [plan.slug for plan in CLINICS]
# The module's fixture opens the database itself; without the mark there would be no test database.
pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def seeded(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[dt.datetime]:
    """Both clinics, seeded at the moment that is yielded; everything is rolled back after the module."""
    with django_db_blocker.unblock(), transaction.atomic():
        call_command("seed_demo", stdout=StringIO())
        yield timezone.now()
        transaction.set_rollback(True)


@pytest.fixture(params=SLUGS)
def demo(seeded: dt.datetime, request: pytest.FixtureRequest) -> Iterator[Tenant]:
    """One of the two, its scope open; what a test changes is undone."""
    tenant = Tenant.objects.get(slug=request.param)
    with tenant_scope(tenant.pk), transaction.atomic():
        yield tenant
        transaction.set_rollback(True)


def has_arabic(text: str) -> bool:
    return any("\u0600" <= letter <= "\u06ff" for letter in text)


# --- people ---------------------------------------------------------------------------------------------------------


def test_there_are_two_clinics_and_every_account_can_sign_in(seeded: dt.datetime) -> None:
    assert sorted(Tenant.objects.values_list("slug", flat=True)) == sorted(SLUGS)
    for account in DEMO_ACCOUNTS:
        user = User.accounts.select_related("tenant").get(email=account.email)
        assert user.tenant is not None
        assert (user.tenant.slug, user.role, user.name_ar) == (account.tenant_slug, account.role, account.name_ar)
        assert user.is_active
    assert check_password(DEMO_PASSWORD, user.password)


def test_a_clinic_has_staff_places_and_forty_patients_in_both_scripts(demo: Tenant) -> None:
    roles = Counter(User.objects.values_list("role", flat=True))
    assert roles == {Role.ADMIN: 2, Role.FRONT_DESK: 2, Role.PROVIDER: 3, Role.PATIENT: 1}
    patients = list(Patient.objects.all())
    assert len(patients) == 40
    assert all(patient.name_en.isascii() and has_arabic(patient.name_ar) for patient in patients)
    assert len({patient.name_en for patient in patients}) == 40
    assert {patient.gender for patient in patients} == {"F", "M"}
    assert min(patient.age for patient in patients) == 2
    assert max(patient.age for patient in patients) == 80
    arabic = [patient for patient in patients if patient.language == "ar"]
    assert 30 <= len(arabic) < 40
    assert sum(patient.deceased_at is not None for patient in patients) == 1
    assert any(not (p.phone or p.email) and not p.is_minor for p in patients)


def test_guardians_have_several_children_and_one_is_not_verified(demo: Tenant) -> None:
    children = Counter(Guardianship.objects.values_list("guardian_id", flat=True))
    # Six mothers or other first contacts, and two fathers beside them.
    assert Guardian.objects.count() == 8
    firsts = Guardianship.objects.filter(is_primary=True).values_list("guardian_id", flat=True)
    assert sorted(Counter(firsts).values(), reverse=True) == [3, 3, 2, 2, 2, 1]
    assert len(children) == 8
    assert Guardianship.objects.filter(verified_at=None).count() == 1
    assert all(bond.patient.is_minor for bond in Guardianship.objects.select_related("patient__tenant"))
    minors = [patient for patient in Patient.objects.select_related("tenant") if patient.is_minor]
    assert len(minors) == 13


def test_phones_are_saudi_mobiles_and_shared_only_within_a_family(demo: Tenant) -> None:
    patients = list(Patient.objects.exclude(phone=""))
    assert all(to_e164(patient.phone) == patient.phone for patient in patients)
    assert all(patient.phone.startswith("+9665") for patient in patients)
    assert sum(patient.phone.endswith("0001") for patient in patients) == 1
    guardians = dict(Guardian.objects.values_list("phone", "name_en"))
    shared = [phone for phone, n in Counter(patient.phone for patient in patients).items() if n > 1]
    assert len(shared) == 1
    assert shared[0] in guardians


def test_patients_want_different_things(demo: Tenant) -> None:
    wishes = list(NotificationPreference.objects.all())
    assert len(wishes) == 40
    assert {wish.preferred_channel for wish in wishes} == {Channel.SMS, Channel.WHATSAPP, Channel.EMAIL}
    for switch in ("sms_enabled", "whatsapp_enabled", "email_enabled", "reminders_enabled", "billing_enabled"):
        assert any(not getattr(wish, switch) for wish in wishes)


def test_the_story_patient_can_be_booked_tomorrow(demo: Tenant, seeded: dt.datetime) -> None:
    account = next(a for a in DEMO_ACCOUNTS if a.tenant_slug == demo.slug and a.role == Role.PATIENT)
    patient = Patient.objects.select_related("tenant", "preference").get(user__email=account.email)
    assert not patient.is_minor
    assert (patient.language, patient.preference.preferred_channel) == ("ar", Channel.WHATSAPP)
    assert patient.phone
    assert patient.email
    assert not patient.appointments.filter(starts_at__gt=seeded).exists()
    assert patient.appointments.exists()


def test_consents_are_verified_missing_and_expired(demo: Tenant) -> None:
    consents = list(ConsentVerification.objects.all())
    today = timezone.localdate()
    verified = [c for c in consents if c.status == ConsentVerification.Status.VERIFIED]
    assert any(c.valid_until is not None and c.valid_until > today for c in verified)
    assert any(c.valid_until is not None and c.valid_until < today for c in verified)
    assert any(c.status == ConsentVerification.Status.MISSING for c in consents)
    visits = set(Appointment.objects.values_list("patient_id", "department_id"))
    assert visits == set(SubFile.objects.values_list("patient_id", "department_id"))


# --- visits ---------------------------------------------------------------------------------------------------------


def check_no_overlap() -> None:
    busy = defaultdict(list)
    for visit in Appointment.objects.order_by("starts_at"):
        busy[visit.provider_id].append((visit.starts_at, visit.ends_at))
    for stretches in busy.values():
        assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(stretches))


def test_no_provider_is_in_two_places(demo: Tenant) -> None:
    check_no_overlap()


def test_visits_are_on_working_days_between_nine_and_five(demo: Tenant, seeded: dt.datetime) -> None:
    a_day = Counter()
    for visit in Appointment.objects.select_related("location"):
        assert visit.local_start.weekday() not in visit.location.weekend
        assert dt.time(9) <= visit.local_start.time()
        assert visit.local_end.time() <= dt.time(17)
        a_day[visit.local_start.date()] += 1
    assert all(11 <= n <= 21 for n in a_day.values())
    assert min(a_day) < timezone.localdate() - dt.timedelta(days=25)
    assert max(a_day) > timezone.localdate() + dt.timedelta(days=10)


def test_the_past_is_over_and_the_future_is_still_to_come(demo: Tenant, seeded: dt.datetime) -> None:
    today = timezone.localdate()
    past = Counter(Appointment.objects.filter(starts_at__date__lt=today).values_list("status", flat=True))
    assert not set(past) - {"COMPLETED", "NO_SHOW", "CANCELLED"}
    assert past["COMPLETED"] > 0.75 * sum(past.values())
    assert past["NO_SHOW"]
    assert past["CANCELLED"]
    future = set(Appointment.objects.filter(starts_at__date__gt=today).values_list("status", flat=True))
    assert {"BOOKED", "CONFIRMED"} <= future <= {"BOOKED", "CONFIRMED", "RESCHEDULED", "CANCELLED"}


def test_the_history_of_every_visit_is_legal_and_ends_where_the_visit_stands(demo: Tenant) -> None:
    history = defaultdict(list)
    for move in AppointmentEvent.objects.order_by("created_at"):
        history[move.appointment_id].append(move)
    for visit in Appointment.objects.all():
        moves = history[visit.pk]
        assert [move.from_status for move in moves] == ["", *(move.to_status for move in moves[:-1])]
        assert all(move.to_status in ALLOWED[move.from_status] for move in moves[1:])
        assert (moves[-1].to_status, moves[-1].version) == (visit.status, visit.version)
        assert moves[0].created_at == visit.created_at
        assert visit.created_at < visit.starts_at


def test_visits_to_come_have_a_live_link_and_their_reminders(demo: Tenant, seeded: dt.datetime) -> None:
    for visit in Appointment.objects.filter(status__in=AWAITED, starts_at__gt=seeded).select_related("location"):
        live = ConfirmationToken.objects.filter(appointment=visit, revoked_at=None)
        assert [token.version for token in live] == [visit.version]
        planned = set(
            Reminder.objects.filter(
                appointment=visit, version=visit.version, status=Reminder.Status.PLANNED
            ).values_list("kind", flat=True)
        )
        expected = {str(kind) for kind, due_at in reminders.due_times(visit).items() if due_at > seeded}
        assert planned == expected
    ended = Appointment.objects.exclude(status__in=AWAITED)
    assert not Reminder.objects.filter(appointment__in=ended, status=Reminder.Status.PLANNED).exists()
    assert not ConfirmationToken.objects.filter(appointment__in=ended, revoked_at=None).exists()


def test_the_next_booking_takes_the_next_number(demo: Tenant) -> None:
    desk = User.objects.filter(role=Role.FRONT_DESK).first()
    last = Appointment.objects.filter(patient__user__isnull=False).select_related("patient", "provider", "department")[
        0
    ]
    taken = set(Appointment.objects.values_list("number", flat=True))
    assert desk is not None
    booked = services.appointment_book(
        actor=desk,
        patient=last.patient,
        provider=last.provider,
        location=last.location,
        department=last.department,
        starts_at=timezone.now() + dt.timedelta(days=60),
        duration=dt.timedelta(minutes=30),
    )
    assert booked.number not in taken
    new = Patient.objects.create(tenant=demo, name_en="New Patient", birth_date=dt.date(1990, 1, 1), gender="F")
    assert new.mrn == "100041"


# --- messages -------------------------------------------------------------------------------------------------------


def test_every_event_has_templates_in_both_languages(demo: Tenant) -> None:
    there = {(t.code, t.channel): t for t in MessageTemplate.objects.all()}
    for entry in registry.all_events():
        for delivery in entry.deliveries:
            for words in delivery.words:
                template = there[entry.template_code(delivery.audience), words.channel]
                assert template.body_en
                assert has_arabic(template.body_ar)


def test_the_status_of_every_message_follows_from_its_log(demo: Tenant, seeded: dt.datetime) -> None:
    logs = defaultdict(list)
    for log in MessageLog.objects.order_by("message_id", "position"):
        logs[log.message_id].append(log)
    messages = list(Message.objects.all())
    assert len(messages) > 2000
    for message in messages:
        rows = logs[message.pk]
        assert lifecycle.fold([(row.event, row.status) for row in rows]) == message.status
        assert [row.position for row in rows] == list(range(1, len(rows) + 1))
        assert rows[0].event == LogEvent.CREATED
        times = [row.created_at for row in rows]
        assert times == sorted(times)
        assert times[-1] <= seeded
        assert sum(row.event == LogEvent.RETRY for row in rows) == message.retry_count


def test_the_stamps_of_a_message_agree_with_its_status(demo: Tenant) -> None:
    for message in Message.objects.all():
        stamps = [message.created_at, message.sent_at, message.delivered_at, message.read_at]
        known = [stamp for stamp in stamps if stamp is not None]
        assert known == sorted(known)
        assert (message.status == Status.READ) == (message.read_at is not None)
        if message.status in (Status.DELIVERED, Status.READ):
            assert message.delivered_at is not None
            assert message.provider_message_id
        if message.status in (Status.FAILED, Status.BOUNCED):
            assert message.failed_at is not None
            assert message.error_code
        if message.status in (Status.SUPPRESSED, Status.CANCELLED, Status.EXPIRED):
            assert message.reason
            assert message.sent_at is None
        if message.channel == Channel.SMS:
            assert message.segments >= 1


def test_the_words_are_rendered_in_the_readers_language(demo: Tenant) -> None:
    for message in Message.objects.all():
        assert message.body
        assert "{" not in message.body + message.subject
        assert has_arabic(message.body) == (message.language == "ar") or message.language == "en"
        assert bool(message.subject) == (message.channel == Channel.EMAIL)


def test_the_seeded_words_are_those_the_fan_out_would_have_written(demo: Tenant) -> None:
    compared = Counter()
    messages = (
        Message.objects.exclude(event=None)
        .select_related("event", "template", "patient__tenant", "guardian")
        .order_by("-created_at")
    )
    for message in messages:
        assert message.event is not None
        key = message.event.key
        if compared[key] >= 4:
            continue
        subject = registry.get(key).describe(message.event)
        if subject.refusal is not None or message.template is None:
            continue
        changed_since = key.startswith(("billing.", "appointment.reminder"))
        if not changed_since:
            context = short_links.shorten(message, subject.context).context
            told = message.template.render(message.language, **{**context, **_addressed(message)})
            if key == "appointment.no_show":
                # Its link is made anew for each message.
                assert _without_links(message.body) == _without_links(told)
            else:
                assert message.body == told
        # The sender adds how the reader is addressed.
        assert set(message.template.variables) <= set(subject.context) | set(address.EXAMPLE)
        compared[key] += 1
    assert len(compared) >= 7


def _addressed(message: Message) -> dict[str, Any]:
    """How the sender addresses its reader."""
    if message.patient is None:
        return {}
    reader = contact_for(message.patient, notification_type=message.notification_type)
    return rendering.for_reader(address.values_for(message.patient), reader if isinstance(reader, Contact) else None)


def _without_links(text: str) -> str:
    """Each message has links of its own."""
    return re.sub(r"https?://\S+", "…", text)


def test_messages_ended_in_every_way_and_mostly_well(demo: Tenant) -> None:
    figures = MessagingService().get_message_statistics(tenant_id=demo.pk, days=31)
    assert figures["total"] == Message.objects.count() == sum(figures["by_channel"].values())
    assert 88 <= figures["success_rate"] <= 96
    assert {"READ", "DELIVERED", "SENT", "FAILED", "BOUNCED", "SUPPRESSED"} <= set(figures["by_status"])
    assert not {"QUEUED", "SENDING", "UNCONFIRMED"} & set(figures["by_status"])
    reasons = set(Message.objects.filter(status=Status.SUPPRESSED).values_list("reason", flat=True))
    assert {"opt_out:channel", "no_contact", "guardian_unverified"} <= reasons
    assert Message.objects.filter(retry_count__gt=0, status=Status.DELIVERED).exists()
    assert MessageLog.objects.filter(event=LogEvent.FALLBACK).exists()
    assert InboundMessage.objects.exists()


def test_nothing_waits_for_the_sweeper(demo: Tenant) -> None:
    before = Message.objects.filter(status=Status.QUEUED).count()
    assert sweep_messages_task() == {"expired": 0, "unconfirmed": 0, "fell_back": 0}
    assert before == 0
    assert not NotificationEvent.objects.filter(processed_at=None).exists()


def test_the_bells_count_what_is_unread(demo: Tenant) -> None:
    for user in User.objects.all():
        rows = Notification.objects.filter(user=user)
        assert BellState.objects.get(user=user).unread == rows.filter(is_read=False).count()
    for user in User.objects.filter(role__in=[Role.PROVIDER, Role.FRONT_DESK]):
        unread = Notification.objects.filter(user=user, is_read=False)
        # The latest few, and the admin's word to all.
        assert 2 <= unread.count() <= 6
        assert Notification.objects.filter(user=user, is_read=True).exists()
        assert all(has_arabic(row.title_ar) for row in unread)


def test_the_books_balance(demo: Tenant) -> None:
    paid = Counter()
    for payment in Payment.objects.all():
        paid[payment.invoice_id] += payment.amount_minor
    invoices = list(Invoice.objects.all())
    assert {invoice.status for invoice in invoices} == {"ISSUED", "PART_PAID", "PAID"}
    for invoice in invoices:
        assert invoice.paid_minor == paid[invoice.pk]
        assert (invoice.status == Invoice.Status.PAID) == (invoice.open_minor == 0)


# --- tenants and later days -----------------------------------------------------------------------------------------


def test_no_row_points_into_the_other_clinic(seeded: dt.datetime) -> None:
    checked = 0
    with system_scope("the test looks at both clinics"):
        for model in apps.get_models():
            names = {field.name for field in model._meta.get_fields()}
            if "tenant" not in names:
                continue
            for field in model._meta.concrete_fields:
                target = field.related_model
                if not isinstance(field, models.ForeignKey) or field.name == "tenant" or isinstance(target, str):
                    continue
                if target is None or "tenant" not in {f.name for f in target._meta.get_fields()}:
                    continue
                rows = model._default_manager.filter(Q(**{f"{field.name}__isnull": False}))
                assert not rows.exclude(**{f"{field.name}__tenant": F("tenant")}).exists(), f"{model} {field.name}"
                checked += 1
    assert checked > 30


def counts() -> dict[str, int]:
    with system_scope("the test looks at both clinics"):
        return {model._meta.label: model._default_manager.count() for model in apps.get_models()}


def test_seeding_again_changes_nothing(seeded: dt.datetime) -> None:
    before = counts()
    out = StringIO()
    call_command("seed_demo", stdout=out)
    assert out.getvalue().count("nothing to do") == 2
    assert counts() == before


def test_three_weeks_later_the_calendar_is_brought_up_to_today(seeded: dt.datetime) -> None:
    later = seeded + dt.timedelta(days=21)
    tenant = Tenant.objects.get(slug=NOOR.slug)
    with transaction.atomic():
        freshened = refresh_clinic(NOOR, now=later)
        assert freshened.ended > 50
        assert freshened.added.appointments > 100
        with tenant_scope(tenant.pk):
            assert not Appointment.objects.filter(status__in=AWAITED, ends_at__lt=later - dt.timedelta(days=1)).exists()
            assert Appointment.objects.filter(status__in=AWAITED, starts_at__gt=later).count() > 50
            check_no_overlap()
            for user in User.objects.all():
                unread = Notification.objects.filter(user=user, is_read=False).count()
                assert BellState.objects.get(user=user).unread == unread
            assert not MessageLog.objects.filter(created_at__gt=later).exists()
        again = refresh_clinic(NOOR, now=later)
        assert (again.ended, again.added.appointments) == (0, 0)
        transaction.set_rollback(True)


def test_it_refuses_to_run_without_the_sandbox(settings: pytest.FixtureRequest) -> None:
    settings.SANDBOX_ENABLED = False
    with pytest.raises(CommandError, match="sandbox"):
        call_command("seed_demo")


def test_somebody_is_on_duty_and_the_house_knows_its_holidays(demo: Tenant) -> None:
    now = timezone.now()
    assert DutyShift.objects.filter(starts_at__lte=now, ends_at__gt=now).exists()
    assert Absence.objects.filter(starts_at__gt=now, cover__isnull=False).exists()
    assert Holiday.objects.count() == 4
    assert Announcement.objects.count() == 1


def test_no_alert_of_the_past_still_waits_for_an_answer(demo: Tenant) -> None:
    waiting = Notification.objects.filter(is_critical=True, acknowledged_at=None, resolved_at=None)
    assert not waiting.filter(created_at__lt=timezone.now() - dt.timedelta(hours=1)).exists()
