"""Who works here and as what: accounts of staff, as the admin makes and ends them.

A patient's account is not made here. Keyword-only, atomic, audited; refusals are ``DomainError``. Needs the tenant's
scope open. Must never import anything of the other apps.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from core import audit, changes
from core.access import Can
from core.errors import DomainError
from core.models import Department, Location, Role, Tenant, User
from core.permissions import NotAllowed, demand, same_tenant
from core.sessions import end_sessions

STAFF_ROLES = (Role.ADMIN, Role.FRONT_DESK, Role.PROVIDER)
# The trail knows people by their ids.
_WITHHELD = ("email", "name_en", "name_ar", "title_en", "title_ar")


def everybody() -> QuerySet[User]:
    """Staff of the open tenant, those who left among them, the active first."""
    rows = User.objects.filter(role__in=STAFF_ROLES).select_related("location", "department")
    return rows.order_by("-is_active", "name_en", "name_ar", "pk")


@transaction.atomic
def user_create(*, actor: User, email: str, **fields: Any) -> User:
    """An account without a password: whoever it is for sets it by a link. ``fields`` are those of ``user_update``."""
    tenant = _locked_tenant(actor)
    values = _checked(actor, fields)
    email = _email(email)
    if User.accounts.filter(email__iexact=email).exists():
        raise DomainError(_("This email address has an account already."), code="email_taken")
    try:
        with transaction.atomic():
            user = User.accounts.create_user(email, None, tenant=tenant, **values)
    except IntegrityError as error:
        raise DomainError(_("This email address has an account already."), code="email_taken") from error
    audit.record(
        tenant_id=tenant.pk,
        actor=actor,
        action="user.created",
        obj=user,
        after={name: changes.plain(values[name]) for name in ("role", "location", "department", "language")},
    )
    return user


@transaction.atomic
def user_update(*, actor: User, user: User, email: str, **fields: Any) -> User:
    """Name, title, role, place, department, language and email. Nobody changes their own role."""
    _locked_tenant(actor)
    row = _locked(actor, user)
    values = _checked(actor, fields)
    email = _email(email)
    if email.lower() != row.email.lower():
        if User.accounts.filter(email__iexact=email).exclude(pk=row.pk).exists():
            raise DomainError(_("This email address has an account already."), code="email_taken")
        values["email"] = email
    if values["role"] != row.role:
        if row.pk == actor.pk:
            raise DomainError(_("You cannot change your own role. Ask another admin."), code="own_role")
        _keep_an_admin(row)
    changes.apply(actor=actor, row=row, values=values, action="user.updated", withheld=_WITHHELD)
    return row


@transaction.atomic
def user_deactivate(*, actor: User, user: User) -> User:
    """They are signed out everywhere at once, and get nothing more. Their name stays on what they did."""
    _locked_tenant(actor)
    row = _locked(actor, user)
    if row.pk == actor.pk:
        raise DomainError(_("You cannot deactivate yourself. Ask another admin."), code="oneself")
    _keep_an_admin(row)
    if changes.apply(actor=actor, row=row, values={"is_active": False}, action="user.deactivated"):
        end_sessions(row)
    return row


@transaction.atomic
def user_reactivate(*, actor: User, user: User) -> User:
    _locked_tenant(actor)
    row = _locked(actor, user)
    changes.apply(actor=actor, row=row, values={"is_active": True}, action="user.reactivated")
    return row


def _keep_an_admin(row: User) -> None:
    """The tenant's row is locked: two admins who end each other at once do not both succeed."""
    if row.role != Role.ADMIN or not row.is_active:
        return
    if not User.objects.filter(role=Role.ADMIN, is_active=True).exclude(pk=row.pk).exists():
        raise DomainError(_("This is the last active admin. Make somebody else an admin first."), code="last_admin")


def _checked(actor: User, fields: dict[str, Any]) -> dict[str, Any]:
    names = ("name_en", "name_ar", "title_en", "title_ar")
    values: dict[str, Any] = {name: " ".join(str(fields.get(name) or "").split()) for name in names}
    if not values["name_en"] and not values["name_ar"]:
        raise DomainError(_("A name is needed, in English or in Arabic."), code="name_missing")
    role = fields["role"]
    if role not in STAFF_ROLES:
        raise DomainError(_("Choose a role from the list."), code="role_unknown")
    location: Location | None = fields.get("location")
    department: Department | None = fields.get("department")
    same_tenant(actor, location, department)
    return {
        **values,
        "role": str(role),
        "location": location,
        "department": department,
        "language": fields["language"],
    }


def _email(typed: str) -> str:
    email = typed.strip().lower()
    try:
        validate_email(email)
    except ValidationError as error:
        raise DomainError(_("This is not an email address."), code="email_malformed") from error
    return email


def _locked_tenant(actor: User) -> Tenant:
    demand(actor, Can.MANAGE_SETTINGS)
    if actor.tenant_id is None:
        raise NotAllowed
    return Tenant.objects.select_for_update(no_key=True).get(pk=actor.tenant_id)


def _locked(actor: User, user: User) -> User:
    demand(actor, Can.MANAGE_SETTINGS, user)
    row = User.objects.select_for_update(no_key=True).filter(pk=user.pk, role__in=STAFF_ROLES).first()
    if row is None:
        raise NotAllowed
    return row
