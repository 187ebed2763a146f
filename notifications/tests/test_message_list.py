"""The message list: what it is filtered by, whom a search finds, its pages, and the filters that people keep."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from conftest import Clinic
from core.models import AuditEvent, Look
from core.tenancy import tenant_scope
from integrations.messaging_service import MessagingService
from notifications import message_filters, saved_filters
from notifications.message_filters import MessageFilterForm
from notifications.models import BulkSend, Message, MessageTemplate, SavedFilter
from notifications.states import Channel, NotificationType, Status
from tests.factories import GuardianFactory, GuardianshipFactory, PatientFactory

LIST = reverse("notifications:message_list")


def write(clinic: Clinic, **fields: Any) -> Message:
    """A message in the queue; ``fields`` are then set on its row."""
    patient = fields.pop("patient", clinic.patient)
    message = MessagingService().send_message(
        tenant_id=clinic.tenant.pk,
        patient_id=patient.pk,
        channel=fields.pop("channel", Channel.SMS),
        subject=fields.pop("subject", ""),
        body="Please bring your card.",
        sent_by=clinic.front_desk,
    )
    if fields:
        Message.objects.filter(pk=message.pk).update(**fields)
        message.refresh_from_db()
    return message


def shown(clinic: Clinic, **query: str) -> set[uuid.UUID]:
    page = clinic.client(clinic.front_desk).get(LIST, query)
    assert page.status_code == 200, page.content.decode()
    return {row.pk for row in page.context["page"].rows}


# --- filters ---------------------------------------------------------------------------------------------------------


def test_it_filters_by_provider_template_sender_bulk_send_and_patient(clinic: Clinic) -> None:
    template = MessageTemplate.objects.create(
        tenant=clinic.tenant,
        code="own.hello",
        name="Hello",
        channel=Channel.SMS,
        notification_type=NotificationType.GENERAL,
        body_en="Hello",
    )
    bulk = BulkSend.objects.create(
        tenant=clinic.tenant,
        name="Closed today",
        source="FILTERS",
        message_class="SERVICE",
        timezone="Asia/Riyadh",
        created_by=clinic.admin,
    )
    other = PatientFactory(tenant=clinic.tenant)
    plain = write(clinic)
    wanted = {
        "provider": ("twilio", write(clinic, provider="twilio")),
        "template": (str(template.pk), write(clinic, template=template)),
        "sent_by": (str(clinic.admin.pk), write(clinic, sent_by=clinic.admin)),
        "bulk": (str(bulk.pk), write(clinic, bulk=bulk)),
        "patient": (str(other.pk), write(clinic, patient=other)),
    }
    for name, (value, message) in wanted.items():
        assert shown(clinic, **{name: value}) == {message.pk}, name
    assert plain.pk in shown(clinic)


def test_filters_are_taken_together(clinic: Clinic) -> None:
    write(clinic, provider="twilio")
    both = write(clinic, provider="twilio", status=Status.FAILED)
    assert shown(clinic, provider="twilio", status="problem") == {both.pk}
    assert shown(clinic, provider="unifonic", status="problem") == set()


def test_a_period_follows_the_calendar_of_the_clinic(clinic: Clinic) -> None:
    zone = clinic.location.zone
    today = timezone.localdate(timezone=zone)
    begins = timezone.make_aware(dt.datetime.combine(today, dt.time()), zone)
    first, last = write(clinic, created_at=begins), write(clinic, created_at=begins - dt.timedelta(seconds=1))
    assert shown(clinic, period="today") == {first.pk}
    assert shown(clinic, period="yesterday") == {last.pk}
    assert shown(clinic, period="7") == {first.pk, last.pk}
    # Days that are written down count more.
    assert shown(clinic, period="today", until=f"{today - dt.timedelta(days=1)}") == {last.pk}


@pytest.mark.parametrize("name", ["template", "sent_by", "bulk", "patient"])
def test_what_belongs_to_another_clinic_group_cannot_be_filtered_by(
    clinic: Clinic, other_clinic: Clinic, name: str
) -> None:
    with tenant_scope(other_clinic.tenant.pk):
        values = {
            "patient": other_clinic.patient.pk,
            "sent_by": other_clinic.admin.pk,
            "template": MessageTemplate.objects.create(
                tenant=other_clinic.tenant,
                code="own.hello",
                name="Hello",
                channel=Channel.SMS,
                notification_type=NotificationType.GENERAL,
                body_en="Hello",
            ).pk,
            "bulk": uuid.uuid4(),
        }
    answer = clinic.client(clinic.front_desk).get(LIST, {name: str(values[name])})
    assert answer.status_code == 422


# --- search ----------------------------------------------------------------------------------------------------------


def test_a_search_finds_people_by_what_their_files_and_guardians_say(clinic: Clinic) -> None:
    child = PatientFactory(tenant=clinic.tenant, name_en="Yousef Haddad", name_ar="يوسف حداد", phone="", email="")
    guardian = GuardianFactory(tenant=clinic.tenant, name_en="Mona Saleh", email="mona@mail.example")
    GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=guardian)
    message = write(clinic, patient=child)
    for typed in ("yousef", "haddad yousef", "يوسف", child.mrn, guardian.phone, guardian.phone[-5:], "mona", "MONA@"):
        assert shown(clinic, q=typed) == {message.pk}, typed


def test_a_number_finds_the_message_that_went_there_though_the_file_has_another_now(clinic: Clinic) -> None:
    message = write(clinic, recipient="+966551112222")
    write(clinic, patient=PatientFactory(tenant=clinic.tenant))
    assert shown(clinic, q="055 111 2222") == {message.pk}
    assert shown(clinic, q="٠٥٥١١١٢٢٢٢") == {message.pk}


def test_a_colleague_and_a_message_number_are_found(clinic: Clinic) -> None:
    message = write(clinic)
    staff = Message.objects.create(
        tenant=clinic.tenant,
        user=clinic.provider,
        channel=Channel.EMAIL,
        notification_type=NotificationType.STAFF,
        recipient=clinic.provider.email,
        language="en",
        dedupe_key="staff",
    )
    assert shown(clinic, q="layla") == {staff.pk}
    assert shown(clinic, q=clinic.provider.email) == {staff.pk}
    assert shown(clinic, q=str(message.pk)) == {message.pk}


def test_one_letter_and_half_the_town_are_no_search(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = clinic.client(clinic.front_desk)
    assert desk.get(LIST, {"q": "s"}).status_code == 422
    monkeypatch.setattr(message_filters, "MOST_PEOPLE", 0)
    answer = desk.get(LIST, {"q": "sara"})
    assert answer.status_code == 422
    assert "too many people" in answer.content.decode()


def test_the_list_of_one_patient_is_a_look_and_the_list_of_all_is_none(clinic: Clinic) -> None:
    write(clinic)
    shown(clinic)
    assert not Look.objects.exists()
    shown(clinic, patient=str(clinic.patient.pk))
    assert Look.objects.get().patient_id == clinic.patient.pk


# --- pages -----------------------------------------------------------------------------------------------------------


def test_pages_hold_each_message_once_though_new_ones_come(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_filters, "PAGE_SIZE", 3)
    # Several of one moment: the id decides.
    moment = timezone.now()
    first = [write(clinic, created_at=moment - dt.timedelta(seconds=number // 3)) for number in range(8)]
    desk = clinic.client(clinic.front_desk)
    seen: list[uuid.UUID] = []
    older = ""
    for _page in range(5):
        page = desk.get(LIST, {"older": older} if older else {}).context["page"]
        seen += [row.pk for row in page.rows]
        older = page.older
        write(clinic)
        if not older:
            break
    assert sorted(seen) == sorted(row.pk for row in first)
    back = desk.get(LIST, {"newer": page.newer}).context["page"]
    assert [row.pk for row in back.rows] == seen[3:6]


def test_a_cursor_that_nobody_made_is_the_first_page(clinic: Clinic) -> None:
    message = write(clinic)
    assert shown(clinic, older="rubbish") == {message.pk}


def test_many_messages_are_counted_up_to_a_limit(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PAGE_SIZE", 2), ("COUNTED", 3)):
        monkeypatch.setattr(message_filters, name, value)
    for _number in range(3):
        write(clinic)
    rows = Message.objects.order_by("-created_at", "-pk")
    page = message_filters.page_of(rows)
    assert message_filters.count_of(rows, page) == 3
    write(clinic)
    assert message_filters.count_of(rows, page) == 4
    deep = message_filters.page_of(rows, older=page.older)
    assert message_filters.count_of(rows, deep) is None


@pytest.mark.postgres
def test_every_filter_is_answered_from_the_index_alone(clinic: Clinic) -> None:
    """What the figures of the list rest on: a column that the index lacks would mean reading the rows of a year."""
    form = MessageFilterForm({"q": "sara", "status": "SENT", "channel": "SMS", "type": "GENERAL", "provider": "x"})
    form.is_valid()
    form.cleaned_data |= {
        **dict.fromkeys(("template", "sent_by", "bulk", "patient"), clinic.patient),
        "status": "SENT",
        "channel": "SMS",
        "type": "GENERAL",
        "provider": "x",
        "period": "",
        "q": "sara",
        "since": None,
        "until": None,
    }
    rows = form.rows(clinic.location.zone).only("created_at")[:25]
    with connection.cursor() as cursor:
        for setting in ("enable_seqscan", "enable_bitmapscan", "enable_indexscan", "enable_sort"):
            cursor.execute(f"SET LOCAL {setting} = off")
        sql, parameters = rows.query.sql_with_params()
        cursor.execute(f"EXPLAIN {sql}", parameters)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Only Scan using message_list" in plan


# --- kept filters ----------------------------------------------------------------------------------------------------


def keep(clinic: Clinic, user: Any, query: str, **fields: str) -> Any:
    return clinic.client(user).post(f"{reverse('notifications:filter_save')}?{query}", fields)


def test_a_filter_is_kept_under_a_name_and_replaced_by_it(clinic: Clinic) -> None:
    keep(clinic, clinic.front_desk, "status=FAILED&channel=SMS&older=x", name="  Failed   SMS ")
    keep(clinic, clinic.front_desk, "status=FAILED", name="Failed SMS")
    row = SavedFilter.objects.get()
    assert (row.name, row.query, row.owner, row.is_shared) == (
        "Failed SMS",
        {"status": "FAILED"},
        clinic.front_desk,
        False,
    )
    page = clinic.client(clinic.front_desk).get(LIST).content.decode()
    assert 'href="?status=FAILED"' in page
    assert 'href="?status=FAILED"' not in clinic.client(clinic.admin).get(LIST).content.decode()


def test_an_admin_shares_a_filter_and_the_desk_does_not(clinic: Clinic, other_clinic: Clinic) -> None:
    keep(clinic, clinic.front_desk, "status=FAILED", name="Mine", is_shared="1")
    assert not SavedFilter.objects.exists()
    keep(clinic, clinic.admin, "status=FAILED&q=sara", name="Ours", is_shared="1")
    assert "Ours" in clinic.client(clinic.front_desk).get(LIST).content.decode()
    assert "Ours" not in other_clinic.client(other_clinic.front_desk).get(LIST).content.decode()
    told = AuditEvent.objects.get(action="saved_filter.shared")
    assert told.after == {"fields": ["q", "status"]}


def test_only_the_owner_or_an_admin_removes_a_filter(clinic: Clinic, other_clinic: Clinic) -> None:
    row = saved_filters.save(user=clinic.admin, name="Ours", query={"status": "FAILED"}, is_shared=True)
    address = reverse("notifications:filter_remove", args=[row.pk])
    assert other_clinic.client(other_clinic.admin).post(address).status_code == 404
    clinic.client(clinic.front_desk).post(address)
    assert SavedFilter.objects.exists()
    clinic.client(clinic.admin).post(address)
    assert not SavedFilter.objects.exists()


@pytest.mark.parametrize(("query", "name"), [("status=FAILED", " "), ("", "Nothing"), ("status=LOST", "Wrong")])
def test_a_filter_without_name_or_sense_is_not_kept(clinic: Clinic, query: str, name: str) -> None:
    keep(clinic, clinic.front_desk, query, name=name)
    assert not SavedFilter.objects.exists()
