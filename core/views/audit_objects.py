"""What an act was done to: its kind, its name, and its page when it still exists and has one. Roof: knows every app."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from django.db.models import Model
from django.urls import reverse

from core.access import Can, allows
from core.audit_diff import Rows
from core.audit_words import kind_label
from core.models import AuditEvent, Role, User


@dataclass(frozen=True, slots=True)
class Thing:
    """``url`` is empty when there is no page, or not for this reader."""

    kind: str
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a kind of object is shown. ``key`` gives the id of the address; None: the page has none."""

    route: str
    capability: Can
    key: Callable[[Model], uuid.UUID | None] | None = None


def _own(row: Model) -> uuid.UUID:
    key: uuid.UUID = row.pk
    return key


def _of_patient(row: Model) -> uuid.UUID | None:
    key: uuid.UUID | None = getattr(row, "patient_id", None)
    return key


def _of_template(row: Model) -> uuid.UUID | None:
    key: uuid.UUID | None = getattr(row, "template_id", None)
    return key


def _own_staff(row: Model) -> uuid.UUID | None:
    """Patients who sign in have a file, and no page among the staff."""
    return None if getattr(row, "role", "") == Role.PATIENT else _own(row)


_TEAM = Place("notifications:team", Can.ADMINISTER)
PLACES: dict[str, Place] = {
    "appointments.appointment": Place("appointments:detail", Can.SEE_APPOINTMENTS, _own),
    "appointments.providerabsence": Place("appointments:absence", Can.MANAGE_APPOINTMENTS, _own),
    "appointments.series": Place("appointments:series", Can.MANAGE_APPOINTMENTS, _own),
    "appointments.visitpolicy": Place("appointments:policy", Can.MANAGE_SETTINGS),
    "appointments.waitlistentry": Place("appointments:waiting", Can.MANAGE_APPOINTMENTS),
    "core.absence": _TEAM,
    "core.dutyshift": _TEAM,
    "core.holiday": _TEAM,
    "core.patient": Place("core:patient_detail", Can.SEE_PATIENTS, _own),
    "core.subfile": Place("core:patient_detail", Can.SEE_PATIENTS, _of_patient),
    "finance.invoice": Place("finance:invoice_detail", Can.TAKE_PAYMENTS, _own),
    "finance.billingpolicy": Place("finance:billing_settings", Can.MANAGE_SETTINGS),
    "notifications.message": Place("notifications:message_detail", Can.SEE_MESSAGES, _own),
    "notifications.messagetemplate": Place("notifications:template_detail", Can.MANAGE_TEMPLATES, _own),
    "notifications.bulksend": Place("notifications:bulk_detail", Can.SEND_BULK, _own),
    "notifications.whatsappapproval": Place("notifications:template_detail", Can.MANAGE_TEMPLATES, _of_template),
    "notifications.brand": Place("branding:settings", Can.MANAGE_SETTINGS),
    "notifications.conversation": Place("notifications:conversation", Can.SEND_MESSAGES, _own),
    "notifications.desktask": Place("notifications:desk_tasks", Can.SEND_MESSAGES),
    "notifications.replysettings": Place("core:settings_replies", Can.MANAGE_SETTINGS),
    "notifications.sendercapability": Place("core:settings_replies", Can.MANAGE_SETTINGS),
    "appointments.reminderrule": Place("core:settings_reminders", Can.MANAGE_SETTINGS),
    "appointments.remindertiming": Place("core:settings_reminders", Can.MANAGE_SETTINGS),
    "notifications.consentrecord": Place("notifications:patient_wishes", Can.SEE_PATIENTS, _of_patient),
    "notifications.consenttext": Place("core:settings_consents", Can.MANAGE_SETTINGS),
    "notifications.sendingrule": Place("core:settings_consents", Can.MANAGE_SETTINGS),
    "notifications.classrule": Place("core:settings_classes", Can.MANAGE_SETTINGS),
    "integrations.provideraccount": Place("core:settings_senders", Can.MANAGE_SETTINGS),
    "core.location": Place("core:settings_location", Can.MANAGE_SETTINGS, _own),
    "core.department": Place("core:settings_department", Can.MANAGE_SETTINGS, _own),
    "core.patienttag": Place("core:settings_tag", Can.MANAGE_SETTINGS, _own),
    "core.tenant": Place("core:settings", Can.MANAGE_SETTINGS),
    "core.tenantsettings": Place("core:settings", Can.MANAGE_SETTINGS),
    "core.rightsrequest": Place("core:rights_detail", Can.MANAGE_SETTINGS, _own),
    "core.user": Place("core:settings_user", Can.MANAGE_SETTINGS, _own_staff),
    "notifications.notificationpreference": Place("core:patient_detail", Can.SEE_PATIENTS, _of_patient),
}


def thing_of(event: AuditEvent, rows: Rows, user: User) -> Thing | None:
    """None for an act that has no object."""
    if not event.object_type:
        return None
    kind = kind_label(event.object_type)
    row = rows.get((event.object_type, event.object_id)) if event.object_id is not None else None
    if row is None:
        return Thing(kind, str(event.object_id)[:8] if event.object_id else "", "")
    return Thing(kind, _name(row), _url(event.object_type, row, user))


def _name(row: Model) -> str:
    """What people call it; empty when it has no name of its own (a preference, a browser)."""
    for attribute in ("name", "number", "title"):
        value = getattr(row, attribute, "")
        if isinstance(value, str) and value:
            return value
    return ""


def _url(object_type: str, row: Model, user: User) -> str:
    place = PLACES.get(object_type)
    if place is None or not allows(user, place.capability):
        return ""
    key = place.key(row) if place.key is not None else None
    if place.key is not None and key is None:
        return ""
    return reverse(place.route, args=[key] if key is not None else [])
