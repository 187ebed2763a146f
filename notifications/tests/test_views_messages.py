"""The message pages: list with filters, one message with its timeline, retry, a single message."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from conftest import Clinic
from core.models import Patient, User
from integrations.messaging_service import MessagingService
from integrations.models import ProviderState
from notifications import lifecycle
from notifications.models import InboundMessage, Message, MessageAttempt, MessageTemplate, NotificationPreference
from notifications.states import Channel, LogEvent, NotificationType, Outcome, Reason, Status
from notifications.views import timeline
from tests.factories import AppointmentFactory, GuardianFactory, GuardianshipFactory, PatientFactory

LIST = "notifications:message_list"
HTMX = {"HX-Request": "true"}


def write(clinic: Clinic, channel: str = Channel.SMS, body: str = "Please bring your card.", **fields: Any) -> Message:
    """A message in the queue."""
    return MessagingService().send_message(
        tenant_id=clinic.tenant.pk,
        patient_id=fields.pop("patient", clinic.patient).pk,
        channel=channel,
        body=body,
        sent_by=clinic.front_desk,
        **fields,
    )


def walk(message: Message, *statuses: Status, **fields: Any) -> Message:
    """Moves a message along, the way the sending code does."""
    for status in statuses:
        assert lifecycle.move(message.pk, status, **fields)
    message.refresh_from_db()
    return message


def failed(message: Message, **fields: Any) -> Message:
    walk(message, Status.SENDING)
    lifecycle.fail(message, bounced=False, may_retry=False, code="30003", detail="Unreachable handset", **fields)
    message.refresh_from_db()
    return message


def detail(message: Message) -> str:
    return reverse("notifications:message_detail", args=[message.pk])


def pages(message: Message) -> list[str]:
    return [
        reverse(LIST),
        detail(message),
        reverse("notifications:message_send") + f"?patient={message.patient_id}",
    ]


# --- who may enter ---------------------------------------------------------------------------------------------------


def test_the_desk_and_the_admin_open_every_page(clinic: Clinic) -> None:
    for user in (clinic.front_desk, clinic.admin):
        for address in pages(write(clinic)):
            assert clinic.client(user).get(address).status_code == 200, address


def test_providers_and_patients_are_turned_away(clinic: Clinic) -> None:
    message = failed(write(clinic))
    for user in (clinic.provider, clinic.patient_user):
        browser = clinic.client(user)
        for address in pages(message):
            assert browser.get(address).status_code == 403, address
        assert browser.post(reverse("notifications:message_retry", args=[message.pk])).status_code == 403
        assert browser.post(reverse("notifications:message_counter"), {"body": "x"}).status_code == 403


def test_a_stranger_is_sent_to_the_sign_in_page_and_a_fragment_gets_401(clinic: Clinic, client: Any) -> None:
    for address in pages(write(clinic)):
        answer = client.get(address)
        assert answer.status_code == 302, address
        assert answer.url.startswith(reverse("core:sign_in")), address
        assert client.get(address, headers=HTMX).status_code == 401, address


def test_another_clinic_group_finds_no_message(clinic: Clinic, other_clinic: Clinic) -> None:
    message = failed(write(clinic))
    desk = other_clinic.client(other_clinic.front_desk)

    assert desk.get(detail(message)).status_code == 404
    assert desk.get(detail(message), headers=HTMX).status_code == 404
    assert desk.post(reverse("notifications:message_retry", args=[message.pk])).status_code == 404
    for patient in (str(clinic.patient.pk), str(uuid.uuid4()), "", "nobody"):
        address = reverse("notifications:message_send") + f"?patient={patient}"
        assert desk.get(address).status_code == 404
        assert desk.post(address, {"channel": "SMS", "body": "x", "key": uuid.uuid4()}).status_code == 404
    assert str(message.pk) not in desk.get(reverse(LIST)).content.decode()
    message.refresh_from_db()
    assert message.status == Status.FAILED


# --- list ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "sara"}, {"sms", "email"}),
        ({"q": "سارة"}, {"sms", "email"}),
        ({"q": "haddad"}, {"failed"}),
        ({"q": "77001"}, {"failed"}),
        ({"q": "0501112233"}, {"sms", "email"}),
        ({"q": "٠٥٠١١١٢٢٣٣"}, {"sms", "email"}),
        ({"q": "sara@mail"}, {"email", "sms"}),
        ({"status": "FAILED"}, {"failed"}),
        ({"status": "problem"}, {"failed"}),
        ({"status": "QUEUED"}, {"sms", "email"}),
        ({"channel": "EMAIL"}, {"email"}),
        ({"type": "BILLING"}, {"failed"}),
        ({"type": "BILLING", "channel": "EMAIL"}, set()),
        ({"q": "zzzz"}, set()),
    ],
)
def test_the_filters_find_what_they_say(clinic: Clinic, query: dict[str, str], found: set[str]) -> None:
    Patient.objects.filter(pk=clinic.patient.pk).update(phone="+966501112233", email="sara@mail.example")
    omar = PatientFactory(
        tenant=clinic.tenant, name_en="Omar Haddad", name_ar="عمر حداد", mrn="77001", email="", phone="+966559990000"
    )
    named = {
        "sms": write(clinic),
        "email": write(clinic, Channel.EMAIL, subject="Hello"),
        "failed": failed(write(clinic, patient=omar, notification_type=NotificationType.BILLING)),
    }
    page = clinic.client(clinic.front_desk).get(reverse(LIST), query)
    shown = {message.pk for message in page.context["page"].rows}
    assert shown == {named[name].pk for name in found}


def test_the_range_of_days_is_that_of_the_clinics_clock_and_holds_both_ends(clinic: Clinic) -> None:
    message = write(clinic)
    # 22:30 UTC on the 9th is 01:30 on the 10th in Riyadh.
    Message.objects.filter(pk=message.pk).update(created_at=dt.datetime(2026, 3, 9, 22, 30, tzinfo=dt.UTC))
    desk = clinic.client(clinic.front_desk)

    def count(**query: str) -> int:
        return desk.get(reverse(LIST), query).context["count"]

    assert count(since="2026-03-10", until="2026-03-10") == 1
    assert count(until="2026-03-09") == 0
    assert count(since="2026-03-11") == 0


@pytest.mark.parametrize(
    "query",
    [
        {"since": "soon"},
        {"since": "2026-03-10", "until": "2026-03-09"},
        {"status": "LOST"},
        {"channel": "PIGEON"},
        {"type": "GOSSIP"},
    ],
)
def test_a_filter_that_makes_no_sense_is_told_and_shows_nothing(clinic: Clinic, query: dict[str, str]) -> None:
    message = write(clinic)
    for headers in ({}, HTMX):
        page = clinic.client(clinic.front_desk).get(reverse(LIST), query, headers=headers)
        assert page.status_code == 422
        assert 'role="alert"' in page.content.decode()
        assert str(message.pk) not in page.content.decode()


def test_htmx_gets_the_table_alone(clinic: Clinic) -> None:
    page = clinic.client(clinic.front_desk).get(reverse(LIST), headers=HTMX)
    assert page.content.decode().lstrip().startswith('<section class="c" id="message-list-partial"')
    assert "HX-Request" in page.headers["Vary"]


def test_a_staff_message_shows_the_colleague(clinic: Clinic) -> None:
    message = Message(
        tenant=clinic.tenant,
        user=clinic.provider,
        channel=Channel.EMAIL,
        notification_type=NotificationType.STAFF,
        recipient=clinic.provider.email,
        language="en",
        subject="New appointment",
        body="…",
        dedupe_key="staff",
    )
    lifecycle.create(message)
    desk = clinic.client(clinic.front_desk)
    assert "Dr. Layla" in desk.get(reverse(LIST)).content.decode()
    page = desk.get(detail(message)).content.decode()
    assert "Colleague" in page
    assert reverse("notifications:message_send") not in page


def test_the_list_makes_few_queries_whatever_its_length(clinic: Clinic) -> None:
    desk = clinic.client(clinic.front_desk)

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert desk.get(reverse(LIST)).status_code == 200
        return len(queries)

    for _number in range(26):
        write(clinic)
    few = count()
    for _number in range(30):
        write(clinic, patient=PatientFactory(tenant=clinic.tenant))
    # The session; the ids of the page, how many there are, the page's rows; what the four lists of the form offer.
    assert count() == few <= 9


def test_the_pages_of_the_list_keep_the_filters(clinic: Clinic) -> None:
    for _number in range(27):
        write(clinic)
    desk = clinic.client(clinic.front_desk)
    first = desk.get(reverse(LIST), {"channel": "SMS"}).context["page"]
    assert len(first.rows) == 25
    second = desk.get(reverse(LIST), {"channel": "SMS", "older": first.older})
    assert len(second.context["page"].rows) == 2
    assert f"channel=SMS&amp;newer={second.context['page'].newer}" in second.content.decode().replace("%3D", "=")


# --- one message -----------------------------------------------------------------------------------------------------


def test_the_timeline_tells_the_whole_way(clinic: Clinic) -> None:
    message = walk(write(clinic, Channel.WHATSAPP), Status.SENDING)
    walk(message, Status.SENT, fields={"provider": "sandbox"}, response={"provider_message_id": "SM123"})
    walk(message, Status.DELIVERED, Status.READ)

    page = clinic.client(clinic.front_desk).get(detail(message))

    titles = [step.title for step in page.context["steps"]]
    assert titles == ["Read", "Delivered", "Sent", "Sending", "Queued", "Created"]
    assert '<bdi dir="ltr" class="num">SM123</bdi>' in page.content.decode()
    assert "data-refresh-ms" not in page.content.decode()


def test_what_is_still_expected_is_greyed_and_sms_promises_no_reading(clinic: Clinic) -> None:
    whatsapp = walk(write(clinic, Channel.WHATSAPP), Status.SENDING)
    sms = walk(write(clinic), Status.SENDING, Status.SENT)

    def titles(message: Message) -> list[str]:
        return [str(step.title) for step in timeline.expected(message)]

    assert titles(whatsapp) == ["Sent", "Delivered", "Read"]
    assert titles(sms) == ["Delivered"]
    page = clinic.client(clinic.front_desk).get(detail(sms)).content.decode()
    assert "x-expected" in page
    assert "SMS does not report reading." in page


def test_the_text_stands_in_its_own_language_and_direction(clinic: Clinic) -> None:
    template = MessageTemplate.objects.create(
        tenant=clinic.tenant,
        code="greeting",
        name="Greeting",
        channel=Channel.SMS,
        notification_type=NotificationType.GENERAL,
        body_en="Welcome",
        body_ar="أهلًا بك",
    )
    made = MessagingService().send_from_template(
        tenant_id=clinic.tenant.pk, template_code=template.code, patient=clinic.patient
    )
    typed = write(clinic, body="Welcome")
    desk = clinic.client(clinic.front_desk)
    assert 'lang="ar" dir="rtl">أهلًا بك</div>' in desk.get(detail(made)).content.decode()
    # The patient reads Arabic, the desk has typed English.
    assert 'dir="auto">Welcome</div>' in desk.get(detail(typed)).content.decode()


def test_markup_in_a_message_stays_text(clinic: Clinic) -> None:
    page = clinic.client(clinic.front_desk).get(detail(write(clinic, body="<script>alert(1)</script>")))
    assert "<script>alert(1)" not in page.content.decode()


def test_the_page_shows_reply_copies_and_appointment(clinic: Clinic) -> None:
    appointment = AppointmentFactory(
        tenant=clinic.tenant,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        number="A-1",
    )
    message, copy = write(clinic), write(clinic, Channel.EMAIL, subject="The same")
    Message.objects.filter(pk__in=[message.pk, copy.pk]).update(
        conversation_id=message.conversation_id,
        object_type="appointments.appointment",
        object_id=appointment.pk,
    )
    InboundMessage.objects.create(
        tenant=clinic.tenant,
        channel=Channel.SMS,
        sender=message.recipient,
        body="Can we make it after 11?",
        provider="sandbox",
        provider_message_id="IN1",
        patient=clinic.patient,
        in_reply_to=message,
    )
    page = clinic.client(clinic.front_desk).get(detail(message)).content.decode()
    assert "Can we make it after 11?" in page
    assert detail(copy) in page
    assert reverse("appointments:detail", args=[appointment.pk]) in page


def test_a_refused_message_says_why(clinic: Clinic) -> None:
    NotificationPreference.objects.create(tenant=clinic.tenant, patient=clinic.patient, sms_enabled=False)
    page = clinic.client(clinic.front_desk).get(detail(write(clinic))).content.decode()
    assert f"Not sent: {Reason.OPT_OUT_CHANNEL.label}." in page
    assert "Try again now" not in page


def test_the_page_makes_a_fixed_number_of_queries(clinic: Clinic) -> None:
    message = walk(write(clinic, Channel.WHATSAPP), Status.SENDING)
    desk = clinic.client(clinic.front_desk)

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert desk.get(detail(message)).status_code == 200
        return len(queries)

    few = count()
    walk(message, Status.SENT, Status.DELIVERED, Status.READ, actor=clinic.front_desk)
    assert count() == few <= 8


# --- attempts and the one sentence -----------------------------------------------------------------------------------


def attempt(message: Message, outcome: str, **fields: Any) -> MessageAttempt:
    return MessageAttempt.objects.create(
        tenant_id=message.tenant_id,
        message=message,
        number=message.attempts.count() + 1,
        lease_token=uuid.uuid4(),
        outcome=outcome,
        **{"provider": "twilio", "started_at": timezone.now(), **fields},
    )


def shown(clinic: Clinic, message: Message) -> str:
    return " ".join(clinic.client(clinic.front_desk).get(detail(message)).content.decode().split())


def changed(message: Message, **fields: Any) -> Message:
    Message.objects.filter(pk=message.pk).update(**fields)
    message.refresh_from_db()
    return message


def test_every_attempt_is_shown_with_provider_time_outcome_and_price(clinic: Clinic) -> None:
    message = write(clinic)
    attempt(message, Outcome.TRANSIENT, error_code="20429", duration_ms=120)
    attempt(message, Outcome.AMBIGUOUS, error_code="20503", duration_ms=15_000)
    attempt(
        message,
        Outcome.ACCEPTED,
        provider="unifonic",
        provider_message_id="U-77",
        duration_ms=310,
        segments=2,
        cost=Decimal("0.03100"),
        currency="USD",
    )
    text = shown(clinic, message)
    for words in (
        "Too many requests at once.", "took 120 ms", "Not accepted, may be tried again", "Outcome unknown",
        "took 15.0 s", "Unifonic", "U-77", "took 310 ms", "· 2 segments", "0.031 USD",
    ):  # fmt: skip
        assert words in text, words
    assert text.index("U-77") < text.index("20503") < text.index("20429"), "the latest first"


def test_what_was_handed_over_twice_is_billed_twice(clinic: Clinic) -> None:
    message = write(clinic)
    for _ in range(2):
        attempt(message, Outcome.ACCEPTED, segments=3)
    assert '<dt>Segments</dt> <dd class="num"> 6 </dd>' in shown(clinic, message)


@pytest.mark.parametrize(("status", "words"), [(Status.SENDING, "Under way"), (Status.UNCONFIRMED, "Outcome unknown")])
def test_a_call_without_an_answer_is_under_way_or_unknown(clinic: Clinic, status: Status, words: str) -> None:
    message = changed(write(clinic), status=status)
    attempt(message, "")
    assert words in shown(clinic, message)


def test_a_message_that_was_never_handed_over_has_no_attempts(clinic: Clinic) -> None:
    assert 'aria-labelledby="message-attempts-title" hidden' in shown(clinic, write(clinic))


def test_the_timeline_names_the_provider_that_took_it(clinic: Clinic) -> None:
    message = walk(write(clinic), Status.SENDING)
    attempt(message, Outcome.ACCEPTED, provider="unifonic", provider_message_id="U-1")
    walk(message, Status.SENT, response={"provider_message_id": "U-1"}, fields={"provider": "twilio"})
    assert "Accepted by Unifonic." in shown(clinic, message)


@pytest.mark.parametrize(
    ("channel", "hours", "is_told"),
    [(Channel.WHATSAPP, 3, True), (Channel.WHATSAPP, 0.9, False), (Channel.SMS, 3, False)],
)
def test_a_whatsapp_message_that_never_arrives_is_shown_as_such(
    clinic: Clinic, channel: Channel, hours: float, is_told: bool
) -> None:
    message = walk(write(clinic, channel), Status.SENDING, Status.SENT)
    changed(message, provider="twilio", sent_at=timezone.now() - dt.timedelta(hours=hours))
    sentence = (
        "Twilio took it 3 hours ago, but WhatsApp has not delivered it: the phone may be off, or the patient has "
        "blocked the clinic."
    )
    assert (sentence in shown(clinic, message)) is is_told
    row = clinic.client(clinic.front_desk).get(reverse(LIST)).content.decode()
    assert ("not delivered yet" in row) is is_told


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (5, "We do not know whether it was sent; we ask Twilio again at"),
        (-1, "We do not know whether it was sent; we are asking Twilio."),
        (None, "We do not know whether it was sent, and Twilio cannot tell. It is not sent again by itself."),
    ],
)
def test_an_unknown_outcome_says_when_we_ask(clinic: Clinic, minutes: int | None, words: str) -> None:
    message = walk(write(clinic), Status.SENDING, Status.UNCONFIRMED)
    at = None if minutes is None else timezone.now() + dt.timedelta(minutes=minutes)
    assert words in shown(clinic, changed(message, provider="twilio", next_check_at=at))


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("open", "Waiting: Sandbox has been down since"),
        ("stopped", "Waiting: Sandbox refuses our account or sender. Your admin has been told."),
        ("half_open", ""),
    ],
)
def test_a_message_that_is_held_says_so(clinic: Clinic, state: str, words: str) -> None:
    message = changed(write(clinic), next_attempt_at=timezone.now())
    desk = clinic.client(clinic.front_desk)
    seen = {"seen": desk.get(detail(message)).context["tag"]}
    ProviderState.objects.create(provider="sandbox", channel="SMS", state=state, opened_at=timezone.now())
    text = shown(clinic, message)
    assert words in text
    assert ("Waiting: " in text) is bool(words)
    assert desk.get(detail(message), seen, headers=HTMX).status_code == (200 if words else 204)


def test_a_message_that_was_handed_back_says_so(clinic: Clinic) -> None:
    message = walk(write(clinic), Status.SENDING)
    walk(message, Status.QUEUED, error="handed_back")
    text = shown(clinic, message)
    assert text.count("Handed back: no provider has it, so it waits for the next turn.") == 2
    assert "handed_back" not in text


# --- it refreshes itself ---------------------------------------------------------------------------------------------


def test_a_message_under_way_refreshes_itself_and_stops_at_its_end(clinic: Clinic) -> None:
    message = walk(write(clinic), Status.SENDING)
    desk = clinic.client(clinic.front_desk)
    page = desk.get(detail(message))
    assert 'data-refresh-ms="2000"' in page.content.decode()
    seen = {"seen": page.context["tag"]}

    assert desk.get(detail(message), seen, headers=HTMX).status_code == 204

    walk(message, Status.SENT, Status.DELIVERED)
    fragment = desk.get(detail(message), seen, headers=HTMX).content.decode()
    assert fragment.lstrip().startswith('<section class="c"')
    for part in ("#message-status", "#message-actions", "#message-facts", "#message-attempts"):
        assert f'<hx-partial hx-target="{part}" hx-swap="outerHTML">' in fragment
    assert "data-refresh-ms" not in fragment


def test_the_refresh_makes_few_queries(clinic: Clinic) -> None:
    message = walk(write(clinic), Status.SENDING)
    desk = clinic.client(clinic.front_desk)
    seen = {"seen": desk.get(detail(message)).context["tag"]}
    with CaptureQueriesContext(connection) as queries:
        desk.get(detail(message), seen, headers=HTMX)
    assert len(queries) <= 3


@pytest.mark.parametrize(
    ("fields", "moves"),
    [
        ({"status": Status.QUEUED}, True),
        ({"status": Status.SENT}, True),
        ({"status": Status.SENT, "channel": Channel.EMAIL}, False),
        ({"status": Status.DELIVERED}, False),
        ({"status": Status.DELIVERED, "channel": Channel.WHATSAPP}, True),
        ({"status": Status.READ, "channel": Channel.WHATSAPP}, False),
        ({"status": Status.UNCONFIRMED}, True),
        ({"status": Status.FAILED}, False),
        ({"status": Status.FAILED, "next_attempt_at": timezone.now()}, True),
        ({"status": Status.BOUNCED}, False),
        ({"status": Status.SUPPRESSED}, False),
        ({"status": Status.SENT, "updated_at": timezone.now() - dt.timedelta(hours=2)}, False),
    ],
)
def test_the_page_looks_again_only_while_something_may_happen(fields: dict[str, Any], moves: bool) -> None:
    message = Message(**{"channel": Channel.SMS, "updated_at": timezone.now(), **fields})
    assert timeline.is_moving(message) is moves


# --- retry -----------------------------------------------------------------------------------------------------------


def test_a_failed_message_is_put_back_into_the_queue(clinic: Clinic) -> None:
    message = failed(write(clinic))
    desk = clinic.client(clinic.front_desk)
    assert "Try again now" in desk.get(detail(message)).content.decode()

    answer = desk.post(reverse("notifications:message_retry", args=[message.pk]), follow=True)

    assert "The message is in the queue again." in answer.content.decode()
    assert f"Sent again by {clinic.front_desk.name}." in answer.content.decode()
    message.refresh_from_db()
    assert message.status == Status.QUEUED


def test_what_may_not_be_retried_says_so_and_has_no_button(clinic: Clinic) -> None:
    desk = clinic.client(clinic.front_desk)
    used_up = failed(write(clinic))
    Message.objects.filter(pk=used_up.pk).update(retry_count=3)
    dead = walk(write(clinic), Status.SENDING, Status.BOUNCED)
    arrived = walk(write(clinic), Status.SENDING, Status.SENT, Status.DELIVERED)

    for message, words in (
        (used_up, "all tries are used up"),
        (dead, "The address does not work."),
        (arrived, "Delivered"),
    ):
        page = desk.get(detail(message)).content.decode()
        assert words in page
        assert "Try again now" not in page
        answer = desk.post(reverse("notifications:message_retry", args=[message.pk]), follow=True)
        assert "Only a failed message can be sent again, and at most three times." in answer.content.decode()
        before = message.status
        message.refresh_from_db()
        assert message.status == before


def test_a_retry_that_comes_too_late_is_refused(clinic: Clinic) -> None:
    message = failed(write(clinic))
    Message.objects.filter(pk=message.pk).update(expires_at=timezone.now() - dt.timedelta(minutes=1))
    answer = clinic.client(clinic.front_desk).post(
        reverse("notifications:message_retry", args=[message.pk]), follow=True
    )
    assert "It is too late for this message to be useful." in answer.content.decode()


def test_looking_at_the_retry_address_retries_nothing(clinic: Clinic) -> None:
    message = failed(write(clinic))
    assert (
        clinic.client(clinic.front_desk).get(reverse("notifications:message_retry", args=[message.pk])).status_code
        == 405
    )


def test_a_retry_of_its_own_is_announced(clinic: Clinic) -> None:
    message = walk(write(clinic), Status.SENDING)
    lifecycle.fail(message, bounced=False, may_retry=True, code="503", detail="Not available")
    page = clinic.client(clinic.front_desk).get(detail(message)).content.decode()
    assert "Up to 3 more tries follow by themselves." in page
    assert '<bdi dir="ltr">503</bdi> <bdi>Not available</bdi>' in page


# --- a single message ------------------------------------------------------------------------------------------------


def send(clinic: Clinic, patient: Patient | None = None, **fields: Any) -> Any:
    patient = patient or clinic.patient
    return clinic.client(clinic.front_desk).post(
        reverse("notifications:message_send") + f"?patient={patient.pk}",
        {"channel": "SMS", "body": "Please bring your card.", "subject": "", "key": str(uuid.uuid4()), **fields},
    )


def test_a_message_in_ones_own_words_goes_into_the_queue(clinic: Clinic) -> None:
    answer = send(clinic)
    message = Message.objects.get()
    assert answer.url == detail(message)
    assert (message.body, message.channel, message.sent_by) == ("Please bring your card.", "SMS", clinic.front_desk)
    assert message.status == Status.QUEUED


def test_the_same_form_twice_is_one_message(clinic: Clinic) -> None:
    key = str(uuid.uuid4())
    first, second = send(clinic, key=key), send(clinic, key=key)
    assert first.url == second.url
    assert Message.objects.count() == 1


def test_the_same_form_with_other_words_is_refused(clinic: Clinic) -> None:
    key = str(uuid.uuid4())
    send(clinic, key=key)
    answer = send(clinic, key=key, body="Something else")
    assert answer.status_code == 422
    assert "This was sent before with other content." in answer.content.decode()


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"body": " "}, "body"),
        ({"body": "x" * 1601}, "body"),
        ({"channel": ""}, "channel"),
        ({"channel": "PIGEON"}, "channel"),
        ({"channel": "EMAIL"}, "subject"),
        ({"key": "me"}, "key"),
    ],
)
def test_a_mistake_comes_back_with_422_and_sends_nothing(clinic: Clinic, fields: dict[str, str], wrong: str) -> None:
    answer = send(clinic, **fields)
    assert answer.status_code == 422
    assert wrong in answer.context["form"].errors
    assert not Message.objects.exists()


def test_channels_that_are_not_possible_say_why_and_are_refused(clinic: Clinic) -> None:
    NotificationPreference.objects.create(tenant=clinic.tenant, patient=clinic.patient, whatsapp_enabled=False)
    Patient.objects.filter(pk=clinic.patient.pk).update(email="")
    address = reverse("notifications:message_send") + f"?patient={clinic.patient.pk}"

    page = clinic.client(clinic.front_desk).get(address).content.decode()
    assert str(Reason.OPT_OUT_CHANNEL.label) in page
    assert str(Reason.NO_CONTACT.label) in page
    for channel in ("WHATSAPP", "EMAIL"):
        answer = send(clinic, channel=channel, subject="x")
        assert answer.status_code == 422
        assert "channel" in answer.context["form"].errors
    assert not Message.objects.exists()


@override_settings(SMS_PROVIDER=[])
def test_a_channel_that_is_not_set_up_says_so(clinic: Clinic) -> None:
    answer = send(clinic)
    assert answer.status_code == 422
    assert str(Reason.CHANNEL_DISABLED.label) in answer.content.decode()


def test_a_patient_whom_nobody_may_write_to_has_no_form(clinic: Clinic) -> None:
    child = PatientFactory(tenant=clinic.tenant, birth_date=timezone.localdate() - dt.timedelta(days=2000))
    page = clinic.client(clinic.front_desk).get(reverse("notifications:message_send") + f"?patient={child.pk}")
    assert "This patient cannot be written to at the moment." in page.content.decode()
    assert "<textarea" not in page.content.decode()


def test_a_message_to_a_child_goes_to_the_guardian(clinic: Clinic) -> None:
    child = PatientFactory(tenant=clinic.tenant, birth_date=timezone.localdate() - dt.timedelta(days=2000))
    mother = GuardianFactory(tenant=clinic.tenant)
    GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=mother)
    send(clinic, child)
    assert Message.objects.get().recipient == mother.phone


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"channel": "SMS", "body": "Hello"}, ("GSM-7", "5/160", "1 segment")),
        ({"channel": "SMS", "body": "أهلًا"}, ("UCS-2", "5/70", "1 segment")),
        ({"channel": "SMS", "body": "أ" * 71}, ("UCS-2", "71/134", "2 segments")),
        ({"channel": "EMAIL", "body": "Hello"}, ("5 of 1600 characters",)),
        ({}, ("0 of 1600 characters",)),
    ],
)
def test_the_counter_counts_on_the_server(clinic: Clinic, fields: dict[str, str], words: tuple[str, ...]) -> None:
    page = clinic.client(clinic.front_desk).post(reverse("notifications:message_counter"), fields)
    for word in words:
        assert word in page.content.decode()


def test_the_counter_takes_no_text_in_its_address(clinic: Clinic) -> None:
    assert clinic.client(clinic.front_desk).get(reverse("notifications:message_counter")).status_code == 405


# --- support console -------------------------------------------------------------------------------------------------


def test_every_step_of_the_log_has_a_look() -> None:
    assert set(timeline._LOOKS) == set(LogEvent)


@pytest.mark.parametrize("name", ["message", "messagetemplate", "messagelog", "providerreceipt", "notificationevent"])
def test_what_was_sent_cannot_be_changed_in_the_support_console(clinic: Clinic, name: str) -> None:
    message = failed(write(clinic))
    browser = clinic.client(User.accounts.create_superuser("support@agdar.example", "x" * 12))
    assert browser.get(reverse(f"admin:notifications_{name}_changelist")).status_code == 200
    assert browser.get(reverse(f"admin:notifications_{name}_add")).status_code == 403
    if name == "message":
        address = reverse("admin:notifications_message_change", args=[message.pk])
        assert browser.get(address).status_code == 200
        assert browser.post(address, {"body": "Other words"}).status_code == 403
        assert browser.post(reverse("admin:notifications_message_delete", args=[message.pk])).status_code == 403
