"""Requests about data in families that have parted, and in files that become one."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from conftest import Clinic
from core import merging, rights
from core.errors import DomainError
from core.models import Patient, RightsRequest, RightsState
from core.tests.test_portal import enter, noor
from integrations.tests.fakes import FakeProvider, provider
from notifications.models import DeskTask
from notifications.states import TaskKind
from tests import factories
from tests.test_nasty_portal import FATHERS, MOTHERS, parents_of

__all__ = ["noor", "provider"]
pytestmark = pytest.mark.django_db


def ask(patient: Patient, asker: str, kind: str = "EXPORT", details: str = "") -> RightsRequest:
    return rights.rights_open(patient=patient, kind=kind, asked_by=asker, details=details)


def merge(clinic: Clinic, merged: Patient) -> None:
    merging.patient_merge(actor=clinic.admin, survivor=clinic.patient, merged=merged)


# --- two parents ------------------------------------------------------------------------------------------------------


def test_what_the_mother_has_asked_for_does_not_keep_the_father_from_asking(noor: Clinic) -> None:
    child, mother, father = parents_of(noor, "Sara Al-Rashid")
    for asker in (f"guardian:{mother.pk}", f"guardian:{father.pk}"):
        ask(child, asker)
        with pytest.raises(DomainError) as refused:
            ask(child, asker)
        assert refused.value.code == "already_open"
    assert RightsRequest.objects.filter(state=RightsState.OPEN).count() == 2
    assert DeskTask.objects.filter(kind=TaskKind.RIGHTS).count() == 2


def test_in_the_own_view_each_parent_sees_only_what_they_have_asked_for(noor: Clinic, provider: FakeProvider) -> None:
    child, mother, _father = parents_of(noor, "Sara Al-Rashid")
    theirs = ask(child, f"guardian:{mother.pk}", "CORRECTION", "Our new street")
    fathers = enter(provider, FATHERS)
    for page in ("care", "requests"):
        text = fathers.get(f"/me/{page}/").content.decode()
        assert "answered by" not in text
        assert "Our new street" not in text
    assert fathers.post(f"/me/requests/{theirs.pk}/withdraw/").status_code == 404
    assert fathers.post("/me/requests/", {"kind": "CORRECTION", "details": "His school"}).status_code == 302
    assert "His school" in fathers.get("/me/requests/").content.decode()
    mothers = enter(provider, MOTHERS).get("/me/requests/").content.decode()
    assert "Our new street" in mothers
    assert "His school" not in mothers


# --- two files --------------------------------------------------------------------------------------------------------


def test_of_what_one_person_asked_for_in_both_files_the_earlier_one_stays_with_the_words_of_both(noor: Clinic) -> None:
    twin = factories.PatientFactory(tenant=noor.tenant, language="en")
    later = ask(noor.patient, f"patient:{noor.patient.pk}", "CORRECTION", "The street")
    first = ask(twin, f"patient:{twin.pk}", "CORRECTION", "The name")
    RightsRequest.objects.filter(pk=first.pk).update(due_on=timezone.localdate() + dt.timedelta(days=3))
    merge(noor, twin)
    for row in (first, later):
        row.refresh_from_db()
    assert (first.state, first.patient, first.asked_by) == ("OPEN", noor.patient, f"patient:{noor.patient.pk}")
    assert (first.due_on - timezone.localdate()).days == 3, "the earlier day holds"
    assert first.details == "The name\n\nThe street"
    assert later.state == RightsState.WITHDRAWN
    assert later.answer, "nobody wonders why"
    tasks = DeskTask.objects.filter(kind=TaskKind.RIGHTS, ended_at=None)
    assert list(tasks.values_list("object_id", flat=True)) == [first.pk]


def test_what_several_people_asked_for_stays_open_when_their_files_become_one(noor: Clinic) -> None:
    child, mother, father = parents_of(noor, "Sara Al-Rashid")
    twin = factories.PatientFactory(tenant=noor.tenant, birth_date=child.birth_date)
    ask(child, f"guardian:{mother.pk}")
    ask(twin, f"guardian:{father.pk}")
    merging.patient_merge(actor=noor.admin, survivor=child, merged=twin)
    assert rights.requests_of(child).filter(state=RightsState.OPEN).count() == 2


@pytest.mark.parametrize("which", ["survivor", "merged", "both"])
def test_an_erasure_that_has_begun_stays_and_the_merge_goes_through(noor: Clinic, which: str) -> None:
    twin = factories.PatientFactory(tenant=noor.tenant)
    rows = {
        "survivor": ask(noor.patient, f"patient:{noor.patient.pk}", "ERASURE"),
        "merged": ask(twin, f"patient:{twin.pk}", "ERASURE"),
    }
    begun = [row.pk for name, row in rows.items() if which in (name, "both")]
    RightsRequest.objects.filter(pk__in=begun).update(state=RightsState.RUNNING)
    merge(noor, twin)
    (row,) = RightsRequest.objects.filter(state__in=rights.OPEN_STATES)
    assert (row.state, row.pk in begun) == (RightsState.RUNNING, True)
