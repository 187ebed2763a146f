"""The audit trail in words: what an action is called, what a kind of object is called.

An action without words shows its key; a house test (tests/test_audit_coverage.py) asks for words of every action in the
code. Must never import anything of the other apps.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Field
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from core.models import AuditEvent

ACTIONS: dict[str, Promise] = {
    # signing in
    "sign_in.done": _("Signed in"),
    "sign_in.failed": _("Sign-in failed"),
    "sign_in.locked": _("Locked out after failed sign-ins"),
    "sign_out.done": _("Signed out"),
    "session.revoked": _("Session ended"),
    "session.others_revoked": _("Signed out everywhere else"),
    "password.changed": _("Password changed"),
    "password.link_sent": _("Link for a new password sent"),
    "password.reset_asked": _("Asked for a new password"),
    "password.set_by_link": _("Password set by the link in an email"),
    "second_factor.added": _("Second factor added"),
    "second_factor.removed": _("Second factor removed"),
    "second_factor.reset": _("Second factor reset by an admin"),
    "second_factor.refused": _("Wrong code of the second factor"),
    "second_factor.recovery_used": _("Recovery code used"),
    "second_factor.codes_made": _("Recovery codes made"),
    "second_factor.requirement_set": _("Second factor required, or no longer"),
    # people
    "user.created": _("User created"),
    "user.invited": _("User invited"),
    "user.updated": _("User changed"),
    "user.profile_updated": _("Own details changed"),
    "user.deactivated": _("User deactivated"),
    "user.reactivated": _("User activated again"),
    "absence.created": _("Absence entered"),
    "absence.ended": _("Absence ended"),
    "absence.removed": _("Absence removed"),
    "shift.created": _("Duty shift entered"),
    "shift.ended": _("Duty shift ended"),
    "shift.removed": _("Duty shift removed"),
    "holiday.created": _("Holiday entered"),
    "holiday.removed": _("Holiday removed"),
    "escalation.minutes_set": _("Minutes until escalation set"),
    "announcement.posted": _("Announcement posted"),
    "staff_preference.created": _("Own notifications set"),
    "staff_preference.updated": _("Own notifications changed"),
    "push.subscribed": _("Browser notifications turned on"),
    "push.unsubscribed": _("Browser notifications turned off"),
    "chat_target.added": _("Chat channel added"),
    "chat_target.removed": _("Chat channel removed"),
    # bulk sends
    "bulk.created": _("Bulk send drafted"),
    "bulk.submitted": _("Bulk send submitted"),
    "bulk.approved": _("Bulk send approved"),
    "bulk.called_off": _("Bulk send called off"),
    "bulk.paused": _("Bulk send paused"),
    "bulk.resumed": _("Bulk send resumed"),
    "bulk.stopped": _("Bulk send stopped"),
    "bulk.discarded": _("Bulk send thrown away"),
    "bulk.exported": _("List of those a bulk send missed, downloaded"),
    # the clinic
    "clinic.updated": _("Clinic settings changed"),
    "quiet_hours.set": _("Quiet hours set"),
    "ramadan.set": _("Days of Ramadan set"),
    "moving.set": _("Moves by patients allowed or ended"),
    "retention.set": _("Times of keeping set"),
    "location.created": _("Location created"),
    "location.updated": _("Location changed"),
    "department.created": _("Department created"),
    "department.updated": _("Department changed"),
    "tag.created": _("Tag created"),
    "tag.updated": _("Tag changed"),
    "tag.deleted": _("Tag deleted"),
    "reminder_rule.set": _("Rule for reminders set"),
    "reminder_timing.set": _("Timing of reminders set"),
    "class_rule.set": _("Rule of a message class set"),
    "reply_rules.set": _("Rules for replies set"),
    "sender_capability.set": _("Abilities of a sender set"),
    "brand.changed": _("Look of the emails changed"),
    "provider_account.added": _("Own account at a provider added"),
    "provider_account.replaced": _("Own account at a provider replaced"),
    "provider_account.removed": _("Own account at a provider removed"),
    "provider.tested": _("Test sent over a provider"),
    "provider.started_again": _("Sending over a provider started again"),
    "rate.updated": _("Sending speed changed"),
    # patients
    "patient.created": _("Patient file opened"),
    "patient.updated": _("Patient file changed"),
    "patient.tagged": _("Tags of a patient changed"),
    "legal_hold.placed": _("Legal hold placed"),
    "legal_hold.lifted": _("Legal hold lifted"),
    "rights_request.opened": _("Request about data made"),
    "rights_request.started": _("Erasure begun"),
    "rights_request.done": _("Request about data fulfilled"),
    "rights_request.refused": _("Request about data refused"),
    "rights_request.withdrawn": _("Request about data withdrawn"),
    "patient.erased": _("Patient's data erased"),
    "subject_export.asked": _("Copy of a patient's data asked for"),
    "subject_export.made": _("Copy of a patient's data made"),
    "subject_export.downloaded": _("Copy of a patient's data downloaded"),
    "portal.signed_in": _("Patient signed in by a code"),
    "portal.dates_used_up": _("Too many wrong dates of birth; the own view stays closed until tomorrow"),
    "portal.signed_out": _("Patient signed out"),
    "patient.restricted": _("Patient file restricted"),
    "patient.unrestricted": _("Restriction of a patient file lifted"),
    "patient.merged": _("Two patient files merged"),
    "patient.number_wrong": _("Number reported as somebody else's"),
    "guardian.added": _("Guardian added"),
    "guardian.updated": _("Guardian changed"),
    "guardian.verified": _("Guardian verified"),
    "guardian.made_primary": _("Guardian made the first contact"),
    "guardian.messages": _("Messages to a guardian turned on or off"),
    "guardian.terms_set": _("Terms of a guardianship changed"),
    "guardian.blocked": _("Guardian blocked"),
    "guardian.unblocked": _("Guardian may be told again"),
    "guardian.removed": _("Guardian taken out of the file"),
    "consent.verified": _("Treatment consent checked"),
    "preference.created": _("Message preferences set"),
    "preference.updated": _("Message preferences changed"),
    "consent.granted": _("Consent given"),
    "consent.refused": _("Consent refused"),
    "consent.withdrawn": _("Consent withdrawn"),
    "consent_text.set": _("Words of a consent changed"),
    "sending_rule.set": _("Rules of sending set"),
    "opt_log.exported": _("Proof of opt-outs downloaded"),
    "suppressed_address.lifted": _("Stopped address used again"),
    # visits and money
    "appointment.booked": _("Appointment booked"),
    "appointment.rescheduled": _("Appointment moved"),
    "appointment.cancelled": _("Appointment cancelled"),
    "appointment.unconfirmed": _("Confirmation taken back"),
    "appointment.arrival_undone": _("Arrival taken back"),
    "appointment.reopened": _("Appointment reopened"),
    "appointment.no_show": _("Marked as no-show"),
    "appointment.no_show_corrected": _("No-show corrected"),
    "appointment.link_locked": _("Patient's link locked after wrong answers"),
    "appointment.link_unlocked": _("Patient's link opened again"),
    "appointment.reinstated": _("Appointment reinstated"),
    "appointment.voided": _("Appointment marked as entered in error"),
    "series.booked": _("Series booked"),
    "series.cancelled": _("Rest of a series called off"),
    "provider_absence.called_off": _("Appointments called off for a provider's absence"),
    "provider_absence.lifted": _("Provider's absence taken back"),
    "waitlist.added": _("Put on the waiting list"),
    "waitlist.ended": _("Taken off the waiting list"),
    "no_show.followed_up": _("Patient written to after a no-show"),
    "visit_policy.set": _("Rules for no-shows and the waiting list set"),
    "invoice.issued": _("Invoice issued"),
    "invoice.voided": _("Invoice voided"),
    "invoice.payer_set": _("Payer of an invoice changed"),
    "invoice.refunded": _("Refund recorded"),
    "billing_policy.set": _("Payment reminders changed"),
    "payment.recorded": _("Payment recorded"),
    "payment.reminded": _("Payment reminder sent"),
    # messages
    "messages.exported": _("Messages exported"),
    "messages.export_asked": _("Export of messages ordered"),
    "messages.export_downloaded": _("Export of messages downloaded"),
    "messages.export_removed": _("Export of messages deleted"),
    "saved_filter.shared": _("Saved filter shared"),
    "saved_filter.removed": _("Saved filter removed"),
    "message.cancelled": _("Queued message cancelled"),
    "conversation.assigned": _("Conversation taken or given back"),
    "conversation.done": _("Conversation marked as done"),
    "desk_task.done": _("Task of the desk done"),
    # templates
    "template.created": _("Template created"),
    "template.renamed": _("Template renamed"),
    "template.submitted": _("Template submitted for review"),
    "template.taken_back": _("Template taken back from review"),
    "template.rejected": _("Template sent back by the reviewer"),
    "template.published": _("Template published"),
    "template.rolled_back": _("Template rolled back to an earlier version"),
    "template.draft_discarded": _("Draft of a template discarded"),
    "template.toggled": _("Template turned on or off"),
    "template.archived": _("Template archived"),
    "template.restored": _("Template taken out of the archive"),
    "template.deleted": _("Template deleted"),
    "whatsapp_approval.changed": _("WhatsApp approval of a template noted"),
    # the trail itself
    "audit.exported": _("Audit trail exported"),
}

# The filter's groups: the beginnings of the actions, in the order of the page.
GROUPS: list[tuple[Promise, tuple[str, ...]]] = [
    (_("Signing in"), ("sign_in.", "sign_out.", "session.", "password.", "second_factor.")),
    (_("People and duty"), ("user.", "absence.", "shift.", "holiday.", "escalation.", "announcement.")),
    (_("Own settings"), ("staff_preference.", "push.", "chat_target.")),
    (
        _("Clinic settings"),
        (
            "billing_policy.",
            "clinic.",
            "quiet_hours.",
            "ramadan.",
            "moving.",
            "retention.",
            "location.",
            "department.",
            "tag.",
            "class_rule.",
            "consent_text.",
            "sending_rule.",
            "reply_rules.",
            "sender_capability.",
            "reminder_rule.",
            "reminder_timing.",
            "brand.",
            "provider.",
            "provider_account.",
            "rate.",
        ),
    ),
    (_("Patients"), ("patient.", "guardian.", "consent.", "preference.", "suppressed_address.", "opt_log.")),
    (_("Patients' rights"), ("rights_request.", "legal_hold.", "subject_export.", "portal.")),
    (_("Appointments"), ("appointment.", "series.", "provider_absence.", "waitlist.", "no_show.", "visit_policy.")),
    (_("Invoices"), ("invoice.", "payment.")),
    (_("Messages"), ("message.", "messages.", "saved_filter.", "conversation.", "desk_task.")),
    (_("Bulk sends"), ("bulk.",)),
    (_("Templates"), ("template.", "whatsapp_approval.")),
    (_("The audit trail"), ("audit.",)),
]

# Field names whose column has no name of its own in words, or that are no column.
FIELDS: dict[str, Promise] = {
    "actor": _("Done by"),
    "address": _("Address"),
    "changed": _("Changed fields"),
    "channel": _("Channel"),
    "cover": _("Covered by"),
    "department": _("Department"),
    "ends_at": _("End"),
    "first_day": _("First day"),
    "format": _("Format"),
    "from": _("From"),
    "guardian": _("Guardian"),
    "is_active": _("Active"),
    "kind": _("Kind"),
    "last_day": _("Last day"),
    "location": _("Location"),
    "minutes": _("Minutes"),
    "mrn": _("File number"),
    "patient": _("Patient"),
    "people": _("People"),
    "provider": _("Provider"),
    "rate": _("Messages per second"),
    "reason": _("Reason"),
    "role": _("Role"),
    "rows": _("Rows"),
    "sender": _("Sender"),
    "since": _("From"),
    "starts_at": _("Start"),
    "status": _("Status"),
    "until": _("To"),
    "user": _("User"),
    "version": _("Version"),
    "valid_until": _("Valid until"),
    "verified": _("Verified"),
}


def action_label(action: str) -> str:
    """“Template published”; the key itself for an action of which nobody wrote words."""
    words = ACTIONS.get(action)
    return str(words) if words is not None else action


def who_of(event: AuditEvent) -> str:
    """The name of who did it. A wrong password is typed by somebody whom nobody knows."""
    if event.actor is not None:
        return event.actor.name_in()
    return str(_("Somebody unknown") if event.action.startswith("sign_in.") else _("The system"))


def action_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """The options of the filter, in groups; what stands in no group comes last."""
    groups = []
    left = dict(ACTIONS)
    for label, starts in GROUPS:
        own = [(action, str(left.pop(action))) for action in list(left) if action.startswith(starts)]
        if own:
            groups.append((str(label), own))
    if left:
        groups.append((str(_("Other")), [(action, str(words)) for action, words in left.items()]))
    return groups


def kind_label(object_type: str) -> str:
    """“Appointment” for ``appointments.appointment``; the text itself for a model that is no more."""
    if not object_type:
        return ""
    try:
        return str(capfirst(apps.get_model(object_type)._meta.verbose_name))
    except (LookupError, ValueError):
        return object_type


def field_label(object_type: str, name: str) -> str:
    """A changed value's name: the column's when it has one in words, else ours."""
    bare = name.removesuffix("_id")
    column = column_of(object_type, name)
    if column is not None and isinstance(column.verbose_name, Promise):
        return str(capfirst(column.verbose_name))
    return str(FIELDS.get(bare) or capfirst(bare.replace("_", " ")))


# Values that services record under a shorter name than their column's.
_ALIASES = {"class": "message_class"}


def column_of(object_type: str, name: str) -> Field[Any, Any] | None:
    """The column that a recorded value came from, or None: values are recorded under names that are no column, too."""
    try:
        model = apps.get_model(object_type)
    except (LookupError, ValueError):
        return None
    for candidate in (_ALIASES.get(name, name), name.removesuffix("_id")):
        try:
            column = model._meta.get_field(candidate)
        except FieldDoesNotExist:
            continue
        return column if isinstance(column, Field) else None
    return None
