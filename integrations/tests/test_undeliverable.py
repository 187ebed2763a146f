"""A message that reached nobody is told to the front desk once, when nothing else is under way, and settled later."""

from __future__ import annotations

import datetime as dt
import functools
import re
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from appointments import services
from appointments.models import Appointment
from conftest import Clinic
from core.models import Location, Patient, Role, User
from core.tenancy import tenant_scope
from integrations.delivery import deliver
from integrations.fanout import process_event
from integrations.messaging_service import MessagingService
from integrations.sms_providers import Kind
from integrations.tasks import sweep_messages_task
from integrations.tests.fakes import FakeProvider, error
from integrations.tests.test_breaker import at_once
from integrations.tests.test_delivery import queue
from integrations.tests.test_fallback import last, reminder, report
from notifications import default_words, lifecycle, undeliverable
from notifications.actions import actions_of
from notifications.models import Message, Notification, NotificationEvent
from notifications.states import Lane, Reason, Status
from tests import factories

__all__ = ["reminder"]
pytestmark = pytest.mark.django_db

DEAD = error(Kind.NUMBER, "21211")


def events() -> list[NotificationEvent]:
    return list(NotificationEvent.objects.filter(key=undeliverable.KEY).order_by("created_at"))


def rung(user: User) -> list[Notification]:
    """What the user has been told, after the fan-out of what was recorded."""
    with tenant_scope(user.tenant_id or uuid.uuid4()):
        for event in events():
            process_event(event.tenant_id, event.pk)
        return list(Notification.objects.filter(user=user, event_key=undeliverable.KEY).order_by("created_at"))


def dead(clinic: Clinic, provider: FakeProvider, **fields: Any) -> Message:
    """A message in somebody's own words whose number does not work."""
    provider.script = [DEAD]
    message = queue(clinic, **fields)
    deliver(message.pk)
    message.refresh_from_db()
    return message


# --- When ------------------------------------------------------------------------------------------------------------


def test_a_dead_number_is_told_to_the_front_desk_once(
    clinic: Clinic, other_clinic: Clinic, provider: FakeProvider
) -> None:
    message = dead(clinic, provider)
    assert message.status == Status.BOUNCED
    (bell,) = rung(clinic.front_desk)
    assert bell.title == "A message to Sara Al-Mutairi reached nobody"
    assert (bell.category, bell.notification_type, bell.is_critical) == ("MESSAGING", "WARNING", False)
    assert (bell.related_object_type, bell.related_object_id) == ("notifications.message", message.pk)
    assert "The address cannot be reached" in bell.message
    assert rung(clinic.admin) == rung(clinic.provider) == []
    undeliverable.note_ended([message.pk])
    assert len(events()) == 1


def test_nobody_is_told_while_another_channel_is_left(
    clinic: Clinic, provider: FakeProvider, reminder: Message
) -> None:
    provider.script = [DEAD, DEAD, DEAD]
    for told in ([], [], [1]):
        deliver(last(reminder).pk)
        assert len(events()) == len(told)
    (bell,) = rung(clinic.front_desk)
    assert bell.related_object_id == last(reminder).pk


def test_a_copy_that_is_refused_is_the_end_as_well(clinic: Clinic, provider: FakeProvider, reminder: Message) -> None:
    Patient.objects.filter(pk=clinic.patient.pk).update(phone="", email="")
    Message.objects.filter(pk=reminder.pk).update(
        status=Status.BOUNCED, next_attempt_at=None, fallback_due_at=timezone.now()
    )
    sweep_messages_task()
    assert last(reminder).reason == Reason.NO_CONTACT
    assert len(events()) == 1


def test_a_failure_is_told_when_the_retries_are_used_up(clinic: Clinic, provider: FakeProvider) -> None:
    provider.script = [error(Kind.TRANSIENT, "20429")] * 4
    message = queue(clinic)
    for told in (0, 0, 0, 1):
        Message.objects.filter(pk=message.pk).update(next_attempt_at=timezone.now())
        deliver(message.pk)
        assert len(events()) == told
    assert rung(clinic.front_desk)[0].message.count("it could not be delivered") == 1


@pytest.mark.parametrize("reason", list(Reason))
def test_of_the_refusals_only_those_are_told_in_which_there_is_nobody_to_send_to(
    clinic: Clinic, reason: Reason
) -> None:
    message = queue(clinic)
    lifecycle.refuse(message.pk, reason)
    nobody = {Reason.CONTACT_UNDELIVERABLE, Reason.NO_CONTACT, Reason.GUARDIAN_UNVERIFIED}
    assert bool(events()) is (reason in nobody)


def test_a_child_without_a_verified_guardian_is_told_at_fan_out(
    clinic: Clinic, provider: FakeProvider, ten_oclock: dt.datetime
) -> None:
    Patient.objects.filter(pk=clinic.patient.pk).update(birth_date=timezone.localdate() - dt.timedelta(days=2000))
    clinic.patient.refresh_from_db()
    booked = book(clinic, ten_oclock)
    assert Message.objects.get(event=booked, patient=clinic.patient).reason == Reason.GUARDIAN_UNVERIFIED
    (bell,) = rung(clinic.front_desk)
    assert "No verified guardian to tell" in bell.message


def test_what_only_goes_by_email_is_no_news_about_people_who_have_a_phone(clinic: Clinic) -> None:
    Patient.objects.filter(pk=clinic.patient.pk).update(email="")
    message = queue(clinic, channel="EMAIL", recipient="")
    lifecycle.refuse(message.pk, Reason.NO_CONTACT)
    assert events() == []
    Patient.objects.filter(pk=clinic.patient.pk).update(phone="")
    undeliverable.note_ended([message.pk])
    assert len(events()) == 1


def book(clinic: Clinic, at: dt.datetime) -> NotificationEvent:
    default_words.install(clinic.tenant.pk)
    services.appointment_book(
        actor=clinic.front_desk,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=at,
        duration=dt.timedelta(minutes=30),
    )
    event = NotificationEvent.objects.get(key="appointment.booked")
    process_event(event.tenant_id, event.pk)
    return event


def test_two_messages_of_one_event_make_up_for_each_other(
    clinic: Clinic, provider: FakeProvider, ten_oclock: dt.datetime
) -> None:
    event = book(clinic, ten_oclock)
    first = Message.objects.get(event=event, patient=clinic.patient)
    second = queue(clinic, event=event, channel="EMAIL", recipient="sara@example.org")
    lifecycle.refuse(second.pk, Reason.CONTACT_UNDELIVERABLE)
    assert events() == [], "the SMS is under way"
    provider.script = [DEAD] * 3
    for _ in range(3):
        deliver(Message.objects.filter(event=event, status=Status.QUEUED).order_by("created_at").first().pk)  # type: ignore[union-attr]
        if not Message.objects.filter(event=event, status=Status.QUEUED).exists():
            break
    first.refresh_from_db()
    assert first.status == Status.BOUNCED
    assert len(events()) == 1


@pytest.mark.parametrize("fields", [{"lane": Lane.BULK}, {"notification_type": "MARKETING"}])
def test_a_bulk_and_marketing_call_nobody_to_the_phone(clinic: Clinic, fields: dict[str, Any]) -> None:
    message = queue(clinic, **fields)
    lifecycle.move(message.pk, Status.SENDING)
    assert lifecycle.move(message.pk, Status.BOUNCED, fields={"next_attempt_at": None})
    assert events() == []


def test_who_typed_a_message_that_is_refused_at_once_is_told_by_the_page(clinic: Clinic) -> None:
    Patient.objects.filter(pk=clinic.patient.pk).update(phone="")
    message = MessagingService().send_message(
        tenant_id=clinic.tenant.pk,
        patient_id=clinic.patient.pk,
        channel="SMS",
        body="x",
        sent_by=clinic.front_desk,
    )
    assert message.reason == Reason.NO_CONTACT
    assert events() == []


def test_a_visit_that_was_called_off_meanwhile_needs_no_call(
    clinic: Clinic, provider: FakeProvider, reminder: Message
) -> None:
    provider.script = [DEAD] * 3
    for _ in range(3):
        deliver(last(reminder).pk)
    assert len(events()) == 1
    services.appointment_cancel(actor=clinic.front_desk, appointment_id=Appointment.objects.get().pk, reason="x")
    assert rung(clinic.front_desk) == []


# --- Whom ------------------------------------------------------------------------------------------------------------


def test_the_desk_of_the_place_is_told_else_every_desk_else_the_admins(
    clinic: Clinic, provider: FakeProvider, reminder: Message
) -> None:
    elsewhere: Location = factories.LocationFactory(tenant=clinic.tenant)
    other_desk = factories.UserFactory(
        tenant=clinic.tenant, role=Role.FRONT_DESK, email="other@noor.example", location=elsewhere
    )
    provider.script = [DEAD] * 3
    for _ in range(3):
        deliver(last(reminder).pk)
    (event,) = events()

    def told() -> set[User]:
        (people,) = undeliverable.describe(event).users.values()
        return set(people)

    assert told() == {clinic.front_desk}
    User.objects.filter(pk=clinic.front_desk.pk).update(is_active=False)
    assert told() == {other_desk}
    User.objects.filter(pk=other_desk.pk).update(is_active=False)
    assert told() == {clinic.admin}


# --- What ------------------------------------------------------------------------------------------------------------


def test_the_words_are_in_both_languages_and_hold_neither_number_nor_text(
    clinic: Clinic, provider: FakeProvider
) -> None:
    message = dead(clinic, provider, body="Your result is ready: negative")
    (bell,) = rung(clinic.front_desk)
    for text in (bell.title, bell.title_ar, bell.message, bell.message_ar):
        assert message.recipient not in text
        assert "negative" not in text
    assert not re.search("[\u0600-\u06ff]", bell.title + bell.message)
    assert bell.title_ar.startswith("رسالة إلى")
    assert "يُرجى الاتصال" in bell.message_ar
    (event,) = events()
    assert event.payload == {}, "ids only"


def test_four_messages_to_one_patient_are_one_row_and_those_of_another_are_another(
    clinic: Clinic, provider: FakeProvider
) -> None:
    for _ in range(4):
        newest = dead(clinic, provider)
    other = factories.PatientFactory(tenant=clinic.tenant)
    dead(clinic, provider, patient=other)
    first, second = rung(clinic.front_desk)
    assert (first.group_count, second.group_count) == (4, 1)
    assert first.related_object_id == newest.pk


# --- It has arrived after all ----------------------------------------------------------------------------------------


def test_a_late_receipt_settles_it(clinic: Clinic, provider: FakeProvider) -> None:
    provider.script = [error(Kind.CONTENT, "30007")]
    message = queue(clinic)
    deliver(message.pk)
    (bell,) = rung(clinic.front_desk)
    assert bell.resolved_at is None
    report(message, "delivered")
    bell.refresh_from_db()
    assert bell.resolved_at is not None


def test_a_retry_that_arrives_settles_it(clinic: Clinic, provider: FakeProvider) -> None:
    provider.script = [error(Kind.CONTENT, "30007")]
    message = queue(clinic)
    deliver(message.pk)
    (bell,) = rung(clinic.front_desk)
    MessagingService().retry_failed_message(message.pk, actor=clinic.front_desk)
    deliver(message.pk)
    bell.refresh_from_db()
    assert bell.resolved_at is None, "sent is not arrived"
    report(message, "delivered")
    bell.refresh_from_db()
    assert bell.resolved_at is not None


def test_what_arrives_before_anybody_was_told_is_not_told(clinic: Clinic, provider: FakeProvider) -> None:
    provider.script = [error(Kind.CONTENT, "30007")]
    message = queue(clinic)
    deliver(message.pk)
    report(message, "delivered")
    assert rung(clinic.front_desk) == []


def test_a_row_of_two_is_settled_when_both_have_arrived(clinic: Clinic, provider: FakeProvider) -> None:
    provider.script = [error(Kind.CONTENT, "30007")] * 2
    messages = [queue(clinic), queue(clinic)]
    for message in messages:
        deliver(message.pk)
    (bell,) = rung(clinic.front_desk)
    for message, is_over in zip(reversed(messages), (False, True), strict=True):
        report(message, "delivered")
        bell.refresh_from_db()
        assert (bell.resolved_at is not None) is is_over


# --- Actions ---------------------------------------------------------------------------------------------------------


def test_the_row_offers_the_message_and_a_new_try(clinic: Clinic, provider: FakeProvider) -> None:
    message = dead(clinic, provider)
    (bell,) = rung(clinic.front_desk)
    page, retry = actions_of(bell, clinic.front_desk)
    assert (page.address, page.is_post) == (reverse("notifications:message_detail", args=[message.pk]), False)
    assert (retry.address, retry.is_post) == (reverse("notifications:message_retry", args=[message.pk]), True)
    assert actions_of(bell, clinic.provider) == [], "not for who may not see messages"
    bell.resolved_at = timezone.now()
    assert [action.name for action in actions_of(bell, clinic.front_desk)] == ["message"]


def test_a_new_try_comes_back_to_where_it_was_asked_for_and_says_why_it_is_refused(
    clinic: Clinic, provider: FakeProvider
) -> None:
    message = dead(clinic, provider)
    here = reverse("notifications:inbox")
    desk = clinic.client(clinic.front_desk)
    address = reverse("notifications:message_retry", args=[message.pk])
    answer = desk.post(address, {"next": here}, follow=True)
    assert answer.redirect_chain[-1][0] == here
    assert "Only a failed message can be sent again, and at most three times." in answer.content.decode()
    answer = desk.post(address, {"next": "https://evil.example/"})
    assert answer["Location"] == reverse("notifications:message_detail", args=[message.pk])


# --- Figures and races -----------------------------------------------------------------------------------------------


def test_a_failing_batch_costs_five_statements_more_however_large_and_one_that_goes_well_none(
    clinic: Clinic, provider: FakeProvider
) -> None:
    messages = [queue(clinic) for _ in range(60)]
    ids = [message.pk for message in messages]
    Message.objects.filter(pk__in=ids).update(status=Status.SENDING)

    def statements(to: Status, some: list[uuid.UUID]) -> int:
        with CaptureQueriesContext(connection) as counted:
            lifecycle.move_many([lifecycle.Move(pk, to, fields={"next_attempt_at": None}) for pk in some])
        return len([query for query in counted if "SAVEPOINT" not in query["sql"]])

    few, fine = (statements(Status.SENT, ids[start : start + 10]) for start in (0, 10))
    assert few == fine
    # What ended, what is there, what is new, and the same for the desk's tasks: without an event that is all.
    failed = statements(Status.FAILED, ids[20:40])
    assert failed - statements(Status.SENT, ids[40:60]) <= 5
    assert len(events()) == 20


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_copies_that_fail_at_the_same_moment_are_told_once(
    clinic: Clinic, provider: FakeProvider, ten_oclock: dt.datetime
) -> None:
    event = book(clinic, ten_oclock)
    Message.objects.filter(event=event).delete()
    for round_ in range(10):
        NotificationEvent.objects.filter(key=undeliverable.KEY).delete()
        ids = [queue(clinic, event=event, dedupe_key=f"{round_}-{n}").pk for n in range(2)]
        Message.objects.filter(pk__in=ids).update(status=Status.SENDING)
        # Without the lock on their event each would take the other for under way, and nobody would be told.
        assert at_once(2, functools.partial(_bounce, clinic, ids)) == [True, True]
        assert len(events()) == 1
        Message.objects.filter(event=event).delete()


def _bounce(clinic: Clinic, ids: list[uuid.UUID], place: int) -> bool:
    with tenant_scope(clinic.tenant.pk):
        return lifecycle.move(ids[place], Status.BOUNCED)
