"""The support console: open to the platform's superusers, read only where the services keep the rules."""

from __future__ import annotations

import datetime as dt

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from appointments.models import Appointment
from appointments.tests.test_booking import book
from conftest import Clinic
from core.admin import ReadOnlyAdmin
from core.models import Department, Patient, User
from core.tenancy import system_scope
from finance.models import Invoice
from finance.services import invoice_issue


@pytest.fixture
def support(db: None) -> Client:
    """A browser of the platform's own support, who belongs to no tenant."""
    client = Client()
    user = User.accounts.create_superuser("support@agdar.example", "correct-horse-battery")
    client.force_login(user, backend="core.auth.AccountBackend")
    return client


OURS = ("core", "appointments", "finance")


@pytest.mark.parametrize(
    "model", [m for m in admin.site._registry if m._meta.app_label in OURS], ids=lambda model: model._meta.label
)
def test_every_list_and_page_opens_for_support(
    clinic: Clinic, other_clinic: Clinic, support: Client, ten_oclock: dt.datetime, model: type
) -> None:
    visit = book(clinic, ten_oclock)
    invoice_issue(
        actor=clinic.admin, patient=clinic.patient, appointment=visit, amount_minor=100, due_on=ten_oclock.date()
    )
    meta = model._meta  # type: ignore[attr-defined]
    address = f"admin:{meta.app_label}_{meta.model_name}"
    answer = support.get(reverse(f"{address}_changelist"), {"q": "a"})
    assert answer.status_code == 200
    with system_scope("the console sees every tenant"):
        row = model._default_manager.first()  # type: ignore[attr-defined]
        if row is not None:
            assert support.get(reverse(f"{address}_change", args=[row.pk])).status_code == 200


def test_the_clinics_own_people_have_no_console(clinic: Clinic) -> None:
    for user in (clinic.admin, clinic.front_desk, clinic.provider, clinic.patient_user):
        assert clinic.client(user).get("/admin/").status_code == 302


@pytest.mark.parametrize("model", [Appointment, Invoice, Patient])
def test_what_has_rules_is_read_only(model: type, support: Client) -> None:
    assert isinstance(admin.site._registry[model], ReadOnlyAdmin)
    meta = model._meta  # type: ignore[attr-defined]
    assert support.get(reverse(f"admin:{meta.app_label}_{meta.model_name}_add")).status_code == 403


def test_a_department_is_made_for_one_clinic_group(clinic: Clinic, support: Client) -> None:
    fields = {"clinic_group": str(clinic.tenant.pk), "code": "DENT", "name_en": "Dentistry", "name_ar": "طب الأسنان"}
    assert support.post(reverse("admin:core_department_add"), fields).status_code == 302
    assert Department.objects.get(code="DENT").tenant == clinic.tenant
    again = support.post(reverse("admin:core_department_add"), fields)
    assert again.status_code == 200
    assert "already exists" in again.content.decode()


def test_an_account_is_made_with_its_role(clinic: Clinic, support: Client) -> None:
    fields = {
        "email": "new@noor.example",
        "name_en": "New",
        "name_ar": "",
        "tenant": str(clinic.tenant.pk),
        "role": "FRONT_DESK",
        "usable_password": "true",
        "password1": "correct-horse-battery",
        "password2": "correct-horse-battery",
    }
    assert support.post(reverse("admin:core_user_add"), fields).status_code == 302
    made = User.objects.get(email="new@noor.example")
    assert made.check_password("correct-horse-battery")
    assert (made.role, made.tenant) == ("FRONT_DESK", clinic.tenant)
