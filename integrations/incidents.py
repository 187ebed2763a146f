"""Incidents: what needed a person, from start to end, and whom it is told. Once at each end, not per message or hour.

One row a trouble: the unique constraints on open rows decide between workers that see it at once. ``breaker`` begins
and ends those of providers; the sweeper notes messages that became too late, which end as one summary.
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
from integrations.models import Incident
from notifications import alerts
from notifications.alerts import Trouble
from notifications.models import Message
from notifications.states import Reason, Status

log = structlog.get_logger(__name__)

Kind = Incident.Kind
OF_PROVIDERS = (Kind.OUTAGE, Kind.CONFIGURATION)
# Without another one for so long, the last message has become too late.
QUIET = dt.timedelta(minutes=2)
# The sweeper notes its messages after it has ended them. Shorter than QUIET, so that none is in two summaries.
_NOTED_WITHIN = dt.timedelta(minutes=1)


def open_ones(*kinds: Kind) -> QuerySet[Incident]:
    return Incident.objects.filter(kind__in=kinds, ended_at=None)


# --- Of providers ----------------------------------------------------------------------------------------------------


def begin(
    kind: Kind,
    *,
    provider: str,
    channel: str,
    sender: str = "",
    tenant_id: uuid.UUID | None = None,
    code: str = "",
    detail: str = "",
    stand_in: str = "",
) -> bool:
    """Opens the incident and tells the admins. False when it is open already: they know.

    ``detail`` is a sentence of ours that is in the catalogue; ``stand_in`` the provider that takes over.
    """
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
                started_at=timezone.now(),
            )
    except IntegrityError:
        return False
    log.error("incident_began", incident_id=str(incident.pk), kind=kind.value, provider=provider, channel=channel)
    for one in _tenants_of(incident):
        with tenant_scope(one):
            alerts.trouble_began(tenant_id=one, incident=incident, trouble=_trouble(incident, stand_in))
    return True


def end(incident: Incident, *, at: dt.datetime, is_told: bool = True) -> bool:
    """Ends it and tells the admins. False when somebody else has."""
    if not Incident.objects.filter(pk=incident.pk, ended_at=None).update(ended_at=at):
        return False
    incident.ended_at = at
    log.warning("incident_ended", incident_id=str(incident.pk), kind=incident.kind, provider=incident.provider)
    for one in _tenants_of(incident) if is_told else ():
        with tenant_scope(one):
            alerts.trouble_over(tenant_id=one, incident=incident, trouble=_trouble(incident))
    return True


def _trouble(incident: Incident, stand_in: str = "") -> Trouble:
    return Trouble(
        provider=incident.provider,
        channel=incident.channel,
        # The provider's default sender is nobody's name: its refusal is one of our settings.
        sender=incident.sender if incident.tenant_id is not None else "",
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
