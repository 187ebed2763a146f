"""Rows for tests. They need an open tenant scope, like everything else."""

from __future__ import annotations

import datetime as dt

import factory
from django.utils import timezone

from appointments.models import Appointment
from core.models import Department, Guardian, Guardianship, Language, Location, Patient, Role, Tenant, User
from notifications import consents
from notifications.models import NotificationPreference

PASSWORD = "correct-horse-battery"  # tests only


class TenantFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Tenant

    slug = factory.Sequence(lambda n: f"clinic-{n}")
    name_en = factory.Sequence(lambda n: f"Clinic {n}")
    name_ar = factory.Sequence(lambda n: f"عيادة {n}")


class LocationFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Location

    tenant = factory.SubFactory(TenantFactory)
    name_en = "Olaya Branch"
    name_ar = "فرع العليا"
    phone = "+966112345678"
    sms_sender = "CLINIC"


class DepartmentFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Department

    tenant = factory.SubFactory(TenantFactory)
    code = factory.Sequence(lambda n: f"D{n}")
    name_en = "Family Medicine"
    name_ar = "طب الأسرة"


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = User
        skip_postgeneration_save = True

    tenant = factory.SubFactory(TenantFactory)
    email = factory.Sequence(lambda n: f"user{n}@clinic.example")
    name_en = factory.Sequence(lambda n: f"User {n}")
    name_ar = factory.Sequence(lambda n: f"مستخدم {n}")
    role = Role.FRONT_DESK
    password = factory.django.Password(PASSWORD)


class PatientFactory(factory.django.DjangoModelFactory):
    """An adult who reads Arabic, with phone and email."""

    class Meta:
        model = Patient

    tenant = factory.SubFactory(TenantFactory)
    mrn = factory.Sequence(lambda n: f"{10000 + n}")
    name_en = "Sara Al-Mutairi"
    name_ar = "سارة المطيري"
    birth_date = dt.date(1990, 5, 17)
    gender = "F"
    # Far from the last digits at which the sandbox misbehaves, and above the numbers that tests write out.
    phone = factory.Sequence(lambda n: f"+96650{1304100 + n}")
    email = factory.Sequence(lambda n: f"patient{n}@mail.example")
    language = Language.ARABIC


class GuardianFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Guardian

    tenant = factory.SubFactory(TenantFactory)
    name_en = "Huda Al-Rashid"
    name_ar = "هدى الراشد"
    phone = factory.Sequence(lambda n: f"+96655{2234100 + n}")
    email = factory.Sequence(lambda n: f"guardian{n}@mail.example")
    language = Language.ARABIC


class GuardianshipFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Guardianship

    tenant = factory.SubFactory(TenantFactory)
    kind = Guardianship.Kind.MOTHER
    is_primary = True
    verified_at = factory.LazyFunction(timezone.now)


class PreferenceFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = NotificationPreference

    tenant = factory.SubFactory(TenantFactory)


def agree(patient: Patient, purpose: str, status: str = "granted") -> None:
    """The patient's word about ``awareness``, ``promotion`` …, as the desk writes it down."""
    consents.record(patient=patient, purpose=purpose, status=status, method="staff")


class AppointmentFactory(factory.django.DjangoModelFactory):
    """A bare row, in five days, past the services; ``is_silent`` keeps the signals from telling anybody."""

    class Meta:
        model = Appointment

    tenant = factory.SubFactory(TenantFactory)
    starts_at = factory.LazyFunction(lambda: (timezone.now() + dt.timedelta(days=5)).replace(second=0, microsecond=0))
    ends_at = factory.LazyAttribute(lambda self: self.starts_at + dt.timedelta(minutes=30))
    is_silent = True
