"""Words that should never reach a patient, however they get into a template, and templates that change under a send."""

from __future__ import annotations

import pytest

from conftest import Clinic
from core.errors import DomainError
from core.models import Role, User
from core.tenancy import tenant_scope
from integrations.bulk import control, run
from integrations.tests.bulk_rows import patients
from notifications import default_words, rendering, template_checks, template_upkeep, template_versions
from notifications.models import BulkSend, Message, MessageTemplate, TemplateVersion
from notifications.states import Reason, Status
from notifications.template_versions import NotPublishable
from notifications.tests.test_template_versions import WORDS, make, published, refused
from tests import factories

URL = "/notifications/templates/"
S = TemplateVersion.State


@pytest.fixture
def second(clinic: Clinic) -> User:
    return factories.UserFactory(
        tenant=clinic.tenant, role=Role.ADMIN, email="second@noor.example", location=clinic.location
    )


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        *("{{patient_name}}", "{{{patient_name}}}", "{{", "}}", "{{ patient_name }}", "{patient_name}}}"),
        *("{patient_name.tenant}", "{patient_name[0]}", "{patient_name!r}", "{patient_name:>999999999}"),
        *("{}", "{0}", "{ patient_name }", "{patient_name\u200b}", "{pаtient_name}", "{patient_name:{clinic_name}}"),
    ],
)
def test_what_only_looks_like_a_placeholder_is_never_published(clinic: Clinic, bad: str) -> None:
    words = {name: f"{text} {bad}" for name, text in WORDS.items()}
    version = make(clinic, words=words)
    with pytest.raises(NotPublishable) as found:
        template_versions.submit(actor=clinic.admin, version=version, revision=version.revision)
    assert {finding.field for finding in found.value.findings} >= {"body_en", "body_ar"}
    assert version.state == S.DRAFT


@pytest.mark.parametrize("bad", ["{{patient_name}}", "{patient_name", "{patient_name.pk}", "{nobody}"])
def test_nor_is_it_sent_in_words_of_a_sends_own(clinic: Clinic, bad: str) -> None:
    bulk = control.draft(
        actor=clinic.admin, name="x", source="FILTERS", message_class="SERVICE",
        people=[control.Person(clinic.patient.pk)],
    )  # fmt: skip
    with pytest.raises(DomainError) as found:
        control.words_set(actor=clinic.admin, bulk=bulk, texts={"body_en": bad, "body_ar": f"مرحبا {bad}"})
    assert found.value.code == "body_en_placeholder"


def test_a_value_with_brackets_stays_a_value() -> None:
    text = rendering.render(
        "Hi {patient_name}", ["patient_name"], {"patient_name": "{clinic_name} {0.__class__}"}, "en"
    )
    assert text == "Hi {clinic_name} {0.__class__}"


def test_a_placeholder_in_one_language_only_is_no_version_whichever_language_it_is(clinic: Clinic) -> None:
    for language in ("en", "ar"):
        words = {**WORDS, f"body_{language}": f"{WORDS[f'body_{language}']} {{room}}"}
        version = make(clinic, words=words, variables=["room"])
        with pytest.raises(NotPublishable, match="room"):
            template_versions.submit(actor=clinic.admin, version=version, revision=version.revision)


def test_a_patients_name_cannot_become_html_in_preview_letter_or_list(clinic: Clinic, second: User) -> None:
    evil = "<img src=x onerror=alert(1)>\"'{patient_name}"
    one = factories.PatientFactory(tenant=clinic.tenant, name_en=evil, name_ar=evil)
    words = {**WORDS, "subject_en": "Hello {patient_name}", "subject_ar": "مرحبًا {patient_name}"}
    version = make(clinic, channel="EMAIL", words=words, name="<script>alert(2)</script>")
    client = clinic.client(clinic.admin)
    for page in ("preview/", "preview/letter/"):
        answer = client.post(
            f"{URL}{page}", {"template": str(version.template_id), "patient": str(one.pk), "channel": "EMAIL", **words}
        )
        assert answer.status_code == 200
        assert b"<img src=x" not in answer.content
        assert b"&lt;img src=x" in answer.content
    for page in (URL, f"{URL}{version.template_id}/", f"{URL}{version.template_id}/edit/"):
        assert b"<script>alert(2)" not in client.get(page).content


def test_a_preview_with_another_clinics_patient_or_template_does_not_exist(
    clinic: Clinic, other_clinic: Clinic
) -> None:
    version = make(clinic)
    with tenant_scope(other_clinic.tenant.pk):
        theirs = make(other_clinic).template
    client = clinic.client(clinic.admin)
    mine = str(version.template_id)
    for fields in ({"template": mine, "patient": str(other_clinic.patient.pk)}, {"template": str(theirs.pk)}):
        assert client.post(f"{URL}preview/", {**fields, **WORDS}).status_code == 404


def test_a_body_of_the_greatest_length_is_kept_and_a_longer_one_is_not_published(clinic: Clinic) -> None:
    fits = {name: (text + " ") + "ب" * (1500 - len(text)) for name, text in WORDS.items()}
    version = make(clinic, words=fits)
    codes = {finding.code for finding in template_checks.blockers(version.template, version)}
    assert "too_long" not in codes
    long = {name: f"{text} {'ب' * 2000}" for name, text in WORDS.items()}
    template_versions.save_draft(
        actor=clinic.admin, template=version.template, words=long, variables=[], revision=version.revision
    )
    version.refresh_from_db()
    assert "too_long" in {finding.code for finding in template_checks.blockers(version.template, version)}


# --- two persons -----------------------------------------------------------------------------------------------------


def test_words_do_not_lose_their_author_by_being_copied_discarded_or_begun_again(clinic: Clinic, second: User) -> None:
    version = make(clinic)
    template_versions.discard(actor=second, version=version)
    for fresh in (
        template_versions.begin_from(actor=second, version=version),
        template_versions.duplicate(actor=second, template=version.template),
    ):
        template_versions.submit(actor=second, version=fresh, revision=fresh.revision)
        for author in (clinic.admin, second):
            with refused("same_person"):
                template_versions.publish(actor=author, version=fresh, revision=fresh.revision)


def test_who_typed_once_may_not_publish_even_when_the_words_are_as_they_were(clinic: Clinic, second: User) -> None:
    version = make(clinic)
    template = version.template
    for words in ({**WORDS, "body_en": f"{WORDS['body_en']} Bye"}, WORDS):
        version.refresh_from_db()
        template_versions.save_draft(
            actor=second, template=template, words=words, variables=[], revision=version.revision
        )
    version.refresh_from_db()
    template_versions.submit(actor=clinic.admin, version=version, revision=version.revision)
    with refused("same_person"):
        template_versions.publish(actor=second, version=version, revision=version.revision)


def test_a_reviewer_whose_role_is_lowered_in_an_open_session_publishes_nothing(clinic: Clinic, second: User) -> None:
    version = make(clinic)
    template_versions.submit(actor=clinic.admin, version=version, revision=version.revision)
    client = clinic.client(second)
    User.objects.filter(pk=second.pk).update(role=Role.FRONT_DESK)
    address = f"{URL}{version.template_id}/versions/{version.number}/publish/"
    assert client.post(address, {"revision": version.revision}).status_code == 403
    version.refresh_from_db()
    assert version.state == S.IN_REVIEW


def test_going_back_to_words_whose_placeholder_is_gone_is_refused(clinic: Clinic) -> None:
    default_words.install(clinic.tenant.pk)
    template = MessageTemplate.objects.filter(code__startswith="appointment.", channel="SMS")[0]
    old = TemplateVersion.objects.create(
        tenant=clinic.tenant, template=template, number=90, state=S.SUPERSEDED, author=clinic.admin,
        body_en=f"{template.body_en} {{ward}}", body_ar=f"{template.body_ar} {{ward}}", variables=["ward"],
    )  # fmt: skip
    with pytest.raises(NotPublishable, match="ward"):
        template_versions.roll_back(actor=clinic.admin, version=old)


# --- under a send ----------------------------------------------------------------------------------------------------


def send_with(clinic: Clinic, template: MessageTemplate, count: int = 2) -> BulkSend:
    bulk = control.draft(
        actor=clinic.admin, name="x", source="FILTERS", message_class="SERVICE",
        people=[control.Person(one.pk) for one in patients(clinic, count)],
    )  # fmt: skip
    control.words_set(actor=clinic.admin, bulk=bulk, template_code=template.code, is_urgent=True)
    control.check(actor=clinic.admin, bulk=bulk)
    return bulk


def test_what_is_switched_off_before_the_start_is_not_sent_and_says_why(clinic: Clinic, second: User) -> None:
    template = published(clinic, second).template
    bulk = send_with(clinic, template)
    control.submit(actor=clinic.admin, bulk=bulk)
    template_upkeep.set_active(actor=second, template=template, is_active=False)
    run.advance(clinic.tenant.pk, bulk.pk)
    rows = Message.objects.filter(bulk=bulk)
    assert set(rows.values_list("status", "reason")) == {(Status.SUPPRESSED, Reason.TEMPLATE_MISSING)}
    assert rows.count() == 2


def test_a_check_after_the_archive_promises_nobody(clinic: Clinic, second: User) -> None:
    template = published(clinic, second).template
    bulk = send_with(clinic, template)
    template_upkeep.archive(actor=second, template=template)
    control.check(actor=clinic.admin, bulk=bulk)
    assert (bulk.totals["send"], bulk.totals["excluded"]) == (0, {Reason.TEMPLATE_MISSING: 2})
    with pytest.raises(DomainError, match="Nobody"):
        control.submit(actor=clinic.admin, bulk=bulk)


def test_a_template_that_a_send_waits_with_is_not_deleted(clinic: Clinic, second: User) -> None:
    template = published(clinic, second).template
    bulk = send_with(clinic, template)
    answer = clinic.client(second).post(f"{URL}{template.pk}/delete/")
    assert answer.status_code < 500
    assert MessageTemplate.objects.filter(pk=template.pk).exists()
    control.submit(actor=clinic.admin, bulk=bulk)
    run.advance(clinic.tenant.pk, bulk.pk)
    assert Message.objects.filter(bulk=bulk, template=template, status=Status.QUEUED).count() == 2
