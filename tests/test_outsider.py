"""Every address that names a row, tried by the people of another clinic group: they learn nothing, not even that it is."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from appointments import services
from appointments.models import Appointment
from conftest import Clinic
from core import roster
from core.models import Guardianship, Location, SubFile, User
from finance.services import invoice_issue
from integrations.messaging_service import MessagingService
from integrations.models import ProviderState
from notifications import inbox
from notifications.models import ChatTarget, MessageExport, PushSubscription, SavedFilter, SuppressedAddress
from tests import factories

# These name no row of a tenant, or are called by providers and patients who prove themselves otherwise.
PUBLIC = {"link", "twilio_status", "unifonic_status", "password_link"}
# Of one person, not of a tenant: core/tests/test_accounts.py tries colleagues and outsiders.
OWN = {"session_end"}


def routes(patterns: list[URLPattern | URLResolver], namespace: str = "") -> Iterator[tuple[str, URLPattern]]:
    for entry in patterns:
        if isinstance(entry, URLResolver):
            if entry.app_name != "admin":
                yield from routes(entry.url_patterns, f"{entry.namespace or namespace}")
        else:
            yield f"{namespace}:{entry.name}", entry


WITH_A_ROW = sorted(
    name
    for name, entry in routes(get_resolver().url_patterns)
    if entry.pattern.converters and entry.name not in PUBLIC | OWN
)


@pytest.fixture
def visit(clinic: Clinic, ten_oclock: dt.datetime) -> Appointment:
    return services.appointment_book(
        actor=clinic.front_desk,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=ten_oclock,
        duration=dt.timedelta(minutes=30),
    )


@pytest.fixture
def rows(clinic: Clinic, visit: Appointment) -> dict[str, dict[str, object]]:
    """Route → the arguments that name a row of ``clinic``."""
    guardian = factories.GuardianFactory(tenant=clinic.tenant)
    guardianship: Guardianship = factories.GuardianshipFactory(
        tenant=clinic.tenant, patient=clinic.patient, guardian=guardian
    )
    invoice = invoice_issue(
        actor=clinic.front_desk,
        patient=clinic.patient,
        appointment=visit,
        amount_minor=10_000,
        description="Visit",
        due_on=timezone.localdate() + dt.timedelta(days=7),
    )
    message = MessagingService().send_message(
        tenant_id=clinic.tenant.pk, patient_id=clinic.patient.pk, channel="SMS", body="x"
    )
    notification = inbox.notify(user=clinic.admin, title="x")
    # Providers are the house's, a sender's name is the tenant's.
    Location.objects.filter(pk=clinic.location.pk).update(sms_sender="NOOR")
    state = ProviderState.objects.create(provider="twilio", channel="SMS", sender="NOOR", state="stopped")
    suppressed = SuppressedAddress.objects.create(
        tenant=clinic.tenant, channel="SMS", address=clinic.patient.phone, reason="contact_undeliverable"
    )
    browser = PushSubscription.objects.create(
        tenant=clinic.tenant, user=clinic.admin, endpoint="https://fcm.googleapis.com/one", p256dh="x", auth="x"
    )
    channel = ChatTarget.objects.create(tenant=clinic.tenant, name="Operations", url="https://x", kind="slack")
    soon = {"starts_at": timezone.now() + dt.timedelta(days=1), "ends_at": timezone.now() + dt.timedelta(days=2)}
    absence = roster.absence_create(actor=clinic.provider, user=clinic.provider, cover=None, **soon)
    shift = roster.shift_create(actor=clinic.admin, user=clinic.front_desk, location=None, **soon)
    today = timezone.localdate()
    holiday = roster.holiday_create(actor=clinic.admin, name_en="x", name_ar="", first_day=today, last_day=today)
    kept = SavedFilter.objects.create(tenant=clinic.tenant, owner=clinic.admin, name="x", query={"channel": "SMS"})
    export = MessageExport.objects.create(
        tenant=clinic.tenant, user=clinic.admin, format="CSV", language="en", timezone="Asia/Riyadh", status="READY"
    )
    by_namespace: dict[str, object] = {
        "notifications:push_": browser.pk,
        "notifications:chat_": channel.pk,
        "appointments": visit.pk,
        "core:patient_": clinic.patient.pk,
        "core:guardian_create": clinic.patient.pk,
        "core:guardian_action": guardianship.pk,
        "core:consent_": SubFile.objects.get(patient=clinic.patient).pk,
        "finance": invoice.pk,
        "notifications:message_export_": export.pk,
        "notifications:filter_remove": kept.pk,
        "notifications:message_": message.pk,
        "notifications:operations_": state.pk,
        "notifications:absence_end": absence.pk,
        "notifications:shift_remove": shift.pk,
        "notifications:holiday_remove": holiday.pk,
        "notifications:read": notification.pk,
        "notifications:open": notification.pk,
        # The acts on a notification.
        "notifications:": notification.pk,
    }

    def arguments(route: str) -> dict[str, object]:
        pk = next(value for prefix, value in by_namespace.items() if route.startswith(prefix))
        verbs = {"appointments:action": "confirm", "core:guardian_action": "verify"}
        more = {"stopped_pk": suppressed.pk} if route == "core:patient_address_lift" else {}
        return {"pk": pk, **more, **({"verb": verbs[route]} if route in verbs else {})}

    return {route: arguments(route) for route in WITH_A_ROW}


def answers(clinic: Clinic, user: User, address: str) -> set[int]:
    """What GET and POST say, without the one that the page does not know."""
    client = clinic.client(user)
    return {client.get(address).status_code, client.post(address).status_code} - {405}


@pytest.mark.parametrize("route", WITH_A_ROW)
def test_no_outsider_finds_the_row(
    clinic: Clinic, other_clinic: Clinic, rows: dict[str, dict[str, object]], route: str
) -> None:
    address = reverse(route, kwargs=rows[route])
    for outsider in (other_clinic.admin, other_clinic.front_desk, other_clinic.provider, other_clinic.patient_user):
        assert answers(other_clinic, outsider, address) <= {403, 404}, outsider.role
    assert answers(other_clinic, other_clinic.admin, address) == {404}, "the highest role passes the door, not the wall"


@pytest.mark.parametrize("route", WITH_A_ROW)
def test_the_insider_does(clinic: Clinic, rows: dict[str, dict[str, object]], route: str) -> None:
    assert not answers(clinic, clinic.admin, reverse(route, kwargs=rows[route])) & {403, 404}


@pytest.mark.parametrize(
    ("route", "parameter"),
    [
        ("notifications:message_send", "patient"),
        ("appointments:create", "patient"),
        ("finance:invoice_create", "appointment"),
    ],
)
def test_a_foreign_id_in_the_query_shows_nothing(
    clinic: Clinic, other_clinic: Clinic, visit: Appointment, route: str, parameter: str
) -> None:
    type(clinic.patient).objects.filter(pk=clinic.patient.pk).update(name_en="Secret Person", name_ar="اسم سري")
    row = {"patient": clinic.patient.pk, "appointment": visit.pk}[parameter]
    response = other_clinic.client(other_clinic.admin).get(reverse(route), {parameter: row})
    assert b"Secret" not in response.content
    assert "سري" not in response.content.decode()


def test_an_id_that_nobody_has_is_not_found(clinic: Clinic) -> None:
    response = clinic.client(clinic.admin).get(reverse("appointments:detail", args=[uuid.uuid4()]))
    assert response.status_code == 404
