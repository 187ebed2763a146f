"""Sends to many with many hands in them: two admins in one draft, pages out of date, buttons pressed twice."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client
from django.utils import timezone

from conftest import Clinic
from core.errors import DomainError
from core.models import Location, Role, User
from integrations import delivery
from integrations.bulk import control, progress, run
from integrations.tests.bulk_rows import TEXTS, checked, draft, patients, running, scheduled, visit
from integrations.tests.test_bulk import DAY, at
from notifications import bulk_hold, message_classes
from notifications.bulk_states import BulkState
from notifications.models import BulkSend, ClassRule, Message
from notifications.states import Lane, Reason, Status
from tests import factories
from tests.factories import agree

URL = "/notifications/bulk/"
OTHER_TEXTS = {"body_en": "{patient_name}: other words.", "body_ar": "{patient_name}: كلمات أخرى."}


@pytest.fixture
def admin(clinic: Clinic) -> Client:
    return clinic.client(clinic.admin)


def second_admin(clinic: Clinic) -> User:
    return factories.UserFactory(tenant=clinic.tenant, role=Role.ADMIN, email="second@noor.example")


def needs_two(clinic: Clinic) -> None:
    ClassRule.objects.create(
        tenant=clinic.tenant, message_class="SERVICE", opens_at=dt.time(8), closes_at=dt.time(22), approval_above=0
    )


# --- two persons -----------------------------------------------------------------------------------------------------


def test_who_finished_a_colleagues_draft_does_not_approve_it_himself(clinic: Clinic) -> None:
    needs_two(clinic)
    second = second_admin(clinic)
    bulk = draft(clinic, patients(clinic, 1))
    control.words_set(actor=second, bulk=bulk, texts=TEXTS, channel="SMS")
    control.check(actor=second, bulk=bulk)
    control.submit(actor=second, bulk=bulk)
    for actor in (second, clinic.admin):
        with pytest.raises(DomainError, match="second person"):
            control.approve(actor=actor, bulk=bulk)
    assert b"/approve/" not in clinic.client(second).get(f"{URL}{bulk.pk}/").content


def test_who_only_asked_for_it_to_be_sent_does_not_approve_it_either(clinic: Clinic) -> None:
    needs_two(clinic)
    second = second_admin(clinic)
    bulk = checked(clinic, patients(clinic, 1))
    control.submit(actor=second, bulk=bulk)
    with pytest.raises(DomainError, match="second person"):
        control.approve(actor=second, bulk=bulk)


def test_who_wrote_the_words_of_a_draft_that_its_author_sent_does_not_approve_them(clinic: Clinic) -> None:
    needs_two(clinic)
    second = second_admin(clinic)
    bulk = draft(clinic, patients(clinic, 1))
    control.words_set(actor=second, bulk=bulk, texts=TEXTS, channel="SMS")
    control.check(actor=clinic.admin, bulk=bulk)
    control.submit(actor=clinic.admin, bulk=bulk)
    with pytest.raises(DomainError, match="second person"):
        control.approve(actor=second, bulk=bulk)


def test_whose_words_were_all_replaced_may_look_at_the_new_ones(clinic: Clinic) -> None:
    needs_two(clinic)
    second = second_admin(clinic)
    bulk = draft(clinic, patients(clinic, 1))
    control.words_set(actor=second, bulk=bulk, texts=TEXTS, channel="SMS")
    control.words_set(actor=clinic.admin, bulk=bulk, texts=OTHER_TEXTS, channel="SMS")
    control.check(actor=clinic.admin, bulk=bulk)
    control.submit(actor=clinic.admin, bulk=bulk)
    control.approve(actor=second, bulk=bulk)
    assert bulk.state == BulkState.SCHEDULED


def test_the_words_of_a_send_that_is_repeated_stay_their_authors(clinic: Clinic) -> None:
    needs_two(clinic)
    second = second_admin(clinic)
    bulk = checked(clinic, patients(clinic, 1))
    control.submit(actor=clinic.admin, bulk=bulk)
    control.approve(actor=second, bulk=bulk)
    run.advance(clinic.tenant.pk, bulk.pk)
    Message.objects.update(status=Status.BOUNCED)
    copy = control.again(actor=second, bulk=bulk, patient_ids=progress.missed_patients(bulk))
    control.check(actor=second, bulk=copy)
    control.submit(actor=second, bulk=copy)
    with pytest.raises(DomainError, match="second person"):
        control.approve(actor=clinic.admin, bulk=copy)


def test_a_page_that_is_out_of_date_approves_nothing(clinic: Clinic) -> None:
    needs_two(clinic)
    second = second_admin(clinic)
    bulk = checked(clinic, patients(clinic, 1))
    control.submit(actor=clinic.admin, bulk=bulk)
    colleague = clinic.client(second)
    old = colleague.get(f"{URL}{bulk.pk}/").context["seen"]
    assert f'name="seen" value="{old}"'.encode() in colleague.get(f"{URL}{bulk.pk}/").content
    # Meanwhile the author puts other words in.
    control.call_off(actor=clinic.admin, bulk=bulk)
    control.words_set(actor=clinic.admin, bulk=bulk, texts=OTHER_TEXTS, channel="SMS")
    control.check(actor=clinic.admin, bulk=bulk)
    control.submit(actor=clinic.admin, bulk=bulk)
    answer = colleague.post(f"{URL}{bulk.pk}/approve/", {"seen": old}, follow=True)
    assert b"has moved on meanwhile" in answer.content
    bulk.refresh_from_db()
    assert bulk.state == BulkState.AWAITING_APPROVAL
    colleague.post(f"{URL}{bulk.pk}/approve/", {"seen": control.mark_of(bulk)})
    bulk.refresh_from_db()
    assert bulk.state == BulkState.SCHEDULED


def test_a_page_that_is_out_of_date_sends_nothing(clinic: Clinic) -> None:
    second = second_admin(clinic)
    bulk = checked(clinic, patients(clinic, 1))
    mine = clinic.client(clinic.admin)
    old = mine.get(f"{URL}{bulk.pk}/").context["seen"]
    control.words_set(actor=second, bulk=bulk, texts=OTHER_TEXTS, channel="SMS")
    control.check(actor=second, bulk=bulk)
    answer = mine.post(f"{URL}{bulk.pk}/submit/", {"useful_hours": 24, "seen": old})
    assert answer.status_code == 422
    assert b"has moved on meanwhile" in answer.content
    bulk.refresh_from_db()
    assert bulk.state == BulkState.CHECKED
    assert mine.post(f"{URL}{bulk.pk}/submit/", {"useful_hours": 24, "seen": answer.context["seen"]}).status_code == 302


def test_a_submit_made_of_an_older_reading_loses_against_another_check(clinic: Clinic) -> None:
    bulk = checked(clinic, patients(clinic, 1))
    read_before = BulkSend.objects.get(pk=bulk.pk)
    control.check(actor=clinic.admin, bulk=bulk)
    with pytest.raises(DomainError, match="moved on"):
        control.submit(actor=clinic.admin, bulk=read_before)


def test_counting_again_does_not_take_back_what_waits(clinic: Clinic) -> None:
    needs_two(clinic)
    second = second_admin(clinic)
    bulk = checked(clinic, patients(clinic, 1))
    control.submit(actor=clinic.admin, bulk=bulk, scheduled_at=timezone.now() + dt.timedelta(hours=1))
    for state in (BulkState.AWAITING_APPROVAL, BulkState.SCHEDULED):
        assert bulk.state == state
        clinic.client(clinic.admin).post(f"{URL}{bulk.pk}/check/")
        bulk.refresh_from_db()
        assert bulk.state == state
        if state == BulkState.AWAITING_APPROVAL:
            control.approve(actor=second, bulk=bulk)
    assert bulk.approved_by == second


def test_an_approver_whose_role_is_gone_approves_nothing(clinic: Clinic) -> None:
    needs_two(clinic)
    second = second_admin(clinic)
    client = clinic.client(second)
    bulk = checked(clinic, patients(clinic, 1))
    control.submit(actor=clinic.admin, bulk=bulk)
    User.objects.filter(pk=second.pk).update(role=Role.FRONT_DESK)
    assert client.post(f"{URL}{bulk.pk}/approve/").status_code == 403
    bulk.refresh_from_db()
    assert bulk.state == BulkState.AWAITING_APPROVAL


def test_exactly_at_the_limit_one_person_is_enough_and_one_more_needs_two(clinic: Clinic) -> None:
    message_classes.rule_set(
        actor=clinic.admin, message_class="SERVICE", opens_at=dt.time(8), closes_at=dt.time(22), approval_above=2
    )
    at_limit, above = checked(clinic, patients(clinic, 2)), checked(clinic, patients(clinic, 3))
    for bulk in (at_limit, above):
        control.submit(actor=clinic.admin, bulk=bulk)
    assert (at_limit.state, above.state) == (BulkState.SCHEDULED, BulkState.AWAITING_APPROVAL)


def test_submitting_twice_starts_it_once(clinic: Clinic, mailoutbox: list[object]) -> None:
    bulk = checked(clinic, patients(clinic, 2))
    client = clinic.client(clinic.admin)
    for _press in range(2):
        client.post(f"{URL}{bulk.pk}/submit/", {"useful_hours": 24})
    for _worker in range(2):
        run.advance(clinic.tenant.pk, bulk.pk)
    assert Message.objects.filter(bulk=bulk).count() == 2


# --- who may be written to -------------------------------------------------------------------------------------------


def test_advertising_to_the_visitors_of_a_sensitive_place_is_refused(
    clinic: Clinic, admin: Client, ten_oclock: dt.datetime
) -> None:
    visit(clinic, clinic.patient, ten_oclock)
    agree(clinic.patient, "promotion")
    fields = {"name": "x", "message_class": "PROMOTIONAL", "source": "FILTERS", "location": str(clinic.location.pk)}
    assert admin.post(f"{URL}create/", fields).status_code == 302
    Location.objects.filter(pk=clinic.location.pk).update(is_sensitive=True)
    answer = admin.post(f"{URL}create/", fields)
    assert answer.status_code == 422
    assert "location" in answer.context["form"].errors
    # News of the visit itself is no advertisement.
    assert admin.post(f"{URL}create/", fields | {"message_class": "SERVICE"}).status_code == 302


@pytest.mark.parametrize("name", ["department", "provider", "location", "tag"])
def test_nobody_chooses_by_rows_of_another_clinic_group(
    clinic: Clinic, other_clinic: Clinic, admin: Client, name: str
) -> None:
    theirs = {
        "department": other_clinic.department.pk, "provider": other_clinic.provider.pk,
        "location": other_clinic.location.pk, "tag": other_clinic.patient.pk,
    }  # fmt: skip
    fields = {"name": "x", "message_class": "SERVICE", "source": "FILTERS", name: str(theirs[name])}
    assert admin.post(f"{URL}create/", fields).status_code == 422
    assert not BulkSend.objects.exists()


# --- what comes back when a send is over -----------------------------------------------------------------------------


def failed_late(bulk: BulkSend) -> Message:
    """The report of a failure that may be tried again, after all had left."""
    Message.objects.filter(bulk=bulk).update(
        status=Status.FAILED, next_attempt_at=timezone.now() - dt.timedelta(seconds=1), retry_count=1
    )
    return Message.objects.get(bulk=bulk)


def test_a_failure_that_is_reported_after_the_stop_is_not_tried_again(clinic: Clinic) -> None:
    bulk = running(clinic, patients(clinic, 1))
    delivery.drain(Lane.TRANSACTIONAL)
    control.stop(actor=clinic.admin, bulk=bulk)
    run.advance(clinic.tenant.pk, bulk.pk)
    bulk.refresh_from_db()
    assert bulk.finished_at is not None
    message = failed_late(bulk)
    delivery.drain(Lane.TRANSACTIONAL)
    message.refresh_from_db()
    assert (message.status, message.reason) == (Status.CANCELLED, Reason.SEND_STOPPED)


def test_an_advertisement_whose_failure_is_reported_at_night_waits_for_its_hours(clinic: Clinic) -> None:
    patient = patients(clinic, 1)[0]
    agree(patient, "promotion")
    bulk = scheduled(clinic, [patient], message_class="PROMOTIONAL")
    run.advance(clinic.tenant.pk, bulk.pk)
    Message.objects.update(status=Status.SENT, next_attempt_at=None)
    run.sweep()
    bulk.refresh_from_db()
    assert bulk.state == BulkState.DONE
    message = failed_late(bulk)
    message.expires_at = at(10) + DAY
    assert bulk_hold.postpone([message], at(12)) == (set(), {})
    assert bulk_hold.postpone([message], at(23)) == ({message.pk}, {})
    message.refresh_from_db()
    assert message.next_attempt_at == at(9) + DAY
    message.expires_at = at(8) + DAY
    assert bulk_hold.postpone([message], at(23)) == (set(), {message.pk: Reason.CLASS_WINDOW})


def test_an_urgent_notice_that_is_tried_again_at_night_does_not_wait(clinic: Clinic) -> None:
    bulk = running(clinic, patients(clinic, 1))
    Message.objects.update(status=Status.SENT, next_attempt_at=None)
    run.sweep()
    assert bulk_hold.postpone([failed_late(bulk)], at(3)) == (set(), {})
