"""Nothing that changes something goes by unnoticed: every address that takes a POST, and what the trail then tells.

A new address that takes a POST needs a line in ``AUDITED`` (the actions it leaves behind) or in ``NOT_AUDITED`` (why it
leaves none). That the row is written is tested where the act is.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from django.conf import settings

from core.audit_words import ACTIONS, GROUPS
from tests.test_roles import ROUTES

AUDITED: dict[str, str] = {
    "appointments:action": "appointment.cancelled appointment.no_show appointment.unconfirmed appointment.reinstated",
    "appointments:consent": "consent.verified",
    "appointments:absence": "provider_absence.lifted",
    "appointments:absences": "provider_absence.called_off appointment.cancelled",
    "appointments:create": "appointment.booked series.booked",
    "appointments:follow_up": "no_show.followed_up",
    "appointments:policy": "visit_policy.set",
    "appointments:series": "series.cancelled appointment.cancelled",
    "appointments:waiting_add": "waitlist.added",
    "appointments:waiting_end": "waitlist.ended",
    "appointments:unlock_link": "appointment.link_unlocked",
    "branding:preferences": "preference.updated consent.granted consent.withdrawn",
    "branding:settings": "brand.changed",
    "branding:unsubscribe": "preference.updated consent.withdrawn",
    "core:account": "user.profile_updated",
    "core:audit_export": "audit.exported",
    "core:consent_verify": "consent.verified",
    "core:guardian_action": "guardian.verified guardian.made_primary guardian.blocked guardian.unblocked guardian.removed",
    "core:guardian_create": "guardian.added",
    "core:guardian_update": "guardian.updated guardian.terms_set",
    "core:patient_merge": "patient.merged",
    "core:patient_number_wrong": "patient.number_wrong",
    "core:patient_restriction": "patient.restricted patient.unrestricted",
    "core:password_change": "password.changed",
    "core:password_forgot": "password.reset_asked",
    "core:password_link": "password.set_by_link",
    "core:patient_address_lift": "suppressed_address.lifted",
    "core:patient_create": "patient.created guardian.added preference.created",
    "core:patient_update": "patient.updated guardian.updated preference.updated",
    "core:recovery_codes": "second_factor.codes_made",
    "core:second_factor_disable": "second_factor.removed",
    "core:second_factor_enable": "second_factor.added",
    "core:session_end": "session.revoked",
    "core:sessions_end": "session.others_revoked",
    "core:settings_account": "provider_account.added provider_account.replaced",
    "core:settings_account_remove": "provider_account.removed",
    "core:settings_classes": "class_rule.set",
    "core:settings_replies": "reply_rules.set sender_capability.set",
    "core:settings_consents": "consent_text.set sending_rule.set",
    "core:settings_opt_log": "opt_log.exported",
    "notifications:patient_consent": "consent.granted consent.refused consent.withdrawn",
    "core:settings_clinic": "clinic.updated moving.set",
    "core:settings_department": "department.updated",
    "core:settings_department_action": "department.updated",
    "core:settings_departments": "department.created",
    "core:settings_hours": "clinic.updated",
    "core:patient_tags": "patient.tagged",
    "core:settings_tag": "tag.updated",
    "core:settings_tag_delete": "tag.deleted",
    "core:settings_tags": "tag.created",
    "core:settings_location": "location.updated",
    "core:settings_location_action": "location.updated",
    "core:settings_location_create": "location.created",
    "core:settings_reminders": "reminder_rule.set reminder_timing.set",
    "core:settings_reminders_department": "reminder_rule.set",
    "core:settings_retention": "clinic.updated",
    "core:settings_second_step": "second_factor.requirement_set",
    "core:settings_trial_send": "provider.tested",
    "core:patient_rights": "rights_request.opened",
    "core:rights_action": "subject_export.asked rights_request.done rights_request.refused rights_request.withdrawn"
    " rights_request.started",
    "core:hold_create": "legal_hold.placed",
    "core:hold_lift": "legal_hold.lifted",
    "portal:choose": "portal.signed_in",
    "portal:code": "portal.signed_in",
    "portal:sign_out": "portal.signed_out",
    "portal:requests": "rights_request.opened",
    "portal:request_withdraw": "rights_request.withdrawn",
    "core:settings_user": "user.updated",
    "core:settings_user_action": "user.deactivated user.reactivated user.invited second_factor.reset",
    "core:settings_user_create": "user.created user.invited",
    "core:sign_in": "sign_in.done sign_in.failed sign_in.locked",
    "core:sign_in_code": "sign_in.done second_factor.refused second_factor.recovery_used",
    "core:sign_out": "sign_out.done",
    "finance:billing_settings": "billing_policy.set",
    "finance:invoice_create": "invoice.issued",
    "finance:invoice_payer": "invoice.payer_set",
    "finance:invoice_void": "invoice.voided",
    "finance:refund_create": "invoice.refunded",
    "finance:payment_create": "payment.recorded",
    "finance:payment_remind": "payment.reminded",
    "notifications:absence_create": "absence.created",
    "notifications:absence_end": "absence.ended absence.removed",
    "notifications:announcements": "announcement.posted",
    "notifications:bulk_action": "bulk.approved bulk.paused bulk.resumed bulk.stopped bulk.discarded bulk.called_off",
    "notifications:bulk_closed": "bulk.created",
    "notifications:bulk_create": "bulk.created",
    "notifications:bulk_missed": "bulk.exported",
    "notifications:bulk_submit": "bulk.submitted",
    "notifications:conversation_act": "conversation.assigned conversation.done",
    "notifications:desk_task_done": "desk_task.done",
    "notifications:chat_mine_add": "chat_target.added",
    "notifications:chat_remove": "chat_target.removed",
    "notifications:chat_team_add": "chat_target.added",
    "notifications:filter_remove": "saved_filter.removed",
    "notifications:filter_save": "saved_filter.shared",
    "notifications:holiday_create": "holiday.created",
    "notifications:holiday_remove": "holiday.removed",
    "notifications:message_cancel": "message.cancelled",
    "notifications:message_export": "messages.exported messages.export_asked",
    "notifications:message_export_remove": "messages.export_removed",
    "notifications:operations_start_again": "provider.started_again",
    "notifications:preferences": "staff_preference.created staff_preference.updated",
    "notifications:preferences_quiet": "staff_preference.created staff_preference.updated",
    "notifications:push_remove": "push.unsubscribed",
    "notifications:push_subscribe": "push.subscribed",
    "notifications:push_unsubscribe": "push.unsubscribed",
    "notifications:shift_create": "shift.created",
    "notifications:shift_remove": "shift.removed shift.ended",
    "notifications:team_absence_create": "absence.created",
    "notifications:team_minutes": "escalation.minutes_set",
    "notifications:template_approval": "whatsapp_approval.changed",
    "notifications:template_approval_refresh": "whatsapp_approval.changed",
    "notifications:template_archive": "template.archived",
    "notifications:template_create": "template.created",
    "notifications:template_delete": "template.deleted",
    "notifications:template_duplicate": "template.created",
    "notifications:template_restore": "template.restored",
    "notifications:template_toggle": "template.toggled",
    "notifications:template_update": "template.renamed",
    "notifications:template_version_act": (
        "template.submitted template.taken_back template.published template.rejected template.draft_discarded "
        "template.rolled_back"
    ),
}
NOT_AUDITED: dict[str, str] = {
    "the message's own log names who sent it, with time and outcome": """
        notifications:conversation
        notifications:message_send notifications:message_retry notifications:template_test notifications:push_test
        notifications:chat_test
    """,
    "the visit's own history names who announced them": "appointments:results_ready",
    "the words of a draft; the trail tells when it is submitted": "notifications:bulk_words",
    "reads what was typed, and changes nothing": """
        core:patient_duplicates notifications:message_counter notifications:template_preview
        notifications:template_preview_letter
    """,
    "a reader's own bell": """
        notifications:read notifications:unread notifications:read_all notifications:open notifications:archive
        notifications:unarchive notifications:snooze notifications:wake notifications:acknowledge notifications:undo
    """,
    "a file of what was made a moment ago, for its owner": "core:recovery_codes_file",
    "the language of the reader's own pages": "core:set_language",
    "a patient's answer, in the history of the visit": "appointments:link appointments:link_times appointments:offer",
    "a patient's wish, in the desk's task": "appointments:again",
    "looking changes nothing; who posts is shown the page": "appointments:series_link",
    "providers report; the reports are kept as they came": """
        integrations:email_events integrations:twilio_inbound integrations:twilio_status integrations:unifonic_status
    """,
    "a wish for a code, by whom nobody knows": "portal:sign_in",
    "the demo's telephone": "integrations:sandbox_reply",
    "the support console's sign-in, which ends on the sign-in page": ":None",
}
EXEMPT = {route for routes in NOT_AUDITED.values() for route in routes.split()}

# Actions that are put together of a noun and a verb: who writes them → the nouns.
COMPOSED = {
    "core/roster.py": {"absence.removed", "absence.ended", "shift.removed", "shift.ended"},
    "notifications/consents.py": {"consent.granted", "consent.refused", "consent.withdrawn"},
}


def takes_post(view: Callable[..., object]) -> bool:
    """By the method decorator or the class; a function without either takes everything."""
    if (kind := getattr(view, "view_class", None)) is not None:
        return hasattr(kind, "post")
    inner: Callable[..., object] | None = view
    while inner is not None:
        names = inner.__code__.co_freevars if hasattr(inner, "__code__") else ()
        found = dict(zip(names, getattr(inner, "__closure__", None) or (), strict=False))
        if "request_method_list" in found:
            return "POST" in found["request_method_list"].cell_contents
        inner = getattr(inner, "__wrapped__", None)
    return True


def test_every_address_that_takes_a_post_is_audited_or_says_why_not() -> None:
    writing = {route for route, entry in ROUTES.items() if takes_post(entry.callback)}
    unknown = writing - set(AUDITED) - EXEMPT
    assert not unknown, f"add to AUDITED or NOT_AUDITED in tests/test_audit_coverage.py: {sorted(unknown)}"
    gone = (set(AUDITED) | EXEMPT) - writing
    assert not gone, f"no address, or it takes no POST any more: {sorted(gone)}"
    assert not set(AUDITED) & EXEMPT


def test_the_table_names_actions_that_exist() -> None:
    named = {action for actions in AUDITED.values() for action in actions.split()}
    assert named <= actions_in_the_code(), sorted(named - actions_in_the_code())


def test_every_action_has_words_in_a_group_of_the_filter() -> None:
    assert actions_in_the_code() - set(ACTIONS) == set(), "add words to core/audit_words.py"
    assert set(ACTIONS) - actions_in_the_code() == set(), "words of an action that nobody writes any more"
    starts = tuple(start for _label, group in GROUPS for start in group)
    assert [action for action in ACTIONS if not action.startswith(starts)] == []


def actions_in_the_code() -> set[str]:
    found = set().union(*COMPOSED.values())
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            found |= set(_actions(node))
    return found


_ACTION = re.compile(r"[a-z_]+\.[a-z_]+")
# The names under which services write to the trail, where the action is no keyword.
_WRITERS = {"_audit", "_audit_guardianship", "_note", "_record", "note"}


def _actions(node: ast.AST) -> Iterator[str]:
    if not isinstance(node, ast.Call):
        return
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    values = [keyword.value for keyword in node.keywords if keyword.arg in {"action", "audited_as"}]
    if name in _WRITERS:
        values += node.args
    if name == "record":
        # The first argument of ``events.record`` is an event's key.
        values += node.args[1:]
    for value in values:
        for part in ast.walk(value):
            if isinstance(part, ast.Constant) and isinstance(part.value, str) and _ACTION.fullmatch(part.value):
                yield part.value


def sources() -> Iterator[Path]:
    """Our own code; events have keys of the same shape, and a writer of their own."""
    root = Path(settings.BASE_DIR)
    for app in ("core", "notifications", "integrations", "appointments", "finance"):
        for path in (root / app).rglob("*.py"):
            is_signals = path.parts[-2:] == ("appointments", "signals.py")
            if not {"tests", "migrations", "demo_data"} & set(path.parts) and not is_signals:
                yield path
