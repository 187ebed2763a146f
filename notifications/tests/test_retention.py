"""What is kept for a time only: words go, proof stays; each tenant by its own decision."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.utils import timezone

from conftest import Clinic
from core import holds, tenant_settings
from core.errors import DomainError
from core.ids import ordered_uuid
from core.models import AuditEvent, ErasedWords, LegalHold, TenantSettings
from core.tasks import cleanup_old_notifications
from core.tenancy import tenant_scope
from integrations.tasks import retention_task
from notifications import inbox, retention
from notifications.models import InboundMessage, Message, Notification, ProviderReceipt
from notifications.states import NotificationType, Status
from tests import factories

DAY = dt.timedelta(days=1)


def message(clinic: Clinic, age: dt.timedelta, **fields: Any) -> Message:
    with tenant_scope(clinic.tenant.pk):
        made = Message.objects.create(
            tenant=clinic.tenant,
            patient=clinic.patient,
            notification_type=NotificationType.GENERAL,
            channel="SMS",
            recipient="+966501234567",
            language="en",
            subject="Subject",
            body="The words.",
            dedupe_key=str(uuid.uuid4()),
            **{"status": Status.DELIVERED, **fields},
        )
        Message.objects.filter(pk=made.pk).update(created_at=timezone.now() - age)
        return made


def keep(clinic: Clinic, **days: Any) -> None:
    with tenant_scope(clinic.tenant.pk):
        TenantSettings.objects.update_or_create(tenant=clinic.tenant, defaults=days)


def words(clinic: Clinic) -> list[str]:
    with tenant_scope(clinic.tenant.pk):
        return list(Message.objects.order_by("created_at").values_list("body", flat=True))


def test_words_go_and_the_proof_stays(clinic: Clinic) -> None:
    old, young = message(clinic, 31 * DAY), message(clinic, 29 * DAY)
    before = Message.objects.get(pk=old.pk).updated_at
    keep(clinic, message_days=30)
    assert retention_task()["words"] == 1
    old.refresh_from_db()
    assert (old.body, old.subject) == ("", "")
    assert (old.status, old.recipient, old.updated_at) == (Status.DELIVERED, "+966501234567", before)
    young.refresh_from_db()
    assert young.body == "The words."


def test_replies_of_patients_lose_their_words_too(clinic: Clinic) -> None:
    reply = InboundMessage.objects.create(
        tenant=clinic.tenant, channel="SMS", sender="+966501234567", body="private", provider_message_id="SM1"
    )
    InboundMessage.objects.filter(pk=reply.pk).update(created_at=timezone.now() - 40 * DAY)
    keep(clinic, message_days=30)
    retention_task()
    assert InboundMessage.objects.get(pk=reply.pk).body == ""


def test_nothing_goes_before_the_tenant_has_decided(clinic: Clinic, other_clinic: Clinic) -> None:
    message(clinic, 4000 * DAY)
    message(other_clinic, 4000 * DAY)
    keep(other_clinic, message_days=30)
    retention_task()
    assert words(clinic) == ["The words."]
    assert words(other_clinic) == [""]


def test_what_may_still_leave_keeps_its_words(clinic: Clinic) -> None:
    message(clinic, 40 * DAY, status=Status.QUEUED)
    keep(clinic, message_days=30)
    retention_task()
    assert words(clinic) == ["The words."]


def test_a_night_begins_where_the_last_one_ended(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for age in (40, 39, 38, 37, 36):
        message(clinic, age * DAY)
    keep(clinic, message_days=30)
    now = timezone.now()
    assert retention.erase_words(clinic.tenant.pk, now) == 5
    assert words(clinic) == [""] * 5
    own = tenant_settings.of(clinic.tenant.pk)
    assert own.words_erased_until == now - 30 * DAY
    # The tenant's decision, and whether a hold has ended since.
    with django_assert_max_num_queries(2):
        assert retention.erase_words(clinic.tenant.pk, now) == 0
    # Whoever shortens the time is followed in the next night.
    message(clinic, 20 * DAY)
    keep(clinic, message_days=15)
    assert retention.erase_words(clinic.tenant.pk, now) == 1


def receipt(clinic: Clinic | None, age: dt.timedelta, monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    moment = timezone.now() - age
    with monkeypatch.context() as patch:
        patch.setattr("core.ids.time.time_ns", lambda: int(moment.timestamp() * 1e9))
        key = ordered_uuid()
    ProviderReceipt.objects.create(
        id=key,
        tenant=clinic.tenant if clinic is not None else None,
        provider="twilio",
        dedupe_key=str(key),
        received_at=moment,
        **{"applied_at": moment, **fields},
    )


def test_raw_reports_go_after_the_tenants_time_and_unapplied_ones_stay(
    clinic: Clinic, other_clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt(clinic, 20 * DAY, monkeypatch)
    receipt(clinic, 20 * DAY, monkeypatch, applied_at=None)
    receipt(clinic, 10 * DAY, monkeypatch)
    receipt(other_clinic, 20 * DAY, monkeypatch)
    receipt(None, 100 * DAY, monkeypatch)
    keep(clinic, receipt_days=14)
    assert retention_task()["receipts"] == 2
    assert ProviderReceipt.objects.filter(tenant=clinic.tenant).count() == 2
    assert ProviderReceipt.objects.filter(tenant=other_clinic.tenant).count() == 1


def test_notifications_go_after_the_tenants_time(clinic: Clinic) -> None:
    row = inbox.notify(user=clinic.admin, title="t", message="m")
    Notification.objects.filter(pk=row.pk).update(is_read=True, activity_at=timezone.now() - 50 * DAY)
    cleanup_old_notifications()
    assert Notification.objects.filter(pk=row.pk).exists(), "the house keeps 90 days"
    keep(clinic, notification_days={row.category: 40})
    cleanup_old_notifications()
    assert not Notification.objects.filter(pk=row.pk).exists()


# --- proof and legal hold -------------------------------------------------------------------------------------------


def hold(clinic: Clinic, **fields: Any) -> LegalHold:
    return holds.hold_place(actor=clinic.admin, patient=clinic.patient, reason="Case 4711", **fields)


def test_a_digest_of_the_words_stays_and_fits_them_only(clinic: Clinic) -> None:
    old, twin = message(clinic, 40 * DAY), message(clinic, 40 * DAY)
    keep(clinic, message_days=30)
    retention_task()
    assert retention.fits(old.pk, subject="Subject", body="The words.") is True
    assert retention.fits(old.pk, subject="Subject", body="Other words.") is False
    assert retention.fits(uuid.uuid4(), subject="Subject", body="The words.") is None
    digests = set(ErasedWords.objects.filter(pk__in=[old.pk, twin.pk]).values_list("digest", flat=True))
    assert len(digests) == 2, "the same words of two messages tell nothing of each other"


def test_a_second_night_writes_no_second_proof(clinic: Clinic) -> None:
    message(clinic, 40 * DAY)
    keep(clinic, message_days=30)
    retention_task()
    TenantSettings.objects.update(words_erased_until=None)
    assert retention_task()["words"] == 0
    assert ErasedWords.objects.count() == 1


def test_a_hold_keeps_words_replies_and_reports_of_its_patient_only(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = message(clinic, 40 * DAY)
    other = factories.PatientFactory(tenant=clinic.tenant)
    free = message(clinic, 40 * DAY)
    Message.objects.filter(pk=free.pk).update(patient=other)
    receipt(clinic, 40 * DAY, monkeypatch, message=held)
    receipt(clinic, 40 * DAY, monkeypatch, message=free)
    # One was matched to the patient, one only has the number.
    for owner in (clinic.patient, None):
        reply = InboundMessage.objects.create(
            tenant=clinic.tenant,
            channel="SMS",
            sender=clinic.patient.phone,
            patient=owner,
            body="private",
            provider_message_id=str(uuid.uuid4()),
        )
        InboundMessage.objects.filter(pk=reply.pk).update(created_at=timezone.now() - 40 * DAY)
    hold(clinic)
    keep(clinic, message_days=30, receipt_days=14)
    assert retention_task() == {"words": 1, "receipts": 1, "secrets": 0}
    held.refresh_from_db()
    free.refresh_from_db()
    assert (held.body, free.body) == ("The words.", "")
    assert set(InboundMessage.objects.values_list("body", flat=True)) == {"private"}
    assert ProviderReceipt.objects.get().message_id == held.pk


def test_what_a_hold_kept_goes_in_the_night_after_it_is_lifted(clinic: Clinic) -> None:
    old = message(clinic, 40 * DAY)
    young = message(clinic, 10 * DAY)
    first, second = hold(clinic), hold(clinic)
    keep(clinic, message_days=30)
    retention_task()
    holds.hold_lift(actor=clinic.admin, hold=first)
    retention_task()
    old.refresh_from_db()
    assert old.body == "The words.", "the other hold still holds"
    holds.hold_lift(actor=clinic.admin, hold=second)
    assert retention_task()["words"] == 1
    old.refresh_from_db()
    young.refresh_from_db()
    assert (old.body, young.body) == ("", "The words.")
    assert not LegalHold.objects.filter(settled_at=None).exists()


def test_a_hold_with_a_last_day_ends_by_itself(clinic: Clinic) -> None:
    old = message(clinic, 40 * DAY)
    placed = hold(clinic, until=timezone.localdate())
    keep(clinic, message_days=30)
    retention_task()
    old.refresh_from_db()
    assert old.body == "The words.", "the last day is part of it"
    LegalHold.objects.filter(pk=placed.pk).update(until=timezone.localdate() - DAY)
    retention_task()
    old.refresh_from_db()
    assert old.body == ""


def test_a_hold_placed_between_two_batches_counts_at_once(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 1)
    message(clinic, 41 * DAY)
    message(clinic, 40 * DAY)
    real = retention._empty_batch

    def then_hold(*args: Any) -> int:
        done = real(*args)
        if not LegalHold.objects.exists():
            hold(clinic)
        return done

    monkeypatch.setattr(retention, "_empty_batch", then_hold)
    keep(clinic, message_days=30)
    assert retention_task()["words"] == 1
    assert words(clinic) == ["", "The words."]


def test_holds_are_the_admins_and_leave_a_trace(clinic: Clinic, other_clinic: Clinic) -> None:
    for stranger in (clinic.front_desk, other_clinic.admin):
        with pytest.raises(DomainError):
            holds.hold_place(actor=stranger, patient=clinic.patient, reason="x")
    for wrong in ({"reason": " "}, {"reason": "x", "until": timezone.localdate() - DAY}, {"reason": "x" * 301}):
        with pytest.raises(DomainError):
            holds.hold_place(actor=clinic.admin, patient=clinic.patient, **wrong)
    placed = hold(clinic)
    holds.hold_lift(actor=clinic.admin, hold=placed)
    with pytest.raises(DomainError):
        holds.hold_lift(actor=clinic.admin, hold=placed)
    acts = AuditEvent.objects.filter(object_id=clinic.patient.pk).values_list("action", flat=True)
    assert set(acts) == {"legal_hold.placed", "legal_hold.lifted"}
