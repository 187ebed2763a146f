"""One row of a clinic for every address that names one: what the matrix of roles and the walls are tried with.

A new address with an id in it gets its row here. ``RowsOf`` makes each kind once, when the first address asks.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from functools import cached_property
from typing import Any

from django.utils import timezone

from appointments import absences, services, waiting
from appointments import series as visit_series
from appointments.models import Appointment
from conftest import Clinic
from core import holds, rights, roster, subject_exports
from core.models import Location, PatientTag, SubFile
from finance.services import invoice_issue
from integrations.messaging_service import MessagingService
from integrations.models import ProviderState
from notifications import desk_tasks, inbox, preference_links
from notifications.models import (
    ChatTarget,
    Conversation,
    DeskTask,
    MessageTemplate,
    PushSubscription,
    SuppressedAddress,
)
from notifications.states import TaskKind
from tests import factories


class RowsOf:
    """The rows of one clinic. What belongs to one person belongs to the admin."""

    def __init__(self, clinic: Clinic) -> None:
        self.clinic = clinic
        self.tenant = clinic.tenant

    def arguments(self, route: str) -> dict[str, Any]:
        """The keyword arguments of the address. Raises ``KeyError`` for an address that nobody has put here."""
        return ROWS[route](self)

    @cached_property
    def visit(self) -> Appointment:
        day = timezone.localdate() + dt.timedelta(days=2)
        return services.appointment_book(
            actor=self.clinic.front_desk,
            patient=self.clinic.patient,
            provider=self.clinic.provider,
            location=self.clinic.location,
            department=self.clinic.department,
            starts_at=timezone.make_aware(dt.datetime.combine(day, dt.time(10))),
            duration=dt.timedelta(minutes=30),
        )

    @cached_property
    def conversation(self) -> Conversation:
        return Conversation.objects.create(
            tenant=self.tenant,
            address=self.clinic.patient.phone,
            channel="WHATSAPP",
            patient=self.clinic.patient,
            state="OPEN",
            last_reply_at=timezone.now(),
        )

    @cached_property
    def desk_task(self) -> DeskTask:
        return desk_tasks.open_task(
            TaskKind.REPLY, tenant_id=self.tenant.pk, key="row", patient=self.clinic.patient, obj=self.conversation
        )

    @cached_property
    def wishes_code(self) -> str:
        return preference_links.link_for(self.clinic.patient).rpartition("/")[2]

    @cached_property
    def series(self) -> Any:
        return visit_series.series_book(
            actor=self.clinic.front_desk,
            patient=self.clinic.patient,
            provider=self.clinic.provider,
            location=self.clinic.location,
            department=self.clinic.department,
            starts_at=timezone.now() + dt.timedelta(days=100),
            duration=dt.timedelta(minutes=30),
            count=2,
        )

    @cached_property
    def provider_absence(self) -> Any:
        """Long after what else is booked."""
        begins = timezone.now() + dt.timedelta(days=200)
        return absences.call_off(
            actor=self.clinic.front_desk,
            provider=self.clinic.provider,
            starts_at=begins,
            ends_at=begins + dt.timedelta(hours=8),
            reason="x",
            key=uuid.uuid4(),
        )

    @cached_property
    def waiting(self) -> Any:
        today = timezone.localdate()
        return waiting.entry_add(
            actor=self.clinic.front_desk,
            patient=self.clinic.patient,
            department=self.clinic.department,
            first_day=today,
            last_day=today + dt.timedelta(days=30),
        )

    @cached_property
    def guardianship(self) -> Any:
        guardian = factories.GuardianFactory(tenant=self.tenant)
        return factories.GuardianshipFactory(tenant=self.tenant, patient=self.clinic.patient, guardian=guardian)

    @cached_property
    def subfile(self) -> SubFile:
        assert self.visit
        return SubFile.objects.get(patient=self.clinic.patient)

    @cached_property
    def invoice(self) -> Any:
        return invoice_issue(
            actor=self.clinic.front_desk,
            patient=self.clinic.patient,
            appointment=self.visit,
            amount_minor=10_000,
            description="Visit",
            due_on=timezone.localdate() + dt.timedelta(days=7),
        )

    @cached_property
    def tag(self) -> PatientTag:
        return PatientTag.objects.create(tenant=self.tenant, name_en="Guests")

    @cached_property
    def message(self) -> Any:
        return MessagingService().send_message(
            tenant_id=self.tenant.pk, patient_id=self.clinic.patient.pk, channel="SMS", body="x"
        )

    @cached_property
    def notification(self) -> Any:
        return inbox.notify(user=self.clinic.admin, title="x")

    @cached_property
    def provider_state(self) -> ProviderState:
        # Providers are the house's, a sender's name is the tenant's.
        Location.objects.filter(pk=self.clinic.location.pk).update(sms_sender="NOOR")
        return ProviderState.objects.create(provider="twilio", channel="SMS", sender="NOOR", state="stopped")

    @cached_property
    def stopped(self) -> SuppressedAddress:
        return SuppressedAddress.objects.create(
            tenant=self.tenant, channel="SMS", address=self.clinic.patient.phone, reason="contact_undeliverable"
        )

    @cached_property
    def browser(self) -> PushSubscription:
        return PushSubscription.objects.create(
            tenant=self.tenant,
            user=self.clinic.admin,
            endpoint="https://fcm.googleapis.com/one",
            p256dh="x",
            auth="x",
        )

    @cached_property
    def chat(self) -> ChatTarget:
        return ChatTarget.objects.create(tenant=self.tenant, name="Operations", url="https://x", kind="slack")

    @cached_property
    def absence(self) -> Any:
        return roster.absence_create(actor=self.clinic.provider, user=self.clinic.provider, cover=None, **_soon())

    @cached_property
    def shift(self) -> Any:
        return roster.shift_create(actor=self.clinic.admin, user=self.clinic.front_desk, location=None, **_soon())

    @cached_property
    def holiday(self) -> Any:
        today = timezone.localdate()
        return roster.holiday_create(actor=self.clinic.admin, name_en="x", name_ar="", first_day=today, last_day=today)

    @cached_property
    def template(self) -> MessageTemplate:
        from notifications import default_words

        default_words.install(self.tenant.pk)
        found = MessageTemplate.objects.filter(channel="SMS").order_by("code").first()
        assert found is not None
        return found

    @cached_property
    def rights_request(self) -> Any:
        return rights.rights_open(
            patient=self.clinic.patient, kind="EXPORT", asked_by=f"patient:{self.clinic.patient.pk}"
        )

    @cached_property
    def data_copy(self) -> Any:
        return subject_exports.exports_of(self.clinic.patient).create(
            tenant=self.tenant,
            patient=self.clinic.patient,
            request=self.rights_request,
            reader=self.rights_request.asked_by,
            language="en",
            status="READY",
        )

    @cached_property
    def legal_hold(self) -> Any:
        return holds.hold_place(actor=self.clinic.admin, patient=self.clinic.patient, reason="x")

    @cached_property
    def saved_filter(self) -> Any:
        from notifications.models.export import SavedFilter

        return SavedFilter.objects.create(tenant=self.tenant, owner=self.clinic.admin, name="x", query={})

    @cached_property
    def export(self) -> Any:
        from notifications.models.export import MessageExport

        return MessageExport.objects.create(
            tenant=self.tenant,
            user=self.clinic.admin,
            format="CSV",
            language="en",
            timezone="Asia/Riyadh",
            status="READY",
            expires_at=timezone.now() + dt.timedelta(days=1),
        )

    @cached_property
    def whatsapp_template(self) -> MessageTemplate:
        assert self.template
        found = MessageTemplate.objects.filter(channel="WHATSAPP").order_by("code").first()
        assert found is not None
        return found

    @cached_property
    def email_template(self) -> MessageTemplate:
        assert self.template
        found = MessageTemplate.objects.filter(channel="EMAIL").order_by("code").first()
        assert found is not None
        return found

    @cached_property
    def trial(self) -> Any:
        """A test of a provider, as the settings page sends it."""
        from notifications import trials
        from notifications.models import Message

        return Message.objects.create(
            tenant=self.tenant,
            user=self.clinic.admin,
            channel="SMS",
            notification_type="GENERAL",
            recipient="+966501234567",
            language="en",
            body="x",
            dedupe_key=trials.new_key("sandbox"),
        )

    @cached_property
    def bulk(self) -> Any:
        from notifications.models.bulk import BulkSend

        return BulkSend.objects.create(
            tenant=self.tenant,
            name="x",
            source="FILTERS",
            message_class="SERVICE",
            timezone="Asia/Riyadh",
            created_by=self.clinic.admin,
        )

    @cached_property
    def account(self) -> Any:
        from integrations.models import ProviderAccount

        return ProviderAccount.objects.create(
            tenant=self.tenant, name="unifonic@0123456789", kind="unifonic", secret="x", sms_sender="NOOR"
        )

    @cached_property
    def session_handle(self) -> str:
        """A second device of the admin."""
        from core import sessions

        self.clinic.client(self.clinic.admin)
        return sessions.sessions_of(self.clinic.admin, None)[0].handle


def _soon() -> dict[str, dt.datetime]:
    now = timezone.now()
    return {"starts_at": now + dt.timedelta(days=1), "ends_at": now + dt.timedelta(days=2)}


def _pk(attribute: str, **more: object) -> Callable[[RowsOf], dict[str, Any]]:
    return lambda rows: {"pk": getattr(rows, attribute).pk, **more}


def _patient(rows: RowsOf) -> dict[str, Any]:
    return {"pk": rows.clinic.patient.pk}


def _of(kind: str, names: str, **more: object) -> dict[str, Callable[[RowsOf], dict[str, Any]]]:
    return {name: _pk(kind, **more) for name in names.split()}


ROWS: dict[str, Callable[[RowsOf], dict[str, Any]]] = {
    **_of(
        "visit",
        "appointments:checks appointments:consent appointments:detail appointments:messages appointments:results_ready"
        " appointments:unlock_link appointments:follow_up",
    ),
    **_of("visit", "appointments:action", verb="confirm"),
    **_of("guardianship", "core:guardian_action", verb="verify"),
    **_of("guardianship", "core:guardian_update"),
    **_of("subfile", "core:consent_verify"),
    **dict.fromkeys(
        ("core:guardian_create", "core:patient_detail", "core:patient_tags", "core:patient_update"), _patient
    ),
    **dict.fromkeys(("core:patient_merge", "core:patient_number_wrong", "core:patient_restriction"), _patient),
    "core:patient_address_lift": lambda rows: {"pk": rows.clinic.patient.pk, "stopped_pk": rows.stopped.pk},
    **_of(
        "invoice",
        "finance:invoice_detail finance:invoice_payer finance:invoice_void finance:payment_create "
        "finance:payment_remind finance:refund_create",
    ),
    **_of(
        "message",
        "notifications:message_cancel notifications:message_detail notifications:message_receipts "
        "notifications:message_retry",
    ),
    **_of("desk_task", "notifications:desk_task_done notifications:desk_task_open"),
    **_of("conversation", "notifications:conversation"),
    **_of("conversation", "notifications:conversation_act", verb="take"),
    **_of("provider_state", "notifications:operations_start_again"),
    **_of("absence", "notifications:absence_end"),
    **_of("shift", "notifications:shift_remove"),
    **_of("holiday", "notifications:holiday_remove"),
    **_of("browser", "notifications:push_remove"),
    **_of("chat", "notifications:chat_remove notifications:chat_test"),
    **_of(
        "notification",
        "notifications:acknowledge notifications:archive notifications:notification notifications:open "
        "notifications:read notifications:snooze notifications:unarchive notifications:unread notifications:wake",
    ),
    **_of("series", "appointments:series"),
    **_of("provider_absence", "appointments:absence"),
    **_of("waiting", "appointments:waiting_end"),
    **_of("saved_filter", "notifications:filter_remove"),
    **_of("export", "notifications:message_export_download notifications:message_export_remove"),
    **_of(
        "template",
        "notifications:template_archive notifications:template_delete notifications:template_detail "
        "notifications:template_duplicate notifications:template_restore notifications:template_test "
        "notifications:template_toggle notifications:template_update",
    ),
    **_of("template", "notifications:template_version", number=1),
    **_of("template", "notifications:template_version_act", number=1, act="begin"),
    **_of("email_template", "notifications:template_letter", number=1),
    **_of(
        "whatsapp_template", "notifications:template_approval notifications:template_approval_refresh", language="en"
    ),
    "branding:preferences": lambda rows: {"code": rows.wishes_code},
    "branding:unsubscribe": lambda rows: {"code": rows.wishes_code, "kind": "billing"},
    "notifications:patient_wishes": lambda rows: {"pk": rows.clinic.patient.pk},
    "notifications:patient_consent": lambda rows: {"pk": rows.clinic.patient.pk},
    "core:session_end": lambda rows: {"handle": rows.session_handle},
    "core:settings_account": lambda rows: {"kind": rows.account.kind},
    "core:settings_account_remove": lambda rows: {"kind": rows.account.kind},
    "core:settings_department": lambda rows: {"pk": rows.clinic.department.pk},
    "core:settings_department_action": lambda rows: {"pk": rows.clinic.department.pk, "verb": "deactivate"},
    "core:settings_location": lambda rows: {"pk": rows.clinic.location.pk},
    "core:settings_location_action": lambda rows: {"pk": rows.clinic.location.pk, "verb": "deactivate"},
    **_of("tag", "core:settings_tag core:settings_tag_delete"),
    **_of("rights_request", "core:rights_detail"),
    "core:rights_action": lambda rows: {"pk": rows.rights_request.pk, "verb": "done"},
    **_of("data_copy", "core:rights_copy"),
    **_of("legal_hold", "core:hold_lift"),
    "core:patient_rights": lambda rows: {"pk": rows.clinic.patient.pk},
    "core:hold_create": lambda rows: {"pk": rows.clinic.patient.pk},
    "core:settings_reminders_department": lambda rows: {"pk": rows.clinic.department.pk},
    "core:settings_user": lambda rows: {"pk": rows.clinic.front_desk.pk},
    "core:settings_user_action": lambda rows: {"pk": rows.clinic.front_desk.pk, "verb": "deactivate"},
    **_of("trial", "core:settings_trial"),
    **_of(
        "bulk",
        "notifications:bulk_detail notifications:bulk_errors notifications:bulk_missed notifications:bulk_submit "
        "notifications:bulk_words",
    ),
    **_of("bulk", "notifications:bulk_action", verb="discard"),
}

# Addresses that are asked with the id of a row in the query.
QUERIES: dict[str, Callable[[RowsOf], dict[str, Any]]] = {
    "finance:invoice_create": lambda rows: {"appointment": rows.visit.pk},
    "branding:preview": lambda rows: {"lang": "en"},
    "notifications:message_send": lambda rows: {"patient": rows.clinic.patient.pk},
}
