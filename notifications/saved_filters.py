"""Filters of the message list that somebody keeps under a name, and that an admin may share with the clinic group."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import User
from core.permissions import NotAllowed, demand
from notifications.models import SavedFilter

# Somebody's own. More is a list to search in, and there is a search above.
MOST = 30


def for_user(user: User) -> QuerySet[SavedFilter]:
    """Their own and the shared ones."""
    return SavedFilter.objects.filter(Q(owner=user) | Q(is_shared=True)).order_by("is_shared", "name", "pk")


@transaction.atomic
def save(*, user: User, name: str, query: Mapping[str, str], is_shared: bool = False) -> SavedFilter:
    """Keeps the filter; the same name again replaces it. Only an admin may share. ``query`` as in MessageFilterForm."""
    demand(user, Can.SEE_MESSAGES)
    if is_shared:
        demand(user, Can.ADMINISTER)
    if user.tenant_id is None:
        raise NotAllowed
    name = " ".join(name.split())[:60]
    if not name:
        raise DomainError(_("Give the filter a name."), code="filter_unnamed")
    if not query:
        raise DomainError(_("Choose a filter first: there is nothing to keep."), code="filter_empty")
    mine = SavedFilter.objects.filter(owner=user)
    if not mine.filter(name=name).exists() and mine.count() >= MOST:
        raise DomainError(_("You have many saved filters. Remove one first."), code="filter_limit")
    row, _is_new = SavedFilter.objects.update_or_create(
        owner=user,
        name=name,
        defaults={"tenant_id": user.tenant_id, "query": dict(query), "is_shared": is_shared},
    )
    if is_shared:
        # Which filters, not for what: a search holds a patient's name.
        audit.record(
            tenant_id=user.tenant_id, actor=user, action="saved_filter.shared", obj=row, after={"fields": sorted(query)}
        )
    return row


@transaction.atomic
def remove(*, user: User, row: SavedFilter) -> None:
    """By its owner; a shared one also by an admin."""
    demand(user, Can.SEE_MESSAGES, row)
    if row.owner_id != user.pk:
        demand(user, Can.ADMINISTER, row)
    if row.is_shared:
        audit.record(tenant_id=row.tenant_id, actor=user, action="saved_filter.removed", obj=row)
    row.delete()
