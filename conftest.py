"""The base fixtures: two clinic groups, a person of each role in both, so that every test can try the outsider."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone, translation

from appointments.models import ReminderTiming
from core.models import Department, Location, Patient, Role, Tenant, User
from core.tenancy import tenant_scope
from tests import factories

# The first gives the markers their meaning and closes the run with a table of what ran; the second opens windows; the
# third lets transactional tests empty the append-only tables.
pytest_plugins = ["tests.parts", "tests.browser", "tests.append_only"]


def pytest_configure() -> None:
    """Ten accounts a test would cost a second of honest hashing; the tests are not about that."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # Every test client would look at all static files once; so they are found when somebody asks for one.
    settings.WHITENOISE_AUTOREFRESH = True


@dataclass
class Clinic:
    """One clinic group with its people."""

    tenant: Tenant
    location: Location
    department: Department
    admin: User
    front_desk: User
    provider: User
    colleague: User
    patient: Patient
    patient_user: User

    def client(self, user: User) -> Client:
        """A browser in which that user has signed in."""
        client = Client()
        client.force_login(user, backend="core.auth.AccountBackend")
        return client


def make_clinic(slug: str) -> Clinic:
    tenant = factories.TenantFactory(slug=slug, name_en=f"{slug.title()} Clinics", name_ar=f"عيادات {slug}")
    with tenant_scope(tenant.pk):
        location = factories.LocationFactory(tenant=tenant)
        department = factories.DepartmentFactory(tenant=tenant)

        def user(role: Role, name: str, **fields: object) -> User:
            return factories.UserFactory(
                tenant=tenant,
                role=role,
                email=f"{name}@{slug}.example",
                name_en=name.title(),
                location=location,
                **fields,
            )

        # News of a booking leaves at once here; what rests a few minutes is tested where it matters.
        ReminderTiming.objects.create(tenant=tenant, undo_minutes=0)
        patient_user = user(Role.PATIENT, "patient")
        return Clinic(
            tenant=tenant,
            location=location,
            department=department,
            admin=user(Role.ADMIN, "admin"),
            front_desk=user(Role.FRONT_DESK, "desk"),
            provider=user(Role.PROVIDER, "layla", title_en="Dr.", title_ar="د.", department=department),
            colleague=user(Role.PROVIDER, "nasser", title_en="Dr.", title_ar="د.", department=department),
            patient=factories.PatientFactory(tenant=tenant, user=patient_user),
            patient_user=patient_user,
        )


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Every test begins in English: a request of the test before may have left its thread in Arabic."""
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def bells_ring_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No timer of one test rings in the next one."""
    monkeypatch.setattr("core.queueing.RING_SECONDS", 0.0)


@pytest.fixture
def clinic(db: None) -> Iterator[Clinic]:
    """The clinic under test. Its tenant scope is open for the whole test."""
    made = make_clinic("noor")
    with tenant_scope(made.tenant.pk):
        yield made


@pytest.fixture
def other_clinic(db: None) -> Clinic:
    """The outsiders: the same people in another clinic group."""
    return make_clinic("amal")


@pytest.fixture
def ten_oclock() -> dt.datetime:
    """Ten o'clock in Riyadh, the day after tomorrow: far enough for every reminder."""
    day = timezone.localdate() + dt.timedelta(days=2)
    return timezone.make_aware(dt.datetime.combine(day, dt.time(10)))
