"""What people do with a send: draft, words, check, submit, approve, pause, resume, stop, throw away.

Keyword-only, atomic, audited. Every move is a compare-and-set: who comes second is told, and nothing happens twice.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import Role, User
from core.permissions import demand
from core.selectors import zone_of
from integrations import outbox
from integrations.bulk import audience, plan, run, words
from integrations.bulk.audience import Person
from integrations.messaging_service import MessagingService
from integrations.outbox import Origin
from notifications import bulk_hold, inbox, message_classes
from notifications.bulk_states import BULK_TRANSITIONS, EDITABLE, STOPPABLE, BulkSource, BulkState, MessageClass
from notifications.models import BulkRecipient, BulkRowError, BulkSend, MessageTemplate
from notifications.states import Level

# A notice that is of use for longer is no message but a poster.
USEFUL_HOURS = range(1, 24 * 7 + 1)
# Not planned further ahead: whom it reaches would have changed.
FURTHEST = dt.timedelta(days=60)


@transaction.atomic
def draft(
    *,
    actor: User,
    name: str,
    source: str,
    message_class: str,
    people: Iterable[Person] | Callable[[BulkSend], int],
    filters: Mapping[str, Any] | None = None,
    variables: Sequence[str] = (),
    object_type: str = "",
    is_urgent: bool = False,
    again_of: BulkSend | None = None,
) -> BulkSend:
    """A new send with its audience. ``people`` are the recipients, or a function that writes them and returns how many."""
    demand(actor, Can.SEND_BULK)
    if actor.tenant_id is None:
        raise ValueError("a bulk send belongs to a tenant")
    chosen = dict(filters or {})
    audience.refuse_filters(message_class, chosen)
    bulk = BulkSend.objects.create(
        tenant_id=actor.tenant_id,
        name=" ".join(name.split())[:120] or _("Bulk send"),
        source=source,
        message_class=message_class,
        audience=chosen,
        variables=list(variables),
        object_type=object_type,
        is_urgent=is_urgent and message_class == MessageClass.SERVICE,
        timezone=str(zone_of(actor)),
        created_by=actor,
        again_of=again_of,
    )
    count = people(bulk) if callable(people) else audience.fill(bulk, people)
    if not count and not bulk.error_count:
        raise DomainError(_("Nobody fits this choice."), code="nobody")
    audit.record(
        tenant_id=bulk.tenant_id,
        actor=actor,
        action="bulk.created",
        obj=bulk,
        after={"class": message_class, "source": source, "people": count},
    )
    return bulk


@transaction.atomic
def words_set(
    *,
    actor: User,
    bulk: BulkSend,
    template_code: str = "",
    texts: Mapping[str, str] | None = None,
    channel: str = "",
    is_urgent: bool = False,
) -> None:
    """Freezes the words: of the templates with that code, or written for this send. It needs a check again."""
    demand(actor, Can.SEND_BULK, bulk)
    template: MessageTemplate | None = None
    if template_code:
        rows = [row for row in words.usable_templates(bulk) if row.code == template_code]
        rows = [row for row in rows if not channel or row.channel == channel]
        if not rows:
            raise DomainError(_("This template cannot be used for this send."), code="template_unusable")
        template, frozen = rows[0], words.from_templates(rows)
    else:
        channels = [one for one in words.OWN_CHANNELS if not channel or one == channel]
        if not channels:
            raise DomainError(
                _("WhatsApp takes approved templates only. Choose a template, or another channel."), code="own_whatsapp"
            )
        frozen = words.own(bulk, texts or {}, channels)
    _move(
        bulk,
        BulkState.DRAFT,
        stay=True,
        words=frozen,
        template=template,
        channel=channel,
        is_urgent=is_urgent and bulk.message_class == MessageClass.SERVICE,
        # Of the words of before nothing is left.
        editors=[str(actor.pk)],
        totals={},
        checked_at=None,
    )


@transaction.atomic
def check(*, actor: User, bulk: BulkSend) -> None:
    """Counts who gets it, who does not and why, and what it costs."""
    demand(actor, Can.SEND_BULK, bulk)
    if not bulk.words:
        raise DomainError(_("Write the message first."), code="words_missing")
    # The row's lock: nobody changes the words while they are counted.
    BulkSend.objects.select_for_update(no_key=True).get(pk=bulk.pk)
    totals = plan.check(bulk)
    # What waits for its time or for a colleague is called off first: the numbers they said yes to stay what they are.
    _move(bulk, BulkState.CHECKED, only_from=EDITABLE, stay=True, totals=totals, checked_at=timezone.now())


@transaction.atomic
def submit(
    *,
    actor: User,
    bulk: BulkSend,
    scheduled_at: dt.datetime | None = None,
    sends_from: dt.time | None = None,
    sends_until: dt.time | None = None,
    useful_hours: int = 24,
    seen: str = "",
) -> None:
    """Starts a checked send, now or later; above the class's limit it waits for a second person.

    ``seen`` is the ``mark_of`` the check that the person has looked at.
    """
    demand(actor, Can.SEND_BULK, bulk)
    _demand_seen(bulk, seen)
    now = timezone.now()
    if not bulk.totals.get("send"):
        raise DomainError(_("Nobody would get this message."), code="nobody")
    if (sends_from is None) != (sends_until is None):
        raise DomainError(_("Give both times, or neither."), code="window_half")
    if sends_from is not None and sends_until is not None and sends_from >= sends_until:
        raise DomainError(_("The end must be later than the beginning, on the same day."), code="window_empty")
    if scheduled_at is not None and not now <= scheduled_at <= now + FURTHEST:
        raise DomainError(_("Choose a time within the next 60 days."), code="schedule_out_of_range")
    if useful_hours not in USEFUL_HOURS:
        raise DomainError(_("Choose between 1 and 168 hours."), code="useful_out_of_range")
    bulk.sends_from, bulk.sends_until = sends_from, sends_until
    starts = scheduled_at or now
    opens = bulk_hold.opens_at(bulk, starts)
    if opens is None:
        raise DomainError(_("These hours lie outside the hours of this class of message."), code="window_closed")
    if opens >= starts + dt.timedelta(hours=useful_hours):
        raise DomainError(
            _(
                "The message would be out of date before it may be sent. Let it be useful for longer, or start it later."
            ),
            code="useful_too_short",
        )
    to = BulkState.AWAITING_APPROVAL if needs_second_person(bulk) else BulkState.SCHEDULED
    _move(
        bulk,
        to,
        only_from=[BulkState.CHECKED],
        same_check=True,
        editors=list(dict.fromkeys([*bulk.editors, str(actor.pk)])),
        scheduled_at=scheduled_at or now,
        sends_from=sends_from,
        sends_until=sends_until,
        useful_hours=useful_hours,
    )
    _record(actor, bulk, "bulk.submitted", after={"state": to, "people": bulk.totals["send"]})
    if to == BulkState.AWAITING_APPROVAL:
        _ask_colleagues(bulk)
    elif scheduled_at is None:
        run.ring_for(bulk)


def needs_second_person(bulk: BulkSend) -> bool:
    """Whether the send goes to more people than one person may send to alone."""
    return int(bulk.totals.get("send", 0)) > message_classes.rules()[bulk.message_class].approval_above


def may_approve(actor: User, bulk: BulkSend) -> bool:
    """Another person than those who have chosen the people, written the words, or asked for it to be sent."""
    return str(actor.pk) not in {*bulk.editors, str(bulk.created_by_id)}


def mark_of(bulk: BulkSend) -> str:
    """Which check it is: another one after every change of the words and every count."""
    return bulk.checked_at.isoformat() if bulk.checked_at is not None else ""


def _demand_seen(bulk: BulkSend, seen: str) -> None:
    """Nobody says yes to words and numbers that have changed since the page was drawn."""
    if seen and seen != mark_of(bulk):
        raise _moved()


@transaction.atomic
def approve(*, actor: User, bulk: BulkSend, seen: str = "") -> None:
    """The second person's yes, to the check they have ``seen``. A start that has passed meanwhile is now."""
    demand(actor, Can.SEND_BULK, bulk)
    _demand_seen(bulk, seen)
    if not may_approve(actor, bulk):
        raise DomainError(_("A second person has to approve this."), code="same_person")
    now = timezone.now()
    scheduled_at = max(bulk.scheduled_at or now, now)
    _move(
        bulk,
        BulkState.SCHEDULED,
        only_from=[BulkState.AWAITING_APPROVAL],
        same_check=True,
        approved_by=actor,
        approved_at=now,
        scheduled_at=scheduled_at,
    )
    _record(actor, bulk, "bulk.approved", after={"people": bulk.totals.get("send", 0)})
    if scheduled_at <= now:
        run.ring_for(bulk)


@transaction.atomic
def call_off(*, actor: User, bulk: BulkSend) -> None:
    """Back to the checked state, before anything was written: not approved, or not wanted any more."""
    demand(actor, Can.SEND_BULK, bulk)
    before = bulk.state
    _move(
        bulk,
        BulkState.CHECKED,
        only_from=[BulkState.AWAITING_APPROVAL, BulkState.SCHEDULED],
        approved_by=None,
        approved_at=None,
        scheduled_at=None,
    )
    _record(actor, bulk, "bulk.called_off", before={"state": before})


@transaction.atomic
def pause(*, actor: User, bulk: BulkSend) -> None:
    """From the next claim on nothing of it leaves."""
    demand(actor, Can.SEND_BULK, bulk)
    _move(bulk, BulkState.PAUSED, lease_token=None, lease_expires_at=None)
    _record(actor, bulk, "bulk.paused")


@transaction.atomic
def resume(*, actor: User, bulk: BulkSend) -> None:
    demand(actor, Can.SEND_BULK, bulk)
    to = BulkState.STARTING if bulk.written_at is None else BulkState.RUNNING
    _move(bulk, to, only_from=[BulkState.PAUSED])
    _record(actor, bulk, "bulk.resumed")
    run.ring_for(bulk)
    outbox.ring_on_commit(words.lane_of(bulk))


@transaction.atomic
def stop(*, actor: User, bulk: BulkSend) -> None:
    """Ends it for good: from the next claim on nothing leaves, and what waits is cancelled."""
    demand(actor, Can.SEND_BULK, bulk)
    _move(bulk, BulkState.STOPPED, only_from=STOPPABLE, lease_token=None, lease_expires_at=None)
    _record(actor, bulk, "bulk.stopped")
    run.ring_for(bulk)


@transaction.atomic
def discard(*, actor: User, bulk: BulkSend) -> None:
    """Throws away what was never submitted."""
    demand(actor, Can.SEND_BULK, bulk)
    row = BulkSend.objects.select_for_update().filter(pk=bulk.pk, state__in=EDITABLE).first()
    if row is None:
        raise _moved()
    _record(actor, row, "bulk.discarded")
    for kind in (BulkRecipient, BulkRowError):
        # Nothing hangs on these: no need to load them first.
        rows = kind.objects.filter(bulk=row)
        rows._raw_delete(rows.db)
    row.delete()


@transaction.atomic
def again(*, actor: User, bulk: BulkSend, patient_ids: Sequence[uuid.UUID]) -> BulkSend:
    """A new send with the same words to those who did not get this one; it is checked anew."""
    demand(actor, Can.SEND_BULK, bulk)
    rows = BulkRecipient.objects.filter(bulk=bulk, patient__in=patient_ids).order_by("position")
    copy = draft(
        actor=actor,
        name=_("%(name)s (again)") % {"name": bulk.name[:100]},
        source=BulkSource.AGAIN,
        message_class=bulk.message_class,
        people=lambda new: _copy_people(new, rows.iterator(chunk_size=2000)),
        filters=bulk.audience,
        variables=bulk.variables,
        object_type=bulk.object_type,
        is_urgent=bulk.is_urgent,
        again_of=bulk,
    )
    # The words stay those of the people who wrote them.
    BulkSend.objects.filter(pk=copy.pk).update(
        words=bulk.words, channel=bulk.channel, template=bulk.template_id, editors=bulk.editors
    )
    copy.refresh_from_db()
    return copy


def _copy_people(new: BulkSend, rows: Iterable[BulkRecipient]) -> int:
    position = 0
    made = []
    for position, row in enumerate(rows, start=1):
        # The names of relatives were joined for the send before.
        values = {name: value for name, value in row.values.items() if name != "patient_name"}
        made.append(
            BulkRecipient(
                tenant_id=new.tenant_id,
                bulk=new,
                position=position,
                patient_id=row.patient_id,
                row=row.row,
                values=values,
                object_id=row.object_id,
                object_version=row.object_version,
            )
        )
    BulkRecipient.objects.bulk_create(made, batch_size=2000)
    return position


def test(*, actor: User, bulk: BulkSend) -> int:
    """Sends the check's samples to the actor's own email, as they would be written; returns how many."""
    demand(actor, Can.SEND_BULK, bulk)
    service = MessagingService()
    rows = plan.samples(bulk)
    for row in rows:
        service.send_to_user(
            user=actor,
            dedupe_key=f"bulk-test:{uuid.uuid4()}",
            origin=Origin(sent_by=actor),
            subject=_("Test: %(subject)s") % {"subject": row["subject"] or bulk.name},
            body=row["body"],
        )
    return len(rows)


def _ask_colleagues(bulk: BulkSend) -> None:
    """The bells of the admins who may approve it, in both languages: somebody waits for them."""
    texts = {}
    for language in ("en", "ar"):
        with translation.override(language):
            title = _("A bulk send waits for approval")
            people = _("%(name)s: %(people)s people") % {"name": bulk.name, "people": bulk.totals["send"]}
        texts[language] = (title, people)
    for user in User.objects.filter(role=Role.ADMIN, is_active=True):
        if not may_approve(user, bulk):
            continue
        inbox.notify(
            user=user,
            title=texts["en"][0],
            message=texts["en"][1],
            title_ar=texts["ar"][0],
            message_ar=texts["ar"][1],
            level=Level.WARNING,
            related_object_type=BulkSend._meta.label_lower,
            related_object_id=bulk.pk,
        )


def _move(
    bulk: BulkSend,
    to: BulkState,
    *,
    only_from: Iterable[str] | None = None,
    stay: bool = False,
    same_check: bool = False,
    **fields: Any,
) -> None:
    """The compare-and-set. ``stay``: being there already is as good as coming there. ``same_check``: only while the
    numbers are those of ``bulk``.
    """
    starts = {start for start, ends in BULK_TRANSITIONS.items() if to in ends} | ({str(to)} if stay else set())
    if only_from is not None:
        starts &= set(only_from)
    rows = BulkSend.objects.filter(pk=bulk.pk, state__in=starts)
    if same_check:
        rows = rows.filter(checked_at=bulk.checked_at)
    if not rows.update(state=to, updated_at=timezone.now(), **fields):
        raise _moved()
    bulk.refresh_from_db()


def _moved() -> DomainError:
    return DomainError(_("This send has moved on meanwhile. Look at it again."), code="bulk_moved")


def _record(
    actor: User,
    bulk: BulkSend,
    action: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    audit.record(tenant_id=bulk.tenant_id, actor=actor, action=action, obj=bulk, before=before, after=after)
