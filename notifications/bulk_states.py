"""The closed lists of bulk sends: classes of messages, states, where an audience comes from, what is wrong with a row.

Data, no queries.

States of a bulk send::

    DRAFT <──> CHECKED ──> AWAITING_APPROVAL ──> SCHEDULED ──> STARTING ──> RUNNING ──> DONE
                  ^──────────────┴──────────────────┘             │  ^         │  ^
                  (sent back, called off)                         └──┴─ PAUSED ┴──┘
                                                                        └──> STOPPED (also from STARTING and RUNNING)
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from notifications.states import NotificationType


class MessageClass(models.TextChoices):
    """What a message is in the eyes of the law (KSA: CST decision 469, PDPL Art. 25 and 26)."""

    SERVICE = "SERVICE", _("Service")
    AWARENESS = "AWARENESS", _("Awareness")
    PROMOTIONAL = "PROMOTIONAL", _("Promotional")


class BulkState(models.TextChoices):
    DRAFT = "DRAFT", _("Draft")
    CHECKED = "CHECKED", _("Checked")
    AWAITING_APPROVAL = "AWAITING", _("Waiting for approval")
    SCHEDULED = "SCHEDULED", _("Scheduled")
    STARTING = "STARTING", _("Starting")
    RUNNING = "RUNNING", _("Sending")
    PAUSED = "PAUSED", _("Paused")
    STOPPED = "STOPPED", _("Stopped")
    DONE = "DONE", _("Done")


class BulkSource(models.TextChoices):
    """Where the people come from."""

    FILTERS = "FILTERS", _("Chosen by filters")
    UPLOAD = "UPLOAD", _("Uploaded list")
    CLOSED = "CLOSED", _("Clinic closed")
    AGAIN = "AGAIN", _("Those who did not get another send")


class RowProblem(models.TextChoices):
    """Why a row of an uploaded list is left out. One closed list, in the reader's words."""

    NOTHING_TO_FIND = "nothing_to_find", _("No file number, phone or email in this row")
    PHONE_INVALID = "phone_invalid", _("This is not a mobile number")
    EMAIL_INVALID = "email_invalid", _("This is not an email address")
    LANGUAGE_UNKNOWN = "language_unknown", _("Write the language as en or ar, or leave it empty")
    FILE_NUMBER_UNKNOWN = "file_unknown", _("There is no patient with this file number")
    FILE_NUMBER_OTHER = "file_other", _("This file number belongs to somebody else than this name and phone")
    PERSON_UNKNOWN = "person_unknown", _("Nobody in our files has this phone or email; only patients can be written to")
    PERSON_UNCLEAR = "person_unclear", _("Several patients have this phone or email; add the file number")
    REPEATED = "repeated", _("The same patient stands in an earlier row")
    VALUE_LONG = "value_long", _("This text is longer than 200 letters")


B = BulkState
# from → the states it may move to; ``integrations.bulk.control`` refuses everything else.
BULK_TRANSITIONS: dict[str, frozenset[str]] = {
    B.DRAFT: frozenset({B.CHECKED}),
    B.CHECKED: frozenset({B.DRAFT, B.AWAITING_APPROVAL, B.SCHEDULED}),
    B.AWAITING_APPROVAL: frozenset({B.SCHEDULED, B.CHECKED}),
    B.SCHEDULED: frozenset({B.STARTING, B.CHECKED}),
    B.STARTING: frozenset({B.RUNNING, B.PAUSED, B.STOPPED}),
    B.RUNNING: frozenset({B.PAUSED, B.STOPPED, B.DONE}),
    B.PAUSED: frozenset({B.STARTING, B.RUNNING, B.STOPPED}),
    B.STOPPED: frozenset(),
    B.DONE: frozenset(),
}
# May still be changed, or thrown away.
EDITABLE = frozenset({B.DRAFT, B.CHECKED})
# Messages of it may be waiting in the outbox; the claim looks at these.
UNDER_WAY = frozenset({B.STARTING, B.RUNNING, B.PAUSED, B.STOPPED})
STOPPABLE = frozenset({B.STARTING, B.RUNNING, B.PAUSED})
OVER = frozenset({B.STOPPED, B.DONE})

# The type that a bulk message of a class has, and so the consent that it needs (``NotificationPreference.refusal``).
TYPE_OF_CLASS: dict[str, str] = {
    MessageClass.SERVICE: NotificationType.GENERAL,
    MessageClass.AWARENESS: NotificationType.AWARENESS,
    MessageClass.PROMOTIONAL: NotificationType.MARKETING,
}
CLASS_OF_TYPE: dict[str, str] = {
    NotificationType.AWARENESS: MessageClass.AWARENESS,
    NotificationType.MARKETING: MessageClass.PROMOTIONAL,
}


def class_of(notification_type: str) -> str:
    """The class of a type: everything that is neither awareness nor marketing is part of the service."""
    return CLASS_OF_TYPE.get(notification_type, MessageClass.SERVICE)
