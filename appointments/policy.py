"""What a clinic group decides about its visits, as everybody reads it, and the only writer of it.

Keyword-only, atomic, audited; refusals are ``DomainError``. Needs the tenant's scope open.
"""

from __future__ import annotations

import uuid

from django.db import transaction
from django.utils.translation import gettext as _

from appointments.models import VisitPolicy
from core import changes
from core.access import Can
from core.errors import DomainError
from core.models import Tenant, User
from core.permissions import NotAllowed, demand

# name → least, most. An hour at least is left to correct a no-show; who is asked needs minutes to see the message.
LIMITS = {
    "no_show_hold_minutes": (60, 2 * 24 * 60),
    "offer_hold_minutes": (5, 24 * 60),
    "offers_at_once": (1, 20),
    "offer_notice_minutes": (30, 30 * 24 * 60),
    "offers_per_day": (1, 10),
}


def of(tenant_id: uuid.UUID) -> VisitPolicy:
    """The tenant's own, or an unsaved row with the defaults. One query."""
    return VisitPolicy.objects.filter(tenant_id=tenant_id).first() or VisitPolicy(tenant_id=tenant_id)


@transaction.atomic
def policy_set(
    *,
    actor: User,
    no_show_hold_minutes: int,
    no_show_needs_ok: bool,
    offer_hold_minutes: int,
    offers_at_once: int,
    offer_notice_minutes: int,
    offers_per_day: int,
) -> VisitPolicy:
    """Writes what differs. Holds that have begun keep their end."""
    demand(actor, Can.MANAGE_SETTINGS)
    if actor.tenant_id is None:
        raise NotAllowed
    values: dict[str, int | bool] = {
        "no_show_hold_minutes": no_show_hold_minutes,
        "no_show_needs_ok": no_show_needs_ok,
        "offer_hold_minutes": offer_hold_minutes,
        "offers_at_once": offers_at_once,
        "offer_notice_minutes": offer_notice_minutes,
        "offers_per_day": offers_per_day,
    }
    for name, (least, most) in LIMITS.items():
        if not least <= values[name] <= most:
            raise DomainError(
                _("Choose between %(least)d and %(most)d.") % {"least": least, "most": most},
                code=f"{name}_out_of_range",
            )
    # The tenant's row is the lock of its settings.
    Tenant.objects.select_for_update(no_key=True).get(pk=actor.tenant_id)
    row, _is_new = VisitPolicy.objects.get_or_create(tenant_id=actor.tenant_id)
    changes.apply(actor=actor, row=row, values=values, action="visit_policy.set")
    return row
