"""The signed link to the page of preferences: it names who reads about whom, and dies when that is no longer so.

No row and no account: the code carries the patient, the guardian if one reads, a mark of the address it was sent to, and
the day it was made, signed with a secret of the house. So a mailbox that was given up, a guardian who no longer speaks
for a child, and a child who is of age open nothing; a stranger cannot make one up. It depends on the message alone: a
mail that is sent again has the same link.

A link of a mail lives for more than a year (an opt-out must go on working), one of another page of ours for a day.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import uuid
from dataclasses import dataclass

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from core.contacts import Contact, Readers
from core.models import Guardian, Patient
from core.tenancy import system_scope
from notifications.models import Message
from notifications.states import NotificationType

LIVES = dt.timedelta(days=400)
# From a page that was opened by a key of its own: no longer than a visit to it.
LIVES_BESIDE = dt.timedelta(days=1)
_NO_GUARDIAN = bytes(16)
_NO_ADDRESS = bytes(4)
_MAC = 12
_LENGTH = 16 + 16 + 4 + 2 + _MAC
_EPOCH = dt.date(2020, 1, 1)


@dataclass(frozen=True, slots=True)
class Key:
    """What a link opens: the preferences of ``patient`` for ``contact``, who is the guardian of a minor."""

    code: str
    patient: Patient
    contact: Contact

    @property
    def guardian(self) -> Guardian | None:
        return self.contact.guardian


def link_for(patient: Patient, *, guardian: Guardian | None = None) -> str:
    """The absolute address from another page of ours, for whoever has opened that one. Without a slash at the end."""
    return address(code_for(patient.pk, guardian.pk if guardian is not None else None, "", timezone.now()))


def link_for_message(message: Message) -> str:
    """The absolute address for the reader of a patient's message. No query. Empty for a message to staff."""
    code = code_of_message(message)
    return address(code) if code else ""


def unsubscribe_address(message: Message) -> str:
    """Where a mail program unsubscribes with one click (RFC 8058); empty for what is part of the care."""
    code = code_of_message(message) if message.notification_type in UNSUBSCRIBABLE else ""
    return f"{address(code)}/stop/{message.notification_type.lower()}" if code else ""


# CHANGE and GENERAL are part of the care; STAFF is nobody's audience.
UNSUBSCRIBABLE = frozenset(NotificationType.values) - {
    NotificationType.CHANGE,
    NotificationType.GENERAL,
    NotificationType.STAFF,
}


def code_of_message(message: Message) -> str:
    if message.patient_id is None:
        return ""
    return code_for(message.patient_id, message.guardian_id, message.recipient, message.created_at)


def address(code: str) -> str:
    return f"{settings.PUBLIC_BASE_URL}/p/{code}"


def code_for(patient_id: uuid.UUID, guardian_id: uuid.UUID | None, recipient: str, made_at: dt.datetime) -> str:
    days = (made_at.astimezone(dt.UTC).date() - _EPOCH).days
    said = b"".join(
        (
            patient_id.bytes,
            guardian_id.bytes if guardian_id is not None else _NO_GUARDIAN,
            _mark(recipient),
            days.to_bytes(2, "big"),
        )
    )
    return base64.urlsafe_b64encode(said + _mac(said)).decode("ascii").rstrip("=")


def find(code: str) -> Key | None:
    """What the link opens, or None: not ours, too old, or no longer this reader's. Follows a merged file."""
    said = _read(code)
    if said is None:
        return None
    patient_id, guardian, mark, made = uuid.UUID(bytes=said[:16]), said[16:32], said[32:36], said[36:]
    age = timezone.now().date() - (_EPOCH + dt.timedelta(days=int.from_bytes(made, "big")))
    if age > (LIVES if mark != _NO_ADDRESS else LIVES_BESIDE):
        return None
    with system_scope("the signed code tells the patient: they open the link without an account"):
        patient = _survivor(patient_id)
        if patient is None:
            return None
        contact = _reader(patient, None if guardian == _NO_GUARDIAN else uuid.UUID(bytes=guardian))
    if contact is None or (mark != _NO_ADDRESS and mark not in (_mark(contact.phone), _mark(contact.email))):
        return None
    return Key(code=code, patient=patient, contact=contact)


def _survivor(patient_id: uuid.UUID) -> Patient | None:
    patient = Patient.objects.select_related("tenant").filter(pk=patient_id, tenant__is_active=True).first()
    while patient is not None and patient.merged_into_id is not None:
        patient = Patient.objects.select_related("tenant").filter(pk=patient.merged_into_id).first()
    return patient


def _reader(patient: Patient, guardian_id: uuid.UUID | None) -> Contact | None:
    """The person of the link, if some kind of message about the patient is still for them."""
    readers = Readers([patient])
    for notification_type in NotificationType.values:
        found = readers.of(patient.pk, notification_type)
        for contact in found if not isinstance(found, str) else ():
            if (contact.guardian.pk if contact.guardian is not None else None) == guardian_id:
                return contact
    return None


def _read(code: str) -> bytes | None:
    try:
        raw = base64.b64decode(code + "=" * (-len(code) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != _LENGTH:
        return None
    said, mac = raw[:-_MAC], raw[-_MAC:]
    return said if constant_time_compare(mac, _mac(said)) else None


def _mac(said: bytes) -> bytes:
    return salted_hmac("agdar.notifications.preference_links", said, algorithm="sha256").digest()[:_MAC]


def _mark(recipient: str) -> bytes:
    """Enough of a hash to tell a new address from the old one; it says nothing about either."""
    return hashlib.sha256(recipient.strip().lower().encode()).digest()[:4] if recipient else _NO_ADDRESS
