"""Who reads, while things change: an address that moves as the message waits, a block that must not be got around, numbers
that are somebody else's, one person in two roles.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
import time_machine
from django.utils import timezone

from appointments import services
from appointments.models import Appointment
from appointments.tests.test_booking import book
from conftest import Clinic
from core import patients
from core.contacts import GUARDIAN_BLOCKED, recipients_for
from core.merging import patient_merge
from core.models import Guardian, Guardianship, Location, Patient, TenantSettings
from integrations import contact_fixes
from integrations.sms_providers import Kind, Outgoing
from integrations.tests.fakes import FakeProvider, error, provider
from notifications import default_words, suppression
from notifications.models import DeskTask, Message, SuppressedAddress
from notifications.states import Reason, Status
from tests.factories import GuardianFactory, GuardianshipFactory, PatientFactory
from tests.journey import send_all, to

__all__ = ["provider"]
pytestmark = pytest.mark.django_db

NEW = "+966505550123"
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def nine(clinic: Clinic) -> Iterator[time_machine.Coordinates]:
    default_words.install(clinic.tenant.pk)
    start = timezone.localtime().replace(hour=9, minute=0, second=0, microsecond=0)
    with time_machine.travel(start, tick=False) as clock:
        yield clock


def child_of(clinic: Clinic, *guardians: Guardian, **fields: object) -> Patient:
    values = {"birth_date": timezone.localdate() - 8 * 365 * DAY, "phone": "", "email": ""}
    made: Patient = PatientFactory(tenant=clinic.tenant, **(values | fields))
    for position, guardian in enumerate(guardians):
        kind = ("MOTHER", "FATHER")[position]
        GuardianshipFactory(tenant=clinic.tenant, patient=made, guardian=guardian, kind=kind, is_primary=not position)
    return made


@pytest.fixture
def mother(clinic: Clinic) -> Guardian:
    made: Guardian = GuardianFactory(tenant=clinic.tenant)
    return made


@pytest.fixture
def father(clinic: Clinic) -> Guardian:
    made: Guardian = GuardianFactory(tenant=clinic.tenant, name_en="Khalid", name_ar="خالد")
    return made


def night(clinic: Clinic) -> None:
    """It is quiet until an hour from now."""
    now = timezone.localtime()
    TenantSettings.objects.update_or_create(
        tenant=clinic.tenant, defaults={"quiet_from": (now - HOUR).time(), "quiet_until": (now + HOUR).time()}
    )


def look_after_all() -> None:
    for row in DeskTask.objects.filter(kind="FIX_CONTACT", state="OPEN"):
        contact_fixes.look_after(row.pk)


# --- the address moves while the message waits -----------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["patient", "guardian"])
def test_a_message_that_waits_for_the_morning_goes_to_the_number_that_was_put_right_in_the_night(
    clinic: Clinic, mother: Guardian, provider: FakeProvider, nine: time_machine.Coordinates, whose: str
) -> None:
    """It was refused because its number was no longer theirs, and nobody was told of the visit."""
    patient = clinic.patient if whose == "patient" else child_of(clinic, mother)
    old = clinic.patient.phone if whose == "patient" else mother.phone
    visit = book(clinic, timezone.now() + 3 * DAY, patient=patient)
    night(clinic)
    assert to(send_all(provider), old) == []
    if whose == "patient":
        patients.patient_update(actor=clinic.front_desk, patient_id=patient.pk, phone=NEW)
    else:
        patients.guardian_update(actor=clinic.front_desk, guardian_id=mother.pk, phone=NEW)
    nine.shift(2 * HOUR)
    calls = send_all(provider)
    look_after_all()
    calls += send_all(provider)
    assert to(calls, old) == []
    [text] = to(calls, NEW)
    assert visit.tokens.get().code in text.body
    nine.shift(HOUR)
    look_after_all()
    assert to(send_all(provider), NEW) == []
    assert not DeskTask.objects.filter(kind="FIX_CONTACT", state="OPEN").exists()


def test_what_waits_for_another_try_goes_to_the_new_number(
    clinic: Clinic, provider: FakeProvider, nine: time_machine.Coordinates
) -> None:
    visit = book(clinic, timezone.now() + 3 * DAY)
    provider.script = [error(Kind.TRANSIENT, "20429")] * 9
    old = clinic.patient.phone
    send_all(provider)
    provider.script = []
    patients.patient_update(actor=clinic.front_desk, patient_id=clinic.patient.pk, phone=NEW)
    calls: list[Outgoing] = []
    for _turn in range(4):
        nine.shift(dt.timedelta(minutes=5))
        calls += send_all(provider)
        look_after_all()
    assert to(calls, old) == []
    [text] = [call for call in to(calls, NEW) if call.channel == "SMS"]
    assert visit.tokens.get().code in text.body


def test_a_name_put_right_while_a_message_waits_changes_nothing(
    clinic: Clinic, provider: FakeProvider, nine: time_machine.Coordinates
) -> None:
    book(clinic, timezone.now() + 3 * DAY)
    night(clinic)
    send_all(provider)
    patients.patient_update(actor=clinic.front_desk, patient_id=clinic.patient.pk, name_en="Sarah")
    nine.shift(2 * HOUR)
    assert len(to(send_all(provider), clinic.patient.phone)) == 1
    assert not DeskTask.objects.exists()


def test_a_stranger_who_gets_the_old_number_back_in_another_file_reads_nothing(
    clinic: Clinic, provider: FakeProvider, nine: time_machine.Coordinates
) -> None:
    """The number moves from one patient to another while a message for the first waits for it."""
    book(clinic, timezone.now() + 3 * DAY)
    night(clinic)
    send_all(provider)
    old = clinic.patient.phone
    patients.patient_update(actor=clinic.front_desk, patient_id=clinic.patient.pk, phone=NEW)
    PatientFactory(tenant=clinic.tenant, phone=old)
    nine.shift(2 * HOUR)
    send_all(provider)
    assert to(provider.calls, old) == []


# --- blocks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["phone", "email"])
def test_a_blocked_parent_is_not_reached_by_an_address_that_is_the_other_parents_too(
    clinic: Clinic, mother: Guardian, father: Guardian, field: str
) -> None:
    child = child_of(clinic, mother, father)
    theirs = getattr(mother, field)
    # An old system wrote it in capitals.
    Guardian.objects.filter(pk=father.pk).update(**{field: theirs.upper()})
    Guardianship.objects.filter(guardian=father).update(blocked_reason="court order")
    (reader,) = recipients_for([child])[child.pk]
    assert isinstance(reader, object)
    assert getattr(reader, field) == ""


def test_a_parent_blocked_for_the_child_of_one_marriage_still_reads_of_the_other(
    clinic: Clinic, mother: Guardian, father: Guardian, provider: FakeProvider
) -> None:
    other_mother = GuardianFactory(tenant=clinic.tenant, name_en="Maha", name_ar="مها")
    first, second = child_of(clinic, mother, father), child_of(clinic, other_mother, father)
    right = Guardianship.objects.get(patient=first, guardian=father)
    patients.guardian_block(actor=clinic.front_desk, guardianship_id=right.pk, reason="court order")
    one = book(clinic, timezone.now() + 3 * DAY, patient=first)
    two = book(clinic, timezone.now() + 4 * DAY, patient=second)
    calls = send_all(provider)
    texts = " ".join(call.body for call in to(calls, father.phone))
    assert two.tokens.get().code in texts
    assert one.tokens.get().code not in texts
    assert one.tokens.get().code in " ".join(call.body for call in to(calls, mother.phone))


def test_when_all_who_may_know_are_blocked_it_says_so(clinic: Clinic, mother: Guardian) -> None:
    child = child_of(clinic, mother)
    Guardianship.objects.update(blocked_reason="court order")
    assert recipients_for([child])[child.pk] == GUARDIAN_BLOCKED


# --- wrong numbers ---------------------------------------------------------------------------------------------------


def test_a_wrong_number_stops_strangers_of_one_family_and_of_another_alike(
    clinic: Clinic, mother: Guardian, provider: FakeProvider
) -> None:
    """Two people who have nothing to do with each other, one as a patient, one as a mother, in whose files it stands."""
    child = child_of(clinic, mother)
    stranger = PatientFactory(tenant=clinic.tenant, phone=mother.phone)
    visits = [book(clinic, timezone.now() + (3 + day) * DAY, patient=who) for day, who in enumerate((child, stranger))]
    patients.number_is_wrong(phone=mother.phone, actor=clinic.front_desk)
    assert to(send_all(provider), mother.phone) == []
    (task,) = DeskTask.objects.filter(kind="WRONG_NUMBER", state="OPEN")
    assert set(task.details["patient_ids"]) == {str(child.pk), str(stranger.pk)}
    # One of them has another number now; the other one's file still holds it.
    patients.patient_update(actor=clinic.front_desk, patient_id=stranger.pk, phone=NEW)
    assert DeskTask.objects.filter(pk=task.pk, state="OPEN").exists()
    patients.guardian_update(actor=clinic.front_desk, guardian_id=mother.pk, phone="+966505550124")
    assert not DeskTask.objects.filter(pk=task.pk, state="OPEN").exists()
    look_after_all()
    # Given to somebody else later, it is still shut until a person has looked.
    later = PatientFactory(tenant=clinic.tenant, phone=SuppressedAddress.objects.filter(channel="SMS").get().address)
    book(clinic, timezone.now() + 6 * DAY, patient=later)
    assert to(send_all(provider), later.phone) == []
    for row in SuppressedAddress.objects.filter(lifted_at=None):
        suppression.lift(suppressed=row, actor=clinic.front_desk)
    book(clinic, timezone.now() + 7 * DAY, patient=later)
    assert to(send_all(provider), later.phone)
    assert len(visits) == 2


# --- merging while something waits -----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_mother_first", [True, False])
def test_two_files_of_a_child_merged_while_both_parents_texts_wait_tell_the_mother_once_in_her_words(
    clinic: Clinic,
    mother: Guardian,
    father: Guardian,
    provider: FakeProvider,
    nine: time_machine.Coordinates,
    is_mother_first: bool,
) -> None:
    """The father is blocked in one file: the narrower right holds, for what waits in the other one as well."""
    Guardian.objects.filter(pk=father.pk).update(language="en")
    both = (mother, father) if is_mother_first else (father, mother)
    stays, goes = child_of(clinic, *both), child_of(clinic, *both)
    night(clinic)
    visit = book(clinic, timezone.now() + 3 * DAY, patient=goes)
    send_all(provider)
    Guardianship.objects.filter(patient=stays, guardian=father).update(blocked_reason="court order")
    patient_merge(actor=clinic.admin, survivor=stays, merged=goes)
    nine.shift(2 * HOUR)
    send_all(provider)
    code = visit.tokens.get().code
    assert [call for call in to(provider.calls, father.phone) if code in call.body] == []
    (text,) = [call for call in to(provider.calls, mother.phone) if code in call.body]
    assert clinic.tenant.name_ar in text.body
    assert [call for call in provider.calls if call.to == father.email] == []


def test_a_merge_of_three_leaves_one_that_is_told_and_none_of_the_old_numbers(
    clinic: Clinic, provider: FakeProvider, nine: time_machine.Coordinates
) -> None:
    oldest, middle = (PatientFactory(tenant=clinic.tenant) for _turn in range(2))
    night(clinic)
    visit = book(clinic, timezone.now() + 3 * DAY, patient=oldest)
    send_all(provider)
    patient_merge(actor=clinic.admin, survivor=middle, merged=oldest)
    patient_merge(actor=clinic.admin, survivor=clinic.patient, merged=middle)
    nine.shift(2 * HOUR)
    send_all(provider)
    assert len(to(provider.calls, clinic.patient.phone)) == 1
    assert visit.tokens.get().code in to(provider.calls, clinic.patient.phone)[0].body
    assert to(provider.calls, oldest.phone) == to(provider.calls, middle.phone) == []
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")
    send_all(provider)
    assert len([call for call in to(provider.calls, clinic.patient.phone) if call.channel == "SMS"]) == 2


# --- an adult who is a patient and a mother --------------------------------------------------------------------------


def test_her_own_wishes_are_not_her_childs(clinic: Clinic, mother: Guardian, provider: FakeProvider) -> None:
    herself = PatientFactory(tenant=clinic.tenant, phone=mother.phone, email=mother.email, language="en")
    child = child_of(clinic, mother)
    patients.patient_restrict(actor=clinic.front_desk, patient_id=herself.pk, reason="asked for silence")
    own = book(clinic, timezone.now() + 3 * DAY, patient=herself)
    childs = book(clinic, timezone.now() + 4 * DAY, patient=child)
    texts = " ".join(call.body for call in to(send_all(provider), mother.phone))
    assert childs.tokens.get().code in texts
    assert not own.tokens.exists() or own.tokens.get().code not in texts
    Patient.objects.filter(pk=herself.pk).update(is_restricted=False, deceased_at=timezone.localdate())
    # Nobody has ended her right yet: the child's father, or the desk, has to.
    assert not isinstance(recipients_for([child])[child.pk], str)


def test_a_reply_for_help_names_no_house_that_has_a_sensitive_place(clinic: Clinic, provider: FakeProvider) -> None:
    from integrations import reply_handling
    from notifications import replies

    Location.objects.filter(pk=clinic.location.pk).update(
        is_sensitive=True, discreet_name_en="Care Office", discreet_name_ar="مكتب الرعاية"
    )
    clinic.location.refresh_from_db()
    book(clinic, timezone.now() + 3 * DAY)
    send_all(provider)
    reply = replies.receive(
        provider="twilio",
        channel="SMS",
        sender=clinic.patient.phone,
        to="",
        body="HELP",
        provider_message_id="SMhelp",
    )
    assert reply is not None
    reply_handling.handle_waiting()
    text = Message.objects.get(dedupe_key=f"reply:{reply.pk}").body
    assert not any(name in text for name in (clinic.tenant.name_en, clinic.tenant.name_ar, clinic.location.name_ar))
    assert "مكتب الرعاية" in text


def test_a_visit_of_a_patient_without_any_address_is_one_task_and_no_message(
    clinic: Clinic, provider: FakeProvider
) -> None:
    nobody = PatientFactory(tenant=clinic.tenant, phone="", email="")
    visit: Appointment = book(clinic, timezone.now() + 3 * DAY, patient=nobody)
    assert {call.to for call in send_all(provider)} <= {clinic.provider.email}
    rows = Message.objects.filter(object_id=visit.pk, patient=nobody)
    assert {(row.status, row.reason) for row in rows} == {(Status.SUPPRESSED, Reason.NO_CONTACT)}
    assert DeskTask.objects.filter(kind="FIX_CONTACT", state="OPEN").count() == 1
    patients.patient_update(actor=clinic.front_desk, patient_id=nobody.pk, phone=NEW)
    look_after_all()
    assert len(to(send_all(provider), NEW)) == 1
