"""Runs the builders in order, one clinic group in one transaction."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils import timezone

from core.demo_accounts import DEMO_PASSWORD
from core.management.demo_data import build as building
from core.management.demo_data import calendar, happenings, messages, people, timelines, visits
from core.management.demo_data.build import Build
from core.management.demo_data.clinics import CLINICS, ClinicPlan
from core.models import Tenant
from core.tenancy import tenant_scope
from notifications import default_words


@dataclass(frozen=True, slots=True)
class Counts:
    """What was made for one clinic group."""

    name: str
    patients: int
    appointments: int
    messages: int


def missing() -> list[ClinicPlan]:
    """The demo clinics that are not there yet."""
    there = set(Tenant.objects.filter(slug__in=[plan.slug for plan in CLINICS]).values_list("slug", flat=True))
    return [plan for plan in CLINICS if plan.slug not in there]


def build_clinic(plan: ClinicPlan, *, now: dt.datetime | None = None) -> Counts:
    """One clinic group with all its people and its last month, as of ``now``."""
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
        people.build_users(build, make_password(DEMO_PASSWORD))
        default_words.install(tenant.pk)
        crowd = people.build_people(build)
        days = calendar.working_days(
            build,
            build.today - dt.timedelta(days=calendar.PAST_DAYS),
            build.today + dt.timedelta(days=calendar.FUTURE_DAYS),
        )
        history = visits.build_visits(build, calendar.fill(build, crowd, days))
        happened = list(happenings.of_visits(build, crowd, history))
        post = messages.build_messages(build, crowd, happened, timelines.outage_of(build, days))
    return Counts(plan.name.en, len(crowd.patients), len(history.lives), len(post.messages))
