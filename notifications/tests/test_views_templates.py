"""The pages of templates: who may enter, what they show, and what they refuse."""

from __future__ import annotations

import datetime as dt
from typing import Any
from unittest import mock

import pytest
from django.test import Client
from django.urls import reverse

from appointments.tests.test_booking import book
from conftest import Clinic
from core.models import Look, Role, User
from core.tenancy import tenant_scope
from integrations.messaging_service import MessagingService
from notifications import default_words, template_versions
from notifications.models import Message, MessageTemplate, TemplateVersion
from notifications.states import Status
from notifications.tests.test_template_versions import WORDS, make, published
from tests import factories

S = TemplateVersion.State
LIST = "/notifications/templates/"


@pytest.fixture
def second(clinic: Clinic) -> User:
    return factories.UserFactory(
        tenant=clinic.tenant, role=Role.ADMIN, email="second@noor.example", location=clinic.location
    )


@pytest.fixture
def web(clinic: Clinic) -> Client:
    return clinic.client(clinic.admin)


def address(name: str, template: MessageTemplate, *more: Any) -> str:
    return reverse(f"notifications:{name}", args=[template.pk, *more])


def act(client: Client, version: TemplateVersion, name: str, **data: Any) -> Any:
    return client.post(
        address("template_version_act", version.template, version.number, name),
        {"revision": version.revision, **data},
    )


def test_only_an_admin_of_this_clinic_enters(clinic: Clinic, other_clinic: Clinic) -> None:
    version = make(clinic)
    template = version.template
    pages = [
        address(name, template) for name in ("template_detail", "template_update", "template_delete", "template_test")
    ] + [address("template_version", template, 1)]
    posts = [
        *(address(f"template_{name}", template) for name in ("toggle", "delete", "duplicate", "archive", "restore")),
        address("template_version_act", template, 1, "publish"),
    ]
    outsider = other_clinic.client(other_clinic.admin)
    for page in pages:
        assert clinic.client(clinic.front_desk).get(page).status_code == 403
        assert outsider.get(page).status_code == 404
        assert Client().get(page).status_code == 302
    for page in posts:
        assert clinic.client(clinic.provider).post(page).status_code == 403
        assert outsider.post(page).status_code == 404
        assert clinic.client(clinic.admin).get(page).status_code in (405, 200)
    letter = reverse("notifications:template_preview_letter")
    assert outsider.post(letter, {"template": template.pk}).status_code == 404
    assert clinic.client(clinic.front_desk).post(letter).status_code == 403
    stolen = outsider.post(reverse("notifications:template_preview"), {"template": template.pk})
    assert stolen.status_code == 404
    own = outsider.post(
        reverse("notifications:template_preview"), {"channel": "SMS", "body_en": "x", "patient": clinic.patient.pk}
    )
    assert own.status_code == 404
    version.refresh_from_db()
    assert version.state == S.DRAFT


def test_the_list_filters_and_makes_a_fixed_number_of_queries(
    clinic: Clinic, web: Client, second: User, django_assert_num_queries: Any
) -> None:
    default_words.install(clinic.tenant.pk)
    make(clinic)
    published(clinic, second, name="Ramadan hours")
    web.get(LIST)
    # The session with its user, the open versions, the usage, the templates.
    with django_assert_num_queries(4):
        page = web.get(LIST)
    assert "Ramadan hours" in page.content.decode()
    assert "Opening hours" in web.get(LIST, {"state": "draft"}).content.decode()
    assert "Ramadan hours" not in web.get(LIST, {"state": "draft"}).content.decode()
    assert "No template matches" in web.get(LIST, {"q": "nothing like it"}).content.decode()
    # Found by a word of its Arabic text, written without its marks.
    assert "Opening hours" not in web.get(LIST, {"q": "reminder", "channel": "SMS"}).content.decode()
    assert "Ramadan hours" in web.get(LIST, {"q": "مرحبا"}).content.decode()
    fragment = web.get(LIST, {"q": "ramadan"}, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in fragment
    assert "Ramadan hours" in fragment
    assert web.get(LIST, {"channel": "FAX"}).status_code == 422


def test_usage_counts_real_messages_and_no_tests(clinic: Clinic, web: Client, second: User) -> None:
    version = published(clinic, second)
    MessagingService().send_from_template(
        tenant_id=clinic.tenant.pk,
        template_code=version.template.code,
        patient=clinic.patient,
        channel="SMS",
        context={"patient_name": clinic.patient, "clinic_name": clinic.tenant},
    )
    data = {
        "language": "en",
        "words": "published",
        "phone": "0501234567",
        "key": "7a9e6f8e-8f0e-4d0e-9f6e-1d1b7c1f0b11",
    }
    assert web.post(address("template_test", version.template), data).status_code == 302
    rows = web.get(LIST).context["page"].object_list
    assert [row.usage.count for row in rows] == [1]


def test_a_new_template_is_written_reviewed_and_published_by_two_people(
    clinic: Clinic, web: Client, second: User
) -> None:
    typed = {"name": "Eid", "channel": "SMS", "notification_type": "GENERAL", "revision": 0, "step": "submit", **WORDS}
    assert web.post(f"{LIST}create/", typed).status_code == 302
    version = TemplateVersion.objects.get()
    assert (version.state, version.template.code) == (S.IN_REVIEW, "own.eid")
    own = web.get(address("template_detail", version.template)).content.decode()
    assert "another admin has to look at it" in own
    assert act(web, version, "publish").status_code == 422
    reviewer = clinic.client(second)
    page = reviewer.get(address("template_detail", version.template)).content.decode()
    assert 'formaction="' in page
    assert act(reviewer, version, "publish").status_code == 302
    version.template.refresh_from_db()
    assert (version.template.version, version.template.is_active) == (1, True)


def test_without_another_admin_the_page_says_what_to_do(clinic: Clinic, web: Client) -> None:
    version = make(clinic)
    template_versions.submit(actor=clinic.admin, version=version, revision=1)
    page = web.get(address("template_detail", version.template)).content.decode()
    assert "There is no other admin who could look at it" in page


def test_what_is_missing_is_listed_in_full_and_the_draft_is_kept(clinic: Clinic, web: Client) -> None:
    typed = {
        "name": "Half",
        "channel": "EMAIL",
        "notification_type": "GENERAL",
        "revision": 0,
        "step": "submit",
        "body_en": "Dear {patient_name}, {colour}",
    }
    answer = web.post(f"{LIST}create/", typed)
    assert answer.status_code == 422
    page = answer.content.decode()
    for sentence in (
        "The English subject is missing.",
        "The Arabic subject is missing.",
        "The Arabic text is missing.",
        "There is no placeholder “{colour}” for this message.",
    ):
        assert sentence in page
    assert TemplateVersion.objects.get().state == S.DRAFT


def test_names_of_own_placeholders_are_checked_and_known(clinic: Clinic, web: Client) -> None:
    typed = {
        "name": "List",
        "channel": "SMS",
        "notification_type": "GENERAL",
        "revision": 0,
        "step": "save",
        "extra": "amount, Branch-Name",
        **WORDS,
    }
    answer = web.post(f"{LIST}create/", typed)
    assert answer.status_code == 422
    assert "“Branch-Name” is no name of a placeholder" in answer.content.decode()
    assert web.post(f"{LIST}create/", {**typed, "extra": "amount, branch"}).status_code == 302
    assert TemplateVersion.objects.get().variables == ["patient_name", "clinic_name", "amount", "branch"]


def test_saving_over_what_somebody_else_has_saved_is_refused(clinic: Clinic, web: Client, second: User) -> None:
    version = make(clinic)
    page = address("template_update", version.template)
    typed = {"name": "Opening hours", "revision": 1, "step": "save", **WORDS, "body_en": "Mine {patient_name}"}
    assert clinic.client(second).post(page, {**typed, "body_en": "Theirs {patient_name}"}).status_code == 302
    answer = web.post(page, typed)
    assert answer.status_code == 422
    assert "Somebody has changed this draft meanwhile" in answer.content.decode()
    # What was typed is still in the form.
    assert "Mine {patient_name}" in answer.content.decode()
    version.refresh_from_db()
    assert version.body_en == "Theirs {patient_name}"


def test_direction_marks_of_an_editor_are_not_kept(clinic: Clinic, web: Client) -> None:
    version = make(clinic)
    typed = {"name": "Opening hours", "revision": 1, "step": "save", **WORDS}
    typed["body_ar"] = "مرحبًا \u2066{patient_name}\u2069 {clinic_name}  "
    web.post(address("template_update", version.template), typed)
    version.refresh_from_db()
    assert version.body_ar == "مرحبًا {patient_name} {clinic_name}"


def test_the_preview_counts_and_shows_both_languages(clinic: Clinic, web: Client) -> None:
    template = make(clinic).template
    typed = {"template": template.pk, "shown": "ar", **WORDS}
    page = web.post(reverse("notifications:template_preview"), typed).content.decode()
    assert "GSM-7" in page
    assert "UCS-2" in page
    assert "سارة المطيري" in page
    assert "No price is known yet" in page
    broken = web.post(reverse("notifications:template_preview"), {**typed, "body_ar": "{surname}"}).content.decode()
    assert "There is no placeholder “{surname}”" in broken


def test_the_price_is_what_was_billed_lately(clinic: Clinic, web: Client) -> None:
    template = make(clinic).template
    MessagingService().send_message(
        tenant_id=clinic.tenant.pk, patient_id=clinic.patient.pk, channel="SMS", body="Hello"
    )
    Message.objects.update(cost="0.3", currency="SAR", segments=2, attempt_count=1, status=Status.SENT)
    page = web.post(reverse("notifications:template_preview"), {"template": template.pk, **WORDS}).content.decode()
    assert "0.15 SAR" in page
    assert "No price is known yet" not in page


def test_a_preview_with_a_patients_data_is_noted_and_shows_no_live_link(
    clinic: Clinic, web: Client, ten_oclock: dt.datetime
) -> None:
    default_words.install(clinic.tenant.pk)
    visit = book(clinic, ten_oclock)
    template = MessageTemplate.objects.get(code="appointment.reminder_24h.patient", channel="SMS")
    typed = {"template": template.pk, "body_en": template.body_en, "body_ar": template.body_ar}
    before = TemplateVersion.objects.count()
    page = web.post(
        reverse("notifications:template_preview"), {**typed, "patient": clinic.patient.pk, "shown": "en"}
    ).content.decode()
    assert clinic.patient.name_en in page
    assert clinic.location.name_en in page
    assert "https://agdar.example/c/7kmq2xw9b4f" in page
    assert TemplateVersion.objects.count() == before
    assert visit.patient_id == Look.objects.get(page=Look.Page.PREVIEW).patient_id
    # Searching alone looks at nobody.
    found = web.post(
        reverse("notifications:template_preview"), {**typed, "patient_search": clinic.patient.mrn}
    ).content.decode()
    assert str(clinic.patient.pk) in found
    assert Look.objects.count() == 1


def test_a_test_goes_to_oneself_as_a_real_message_once(clinic: Clinic, web: Client) -> None:
    version = make(clinic)
    page = address("template_test", version.template)
    key = web.get(page).context["form"]["key"].value()
    data = {"language": "ar", "words": "open", "phone": "050 123 4567", "key": key}
    assert web.post(page, data).status_code == 302
    assert web.post(page, data).status_code == 302
    message = Message.objects.get()
    assert (message.user, message.patient, message.status) == (clinic.admin, None, Status.QUEUED)
    assert (message.recipient, message.language, message.template) == ("+966501234567", "ar", None)
    assert "سارة المطيري" in message.body
    clinic.admin.refresh_from_db()
    assert "501234567" not in str(vars(clinic.admin))


def test_a_test_of_an_email_goes_to_the_accounts_own_address(clinic: Clinic, web: Client) -> None:
    words = {**WORDS, "subject_en": "Hours", "subject_ar": "الدوام"}
    version = make(clinic, channel="EMAIL", words=words)
    key = "0b0f5a0e-0d5e-4a3a-9d2e-6d3c2f3a1b11"
    page = address("template_test", version.template)
    web.post(page, {"language": "en", "words": "open", "phone": "0509999999", "key": key})
    message = Message.objects.get()
    assert (message.recipient, message.subject) == (clinic.admin.email, "Hours")


def test_tests_have_a_limit(clinic: Clinic, web: Client) -> None:
    version = make(clinic)
    page = address("template_test", version.template)
    with mock.patch("integrations.trial_send.MOST_AN_HOUR", 1):
        for number, status in ((1, 302), (2, 422)):
            key = f"0b0f5a0e-0d5e-4a3a-9d2e-6d3c2f3a1b0{number}"
            data = {"language": "en", "words": "open", "phone": "0501234567", "key": key}
            assert web.post(page, data).status_code == status


def test_switching_off_says_what_is_not_sent_then(clinic: Clinic, web: Client) -> None:
    default_words.install(clinic.tenant.pk)
    template = MessageTemplate.objects.get(code="appointment.confirmed.patient", channel="SMS")
    page = web.get(address("template_detail", template)).content.decode()
    assert "patients get this message not over SMS, only over: Email, WhatsApp." in page
    assert web.post(address("template_toggle", template), {"active": "off"}).status_code == 302
    template.refresh_from_db()
    assert not template.is_active


def test_deleting_asks_first_and_offers_the_archive(clinic: Clinic, web: Client, second: User) -> None:
    unused, used = make(clinic, name="Unused"), published(clinic, second, name="Used")
    MessagingService().send_from_template(
        tenant_id=clinic.tenant.pk,
        template_code=used.template.code,
        patient=clinic.patient,
        channel="SMS",
        context={"patient_name": clinic.patient, "clinic_name": clinic.tenant},
    )
    assert "Delete for good" in web.get(address("template_delete", unused.template)).content.decode()
    assert web.post(address("template_delete", unused.template)).status_code == 302
    answer = web.post(address("template_delete", used.template))
    assert answer.status_code == 422
    assert "1 message was sent with it" in answer.content.decode()
    assert web.post(address("template_archive", used.template)).status_code == 302
    assert "Used" not in web.get(LIST).content.decode().replace("In use", "")
    assert "Used" in web.get(LIST, {"active": "archived"}).content.decode()
    assert web.post(address("template_restore", used.template)).status_code == 302


def test_two_versions_are_compared_word_by_word(clinic: Clinic, web: Client, second: User) -> None:
    first = published(clinic, second)
    words = {**WORDS, "body_en": "Hello {patient_name}, {clinic_name} opens at nine tomorrow."}
    template_versions.save_draft(actor=clinic.admin, template=first.template, words=words, variables=[], revision=0)
    page = web.get(address("template_version", first.template, 2), {"against": "1"}).content.decode()
    assert "eight</del>" in page
    assert "nine</ins>" in page
    assert web.get(address("template_version", first.template, 9)).status_code == 404


def test_an_earlier_version_is_brought_back_from_the_page(clinic: Clinic, web: Client, second: User) -> None:
    first = published(clinic, second)
    words = {**WORDS, "body_en": "New {patient_name} {clinic_name}"}
    draft = template_versions.save_draft(
        actor=clinic.admin, template=first.template, words=words, variables=[], revision=0
    )
    template_versions.submit(actor=clinic.admin, version=draft, revision=1)
    template_versions.publish(actor=second, version=draft, revision=1)
    first.refresh_from_db()
    assert act(web, first, "roll-back").status_code == 302
    first.template.refresh_from_db()
    assert (first.template.version, first.template.body_en) == (3, WORDS["body_en"])
    assert act(web, first, "explode").status_code == 404


def test_a_copy_opens_for_writing(clinic: Clinic, web: Client, second: User) -> None:
    version = published(clinic, second)
    answer = web.post(address("template_duplicate", version.template))
    copy = MessageTemplate.objects.exclude(pk=version.template_id).get()
    assert answer.url == address("template_update", copy)
    assert web.get(answer.url).status_code == 200


def test_another_clinics_templates_are_not_in_the_list(clinic: Clinic, other_clinic: Clinic, web: Client) -> None:
    with tenant_scope(other_clinic.tenant.pk):
        make(other_clinic, name="Theirs")
    assert "Theirs" not in web.get(LIST).content.decode()


def test_saving_without_a_change_begins_no_draft_but_keeps_a_new_name(
    clinic: Clinic, web: Client, second: User
) -> None:
    template = published(clinic, second).template
    typed = {"name": "Hours of opening", "revision": 0, "step": "save", **WORDS}
    assert web.post(address("template_update", template), typed).status_code == 302
    template.refresh_from_db()
    assert template.name == "Hours of opening"
    assert TemplateVersion.objects.count() == 1


def test_a_message_leads_to_the_version_it_was_sent_with(clinic: Clinic, web: Client, second: User) -> None:
    version = published(clinic, second)
    message = MessagingService().send_from_template(
        tenant_id=clinic.tenant.pk,
        template_code=version.template.code,
        patient=clinic.patient,
        channel="SMS",
        context={"patient_name": clinic.patient, "clinic_name": clinic.tenant},
    )
    page = web.get(reverse("notifications:message_detail", args=[message.pk])).content.decode()
    assert address("template_version", version.template, 1) in page
    desk = clinic.client(clinic.front_desk).get(reverse("notifications:message_detail", args=[message.pk]))
    assert address("template_version", version.template, 1) not in desk.content.decode()


def test_an_email_is_shown_on_the_clinics_paper_to_its_own_admins_only(
    clinic: Clinic, other_clinic: Clinic, web: Client
) -> None:
    words = {**WORDS, "subject_en": "Hours", "subject_ar": "الدوام"}
    template = make(clinic, channel="EMAIL", words=words).template
    letter = address("template_letter", template, 1)
    answer = web.get(letter, {"lang": "ar"})
    assert 'dir="rtl"' in answer.content.decode()
    assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
    assert "<script" not in answer.content.decode()
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "frame-src 'self'" in web.get(address("template_detail", template)).headers["Content-Security-Policy"]
    assert other_clinic.client(other_clinic.admin).get(letter).status_code == 404
    assert clinic.client(clinic.front_desk).get(letter).status_code == 403
