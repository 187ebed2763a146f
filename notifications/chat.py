"""Slack and Teams channels: the tenant's, and each person's own. The only writer of ``ChatTarget``.

A webhook's address lets anybody write there. It is stored encrypted, never shown again, and in no log or audit row.
Only addresses of Slack and of Teams' workflows are taken: the sender would otherwise call whatever somebody types.
"""

from __future__ import annotations

import re
import uuid
from urllib.parse import parse_qsl, urlsplit

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import Role, User
from core.permissions import NotAllowed, demand
from core.tenancy import tenant_scope
from notifications.models import ChatTarget
from notifications.staff_outbox import team_step

MOST_OF_A_TENANT = 10
MOST_OF_A_PERSON = 3
SLACK, TEAMS = "slack", "teams"

_SLACK = re.compile(r"https://hooks\.slack\.com/services/[A-Za-z0-9]+/[A-Za-z0-9]+/[A-Za-z0-9]+", re.ASCII)
_TEAMS = re.compile(
    r"https://[a-z0-9.-]+\.(?:logic\.azure\.com|powerplatform\.com)(?::443)?"
    r"(?:/powerautomate/automations/direct(?:/cu/[0-9]+)?)?"
    r"/workflows/[A-Za-z0-9_-]+/triggers/manual/paths/invoke/?",
    re.ASCII,
)
# What a workflow's address says behind the question mark; anything else could be an option of the client's.
_TEAMS_PARAMETERS = {"api-version", "sp", "sv", "sig", "tenantId", "environmentName"}


def kind_of(url: str) -> str:
    """``slack`` or ``teams``. Raises ``DomainError`` for every other address."""
    url = url.strip()
    address = urlsplit(url)
    if not address.fragment:
        if _SLACK.fullmatch(url):
            return SLACK
        parameters = dict(parse_qsl(address.query))
        if _TEAMS.fullmatch(url.split("?")[0]) and parameters.get("sig") and parameters.keys() <= _TEAMS_PARAMETERS:
            return TEAMS
    raise DomainError(
        _(
            "This is no address of a Slack webhook (https://hooks.slack.com/services/…) or of a Teams workflow "
            "(https://….logic.azure.com/workflows/… or https://….powerplatform.com/…)."
        ),
        code="chat_address",
    )


@transaction.atomic
def target_add(*, actor: User, name: str, url: str, is_team: bool) -> ChatTarget:
    """A channel of the whole clinic group (admins only), or the actor's own."""
    demand(actor, Can.ADMINISTER if is_team else Can.USE_BELL)
    if actor.tenant_id is None or actor.role == Role.PATIENT:
        raise NotAllowed
    name = name.strip()[:80]
    if not name:
        raise DomainError(_("Give the channel a name."), code="chat_name")
    kind = kind_of(url)
    # The lock makes the count below exact.
    User.objects.select_for_update(no_key=True).get(pk=actor.pk)
    there = list(ChatTarget.objects.filter(user=None if is_team else actor, is_active=True))
    most = MOST_OF_A_TENANT if is_team else MOST_OF_A_PERSON
    if len(there) >= most:
        raise DomainError(_("There are %(count)s channels. Remove one first.") % {"count": most}, code="chat_targets")
    target = ChatTarget(
        tenant_id=actor.tenant_id, user=None if is_team else actor, name=name, url=url.strip(), kind=kind
    )
    while team_step(target.pk) in {team_step(one.pk) for one in there}:
        target.pk = uuid.uuid4()
    target.save(force_insert=True)
    audit.record(
        tenant_id=actor.tenant_id,
        actor=actor,
        action="chat_target.added",
        obj=target,
        after={"kind": kind, "name": name},
    )
    return target


@transaction.atomic
def target_remove(*, actor: User, target: ChatTarget) -> None:
    demand(actor, Can.ADMINISTER if target.user_id is None else Can.USE_BELL, target)
    audit.record(
        tenant_id=target.tenant_id,
        actor=actor,
        action="chat_target.removed",
        obj=target,
        before={"kind": target.kind, "name": target.name},
    )
    target.delete()


def team_targets() -> list[ChatTarget]:
    """The channels of the open scope's tenant."""
    return list(ChatTarget.objects.filter(user=None, is_active=True).order_by("created_at", "pk"))


def own_targets(user: User) -> list[ChatTarget]:
    return list(ChatTarget.objects.filter(user=user, is_active=True).order_by("created_at", "pk"))


def stop_all(user: User) -> int:
    """The person no longer works here: their own channels hear nothing more."""
    if user.tenant_id is None:
        return 0
    with tenant_scope(user.tenant_id):
        return ChatTarget.objects.filter(user=user, is_active=True).update(is_active=False)


def note_result(target_id: uuid.UUID, *, is_success: bool) -> None:
    ChatTarget.objects.filter(pk=target_id).update(
        **{"last_success_at" if is_success else "last_failure_at": timezone.now()}
    )
