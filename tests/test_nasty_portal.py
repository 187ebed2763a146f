"""The patient's own view under attack, and in families that have parted: who signs in, what they see, when it ends."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from appointments.models import FamilyNews
from appointments.reminders import family as together
from conftest import Clinic
from core import merging, portal_sessions, portal_sign_in, rights, subject_exports
from core.errors import DomainError
from core.models import Guardian, Guardianship, Patient, PortalCode, PortalRequest, PortalSession
from core.tenancy import tenant_scope
from core.tests.test_portal import ask, child_of, enter, noor, sent_code
from integrations import fanout
from integrations.tests.fakes import FakeProvider, provider
from notifications import default_words
from notifications.models import Message
from notifications.states import Status
from tests import factories

__all__ = ["noor", "provider"]
pytestmark = pytest.mark.django_db
MOTHERS, FATHERS = "+966551112222", "+966553334444"


def parents_of(clinic: Clinic, name: str) -> tuple[Patient, Guardian, Guardian]:
    mother = Guardian.objects.filter(phone=MOTHERS).first() or factories.GuardianFactory(
        tenant=clinic.tenant, phone=MOTHERS
    )
    father = factories.GuardianFactory(tenant=clinic.tenant, phone=FATHERS, name_en="Faisal Al-Rashid", name_ar="فيصل")
    child = child_of(clinic, mother, name)
    factories.GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=father, kind="FATHER", is_primary=False)
    return child, mother, father


def leads_out(browser: Client) -> bool:
    """Every page and every form leads to the sign-in, and nothing is done."""
    pages = [browser.get(f"/me/{page}/") for page in ("care", "messages", "consents", "requests", "choose")]
    pages.append(browser.post("/me/requests/", {"kind": "ERASURE"}))
    pages.append(browser.post("/me/choose/", {"patient": str(uuid.uuid4())}))
    return {page.headers.get("Location") for page in pages} == {"/me/"}


# --- families that have parted ---------------------------------------------------------------------------------------


def test_the_father_of_one_child_reads_nothing_that_the_mother_was_told_of_another(
    noor: Clinic, provider: FakeProvider
) -> None:
    """Her message tells of both her children; it stands under the one that is his as well."""
    shared, mother, _father = parents_of(noor, "Sara Al-Rashid")
    hers = child_of(noor, mother, "Zayn Al-Harbi")
    visits = [
        factories.AppointmentFactory(
            tenant=noor.tenant, patient=one, provider=noor.provider, location=noor.location,
            department=noor.department, starts_at=timezone.now() + dt.timedelta(hours=20 + hour),
        )
        for hour, one in enumerate((shared, hers))
    ]  # fmt: skip
    Guardian.objects.update(language="en")
    event = together.record(FamilyNews.Kind.DAY_BEFORE, visits)
    fanout.process_event(noor.tenant.pk, event.pk)
    for row in Message.objects.filter(event=event).exclude(guardian=mother):
        row.delete()
    Message.objects.filter(event=event).update(status=Status.SENT)
    assert "Zayn" in enter(provider, MOTHERS).get("/me/choose/").content.decode()
    mothers = enter(provider, MOTHERS)
    mothers.post("/me/choose/", {"patient": str(shared.pk)})
    assert "Zayn" in mothers.get("/me/messages/").content.decode(), "her own message is hers to read"
    fathers = enter(provider, FATHERS)
    for page in ("care", "messages", "consents", "requests", "choose"):
        assert "Zayn" not in fathers.get(f"/me/{page}/").content.decode()


def test_what_one_parent_asked_and_was_answered_is_not_on_the_others_page(noor: Clinic, provider: FakeProvider) -> None:
    child, mother, _father = parents_of(noor, "Sara Al-Rashid")
    asked = rights.rights_open(
        patient=child, kind="CORRECTION", asked_by=f"guardian:{mother.pk}", details="We moved to Zebra Street"
    )
    rights.rights_done(actor=noor.admin, request=asked, answer="Zebra Street is written down.")
    assert "Zebra" in enter(provider, MOTHERS).get("/me/requests/").content.decode()
    fathers = enter(provider, FATHERS)
    assert "Zebra" not in fathers.get("/me/requests/").content.decode()
    assert fathers.post(f"/me/requests/{asked.pk}/withdraw/").status_code == 404
    export = rights.rights_open(patient=child, kind="EXPORT", asked_by=f"guardian:{mother.pk}")
    made = subject_exports.export_ask(actor=noor.admin, request=export, language="en")
    assert subject_exports.make(noor.tenant.pk, made.pk)
    assert fathers.get(f"/me/copies/{made.pk}/").status_code == 404


@pytest.mark.parametrize("what", ["ended", "blocked", "unverified", "of age", "dead", "restricted", "number changed"])
def test_a_guardians_session_ends_with_the_right_and_not_with_the_half_hour(
    noor: Clinic, provider: FakeProvider, what: str
) -> None:
    child, _mother, father = parents_of(noor, "Sara Al-Rashid")
    export = rights.rights_open(patient=child, kind="EXPORT", asked_by=f"guardian:{father.pk}")
    made = subject_exports.export_ask(actor=noor.admin, request=export, language="en")
    assert subject_exports.make(noor.tenant.pk, made.pk)
    browser = enter(provider, FATHERS)
    assert browser.get("/me/care/").status_code == 200
    yesterday = timezone.localdate() - dt.timedelta(days=1)
    rows, file = Guardianship.objects.filter(guardian=father), Patient.objects.filter(pk=child.pk)
    {
        "ended": lambda: rows.update(valid_until=yesterday),
        "blocked": lambda: rows.update(blocked_reason="court order"),
        "unverified": lambda: rows.update(verified_at=None),
        "of age": lambda: file.update(birth_date=timezone.localdate().replace(day=1) - dt.timedelta(days=19 * 366)),
        "dead": lambda: file.update(deceased_at=yesterday),
        "restricted": lambda: file.update(is_restricted=True),
        "number changed": lambda: Guardian.objects.filter(pk=father.pk).update(phone="+966550000001"),
    }[what]()
    assert browser.get(f"/me/copies/{made.pk}/").headers["Location"] == "/me/"
    assert leads_out(browser)
    assert rights.requests_of(child).count() == 1
    assert PortalSession.objects.get().ended_at is not None


def test_of_a_file_that_was_merged_away_the_session_opens_the_survivor_only_where_the_number_stands_in_it(
    noor: Clinic, provider: FakeProvider
) -> None:
    old = factories.PatientFactory(tenant=noor.tenant, name_en="Sara Al-Mutairi", phone="+966550000009")
    browser = enter(provider, old.phone)
    merging.patient_merge(actor=noor.admin, survivor=noor.patient, merged=old)
    assert noor.patient.mrn not in browser.get("/me/care/").content.decode()
    assert leads_out(browser)


# --- guessing --------------------------------------------------------------------------------------------------------


def test_guesses_at_a_birth_date_are_counted_before_they_are_compared(noor: Clinic, provider: FakeProvider) -> None:
    """Twenty forms sent at once are twenty tries: each found the session alive, and only five may be looked at."""
    other = factories.PatientFactory(tenant=noor.tenant, phone=noor.patient.phone, birth_date=dt.date(1980, 1, 2))
    enter(provider, noor.patient.phone)
    session = PortalSession.objects.get()
    file = next(one for one in _files(noor) if one.patient.pk == other.pk)
    for day in range(3, 8):
        with pytest.raises(DomainError):
            portal_sessions.choose(session=session, file=file, birth_date=dt.date(1980, 1, day))
    session.refresh_from_db()
    assert session.ended_at is not None
    # The form that comes between the fifth count and the end of the session.
    for ended_at in (session.ended_at, None):
        PortalSession.objects.update(ended_at=ended_at)
        with pytest.raises(DomainError):
            portal_sessions.choose(session=session, file=file, birth_date=dt.date(1980, 1, 2))
    session.refresh_from_db()
    assert (session.proven, session.patient) == ([], None)


def _files(clinic: Clinic) -> Any:
    from core.portal_people import files_of

    return files_of(clinic.patient.phone)


def test_a_code_opens_its_own_wish_its_own_clinic_and_once(
    noor: Clinic, other_clinic: Clinic, provider: FakeProvider
) -> None:
    with tenant_scope(other_clinic.tenant.pk):
        default_words.install(other_clinic.tenant.pk)
    mine, theirs = ask(noor.patient.phone), ask(other_clinic.patient.phone)
    code, foreign = sent_code(provider, noor.patient.phone), sent_code(provider, other_clinic.patient.phone)
    assert mine.post("/me/code/", {"code": foreign}).status_code == (422 if code != foreign else 302)
    assert theirs.post("/me/code/", {"code": foreign}).status_code == 302
    again = Client()
    again.cookies = theirs.cookies
    assert again.post("/me/code/", {"code": foreign}).headers.get("Location") in ("/me/", None)
    page = theirs.get("/me/care/").content.decode()
    assert noor.tenant.name_en not in page
    assert not PortalCode.objects.exclude(digest="").filter(request__used_at__isnull=False).exists()


def test_tries_are_of_the_wish_whatever_browser_network_or_form_they_come_from(
    noor: Clinic, provider: FakeProvider
) -> None:
    browser = ask(noor.patient.phone)
    code = sent_code(provider, noor.patient.phone)
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    for number in range(portal_sign_in.MAX_TRIES):
        copy = Client(REMOTE_ADDR=f"10.0.0.{number}")
        copy.cookies = browser.cookies
        assert copy.post("/me/code/", {"code": wrong}).status_code == 422
    assert browser.post("/me/code/", {"code": code}).status_code == 422
    assert PortalRequest.objects.get().tries == portal_sign_in.MAX_TRIES
    assert not PortalSession.objects.exists()


def test_the_throttle_knows_an_address_however_it_is_written(noor: Clinic, provider: FakeProvider) -> None:
    written = ["0501299999", "+966501299999", "00966501299999", "٠٥٠١٢٩٩٩٩٩", "966 50 129 9999", "050-129-9999"]
    Patient.objects.filter(pk=noor.patient.pk).update(phone="+966501299999")
    for typed in written:
        ask(typed, Client(REMOTE_ADDR=f"10.0.1.{len(typed)}"))
    assert PortalCode.objects.count() == portal_sign_in.MOST_AN_HOUR


def test_a_code_of_an_address_that_left_the_file_opens_nothing(noor: Clinic, provider: FakeProvider) -> None:
    number = noor.patient.phone
    browser = ask(number)
    code = sent_code(provider, number)
    Patient.objects.filter(pk=noor.patient.pk).update(phone="+966550000007")
    browser.post("/me/code/", {"code": code})
    assert leads_out(browser)


def test_nothing_of_the_view_is_reached_by_an_address_of_another_clinic(
    noor: Clinic, other_clinic: Clinic, provider: FakeProvider
) -> None:
    with tenant_scope(other_clinic.tenant.pk):
        theirs = rights.rights_open(
            patient=other_clinic.patient, kind="EXPORT", asked_by=f"patient:{other_clinic.patient.pk}"
        )
        export = subject_exports.export_ask(actor=other_clinic.admin, request=theirs, language="en")
        assert subject_exports.make(other_clinic.tenant.pk, export.pk)
    browser = enter(provider, noor.patient.phone)
    assert browser.get(f"/me/copies/{export.pk}/").status_code == 404
    assert browser.post(f"/me/requests/{theirs.pk}/withdraw/").status_code == 404
    assert browser.post("/me/choose/", {"patient": str(other_clinic.patient.pk)}).status_code == 422
    for query in ("?patient=", "?tenant=", "?older=", "?newer="):
        assert browser.get(f"/me/messages/{query}{other_clinic.patient.pk}").status_code in (200, 404)
    admin = noor.client(noor.admin)
    assert admin.get(f"/rights/copies/{export.pk}/").status_code == 404


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_no_address_leads_away_from_the_house(noor: Clinic, provider: FakeProvider, wanted: str) -> None:
    browser = ask(noor.patient.phone, Client())
    response = browser.post(
        f"/me/code/?next={wanted}", {"code": sent_code(provider, noor.patient.phone), "next": wanted}
    )
    assert response.headers["Location"] == "/me/care/"
    for page in ("/me/", "/me/code/", "/me/choose/", "/me/sign-out/"):
        location = browser.post(f"{page}?next={wanted}", {"next": wanted, "address": "0501234567"}).headers
        assert "evil" not in location.get("Location", "")
