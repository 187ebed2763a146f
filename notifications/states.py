"""The closed lists of messaging: channels, types, statuses, legal moves and reasons. Data, no queries.

Message states::

    QUEUED ──> SENDING ──> SENT ──> DELIVERED ──> READ
      │           ├──> FAILED ──(retry, at most 3)──> SENDING
      │           ├──> BOUNCED      (the address is dead; also corrects SENT and DELIVERED)
      │           └──> UNCONFIRMED  (handed over, outcome unknown) ──> SENT, DELIVERED, READ, FAILED, BOUNCED
      └──> SUPPRESSED · CANCELLED · EXPIRED   (never left the house)

A status only moves forward: receipts are ordered by ``RANK``, whatever order they arrive in.
"""

from __future__ import annotations

import datetime as dt

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class Channel(models.TextChoices):
    SMS = "SMS", _("SMS")
    WHATSAPP = "WHATSAPP", _("WhatsApp")
    EMAIL = "EMAIL", _("Email")


class NotificationType(models.TextChoices):
    """What a message is about. The patient can switch off all but CHANGE and GENERAL, which are part of the care."""

    REMINDER = "REMINDER", _("Appointment reminder")
    CONFIRMATION = "CONFIRMATION", _("Appointment confirmation")
    CHANGE = "CHANGE", _("Appointment change")
    RESULTS = "RESULTS", _("Results")
    BILLING = "BILLING", _("Billing")
    AWARENESS = "AWARENESS", _("Health awareness")
    MARKETING = "MARKETING", _("Marketing")
    GENERAL = "GENERAL", _("General message")
    STAFF = "STAFF", _("Staff notice")


class Lane(models.IntegerChoices):
    """Who goes first. Each lane has its own queue and workers, so none waits behind a slower one."""

    URGENT = 0, _("Urgent")
    TRANSACTIONAL = 1, _("Normal")
    BULK = 2, _("Bulk")


class Outcome(models.TextChoices):
    """What one call of a provider came to (``integrations.sms_providers.Kind`` and what surrounds it)."""

    ACCEPTED = "accepted", _("Accepted")
    TRANSIENT = "transient", _("Not accepted, may be tried again")
    NUMBER = "number", _("The address is dead")
    OPTED_OUT = "opted_out", _("The recipient has opted out")
    CONTENT = "content", _("The content was refused")
    CONFIGURATION = "configuration", _("Our account or settings were refused")
    AMBIGUOUS = "ambiguous", _("Outcome unknown")
    NOT_FOUND = "not_found", _("The provider never received it")


class Status(models.TextChoices):
    QUEUED = "QUEUED", _("Queued")
    SENDING = "SENDING", _("Sending")
    SENT = "SENT", _("Sent")
    DELIVERED = "DELIVERED", _("Delivered")
    READ = "READ", _("Read")
    FAILED = "FAILED", _("Failed")
    BOUNCED = "BOUNCED", _("Bounced")
    SUPPRESSED = "SUPPRESSED", _("Not sent")
    CANCELLED = "CANCELLED", _("Cancelled")
    EXPIRED = "EXPIRED", _("Too late")
    UNCONFIRMED = "UNCONFIRMED", _("Not confirmed")


S = Status

# from → the statuses it may move to. Everything else is refused by ``lifecycle.move``.
TRANSITIONS: dict[str, frozenset[str]] = {
    # QUEUED → DELIVERED: it waits to be tried again, and the attempt before has arrived after all.
    S.QUEUED: frozenset({S.SENDING, S.SUPPRESSED, S.CANCELLED, S.EXPIRED, S.DELIVERED, S.READ}),
    S.SENDING: frozenset(
        {
            *(S.SENT, S.DELIVERED, S.READ, S.FAILED, S.BOUNCED, S.UNCONFIRMED, S.SUPPRESSED, S.CANCELLED, S.EXPIRED),
            # Handed back: claimed, but provably never handed over (the lane was stopped, the worker died before the call).
            S.QUEUED,
        }
    ),
    S.SENT: frozenset({S.DELIVERED, S.READ, S.FAILED, S.BOUNCED}),
    S.DELIVERED: frozenset({S.READ, S.BOUNCED}),
    S.UNCONFIRMED: frozenset({S.SENT, S.DELIVERED, S.READ, S.FAILED, S.BOUNCED}),
    # FAILED → QUEUED: a person pressed retry. FAILED → DELIVERED: a late receipt knows better. A late “sent” does not.
    S.FAILED: frozenset({S.SENDING, S.QUEUED, S.DELIVERED, S.READ, S.BOUNCED, S.CANCELLED, S.EXPIRED, S.SUPPRESSED}),
    # Somebody has read it: whatever else is said, the address lives. So receipts have one order and one last word.
    S.BOUNCED: frozenset({S.READ}),
    S.READ: frozenset(),
    S.SUPPRESSED: frozenset(),
    S.CANCELLED: frozenset(),
    S.EXPIRED: frozenset(),
}

NEVER_LEFT = frozenset({S.SUPPRESSED, S.CANCELLED, S.EXPIRED})
SUCCESS = frozenset({S.DELIVERED, S.READ})
CANCELLABLE = frozenset({S.QUEUED, S.FAILED})
AWAITING_RECEIPT = frozenset({S.SENT, S.UNCONFIRMED})

MAX_RETRIES = 3
# Seconds before the first, second and third retry (the contract's figures); up to a tenth is added, so that what
# failed together does not come back together.
RETRY_DELAYS = (60, 120, 240)
RETRY_JITTER = 0.1


# How long a message without a deadline of its own is worth sending. Those of an event carry the event's deadline.
USEFUL_FOR: dict[str, dt.timedelta] = {
    NotificationType.REMINDER: dt.timedelta(hours=12),
    NotificationType.CONFIRMATION: dt.timedelta(hours=24),
    NotificationType.CHANGE: dt.timedelta(hours=24),
    NotificationType.RESULTS: dt.timedelta(days=7),
    NotificationType.BILLING: dt.timedelta(days=3),
    NotificationType.AWARENESS: dt.timedelta(hours=24),
    NotificationType.MARKETING: dt.timedelta(hours=24),
    NotificationType.GENERAL: dt.timedelta(hours=24),
    NotificationType.STAFF: dt.timedelta(hours=24),
}
# Sent, but no word of its delivery within this: the next channel takes over. Types that are not here wait for a
# failure: networks in the region do not report every delivery, and a bill twice is worse than a bill late.
RECEIPT_WITHIN: dict[str, dt.timedelta] = {
    NotificationType.REMINDER: dt.timedelta(minutes=30),
    NotificationType.CHANGE: dt.timedelta(minutes=15),
}


class LogEvent(models.TextChoices):
    """The rows of a message's timeline: each status, plus what is no status."""

    CREATED = "CREATED", _("Created")
    QUEUED = "QUEUED", _("Queued")
    SENDING = "SENDING", _("Sending")
    SENT = "SENT", _("Sent")
    DELIVERED = "DELIVERED", _("Delivered")
    READ = "READ", _("Read")
    FAILED = "FAILED", _("Failed")
    RETRY = "RETRY", _("Retry")
    BOUNCED = "BOUNCED", _("Bounced")
    SUPPRESSED = "SUPPRESSED", _("Not sent")
    CANCELLED = "CANCELLED", _("Cancelled")
    EXPIRED = "EXPIRED", _("Too late")
    UNCONFIRMED = "UNCONFIRMED", _("Not confirmed")
    FALLBACK = "FALLBACK", _("Sent by another channel")
    RECEIPT = "RECEIPT", _("Provider's receipt")


class Reason(models.TextChoices):
    """Why a message was not sent. One closed list that staff can read and export."""

    STALE_VERSION = "stale_version", _("The appointment has changed since")
    STATUS_NOT_ELIGIBLE = "status_not_eligible", _("The appointment no longer calls for it")
    PAST_DUE = "past_due", _("Too late to be useful")
    BOOKED_INSIDE_WINDOW = "booked_inside_window", _("Booked too late for this reminder")
    OPT_OUT_CHANNEL = "opt_out:channel", _("The patient switched this channel off")
    OPT_OUT_TYPE = "opt_out:type", _("The patient switched off this kind of message")
    NO_CONSENT = "no_consent", _("The patient has not agreed to this")
    GUARDIAN_UNVERIFIED = "guardian_unverified", _("No verified guardian to tell")
    DECEASED = "deceased", _("The patient has died")
    MERGED_AWAY = "merged_away", _("The file was merged into another")
    NO_CONTACT = "no_contact", _("No phone number or email for this channel")
    CONTACT_UNDELIVERABLE = "contact_undeliverable", _("The address cannot be reached")
    TEMPLATE_MISSING = "template_missing", _("There is no active template")
    VARIABLE_MISSING = "variable_missing", _("The template asks for something we do not have")
    CHANNEL_DISABLED = "channel_disabled", _("This channel is not set up")
    TENANT_SUSPENDED = "tenant_suspended", _("The clinic group is suspended")
    STAFF_INACTIVE = "staff_inactive", _("This person no longer works here")
    WITHDRAWN = "withdrawn", _("Withdrawn by the clinic")
    OPTED_OUT = "opted_out", _("The recipient has opted out of this channel")
    COMPLAINED = "complained", _("The recipient marked our mail as spam")
    WHATSAPP_UNAPPROVED = "whatsapp_unapproved", _("WhatsApp has not approved this text")
    DELIVERED_OTHERWISE = "delivered_otherwise", _("It arrived over another channel")
    COMBINED = "combined_into", _("Told together with a relative who has the same number")
    SEND_STOPPED = "send_stopped", _("The bulk send was stopped")
    RECENT_CONFIRMATION = "recent_confirmation", _("The same was said a short while before")
    CONSENT_WITHDRAWN = "consent_withdrawn", _("The consent was withdrawn")
    GUARDIAN_BLOCKED = "guardian_blocked", _("This guardian must not be told")
    RESTRICTED = "restricted", _("The file is restricted: nothing is sent")
    PATIENT_LEFT = "patient_left", _("The patient has left the clinic")
    WRONG_NUMBER = "wrong_number", _("The number belongs to somebody else")
    OPT_OUT_SENDER = "opt_out:sender", _("The recipient has told this sender to stop")
    QUIET_DROPPED = "quiet_dropped", _("It fell into quiet hours and no time before or after them was left")
    FREQUENCY_CAP = "frequency_cap", _("Enough was sent to this patient for now")
    CLASS_WINDOW = "class_window", _("Outside the hours for messages of this class")
    IMPORT_SILENT = "bulk_import_silent", _("Entered afterwards or imported: nobody is told")
    ACTOR_SELF = "actor_self", _("The reader did it himself")


class Level(models.TextChoices):
    """The tone of an in-app notification."""

    INFO = "INFO", _("Information")
    WARNING = "WARNING", _("Warning")
    ERROR = "ERROR", _("Error")
    SUCCESS = "SUCCESS", _("Good news")


# --- The staff's bell ------------------------------------------------------------------------------------------------


class Category(models.TextChoices):
    """What a staff notification is about: the rows of the preferences' matrix."""

    ARRIVAL = "ARRIVAL", _("Arrivals")
    APPOINTMENT = "APPOINTMENT", _("Appointments")
    MESSAGING = "MESSAGING", _("Messages and replies")
    SYSTEM = "SYSTEM", _("System alerts")
    ANNOUNCEMENT = "ANNOUNCEMENT", _("Announcements")
    GENERAL = "GENERAL", _("Everything else")


class StaffChannel(models.TextChoices):
    """The columns of the matrix. IN_APP is the bell; CHAT is Slack or Teams."""

    IN_APP = "IN_APP", _("In-app")
    EMAIL = "EMAIL", _("Email")
    PUSH = "PUSH", _("Browser push")
    CHAT = "CHAT", _("Slack or Teams")


class Frequency(models.TextChoices):
    """How email comes: one by one, or gathered."""

    IMMEDIATE = "IMMEDIATE", _("At once")
    HOURLY = "HOURLY", _("Once an hour")
    DAILY = "DAILY", _("Once a day")
    WEEKLY = "WEEKLY", _("Once a week")


class DeliveryStatus(models.TextChoices):
    """A staff notification on its way over one channel beside the bell."""

    PENDING = "PENDING", _("Waiting")
    SENDING = "SENDING", _("Sending")
    SENT = "SENT", _("Sent")
    # Part of one summary with others.
    MERGED = "MERGED", _("In a summary")
    DROPPED = "DROPPED", _("Not sent")
    FAILED = "FAILED", _("Failed")


class DropReason(models.TextChoices):
    """Why a staff notification was not sent over a channel. One closed list."""

    ALREADY_READ = "already_read", _("Read in the bell before")
    PAST_DUE = "past_due", _("Too late to be useful")
    NO_LONGER_TRUE = "no_longer_true", _("Things have changed since")
    STAFF_INACTIVE = "staff_inactive", _("This person no longer works here")
    NO_DEVICE = "no_device", _("No browser is registered")
    NO_TARGET = "no_target", _("No Slack or Teams channel is set up")
    UNREACHABLE = "unreachable", _("The service did not take it")
    SWITCHED_OFF = "switched_off", _("Switched off since")


class EscalationStatus(models.TextChoices):
    OPEN = "OPEN", _("Waiting for somebody")
    STOPPED = "STOPPED", _("Taken care of")
    # Everybody has been told and nobody has answered.
    EXHAUSTED = "EXHAUSTED", _("Nobody has answered")


class StopReason(models.TextChoices):
    READ = "read", _("Read")
    ACKNOWLEDGED = "acknowledged", _("Acknowledged")
    CHANGED = "changed", _("The appointment has changed")
    OVER = "over", _("It is over")


# --- The desk's work list --------------------------------------------------------------------------------------------


class TaskKind(models.TextChoices):
    """What a person has to do because a message, a reply or a date calls for it. One closed list."""

    FIX_CONTACT = "FIX_CONTACT", _("Put contact details right")
    WRONG_NUMBER = "WRONG_NUMBER", _("A number belongs to somebody else")
    REPLY = "REPLY", _("Answer a reply")
    EMERGENCY = "EMERGENCY", _("A patient may be in danger: call now")
    REBOOK = "REBOOK", _("Find a new time")
    CALL = "CALL", _("Call the patient")
    OWN_CONTACT = "OWN_CONTACT", _("Of age now: ask for own contact and consent")
    TEMPLATE_DATA = "TEMPLATE_DATA", _("A message lacked something to say")
    RIGHTS = "RIGHTS", _("A patient's request about their data")
    WAITLIST = "WAITLIST", _("Look after the waiting list")


class TaskState(models.TextChoices):
    OPEN = "OPEN", pgettext_lazy("task", "Open")
    DONE = "DONE", _("Done")
    # What it was about has changed by itself.
    OVER = "OVER", _("No longer needed")
