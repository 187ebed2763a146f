"""Reads of the audit trail: filtered rows for its page and its export. Must never import anything of the other apps."""

from __future__ import annotations

import datetime as dt
import uuid

from django.db.models import Q, QuerySet

from core.models import AuditEvent, Patient, User
from core.selectors import matching, words_in


def trail(
    *,
    actor: User | None = None,
    action: str = "",
    object_type: str = "",
    object_id: uuid.UUID | None = None,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    search: str = "",
) -> QuerySet[AuditEvent]:
    """The acts that pass, the latest first, with who did them. ``action`` may be a beginning: ``template.``.

    ``search`` is what a person knows: the name of who acted, the name, file number or phone of a patient, or an id.
    """
    rows = AuditEvent.objects.select_related("actor").order_by("-created_at", "-pk")
    if actor is not None:
        rows = rows.filter(actor=actor)
    if action.endswith("."):
        rows = rows.filter(action__startswith=action)
    elif action:
        rows = rows.filter(action=action)
    if object_type:
        rows = rows.filter(object_type=object_type)
    if object_id is not None:
        rows = rows.filter(object_id=object_id)
    if since is not None:
        rows = rows.filter(created_at__gte=since)
    if until is not None:
        rows = rows.filter(created_at__lt=until)
    return rows.filter(_search(search.strip())) if search.strip() else rows


def _search(typed: str) -> Q:
    try:
        return Q(object_id=uuid.UUID(typed))
    except ValueError:
        pass
    people = Q()
    for word in typed.split():
        people &= words_in(word, "name_en", "name_ar", "email")
    # Both lists are short, and each is found by its index.
    staff = User.objects.filter(people).values("pk")
    return (
        Q(actor__in=staff)
        | Q(object_id__in=staff)
        | Q(object_id__in=Patient.objects.filter(matching(typed)).values("pk"))
    )
