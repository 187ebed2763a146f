"""A bulk send from its audience to its end: counted exactly, sent once, stopped at once."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from appointments import bulk_audience
from conftest import Clinic
from core.errors import DomainError
from core.models import AuditEvent, Location, Patient, Role
from core.tenancy import tenant_scope
from integrations import bulk_send, delivery
from integrations.bulk import audience, control, plan, progress, run, words
from integrations.tests.bulk_rows import TEXTS, checked, draft, patients, running, scheduled
from notifications import bulk_hold, message_classes
from notifications.bulk_states import BulkState
from notifications.models import (
    BulkRecipient,
    BulkSend,
    Message,
    MessageLog,
    MessageTemplate,
    Notification,
    NotificationPreference,
)
from notifications.states import Lane, Reason, Status
from tests import factories
from tests.factories import agree

DAY = dt.timedelta(days=1)


def at(hour: int, minute: int = 0) -> dt.datetime:
    """A moment of today on the clinic's wall clock."""
    return timezone.make_aware(dt.datetime.combine(timezone.localdate(), dt.time(hour, minute)))


# --- check -----------------------------------------------------------------------------------------------------------


def test_the_check_counts_exactly_what_the_send_then_does(clinic: Clinic) -> None:
    fine = patients(clinic, 3, language="en")
    off, dead = patients(clinic, 2)
    NotificationPreference.objects.create(tenant=clinic.tenant, patient=off, sms_enabled=False)
    bulk = checked(clinic, [*fine, off, dead])
    assert bulk.totals["send"] == 4
    assert bulk.totals["excluded"] == {Reason.OPT_OUT_CHANNEL: 1}
    assert bulk.totals["by_channel"] == {"SMS": 4}
    Patient.objects.filter(pk=dead.pk).update(deceased_at=timezone.localdate())
    control.check(actor=clinic.admin, bulk=bulk)
    assert bulk.totals["excluded"] == {Reason.OPT_OUT_CHANNEL: 1, Reason.DECEASED: 1}
    control.submit(actor=clinic.admin, bulk=bulk)
    run.advance(clinic.tenant.pk, bulk.pk)
    assert Message.objects.filter(bulk=bulk, status=Status.QUEUED).count() == bulk.totals["send"] == 3
    assert sum(Message.objects.filter(bulk=bulk).values_list("segments", flat=True)) == bulk.totals["segments"]


def test_nothing_is_written_to_the_outbox_by_a_check(clinic: Clinic) -> None:
    checked(clinic, patients(clinic, 2))
    assert not Message.objects.exists()


def test_siblings_with_one_number_and_the_same_words_are_told_once_with_both_names(clinic: Clinic) -> None:
    omar, sara = patients(clinic, 2, phone="+966501239999", language="en", name_en="Omar")
    Patient.objects.filter(pk=sara.pk).update(name_en="Sara")
    bulk = running(clinic, [omar, sara])
    assert (bulk.totals["send"], bulk.totals["folded"]) == (1, 1)
    assert Message.objects.get().body.startswith("Omar and Sara: ")


def test_a_check_twice_marks_and_counts_the_same(clinic: Clinic) -> None:
    bulk = checked(clinic, patients(clinic, 2, phone="+966501239999"))
    first = bulk.totals
    control.check(actor=clinic.admin, bulk=bulk)
    assert bulk.totals == first
    assert BulkRecipient.objects.exclude(reason="").count() == 1


def test_siblings_with_values_of_their_own_get_a_message_each(clinic: Clinic) -> None:
    people = patients(clinic, 2, phone="+966501239999")
    bulk = control.draft(
        actor=clinic.admin, name="Visits", source="UPLOAD", message_class="SERVICE", variables=["room"],
        people=[audience.Person(one.pk, {"room": f"R{number}"}) for number, one in enumerate(people)],
    )  # fmt: skip
    control.words_set(actor=clinic.admin, bulk=bulk, texts={"body_en": "{room}", "body_ar": "{room}"}, channel="SMS")
    control.check(actor=clinic.admin, bulk=bulk)
    assert (bulk.totals["send"], bulk.totals["folded"]) == (2, 0)


def test_who_was_folded_into_a_relative_that_gets_nothing_after_all_is_told_alone(clinic: Clinic) -> None:
    omar, sara = patients(clinic, 2, phone="+966501239999")
    bulk = scheduled(clinic, [omar, sara])
    Patient.objects.filter(pk=omar.pk).update(deceased_at=timezone.localdate())
    run.advance(clinic.tenant.pk, bulk.pk)
    assert Message.objects.get(patient=omar).reason == Reason.DECEASED
    assert Message.objects.get(patient=sara).status == Status.QUEUED


def test_each_patient_counts_once_however_often_an_audience_names_them(clinic: Clinic) -> None:
    one = patients(clinic, 1)[0]
    bulk = draft(clinic, [one, one, one])
    assert BulkRecipient.objects.filter(bulk=bulk).count() == 1


def test_a_send_to_nobody_is_refused(clinic: Clinic) -> None:
    with pytest.raises(DomainError, match="Nobody"):
        draft(clinic, [])


# --- classes ---------------------------------------------------------------------------------------------------------


def test_promotion_goes_only_to_those_who_said_yes(clinic: Clinic) -> None:
    silent, willing, unwilling = patients(clinic, 3)
    agree(willing, "promotion")
    agree(unwilling, "promotion", "refused")
    bulk = checked(clinic, [silent, willing, unwilling], message_class="PROMOTIONAL")
    assert (bulk.totals["send"], bulk.totals["excluded"]) == (1, {Reason.NO_CONSENT: 2})
    assert not bulk.is_urgent


def test_awareness_goes_only_to_those_who_said_yes_and_have_not_taken_it_back(clinic: Clinic) -> None:
    silent, willing, gone = patients(clinic, 3)
    for patient in (willing, gone):
        agree(patient, "awareness")
    agree(gone, "awareness", "withdrawn")
    bulk = checked(clinic, [silent, willing, gone], message_class="AWARENESS")
    excluded = {Reason.NO_CONSENT: 1, Reason.CONSENT_WITHDRAWN: 1}
    assert (bulk.totals["send"], bulk.totals["excluded"]) == (1, excluded)


def test_advertising_by_department_is_refused(clinic: Clinic) -> None:
    with pytest.raises(DomainError) as refused:
        draft(clinic, patients(clinic, 1), message_class="PROMOTIONAL", filters={"department": "x"})
    assert refused.value.code == "promotion_by_treatment"


def test_a_template_of_another_class_cannot_be_used(clinic: Clinic) -> None:
    MessageTemplate.objects.create(
        tenant=clinic.tenant, code="offer", name="Offer", channel="SMS", notification_type="MARKETING",
        body_en="Whitening", body_ar="تبييض",
    )  # fmt: skip
    bulk = draft(clinic, patients(clinic, 1))
    assert words.usable_templates(bulk) == []
    with pytest.raises(DomainError):
        control.words_set(actor=clinic.admin, bulk=bulk, template_code="offer")


def test_a_messages_words_are_those_that_were_checked_though_the_template_changes(clinic: Clinic) -> None:
    template = MessageTemplate.objects.create(
        tenant=clinic.tenant, code="news", name="News", channel="SMS", notification_type="GENERAL",
        body_en="Old {patient_name}", body_ar="قديم {patient_name}", variables=["patient_name"], version=3,
    )  # fmt: skip
    bulk = draft(clinic, patients(clinic, 1, language="en"))
    control.words_set(actor=clinic.admin, bulk=bulk, template_code="news", is_urgent=True)
    control.check(actor=clinic.admin, bulk=bulk)
    MessageTemplate.objects.update(body_en="New {patient_name}", version=4)
    control.submit(actor=clinic.admin, bulk=bulk)
    run.advance(clinic.tenant.pk, bulk.pk)
    message = Message.objects.get()
    assert message.body.startswith("Old ")
    assert (message.template, message.template_version) == (template, 3)


def test_own_words_need_both_languages_and_known_placeholders(clinic: Clinic) -> None:
    bulk = draft(clinic, patients(clinic, 1))
    for texts, code in (
        ({"body_en": "Hello"}, "body_ar_missing"),
        ({"body_en": "{diagnosis}", "body_ar": "نص"}, "body_en_placeholder"),
    ):
        with pytest.raises(DomainError) as refused:
            control.words_set(actor=clinic.admin, bulk=bulk, texts=texts, channel="SMS")
        assert refused.value.code == code
    with pytest.raises(DomainError) as refused:
        control.words_set(actor=clinic.admin, bulk=bulk, texts=TEXTS, channel="WHATSAPP")
    assert refused.value.code == "own_whatsapp"


# --- hours -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hour", "is_held"), [(8, True), (9, False), (20, False), (21, True)])
def test_promotional_messages_leave_within_the_hours_of_their_class_only(
    clinic: Clinic, hour: int, is_held: bool
) -> None:
    bulk = BulkSend(message_class="PROMOTIONAL", state=BulkState.RUNNING, timezone="Asia/Riyadh")
    assert bulk_hold.is_held(bulk, message_classes.DEFAULTS["PROMOTIONAL"], at(hour)) == is_held


def test_an_urgent_service_message_leaves_at_any_hour_and_an_urgent_promotion_does_not(clinic: Clinic) -> None:
    service = BulkSend(message_class="SERVICE", is_urgent=True, state=BulkState.RUNNING, timezone="Asia/Riyadh")
    offer = BulkSend(message_class="PROMOTIONAL", is_urgent=True, state=BulkState.RUNNING, timezone="Asia/Riyadh")
    assert not bulk_hold.is_held(service, message_classes.DEFAULTS["SERVICE"], at(3))
    assert bulk_hold.is_held(offer, message_classes.DEFAULTS["PROMOTIONAL"], at(3))


def test_what_waits_for_the_morning_is_queued_and_leaves_then(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    bulk = running(clinic, patients(clinic, 3))
    BulkSend.objects.update(is_urgent=False)
    rule = message_classes.Rule(dt.time(8), dt.time(22), 10)
    monkeypatch.setattr(message_classes, "rules", lambda: {"SERVICE": rule})
    assert bulk_hold.held(at(23)) == [bulk.pk]
    assert bulk_hold.held(at(8)) == []
    assert bulk_hold.held(at(22)) == [bulk.pk]


def test_a_send_that_would_be_out_of_date_before_its_hours_open_is_refused(clinic: Clinic) -> None:
    (patient,) = patients(clinic, 1)
    agree(patient, "awareness")
    bulk = checked(clinic, [patient], message_class="AWARENESS")
    tomorrow_night = at(22) + DAY
    with pytest.raises(DomainError) as refused:
        control.submit(actor=clinic.admin, bulk=bulk, scheduled_at=tomorrow_night, useful_hours=3)
    assert refused.value.code == "useful_too_short"
    with pytest.raises(DomainError) as refused:
        control.submit(
            actor=clinic.admin, bulk=bulk, scheduled_at=tomorrow_night, sends_from=dt.time(5), sends_until=dt.time(6)
        )
    assert refused.value.code == "window_closed"


def test_the_next_opening_is_within_all_windows() -> None:
    import zoneinfo

    zone = zoneinfo.ZoneInfo("Asia/Riyadh")
    noon = dt.datetime(2026, 3, 3, 12, tzinfo=zone)
    opening = message_classes.next_opening(noon, zone, (dt.time(9), dt.time(21)), (dt.time(8), dt.time(10)))
    assert opening == dt.datetime(2026, 3, 4, 9, tzinfo=zone)
    assert message_classes.next_opening(noon, zone, (dt.time(9), dt.time(21))) == noon


def test_rules_are_the_clinics_own_and_audited_and_never_in_the_night(clinic: Clinic, other_clinic: Clinic) -> None:
    fields: dict[str, Any] = {"opens_at": dt.time(10), "closes_at": dt.time(20), "approval_above": 5}
    message_classes.rule_set(actor=clinic.admin, message_class="PROMOTIONAL", **fields)
    assert message_classes.rules()["PROMOTIONAL"] == message_classes.Rule(dt.time(10), dt.time(20), 5)
    with tenant_scope(other_clinic.tenant.pk):
        assert message_classes.rules()["PROMOTIONAL"] == message_classes.DEFAULTS["PROMOTIONAL"]
    event = AuditEvent.objects.get(action="class_rule.set")
    assert (event.before["approval_above"], event.after["approval_above"]) == (100, 5)
    with pytest.raises(DomainError):
        message_classes.rule_set(
            actor=clinic.admin, message_class="PROMOTIONAL", **{**fields, "closes_at": dt.time(23)}
        )
    with pytest.raises(DomainError):
        message_classes.rule_set(actor=clinic.front_desk, message_class="SERVICE", **fields)


# --- approval --------------------------------------------------------------------------------------------------------


def second_admin(clinic: Clinic) -> Any:
    return factories.UserFactory(tenant=clinic.tenant, role=Role.ADMIN, email="second@noor.example")


def test_above_the_limit_a_second_person_decides(clinic: Clinic, other_clinic: Clinic) -> None:
    message_classes.rule_set(
        actor=clinic.admin, message_class="SERVICE", opens_at=dt.time(8), closes_at=dt.time(22), approval_above=1
    )
    second = second_admin(clinic)
    bulk = checked(clinic, patients(clinic, 2))
    control.submit(actor=clinic.admin, bulk=bulk)
    assert bulk.state == BulkState.AWAITING_APPROVAL
    assert Notification.objects.get(user=second).related_object_id == bulk.pk
    run.advance(clinic.tenant.pk, bulk.pk)
    assert not Message.objects.exists()
    for actor in (clinic.admin, clinic.front_desk, other_clinic.admin):
        with pytest.raises(DomainError):
            control.approve(actor=actor, bulk=bulk)
    control.approve(actor=second, bulk=bulk)
    run.advance(clinic.tenant.pk, bulk.pk)
    assert Message.objects.count() == 2
    assert list(AuditEvent.objects.filter(action__startswith="bulk.").values_list("action", flat=True).order_by("pk"))


def test_words_cannot_change_once_it_is_submitted(clinic: Clinic) -> None:
    bulk = scheduled(clinic, patients(clinic, 1))
    with pytest.raises(DomainError):
        control.words_set(actor=clinic.admin, bulk=bulk, texts=TEXTS, channel="SMS")
    control.call_off(actor=clinic.admin, bulk=bulk)
    assert bulk.state == BulkState.CHECKED
    control.words_set(actor=clinic.admin, bulk=bulk, texts=TEXTS, channel="SMS")
    assert (bulk.state, bulk.totals) == (BulkState.DRAFT, {})


def test_a_later_start_waits_for_its_time(clinic: Clinic) -> None:
    bulk = checked(clinic, patients(clinic, 1))
    control.submit(actor=clinic.admin, bulk=bulk, scheduled_at=timezone.now() + DAY)
    run.advance(clinic.tenant.pk, bulk.pk)
    assert run.sweep() == {"rung": 0, "done": 0}
    BulkSend.objects.update(scheduled_at=timezone.now())
    run.advance(clinic.tenant.pk, bulk.pk)
    assert Message.objects.count() == 1


# --- the run ---------------------------------------------------------------------------------------------------------


def test_messages_carry_their_send_its_words_and_its_deadline(clinic: Clinic) -> None:
    patient = patients(clinic, 1, language="ar")[0]
    bulk = running(clinic, [patient])
    message = Message.objects.get()
    assert (message.bulk, message.patient, message.template, message.sent_by) == (bulk, patient, None, clinic.admin)
    assert (message.expires_at, message.notification_type) == (bulk.expires_at, "GENERAL")
    assert message.lane == Lane.TRANSACTIONAL
    assert "مغلقة يوم الأحد" in message.body
    assert MessageLog.objects.filter(message=message).count() == 2


def test_a_send_goes_on_where_its_worker_died_and_repeats_nobody(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "CHUNK", 2)
    bulk = scheduled(clinic, patients(clinic, 7))
    written = bulk_send.insert_rows
    calls = []

    def dies(*args: Any) -> None:
        calls.append(1)
        if len(calls) == 4:  # the logs of the second chunk: its messages are written, not committed
            raise SystemExit
        written(*args)

    monkeypatch.setattr(bulk_send, "insert_rows", dies)
    with pytest.raises(SystemExit):
        run.advance(clinic.tenant.pk, bulk.pk)
    bulk.refresh_from_db()
    assert (bulk.state, bulk.cursor, Message.objects.count()) == (BulkState.STARTING, 2, 2)
    monkeypatch.setattr(bulk_send, "insert_rows", written)
    assert run.advance(clinic.tenant.pk, bulk.pk) == {"queued": 0, "refused": 0, "failed": 0}, "the lease is not over"
    BulkSend.objects.update(lease_expires_at=timezone.now())
    assert run.advance(clinic.tenant.pk, bulk.pk)["queued"] == 5
    bulk.refresh_from_db()
    assert (bulk.state, Message.objects.count()) == (BulkState.RUNNING, 7)


def test_a_pause_while_it_is_written_is_seen_before_the_next_chunk(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "CHUNK", 2)
    bulk = scheduled(clinic, patients(clinic, 6))
    original = run.plan.as_recipients
    calls = []

    def pauses(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            control.pause(actor=clinic.admin, bulk=BulkSend.objects.get(pk=bulk.pk))
        return original(*args)

    monkeypatch.setattr(run.plan, "as_recipients", pauses)
    run.advance(clinic.tenant.pk, bulk.pk)
    bulk.refresh_from_db()
    assert (bulk.state, Message.objects.count()) == (BulkState.PAUSED, 2)
    monkeypatch.setattr(run.plan, "as_recipients", original)
    control.resume(actor=clinic.admin, bulk=bulk)
    assert bulk.state == BulkState.STARTING
    run.advance(clinic.tenant.pk, bulk.pk)
    assert Message.objects.count() == 6


def test_nothing_of_a_paused_send_is_claimed_and_others_are(clinic: Clinic) -> None:
    bulk = running(clinic, patients(clinic, 3))
    other = running(clinic, patients(clinic, 2))
    control.pause(actor=clinic.admin, bulk=bulk)
    delivery.drain(Lane.TRANSACTIONAL)
    assert set(Message.objects.filter(bulk=bulk).values_list("status", flat=True)) == {Status.QUEUED}
    assert not Message.objects.filter(bulk=other, status=Status.QUEUED).exists()
    assert not delivery.deliver(Message.objects.filter(bulk=bulk)[0].pk)
    control.resume(actor=clinic.admin, bulk=bulk)
    assert bulk.state == BulkState.RUNNING
    delivery.drain(Lane.TRANSACTIONAL)
    assert not Message.objects.filter(bulk=bulk, status=Status.QUEUED).exists()


def test_a_stop_cancels_what_waits_with_its_reason_and_ends_the_send(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "STOP_BATCH", 2)
    bulk = running(clinic, patients(clinic, 5))
    control.stop(actor=clinic.admin, bulk=bulk)
    delivery.drain(Lane.TRANSACTIONAL)
    assert run.advance(clinic.tenant.pk, bulk.pk) == {"cancelled": 5}
    assert set(Message.objects.values_list("status", "reason")) == {(Status.CANCELLED, Reason.SEND_STOPPED)}
    bulk.refresh_from_db()
    assert bulk.finished_at is not None
    assert run.sweep() == {"rung": 0, "done": 0}
    with pytest.raises(DomainError):
        control.resume(actor=clinic.admin, bulk=bulk)


def test_a_send_is_done_when_nothing_of_it_waits(clinic: Clinic) -> None:
    bulk = running(clinic, patients(clinic, 2))
    assert run.sweep()["done"] == 0
    Message.objects.update(status=Status.DELIVERED, next_attempt_at=None)
    assert run.sweep()["done"] == 1
    bulk.refresh_from_db()
    assert bulk.state == BulkState.DONE
    assert progress.progress(bulk).percent == 100


def test_starting_has_a_cost_that_does_not_grow_with_the_audience(
    clinic: Clinic, django_assert_max_num_queries: Any
) -> None:
    bulk = scheduled(clinic, patients(clinic, 60))
    with django_assert_max_num_queries(36):
        run.advance(clinic.tenant.pk, bulk.pk)
    assert Message.objects.count() == 60


@pytest.mark.django_db(transaction=True)
def test_two_runners_at_once_write_each_message_once(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "CHUNK", 5)
    bulk = scheduled(clinic, patients(clinic, 30))
    start = threading.Barrier(2)

    def go() -> None:
        try:
            start.wait(10)
            run.advance(clinic.tenant.pk, bulk.pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert Message.objects.filter(status=Status.QUEUED).count() == 30
    assert MessageLog.objects.count() == 60


# --- afterwards ------------------------------------------------------------------------------------------------------


def test_who_did_not_get_it_is_one_list_with_reasons_and_can_be_written_to_again(clinic: Clinic) -> None:
    fine, off, unlucky = patients(clinic, 3)
    NotificationPreference.objects.create(tenant=clinic.tenant, patient=off, sms_enabled=False)
    bulk = running(clinic, [fine, off, unlucky])
    Message.objects.filter(patient=unlucky).update(status=Status.BOUNCED, next_attempt_at=None)
    missed = progress.MissedList(bulk)
    assert len(missed) == 2
    assert [one.patient for one in missed[0:10]] == [off, unlucky]
    assert [one.patient for one in missed[1:2]] == [unlucky]
    assert {value: count for value, _label, count in progress.reasons(bulk)} == {
        Reason.OPT_OUT_CHANNEL: 1,
        Status.BOUNCED: 1,
    }
    copy = control.again(actor=clinic.admin, bulk=bulk, patient_ids=progress.missed_patients(bulk, Status.BOUNCED))
    assert (copy.again_of, copy.words) == (bulk, bulk.words)
    assert [one.patient for one in copy.recipients.all()] == [unlucky]
    control.check(actor=clinic.admin, bulk=copy)
    assert copy.totals["send"] == 1


def test_a_test_goes_to_the_actors_own_email_only(clinic: Clinic) -> None:
    bulk = checked(clinic, [*patients(clinic, 1, language="en"), *patients(clinic, 1, language="ar")])
    assert control.test(actor=clinic.admin, bulk=bulk) == 2
    assert set(Message.objects.values_list("user", "recipient")) == {(clinic.admin.pk, clinic.admin.email)}
    assert not Message.objects.filter(bulk__isnull=False).exists()


def test_a_draft_can_be_thrown_away_and_a_send_under_way_cannot(clinic: Clinic) -> None:
    control.discard(actor=clinic.admin, bulk=draft(clinic, patients(clinic, 2)))
    assert not BulkSend.objects.exists()
    assert not BulkRecipient.objects.exists()
    with pytest.raises(DomainError):
        control.discard(actor=clinic.admin, bulk=running(clinic, patients(clinic, 1)))


def test_a_single_promotion_at_night_is_put_off_until_the_morning(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = patients(clinic, 1)[0]
    agree(patient, "promotion")
    offer = a_message(clinic, patient, "MARKETING")
    care = a_message(clinic, patient, "GENERAL")
    night = at(23)
    offer.expires_at = at(10) + DAY
    assert bulk_hold.postpone([offer, care], night) == ({offer.pk}, {})
    offer.refresh_from_db()
    assert offer.next_attempt_at == at(9) + DAY
    assert bulk_hold.postpone([offer, care], at(12)) == (set(), {})
    offer.expires_at = at(8) + DAY
    assert bulk_hold.postpone([offer, care], night) == (set(), {offer.pk: Reason.CLASS_WINDOW})


def a_message(clinic: Clinic, patient: Patient, kind: str) -> Message:
    from integrations.messaging_service import MessagingService

    return MessagingService().send_message(
        tenant_id=clinic.tenant.pk, patient_id=patient.pk, channel="SMS", body="Hello", notification_type=kind
    )


def test_a_send_about_visits_at_a_sensitive_place_names_neither_clinic_nor_place(clinic: Clinic) -> None:
    Location.objects.filter(pk=clinic.location.pk).update(is_sensitive=True)
    clinic.location.refresh_from_db()
    visit = factories.AppointmentFactory(
        tenant=clinic.tenant,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=timezone.now() + dt.timedelta(days=1),
    )
    people = bulk_audience.visits(starts=visit.starts_at, ends=visit.ends_at)
    bulk = control.draft(
        actor=clinic.admin,
        name="Closed",
        source="FILTERS",
        message_class="SERVICE",
        people=people,
        variables=bulk_audience.VARIABLES,
        object_type=bulk_audience.OBJECT_TYPE,
    )
    texts = dict.fromkeys(("body_en", "body_ar"), "{clinic_name} {location_name} {provider_name}")
    control.words_set(actor=clinic.admin, bulk=bulk, texts=texts, channel="SMS", is_urgent=True)
    control.check(actor=clinic.admin, bulk=bulk)
    told = plan.samples(bulk)[0]["body"]
    for name in (clinic.tenant.name_en, clinic.location.name_en, clinic.provider.name_en):
        assert name not in told
    assert told
