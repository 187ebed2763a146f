"""A word from an admin to all staff or to one role, in their bell. The only writer of ``Announcement``.

The row holds the words, the event tells them: ``describe`` reads both the words and the people when it is fanned out.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from core import audit, roster
from core.access import Can
from core.errors import DomainError
from core.models import Role, User
from core.permissions import NotAllowed, demand
from notifications import events
from notifications.models import Announcement, Notification, NotificationEvent
from notifications.registry import Audience, Bell, Delivery, EventType, Slot, Subject
from notifications.rendering import Words
from notifications.states import Category, NotificationType

EVENT = "staff.announcement"
# The roles that can be addressed; empty is all of them.
ROLES = (Role.FRONT_DESK, Role.PROVIDER, Role.ADMIN)
MAX_TITLE = 120
MAX_BODY = 2000


def audience(role: str) -> QuerySet[User]:
    """Who is told: all staff, or those of the role."""
    return roster.staff().filter(role=role) if role else roster.staff()


def audience_counts() -> dict[str, int]:
    """Role → how many people; "" → all staff. One query."""
    rows = roster.staff().order_by().values_list("role").annotate(Count("pk"))
    found = {role: count for role, count in rows if role in ROLES}
    return {"": sum(found.values()), **{str(role): found.get(role, 0) for role in ROLES}}


@transaction.atomic
def announce(
    *, actor: User, role: str, title_en: str, title_ar: str, body_en: str, body_ar: str, key: uuid.UUID
) -> Announcement:
    """Posts it once: the same ``key`` of the same author returns the row that is there.

    A language is complete or empty, and one must be complete; who reads the other gets that one.
    """
    demand(actor, Can.ADMINISTER)
    if actor.tenant_id is None:
        raise NotAllowed
    words = check(role=role, title_en=title_en, title_ar=title_ar, body_en=body_en, body_ar=body_ar)
    # The key of the form, made the author's own: nobody's row can be named by guessing.
    row, is_new = Announcement.objects.get_or_create(
        pk=uuid.uuid5(actor.pk, str(key)),
        defaults={"tenant_id": actor.tenant_id, "author": actor, "role": role, **words},
    )
    if not is_new:
        if row.role != role or any(getattr(row, name) != text for name, text in words.items()):
            raise DomainError(
                _("This form has been posted before, with other words. Begin a new announcement."), code="key_used"
            )
        return row
    count = audience(role).count()
    if not count:
        raise DomainError(_("Nobody who works here has this role."), code="nobody")
    events.record(
        EVENT,
        tenant_id=actor.tenant_id,
        dedupe=str(row.pk),
        actor=actor,
        # No object: the notification itself is the page to read it on.
        payload={"announcement_id": str(row.pk)},
    )
    audit.record(
        tenant_id=actor.tenant_id,
        actor=actor,
        action="announcement.posted",
        obj=row,
        after={"role": role, "people": count},
    )
    return row


# --- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reached:
    """How many have it in their bell, and how many of them have read it."""

    told: int
    read: int


def posted() -> QuerySet[Announcement]:
    """The latest first."""
    return Announcement.objects.select_related("author").order_by("-created_at", "-pk")


def reached(rows: Iterable[Announcement]) -> Mapping[uuid.UUID, Reached]:
    """Of these announcements, in one query. One that is not here has not been told to anybody yet."""
    keys = {_event_key(row.pk): row.pk for row in rows}
    told = NotificationEvent.objects.filter(dedupe_key__in=list(keys))
    found = (
        Notification.objects.filter(event__in=told)
        .order_by()
        .values_list("event__dedupe_key")
        .annotate(told=Count("pk"), has_read=Count("pk", filter=Q(is_read=True)))
    )
    return {keys[key]: Reached(told, read) for key, told, read in found}


def _event_key(row_id: uuid.UUID) -> str:
    """As ``events.record`` writes it."""
    return f"{EVENT}:{row_id}"


# --- rules -----------------------------------------------------------------------------------------------------------


def _tidy(text: str) -> str:
    """No white space around it and at the ends of its lines; the browser's line ends become ours."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def check(*, role: str, title_en: str, title_ar: str, body_en: str, body_ar: str) -> dict[str, str]:
    """What would be posted, tidied; raises ``DomainError`` for what would be refused."""
    words = {
        "title_en": " ".join(title_en.split()),
        "title_ar": " ".join(title_ar.split()),
        "body_en": _tidy(body_en),
        "body_ar": _tidy(body_ar),
    }
    if role and role not in ROLES:
        raise DomainError(_("Choose who is told."), code="role_unknown")
    if not any(words.values()):
        raise DomainError(_("Write it in English, in Arabic, or in both."), code="empty")
    for language in ("en", "ar"):
        title, body = words[f"title_{language}"], words[f"body_{language}"]
        if body and not title:
            raise DomainError(
                _("The title is missing. Write one, or leave this language empty."), code=f"title_{language}_missing"
            )
        if title and not body:
            raise DomainError(
                _("The text is missing. Write one, or leave this language empty."), code=f"body_{language}_missing"
            )
        if len(title) > MAX_TITLE:
            raise DomainError(_("At the most %(most)d letters.") % {"most": MAX_TITLE}, code=f"title_{language}_long")
        if len(body) > MAX_BODY:
            raise DomainError(_("At the most %(most)d letters.") % {"most": MAX_BODY}, code=f"body_{language}_long")
    return words


# --- the event -------------------------------------------------------------------------------------------------------


def _describe(event: NotificationEvent) -> Subject:
    row = Announcement.objects.get(pk=event.payload["announcement_id"])
    people = audience(row.role).select_related("location", "tenant")
    return Subject(
        context={"title": Words(row.title_en, row.title_ar), "text": Words(row.body_en, row.body_ar)},
        users={Audience.STAFF: list(people)},
    )


ENTRIES = (
    EventType(
        key=EVENT,
        name_en="Announcement",
        name_ar="إعلان",
        notification_type=NotificationType.STAFF,
        deliveries=(
            Delivery(
                Audience.STAFF,
                (Slot.IN_APP,),
                bell=Bell(
                    title_en="{title}",
                    title_ar="{title}",
                    body_en="{text}",
                    body_ar="{text}",
                    category=Category.ANNOUNCEMENT,
                ),
            ),
        ),
        describe=_describe,
        example={
            "title": Words("The new parking entrance is open", "افتتاح مدخل المواقف الجديد"),
            "text": Words("Please tell patients to use the north gate.", "يرجى توجيه المرضى إلى البوابة الشمالية."),
        },
    ),
)
