"""Tags: words of the clinic group's own on patients, and the audience of a bulk send by them."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from conftest import Clinic
from core import tags
from core.errors import DomainError
from core.models import AuditEvent, PatientTag, PatientTagging
from core.permissions import NotAllowed
from integrations.bulk import audience
from notifications.models import BulkRecipient, BulkSend
from notifications.views.bulk_words import chosen
from tests.factories import PatientFactory


def make(clinic: Clinic, name: str = "Diabetes class", *, is_health: bool = False) -> PatientTag:
    return tags.tag_create(actor=clinic.admin, name_en=name, name_ar="", is_health=is_health)


def put(clinic: Clinic, tag: PatientTag, *patients: Any) -> None:
    for patient in patients:
        tags.patient_tags_set(actor=clinic.front_desk, patient=patient, tags=[tag])


def test_an_admin_keeps_the_list_and_the_trail_tells_of_it(clinic: Clinic) -> None:
    admin = clinic.client(clinic.admin)
    page = reverse("core:settings_tags")
    assert admin.post(page, {"name_en": "VIP", "name_ar": "كبار", "is_health": ""}).status_code == 302
    tag = PatientTag.objects.get()
    assert "VIP" in admin.get(page).content.decode()
    assert admin.post(page, {"name_en": "vip", "name_ar": ""}).status_code == 422
    assert admin.post(page, {"name_en": "", "name_ar": ""}).status_code == 422
    own = reverse("core:settings_tag", args=[tag.pk])
    assert admin.post(own, {"name_en": "Guests", "name_ar": "ضيوف", "is_health": "on"}).status_code == 302
    tag.refresh_from_db()
    assert (tag.name_en, tag.is_health) == ("Guests", True)
    assert admin.post(reverse("core:settings_tag_delete", args=[tag.pk])).status_code == 302
    assert not PatientTag.objects.exists()
    assert set(AuditEvent.objects.values_list("action", flat=True)) >= {"tag.created", "tag.updated", "tag.deleted"}


def test_the_desk_puts_tags_on_a_patient_and_takes_them_off(clinic: Clinic) -> None:
    first, second = make(clinic, "First"), make(clinic, "Second")
    desk = clinic.client(clinic.front_desk)
    page = reverse("core:patient_tags", args=[clinic.patient.pk])
    assert desk.get(page).status_code == 200
    desk.post(page, {"tags": [str(first.pk), str(second.pk)]})
    assert set(tags.tags_of(clinic.patient)) == {first, second}
    assert "Second" in desk.get(reverse("core:patient_detail", args=[clinic.patient.pk])).content.decode()
    desk.post(page, {"tags": [str(second.pk)]})
    assert list(tags.tags_of(clinic.patient)) == [second]
    assert AuditEvent.objects.filter(action="patient.tagged").count() == 2
    # The same once more is no second line in the trail.
    desk.post(page, {"tags": [str(second.pk)]})
    assert AuditEvent.objects.filter(action="patient.tagged").count() == 2


def test_a_tag_of_another_clinic_group_is_not_to_be_had(clinic: Clinic, other_clinic: Clinic) -> None:
    foreign = PatientTag(tenant=other_clinic.tenant, name_en="Theirs")
    with pytest.raises(NotAllowed):
        tags.patient_tags_set(actor=clinic.front_desk, patient=clinic.patient, tags=[foreign])
    with pytest.raises(NotAllowed):
        tags.tag_create(actor=clinic.front_desk, name_en="x", name_ar="", is_health=False)


def test_an_audience_by_tag_is_those_who_have_it(clinic: Clinic) -> None:
    tag = make(clinic)
    one, two, _other = PatientFactory.create_batch(3, tenant=clinic.tenant)
    put(clinic, tag, one, two)
    assert {person.patient_id for person in audience.patients(tag_id=tag.pk)} == {one.pk, two.pk}
    admin = clinic.client(clinic.admin)
    values = {"name": "Class", "message_class": "SERVICE", "tag": str(tag.pk), "source": "FILTERS"}
    answer = admin.post(reverse("notifications:bulk_create"), values)
    assert answer.status_code == 302
    bulk = BulkSend.objects.get()
    assert set(BulkRecipient.objects.values_list("patient_id", flat=True)) == {one.pk, two.pk}
    assert ("Tag", tag.name) in chosen(bulk)


def test_advertising_by_a_tag_about_health_is_refused_at_the_field(clinic: Clinic) -> None:
    tag = make(clinic, is_health=True)
    put(clinic, tag, clinic.patient)
    values = {"name": "Offer", "message_class": "PROMOTIONAL", "tag": str(tag.pk), "source": "FILTERS"}
    answer = clinic.client(clinic.admin).post(reverse("notifications:bulk_create"), values)
    assert answer.status_code == 422
    assert "says something about health" in answer.content.decode()
    assert not BulkSend.objects.exists()
    harmless = make(clinic, "Neighbours")
    put(clinic, harmless, clinic.patient)
    values["tag"] = str(harmless.pk)
    assert clinic.client(clinic.admin).post(reverse("notifications:bulk_create"), values).status_code == 302


def test_a_deleted_tag_is_taken_off_everybody(clinic: Clinic) -> None:
    tag = make(clinic)
    put(clinic, tag, clinic.patient)
    tags.tag_delete(actor=clinic.admin, tag=tag)
    assert not PatientTagging.objects.exists()
    with pytest.raises(DomainError):
        make(clinic, " ")
