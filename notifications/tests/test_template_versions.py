"""The life of a template: drafts, the second person, what is sent, going back, and what forbids it."""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction

from conftest import Clinic, make_clinic
from core.errors import DomainError
from core.models import AuditEvent, Role, User
from core.tenancy import tenant_scope
from integrations.messaging_service import MessagingService
from notifications import default_words, template_upkeep, template_versions
from notifications.models import MessageTemplate, TemplateVersion
from notifications.template_versions import NotPublishable
from tests import factories

S = TemplateVersion.State
WORDS = {
    "body_en": "Hello {patient_name}, {clinic_name} opens at eight tomorrow.",
    "body_ar": "مرحبًا {patient_name}، تفتح {clinic_name} غدًا الساعة الثامنة.",
}


@pytest.fixture
def second(clinic: Clinic) -> User:
    """Another admin."""
    return factories.UserFactory(
        tenant=clinic.tenant, role=Role.ADMIN, email="second@noor.example", location=clinic.location
    )


def make(clinic: Clinic, **changes: Any) -> TemplateVersion:
    fields: dict[str, Any] = {
        "name": "Opening hours",
        "channel": "SMS",
        "notification_type": "GENERAL",
        "words": WORDS,
        "variables": [],
    }
    return template_versions.create(actor=clinic.admin, **{**fields, **changes})


def published(clinic: Clinic, second: User, **changes: Any) -> TemplateVersion:
    version = make(clinic, **changes)
    template_versions.submit(actor=clinic.admin, version=version, revision=version.revision)
    template_versions.publish(actor=second, version=version, revision=version.revision)
    return version


@contextlib.contextmanager
def refused(code: str) -> Iterator[None]:
    """The rules say no, for that reason."""
    with pytest.raises(DomainError) as caught:
        yield
    assert caught.value.code == code


def test_every_template_a_clinic_starts_with_has_its_first_version(clinic: Clinic) -> None:
    count = default_words.install(clinic.tenant.pk)
    assert TemplateVersion.objects.filter(state=S.PUBLISHED, number=1).count() == count > 20
    assert default_words.install(clinic.tenant.pk) == 0
    assert TemplateVersion.objects.count() == count


def test_words_go_out_only_after_a_second_person_has_looked(clinic: Clinic, second: User) -> None:
    version = make(clinic)
    template = version.template
    assert (template.version, template.is_active, version.number) == (0, False, 1)
    template_versions.submit(actor=clinic.admin, version=version, revision=1, note="new")
    with refused("same_person"):
        template_versions.publish(actor=clinic.admin, version=version, revision=1)
    template_versions.publish(actor=second, version=version, revision=1)
    template.refresh_from_db()
    assert (template.version, template.is_active, template.body_en) == (1, True, WORDS["body_en"])
    assert (version.state, version.reviewer) == (S.PUBLISHED, second)
    actions = list(AuditEvent.objects.order_by("created_at").values_list("action", flat=True))
    assert actions == ["template.created", "template.submitted", "template.published"]
    assert "Hello" not in str(list(AuditEvent.objects.values_list("before", "after")))


def test_whoever_typed_in_a_version_may_not_review_it_even_when_another_began_it(clinic: Clinic, second: User) -> None:
    version = make(clinic)
    changed = {**WORDS, "body_en": "Good day {patient_name}, {clinic_name} opens at nine."}
    template_versions.save_draft(
        actor=second, template=version.template, words=changed, variables=[], revision=version.revision
    )
    version.refresh_from_db()
    template_versions.submit(actor=clinic.admin, version=version, revision=version.revision)
    with refused("same_person"):
        template_versions.publish(actor=second, version=version, revision=version.revision)
    # Not by way of a copy either.
    template_versions.take_back(actor=clinic.admin, version=version)
    template_versions.discard(actor=clinic.admin, version=version)
    third = factories.UserFactory(tenant=clinic.tenant, role=Role.ADMIN, email="third@noor.example")
    copy = template_versions.begin_from(actor=third, version=version)
    assert not template_versions.may_review(second, copy)


def test_the_database_itself_refuses_a_reviewer_who_is_the_author(clinic: Clinic) -> None:
    version = make(clinic)
    with pytest.raises(IntegrityError), transaction.atomic():
        TemplateVersion.objects.filter(pk=version.pk).update(reviewer=clinic.admin)
    with pytest.raises(IntegrityError), transaction.atomic():
        MessageTemplate.objects.filter(pk=version.template_id).update(is_active=True)


def test_publishing_is_refused_with_every_reason_at_once(clinic: Clinic) -> None:
    version = make(clinic, channel="EMAIL", words={"subject_en": "Hi", "body_en": "Hello {patient_name} {surname}"})
    with pytest.raises(NotPublishable) as caught:
        template_versions.submit(actor=clinic.admin, version=version, revision=1)
    assert {(finding.code, finding.field) for finding in caught.value.findings} == {
        ("missing", "subject_ar"),
        ("missing", "body_ar"),
        ("unknown", "body_en"),
    }
    assert "{surname}" in str(caught.value)


def test_a_placeholder_in_one_language_only_is_refused(clinic: Clinic) -> None:
    version = make(clinic, words={**WORDS, "body_ar": "مرحبًا {patient_name}"})
    with pytest.raises(NotPublishable) as caught:
        template_versions.submit(actor=clinic.admin, version=version, revision=1)
    assert [finding.code for finding in caught.value.findings] == ["parity"]


def test_an_event_cannot_lose_what_its_message_is_about(clinic: Clinic) -> None:
    default_words.install(clinic.tenant.pk)
    template = MessageTemplate.objects.get(code="appointment.reminder_24h.patient", channel="SMS")
    words = {"body_en": "{clinic_name}: see you soon.", "body_ar": "{clinic_name}: نراكم قريبًا."}
    version = template_versions.save_draft(
        actor=clinic.admin, template=template, words=words, variables=["anything"], revision=0
    )
    # An event's placeholders are what the event knows, whatever is declared.
    assert "anything" not in version.variables
    with pytest.raises(NotPublishable) as caught:
        template_versions.submit(actor=clinic.admin, version=version, revision=1)
    assert {finding.code for finding in caught.value.findings} == {"essential"}
    assert {"{date}", "{time}"} <= {word for word in ("{date}", "{time}", "{link}") if word in str(caught.value)}


def test_two_who_write_at_once_do_not_overwrite_each_other(clinic: Clinic, second: User) -> None:
    template = make(clinic).template
    first = {**WORDS, "body_en": "One {patient_name} {clinic_name}"}
    template_versions.save_draft(actor=clinic.admin, template=template, words=first, variables=[], revision=1)
    with refused("changed_meanwhile"):
        template_versions.save_draft(actor=second, template=template, words=WORDS, variables=[], revision=1)
    assert TemplateVersion.objects.get(template=template).body_en == first["body_en"]


def test_nobody_approves_words_he_has_not_seen(clinic: Clinic, second: User) -> None:
    version = make(clinic)
    template_versions.submit(actor=clinic.admin, version=version, revision=1)
    template_versions.take_back(actor=clinic.admin, version=version)
    sly = {**WORDS, "body_en": "Another {patient_name} {clinic_name}"}
    template_versions.save_draft(actor=clinic.admin, template=version.template, words=sly, variables=[], revision=1)
    template_versions.submit(actor=clinic.admin, version=version, revision=2)
    with refused("changed_meanwhile"):
        template_versions.publish(actor=second, version=version, revision=1)


def test_a_version_in_review_is_frozen(clinic: Clinic) -> None:
    version = make(clinic)
    template_versions.submit(actor=clinic.admin, version=version, revision=1)
    with refused("in_review"):
        template_versions.save_draft(
            actor=clinic.admin, template=version.template, words=WORDS, variables=[], revision=1
        )


def test_sent_back_it_says_why_and_can_be_begun_again(clinic: Clinic, second: User) -> None:
    version = make(clinic)
    template_versions.submit(actor=clinic.admin, version=version, revision=1)
    with refused("note_missing"):
        template_versions.reject(actor=second, version=version, revision=1, note="  ")
    template_versions.reject(actor=second, version=version, revision=1, note="Too long.")
    assert (version.state, version.review_note) == (S.REJECTED, "Too long.")
    again = template_versions.begin_from(actor=clinic.admin, version=version)
    assert (again.number, again.state, again.body_en) == (2, S.DRAFT, WORDS["body_en"])


def test_going_back_sends_the_old_words_under_a_new_number_at_once(clinic: Clinic, second: User) -> None:
    first = published(clinic, second)
    template = first.template
    other = {**WORDS, "body_en": "Changed {patient_name} {clinic_name}"}
    draft = template_versions.save_draft(actor=clinic.admin, template=template, words=other, variables=[], revision=0)
    with refused("never_sent"):
        template_versions.roll_back(actor=clinic.admin, version=draft)
    template_versions.submit(actor=clinic.admin, version=draft, revision=1)
    template_versions.publish(actor=second, version=draft, revision=1)
    back = template_versions.roll_back(actor=clinic.admin, version=first)
    template.refresh_from_db()
    assert (template.version, template.body_en, back.restores) == (3, WORDS["body_en"], 1)
    states = dict(TemplateVersion.objects.values_list("number", "state"))
    assert states == {1: S.SUPERSEDED, 2: S.SUPERSEDED, 3: S.PUBLISHED}


def test_a_message_keeps_the_version_it_was_sent_with(clinic: Clinic, second: User) -> None:
    version = published(clinic, second)
    template = version.template
    message = MessagingService().send_from_template(
        tenant_id=clinic.tenant.pk,
        template_code=template.code,
        patient=clinic.patient,
        channel="SMS",
        context={"patient_name": clinic.patient, "clinic_name": clinic.tenant},
    )
    draft = template_versions.begin_from(actor=clinic.admin, version=version)
    words = {**WORDS, "body_en": "Later {patient_name} {clinic_name}", "body_ar": "لاحقًا {patient_name} {clinic_name}"}
    template_versions.save_draft(actor=clinic.admin, template=template, words=words, variables=[], revision=1)
    draft.refresh_from_db()
    template_versions.submit(actor=clinic.admin, version=draft, revision=draft.revision)
    template_versions.publish(actor=second, version=draft, revision=draft.revision)
    message.refresh_from_db()
    assert message.template_version == 1
    assert "Later" not in message.body
    assert "لاحقًا" not in message.body


def test_an_unpublished_or_archived_template_is_never_sent_with(clinic: Clinic, second: User) -> None:
    draft = make(clinic)
    with refused("unpublished"):
        template_upkeep.set_active(actor=clinic.admin, template=draft.template, is_active=True)
    version = published(clinic, second, name="Another")
    template_upkeep.archive(actor=clinic.admin, template=version.template)
    with refused("archived"):
        template_upkeep.set_active(actor=clinic.admin, template=version.template, is_active=True)
    with pytest.raises(MessageTemplate.DoesNotExist):
        MessagingService().send_from_template(
            tenant_id=clinic.tenant.pk, template_code=version.template.code, patient=clinic.patient, channel="SMS"
        )
    template_upkeep.restore(actor=clinic.admin, template=version.template)
    version.template.refresh_from_db()
    assert (version.template.archived_at, version.template.is_active) == (None, False)


def test_what_was_used_is_archived_and_not_deleted(clinic: Clinic, second: User) -> None:
    version = published(clinic, second)
    MessagingService().send_from_template(
        tenant_id=clinic.tenant.pk,
        template_code=version.template.code,
        patient=clinic.patient,
        channel="SMS",
        context={"patient_name": clinic.patient, "clinic_name": clinic.tenant},
    )
    with refused("in_use"):
        template_upkeep.delete(actor=clinic.admin, template=version.template)
    unused = make(clinic, name="Unused")
    template_upkeep.delete(actor=clinic.admin, template=unused.template)
    assert not TemplateVersion.objects.filter(pk=unused.pk).exists()


def test_what_an_event_sends_can_only_be_switched_off(clinic: Clinic) -> None:
    default_words.install(clinic.tenant.pk)
    template = MessageTemplate.objects.filter(code="appointment.confirmed.patient").first()
    assert template is not None
    with refused("in_use"):
        template_upkeep.delete(actor=clinic.admin, template=template)
    with refused("of_event"):
        template_upkeep.archive(actor=clinic.admin, template=template)
    template_upkeep.set_active(actor=clinic.admin, template=template, is_active=False)
    template.refresh_from_db()
    assert not template.is_active


def test_a_copy_is_a_draft_of_the_clinics_own(clinic: Clinic, second: User) -> None:
    version = published(clinic, second)
    copy = template_versions.duplicate(actor=clinic.admin, template=version.template)
    assert copy.template.name == "Copy of Opening hours"
    assert copy.template.code != version.template.code
    assert (copy.state, copy.template.version, copy.body_ar) == (S.DRAFT, 0, WORDS["body_ar"])


def test_the_desk_and_the_other_clinic_may_not(clinic: Clinic, other_clinic: Clinic) -> None:
    version = make(clinic)
    for actor in (clinic.front_desk, clinic.provider, other_clinic.admin):
        with refused("not_allowed"):
            template_upkeep.set_active(actor=actor, template=version.template, is_active=False)


def test_templates_of_before_get_what_is_sent_as_their_version(clinic: Clinic) -> None:
    """The migration's own step, over rows that have no version yet; the number that messages name stays."""
    default_words.install(clinic.tenant.pk)
    TemplateVersion.objects.all().delete()
    MessageTemplate.objects.update(version=4)
    step = importlib.import_module("notifications.migrations.0008_template_versions")
    with mock.patch.object(step, "_BATCH", 10):
        step.keep_what_is_sent(apps, None)
    versions = TemplateVersion.objects.select_related("template")
    assert versions.count() == MessageTemplate.objects.count()
    for version in versions:
        assert (version.number, version.state, version.words()) == (4, S.PUBLISHED, version.template.words())


def test_two_templates_of_one_name_get_codes_of_their_own(clinic: Clinic) -> None:
    codes = {make(clinic).template.code, make(clinic).template.code, make(clinic, name="ساعات").template.code}
    assert len(codes) == 3
    # The look before has seen nothing, the database refuses: the second writer's case.
    with mock.patch.object(template_versions, "_free_code", return_value="own.opening-hours"):
        assert make(clinic).template.code.startswith("own.opening-hours-")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_two_reviewers_at_once_one_decides_and_of_two_authors_one_begins() -> None:
    """A lock on the template's row: the second sees what the first has done."""
    made = make_clinic("race")
    with tenant_scope(made.tenant.pk):
        others = [
            factories.UserFactory(tenant=made.tenant, role=Role.ADMIN, email=f"r{n}@race.example") for n in range(2)
        ]
        version = make(made)
        template = version.template
        template_versions.submit(actor=made.admin, version=version, revision=1)

    def at_once(*acts: Any) -> list[str]:
        barrier, outcomes = threading.Barrier(len(acts)), []

        def run(act: Any) -> None:
            try:
                with tenant_scope(made.tenant.pk):
                    barrier.wait()
                    act()
                outcomes.append("done")
            except DomainError as error:
                outcomes.append(error.code)
            finally:
                connection.close()

        threads = [threading.Thread(target=run, args=(act,)) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(outcomes)

    def copy_of(row: TemplateVersion) -> TemplateVersion:
        return TemplateVersion.objects.get(pk=row.pk)

    with tenant_scope(made.tenant.pk):
        mine, theirs = copy_of(version), copy_of(version)
    assert at_once(
        lambda: template_versions.publish(actor=others[0], version=mine, revision=1),
        lambda: template_versions.reject(actor=others[1], version=theirs, revision=1, note="No."),
    ) == ["done", "moved_on"]
    other = {**WORDS, "body_en": "Good day {patient_name}, {clinic_name} opens at nine."}
    assert at_once(
        *(
            lambda actor=actor: template_versions.save_draft(  # type: ignore[misc]
                actor=actor, template=template, words=other, variables=[], revision=0
            )
            for actor in others
        )
    ) == ["changed_meanwhile", "done"]
