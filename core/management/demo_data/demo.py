"""Runs the builders in order: a clinic group that is not there yet, or one whose calendar has run dry."""

from __future__ import annotations

import datetime as dt
import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils import timezone

from core.demo_accounts import DEMO_PASSWORD
from core.management.demo_data import (
    brands,
    bulks,
    calendar,
    calls,
    devices,
    extras,
    happenings,
    kept,
    messages,
    money,
    people,
    rules,
    team,
    templates,
    timelines,
    trails,
    visits,
)
from core.management.demo_data import build as building
from core.management.demo_data.build import Build
from core.management.demo_data.clinics import ClinicPlan
from core.models import Tenant
from core.tenancy import tenant_scope
from notifications import default_words, rollups


@dataclass(frozen=True, slots=True)
class Counts:
    """What was made for one clinic group."""

    appointments: int = 0
    messages: int = 0


@functools.cache
def password_hash() -> str:
    """One for all accounts and both clinics: hashing is slow on purpose."""
    return make_password(DEMO_PASSWORD)


def build_clinic(plan: ClinicPlan, *, now: dt.datetime | None = None) -> Counts:
    """One clinic group with all its people and its last month, as of ``now``; in one transaction."""
    moment = now or timezone.now()
    tenant = Tenant(
        slug=plan.slug, name_en=plan.name.en, name_ar=plan.name.ar, created_at=moment - dt.timedelta(days=730)
    )
    rng = random.Random(plan.seed)  # noqa: S311  # dice for a demo, not for secrets
    build = Build(plan=plan, tenant=tenant, now=moment, rng=rng)
    tenant.id = build.new_id()
    with transaction.atomic(), tenant_scope(tenant.pk):
        building.save([tenant])
        people.build_places(build)
        people.build_users(build, password_hash())
        devices.build_devices(build)
        default_words.install(tenant.pk)
        crowd = people.build_people(build)
        days = calendar.working_days(
            build,
            build.today - dt.timedelta(days=calendar.PAST_DAYS),
            build.today + dt.timedelta(days=calendar.FUTURE_DAYS),
        )
        return live_through(build, crowd, days, is_first=True)


def live_through(
    build: Build, crowd: people.People, days: Sequence[dt.date], *, taken: calendar.Taken = (), is_first: bool = False
) -> Counts:
    """Fills those days with visits, and writes everything that came of them until now."""
    history = visits.build_visits(build, calendar.fill(build, crowd, days, taken))
    books = money.build_money(build, crowd, history)
    happened = [
        *happenings.of_visits(build, crowd, history),
        *money.of_books(build, crowd, books),
        *extras.results(build, crowd, history),
    ]
    if not is_first:
        post = messages.build_messages(build, crowd, happened)
    else:
        post = messages.build_messages(
            build,
            crowd,
            [*happened, extras.alert(build)],
            notes=extras.notes(build, crowd),
            outage=timelines.outage_of(build, days),
        )
        team.build_team(build)
        trails.build_trails(build)
        rules.build_rules(build)
        templates.build_templates(build)
        bulks.build_bulks(build)
        brands.build_brand(build, post.messages)
        kept.build_kept(build)
    calls.build_calls(build, post)
    # The month is written as it was, past the services that would have counted it.
    rollups.recount(build.tenant.pk)
    return Counts(len(history.lives), len(post.messages))
