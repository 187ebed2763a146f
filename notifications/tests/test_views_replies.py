"""The pages around replies: the work list, the inbox of replies, the answer by hand, the rules."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conftest import Clinic
from core.models import AuditEvent, Look
from core.tenancy import tenant_scope
from integrations import answering
from notifications import capabilities, desk_tasks
from notifications.models import (
    Conversation,
    DeskTask,
    InboundMessage,
    Message,
    ReplySettings,
    SenderCapability,
)
from notifications.states import NotificationType, Status, TaskKind


def sent(clinic: Clinic, channel: str = "WHATSAPP", sender: str = "+966920000000") -> Message:
    return Message.objects.create(
        tenant=clinic.tenant,
        patient=clinic.patient,
        notification_type=NotificationType.GENERAL,
        channel=channel,
        recipient=clinic.patient.phone,
        sender=sender,
        language="ar",
        body="مرحبًا من العيادة",
        status=Status.SENT,
        sent_at=timezone.now(),
        dedupe_key=f"x:{uuid.uuid4()}",
    )


@pytest.fixture
def conversation(clinic: Clinic) -> Conversation:
    """A patient has written by WhatsApp an hour ago, and nobody has read it."""
    message = sent(clinic)
    made = Conversation.objects.create(
        tenant=clinic.tenant,
        address=clinic.patient.phone,
        channel="WHATSAPP",
        patient=clinic.patient,
        state="OPEN",
        unread=1,
        last_reply_at=timezone.now(),
    )
    InboundMessage.objects.create(
        tenant=clinic.tenant,
        channel="WHATSAPP",
        sender=clinic.patient.phone,
        to="+966920000000",
        body="هل يوجد موقف سيارات؟",
        provider="twilio",
        provider_message_id="SM1",
        patient=clinic.patient,
        in_reply_to=message,
        conversation=made,
        outcome="STAFF",
        handled_at=timezone.now(),
    )
    desk_tasks.open_task(TaskKind.REPLY, tenant_id=clinic.tenant.pk, key=str(made.pk), patient=clinic.patient, obj=made)
    return made


def post(clinic: Clinic, conversation: Conversation, **form: str) -> Any:
    values = {"key": str(uuid.uuid4()), "channel": "WHATSAPP", "body": "نعم، أمام المدخل.", **form}
    return clinic.client(clinic.front_desk).post(f"/notifications/replies/{conversation.pk}/", values)


def test_the_inbox_shows_what_waits_and_the_page_both_sides(clinic: Clinic, conversation: Conversation) -> None:
    client = clinic.client(clinic.front_desk)
    page = client.get("/notifications/replies/").content.decode()
    assert clinic.patient.name_en in page
    assert "1 unread" in page
    thread = client.get(f"/notifications/replies/{conversation.pk}/").content.decode()
    assert "هل يوجد موقف سيارات؟" in thread
    assert "مرحبًا من العيادة" in thread
    assert Look.objects.filter(user=clinic.front_desk, patient=clinic.patient).exists()
    conversation.refresh_from_db()
    assert conversation.unread == 1, "looking changes nothing"


def test_an_answer_goes_to_that_number_from_the_same_sender_once(clinic: Clinic, conversation: Conversation) -> None:
    key = str(uuid.uuid4())
    assert post(clinic, conversation, key=key).status_code == 302
    assert post(clinic, conversation, key=key).status_code == 302
    message = Message.objects.get(sent_by=clinic.front_desk)
    assert (message.recipient, message.sender, message.channel) == (clinic.patient.phone, "+966920000000", "WHATSAPP")
    conversation.refresh_from_db()
    assert (conversation.unread, conversation.assigned_to) == (0, clinic.front_desk)


def test_after_a_day_whatsapp_takes_no_free_words(clinic: Clinic, conversation: Conversation) -> None:
    InboundMessage.objects.update(created_at=timezone.now() - dt.timedelta(hours=25))
    assert post(clinic, conversation).status_code == 422
    assert not Message.objects.filter(sent_by=clinic.front_desk).exists()
    page = clinic.client(clinic.front_desk).get(f"/notifications/replies/{conversation.pk}/").content.decode()
    assert 'value="WHATSAPP"' not in page
    assert post(clinic, conversation, channel="SMS").status_code == 302
    assert Message.objects.get(sent_by=clinic.front_desk).channel == "SMS"
    with pytest.raises(Exception, match="within a day"):
        answering.answer_by_hand(
            conversation=conversation, actor=clinic.front_desk, channel="WHATSAPP", body="x", key=uuid.uuid4()
        )


def test_taking_and_ending_a_conversation_ends_its_task(clinic: Clinic, conversation: Conversation) -> None:
    client = clinic.client(clinic.front_desk)
    client.post(f"/notifications/replies/{conversation.pk}/take/")
    conversation.refresh_from_db()
    assert (conversation.assigned_to, conversation.unread) == (clinic.front_desk, 0)
    assert clinic.patient.name_en in client.get("/notifications/replies/?show=mine").content.decode()
    client.post(f"/notifications/replies/{conversation.pk}/done/")
    conversation.refresh_from_db()
    assert conversation.state == "DONE"
    assert DeskTask.objects.get().state == "DONE"
    assert set(AuditEvent.objects.values_list("action", flat=True)) >= {
        "conversation.assigned",
        "conversation.done",
        "desk_task.done",
    }
    assert clinic.patient.name_en not in client.get("/notifications/replies/").content.decode()
    assert client.post(f"/notifications/replies/{conversation.pk}/nonsense/").status_code == 404


def test_the_work_list_leads_to_the_thing_and_a_task_is_done_once(clinic: Clinic, conversation: Conversation) -> None:
    client = clinic.client(clinic.front_desk)
    task = DeskTask.objects.get()
    assert client.get(f"/notifications/tasks/{task.pk}/")["Location"] == f"/notifications/replies/{conversation.pk}/"
    page = client.get("/notifications/tasks/").content.decode()
    assert "1 task to do" in page
    client.post(f"/notifications/tasks/{task.pk}/done/", {"note": "  called   back "})
    client.post(f"/notifications/tasks/{task.pk}/done/", {"note": "again"})
    task.refresh_from_db()
    assert (task.state, task.note, task.ended_by) == ("DONE", "called back", clinic.front_desk)
    assert "called back" in client.get("/notifications/tasks/?show=ended").content.decode()
    assert "Nothing to do" in client.get("/notifications/tasks/").content.decode()


def test_the_list_filters_by_kind_and_begins_with_what_is_urgent(clinic: Clinic) -> None:
    for kind, is_urgent in ((TaskKind.REBOOK, False), (TaskKind.CALL, False), (TaskKind.EMERGENCY, True)):
        desk_tasks.open_task(kind, tenant_id=clinic.tenant.pk, key="k", patient=clinic.patient, is_urgent=is_urgent)
    assert [row.kind for row in desk_tasks.listed()] == ["EMERGENCY", "REBOOK", "CALL"]
    assert [row.kind for row in desk_tasks.listed(kind="CALL")] == ["CALL"]
    page = clinic.client(clinic.front_desk).get("/notifications/tasks/?kind=CALL").content.decode()
    assert "1 task to do" in page


@pytest.mark.parametrize("address", ["/notifications/tasks/", "/notifications/replies/?show=all"])
def test_the_lists_cost_the_same_for_one_row_and_for_forty(
    clinic: Clinic, conversation: Conversation, address: str
) -> None:
    client = clinic.client(clinic.front_desk)
    client.get(address)

    def cost() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert client.get(address).status_code == 200
        return len(seen)

    one = cost()
    for number in range(40):
        desk_tasks.open_task(TaskKind.CALL, tenant_id=clinic.tenant.pk, key=str(number), patient=clinic.patient)
        Conversation.objects.create(
            tenant=clinic.tenant,
            address=f"+9665012300{number:02d}",
            channel="SMS",
            patient=clinic.patient,
            assigned_to=clinic.front_desk,
            last_reply_at=timezone.now(),
        )
    assert cost() == one


def test_nobody_reads_another_clinics_conversations(
    clinic: Clinic, other_clinic: Clinic, conversation: Conversation
) -> None:
    stranger = other_clinic.client(other_clinic.front_desk)
    assert stranger.get(f"/notifications/replies/{conversation.pk}/").status_code == 404
    assert stranger.post(f"/notifications/replies/{conversation.pk}/done/").status_code == 404
    assert stranger.get(f"/notifications/tasks/{DeskTask.objects.get().pk}/").status_code == 404
    with tenant_scope(other_clinic.tenant.pk):
        assert not Conversation.objects.exists()
    assert clinic.client(clinic.provider).get("/notifications/replies/").status_code == 403


def test_the_rules_are_saved_and_refused_with_a_sentence(clinic: Clinic) -> None:
    client = clinic.client(clinic.admin)
    form = {"part": "rules", "emergency_number": "911", "most_a_minute": "4", "emergency_words": "نوبة صرع\nseizure"}
    assert client.post("/settings/replies/", form).status_code == 302
    kept = ReplySettings.objects.get()
    assert (kept.emergency_number, kept.most_a_minute, kept.emergency_words) == ("911", 4, ["نوبة صرع", "seizure"])
    answer = client.post("/settings/replies/", {**form, "emergency_words": "a"})
    assert answer.status_code == 422
    assert "at least three letters" in answer.content.decode()


def test_a_senders_abilities_are_data_and_a_name_is_never_answered(clinic: Clinic) -> None:
    assert not capabilities.of(clinic.tenant.pk, "SMS", "CLINIC").two_way
    assert capabilities.of(clinic.tenant.pk, "WHATSAPP", "").two_way
    client = clinic.client(clinic.admin)
    form = {"part": "SMS:CLINIC", "max_sender_len": "11", "url_hosts": "clinic.example"}
    assert client.post("/settings/replies/", form).status_code == 302
    kept = SenderCapability.objects.get()
    assert (kept.two_way, kept.dlr, kept.url_hosts) == (False, False, ["clinic.example"])
    answer = client.post("/settings/replies/", {**form, "two_way": "on"})
    assert answer.status_code == 422
    assert "cannot be answered" in answer.content.decode()
    assert "not among the allowed hosts" in answer.content.decode()
    assert client.post("/settings/replies/", {**form, "url_hosts": "http://x"}).status_code == 422
