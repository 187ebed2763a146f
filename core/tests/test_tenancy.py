from __future__ import annotations

import pytest
from django_scopes.exceptions import ScopeError

from conftest import Clinic
from core.models import Patient, User
from core.sequences import next_number
from core.tenancy import TenantMismatch, active_tenant_ids, system_scope, tenant_scope
from tests import factories


def test_a_query_without_a_scope_raises(other_clinic: Clinic) -> None:
    with pytest.raises(ScopeError):
        Patient.objects.count()
    with pytest.raises(ScopeError):
        User.objects.count()
    with pytest.raises(ScopeError):
        list(other_clinic.patient.appointments.all())


def test_a_scope_shows_its_own_rows_only(clinic: Clinic, other_clinic: Clinic) -> None:
    assert list(Patient.objects.all()) == [clinic.patient]
    with tenant_scope(other_clinic.tenant.pk):
        assert list(Patient.objects.all()) == [other_clinic.patient]


def test_a_row_of_another_tenant_cannot_be_written(clinic: Clinic, other_clinic: Clinic) -> None:
    with pytest.raises(TenantMismatch):
        factories.PatientFactory(tenant=other_clinic.tenant)


def test_a_suspended_tenant_is_not_walked(clinic: Clinic, other_clinic: Clinic) -> None:
    other_clinic.tenant.is_active = False
    other_clinic.tenant.save()
    assert active_tenant_ids() == [clinic.tenant.pk]


def test_looking_across_tenants_needs_a_reason(clinic: Clinic, other_clinic: Clinic) -> None:
    with pytest.raises(ValueError, match="reason"):
        system_scope("")
    with system_scope("a test"):
        assert Patient.objects.count() == 2


def test_numbers_are_drawn_without_gaps_and_per_tenant(clinic: Clinic, other_clinic: Clinic) -> None:
    assert [next_number(clinic.tenant.pk, "x") for _ in range(3)] == [1, 2, 3]
    assert next_number(clinic.tenant.pk, "y") == 1
    with tenant_scope(other_clinic.tenant.pk):
        assert next_number(other_clinic.tenant.pk, "x") == 1
