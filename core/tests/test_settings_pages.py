"""The settings pages: who may enter, what is saved, what is refused, what the trail learns, and what a page costs."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from conftest import Clinic
from core import places, staff_accounts, tenant_settings
from core.errors import DomainError
from core.models import AccountLetter, AuditEvent, Department, Location, Role, Session, TenantSettings, User
from core.tenancy import tenant_scope
from tests.factories import DepartmentFactory, LocationFactory, UserFactory

PAGES = [
    "settings",
    "settings_clinic",
    "settings_hours",
    "settings_retention",
    "settings_locations",
    "settings_location_create",
    "settings_departments",
    "settings_senders",
    "settings_users",
    "settings_user_create",
]
PLACE = {
    "name_en": "Malaz Branch",
    "name_ar": "فرع الملز",
    "address_en": "",
    "address_ar": "",
    "phone": "+966112223344",
    "timezone": "Asia/Riyadh",
    "weekend": ["4", "5"],
    "sms_sender": "Malaz",
    "whatsapp_sender": "",
    "email_sender": "",
}
PERSON = {
    "name_en": "Reem Al-Otaibi",
    "name_ar": "ريم العتيبي",
    "email": "reem@noor.example",
    "role": "FRONT_DESK",
    "language": "ar",
}


@pytest.fixture
def admin(clinic: Clinic) -> Client:
    return clinic.client(clinic.admin)


def trail(action: str) -> AuditEvent:
    return AuditEvent.objects.get(action=action)


@pytest.mark.parametrize("page", PAGES)
def test_only_admins_see_the_settings(clinic: Clinic, page: str) -> None:
    assert clinic.client(clinic.admin).get(reverse(f"core:{page}")).status_code == 200
    for user in (clinic.front_desk, clinic.provider, clinic.patient_user):
        assert clinic.client(user).get(reverse(f"core:{page}")).status_code == 403


def test_another_clinic_groups_rows_do_not_exist(clinic: Clinic, other_clinic: Clinic, admin: Client) -> None:
    for name, row in (
        ("settings_location", other_clinic.location),
        ("settings_department", other_clinic.department),
        ("settings_user", other_clinic.front_desk),
    ):
        assert admin.get(reverse(f"core:{name}", args=[row.pk])).status_code == 404
        assert admin.post(reverse(f"core:{name}_action", args=[row.pk, "deactivate"])).status_code == 404
    with tenant_scope(other_clinic.tenant.pk):
        assert User.objects.get(pk=other_clinic.front_desk.pk).is_active


# Session with user and tenant; settings, locations, departments, tags, bills and people; the accounts once in two seconds.
@pytest.mark.parametrize(
    ("page", "most"),
    [
        ("settings", 8),
        ("settings_clinic", 2),
        ("settings_hours", 2),
        ("settings_retention", 2),
        ("settings_locations", 2),
        ("settings_departments", 2),
        ("settings_senders", 6),
        ("settings_users", 3),
        ("settings_user_create", 3),
    ],
)
def test_a_page_costs_few_queries_however_much_there_is(
    clinic: Clinic, admin: Client, django_assert_max_num_queries: Any, page: str, most: int
) -> None:
    for _each in range(5):
        LocationFactory(tenant=clinic.tenant)
        DepartmentFactory(tenant=clinic.tenant)
        UserFactory(tenant=clinic.tenant, location=clinic.location, department=clinic.department)
    with django_assert_max_num_queries(most):
        assert admin.get(reverse(f"core:{page}")).status_code == 200


# --- overview --------------------------------------------------------------------------------------------------------


def test_the_overview_says_what_is_missing_until_it_is_there(clinic: Clinic, admin: Client) -> None:
    address = reverse("core:settings")
    text = admin.get(address).content.decode()
    assert "No quiet hours" in text
    assert "The opening hours of 1 location are missing." in text
    clinic.location.opening_hours = [["09:00", "17:00"]] * 7
    clinic.location.save(update_fields=["opening_hours"])
    admin.post(reverse("core:settings_hours"), {"form": "quiet", "quiet_from": "22:00", "quiet_until": "08:00"})
    text = admin.get(address).content.decode()
    assert "No quiet hours" not in text
    assert "Quiet from 22:00 to 08:00" in text
    assert "opening hours of" not in text


# --- clinic, hours, retention ----------------------------------------------------------------------------------------


def test_the_clinic_group_is_renamed_and_the_trail_says_from_what(clinic: Clinic, admin: Client) -> None:
    values = {
        "name_en": " Noor  Health ",
        "name_ar": clinic.tenant.name_ar,
        "default_language": "en",
        "age_of_majority": "15",
        "currency": "KWD",
    }
    assert admin.post(reverse("core:settings_clinic"), values).status_code == 302
    clinic.tenant.refresh_from_db()
    assert (clinic.tenant.name_en, clinic.tenant.age_of_majority, clinic.tenant.currency) == ("Noor Health", 15, "KWD")
    event = trail("clinic.updated")
    assert event.before == {
        "name_en": "Noor Clinics",
        "default_language": "ar",
        "age_of_majority": 18,
        "currency": "SAR",
    }
    assert event.after["currency"] == "KWD"
    admin.post(reverse("core:settings_clinic"), values)
    assert AuditEvent.objects.filter(action="clinic.updated").count() == 1, "nothing changed: nothing to tell"


def test_the_clinic_group_says_whether_patients_move_their_visits(clinic: Clinic, admin: Client) -> None:
    address = reverse("core:settings_clinic")
    assert not tenant_settings.of(clinic.tenant.pk).patients_may_move
    wish = {"form": "moving", "patients_may_move": "on", "move_notice_hours": "24"}
    assert admin.post(address, wish).status_code == 302
    own = tenant_settings.of(clinic.tenant.pk)
    assert (own.patients_may_move, own.move_notice_hours) == (True, 24)
    assert trail("moving.set").after == {"patients_may_move": True, "move_notice_hours": 24}
    assert admin.post(address, {"form": "moving", "move_notice_hours": "9999"}).status_code == 422
    assert tenant_settings.of(clinic.tenant.pk).patients_may_move
    clinic.tenant.refresh_from_db()
    assert clinic.tenant.name_en == "Noor Clinics"


@pytest.mark.parametrize(
    ("times", "word"),
    [
        ({"quiet_from": "22:00", "quiet_until": ""}, "Give both times, or neither."),
        ({"quiet_from": "22:00", "quiet_until": "22:00"}, "The two times are the same."),
        ({"quiet_from": "late", "quiet_until": "08:00"}, "Write a time such as 22:00."),
    ],
)
def test_quiet_hours_have_two_different_ends(admin: Client, times: dict[str, str], word: str) -> None:
    answer = admin.post(reverse("core:settings_hours"), {"form": "quiet", **times})
    assert answer.status_code == 422
    assert word in answer.content.decode()
    assert not TenantSettings.objects.filter(quiet_from__isnull=False).exists()


def test_ramadan_moves_the_hours_of_a_location(clinic: Clinic, admin: Client) -> None:
    clinic.location.opening_hours = [["09:00", "17:00"]] * 5 + [None, None]
    clinic.location.ramadan_hours = [["13:00", "16:00"]] * 7
    days = {"form": "ramadan", "ramadan_from": "2027-02-08", "ramadan_until": "2027-03-09"}
    assert admin.post(reverse("core:settings_hours"), days).status_code == 302
    own = tenant_settings.of(clinic.tenant.pk)
    monday, saturday = dt.date(2027, 2, 1), dt.date(2027, 2, 6)
    assert places.hours_on(clinic.location, monday, own) == (dt.time(9), dt.time(17))
    assert places.hours_on(clinic.location, saturday, own) is None
    assert places.hours_on(clinic.location, dt.date(2027, 2, 8), own) == (dt.time(13), dt.time(16))


RETENTION = {
    "message_days": "365",
    "receipt_days": "30",
    "export_days": "3",
    **{f"days_{name}": "60" for name in ("ARRIVAL", "APPOINTMENT", "MESSAGING", "SYSTEM", "ANNOUNCEMENT", "GENERAL")},
}


def test_what_is_kept_is_the_tenants_word_within_bounds(clinic: Clinic, admin: Client) -> None:
    assert admin.post(reverse("core:settings_retention"), RETENTION).status_code == 302
    own = tenant_settings.of(clinic.tenant.pk)
    assert (own.message_days, own.receipt_days, own.export_days) == (365, 30, 3)
    assert tenant_settings.notification_days(own, "SYSTEM") == 60
    assert trail("retention.set").after["message_days"] == 365
    assert admin.post(reverse("core:settings_retention"), {**RETENTION, "message_days": "7"}).status_code == 422
    assert tenant_settings.of(clinic.tenant.pk).message_days == 365


# --- places ----------------------------------------------------------------------------------------------------------


def test_a_location_is_added_with_hours_and_senders(clinic: Clinic, admin: Client) -> None:
    hours = {"opening_hours_0": "08:00", "opening_hours_0_until": "16:00"}
    assert admin.post(reverse("core:settings_location_create"), {**PLACE, **hours}).status_code == 302
    row = Location.objects.get(name_en="Malaz Branch")
    assert row.weekend == [4, 5]
    assert row.opening_hours == [["08:00", "16:00"], *[None] * 6]
    assert row.ramadan_hours == []
    assert trail("location.created").object_id == row.pk


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"sms_sender": "NoorClinicsRiyadh"}, "at most 11 English letters"),
        ({"sms_sender": "12345"}, "at most 11 English letters"),
        ({"sms_sender": "نور"}, "at most 11 English letters"),
        ({"whatsapp_sender": "0501234567"}, "with its country code"),
        ({"email_sender": "clinic"}, "An email sender is an address"),
        ({"email_sender": "Clinic <a@b.example>\r\nBcc: x@y.example"}, "An email sender is an address"),
        ({"name_en": "", "name_ar": ""}, "A name is needed"),
        ({"timezone": "Riyadh"}, "Select a valid choice"),
        ({"weekend": list("0123456")}, "at least one working day"),
        ({"opening_hours_0": "16:00", "opening_hours_0_until": "08:00"}, "It must close after it opens."),
        ({"opening_hours_0": "16:00"}, "Give both times"),
    ],
)
def test_a_location_that_cannot_be_is_refused(admin: Client, wrong: dict[str, Any], word: str) -> None:
    answer = admin.post(reverse("core:settings_location_create"), {**PLACE, **wrong})
    assert answer.status_code == 422
    assert word in answer.content.decode()
    assert not Location.objects.filter(phone=PLACE["phone"]).exists()


def test_a_location_is_made_sensitive_and_the_trail_tells(clinic: Clinic, admin: Client) -> None:
    discreet = {"is_sensitive": "on", "discreet_name_en": " The  Garden ", "discreet_name_ar": "الحديقة"}
    address = reverse("core:settings_location", args=[clinic.location.pk])
    assert admin.post(address, {**PLACE, **discreet}).status_code == 302
    clinic.location.refresh_from_db()
    assert clinic.location.is_sensitive
    assert (clinic.location.discreet_name_en, clinic.location.discreet_name_ar) == ("The Garden", "الحديقة")
    assert trail("location.updated").after["is_sensitive"] is True
    assert "do not say who writes" in admin.get(address).content.decode()
    admin.post(address, PLACE)
    clinic.location.refresh_from_db()
    assert not clinic.location.is_sensitive


def test_a_location_out_of_use_is_not_offered_for_new_visits(clinic: Clinic, admin: Client) -> None:
    second = LocationFactory(tenant=clinic.tenant, name_en="Malaz Branch")
    book = reverse("appointments:create")
    option = f'value="{second.pk}"'
    assert option in admin.get(book).content.decode()
    admin.post(reverse("core:settings_location_action", args=[second.pk, "deactivate"]))
    assert option not in admin.get(book).content.decode()
    assert trail("location.deactivated").after == {"is_active": False}
    admin.post(reverse("core:settings_location_action", args=[second.pk, "reactivate"]))
    assert option in admin.get(book).content.decode()


def test_whoever_books_sees_when_the_location_is_open(clinic: Clinic) -> None:
    clinic.location.opening_hours = [["09:00", "17:00"]] * 5 + [None, None]
    clinic.location.save(update_fields=["opening_hours"])

    def hints(day: str) -> str:
        desk = clinic.client(clinic.front_desk)
        return desk.get(reverse("appointments:create"), {"location": clinic.location.pk, "date": day}).content.decode()

    assert "09:00–17:00" in hints("2027-02-01")
    assert "The location is closed that day." in hints("2027-02-06")


def test_the_last_location_stays_in_use(clinic: Clinic, admin: Client) -> None:
    admin.post(reverse("core:settings_location_action", args=[clinic.location.pk, "deactivate"]))
    clinic.location.refresh_from_db()
    assert clinic.location.is_active


def test_a_department_has_a_code_of_its_own(clinic: Clinic, admin: Client) -> None:
    address = reverse("core:settings_departments")
    new = {"code": "dent", "name_en": "Dentistry", "name_ar": ""}
    assert admin.post(address, new).status_code == 302
    assert Department.objects.get(code="DENT").name_en == "Dentistry"
    again = admin.post(address, {**new, "name_en": "Dental surgery"})
    assert again.status_code == 422
    assert "Another department has this code." in again.content.decode()


def test_a_department_out_of_use_is_not_offered_for_new_visits(clinic: Clinic, admin: Client) -> None:
    DepartmentFactory(tenant=clinic.tenant, name_en="Dentistry")
    other = Department.objects.get(name_en="Dentistry")
    admin.post(reverse("core:settings_department_action", args=[other.pk, "deactivate"]))
    assert f'value="{other.pk}"' not in admin.get(reverse("appointments:create")).content.decode()


# --- users -----------------------------------------------------------------------------------------------------------


def test_a_new_colleague_gets_a_link_and_no_password(clinic: Clinic, admin: Client) -> None:
    assert admin.post(reverse("core:settings_user_create"), PERSON).status_code == 302
    user = User.objects.get(email="reem@noor.example")
    assert not user.has_usable_password()
    assert AccountLetter.objects.get(user=user).kind == AccountLetter.Kind.INVITE
    event = trail("user.created")
    assert event.after == {"role": "FRONT_DESK", "location": None, "department": None, "language": "ar"}
    assert "Reem" not in str(event.after)
    assert AuditEvent.objects.filter(action="user.invited", object_id=user.pk).exists()


def test_an_email_has_one_account_in_the_whole_house(clinic: Clinic, other_clinic: Clinic, admin: Client) -> None:
    taken = {**PERSON, "email": other_clinic.admin.email.upper()}
    answer = admin.post(reverse("core:settings_user_create"), taken)
    assert answer.status_code == 422
    assert "has an account already" in answer.content.decode()


def test_nobody_is_made_a_patient_here(admin: Client) -> None:
    assert admin.post(reverse("core:settings_user_create"), {**PERSON, "role": "PATIENT"}).status_code == 422


def test_a_place_of_another_clinic_group_cannot_be_chosen(clinic: Clinic, other_clinic: Clinic, admin: Client) -> None:
    stranger = {**PERSON, "location": str(other_clinic.location.pk)}
    assert admin.post(reverse("core:settings_user_create"), stranger).status_code == 422


def test_a_role_is_changed_and_told(clinic: Clinic, admin: Client) -> None:
    person = clinic.front_desk
    values = {**PERSON, "name_en": person.name_en, "name_ar": person.name_ar, "email": person.email, "role": "PROVIDER"}
    assert admin.post(reverse("core:settings_user", args=[person.pk]), values).status_code == 302
    person.refresh_from_db()
    assert person.role == Role.PROVIDER
    event = trail("user.updated")
    assert (event.before["role"], event.after["role"]) == ("FRONT_DESK", "PROVIDER")


def test_what_changes_of_a_person_is_withheld_from_the_trail(clinic: Clinic, admin: Client) -> None:
    person = clinic.front_desk
    values = {**PERSON, "role": person.role, "email": "other@noor.example"}
    admin.post(reverse("core:settings_user", args=[person.pk]), values)
    event = trail("user.updated")
    assert event.after["email"] == event.before["email"] == "(changed)"
    assert "Reem" not in str(event.after)


def test_who_leaves_is_signed_out_at_once(clinic: Clinic, admin: Client) -> None:
    theirs = clinic.client(clinic.front_desk)
    assert theirs.get("/").status_code == 200
    admin.post(reverse("core:settings_user_action", args=[clinic.front_desk.pk, "deactivate"]))
    assert not Session.objects.filter(user=clinic.front_desk).exists()
    assert theirs.get("/").status_code == 302
    assert trail("user.deactivated").after == {"is_active": False}
    admin.post(reverse("core:settings_user_action", args=[clinic.front_desk.pk, "reactivate"]))
    clinic.front_desk.refresh_from_db()
    assert clinic.front_desk.is_active


def test_the_last_admin_and_oneself_stay(clinic: Clinic, admin: Client) -> None:
    admin.post(reverse("core:settings_user_action", args=[clinic.admin.pk, "deactivate"]))
    clinic.admin.refresh_from_db()
    assert clinic.admin.is_active, "oneself"
    second = UserFactory(tenant=clinic.tenant, role=Role.ADMIN)
    clinic.client(second).post(reverse("core:settings_user_action", args=[clinic.admin.pk, "deactivate"]))
    clinic.admin.refresh_from_db()
    assert not clinic.admin.is_active, "another one is there"
    third = UserFactory(tenant=clinic.tenant, role=Role.ADMIN)
    staff_accounts.user_deactivate(actor=second, user=third)
    with pytest.raises(DomainError, match="your own role"):
        staff_accounts.user_update(
            actor=second, user=second, email=second.email, name_en="A", role=Role.PROVIDER, language="en"
        )


def test_an_unknown_act_does_not_exist(clinic: Clinic, admin: Client) -> None:
    assert admin.post(reverse("core:settings_user_action", args=[clinic.front_desk.pk, "delete"])).status_code == 404
    assert admin.get(reverse("core:settings_user_action", args=[clinic.front_desk.pk, "link"])).status_code == 405


def test_a_patients_account_is_not_edited_here(clinic: Clinic, admin: Client) -> None:
    assert admin.get(reverse("core:settings_user", args=[clinic.patient_user.pk])).status_code == 404
    assert clinic.patient_user.email not in admin.get(reverse("core:settings_users")).content.decode()


def test_the_list_is_filtered_by_name_role_and_state(clinic: Clinic, admin: Client) -> None:
    UserFactory(tenant=clinic.tenant, name_en="Gone Person", is_active=False)

    def shown(query: str) -> str:
        return admin.get(reverse("core:settings_users") + query).content.decode()

    assert "Gone Person" in shown("")
    assert "Gone Person" not in shown("?state=active")
    assert "Gone Person" in shown("?state=inactive&q=person")
    assert clinic.front_desk.email not in shown("?role=PROVIDER")
    assert "Nobody found" in shown("?q=zzz")


def test_the_second_step_is_required_by_a_switch(clinic: Clinic, admin: Client) -> None:
    admin.post(reverse("core:settings_second_step"), {"is_required": "1"})
    clinic.tenant.refresh_from_db()
    assert clinic.tenant.requires_second_factor
    assert trail("second_factor.requirement_set").after == {"requires_second_factor": True}
