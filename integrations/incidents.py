"""Incidents: what needed a person, from start to end, and whom it is told. Once at each end, not per message or hour.

One row a trouble: the unique constraints on open rows decide between workers that see it at once. ``breaker`` begins
and ends those of providers, ``queue_watch`` those of what waits too long, ``beat_watch`` that of a silent clock. Messages
that became too late end as one summary, told at the end; refusals because of our settings end when no more come.

The end of an incident also says so on the rows of the bell that told of its beginning, in the same transaction.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Count, Max, Min, Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from core.access import Can, allows
from core.models import Tenant, User
from core.tenancy import active_tenant_ids, tenant_scope
from integrations import credentials
from integrations.models import Incident
from notifications import alerts, inbox
from notifications.alerts import Trouble
from notifications.models import Message, Notification
from notifications.states import Lane, Reason, Status

log = structlog.get_logger(__name__)

Kind = Incident.Kind
OF_PROVIDERS = (Kind.OUTAGE, Kind.CONFIGURATION)
# Without another one for so long, the last message has become too late.
QUIET = dt.timedelta(minutes=2)
# Without another one for so long, what our settings had refused is over: somebody has mended it, or nobody sends it.
MENDED_AFTER = dt.timedelta(hours=1)
# The sweeper notes its messages after it has ended them. Shorter than QUIET, so that none is in two summaries.
_NOTED_WITHIN = dt.timedelta(minutes=1)
# A bell that was rung after the end (its fan-out was held up) is looked for this long.
_TOLD_LATE = dt.timedelta(days=2)


def open_ones(*kinds: Kind) -> QuerySet[Incident]:
    return Incident.objects.filter(kind__in=kinds, ended_at=None)


# --- Both ends -------------------------------------------------------------------------------------------------------


def begin(
    kind: Kind,
    *,
    provider: str = "",
    channel: str = "",
    sender: str = "",
    tenant_id: uuid.UUID | None = None,
    code: str = "",
    detail: str = "",
    stand_in: str = "",
    since: dt.datetime | None = None,
) -> bool:
    """Opens the incident and tells the admins. False when it is open already: they know.

    ``detail`` is a sentence of ours that is in the catalogue; ``stand_in`` the provider that takes over; ``since`` when
    it began, where that is earlier than now.
    """
    with transaction.atomic():
        try:
            with transaction.atomic():
                incident = Incident.objects.create(
                    kind=kind,
                    tenant_id=tenant_id,
                    provider=provider,
                    channel=channel,
                    sender=sender,
                    code=code[:40],
                    detail=detail[:300],
                    started_at=since or timezone.now(),
                )
        except IntegrityError:
            return False
        log.error("incident_began", incident_id=str(incident.pk), kind=kind.value, provider=provider, channel=channel)
        for one in _tenants_of(incident):
            with tenant_scope(one):
                _tell_beginning(one, incident, stand_in)
    return True


@transaction.atomic
def end(incident: Incident, *, at: dt.datetime, is_told: bool = True) -> bool:
    """Ends it, says so on what told of it, and tells the admins. False when somebody else has.

    Not ``is_told``: nothing works again, something else has taken its place or nobody asks any more.
    """
    if not Incident.objects.filter(pk=incident.pk, ended_at=None).update(ended_at=at):
        return False
    incident.ended_at = at
    log.warning("incident_ended", incident_id=str(incident.pk), kind=incident.kind, provider=incident.provider)
    told = set(_tenants_of(incident)) if is_told else set()
    for one in _tenants_told(incident):
        with tenant_scope(one):
            inbox.resolve(object_id=incident.pk, event_key=alerts.BEGAN)
            if one in told:
                _tell_end(one, incident)
    return True


def resolve_told_late() -> int:
    """Bells about a beginning that were rung after the end: they say that it is over. Returns how many."""
    over = Incident.objects.filter(ended_at__gte=timezone.now() - _TOLD_LATE).exclude(kind=Kind.EXPIRED)
    ids = list(over.values_list("pk", flat=True))
    if not ids:
        return 0
    resolved = 0
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            left = Notification.objects.filter(
                related_object_id__in=ids, event_key=alerts.BEGAN, resolved_at=None
            ).values_list("related_object_id", flat=True)
            for incident_id in set(left):
                assert incident_id is not None
                resolved += inbox.resolve(object_id=incident_id, event_key=alerts.BEGAN)
    return resolved


def _tell_beginning(tenant_id: uuid.UUID, incident: Incident, stand_in: str) -> None:
    match incident.kind:
        case Kind.QUEUE:
            alerts.queue_is_late(
                tenant_id=tenant_id, incident=incident, lane=Lane[incident.sender], since=incident.started_at
            )
        case Kind.EVENTS:
            alerts.events_wait(tenant_id=tenant_id, incident=incident, since=incident.started_at)
        case Kind.BEAT:
            alerts.clock_is_silent(tenant_id=tenant_id, incident=incident, since=incident.started_at)
        case Kind.SETTINGS:
            alerts.settings_refuse(
                tenant_id=tenant_id,
                incident=incident,
                channel=incident.channel,
                code=incident.sender,
                detail=incident.detail,
            )
        case _:
            alerts.trouble_began(tenant_id=tenant_id, incident=incident, trouble=_trouble(incident, stand_in))


def _tell_end(tenant_id: uuid.UUID, incident: Incident) -> None:
    span = (incident.started_at, incident.ended_at or timezone.now())
    match incident.kind:
        case Kind.QUEUE:
            alerts.queue_moves_again(tenant_id=tenant_id, incident=incident, lane=Lane[incident.sender], span=span)
        case Kind.EVENTS:
            alerts.events_move_again(tenant_id=tenant_id, incident=incident, span=span)
        case Kind.BEAT:
            alerts.clock_ticks_again(tenant_id=tenant_id, incident=incident, span=span)
        case Kind.SETTINGS:
            alerts.settings_refuse_no_more(tenant_id=tenant_id, incident=incident, channel=incident.channel, span=span)
        case _:
            alerts.trouble_over(tenant_id=tenant_id, incident=incident, trouble=_trouble(incident))


def _trouble(incident: Incident, stand_in: str = "") -> Trouble:
    return Trouble(
        provider=incident.provider,
        channel=incident.channel,
        # The provider's default sender ("(default)") is nobody's name: its refusal is one of our settings.
        sender=incident.sender if incident.tenant_id is not None and not incident.sender.startswith("(") else "",
        is_refusal=incident.kind == Kind.CONFIGURATION,
        code=incident.code,
        detail=incident.detail,
        stand_in=stand_in,
        began_at=incident.started_at,
        ended_at=incident.ended_at,
    )


def _tenants_of(incident: Incident) -> Sequence[uuid.UUID]:
    """Whose admins are told: the tenant's that it concerns, or everybody's."""
    if incident.tenant_id is None:
        return active_tenant_ids()
    is_active = Tenant.objects.filter(pk=incident.tenant_id, is_active=True).exists()
    return [incident.tenant_id] if is_active else []


def _tenants_told(incident: Incident) -> Sequence[uuid.UUID]:
    """Whose admins may have been told of the beginning, those of a tenant that was suspended since among them."""
    if incident.tenant_id is not None:
        return [incident.tenant_id]
    return list(Tenant.objects.order_by("pk").values_list("pk", flat=True))


# --- Refused because of our settings ---------------------------------------------------------------------------------


def note_refused_by_settings(tenant_id: uuid.UUID, *, channel: str, code: str, detail: str) -> None:
    """A message was not sent because its channel is not set up (no ``detail``), or because of a reason in our set-up.

    One incident a channel and code. While it is open its ``code`` is the moment of the last one, to the minute.
    Trouble of a whole account or sender is the breaker's.
    """
    now = timezone.now()
    there = open_ones(Kind.SETTINGS).filter(tenant_id=tenant_id, channel=channel, sender=code[:40])
    if there.exists():
        there.filter(code__lt=(now - dt.timedelta(minutes=1)).isoformat()).update(code=now.isoformat())
        return
    begin(Kind.SETTINGS, tenant_id=tenant_id, channel=channel, sender=code[:40], code=now.isoformat(), detail=detail)


def close_mended() -> int:
    """Ends those of settings when the channel is set up again, or no message was refused for an hour."""
    now = timezone.now()
    ended = 0
    for incident in open_ones(Kind.SETTINGS):
        is_off = not incident.detail
        last = dt.datetime.fromisoformat(incident.code)
        carriers = credentials.providers_for(incident.channel, incident.tenant_id)
        is_mended = bool(carriers) if is_off else now - last >= MENDED_AFTER
        ended += is_mended and end(incident, at=now if is_off else last)
    return ended


# --- Too late --------------------------------------------------------------------------------------------------------


def note_expired(tenant_id: uuid.UUID, count: int) -> None:
    """Messages of that tenant were just ended because they had become too late.

    While the incident is open its ``detail`` counts them and its ``code`` is the moment of the last ones.
    """
    if not count:
        return
    now = timezone.now()
    with transaction.atomic():
        incident, _is_new = Incident.objects.select_for_update().get_or_create(
            kind=Kind.EXPIRED,
            tenant_id=tenant_id,
            provider="",
            channel="",
            sender="",
            ended_at=None,
            defaults={"started_at": now - _NOTED_WITHIN},
        )
        incident.detail = str(int(incident.detail or 0) + count)
        incident.code = now.isoformat()
        incident.save(update_fields=["detail", "code"])


def close_quiet() -> int:
    """Ends the incidents of messages that became too late when no more do, each with a summary. Returns how many."""
    now = timezone.now()
    return sum(_close_if_quiet(pk, now) for pk in open_ones(Kind.EXPIRED).values_list("pk", flat=True))


@transaction.atomic
def _close_if_quiet(incident_id: uuid.UUID, now: dt.datetime) -> bool:
    incident = Incident.objects.select_for_update().get(pk=incident_id)
    last = dt.datetime.fromisoformat(incident.code) if incident.code else incident.started_at
    if incident.ended_at is not None or now - last < QUIET:
        return False
    assert incident.tenant_id is not None
    with tenant_scope(incident.tenant_id):
        late = Message.objects.filter(
            status=Status.EXPIRED, reason=Reason.PAST_DUE, updated_at__gte=incident.started_at, updated_at__lte=last
        ).order_by()
        span = late.aggregate(count=Count("pk"), first=Min("updated_at"), last=Max("updated_at"))
        kinds = list(late.values_list("notification_type", "channel").annotate(count=Count("pk")).order_by("-count"))
    incident.started_at = span["first"] or incident.started_at
    incident.ended_at = span["last"] or last
    incident.detail, incident.code = str(span["count"]), ""
    incident.save(update_fields=["started_at", "ended_at", "detail", "code"])
    if span["count"]:
        for one in _tenants_of(incident):
            with tenant_scope(one):
                alerts.messages_expired(
                    tenant_id=one, incident=incident, kinds=kinds, span=(incident.started_at, incident.ended_at)
                )
    return True


# --- Where the bell leads --------------------------------------------------------------------------------------------


def address_of(user: User, incident_id: uuid.UUID) -> str | None:
    """The messages that became too late, or the page about sending. None for strangers and other tenants."""
    mine = Q(tenant=None) | Q(tenant=user.tenant_id)
    incident = Incident.objects.filter(mine, pk=incident_id).first()
    if incident is None:
        return None
    if incident.kind == Kind.EXPIRED:
        address = f"{reverse('notifications:message_list')}?status={Status.EXPIRED.value}"
        return address if allows(user, Can.SEE_MESSAGES) else None
    return reverse("notifications:operations") if allows(user, Can.ADMINISTER) else None
