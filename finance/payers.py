"""Who pays a bill, and so who reads about it: usually who reads the patient's messages, unless the bill names somebody.

A guardian of a minor must be verified, in force and not blocked, at issue and again at each send: a bill says who was
treated. Anybody else, also a parent of an adult, is named by the desk, with an address.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from core import phone
from core.contacts import GUARDIAN_UNVERIFIED, Contact, contact_for, guardian_contact, recipients_for
from core.errors import DomainError
from core.models import Guardian, Guardianship, Language, Patient
from finance.models import Invoice
from notifications.models import Message
from notifications.rendering import Words
from notifications.states import Channel, NotificationType

# The name of who paid once stands on the bill no more, and is kept nowhere else.
_FORMER = Words("Sir or Madam", "عميلنا الكريم")
FIELDS = ("payer_guardian", "payer_name", "payer_phone", "payer_email", "payer_language")


@dataclass(frozen=True, slots=True)
class Payer:
    """A guardian, or somebody by name; without either the patient's own readers."""

    guardian: Guardian | None = None
    name: str = ""
    phone: str = ""
    email: str = ""
    language: str = ""

    @classmethod
    def of(cls, invoice: Invoice) -> Payer:
        return cls(
            invoice.payer_guardian,
            invoice.payer_name,
            invoice.payer_phone,
            invoice.payer_email,
            invoice.payer_language,
        )

    def values(self) -> dict[str, object]:
        """As the invoice's columns hold it."""
        return dict(zip(FIELDS, (self.guardian, self.name, self.phone, self.email, self.language), strict=True))


def checked(patient: Patient, payer: Payer) -> Payer:
    """The payer tidied up. Raises ``DomainError`` for a guardian who may not know, a name that nobody can reach."""
    if payer.guardian is not None:
        if isinstance(_guardian(patient, payer.guardian), str):
            raise DomainError(
                _("This guardian must be verified, and not blocked, before a bill can go there."),
                code="payer_not_verified",
            )
        return Payer(guardian=payer.guardian)
    name = " ".join(payer.name.split())
    if not name:
        if payer.phone or payer.email:
            raise DomainError(_("Write the payer's name."), code="payer_name_missing")
        return Payer()
    number = _number(payer.phone)
    email = payer.email.strip()
    if not number and not email:
        raise DomainError(_("Write a mobile phone or an email of the payer."), code="payer_unreachable")
    if email:
        try:
            validate_email(email)
        except ValidationError as error:
            raise DomainError(_("This is not an email address."), code="payer_email_invalid") from error
    return Payer(name=name, phone=number, email=email, language=payer.language or patient.language)


def _number(typed: str) -> str:
    if not typed.strip():
        return ""
    try:
        return phone.to_e164(typed)
    except ValidationError as error:
        raise DomainError(_("This is not a mobile number."), code="payer_phone_invalid") from error


def reader_of(invoice: Invoice) -> Contact | str | None:
    """Who reads about this bill, or why they must not; None where it is the patient's own readers."""
    if invoice.payer_guardian is not None:
        return _guardian(invoice.patient, invoice.payer_guardian)
    if not invoice.payer_name:
        return None
    return Contact(
        name_en=invoice.payer_name,
        name_ar=invoice.payer_name,
        phone=invoice.payer_phone,
        email=invoice.payer_email,
        language=invoice.payer_language or Language.ARABIC,
        person_key=f"payer:{invoice.pk}",
    )


def readers_of(invoice: Invoice) -> list[Contact]:
    """All who read about this bill now; empty where nobody may."""
    named = reader_of(invoice)
    if isinstance(named, Contact):
        return [named]
    found = recipients_for([invoice.patient], notification_type=NotificationType.BILLING)[invoice.patient.pk]
    return [] if named is not None or isinstance(found, str) else found


def addresses_of(reader: Contact) -> list[str]:
    return [address for address in (reader.phone, reader.email) if address]


def is_same(one: Contact, other: Contact) -> bool:
    """Who shares an address reads what is written to the other. Those who are on the bill by name have one key."""
    if one.person_key == other.person_key and not one.person_key.startswith("payer:"):
        return True
    return bool(set(addresses_of(one)) & set(addresses_of(other)))


def former_reader(invoice: Invoice, person_key: str, told: Message) -> Contact | str:
    """Who read about the bill before, as they are now, or why they must not. ``told``: what they have in hand."""
    if person_key.startswith("guardian:"):
        return _guardian(invoice.patient, told.guardian) if told.guardian is not None else GUARDIAN_UNVERIFIED
    if person_key.startswith("patient:"):
        return contact_for(invoice.patient, notification_type=NotificationType.BILLING)
    is_letter = told.channel == Channel.EMAIL
    return Contact(
        name_en=_FORMER.en,
        name_ar=_FORMER.ar,
        phone="" if is_letter else told.recipient,
        email=told.recipient if is_letter else "",
        language=told.language,
        person_key=person_key,
    )


def _guardian(patient: Patient, guardian: Guardian) -> Contact | str:
    rows = Guardianship.objects.select_related("guardian", "patient__tenant")
    row = rows.filter(patient=patient, guardian=guardian).first()
    if row is None:
        return GUARDIAN_UNVERIFIED
    return guardian_contact(row, notification_type=NotificationType.BILLING)
