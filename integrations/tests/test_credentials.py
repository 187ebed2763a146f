"""A clinic group's own accounts: kept secret, used for its messages and nobody else's, in trouble alone, asked and reported on."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from twilio.request_validator import RequestValidator

from conftest import Clinic
from core.errors import DomainError
from core.models import AuditEvent, Patient
from core.tenancy import system_scope, tenant_scope
from integrations import answers, breaker, credentials, delivery, incidents, provider_trials, sms_providers
from integrations.models import Incident, ProviderAccount, ProviderState
from integrations.providers.smtp_client import NotOpened, Server, open_client
from integrations.sms_providers import Accepted, Call, Kind, ProviderError, Scope
from integrations.tasks import retention_task
from integrations.tests.http_double import Answer, Double, double, twilio
from integrations.tests.sandbox_fixtures import outgoing
from integrations.tests.smtp_server import MailServer
from notifications.models import InboundMessage, Message, ProviderReceipt
from notifications.states import NotificationType, Status

__all__ = ["double", "twilio"]

BASE = "https://clinic.example"
OWN_SID, HOUSE_SID = "AC" + "a" * 32, "AC" + "1" * 32
TOKEN = "0123456789abcdef-own-token"
TWILIO = {"login": OWN_SID, "secret": TOKEN, "sms_sender": "NOOR", "whatsapp_sender": "+966112045500"}


@pytest.fixture(autouse=True)
def own_memory(settings: Any) -> Iterator[None]:
    """Adapters and accounts are remembered by the process, not by the test."""
    settings.SMS_PROVIDER, settings.WHATSAPP_PROVIDER = ["twilio"], ["twilio"]
    settings.PUBLIC_BASE_URL, settings.ALLOWED_HOSTS = BASE, ["*"]
    credentials.forget()
    sms_providers.forget()
    yield
    credentials.forget()
    sms_providers.forget()


def saved(clinic: Clinic, kind: str = "twilio", **fields: str) -> ProviderAccount:
    return credentials.account_save(actor=clinic.admin, kind=kind, fields={**TWILIO, **fields})


def queued(clinic: Clinic, **fields: Any) -> Message:
    with tenant_scope(clinic.tenant.pk):
        patient = Patient.objects.get(pk=clinic.patient.pk)
        return Message.objects.create(
            tenant=clinic.tenant,
            patient=patient,
            notification_type=NotificationType.GENERAL,
            channel="SMS",
            recipient=patient.phone,
            language="en",
            body="words",
            status=Status.QUEUED,
            next_attempt_at=timezone.now(),
            expires_at=timezone.now() + dt.timedelta(hours=1),
            dedupe_key=str(uuid.uuid4()),
            **fields,
        )


# --- kept secret -----------------------------------------------------------------------------------------------------


def test_the_secret_is_neither_in_the_table_nor_in_the_trail(clinic: Clinic) -> None:
    row = saved(clinic)
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM integrations_provideraccount")
        [[stored]] = cursor.fetchall()
    assert TOKEN not in stored
    assert ProviderAccount.objects.get(pk=row.pk).secret == TOKEN
    event = AuditEvent.objects.get(action="provider_account.added")
    assert event.after["login"] == OWN_SID
    assert TOKEN not in f"{event.before} {event.after}"
    assert TOKEN not in repr(credentials.load(row.name))


def test_a_new_secret_key_reads_the_secrets_of_the_former_one(clinic: Clinic, settings: Any) -> None:
    row = saved(clinic)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [settings.SECRET_KEY]
    assert ProviderAccount.objects.get(pk=row.pk).secret == TOKEN
    settings.SECRET_KEY_FALLBACKS = []
    assert ProviderAccount.objects.get(pk=row.pk).secret is None


def test_the_page_shows_the_last_four_and_an_empty_field_keeps_it(clinic: Clinic) -> None:
    saved(clinic)
    client = clinic.client(clinic.admin)
    page = client.get("/settings/senders/twilio/").content.decode()
    assert TOKEN not in page
    assert TOKEN[-4:] in page
    answer = client.post("/settings/senders/twilio/", {**TWILIO, "secret": "", "sms_sender": "NOOR2"})
    assert answer.status_code == 302
    row = ProviderAccount.objects.get(retired_at=None)
    assert (row.secret, row.sms_sender) == (TOKEN, "NOOR2")
    assert "secret" not in AuditEvent.objects.get(action="provider_account.replaced").after, "it has not changed"


def test_a_secret_does_not_follow_to_another_account_or_server(clinic: Clinic) -> None:
    """Else whoever may edit it would read it by leading it to a server of their own."""
    saved(clinic)
    with pytest.raises(DomainError, match="Write the secret"):
        saved(clinic, secret="", login="AC" + "b" * 32)


@pytest.mark.parametrize(
    ("kind", "fields", "code"),
    [
        ("twilio", {"login": "AC12"}, "login"),
        ("twilio", {"secret": ""}, "secret"),
        ("twilio", {"sms_sender": "", "whatsapp_sender": ""}, "sms_sender"),
        ("unifonic", {"sms_sender": "TooLongForASender"}, "sms_sender"),
        ("smtp", {"host": "10.0.0.5", "port": "587", "email_sender": "a@b.example"}, "host"),
        ("smtp", {"host": "localhost", "port": "587", "email_sender": "a@b.example"}, "host"),
        ("smtp", {"host": "smtp.example.com", "port": "6379", "email_sender": "a@b.example"}, "port"),
        ("smtp", {"host": "smtp.example.com", "port": "25", "email_sender": "a@b.example"}, "security"),
    ],
)
def test_an_account_that_cannot_work_or_leads_inside_is_refused(
    clinic: Clinic, settings: Any, kind: str, fields: dict[str, str], code: str
) -> None:
    settings.DEBUG = False
    with pytest.raises(DomainError) as refused:
        saved(clinic, kind, **fields)
    assert refused.value.code == code


def test_a_name_that_leads_into_our_network_is_not_called(settings: Any) -> None:
    """The name was public when it was typed; where it leads now is looked at before a word is said."""
    server = MailServer()
    settings.DEBUG = False
    try:
        with pytest.raises(NotOpened):
            open_client(Server("127.0.0.1", server.port, "", "", use_tls=False, use_ssl=False))
        assert server.heard == []
    finally:
        server.stop()


def test_only_the_admins_of_the_tenant_change_it(clinic: Clinic, other_clinic: Clinic) -> None:
    row = saved(clinic)
    for actor in (clinic.front_desk, other_clinic.admin):
        with pytest.raises(DomainError):
            credentials.account_remove(actor=actor, account=row)
    assert clinic.client(clinic.front_desk).get("/settings/senders/twilio/").status_code == 403
    assert OWN_SID not in other_clinic.client(other_clinic.admin).get("/settings/senders/twilio/").content.decode()


# --- used for its messages and nobody else's -------------------------------------------------------------------------


def test_each_tenants_messages_go_over_its_own_account(
    clinic: Clinic, other_clinic: Clinic, twilio: Double, django_capture_on_commit_callbacks: Any
) -> None:
    row = saved(clinic)
    ours, theirs = queued(clinic), queued(other_clinic)
    delivery.drain(ours.lane, seconds=5)
    paths = {request.form["StatusCallback"].split("/")[6]: request.path for request in twilio.requests}
    assert f"/Accounts/{OWN_SID}/" in paths[str(ours.pk)]
    assert f"/Accounts/{HOUSE_SID}/" in paths[str(theirs.pk)]
    ours.refresh_from_db()
    assert (ours.status, ours.provider) == (Status.SENT, row.name)
    with tenant_scope(other_clinic.tenant.pk):
        theirs.refresh_from_db()
    assert theirs.provider == "twilio"


def test_the_accounts_sender_stands_where_the_message_names_none(clinic: Clinic, twilio: Double) -> None:
    row = saved(clinic)
    sms_providers.get(row.name).send(outgoing(sender=""))
    sms_providers.get(row.name).send(outgoing(sender="", channel="WHATSAPP"))
    assert [request.form["From"] for request in twilio.requests] == ["NOOR", "whatsapp:+966112045500"]


def test_an_account_without_a_sender_does_not_carry_the_channel(clinic: Clinic) -> None:
    row = saved(clinic, whatsapp_sender="")
    assert [one.name for one in credentials.providers_for("SMS", clinic.tenant.pk)] == [row.name]
    assert credentials.names_for("WHATSAPP", clinic.tenant.pk) == []


def test_after_it_is_removed_messages_go_over_the_house_again(clinic: Clinic, twilio: Double) -> None:
    row = saved(clinic)
    credentials.account_remove(actor=clinic.admin, account=row)
    message = queued(clinic)
    delivery.drain(message.lane, seconds=5)
    assert f"/Accounts/{HOUSE_SID}/" in twilio.requests[0].path
    # What went over it is still asked about and reported on, for a week.
    assert answers.adapter_of(row.name, "SMS") is not None
    ProviderAccount.objects.filter(pk=row.pk).update(retired_at=timezone.now() - credentials.KEPT_FOR * 2)
    retention_task()
    assert ProviderAccount.objects.get(pk=row.pk).secret == ""
    sms_providers.forget()
    assert answers.adapter_of(row.name, "SMS") is None


def test_its_mail_goes_to_its_own_server_under_its_own_address(clinic: Clinic, settings: Any) -> None:
    settings.DEBUG = True
    server = MailServer()
    fields = {"host": "127.0.0.1", "port": "0", "security": "", "login": "", "secret": ""}
    try:
        row = credentials.account_save(
            actor=clinic.admin,
            kind="smtp",
            fields={**fields, "port": str(server.port), "email_sender": "Noor <hello@noor.example>"},
        )
        # The house's address stands on messages of a location without its own.
        house = settings.DEFAULT_FROM_EMAIL
        provider = credentials.providers_for("EMAIL", clinic.tenant.pk)[0]
        assert provider.name == row.name
        assert breaker.sender_at(provider, "EMAIL", house, clinic.tenant.pk) == ""
        provider.send(outgoing(channel="EMAIL", to="patient@mail.example", sender=""))
        assert b"hello@noor.example" in server.mails[0]
    finally:
        server.stop()


# --- in trouble alone ------------------------------------------------------------------------------------------------


def test_a_refused_account_stops_nobody_else_and_is_told_to_its_admins_only(
    clinic: Clinic, other_clinic: Clinic, twilio: Double
) -> None:
    row = saved(clinic)
    refusal = ProviderError(Kind.CONFIGURATION, code="20003", detail="x", scope=Scope.ACCOUNT)
    breaker.report(row.name, "SMS", "", [Call(outgoing(), refusal, 5)], tenant_id=clinic.tenant.pk)
    assert breaker.choose("SMS", "", clinic.tenant.pk) is None
    assert breaker.choose("SMS", "", other_clinic.tenant.pk) is not None
    assert breaker.held_places() == set()
    assert ("SMS", None) in breaker.held_among(breaker.waiting_places(), clinic.tenant.pk)
    incident = incidents.open_ones(Incident.Kind.CONFIGURATION).get()
    assert incident.tenant_id == clinic.tenant.pk
    theirs = other_clinic.client(other_clinic.admin).get("/notifications/operations/").content.decode()
    assert "refuses our account" not in theirs
    # New credentials are a new name: nothing is held that was never tried.
    saved(clinic, secret="f" * 32)
    assert breaker.choose("SMS", "", clinic.tenant.pk) is not None
    breaker.settle()
    assert not incidents.open_ones(Incident.Kind.CONFIGURATION).exists()


def test_good_calls_of_an_own_account_leave_the_houses_state_alone(clinic: Clinic) -> None:
    row = saved(clinic)
    breaker.report(row.name, "SMS", "", [Call(outgoing(), Accepted("SM1"), 5)], tenant_id=clinic.tenant.pk)
    assert list(ProviderState.objects.values_list("provider", flat=True)) == [row.name]


# --- reported on -----------------------------------------------------------------------------------------------------


def report(message_ref: object, token: str, sid: str = OWN_SID, path: str = "status") -> Any:
    address = f"/webhooks/twilio/status/{message_ref}/" if path == "status" else "/webhooks/twilio/inbound/"
    form = {"MessageSid": "SM" + "a" * 32, "MessageStatus": "delivered", "AccountSid": sid}
    if path == "inbound":
        form |= {"From": str(message_ref), "To": "NOOR", "Body": "yes"}
    signature = RequestValidator(token).compute_signature(BASE + address, form)
    return Client().post(address, form, headers={"X-Twilio-Signature": signature})


def test_a_report_is_signed_with_the_tenants_own_token(clinic: Clinic) -> None:
    row = saved(clinic)
    message = queued(clinic)
    assert report(message.pk, TOKEN).status_code == 204
    assert ProviderReceipt.objects.get().provider == row.name
    assert report(message.pk, "guessed").status_code == 403
    assert report(message.pk, TOKEN, sid="AC" + "9" * 32).status_code == 403


def test_nobody_reports_on_messages_of_another_clinic_group(clinic: Clinic, other_clinic: Clinic) -> None:
    """An admin knows the token of the own account, and could sign whatever they like with it."""
    saved(clinic)
    theirs = queued(other_clinic)
    assert report(theirs.pk, TOKEN).status_code == 403
    assert report("nonsense", TOKEN).status_code == 403
    assert not ProviderReceipt.objects.exists()


def test_a_report_after_the_token_was_changed_is_still_heard(clinic: Clinic) -> None:
    saved(clinic)
    message = queued(clinic)
    saved(clinic, secret="c" * 32)
    assert report(message.pk, "c" * 32).status_code == 204
    assert report(message.pk, TOKEN).status_code == 204, "signed before the change"


def test_a_reply_over_an_own_account_is_its_tenants(clinic: Clinic, other_clinic: Clinic) -> None:
    saved(clinic)
    with tenant_scope(other_clinic.tenant.pk):
        Message.objects.filter(pk=queued(other_clinic).pk).update(status=Status.SENT, sent_at=timezone.now())
        number = other_clinic.patient.phone
    assert report(number, TOKEN, path="inbound").status_code == 200
    with system_scope("the test looks at both clinics"):
        assert not InboundMessage.objects.exists(), "the other clinic group wrote there, this one did not"


def test_unifonics_reports_carry_a_key_of_the_account(clinic: Clinic, other_clinic: Clinic, settings: Any) -> None:
    settings.UNIFONIC_WEBHOOK_SECRET = ""
    row = credentials.account_save(
        actor=clinic.admin, kind="unifonic", fields={"secret": "app-sid-of-noor", "sms_sender": "NOOR"}
    )
    ours, theirs = queued(clinic), queued(other_clinic)

    def hint(message: Message, key: str) -> int:
        return Client().get(f"/webhooks/unifonic/status/{message.pk}/", {"key": key, "status": "Sent"}).status_code

    assert hint(ours, row.webhook_key) == 200
    assert hint(ours, "guessed") == hint(theirs, row.webhook_key) == 403
    assert ProviderReceipt.objects.get().provider == row.name


# --- send a test -----------------------------------------------------------------------------------------------------


def trial(clinic: Clinic, way: str, **fields: str) -> Any:
    return clinic.client(clinic.admin).post("/settings/senders/test/", {"way": way, "number": "0501234567", **fields})


def test_a_test_goes_through_that_very_account_and_says_what_became_of_it(clinic: Clinic, twilio: Double) -> None:
    row = saved(clinic)
    answer = trial(clinic, f"{row.name}:SMS")
    assert answer.status_code == 302
    message = Message.objects.get(user=clinic.admin)
    assert (message.recipient, message.channel) == ("+966501234567", "SMS")
    delivery.drain(message.lane, seconds=5)
    assert f"/Accounts/{OWN_SID}/" in twilio.requests[0].path
    page = clinic.client(clinic.admin).get(answer.url).content.decode()
    assert "Twilio took it." in page
    Message.objects.filter(pk=message.pk).update(status=Status.DELIVERED)
    part = clinic.client(clinic.admin).get(answer.url, headers={"HX-Request": "true"}).content.decode()
    assert "It arrived. This way works." in part
    assert "hx-trigger" not in part, "nothing more to wait for"
    assert AuditEvent.objects.get(action="provider.tested").after == {"provider": row.name, "channel": "SMS"}


def test_a_test_is_refused_at_once_and_in_words_where_messages_would_wait(clinic: Clinic, twilio: Double) -> None:
    row = saved(clinic)
    twilio.answer = Answer(401, {"code": 20003, "message": "Authenticate", "status": 401})
    answer = trial(clinic, f"{row.name}:SMS")
    message = Message.objects.get(user=clinic.admin)
    delivery.drain(message.lane, seconds=5)
    message.refresh_from_db()
    assert message.status == Status.FAILED
    assert "20003" in clinic.client(clinic.admin).get(answer.url).content.decode()
    # And one after that is let through although the account is stopped: somebody has mended it, and wants to know.
    twilio.answer = Answer()
    trial(clinic, f"{row.name}:SMS")
    delivery.drain(message.lane, seconds=5)
    assert Message.objects.filter(user=clinic.admin, status=Status.SENT).count() == 1


def test_tests_are_few_and_only_over_ones_own_ways(clinic: Clinic, other_clinic: Clinic) -> None:
    row = saved(clinic)
    stranger = other_clinic.client(other_clinic.admin)
    assert (
        stranger.post("/settings/senders/test/", {"way": f"{row.name}:SMS", "number": "0501234567"}).status_code == 422
    )
    assert trial(clinic, f"{row.name}:SMS", number="abc").status_code == 422
    assert trial(clinic, f"{row.name}:FAX").status_code == 404
    for _each in range(provider_trials.MOST):
        assert trial(clinic, f"{row.name}:SMS").status_code == 302
    refused = trial(clinic, f"{row.name}:SMS")
    assert refused.status_code == 422
    assert "Please wait a little." in refused.content.decode()


def test_what_became_of_a_test_is_not_for_others(clinic: Clinic, other_clinic: Clinic) -> None:
    row = saved(clinic)
    address = trial(clinic, f"{row.name}:SMS").url
    assert other_clinic.client(other_clinic.admin).get(address).status_code == 404
    other = queued(clinic)
    assert clinic.client(clinic.admin).get(f"/settings/senders/tests/{other.pk}/").status_code == 404
