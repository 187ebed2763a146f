"""Twilio's error codes and status words, as data. Used by Twilio's adapter and by the sandbox, which speaks Twilio.

Sources: twilio.com/docs/api/errors/<code> and Twilio's error dictionary, read in November 2026. Twilio says that codes
may change, so the reading of an unknown one lives in ``integrations/sms_providers.py``. The classes are our judgement:
what would happen to the patient if the same message was sent again?
"""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

from integrations.sms_providers import Kind, Rule, Scope
from notifications.states import Status

# accepted, scheduled, queued and sending are on the way: accepted by Twilio, by no carrier yet.
STATUSES: dict[str, Status] = {
    "accepted": Status.SENDING,
    "scheduled": Status.SENDING,
    "queued": Status.SENDING,
    "sending": Status.SENDING,
    "sent": Status.SENT,
    "delivered": Status.DELIVERED,
    "partially_delivered": Status.DELIVERED,
    "read": Status.READ,
    "failed": Status.FAILED,
    "undelivered": Status.FAILED,
    "canceled": Status.FAILED,
}

_BY_KIND: dict[Kind, dict[str, str]] = {
    Kind.NUMBER: {
        "21211": _("This is not a phone number."),
        "21265": _("This is a short code, not a phone number."),
        "21268": _("This is a premium number."),
        "21614": _("This is not a mobile number."),
        "21635": _("This is a landline."),
        "30005": _("The number is unknown or no longer in use."),
        "30006": _("The number is a landline, or its carrier cannot be reached."),
        "63003": _("This number has no WhatsApp."),
        "63024": _("This number has no WhatsApp, or its app is too old."),
    },
    Kind.OPTED_OUT: {
        "21610": _("The recipient has answered STOP."),
        "30630": _("The recipient has answered STOP."),
        "30004": _("The carrier blocks messages to this recipient."),
        "63014": _("The recipient has blocked the sender."),
        "63033": _("The recipient has blocked the sender."),
    },
    Kind.CONTENT: {
        "21602": _("The text is empty."),
        "21617": _("The text is longer than 1,600 characters."),
        "21619": _("The message has no content."),
        "21654": _("The content template is missing."),
        "21655": _("The content template is not valid."),
        "21656": _("The variables of the content template are not valid."),
        "30007": _("Filtered as spam by the carrier."),
        "30019": _("Too large for the carrier."),
        "30038": _("Against the carrier's policy."),
        "63005": _("WhatsApp refused the content."),
        "63013": _("Against WhatsApp's policy."),
        "63016": _("Outside WhatsApp's 24 hours: only an approved template may be sent."),
        "63021": _("WhatsApp refused the content."),
        "63027": _("The WhatsApp template is missing in this language."),
        "63028": _("The WhatsApp template got the wrong number of variables."),
        "63030": _("The WhatsApp template got an unsupported variable."),
        "63032": _("WhatsApp holds this message back from this recipient."),
        "63040": _("The WhatsApp template was rejected."),
        "63041": _("The WhatsApp template is paused."),
        "63042": _("The WhatsApp template is disabled."),
        "63049": _("WhatsApp's limit of marketing messages to this recipient is reached."),
        "63052": _("The WhatsApp template is of a kind that is no longer supported."),
    },
    Kind.TRANSIENT: {
        # "Never processed and always safe to retry."
        "20429": _("Too many requests at once."),
        "21611": _("The sender's queue is full."),
        "30001": _("The sender's queue is full."),
        "30003": _("The phone is switched off or out of reach."),
        "30008": _("The carrier reported an unknown error."),
        "30017": _("The carrier is congested."),
        "30022": _("The carrier's rate limit is reached."),
        "30023": _("The carrier's daily limit is reached."),
        "30027": _("The carrier's daily limit is reached."),
        # Only sent again while it is still useful: no try is planned after the message's expires_at.
        "30036": _("It waited too long for delivery."),
        "30450": _("Blocked for a while by the carrier."),
        "30453": _("Blocked for a while by Twilio."),
        "30454": _("The daily limit is reached."),
        "30485": _("Blocked for a while by the carrier."),
        "30500": _("Twilio had an internal error."),
        "30610": _("Blocked for a while by the carrier."),
        "63009": _("WhatsApp had an internal error."),
        "63010": _("WhatsApp had an internal error."),
        "63012": _("WhatsApp had an internal error."),
        "63017": _("WhatsApp's rate limit is reached."),
        "63018": _("WhatsApp's rate limit is reached."),
        "63023": _("WhatsApp reported an unknown error."),
        "63029": _("The phone could not load the message."),
        "63038": _("WhatsApp's daily limit is reached."),
    },
    # "Sending an SMS is not idempotent": after these a second try may reach the patient twice.
    Kind.AMBIGUOUS: {
        "20500": _("Twilio had an internal error and may have accepted the message."),
        "20503": _("Twilio was not available and may have accepted the message."),
        "30410": _("The carrier did not answer and may have delivered the message."),
    },
}

# CONFIGURATION, by what it concerns.
_BY_SCOPE: dict[Scope, dict[str, str]] = {
    Scope.ACCOUNT: {
        "20003": _("Twilio refused our credentials."),
        "20005": _("The Twilio account is not active."),
        "20403": _("Twilio forbids this to our account."),
        "20404": _("Twilio does not know this address."),
        "30002": _("The Twilio account is suspended."),
        "30037": _("The Twilio account is disabled."),
        "63020": _("Meta refused the WhatsApp business account."),
        "63051": _("The WhatsApp business account is locked."),
        "63112": _("The WhatsApp business account is disabled."),
    },
    Scope.SENDER: {
        "21212": _("The sender is not valid."),
        "21603": _("The sender is missing."),
        "21606": _("The sender cannot send messages."),
        "21659": _("The sender is not a Twilio number."),
        "21660": _("The sender belongs to another account."),
        "21661": _("The sender cannot send SMS."),
        "21701": _("The Messaging Service does not exist."),
        "21703": _("The Messaging Service has no sender."),
        "21705": _("The Messaging Service is not valid."),
        "30018": _("The sender name is not registered."),
        "30032": _("The sender is not verified."),
        "30033": _("The sender's campaign is suspended."),
        "30034": _("The sender is not registered."),
        "30040": _("The sender name is not registered with the carrier."),
        "30042": _("A generic sender name is not allowed."),
        "63001": _("WhatsApp refused the sender's credentials."),
        "63002": _("WhatsApp does not know the sender."),
        "63007": _("There is no WhatsApp sender of this number."),
        "63008": _("The WhatsApp sender is set up wrongly."),
    },
    Scope.MESSAGE: {
        "21408": _("This country is not enabled in the Twilio account."),
        "21604": _("The recipient is missing."),
        "21608": _("A trial account may only write to verified numbers."),
        "21609": _("The address for status call-backs is not valid."),
        "21612": _("This sender cannot reach this recipient."),
    },
}

ERRORS: dict[str, Rule] = {
    **{code: Rule(kind, why) for kind, codes in _BY_KIND.items() for code, why in codes.items()},
    **{code: Rule(Kind.CONFIGURATION, why, scope) for scope, codes in _BY_SCOPE.items() for code, why in codes.items()},
}
