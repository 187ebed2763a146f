"""The locations and departments of a clinic group: the only writer of both, for people at the screen.

A location or department that is out of use stays on everything that names it; it is only not offered for what is new.
Keyword-only, atomic, audited; refusals are ``DomainError``. Needs the tenant's scope open. Must never import anything of
the other apps.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from core import audit, changes, tenant_settings
from core.access import Can
from core.errors import DomainError
from core.models import Department, Location, Tenant, TenantSettings, User
from core.models.tenant import validate_zone
from core.permissions import NotAllowed, demand

# Monday to Sunday: when it opens and closes, or None for a day on which it is closed.
Week = Sequence[tuple[dt.time, dt.time] | None]

# A sender name as GSM networks carry it: at most 11 letters and digits, not digits alone.
_SENDER_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ._&-]{1,11}", re.ASCII)
_NUMBER = re.compile(r"\+[1-9][0-9]{7,14}", re.ASCII)
_MESSAGING_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}", re.ASCII)
_NAMED_ADDRESS = re.compile(r"(?P<name>[^<>\r\n]*)<(?P<address>[^<>\s]+)>")
_CODE = re.compile(r"[A-Z0-9-]{1,10}", re.ASCII)
_PLACE = ("name_en", "name_ar", "timezone", "weekend", "address_en", "address_ar", "phone")
_DISCREET = ("is_sensitive", "discreet_name_en", "discreet_name_ar")
_SENDERS = ("sms_sender", "whatsapp_sender", "email_sender")


# --- reading ---------------------------------------------------------------------------------------------------------


def locations() -> QuerySet[Location]:
    """All of them, those in use first."""
    return Location.objects.order_by("-is_active", "name_en", "pk")


def departments() -> QuerySet[Department]:
    return Department.objects.order_by("-is_active", "name_en", "pk")


def hours_on(location: Location, day: dt.date, own: TenantSettings) -> tuple[dt.time, dt.time] | None:
    """When the location is open that day; None: it is closed, or nobody has written its hours down."""
    in_ramadan = tenant_settings.is_ramadan(own, day)
    week = (location.ramadan_hours if in_ramadan else None) or location.opening_hours
    if not week or week[day.weekday()] is None:
        return None
    opens, closes = week[day.weekday()]
    return dt.time.fromisoformat(opens), dt.time.fromisoformat(closes)


# --- locations -------------------------------------------------------------------------------------------------------


@transaction.atomic
def location_create(*, actor: User, **fields: Any) -> Location:
    """``fields`` are those of ``location_update``."""
    tenant = _locked_tenant(actor)
    row = Location(tenant=tenant)
    for name, value in _location_values(fields).items():
        setattr(row, name, value)
    row.save(force_insert=True)
    audit.record(
        tenant_id=tenant.pk,
        actor=actor,
        action="location.created",
        obj=row,
        after={name: getattr(row, name) for name in (*_PLACE, *_SENDERS, *_DISCREET)},
    )
    return row


@transaction.atomic
def location_update(*, actor: User, location: Location, **fields: Any) -> Location:
    """Names, address, clock, weekend, hours (``opening_hours``, ``ramadan_hours``: a ``Week`` or None) and senders.

    Whether it is sensitive, and its discreet names, stay as they are where they are not among ``fields``.
    """
    demand(actor, Can.MANAGE_SETTINGS, location)
    row = Location.objects.select_for_update(no_key=True).get(pk=location.pk)
    changes.apply(actor=actor, row=row, values=_location_values(fields), action="location.updated")
    return row


@transaction.atomic
def location_set_active(*, actor: User, location: Location, is_active: bool) -> Location:
    """Takes it out of use, or back. The last one in use stays."""
    _locked_tenant(actor)
    demand(actor, Can.MANAGE_SETTINGS, location)
    row = Location.objects.select_for_update(no_key=True).get(pk=location.pk)
    if not is_active and not Location.objects.filter(is_active=True).exclude(pk=row.pk).exists():
        raise DomainError(_("This is the only location in use. Add another one first."), code="last_location")
    action = "location.reactivated" if is_active else "location.deactivated"
    changes.apply(actor=actor, row=row, values={"is_active": is_active}, action=action)
    return row


def _location_values(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Checked and tidied, as the row holds them."""
    values = {name: fields[name] for name in (*_PLACE, *_SENDERS, *(name for name in _DISCREET if name in fields))}
    for name in ("name_en", "name_ar", "address_en", "address_ar", "phone", "discreet_name_en", "discreet_name_ar"):
        if name in values:
            values[name] = " ".join(str(values[name]).split())
    if not values["name_en"] and not values["name_ar"]:
        raise DomainError(_("A name is needed, in English or in Arabic."), code="name_missing")
    try:
        validate_zone(values["timezone"])
    except ValidationError as error:
        raise DomainError(_("Choose a time zone from the list."), code="zone_unknown") from error
    values["weekend"] = sorted({int(day) for day in values["weekend"]})
    if len(values["weekend"]) == 7:
        raise DomainError(_("Leave at least one working day."), code="weekend_whole")
    values["sms_sender"] = sms_sender(values["sms_sender"])
    values["whatsapp_sender"] = whatsapp_sender(values["whatsapp_sender"])
    values["email_sender"] = email_sender(values["email_sender"])
    for name in ("opening_hours", "ramadan_hours"):
        values[name] = _week(fields[name], name)
    return values


def _week(week: Week | None, name: str) -> list[list[str] | None]:
    """As the row holds it; empty when no day is open."""
    days: list[list[str] | None] = []
    for number, span in enumerate(week or ()):
        if span is None:
            days.append(None)
            continue
        opens, closes = span
        if closes <= opens:
            raise DomainError(_("It must close after it opens."), code=f"{name}_{number}")
        days.append([f"{opens:%H:%M}", f"{closes:%H:%M}"])
    return days if any(days) else []


# --- senders ---------------------------------------------------------------------------------------------------------


def sms_sender(typed: str) -> str:
    """A registered name of at most 11 letters, a number in E.164, or a Messaging Service. Raises DomainError."""
    sender = typed.strip()
    if not sender or _SENDER_NAME.fullmatch(sender) or _MESSAGING_SERVICE.fullmatch(sender):
        return sender
    number = _bare(sender)
    if _NUMBER.fullmatch(number):
        return number
    raise DomainError(
        _("An SMS sender is a registered name of at most 11 English letters, or a number such as +966112345678."),
        code="sms_sender",
    )


def whatsapp_sender(typed: str) -> str:
    sender = _bare(typed.strip().removeprefix("whatsapp:"))
    if sender and not _NUMBER.fullmatch(sender):
        raise DomainError(
            _("A WhatsApp sender is a number with its country code, such as +966112345678."), code="whatsapp_sender"
        )
    return sender


def email_sender(typed: str) -> str:
    """``name@clinic.example`` or ``Clinic <name@clinic.example>``."""
    sender = " ".join(typed.split())
    if not sender:
        return ""
    named = _NAMED_ADDRESS.fullmatch(sender)
    try:
        validate_email(named["address"] if named else sender)
    except ValidationError as error:
        raise DomainError(
            _("An email sender is an address such as clinic@example.com, or Clinic <clinic@example.com>."),
            code="email_sender",
        ) from error
    return sender


def _bare(number: str) -> str:
    return re.sub(r"[\s()-]", "", number)


# --- departments -----------------------------------------------------------------------------------------------------


@transaction.atomic
def department_create(*, actor: User, code: str, name_en: str, name_ar: str) -> Department:
    tenant = _locked_tenant(actor)
    values = _department_values(code, name_en, name_ar)
    _check_code(values["code"], None)
    row = Department.objects.create(tenant=tenant, **values)
    audit.record(tenant_id=tenant.pk, actor=actor, action="department.created", obj=row, after=values)
    return row


@transaction.atomic
def department_update(*, actor: User, department: Department, code: str, name_en: str, name_ar: str) -> Department:
    _locked_tenant(actor)
    demand(actor, Can.MANAGE_SETTINGS, department)
    row = Department.objects.select_for_update(no_key=True).get(pk=department.pk)
    values = _department_values(code, name_en, name_ar)
    _check_code(values["code"], row)
    changes.apply(actor=actor, row=row, values=values, action="department.updated")
    return row


@transaction.atomic
def department_set_active(*, actor: User, department: Department, is_active: bool) -> Department:
    demand(actor, Can.MANAGE_SETTINGS, department)
    row = Department.objects.select_for_update(no_key=True).get(pk=department.pk)
    action = "department.reactivated" if is_active else "department.deactivated"
    changes.apply(actor=actor, row=row, values={"is_active": is_active}, action=action)
    return row


def _department_values(code: str, name_en: str, name_ar: str) -> dict[str, str]:
    values = {
        "code": code.strip().upper(),
        "name_en": " ".join(name_en.split()),
        "name_ar": " ".join(name_ar.split()),
    }
    if not values["name_en"] and not values["name_ar"]:
        raise DomainError(_("A name is needed, in English or in Arabic."), code="name_missing")
    if not _CODE.fullmatch(values["code"]):
        raise DomainError(_("A code has at most 10 English letters and digits, such as DENT."), code="code_malformed")
    return values


def _check_code(code: str, own: Department | None) -> None:
    others = Department.objects.filter(code=code)
    if own is not None:
        others = others.exclude(pk=own.pk)
    if others.exists():
        raise DomainError(_("Another department has this code."), code="code_taken")


def _locked_tenant(actor: User) -> Tenant:
    demand(actor, Can.MANAGE_SETTINGS)
    if actor.tenant_id is None:
        raise NotAllowed
    return Tenant.objects.select_for_update(no_key=True).get(pk=actor.tenant_id)
