"""What may be called what: nothing that leaves the house names a sensitive place."""

from __future__ import annotations

import pytest

from core import discretion
from tests import factories


@pytest.fixture
def sensitive(clinic):
    clinic.location.is_sensitive = True
    clinic.location.save(update_fields=["is_sensitive"])
    return clinic.location


def said(clinic, location, language):
    names = discretion.names_for(clinic.tenant, location)
    provider = names.provider(clinic.provider)
    return [one.name_in(language) for one in (names, names.clinic, names.location, provider)]


@pytest.mark.parametrize("language", ["en", "ar"])
def test_an_ordinary_place_is_called_by_its_names(clinic, language):
    assert said(clinic, clinic.location, language) == [
        clinic.tenant.name_in(language),
        clinic.tenant.name_in(language),
        clinic.location.name_in(language),
        clinic.provider.name_in(language),
    ]
    assert not discretion.is_discreet(clinic.location)


@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_sensitive_place_names_neither_clinic_nor_place_nor_provider(clinic, sensitive, language):
    words = " ".join(said(clinic, sensitive, language))
    for name in (clinic.tenant, sensitive, clinic.provider):
        assert name.name_in(language) not in words
    assert discretion.is_discreet(sensitive)


def test_the_discreet_name_that_the_clinic_chose_is_said(clinic, sensitive):
    sensitive.discreet_name_en = "The Garden"
    assert said(clinic, sensitive, "en")[0] == "The Garden"
    # One language is enough: the other reader gets the same name.
    assert said(clinic, sensitive, "ar")[0] == "The Garden"
    sensitive.discreet_name_ar = "الحديقة"
    assert said(clinic, sensitive, "ar")[0] == "الحديقة"


def test_without_a_place_the_clinic_is_named(clinic):
    names = discretion.names_for(clinic.tenant, None)
    assert names.clinic.name_in("en") == names.location.name_in("en") == clinic.tenant.name_en
    assert not discretion.is_discreet(None)


def test_the_strictest_place_wins(clinic, sensitive):
    ordinary = factories.LocationFactory(tenant=clinic.tenant)
    assert discretion.strictest([ordinary, sensitive]) == sensitive
    assert discretion.strictest([sensitive, ordinary]) == sensitive
    assert discretion.strictest([ordinary]) == ordinary
    assert discretion.strictest([]) is None
