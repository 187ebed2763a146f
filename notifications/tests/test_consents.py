"""Consents: the latest word counts, a no at once, nothing beyond the care without a yes, and all of it is proof."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from conftest import Clinic
from core.errors import DomainError
from core.models import AuditEvent, Patient
from notifications import consents, gate
from notifications.consent_states import ConsentStatus, Method, Purpose, state, strictest
from notifications.models import ConsentRecord, ConsentText, NotificationPreference
from notifications.preferences import preference_update
from notifications.states import Channel, NotificationType, Reason
from tests.factories import GuardianFactory, GuardianshipFactory, PatientFactory

C = ConsentStatus
HOUR = dt.timedelta(hours=1)
ALL_TYPES = [one for one in NotificationType.values if one != NotificationType.STAFF]


def say(patient: Patient, purpose: str, status: str, **fields: object) -> ConsentRecord:
    return consents.record(
        patient=patient,
        purpose=purpose,
        status=status,
        **{"method": Method.STAFF, **fields},  # type: ignore[arg-type]
    )


def refusal(patient: Patient, channel: str, kind: str) -> Reason | None:
    return gate.preference_of(patient).refusal(channel, kind)


@pytest.mark.parametrize("kind", [NotificationType.AWARENESS, NotificationType.MARKETING])
def test_nothing_beyond_the_care_goes_without_a_yes(clinic: Clinic, kind: str) -> None:
    purpose = {"AWARENESS": Purpose.AWARENESS, "MARKETING": Purpose.PROMOTION}[kind]
    assert refusal(clinic.patient, "SMS", kind) == Reason.NO_CONSENT
    say(clinic.patient, purpose, C.GRANTED)
    assert refusal(clinic.patient, "SMS", kind) is None
    say(clinic.patient, purpose, C.WITHDRAWN)
    assert refusal(clinic.patient, "SMS", kind) == Reason.CONSENT_WITHDRAWN
    say(clinic.patient, purpose, C.REFUSED)
    assert refusal(clinic.patient, "SMS", kind) == Reason.NO_CONSENT


def test_messages_about_the_care_need_no_yes_and_stop_with_a_no(clinic: Clinic) -> None:
    for channel, kind in itertools.product(Channel.values, [NotificationType.REMINDER, NotificationType.CHANGE]):
        assert refusal(clinic.patient, channel, kind) is None
    say(clinic.patient, Purpose.CARE, C.WITHDRAWN)
    for channel, kind in itertools.product(Channel.values, [NotificationType.REMINDER, NotificationType.CHANGE]):
        assert refusal(clinic.patient, channel, kind) == Reason.CONSENT_WITHDRAWN


def test_a_no_to_whatsapp_stops_whatsapp_alone_and_a_clinic_group_may_ask_for_a_yes(clinic: Clinic) -> None:
    wishes = gate.preference_of(clinic.patient)
    assert wishes.refusal("WHATSAPP", "REMINDER") is None
    assert wishes.refusal("WHATSAPP", "REMINDER", whatsapp_needs_consent=True) == Reason.NO_CONSENT
    say(clinic.patient, Purpose.WHATSAPP, C.GRANTED)
    assert gate.preference_of(clinic.patient).refusal("WHATSAPP", "REMINDER", whatsapp_needs_consent=True) is None
    say(clinic.patient, Purpose.WHATSAPP, C.WITHDRAWN)
    assert refusal(clinic.patient, "WHATSAPP", "REMINDER") == Reason.CONSENT_WITHDRAWN
    assert refusal(clinic.patient, "SMS", "REMINDER") is None


def test_a_word_about_one_channel_leaves_the_others(clinic: Clinic) -> None:
    say(clinic.patient, Purpose.PROMOTION, C.GRANTED)
    say(clinic.patient, Purpose.PROMOTION, C.WITHDRAWN, channel=Channel.EMAIL)
    assert refusal(clinic.patient, "EMAIL", "MARKETING") == Reason.CONSENT_WITHDRAWN
    assert refusal(clinic.patient, "SMS", "MARKETING") is None
    assert consents.state_of(clinic.patient, Purpose.PROMOTION) == C.GRANTED
    assert consents.state_of(clinic.patient, Purpose.PROMOTION, Channel.EMAIL) == C.WITHDRAWN


def test_a_paper_that_is_entered_late_does_not_undo_a_later_no(clinic: Clinic) -> None:
    say(clinic.patient, Purpose.PROMOTION, C.WITHDRAWN, at=timezone.now() - HOUR)
    say(clinic.patient, Purpose.PROMOTION, C.GRANTED, method=Method.PAPER, at=timezone.now() - 30 * HOUR)
    assert consents.state_of(clinic.patient, Purpose.PROMOTION) == C.WITHDRAWN
    assert refusal(clinic.patient, "SMS", "MARKETING") == Reason.CONSENT_WITHDRAWN


def test_of_two_words_of_one_moment_the_stricter_counts(clinic: Clinic) -> None:
    now = timezone.now()
    for status in (C.WITHDRAWN, C.GRANTED):
        say(clinic.patient, Purpose.PROMOTION, status, at=now)
    assert consents.state_of(clinic.patient, Purpose.PROMOTION) == C.WITHDRAWN
    assert gate.preference_of(clinic.patient).agreed(Purpose.PROMOTION) == C.WITHDRAWN


def test_a_consent_that_is_over_lets_nothing_through(clinic: Clinic) -> None:
    say(clinic.patient, Purpose.AWARENESS, C.GRANTED, valid_until=timezone.now() + HOUR)
    assert refusal(clinic.patient, "SMS", "AWARENESS") is None
    with time_machine.travel(timezone.now() + HOUR, tick=False):
        assert consents.state_of(clinic.patient, Purpose.AWARENESS) == C.EXPIRED
        assert refusal(clinic.patient, "SMS", "AWARENESS") == Reason.NO_CONSENT


def test_a_yes_of_a_guardian_ends_when_the_child_is_of_age(clinic: Clinic) -> None:
    today = timezone.localdate()
    born = today.replace(year=today.year - 17)
    child = PatientFactory(tenant=clinic.tenant, birth_date=born)
    mother = GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=GuardianFactory(tenant=clinic.tenant))
    said = say(child, Purpose.AWARENESS, C.GRANTED, guardian=mother.guardian)
    assert said.valid_until is not None
    assert timezone.localdate(said.valid_until) == born.replace(year=born.year + 18)
    with time_machine.travel(said.valid_until - dt.timedelta(seconds=1), tick=False):
        assert consents.state_of(child, Purpose.AWARENESS) == C.GRANTED
    with time_machine.travel(said.valid_until, tick=False):
        assert consents.state_of(child, Purpose.AWARENESS) == C.EXPIRED


def test_somebody_born_on_a_leap_day_is_of_age_on_the_first_of_march(clinic: Clinic) -> None:
    child = PatientFactory(tenant=clinic.tenant, birth_date=dt.date(2012, 2, 29))
    assert timezone.localdate(consents.of_age_at(child)) == dt.date(2030, 3, 1)
    assert not child.is_minor_on(dt.date(2030, 3, 1))
    assert child.is_minor_on(dt.date(2030, 2, 28))


def test_a_record_says_who_when_how_and_which_words(clinic: Clinic) -> None:
    said = say(
        clinic.patient, Purpose.PROMOTION, C.GRANTED, actor=clinic.front_desk, language="ar", evidence=" form  17 "
    )
    assert (said.captured_by, said.method, said.language, said.evidence) == (
        clinic.front_desk, Method.STAFF, "ar", "form 17",
    )  # fmt: skip
    assert said.text_version == "promotion 1"
    act = AuditEvent.objects.get(action="consent.granted")
    assert (act.object_id, act.actor) == (said.pk, clinic.front_desk)
    consents.text_set(actor=clinic.admin, purpose=Purpose.PROMOTION, words_en="Other words.", words_ar="كلمات أخرى.")
    assert say(clinic.patient, Purpose.PROMOTION, C.GRANTED).text_version == "promotion 2"
    assert ConsentRecord.objects.get(pk=said.pk).text_version == "promotion 1", "who agreed to the old has agreed to it"


def test_words_that_do_not_change_make_no_version_and_both_languages_are_needed(clinic: Clinic) -> None:
    first = consents.text_in_force(clinic.tenant.pk, Purpose.CARE)
    again = consents.text_set(
        actor=clinic.admin, purpose=Purpose.CARE, words_en=first.words_en, words_ar=first.words_ar
    )
    assert (again.pk, ConsentText.objects.filter(purpose=Purpose.CARE).count()) == (first.pk, 1)
    with pytest.raises(DomainError, match="both languages"):
        consents.text_set(actor=clinic.admin, purpose=Purpose.CARE, words_en="Only English", words_ar=" ")
    with pytest.raises(DomainError, match="role"):
        consents.text_set(actor=clinic.front_desk, purpose=Purpose.CARE, words_en="a", words_ar="ب")


def test_what_cannot_have_been_said_is_refused(clinic: Clinic, other_clinic: Clinic) -> None:
    with pytest.raises(DomainError, match="future"):
        say(clinic.patient, Purpose.CARE, C.GRANTED, at=timezone.now() + HOUR)
    with pytest.raises(DomainError, match="evidence"):
        say(clinic.patient, Purpose.CARE, C.GRANTED, evidence="x" * 301)
    with pytest.raises(ValueError, match="nobody can say"):
        say(clinic.patient, Purpose.CARE, C.EXPIRED)
    with pytest.raises(DomainError):
        say(clinic.patient, Purpose.CARE, C.GRANTED, actor=other_clinic.front_desk)
    with pytest.raises(DomainError):
        say(clinic.patient, Purpose.CARE, C.GRANTED, actor=clinic.patient_user)
    assert not ConsentRecord.objects.exists()


def test_records_are_never_changed_nor_deleted(clinic: Clinic) -> None:
    say(clinic.patient, Purpose.CARE, C.GRANTED)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        ConsentRecord.objects.update(status=C.WITHDRAWN)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM notifications_consentrecord")
    assert ConsentRecord.objects.get().status == C.GRANTED


def test_the_row_that_every_send_reads_says_what_the_records_say(clinic: Clinic) -> None:
    """Every order of words over two channels, at moments in and out of order."""
    start = timezone.now() - 100 * HOUR
    words = [(C.GRANTED, ""), (C.WITHDRAWN, "EMAIL"), (C.REFUSED, ""), (C.GRANTED, "SMS")]
    for number, order in enumerate(itertools.permutations(range(len(words)))):
        patient = PatientFactory(tenant=clinic.tenant, mrn=f"order-{number}")
        for hours in order:
            status, channel = words[hours]
            say(patient, Purpose.PROMOTION, status, channel=channel, at=start + hours * HOUR)
        kept = gate.preference_of(patient)
        for channel in ("", *Channel.values):
            wanted = consents.state_of(patient, Purpose.PROMOTION, channel)
            assert kept.agreed(Purpose.PROMOTION, channel) == wanted
        assert [consents.state_of(patient, Purpose.PROMOTION, one) for one in ("", "EMAIL", "SMS")] == [
            C.REFUSED, C.REFUSED, C.GRANTED,
        ]  # fmt: skip


def test_withdrawing_takes_back_what_is_agreed_and_writes_nothing_else(clinic: Clinic) -> None:
    both = (Purpose.AWARENESS, Purpose.PROMOTION)
    assert consents.withdraw(patient=clinic.patient, purposes=both, method=Method.REPLY) == []
    say(clinic.patient, Purpose.PROMOTION, C.GRANTED, channel="SMS")
    (row,) = consents.withdraw(patient=clinic.patient, purposes=both, method=Method.REPLY)
    assert (row.purpose, row.channel, row.method) == (Purpose.PROMOTION, "", Method.REPLY)
    assert refusal(clinic.patient, "SMS", "MARKETING") == Reason.CONSENT_WITHDRAWN


@pytest.mark.parametrize("survivors", [C.NONE, C.GRANTED, C.REFUSED, C.WITHDRAWN])
@pytest.mark.parametrize("merged", [C.NONE, C.GRANTED, C.REFUSED, C.WITHDRAWN])
def test_when_files_become_one_no_more_is_let_through_than_before(clinic: Clinic, survivors: C, merged: C) -> None:
    other = PatientFactory(tenant=clinic.tenant)
    for patient, status in ((clinic.patient, survivors), (other, merged)):
        if status != C.NONE:
            say(patient, Purpose.PROMOTION, status)
    consents.keep_strictest(clinic.patient, other)
    after = consents.state_of(clinic.patient, Purpose.PROMOTION)
    no = {C.REFUSED, C.WITHDRAWN}
    assert (after in no) == bool(no & {survivors, merged})
    assert (after == C.GRANTED) == (survivors == C.GRANTED and merged not in no)
    assert gate.preference_of(clinic.patient).agreed(Purpose.PROMOTION) == after


def test_the_form_of_the_file_writes_consents(clinic: Clinic) -> None:
    preference_update(actor=clinic.front_desk, patient=clinic.patient, values={"marketing_enabled": True})
    assert ConsentRecord.objects.get().status == C.GRANTED
    preference_update(actor=clinic.front_desk, patient=clinic.patient, values={"marketing_enabled": True})
    assert ConsentRecord.objects.count() == 1, "nothing changed"
    row = preference_update(actor=clinic.front_desk, patient=clinic.patient, values={"marketing_enabled": False})
    assert not row.marketing_enabled
    assert [one.status for one in consents.history_of(clinic.patient)] == [C.WITHDRAWN, C.GRANTED]


def test_scenario_05_a_square_of_the_matrix_switches_off_one_kind_over_one_channel(clinic: Clinic) -> None:
    preference_update(actor=clinic.front_desk, patient=clinic.patient, values={"switched_off": ["SMS:BILLING"]})
    assert refusal(clinic.patient, "SMS", "BILLING") == Reason.OPT_OUT_TYPE
    assert refusal(clinic.patient, "EMAIL", "BILLING") is None
    assert refusal(clinic.patient, "SMS", "REMINDER") is None
    with pytest.raises(ValueError, match="nothing is called"):
        preference_update(actor=clinic.front_desk, patient=clinic.patient, values={"switched_off": ["SMS:CHANGE"]})


def test_the_strictest_is_the_same_in_any_order() -> None:
    for one, other in itertools.product(C, C):
        assert strictest(one, other) == strictest(other, one)
    assert state({}, Purpose.CARE, "SMS", timezone.now()) == C.NONE
    assert NotificationPreference().agreed(Purpose.CARE) == C.NONE
