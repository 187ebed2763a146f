"""Who may enter where: every address × every role × GET and POST, from one table, and the walls between clinic groups.

A new address needs a line in ``DOORS`` and, when a row stands in it, one in ``tests/route_rows.py``. The two clinic groups
are made once for the whole file; each request is undone after its answer.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import translation

from conftest import Clinic, make_clinic
from core.access import SIGNED_IN, Can, allows
from core.models import User
from core.tenancy import tenant_scope
from tests.route_rows import QUERIES, ROWS, RowsOf

pytestmark = pytest.mark.django_db

PUBLIC = "public"
# What everybody who is let in must be able to do there → the addresses.
DOORS: dict[str, str] = {
    PUBLIC: """
        :healthz :readyz :None appointments:again appointments:link appointments:offer appointments:series_link
        appointments:link_calendar appointments:link_times
        integrations:email_events integrations:sandbox
        integrations:sandbox_refresh integrations:sandbox_reply integrations:twilio_inbound integrations:twilio_status
        integrations:unifonic_status notifications:push_worker
        branding:logo branding:open_pixel branding:preferences branding:short_link branding:unsubscribe
        portal:sign_in portal:code portal:choose portal:sign_out portal:overview portal:messages portal:consents
        portal:requests portal:request_withdraw portal:copy
        core:password_forgot core:password_link core:set_language core:sign_in core:sign_in_code core:sign_out
    """,
    SIGNED_IN: """
        core:account core:password_change core:recovery_codes core:recovery_codes_file core:second_factor_disable
        core:second_factor_enable core:session_end core:sessions_end
    """,
    Can.USE_BELL: """
        core:home notifications:dashboard notifications:bell notifications:bell_list notifications:inbox
        notifications:preferences notifications:preferences_quiet notifications:absence_create notifications:absence_end
        notifications:notification notifications:open notifications:acknowledge notifications:archive
        notifications:unarchive notifications:read notifications:unread notifications:read_all notifications:snooze
        notifications:wake notifications:undo notifications:push_devices notifications:push_remove
        notifications:push_subscribe notifications:push_unsubscribe notifications:push_test notifications:push_token
        notifications:chat_mine_add notifications:chat_remove notifications:chat_test
    """,
    Can.SEE_OWN_CARE: "core:own_messages",
    Can.TREAT: "appointments:day",
    Can.SEE_APPOINTMENTS: """
        appointments:list appointments:calendar appointments:detail appointments:checks appointments:action
        appointments:results_ready
    """,
    Can.MANAGE_APPOINTMENTS: """
        appointments:create appointments:create_hints appointments:create_patients appointments:unlock_link
        appointments:absences appointments:absence appointments:series appointments:waiting appointments:waiting_add
        appointments:waiting_end appointments:follow_up
    """,
    Can.SEE_PATIENTS: "core:patient_list core:patient_detail notifications:patient_wishes",
    Can.EDIT_PATIENTS: """
        core:patient_rights
        core:patient_create core:patient_update core:patient_duplicates core:patient_address_lift core:guardian_create
        core:guardian_action core:guardian_update core:consent_verify core:patient_tags appointments:consent
        core:patient_restriction core:patient_number_wrong notifications:patient_consent
    """,
    Can.TAKE_PAYMENTS: """
        finance:invoice_create finance:invoice_detail finance:invoice_payer finance:payment_create
        finance:payment_remind
    """,
    Can.SEE_MESSAGES: """
        appointments:messages notifications:message_list notifications:message_detail notifications:filter_save
        notifications:filter_remove
    """,
    Can.SEND_MESSAGES: """
        notifications:message_send notifications:message_counter notifications:message_cancel
        notifications:desk_tasks notifications:desk_task_open notifications:desk_task_done
        notifications:conversations notifications:conversation notifications:conversation_act
    """,
    Can.RETRY_MESSAGES: "notifications:message_retry",
    Can.EXPORT_MESSAGES: """
        notifications:message_export notifications:message_exports notifications:message_export_download
        notifications:message_export_remove
    """,
    Can.MANAGE_TEMPLATES: """
        notifications:template_list notifications:template_create notifications:template_preview
        notifications:template_preview_letter
        notifications:template_detail notifications:template_update notifications:template_delete
        notifications:template_toggle notifications:template_test notifications:template_duplicate
        notifications:template_archive notifications:template_restore notifications:template_version
        notifications:template_version_act notifications:template_letter notifications:template_approval
        notifications:template_approval_refresh
    """,
    Can.SEE_AUDIT: "core:audit core:audit_export core:looks",
    Can.SEND_BULK: """
        notifications:bulk_message notifications:bulk_create notifications:bulk_closed notifications:bulk_detail
        notifications:bulk_words notifications:bulk_submit notifications:bulk_errors notifications:bulk_missed
        notifications:bulk_action
    """,
    Can.SEE_ANALYTICS: "notifications:analytics notifications:figure_messages",
    Can.MANAGE_SETTINGS: """
        appointments:policy
        finance:billing_settings core:rights_list core:rights_detail core:rights_action core:rights_copy core:hold_create core:hold_lift
        branding:settings branding:preview core:settings core:settings_classes core:settings_consents core:settings_account core:settings_account_remove core:settings_replies
        core:settings_clinic core:settings_department core:settings_department_action core:settings_departments
        core:settings_hours core:settings_location core:settings_location_action core:settings_location_create
        core:settings_locations core:settings_reminders core:settings_reminders_department core:settings_retention core:settings_second_step core:settings_senders
        core:settings_trial core:settings_trial_send core:settings_user core:settings_user_action
        core:settings_user_create core:settings_users core:settings_tag core:settings_tag_delete core:settings_tags
    """,
    Can.ADMINISTER: """
        core:settings_opt_log
        core:patient_merge core:patient_twins finance:invoice_void finance:refund_create
        notifications:chat_team_add notifications:team notifications:team_minutes notifications:team_absence_create notifications:shift_create
        notifications:shift_remove notifications:holiday_create notifications:holiday_remove notifications:announcements
        notifications:operations notifications:operations_start_again notifications:message_receipts
    """,
}
DOOR_OF = {route: door for door, routes in DOORS.items() for route in routes.split()}

# Rows of one person: for everybody else of the clinic they are not there. ``ROWS`` gives them to the admin.
OWN = {
    "notifications:notification", "notifications:open", "notifications:acknowledge", "notifications:archive",
    "notifications:unarchive", "notifications:read", "notifications:unread", "notifications:snooze",
    "notifications:wake", "notifications:chat_remove", "notifications:chat_test", "notifications:push_remove", "notifications:filter_remove", "core:session_end",
}  # fmt: skip
# Past the door the rules of a page answer these roles differently: (address, role) → what is right, and why.
INSIDE_RULES: dict[tuple[str, str], tuple[set[int], str]] = {
    ("notifications:preferences", "PATIENT"): ({403}, "a patient's choices stand in their file"),
    ("notifications:preferences_quiet", "PATIENT"): ({403}, "the same"),
    ("notifications:absence_create", "PATIENT"): ({403}, "patients have no duty to be absent from"),
    ("notifications:absence_end", "PATIENT"): ({403}, "the same"),
    ("notifications:absence_end", "FRONT_DESK"): ({404}, "a colleague's absence"),
    ("appointments:action", "PROVIDER"): ({403, 422}, "confirming is the desk's verb"),
}
# Each clinic group has its own behind the same name: an outsider finds theirs, never this one's.
OWN_BY_NAME = {"core:settings_account"}

# --- The contract, in words the table must agree with ---------------------------------------------------------------


def test_the_roles_may_do_what_the_contract_says() -> None:
    """Front desk: messages, single ones, retries. Provider and patient: nothing about other people's messages."""

    def may(role: str) -> set[Can]:
        return {can for can in Can if allows(User(role=role, tenant_id=uuid.uuid4()), can)}

    management = {
        Can.MANAGE_TEMPLATES, Can.SEND_BULK, Can.SEE_ANALYTICS, Can.EXPORT_MESSAGES, Can.SEE_AUDIT,
        Can.MANAGE_SETTINGS, Can.ADMINISTER,
    }  # fmt: skip
    messages = {Can.SEE_MESSAGES, Can.SEND_MESSAGES, Can.RETRY_MESSAGES}
    assert may("ADMIN") >= management | messages
    assert may("FRONT_DESK") >= messages
    assert not may("FRONT_DESK") & management
    assert not may("PROVIDER") & (management | messages | {Can.SEE_PATIENTS})
    assert may("PATIENT") == {Can.USE_BELL, Can.SEE_OWN_CARE}
    assert not any(allows(User(role="ADMIN", tenant_id=None), can) for can in Can), "support has no clinic to act in"


# --- Every address --------------------------------------------------------------------------------------------------


def routes(patterns: list[URLPattern | URLResolver], namespace: str = "") -> Iterator[tuple[str, URLPattern]]:
    for entry in patterns:
        if isinstance(entry, URLResolver):
            if entry.app_name != "admin":
                yield from routes(entry.url_patterns, f"{entry.namespace or namespace}")
        else:
            yield f"{namespace}:{entry.name}", entry


ROUTES = dict(sorted(routes(get_resolver().url_patterns)))
INSIDE = [route for route in ROUTES if DOOR_OF.get(route, "") != PUBLIC]


def test_every_address_stands_in_the_table_with_its_door() -> None:
    new = {
        f"{route}: {getattr(entry.callback, 'access', None)}" for route, entry in ROUTES.items() if route not in DOOR_OF
    }
    assert not new, f"add to DOORS in tests/test_roles.py: {sorted(new)}"
    gone = set(DOOR_OF) - set(ROUTES)
    assert not gone, f"take out of DOORS in tests/test_roles.py: {sorted(gone)}"
    for route, entry in ROUTES.items():
        assert entry.callback.access == DOOR_OF[route], route


def test_every_address_with_a_row_in_it_has_one_to_be_tried_with() -> None:
    lacking = {route for route in INSIDE if ROUTES[route].pattern.converters and route not in ROWS}
    assert not lacking, f"add to ROWS in tests/route_rows.py: {sorted(lacking)}"


@dataclass
class World:
    """Two clinic groups, the rows of the first, and an open session for each person."""

    clinic: Clinic
    other: Clinic
    leaver: User
    rows: RowsOf
    sessions: dict[uuid.UUID, str] = field(default_factory=dict)
    # One for all: the middleware is built once.
    client: Client = field(default_factory=Client)

    def ask(self, user: User | None, method: str, address: str, **extra: object) -> int:
        """The status of the answer; what the request wrote is gone afterwards."""
        self.client.cookies.clear()
        if user is not None:
            self.client.cookies[settings.SESSION_COOKIE_NAME] = self.sessions[user.pk]
        with undone(), translation.override("en"):
            response = self.client.generic(method, address, **extra)
            if response.streaming:
                b"".join(response.streaming_content)
            if response.status_code == 302 and response.headers["Location"].startswith(reverse("core:sign_in")):
                return 401
            return response.status_code


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[World]:
    patch = pytest.MonkeyPatch()
    patch.setattr("socket.getaddrinfo", _no_network)
    # The pages of the refusals have tests of their own, and are most of the work here.
    for status in (403, 404):
        patch.setattr(f"agdar.urls.handler{status}", _short(status), raising=False)
    with django_db_blocker.unblock(), undone():
        clinic, other = make_clinic("noor"), make_clinic("amal")
        with tenant_scope(clinic.tenant.pk):
            rows = RowsOf(clinic)
            leaver = type(clinic.admin).objects.get(pk=clinic.colleague.pk)
            leaver.role = "ADMIN"
            leaver.save()
            made = World(clinic, other, leaver, rows)
            people = (clinic.admin, clinic.front_desk, clinic.provider, clinic.patient_user, leaver)
            for user in (*people, other.admin, other.provider):
                made.sessions[user.pk] = clinic.client(user).cookies[settings.SESSION_COOKIE_NAME].value
            leaver.is_active = False
            leaver.save()
            for route in INSIDE:
                if route in ROWS:
                    rows.arguments(route)
        yield made
    patch.undo()


def _short(status: int) -> Callable[..., HttpResponse]:
    def answer(request: HttpRequest, exception: Exception) -> HttpResponse:
        return HttpResponse(status=status)

    return answer


def _no_network(*args: object, **kwargs: object) -> None:
    """A page that calls somebody outside finds nobody, at once."""
    raise OSError("no network in this test")


def address_of(world: World, route: str) -> str:
    """With the row of the first clinic group in it, where it names one."""
    with tenant_scope(world.clinic.tenant.pk):
        address = reverse(route, kwargs=world.rows.arguments(route) if ROUTES[route].pattern.converters else {})
        query = QUERIES[route](world.rows) if route in QUERIES else {}
    return f"{address}?{urlencode(query)}" if query else address


@pytest.mark.parametrize("route", INSIDE)
def test_everybody_gets_in_where_they_may_and_nowhere_else(world: World, route: str) -> None:
    address, door = address_of(world, route), DOOR_OF[route]
    has_row = (route in QUERIES and route != "branding:preview") or (
        bool(ROUTES[route].pattern.converters) and route not in OWN_BY_NAME
    )
    clinic = world.clinic
    wrong: list[str] = []

    def expect(who: str, user: User | None, right: set[int] | None) -> None:
        """``right`` None: let in, whatever the page then says to an empty form."""
        said = {method: world.ask(user, method, address) for method in ("GET", "POST")}
        answers = set(said.values()) - {405}
        fits = bool(answers) and (answers <= right if right is not None else not answers & {401, 403, 404, 500})
        if not fits:
            wrong.append(f"{who}: {said}, not {right or 'let in'}")

    expect("a stranger", None, {401})
    expect("somebody who left", world.leaver, {401})
    if world.ask(None, "GET", address, headers={"HX-Request": "true"}) != 401:
        wrong.append("a stranger's fragment")
    for user in (clinic.admin, clinic.front_desk, clinic.provider, clinic.patient_user):
        if door != SIGNED_IN and not allows(user, Can(door)):
            expect(user.role, user, {403})
        elif (route, user.role) in INSIDE_RULES:
            expect(user.role, user, INSIDE_RULES[route, user.role][0])
        elif route in OWN and user != clinic.admin:
            expect(user.role, user, {404})
        else:
            expect(user.role, user, None)
    # The highest role passes the door, not the wall.
    for outsider in (world.other.admin, world.other.provider):
        shut = door != SIGNED_IN and not allows(outsider, Can(door))
        expect(f"the other clinic's {outsider.role}", outsider, {403} if shut else {404} if has_row else None)
    assert not wrong, f"{route} ({door})\n" + "\n".join(wrong)
