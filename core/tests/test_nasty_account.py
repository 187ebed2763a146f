"""The sign-in in the hands of somebody who has time: spellings, forged addresses, old links, lowered roles."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client

from conftest import Clinic
from core import accounts, second_factor, staff_accounts
from core.errors import DomainError
from core.models import AuditEvent, Role, User
from core.tests.test_accounts import choose, link_for, send_all, wish
from tests.factories import PASSWORD, UserFactory

SIGN_IN = "/sign-in/"


def sign_in(client: Client, email: str, password: str = PASSWORD, **extra: object) -> object:
    return client.post(SIGN_IN, {"username": email, "password": password, **extra.pop("fields", {})}, **extra)


@pytest.mark.parametrize(
    "target",
    [
        *("//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "///evil.example"),
        *(
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "http:evil.example",
            "https:///evil.example",
        ),
        *("\x00//evil.example", " //evil.example", "http://127.0.0.1@evil.example/", "//127.0.0.1:80@evil.example"),
    ],
)
@pytest.mark.parametrize("with_step", [False, True])
def test_no_spelling_of_another_site_is_followed(clinic: Clinic, target: str, with_step: bool) -> None:
    if with_step:
        enrolment = second_factor.enrolment_begin(clinic.front_desk)
        codes = second_factor.enable(
            user=clinic.front_desk, enrolment=enrolment, code=_code(enrolment), session_key=None
        )
    client = Client()
    answer = sign_in(client, clinic.front_desk.email, fields={"next": target})
    if with_step:
        assert answer["Location"] == "/sign-in/code/"
        answer = client.post("/sign-in/code/?with=recovery", {"code": codes[0], "next": target})
    assert (answer.status_code, answer["Location"]) == (302, "/")


def _code(enrolment: second_factor.Enrolment) -> str:
    import time

    from django_otp.oath import TOTP

    totp = TOTP(enrolment.secret, 30, 0, 6, 0)
    totp.time = time.time()
    return f"{totp.token():06d}"


@pytest.mark.parametrize("spelling", ["{0}", " {0} ", "{1}", "\t{0}", "{2}"])
def test_no_spelling_of_an_email_and_no_forged_address_opens_a_second_door(clinic: Clinic, spelling: str) -> None:
    email = clinic.front_desk.email
    wide = "".join(chr(ord(letter) + 0xFEE0) if letter.isalpha() else letter for letter in email)
    typed = spelling.format(email, email.upper(), wide)
    for attempt in range(settings.AXES_FAILURE_LIMIT):
        sign_in(Client(), typed, "wrong", headers={"X-Forwarded-For": f"10.0.0.{attempt}"})
    assert sign_in(Client(), email, headers={"X-Forwarded-For": "192.0.2.9"}).status_code == 429


def test_a_link_that_was_sent_before_the_address_was_changed_is_void(clinic: Clinic) -> None:
    link = link_for(clinic.front_desk)
    desk = clinic.front_desk
    staff_accounts.user_update(
        actor=clinic.admin, user=desk, email="new@noor.example", name_en=desk.name_en, name_ar=desk.name_ar,
        role=desk.role, location=desk.location, department=None, language=desk.language,
    )  # fmt: skip
    choose(link)
    desk.refresh_from_db()
    assert desk.check_password(PASSWORD)


def test_a_link_works_once_and_for_its_own_account_only(clinic: Clinic) -> None:
    mine, theirs = link_for(clinic.front_desk), link_for(clinic.provider)
    # Somebody puts the token of one behind the account of the other.
    mixed = "/".join([*mine.split("/")[:4], *theirs.split("/")[4:]])
    choose(mixed, "another-password-of-a-thief")
    for user in (clinic.front_desk, clinic.provider):
        user.refresh_from_db()
        assert user.check_password(PASSWORD)
    choose(mine, "a-password-nobody-else-has")
    choose(mine, "and-a-second-one-for-a-thief")
    clinic.front_desk.refresh_from_db()
    assert clinic.front_desk.check_password("a-password-nobody-else-has")


def test_a_forged_host_is_in_no_letter(clinic: Clinic) -> None:
    for host in ({"Host": "localhost"}, {"X-Forwarded-Host": "evil.example"}):
        wish(clinic.front_desk.email, headers=host)
    send_all()
    assert mail.outbox
    assert not any("evil.example" in str(letter.body) for letter in mail.outbox)


def test_a_role_that_is_lowered_closes_the_pages_of_an_open_session(clinic: Clinic) -> None:
    second = UserFactory(tenant=clinic.tenant, role=Role.ADMIN, email="second@noor.example")
    client = clinic.client(second)
    pages = ("/notifications/templates/", "/notifications/bulk/", "/settings/", "/audit/", "/notifications/analytics/")
    assert {client.get(page).status_code for page in pages} == {200}
    User.objects.filter(pk=second.pk).update(role=Role.PROVIDER)
    assert {client.get(page).status_code for page in pages} == {403}
    User.objects.filter(pk=second.pk).update(is_active=False)
    assert {client.get(page).status_code for page in pages} == {302}


def test_an_admin_of_another_clinic_group_cannot_be_brought_over_by_any_field(
    clinic: Clinic, other_clinic: Clinic
) -> None:
    client = clinic.client(clinic.admin)
    fields = {
        "email": "new@noor.example", "name_en": "New", "name_ar": "", "title_en": "", "title_ar": "", "language": "en",
        "role": Role.FRONT_DESK, "location": str(other_clinic.location.pk),
        "department": str(other_clinic.department.pk), "tenant": str(other_clinic.tenant.pk), "is_superuser": "on",
    }  # fmt: skip
    address = "/settings/users/create/"
    assert client.post(address, fields).status_code == 422
    assert client.post(address, fields | {"location": str(clinic.location.pk), "department": ""}).status_code == 302
    made = User.accounts.get(email="new@noor.example")
    assert (made.tenant, made.is_superuser, made.is_staff) == (clinic.tenant, False, False)
    for role in ("SUPERUSER", "PATIENT", ""):
        with pytest.raises((DomainError, KeyError)):
            staff_accounts.user_create(
                actor=clinic.admin, email="x@noor.example", name_en="X", role=role, language="en"
            )


def test_neither_code_nor_secret_nor_password_is_in_the_trail(clinic: Clinic) -> None:
    enrolment = second_factor.enrolment_begin(clinic.front_desk)
    codes = second_factor.enable(user=clinic.front_desk, enrolment=enrolment, code=_code(enrolment), session_key=None)
    second_factor.verify_recovery(user=clinic.front_desk, code=codes[0])
    with pytest.raises(DomainError):
        second_factor.verify_recovery(user=clinic.front_desk, code=codes[0])
    accounts.password_change(user=clinic.front_desk, password="a-password-nobody-else-has", session_key=None)
    trail = repr(list(AuditEvent.objects.values_list("action", "before", "after")))
    for secret in (*codes, codes[0].replace("-", ""), enrolment.typed, "a-password-nobody-else-has"):
        assert secret not in trail
