"""A patient's guardians, a merge and the buttons that silence, in a real browser: readable by everybody, asked first."""

from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from conftest import Clinic
from core.models import Guardianship, Patient
from tests.browser import PageFor, assert_accessible
from tests.factories import GuardianFactory, GuardianshipFactory, PatientFactory

pytestmark = pytest.mark.browser


@pytest.fixture
def family(clinic: Clinic) -> Guardianship:
    """A child with a mother who is the first contact and a father who must not be told, and a second file of the child."""
    day = timezone.localdate().replace(year=timezone.localdate().year - 7, day=1)
    child = PatientFactory(tenant=clinic.tenant, birth_date=day, name_en="Rayan", name_ar="ريان", phone="")
    PatientFactory(tenant=clinic.tenant, birth_date=day, name_en="Rayan", name_ar="ريان", phone="")
    mother: Guardianship = GuardianshipFactory(
        tenant=clinic.tenant, patient=child, guardian=GuardianFactory(tenant=clinic.tenant), verified_by=clinic.admin
    )
    GuardianshipFactory(
        tenant=clinic.tenant,
        patient=child,
        guardian=GuardianFactory(tenant=clinic.tenant, name_en="Khalid", name_ar="خالد"),
        kind="FATHER",
        is_primary=False,
        blocked_reason="court order",
    )
    Patient.objects.filter(pk=clinic.patient.pk).update(is_restricted=True, restriction_reason="as agreed")
    return mother


@pytest.mark.parametrize(("language", "is_phone", "is_dark"), [("en", False, False), ("ar", True, True)])
def test_the_pages_are_accessible(
    clinic: Clinic, family: Guardianship, page_for: PageFor, language: str, is_phone: bool, is_dark: bool
) -> None:
    page = page_for(clinic.admin, language, is_phone=is_phone, is_dark=is_dark)
    child = family.patient_id
    twin = Patient.objects.exclude(pk=child).get(name_en="Rayan").pk
    for path in (
        f"patients/{child}/",
        f"patients/{clinic.patient.pk}/",
        f"patients/{child}/edit/",
        f"guardians/{family.pk}/edit/",
        "patients/twins/",
        f"patients/{child}/merge/",
        f"patients/{child}/merge/?other={twin}",
    ):
        page.goto(f"/{path}")
        expect(page.locator("h1")).to_be_visible()
        assert_accessible(page)
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width <= 0, f"{path} is wider than the window"


def test_a_wrong_number_is_asked_about_first(clinic: Clinic, page_for: PageFor) -> None:
    page = page_for(clinic.front_desk)
    page.goto(f"/patients/{clinic.patient.pk}/")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept()))
    page.get_by_role("button", name="Wrong number").click()
    expect(page.get_by_text("This number belongs to somebody else (SMS)")).to_be_visible()
    assert len(asked) == 1
