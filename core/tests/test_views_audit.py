"""The pages of the audit trail and of the log of looks, the export, and the patient's own messages."""

from __future__ import annotations

import csv
import datetime as dt
import io
import uuid

import pytest
from django.urls import reverse
from django.utils import timezone, translation

from conftest import Clinic
from core import audit, looks
from core.models import AuditEvent, Look, User
from core.tenancy import tenant_scope
from notifications.models import Message, NotificationPreference
from tests import factories

TRAIL, EXPORT, LOOKS, MINE = "/audit/", "/audit/export/", "/audit/looks/", "/my-messages/"


def text(response) -> str:
    body = b"".join(response.streaming_content) if response.streaming else response.content
    return body.decode()


def note(clinic: Clinic, action: str = "user.created", **fields) -> AuditEvent:
    fields = {"actor": clinic.admin, "obj": clinic.colleague, **fields}
    return audit.record(tenant_id=clinic.tenant.pk, action=action, **fields)


# --- Who may read ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [TRAIL, LOOKS])
def test_only_admins_read_the_logs(clinic: Clinic, address: str) -> None:
    assert clinic.client(clinic.admin).get(address).status_code == 200
    for user in (clinic.front_desk, clinic.provider, clinic.patient_user):
        assert clinic.client(user).get(address).status_code == 403


def test_another_clinics_acts_and_looks_are_nowhere(clinic: Clinic, other_clinic: Clinic) -> None:
    with tenant_scope(other_clinic.tenant.pk):
        note(other_clinic, after={"reason": "theirs alone"})
        looks.record_look(user=other_clinic.front_desk, patient=other_clinic.patient, page="patient")
    client = clinic.client(clinic.admin)
    assert "theirs alone" not in text(client.get(TRAIL))
    assert "theirs alone" not in text(client.post(EXPORT))
    assert client.get(LOOKS).context["lines"] == []
    # Nor by asking for one of them.
    assert client.get(LOOKS, {"patient": other_clinic.patient.pk}).status_code == 422
    assert client.get(TRAIL, {"who": other_clinic.admin.pk}).status_code == 422


# --- The trail ------------------------------------------------------------------------------------------------------


def test_a_change_reads_as_fields_in_words_before_and_after(clinic: Clinic) -> None:
    note(
        clinic,
        "user.updated",
        before={"role": "PROVIDER", "department_id": str(clinic.department.pk), "is_active": True},
        after={"role": "ADMIN", "department_id": None, "is_active": True},
    )
    page = text(clinic.client(clinic.admin).get(TRAIL))
    assert "User changed" in page
    assert "<del><bdi>Provider</bdi></del>" in page
    assert "<ins><bdi>Admin</bdi></ins>" in page
    assert f"<del><bdi>{clinic.department.name}</bdi></del>" in page, "a name, not an id"
    assert "Active" not in page, "what did not change is not told"


def test_times_lists_and_facts_without_a_before_are_told_in_words(clinic: Clinic) -> None:
    note(clinic, "patient.updated", obj=clinic.patient, after={"changed": ["phone", "email"]})
    note(clinic, "absence.created", obj=None, after={"starts_at": "2025-03-04T09:30:00+00:00", "seen": True})
    page = text(clinic.client(clinic.admin).get(TRAIL))
    assert "Mobile phone, Email" in page
    assert "Tue 4 Mar 2025, 12:30" in page
    assert "<del>" not in page


def test_an_object_that_can_be_opened_is_a_link_and_one_that_is_gone_is_not(clinic: Clinic) -> None:
    note(clinic, "patient.created", obj=clinic.patient)
    gone = factories.PatientFactory(tenant=clinic.tenant, name_en="Gone Person")
    event = note(clinic, "patient.created", obj=gone)
    gone.delete()
    page = text(clinic.client(clinic.admin).get(TRAIL))
    assert f'href="{reverse("core:patient_detail", args=[clinic.patient.pk])}"' in page
    assert str(event.object_id)[:8] in page
    assert f"/patients/{event.object_id}/" not in page


def test_an_action_without_words_shows_its_key(clinic: Clinic) -> None:
    note(clinic, "kettle.boiled", obj=None, actor=None)
    page = text(clinic.client(clinic.admin).get(TRAIL))
    assert "kettle.boiled" in page
    assert "The system" in page


def test_the_filters_narrow_by_person_action_object_day_and_name(clinic: Clinic, monkeypatch) -> None:
    yesterday = timezone.now() - dt.timedelta(days=1)
    with monkeypatch.context() as patch:
        patch.setattr("django.utils.timezone.now", lambda: yesterday)
        note(clinic, "holiday.created", obj=None, after={"reason": "day before"})
    note(clinic, "user.created", actor=clinic.front_desk, after={"reason": "by the desk"})
    note(clinic, "patient.updated", obj=clinic.patient, after={"reason": "on one file"})
    client = clinic.client(clinic.admin)

    def shown(**query) -> set[str]:
        page = text(client.get(TRAIL, query))
        return {words for words in ("day before", "by the desk", "on one file") if words in page}

    today = timezone.localdate()
    assert shown() == {"day before", "by the desk", "on one file"}
    assert shown(who=clinic.front_desk.pk) == {"by the desk"}
    assert shown(action="holiday.created") == {"day before"}
    assert shown(kind="core.patient") == {"on one file"}
    assert shown(object=clinic.patient.pk) == {"on one file"}
    assert shown(since=today) == {"by the desk", "on one file"}
    assert shown(until=today - dt.timedelta(days=1)) == {"day before"}
    assert shown(q=clinic.patient.mrn) == {"on one file"}
    assert shown(q="desk@noor") == {"by the desk"}
    assert shown(q=str(clinic.patient.pk)) == {"on one file"}
    assert shown(q="nobody of that name") == set()


@pytest.mark.parametrize(
    "query", [{"since": "tomorrow"}, {"who": "x"}, {"object": "x"}, {"since": "2026-02-02", "until": "2026-02-01"}]
)
def test_a_filter_that_makes_no_sense_is_refused_in_words(clinic: Clinic, query: dict[str, str]) -> None:
    response = clinic.client(clinic.admin).get(TRAIL, query, headers={"HX-Request": "true"})
    assert response.status_code == 422
    assert 'role="alert"' in text(response)
    assert "<html" not in text(response)


def test_pages_follow_one_another_and_cost_the_same(clinic: Clinic, django_assert_num_queries) -> None:
    for number in range(120):
        note(clinic, after={"minutes": number})
    client = clinic.client(clinic.admin)
    client.get(TRAIL)
    # session and user, people of the filter, rows with actors, the objects
    with django_assert_num_queries(4):
        first = client.get(TRAIL)
    seen, address = set(), TRAIL
    for _page in range(3):
        response = client.get(address)
        seen |= {line.event.after["minutes"] for line in response.context["lines"]}
        address = f"{TRAIL}?older={response.context['page'].older}"
    assert seen == set(range(120))
    assert first.context["page"].newer == ""


def test_the_list_alone_answers_htmx(clinic: Clinic) -> None:
    note(clinic)
    response = clinic.client(clinic.admin).get(TRAIL, headers={"HX-Request": "true"})
    assert text(response).lstrip().startswith('<section class="c" id="audit-list"')
    assert "HX-Request" in response["Vary"]


# --- The export -----------------------------------------------------------------------------------------------------


def test_the_export_holds_the_filtered_rows_and_leaves_one_of_its_own(clinic: Clinic) -> None:
    note(clinic, "holiday.created", obj=None)
    note(clinic, "user.updated", before={"role": "PROVIDER"}, after={"role": "ADMIN"})
    response = clinic.client(clinic.admin).post(EXPORT, {"action": "user.updated", "q": "noor"})
    rows = list(csv.reader(io.StringIO(text(response).removeprefix("\ufeff"))))
    assert [row[3] for row in rows[1:]] == ["user.updated"]
    assert rows[1][1] == clinic.admin.name
    assert rows[1][-1] == "Role: Provider → Admin"
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert "no-store" in response["Cache-Control"]
    own = AuditEvent.objects.get(action="audit.exported")
    assert own.after == {"action": "user.updated"}, "what was searched for may be a name"


def test_no_cell_of_the_export_is_a_formula(clinic: Clinic) -> None:
    type(clinic.admin).objects.filter(pk=clinic.admin.pk).update(name_en="=HYPERLINK(1)")
    for reason in ("+1", "-1", "@x", "\t=1", " =1", "＝1"):
        note(clinic, "appointment.cancelled", obj=None, after={"reason": reason})
    body = text(clinic.client(clinic.admin).post(EXPORT))
    for row in list(csv.reader(io.StringIO(body.removeprefix("\ufeff"))))[1:]:
        assert row[1] == "'=HYPERLINK(1)"
        assert not [cell for cell in row if cell.strip().startswith(("=", "+", "-", "@"))]


def test_the_export_is_read_piece_by_piece(clinic: Clinic, monkeypatch, django_assert_max_num_queries) -> None:
    monkeypatch.setattr("core.views.audit._CHUNK", 10)
    for number in range(35):
        note(clinic, after={"minutes": number})
    client = clinic.client(clinic.admin)
    with django_assert_max_num_queries(20):
        rows = text(client.post(EXPORT)).splitlines()
    # The head, the acts, and the export's own row.
    assert len(rows) == 1 + 35 + 1


def test_the_export_needs_a_post_and_an_admin(clinic: Clinic) -> None:
    assert clinic.client(clinic.admin).get(EXPORT).status_code == 405
    assert clinic.client(clinic.front_desk).post(EXPORT).status_code == 403
    assert not AuditEvent.objects.exists()


# --- The looks ------------------------------------------------------------------------------------------------------


def test_whoever_opens_a_file_is_in_the_log_and_admins_see_it_on_the_file(clinic: Clinic) -> None:
    address = reverse("core:patient_detail", args=[clinic.patient.pk])
    assert "Who looked at the messages" not in text(clinic.client(clinic.front_desk).get(address))
    assert Look.objects.get().user == clinic.front_desk
    page = text(clinic.client(clinic.admin).get(address))
    assert "Who looked at the messages" in page
    assert clinic.front_desk.name in page
    assert f"{LOOKS}?patient={clinic.patient.pk}" in page


def test_the_log_is_filtered_by_patient_person_page_and_day(clinic: Clinic) -> None:
    other = factories.PatientFactory(tenant=clinic.tenant, name_en="Omar Saleh")
    looks.record_look(user=clinic.front_desk, patient=clinic.patient, page="patient")
    looks.record_look(user=clinic.admin, patient=other, page="appointment")
    client = clinic.client(clinic.admin)

    def shown(**query) -> set[uuid.UUID]:
        return {line.look.patient_id for line in client.get(LOOKS, query).context["lines"]}

    today = timezone.localdate()
    assert shown() == {clinic.patient.pk, other.pk}
    assert shown(patient=other.pk) == {other.pk}
    assert shown(q="omar") == {other.pk}
    assert shown(who=clinic.front_desk.pk) == {clinic.patient.pk}
    assert shown(page="appointment") == {other.pk}
    assert shown(since=today + dt.timedelta(days=1)) == set()


def test_the_log_of_looks_costs_the_same_however_long(clinic: Clinic, django_assert_num_queries) -> None:
    for _number in range(30):
        patient = factories.PatientFactory(tenant=clinic.tenant)
        looks.record_look(user=clinic.front_desk, patient=patient, page="patient")
    client = clinic.client(clinic.admin)
    client.get(LOOKS)
    # session and user, people of the filter, looks, patients
    with django_assert_num_queries(4):
        client.get(LOOKS)


def test_support_that_reads_a_message_in_the_console_is_in_the_log(clinic: Clinic) -> None:
    message = written(clinic, "Your visit is tomorrow")
    support = User.accounts.create_superuser("support@agdar.example", "long enough to be one")
    client = clinic.client(support)
    assert client.get(f"/admin/notifications/message/{message.pk}/change/").status_code == 200
    look = Look.objects.get()
    assert (look.user, look.message, look.page) == (support, message.pk, Look.Page.SUPPORT)
    page = text(clinic.client(clinic.admin).get(LOOKS))
    assert f"/notifications/messages/{message.pk}/" in page
    assert "Support" in page


# --- The patient's own messages -------------------------------------------------------------------------------------


def written(clinic: Clinic, body: str, **fields) -> Message:
    return Message.objects.create(
        **{
            "tenant": clinic.tenant,
            "patient": clinic.patient,
            "channel": "SMS",
            "notification_type": "REMINDER",
            "recipient": "+966501234567",
            "language": "en",
            "body": body,
            "status": "DELIVERED",
            "dedupe_key": uuid.uuid4().hex,
            **fields,
        }
    )


def test_patients_read_what_was_sent_to_them_in_the_last_year_and_nothing_else(clinic: Clinic) -> None:
    written(clinic, "Your visit is tomorrow")
    written(clinic, "Held back by a rule", status="SUPPRESSED")
    written(clinic, "Somebody else's", patient=factories.PatientFactory(tenant=clinic.tenant))
    old = written(clinic, "Long ago")
    Message.objects.filter(pk=old.pk).update(created_at=timezone.now() - dt.timedelta(days=400))
    page = text(clinic.client(clinic.patient_user).get(MINE))
    assert "Your visit is tomorrow" in page
    for other in ("Held back", "Somebody else", "Long ago"):
        assert other not in page
    assert not Look.objects.exists(), "patients are not watched while they read their own messages"


def test_own_messages_are_for_patients(clinic: Clinic) -> None:
    for user in (clinic.admin, clinic.front_desk, clinic.provider):
        assert clinic.client(user).get(MINE).status_code == 403


def test_an_account_without_a_file_sees_an_empty_page(clinic: Clinic) -> None:
    user = factories.UserFactory(tenant=clinic.tenant, role="PATIENT")
    assert "not written to you yet" in text(clinic.client(user).get(MINE))


# --- Signing in -----------------------------------------------------------------------------------------------------


def test_coming_in_leaving_and_failing_stand_in_the_trail(clinic: Clinic) -> None:
    client = clinic.client(clinic.front_desk)
    assert not AuditEvent.objects.exists(), "a program that opens a session is no visit"
    client.post("/sign-out/")
    client.post("/sign-in/", {"username": clinic.front_desk.email, "password": "wrong"})
    client.post("/sign-in/", {"username": "nobody@noor.example", "password": "wrong"})
    client.post("/sign-in/", {"username": clinic.front_desk.email, "password": factories.PASSWORD})
    acts = list(AuditEvent.objects.order_by("created_at").values_list("action", "actor", "object_id"))
    me = clinic.front_desk.pk
    assert acts == [("sign_out.done", me, me), ("sign_in.failed", None, me), ("sign_in.done", me, me)]
    with translation.override("en"):
        assert "Somebody unknown" in text(clinic.client(clinic.admin).get(TRAIL))


def test_the_words_of_preferences_lead_to_the_patient(clinic: Clinic) -> None:
    preference = NotificationPreference.objects.create(tenant=clinic.tenant, patient=clinic.patient)
    note(clinic, "preference.updated", obj=preference, before={"sms_enabled": True}, after={"sms_enabled": False})
    page = text(clinic.client(clinic.admin).get(TRAIL))
    assert f'href="{reverse("core:patient_detail", args=[clinic.patient.pk])}"' in page
    assert "<del><bdi>Yes</bdi></del>" in page
