"""What an outsider might find beside the rows that addresses name (those, and all roles, are in test_roles.py)."""

from __future__ import annotations

import uuid

import pytest
from django.urls import reverse

from conftest import Clinic
from tests.route_rows import QUERIES, RowsOf


@pytest.mark.parametrize(
    ("route", "parameter"),
    [
        ("notifications:message_send", "patient"),
        ("appointments:create", "patient"),
        ("finance:invoice_create", "appointment"),
    ],
)
def test_a_foreign_id_in_the_query_shows_nothing(
    clinic: Clinic, other_clinic: Clinic, route: str, parameter: str
) -> None:
    type(clinic.patient).objects.filter(pk=clinic.patient.pk).update(name_en="Secret Person", name_ar="اسم سري")
    rows = RowsOf(clinic)
    row = {"patient": clinic.patient.pk, "appointment": rows.visit.pk}[parameter]
    response = other_clinic.client(other_clinic.admin).get(reverse(route), {parameter: row})
    assert b"Secret" not in response.content
    assert "سري" not in response.content.decode()


def test_the_same_ids_show_something_to_an_insider(clinic: Clinic) -> None:
    """Else the test above would pass with ids that lead nowhere."""
    rows = RowsOf(clinic)
    for route, query in QUERIES.items():
        assert clinic.client(clinic.admin).get(reverse(route), query(rows)).status_code == 200


def test_an_id_that_nobody_has_is_not_found(clinic: Clinic) -> None:
    response = clinic.client(clinic.admin).get(reverse("appointments:detail", args=[uuid.uuid4()]))
    assert response.status_code == 404
