"""The patient's own view: who gets a code, whose files it opens, and what is shown to whom."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from conftest import Clinic
from core import portal_sessions, portal_sign_in, rights, subject_exports
from core.models import AuditEvent, Patient, PortalCode, PortalRequest, PortalSession, RightsRequest, TenantSettings
from core.tasks import send_portal_code_task, sweep_portal_task
from core.tenancy import tenant_scope
from integrations import delivery, portal_codes
from integrations.tests.fakes import FakeProvider, provider
from notifications import default_words, suppression
from notifications.models import Message, NotificationPreference
from notifications.states import Lane, Reason, Status
from tests import factories

__all__ = ["provider"]
pytestmark = pytest.mark.django_db
NEUTRAL = "If we know this number or email"


@pytest.fixture
def noor(clinic: Clinic) -> Clinic:
    default_words.install(clinic.tenant.pk)
    return clinic


def ask(address: str, client: Client | None = None) -> Client:
    """A browser in which a code was asked for, and the worker has done its work."""
    browser = client or Client()
    response = browser.post("/me/", {"address": address})
    assert (response.status_code, response.headers.get("Location")) == (302, "/me/code/"), response.content
    for wish in PortalRequest.objects.filter(handled_at=None):
        send_portal_code_task(str(wish.pk))
    return browser


def sent_code(provider: FakeProvider, to: str) -> str:
    """What arrives on the phone."""
    delivery.drain(Lane.URGENT)
    (found,) = re.findall(r"\d{6}", [call.body for call in provider.calls if call.to == to][-1])
    return found


def enter(provider: FakeProvider, address: str) -> Client:
    browser = ask(address)
    response = browser.post("/me/code/", {"code": sent_code(provider, address)})
    assert response.headers.get("Location") == "/me/care/", response.content
    return browser


def child_of(clinic: Clinic, guardian: Any, name: str = "Omar Al-Rashid", **fields: Any) -> Patient:
    child = factories.PatientFactory(
        tenant=clinic.tenant, name_en=name, name_ar="", phone="", email="",
        birth_date=timezone.localdate() - dt.timedelta(days=8 * 366),
    )  # fmt: skip
    factories.GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=guardian, **fields)
    return child


# --- the code --------------------------------------------------------------------------------------------------------


def test_the_code_reaches_the_phone_and_stands_in_no_row_of_ours(noor: Clinic, provider: FakeProvider) -> None:
    browser = ask(noor.patient.phone)
    code = sent_code(provider, noor.patient.phone)
    message = Message.objects.get(patient=noor.patient)
    assert "******" in message.body
    assert (message.status, message.lane) == (Status.SENT, Lane.URGENT)
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # our own tables' names
            assert not any(code == str(value) or f" {code} " in str(value) for row in cursor for value in row), table
    page = noor.client(noor.admin).get(f"/notifications/messages/{message.pk}/").content.decode()
    assert code not in page
    assert browser.post("/me/code/", {"code": code}).headers["Location"] == "/me/care/"


def test_a_number_that_nobody_has_is_answered_like_one_that_is_known(noor: Clinic, provider: FakeProvider) -> None:
    known, unknown = ask(noor.patient.phone), ask("+966509999999")
    pages = [
        re.sub(r'value="[^"]{40,}"', "", browser.get("/me/code/").content.decode()) for browser in (known, unknown)
    ]
    assert pages[0] == pages[1]
    assert NEUTRAL in pages[0]
    assert Message.objects.count() == 1
    answers = [browser.post("/me/code/", {"code": "000000"}) for browser in (known, unknown)]
    assert answers[0].status_code == answers[1].status_code == 422


@pytest.mark.parametrize("typed", ["0501234567", "٠٥٠١٢٣٤٥٦٧", "+966 50 123 4567", "PATIENT@MAIL.EXAMPLE"])
def test_an_address_is_known_however_it_is_written(noor: Clinic, provider: FakeProvider, typed: str) -> None:
    Patient.objects.filter(pk=noor.patient.pk).update(phone="+966501234567", email="patient@mail.example")
    ask(typed)
    assert Message.objects.get().recipient in ("+966501234567", "patient@mail.example")


def test_what_is_no_address_is_told_at_once(noor: Clinic) -> None:
    for typed in ("12", "nobody@", "", "x" * 400):
        assert Client().post("/me/", {"address": typed}).status_code == 422
    assert not PortalRequest.objects.exists()


def test_a_code_works_once_and_five_wrong_ones_close_it(noor: Clinic, provider: FakeProvider) -> None:
    browser = ask(noor.patient.phone)
    code = sent_code(provider, noor.patient.phone)
    wrong = "000000" if code != "000000" else "111111"
    for _try in range(4):
        assert browser.post("/me/code/", {"code": wrong}).status_code == 422
    # The right one, in the digits of the reader's keyboard.
    arabic = code.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    assert browser.post("/me/code/", {"code": f" {arabic[:3]} {arabic[3:]} "}).status_code == 302
    wish = PortalRequest.objects.get()
    with pytest.raises(portal_sign_in.DomainError) as over:
        portal_sign_in.code_check(wish_id=wish.pk, typed=code)
    assert over.value.code == "code_over"
    again = ask(noor.patient.phone)
    code = sent_code(provider, noor.patient.phone)
    for _try in range(5):
        again.post("/me/code/", {"code": wrong})
    assert again.post("/me/code/", {"code": code}).status_code == 422


def test_a_code_is_over_after_ten_minutes_and_its_secrets_go(noor: Clinic, provider: FakeProvider) -> None:
    browser = ask(noor.patient.phone)
    code = sent_code(provider, noor.patient.phone)
    PortalRequest.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    assert browser.post("/me/code/", {"code": code}).status_code == 422
    sweep_portal_task()
    row = PortalCode.objects.get()
    assert (row.digest, bytes(row.sealed)) == ("", b"")
    PortalRequest.objects.update(created_at=timezone.now() - dt.timedelta(days=3))
    assert sweep_portal_task()["wishes"] >= 1
    assert not PortalCode.objects.exists()


def test_a_code_that_was_used_is_not_sent_any_more(noor: Clinic, provider: FakeProvider) -> None:
    ask(noor.patient.phone)
    PortalRequest.objects.update(used_at=timezone.now())
    delivery.drain(Lane.URGENT)
    assert provider.calls == []
    assert Message.objects.get().reason == Reason.PAST_DUE


def test_one_browsers_code_opens_nothing_in_another(noor: Clinic, provider: FakeProvider) -> None:
    ask(noor.patient.phone)
    code = sent_code(provider, noor.patient.phone)
    assert Client().post("/me/code/", {"code": code}).headers["Location"] == "/me/"


def test_an_address_gets_five_codes_an_hour_and_a_network_thirty(noor: Clinic, provider: FakeProvider) -> None:
    for _try in range(7):
        ask(noor.patient.phone)
    assert Message.objects.count() == 5
    for number in range(23):
        assert Client().post("/me/", {"address": f"+96650111{number:04d}"}).status_code == 302
    assert Client().post("/me/", {"address": "+966501110099"}).status_code == 429


def test_a_wish_is_no_wish_of_the_preferences_but_a_stopped_number_gets_nothing(
    noor: Clinic, provider: FakeProvider
) -> None:
    NotificationPreference.objects.create(tenant=noor.tenant, patient=noor.patient, sms_enabled=False)
    ask(noor.patient.phone)
    assert sent_code(provider, noor.patient.phone)
    for channel in ("SMS", "WHATSAPP"):
        suppression.suppress(
            tenant_id=noor.tenant.pk, channel=channel, address=noor.patient.phone, reason=Reason.WRONG_NUMBER
        )
    ask(noor.patient.phone)
    assert Message.objects.order_by("created_at").last().reason == Reason.WRONG_NUMBER


def test_a_worker_that_runs_twice_makes_one_message_and_a_lost_doorbell_is_rung_again(
    noor: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    Client().post("/me/", {"address": noor.patient.phone})
    wish = PortalRequest.objects.get()
    PortalRequest.objects.update(created_at=timezone.now() - dt.timedelta(seconds=30))
    rung: list[str] = []
    monkeypatch.setattr("core.tasks.publish", lambda _task, key: bool(rung.append(key) or True))
    assert sweep_portal_task()["rung"] == 1
    assert rung == [str(wish.pk)]
    assert send_portal_code_task(str(wish.pk)) == 1
    PortalRequest.objects.update(handled_at=None)
    assert send_portal_code_task(str(wish.pk)) == 0
    assert Message.objects.count() == 1
    assert not PortalRequest.objects.get().address


def test_one_clinic_groups_trouble_keeps_no_code_of_another_back(
    noor: Clinic, other_clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tenant_scope(other_clinic.tenant.pk):
        default_words.install(other_clinic.tenant.pk)
        Patient.objects.filter(pk=other_clinic.patient.pk).update(phone=noor.patient.phone)
    real, broken = portal_codes.outbox.write, min(noor.tenant.pk, other_clinic.tenant.pk)

    def write(message: Message, **rest: Any) -> Message:
        if message.tenant_id == broken:
            raise RuntimeError("a template that nobody can read")
        return real(message, **rest)

    with monkeypatch.context() as patch:
        patch.setattr(portal_codes.outbox, "write", write)
        ask(noor.patient.phone)
    assert PortalCode.objects.count() == 1
    send_portal_code_task(str(PortalRequest.objects.get(handled_at=None).pk))
    assert PortalCode.objects.count() == 2


def test_a_code_wakes_people_in_quiet_hours(noor: Clinic, provider: FakeProvider) -> None:
    now = timezone.localtime()
    TenantSettings.objects.update_or_create(
        tenant=noor.tenant,
        defaults={
            "quiet_from": (now - dt.timedelta(hours=1)).time(),
            "quiet_until": (now + dt.timedelta(hours=1)).time(),
        },
    )
    ask(noor.patient.phone)
    assert sent_code(provider, noor.patient.phone)


def test_a_family_known_to_two_clinic_groups_gets_a_code_of_each_which_opens_that_one(
    noor: Clinic, other_clinic: Clinic, provider: FakeProvider
) -> None:
    with tenant_scope(other_clinic.tenant.pk):
        default_words.install(other_clinic.tenant.pk)
        Patient.objects.filter(pk=other_clinic.patient.pk).update(phone=noor.patient.phone)
    browser = ask(noor.patient.phone)
    delivery.drain(Lane.URGENT)
    codes = {
        ("Amal" if "amal" in call.body.lower() else "Noor"): re.findall(r"\d{6}", call.body)[0]
        for call in provider.calls
    }
    assert len(codes) == 2
    browser.post("/me/code/", {"code": codes["Amal"]})
    assert PortalSession.objects.get().tenant_id == other_clinic.tenant.pk


# --- whose files -----------------------------------------------------------------------------------------------------


def names_on(browser: Client) -> set[str]:
    page = browser.get("/me/choose/").content.decode()
    return set(re.findall(r'<p class="med"><bdi>([^<]+)</bdi>', page))


def test_a_guardian_chooses_among_the_children_in_force_only(noor: Clinic, provider: FakeProvider) -> None:
    mother = factories.GuardianFactory(tenant=noor.tenant, phone="+966551112222")
    yesterday = timezone.localdate() - dt.timedelta(days=1)
    child_of(noor, mother, "Omar")
    child_of(noor, mother, "Sara")
    child_of(noor, mother, "Unverified", verified_at=None)
    child_of(noor, mother, "Over", valid_until=yesterday)
    child_of(noor, mother, "Blocked", blocked_reason="court order")
    of_age = child_of(noor, mother, "Grown")
    Patient.objects.filter(pk=of_age.pk).update(birth_date=timezone.localdate() - dt.timedelta(days=30 * 366))
    closed = child_of(noor, mother, "Restricted")
    Patient.objects.filter(pk=closed.pk).update(is_restricted=True)
    browser = enter(provider, mother.phone)
    assert browser.get("/me/care/").headers["Location"] == "/me/choose/"
    assert names_on(browser) == {"Omar", "Sara"}


def test_a_guardian_who_is_taken_out_sees_nothing_from_the_next_page_on(noor: Clinic, provider: FakeProvider) -> None:
    mother = factories.GuardianFactory(tenant=noor.tenant, phone="+966551112222")
    child = child_of(noor, mother)
    browser = enter(provider, mother.phone)
    assert browser.get("/me/care/").status_code == 200
    child.guardianships.update(blocked_reason="court order")
    assert browser.get("/me/care/").headers["Location"] == "/me/"
    assert PortalSession.objects.get().ended_at is not None


def test_where_adults_share_a_phone_the_birth_date_opens_a_file_and_five_wrong_ones_end_it(
    noor: Clinic, provider: FakeProvider
) -> None:
    other = factories.PatientFactory(
        tenant=noor.tenant, name_en="Faisal", phone=noor.patient.phone, birth_date=dt.date(1980, 1, 2)
    )
    browser = enter(provider, noor.patient.phone)
    assert browser.get("/me/care/").headers["Location"] == "/me/choose/"
    assert browser.post("/me/choose/", {"patient": str(other.pk)}).status_code == 422
    assert browser.post("/me/choose/", {"patient": str(uuid.uuid4()), "birth_date": "1980-01-02"}).status_code == 422
    right = browser.post("/me/choose/", {"patient": str(other.pk), "birth_date": "1980-01-02"})
    assert right.headers["Location"] == "/me/care/"
    assert "Faisal" in browser.get("/me/care/").content.decode()
    for _try in range(3):
        assert (
            browser.post("/me/choose/", {"patient": str(noor.patient.pk), "birth_date": "2000-01-01"}).status_code
            == 422
        )
    last = browser.post("/me/choose/", {"patient": str(noor.patient.pk), "birth_date": "2000-01-01"})
    assert last.headers["Location"] == "/me/"
    assert browser.get("/me/care/").headers["Location"] == "/me/"


def test_a_session_ends_after_half_an_hour_of_silence_at_sign_out_and_at_the_days_end(
    noor: Clinic, provider: FakeProvider
) -> None:
    browser = enter(provider, noor.patient.phone)
    cookie = browser.cookies["me"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert AuditEvent.objects.filter(action="portal.signed_in", object_id=noor.patient.pk).count() == 1
    PortalSession.objects.update(last_seen_at=timezone.now() - dt.timedelta(minutes=29))
    assert browser.get("/me/care/").status_code == 200
    PortalSession.objects.update(last_seen_at=timezone.now() - dt.timedelta(minutes=31))
    assert browser.get("/me/care/").headers["Location"] == "/me/"
    PortalSession.objects.update(
        last_seen_at=timezone.now(), created_at=timezone.now() - portal_sessions.LIFE - dt.timedelta(minutes=1)
    )
    assert browser.get("/me/care/").headers["Location"] == "/me/"
    PortalSession.objects.update(created_at=timezone.now())
    assert browser.post("/me/sign-out/").headers["Location"] == "/me/"
    assert browser.get("/me/care/").headers["Location"] == "/me/"
    browser.cookies["me"] = "forged:signature"
    assert browser.get("/me/care/").headers["Location"] == "/me/"


def test_the_cookie_is_the_hosts_own_where_the_site_is_secure(settings: Any) -> None:
    settings.SESSION_COOKIE_SECURE = True
    assert portal_sessions.cookie_name() == "__Host-me"


# --- the pages -------------------------------------------------------------------------------------------------------


@pytest.fixture
def mine(noor: Clinic, provider: FakeProvider) -> Client:
    return enter(provider, noor.patient.phone)


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("page", ["care", "messages", "consents", "requests", "choose"])
def test_every_page_is_there_in_both_languages_and_is_not_kept(
    mine: Client, noor: Clinic, page: str, language: str
) -> None:
    factories.AppointmentFactory(
        tenant=noor.tenant, patient=noor.patient, provider=noor.provider, location=noor.location,
        department=noor.department,
    )  # fmt: skip
    mine.cookies["django_language"] = language
    response = mine.get(f"/me/{page}/")
    assert response.status_code == 200
    assert f'lang="{language}"' in response.content.decode()
    assert response.headers["Cache-Control"] == "no-store"
    assert "noindex" in response.headers["X-Robots-Tag"]


def test_a_visit_leads_to_its_own_page_and_a_sensitive_place_is_not_named(mine: Client, noor: Clinic) -> None:
    visit = factories.AppointmentFactory(
        tenant=noor.tenant, patient=noor.patient, provider=noor.provider, location=noor.location,
        department=noor.department,
    )  # fmt: skip
    page = mine.get("/me/care/").content.decode()
    assert f"/c/{visit.tokens.get().code}" in page
    assert noor.location.name_en in page
    type(noor.location).objects.filter(pk=noor.location.pk).update(is_sensitive=True)
    assert noor.location.name_en not in mine.get("/me/care/").content.decode()


def test_messages_are_the_readers_own_kinds_without_codes_and_of_nobody_else(
    noor: Clinic, provider: FakeProvider
) -> None:
    mother = factories.GuardianFactory(tenant=noor.tenant, phone="+966551112222")
    child = child_of(noor, mother, not_for=["BILLING"])
    for patient, kind, body in (
        (child, "GENERAL", "For the child"), (child, "BILLING", "A bill"), (noor.patient, "GENERAL", "Of a stranger"),
    ):  # fmt: skip
        Message.objects.create(
            tenant=noor.tenant, patient=patient, notification_type=kind, channel="SMS", recipient="+966551112222",
            language="en", body=body, dedupe_key=str(uuid.uuid4()), status=Status.SENT,
        )  # fmt: skip
    page = enter(provider, mother.phone).get("/me/messages/").content.decode()
    assert "For the child" in page
    for hidden in ("A bill", "Of a stranger", "******"):
        assert hidden not in page


def test_a_request_is_made_shown_with_its_day_and_withdrawn(mine: Client, noor: Clinic) -> None:
    assert mine.post("/me/requests/", {"kind": "CORRECTION"}).status_code == 422, "what is wrong?"
    assert mine.post("/me/requests/", {"kind": "CORRECTION", "details": "My name"}).status_code == 302
    assert mine.post("/me/requests/", {"kind": "CORRECTION", "details": "Again"}).status_code == 422, (
        "it is open already"
    )
    row = RightsRequest.objects.get()
    assert (row.asked_by, row.due_on) == (
        f"patient:{noor.patient.pk}",
        timezone.localdate() + dt.timedelta(days=30),
    )
    assert "My name" in mine.get("/me/requests/").content.decode()
    assert mine.post(f"/me/requests/{row.pk}/withdraw/").status_code == 302
    row.refresh_from_db()
    assert row.state == "WITHDRAWN"


def test_nobody_elses_request_or_copy_can_be_reached(mine: Client, noor: Clinic) -> None:
    stranger = factories.PatientFactory(tenant=noor.tenant)
    theirs = rights.rights_open(patient=stranger, kind="EXPORT", asked_by=f"patient:{stranger.pk}")
    # About the same patient, but made for somebody else's eyes.
    request = rights.rights_open(patient=noor.patient, kind="EXPORT", asked_by=f"guardian:{uuid.uuid4()}")
    export = subject_exports.export_ask(actor=noor.admin, request=request, language="en")
    assert subject_exports.make(noor.tenant.pk, export.pk)
    assert mine.post(f"/me/requests/{theirs.pk}/withdraw/").status_code == 404
    assert mine.post(f"/me/requests/{request.pk}/withdraw/").status_code == 404
    assert mine.get(f"/me/copies/{export.pk}/").status_code == 404
    assert str(export.pk) not in mine.get("/me/requests/").content.decode()


def test_the_copy_is_asked_for_made_and_fetched(mine: Client, noor: Clinic) -> None:
    mine.post("/me/requests/", {"kind": "EXPORT"})
    row = RightsRequest.objects.get()
    admin = noor.client(noor.admin)
    assert admin.post(f"/rights/{row.pk}/copy/").status_code == 302
    export = row.exports.get()
    assert subject_exports.make(noor.tenant.pk, export.pk)
    assert f"/me/copies/{export.pk}/" in mine.get("/me/requests/").content.decode()
    answer = mine.get(f"/me/copies/{export.pk}/")
    assert b"".join(answer.streaming_content).startswith(b"PK")
    assert "noor" not in answer.headers["Content-Disposition"].lower()
    assert admin.get(f"/rights/copies/{export.pk}/").status_code == 200
    acts = AuditEvent.objects.filter(object_id=noor.patient.pk, action="subject_export.downloaded")
    assert [act.after["by"] for act in acts.order_by("created_at")] == ["patient", "staff"]


def test_the_pages_need_the_token_of_their_forms(noor: Clinic) -> None:
    browser = Client(enforce_csrf_checks=True)
    assert browser.post("/me/", {"address": noor.patient.phone}).status_code == 403


def test_the_pages_make_few_queries(mine: Client, noor: Clinic, django_assert_max_num_queries: Any) -> None:
    for _number in range(5):
        factories.AppointmentFactory(
            tenant=noor.tenant, patient=noor.patient, provider=noor.provider, location=noor.location,
            department=noor.department,
        )  # fmt: skip
    mine.get("/me/care/")
    # The session, the files (3), the visits and each one's link, the open requests.
    with django_assert_max_num_queries(16):
        mine.get("/me/care/")
    with django_assert_max_num_queries(8):
        mine.get("/me/messages/")
    with django_assert_max_num_queries(8):
        mine.get("/me/consents/")
