"""The bulk pages: every step by form, every door shut to strangers, every refusal on the page."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from appointments import bulk_audience
from appointments.models import Appointment
from conftest import Clinic
from core.models import AuditEvent, Location, Role
from core.tenancy import tenant_scope
from integrations.bulk import control, progress, run
from integrations.tests.bulk_rows import TEXTS, checked, draft, patients, running, scheduled
from notifications import links, message_classes
from notifications.bulk_states import BulkState
from notifications.models import BulkSend, ClassRule, Message, NotificationPreference
from notifications.states import Reason, Status
from tests import factories

URL = "/notifications/bulk/"
RULES = "/settings/classes/"


@pytest.fixture
def admin(clinic: Clinic) -> Client:
    return clinic.client(clinic.admin)


def visit(clinic: Clinic, starts_at: dt.datetime, **fields: Any) -> Appointment:
    options = {
        "tenant": clinic.tenant,
        "patient": factories.PatientFactory(tenant=clinic.tenant, language="en"),
        "provider": clinic.provider,
        "location": clinic.location,
        "department": clinic.department,
        "number": f"A{Appointment.objects.count()}",
        **fields,
    }
    return factories.AppointmentFactory(starts_at=starts_at, **options)


# --- doors -----------------------------------------------------------------------------------------------------------


def test_the_pages_are_the_admins_alone(clinic: Clinic, other_clinic: Clinic) -> None:
    bulk = running(clinic, patients(clinic, 1))
    own = ["", "message/", "rows/"]
    pages = [URL, f"{URL}create/", f"{URL}closed/", RULES, *(f"{URL}{bulk.pk}/{part}" for part in own)]
    for page in pages:
        assert Client().get(page).status_code == 302
        for user in (clinic.front_desk, clinic.provider, clinic.patient_user):
            assert clinic.client(user).get(page).status_code == 403, page
    stranger = other_clinic.client(other_clinic.admin)
    for part in own:
        assert stranger.get(f"{URL}{bulk.pk}/{part}").status_code == 404, part
    for part in ("submit", "missed", "pause", "stop", "approve", "again", "discard", "nonsense"):
        assert stranger.post(f"{URL}{bulk.pk}/{part}/").status_code == 404, part
        assert clinic.client(clinic.front_desk).post(f"{URL}{bulk.pk}/{part}/").status_code == 403
        assert clinic.client(clinic.admin).get(f"{URL}{bulk.pk}/{part}/").status_code == 405
    bulk.refresh_from_db()
    assert bulk.state == BulkState.RUNNING


def test_the_list_costs_the_same_however_many_sends_there_are(
    clinic: Clinic, admin: Client, django_assert_num_queries: Any
) -> None:
    for _ in range(8):
        draft(clinic, patients(clinic, 1))
    admin.get(URL)
    with django_assert_num_queries(3):
        page = admin.get(URL)
    assert page.content.count(b"Closed on Sunday") == 8


# --- step 1 ----------------------------------------------------------------------------------------------------------


def test_patients_are_chosen_by_filters(clinic: Clinic, admin: Client) -> None:
    patients(clinic, 2, language="en")
    answer = admin.post(
        f"{URL}create/", {"name": "News", "message_class": "SERVICE", "language": "en", "source": "FILTERS"}
    )
    bulk = BulkSend.objects.get()
    assert answer.url == f"{URL}{bulk.pk}/message/"
    assert (bulk.recipients.count(), bulk.audience) == (2, {"language": "en"})


def test_patients_are_chosen_by_their_visits_and_get_values_of_their_own(clinic: Clinic, admin: Client) -> None:
    tomorrow = timezone.localtime() + dt.timedelta(days=1)
    mine = visit(clinic, tomorrow)
    visit(clinic, tomorrow, provider=clinic.colleague)
    visit(clinic, tomorrow + dt.timedelta(days=20))
    day = tomorrow.date().isoformat()
    admin.post(
        f"{URL}create/",
        {"name": "N", "message_class": "SERVICE", "provider": clinic.provider.pk, "visits_from": day,
         "visits_until": day, "source": "FILTERS"},
    )  # fmt: skip
    recipient = BulkSend.objects.get().recipients.get()
    assert (recipient.patient, recipient.object_id) == (mine.patient, mine.pk)
    assert recipient.values["date"] == {"day": day}


def test_a_refused_choice_shows_the_form_again_with_what_was_typed(clinic: Clinic, admin: Client) -> None:
    answer = admin.post(
        f"{URL}create/",
        {"name": "Offer", "message_class": "PROMOTIONAL", "department": clinic.department.pk, "source": "FILTERS"},
    )
    assert answer.status_code == 422
    assert b"that is health data" in answer.content
    assert b'value="Offer"' in answer.content
    assert not BulkSend.objects.exists()
    assert admin.post(f"{URL}create/", {"source": "UPLOAD", "name": "x", "message_class": "SERVICE"}).status_code == 422
    assert admin.post(f"{URL}create/", {}).status_code == 422


def test_another_clinics_rows_are_no_choice(clinic: Clinic, other_clinic: Clinic, admin: Client) -> None:
    answer = admin.post(
        f"{URL}create/",
        {"name": "N", "message_class": "SERVICE", "location": other_clinic.location.pk, "source": "FILTERS"},
    )
    assert answer.status_code == 422


def test_a_list_is_uploaded_and_its_errors_are_downloaded(clinic: Clinic, admin: Client) -> None:
    one = patients(clinic, 1)[0]
    file = SimpleUploadedFile("list.csv", f"phone\n{one.phone}\n12\n".encode())
    answer = admin.post(
        f"{URL}create/", {"name": "N", "message_class": "SERVICE", "source": "UPLOAD", "file": file}, follow=True
    )
    bulk = BulkSend.objects.get()
    assert b"1 of 2 rows cannot be used" in answer.content
    lines = b"".join(admin.get(f"{URL}{bulk.pk}/rows/")).decode("utf-8-sig").splitlines()
    assert lines == ["Row,Column,What is wrong", "3,phone,This is not a mobile number"]


# --- step 2 and 3 ----------------------------------------------------------------------------------------------------


def test_words_are_saved_checked_and_shown(clinic: Clinic, admin: Client) -> None:
    fine, off = patients(clinic, 2, language="en")
    NotificationPreference.objects.create(tenant=clinic.tenant, patient=off, sms_enabled=False)
    bulk = draft(clinic, [fine, off])
    answer = admin.post(f"{URL}{bulk.pk}/message/", {**TEXTS, "channel": "SMS"}, follow=True)
    assert answer.redirect_chain[-1][0] == f"{URL}{bulk.pk}/"
    text = answer.content.decode()
    assert f"{fine.name_en}: Noor Clinics is closed on Sunday." in text
    assert str(Reason.OPT_OUT_CHANNEL.label) in text
    assert "Send to 1 person" in text


def test_a_wrong_placeholder_is_shown_at_its_field(clinic: Clinic, admin: Client) -> None:
    bulk = draft(clinic, patients(clinic, 1))
    answer = admin.post(f"{URL}{bulk.pk}/message/", {"body_en": "{diagnosis}", "body_ar": "نص", "channel": "SMS"})
    assert answer.status_code == 422
    assert "body_en" in answer.context["form"].errors
    bulk.refresh_from_db()
    assert bulk.words == {}


def test_it_is_sent_by_a_button(clinic: Clinic, admin: Client, django_capture_on_commit_callbacks: Any) -> None:
    bulk = checked(clinic, patients(clinic, 2))
    admin.post(f"{URL}{bulk.pk}/submit/", {"useful_hours": 24})
    bulk.refresh_from_db()
    assert bulk.state == BulkState.SCHEDULED
    run.advance(clinic.tenant.pk, bulk.pk)
    page = admin.get(f"{URL}{bulk.pk}/")
    assert b'data-refresh-ms="2000"' in page.content
    assert Message.objects.filter(bulk=bulk).count() == 2


def test_a_refused_time_is_shown_at_its_field(clinic: Clinic, admin: Client) -> None:
    bulk = checked(clinic, patients(clinic, 1))
    answer = admin.post(f"{URL}{bulk.pk}/submit/", {"useful_hours": 24, "sends_from": "10:00"})
    assert answer.status_code == 422
    assert "sends_until" in answer.context["form"].errors
    past = {"useful_hours": 24, "scheduled_at": "2020-01-01T10:00"}
    assert "scheduled_at" in admin.post(f"{URL}{bulk.pk}/submit/", past).context["form"].errors


def test_a_colleague_approves_what_the_author_cannot(clinic: Clinic, admin: Client) -> None:
    ClassRule.objects.create(
        tenant=clinic.tenant, message_class="SERVICE", opens_at=dt.time(8), closes_at=dt.time(22), approval_above=0
    )
    second = factories.UserFactory(tenant=clinic.tenant, role=Role.ADMIN, email="second@noor.example")
    bulk = checked(clinic, patients(clinic, 1))
    admin.post(f"{URL}{bulk.pk}/submit/", {"useful_hours": 24})
    assert b"/approve/" not in admin.get(f"{URL}{bulk.pk}/").content
    refused = admin.post(f"{URL}{bulk.pk}/approve/", follow=True)
    assert b"A second person has to approve this" in refused.content
    colleague = clinic.client(second)
    assert b"/approve/" in colleague.get(f"{URL}{bulk.pk}/").content
    colleague.post(f"{URL}{bulk.pk}/approve/")
    bulk.refresh_from_db()
    assert (bulk.state, bulk.approved_by) == (BulkState.SCHEDULED, second)


# --- under way -------------------------------------------------------------------------------------------------------


def test_the_buttons_pause_resume_and_stop(clinic: Clinic, admin: Client) -> None:
    bulk = running(clinic, patients(clinic, 2))
    for verb, state in (("pause", "PAUSED"), ("resume", "RUNNING"), ("stop", "STOPPED")):
        admin.post(f"{URL}{bulk.pk}/{verb}/")
        bulk.refresh_from_db()
        assert bulk.state == state
    late = admin.post(f"{URL}{bulk.pk}/resume/", follow=True)
    assert b"has moved on meanwhile" in late.content


def test_the_moving_part_alone_is_given_to_htmx_and_stops_asking_at_the_end(
    clinic: Clinic, admin: Client, django_assert_max_num_queries: Any
) -> None:
    bulk = running(clinic, patients(clinic, 2))
    with django_assert_max_num_queries(6):
        fragment = admin.get(f"{URL}{bulk.pk}/", headers={"HX-Request": "true"})
    assert b"<html" not in fragment.content
    assert b"data-refresh-ms" in fragment.content
    Message.objects.update(status=Status.DELIVERED, next_attempt_at=None)
    run.advance(clinic.tenant.pk, bulk.pk)
    assert b"data-refresh-ms" not in admin.get(f"{URL}{bulk.pk}/", headers={"HX-Request": "true"}).content


def test_who_has_not_got_it_is_shown_filtered_downloaded_and_written_to_again(clinic: Clinic, admin: Client) -> None:
    off = factories.PatientFactory(tenant=clinic.tenant, name_en="=cmd|calc", mrn="777")
    NotificationPreference.objects.create(tenant=clinic.tenant, patient=off, sms_enabled=False)
    bulk = running(clinic, [off, *patients(clinic, 1)])
    Message.objects.update(status=Status.BOUNCED, next_attempt_at=None)
    run.advance(clinic.tenant.pk, bulk.pk)
    page = admin.get(f"{URL}{bulk.pk}/?reason={Reason.OPT_OUT_CHANNEL}")
    assert [one.patient for one in page.context["page"].object_list] == [off]
    lines = b"".join(admin.post(f"{URL}{bulk.pk}/missed/")).decode("utf-8-sig").splitlines()
    assert lines[1].startswith("777,'=cmd|calc,")
    assert len(lines) == 3
    assert AuditEvent.objects.get(action="bulk.exported").after == {"rows": 2}
    admin.post(f"{URL}{bulk.pk}/again/", {"reason": "BOUNCED"})
    assert BulkSend.objects.get(again_of=bulk).recipients.count() == 1


def test_a_test_goes_to_my_own_email(clinic: Clinic, admin: Client) -> None:
    bulk = checked(clinic, patients(clinic, 1, language="en"))
    answer = admin.post(f"{URL}{bulk.pk}/test/", follow=True)
    assert clinic.admin.email.encode() in answer.content
    assert Message.objects.get().user == clinic.admin


def test_a_draft_is_thrown_away(clinic: Clinic, admin: Client) -> None:
    bulk = draft(clinic, patients(clinic, 1))
    assert admin.post(f"{URL}{bulk.pk}/discard/").url == URL
    assert not BulkSend.objects.exists()


# --- clinic closed ---------------------------------------------------------------------------------------------------


def test_clinic_closed_goes_from_one_page_to_the_check(clinic: Clinic, admin: Client, ten_oclock: dt.datetime) -> None:
    elsewhere = factories.LocationFactory(tenant=clinic.tenant, name_en="Malaz")
    there = visit(clinic, ten_oclock)
    visit(clinic, ten_oclock, location=elsewhere)
    visit(clinic, ten_oclock, status="CANCELLED")
    visit(clinic, ten_oclock + dt.timedelta(hours=6))
    form = admin.get(f"{URL}closed/").context["form"]
    fields = {
        "day": ten_oclock.date().isoformat(),
        "location": clinic.location.pk,
        "ends": "12:00",
        "channel": "SMS",
        "body_en": form.initial["body_en"],
        "body_ar": form.initial["body_ar"],
    }
    answer = admin.post(f"{URL}closed/", fields, follow=True)
    bulk = BulkSend.objects.get()
    assert (bulk.is_urgent, bulk.totals["send"]) == (True, 1)
    assert f"{there.patient.name_en}: Olaya Branch is closed on" in answer.content.decode()
    control.submit(actor=clinic.admin, bulk=bulk)
    run.advance(clinic.tenant.pk, bulk.pk)
    assert Message.objects.get().object_id == there.pk


def test_a_visit_that_moved_since_the_check_is_left_out_at_the_start(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    kept, moved, arrived = (visit(clinic, ten_oclock) for _ in range(3))
    people = bulk_audience.visits(starts=ten_oclock, ends=ten_oclock + dt.timedelta(hours=1))
    bulk = control.draft(
        actor=clinic.admin, name="C", source="CLOSED", message_class="SERVICE", people=people,
        variables=bulk_audience.VARIABLES, object_type=bulk_audience.OBJECT_TYPE,
    )  # fmt: skip
    control.words_set(actor=clinic.admin, bulk=bulk, texts=TEXTS, channel="SMS", is_urgent=True)
    control.check(actor=clinic.admin, bulk=bulk)
    control.submit(actor=clinic.admin, bulk=bulk)
    Appointment.objects.filter(pk=moved.pk).update(version=2)
    Appointment.objects.filter(pk=arrived.pk).update(status="ARRIVED")
    run.advance(clinic.tenant.pk, bulk.pk)
    reasons = dict(Message.objects.values_list("object_id", "reason"))
    assert reasons == {
        kept.pk: "", moved.pk: Reason.STALE_VERSION, arrived.pk: Reason.STATUS_NOT_ELIGIBLE,
    }  # fmt: skip


def test_a_day_without_visits_or_in_the_past_is_refused(clinic: Clinic, admin: Client) -> None:
    texts = {"body_en": "x", "body_ar": "س"}
    day = timezone.localdate() + dt.timedelta(days=3)
    assert b"Nobody fits" in admin.post(f"{URL}closed/", {"day": day.isoformat(), **texts}).content
    assert admin.post(f"{URL}closed/", {"day": "2020-01-01", **texts}).status_code == 422
    assert not BulkSend.objects.exists()


# --- rules -----------------------------------------------------------------------------------------------------------


def test_the_rules_of_a_class_are_set_on_their_page(clinic: Clinic, admin: Client) -> None:
    fields = {"message_class": "AWARENESS", "opens_at": "10:00", "closes_at": "18:30", "approval_above": 7}
    assert admin.post(RULES, fields).status_code == 302
    assert message_classes.rules()["AWARENESS"] == message_classes.Rule(dt.time(10), dt.time(18, 30), 7)
    refused = admin.post(RULES, {**fields, "closes_at": "23:30"})
    assert refused.status_code == 422
    assert b"between 07:00 and 22:00 only" in refused.content
    assert admin.post(RULES, {"message_class": "NONE"}).status_code == 422


def test_a_location_of_its_own_clock_decides_the_day(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    Location.objects.filter(pk=clinic.location.pk).update(timezone="Asia/Dubai")
    visit(clinic, ten_oclock)
    person = next(bulk_audience.visits(starts=ten_oclock, ends=ten_oclock + dt.timedelta(hours=1)))
    assert person.values["time"].time == dt.time(11)


def test_a_scheduled_send_can_be_called_off(clinic: Clinic, admin: Client) -> None:
    bulk = scheduled(clinic, patients(clinic, 1))
    admin.post(f"{URL}{bulk.pk}/call-off/")
    bulk.refresh_from_db()
    assert bulk.state == BulkState.CHECKED


def test_the_bell_leads_who_may_approve_to_the_send(clinic: Clinic, other_clinic: Clinic) -> None:
    bulk = draft(clinic, patients(clinic, 1))
    assert links.bulk_address(clinic.admin, bulk.pk) == f"{URL}{bulk.pk}/"
    assert links.bulk_address(clinic.front_desk, bulk.pk) is None
    with tenant_scope(other_clinic.tenant.pk):
        assert links.bulk_address(other_clinic.admin, bulk.pk) is None


def test_who_may_have_got_it_is_not_written_to_again_unless_asked_for(clinic: Clinic) -> None:
    bulk = running(clinic, patients(clinic, 2))
    Message.objects.update(status=Status.UNCONFIRMED, next_attempt_at=None)
    assert progress.missed_patients(bulk) == []
    assert len(progress.missed_patients(bulk, Status.UNCONFIRMED)) == 2
