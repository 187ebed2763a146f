"""The second step: what opens it, what does not, and that nobody stands inside before it is done."""

from __future__ import annotations

import datetime as dt
import re
import time

import pytest
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from core import second_factor, sign_in
from core.context import bell_tag
from core.errors import DomainError
from core.models import AccountLetter, AuditEvent, Authenticator, Session, User
from core.permissions import NotAllowed
from tests.factories import PASSWORD

SIGN_IN = "/sign-in/"
CODE = "/sign-in/code/"
INBOX = "/notifications/inbox/"
BELL = "/notifications/bell/"
SET_UP = "/account/second-step/"


@pytest.fixture
def phone(monkeypatch):
    """The authenticator app: ``phone(user)`` is what it shows. Its clock is also the server's, and moves on by hand."""
    now = {"at": float(int(time.time()) // 30 * 30)}
    monkeypatch.setattr(time, "time", lambda: now["at"])

    class Phone:
        def __call__(self, user: User, steps: int = 0) -> str:
            return self.shows(Authenticator.objects.get(user=user).bin_key, steps)

        def shows(self, secret: bytes, steps: int = 0) -> str:
            totp = TOTP(secret, 30, 0, 6, 0)
            totp.time = now["at"] + 30 * steps
            return f"{totp.token():06d}"

        def next(self, steps: int = 1) -> None:
            now["at"] += 30 * steps

    return Phone()


def enrol(user: User, phone, session_key: str | None = None) -> list[str]:
    enrolment = second_factor.enrolment_begin(user)
    codes = second_factor.enable(
        user=user, enrolment=enrolment, code=phone.shows(enrolment.secret), session_key=session_key
    )
    phone.next()
    return codes


def first_step(client: Client, user: User, **data: str):
    return client.post(SIGN_IN, {"username": user.email, "password": PASSWORD, **data})


def forget_waiting(user: User) -> None:
    """The wait after a wrong code is over."""
    long_ago = timezone.now() - dt.timedelta(hours=1)
    Authenticator.objects.filter(user=user).update(throttling_failure_timestamp=long_ago)


def actions(user: User) -> list[str]:
    return list(AuditEvent.objects.filter(object_id=user.pk).order_by("created_at").values_list("action", flat=True))


# --- signing in ------------------------------------------------------------------------------------------------------


def test_password_and_code_lead_to_the_page_asked_for(clinic, phone):
    enrol(clinic.admin, phone)
    client = Client()
    response = first_step(client, clinic.admin, next=INBOX)
    assert response["Location"] == CODE
    response = client.post(CODE, {"code": phone(clinic.admin)})
    assert response["Location"] == INBOX
    assert client.get(INBOX).status_code == 200


def test_another_site_is_not_followed_after_the_code_either(clinic, phone):
    enrol(clinic.admin, phone)
    client = Client()
    first_step(client, clinic.admin, next="https://evil.example/")
    assert client.post(CODE, {"code": phone(clinic.admin)})["Location"] == "/"


def test_between_password_and_code_the_session_belongs_to_nobody_and_opens_nothing(clinic, phone):
    enrol(clinic.admin, phone)
    client = Client()
    first_step(client, clinic.admin)
    row = Session.objects.get(pk=client.cookies["sessionid"].value)
    assert row.user is None
    assert row.auth_hash == ""
    assert SESSION_KEY not in row.get_decoded()
    for address in ("/", INBOX, "/patients/", "/account/", SET_UP, "/account/second-step/codes/", "/account/password/"):
        assert client.get(address)["Location"].startswith(SIGN_IN), address
    tag = bell_tag(clinic.admin, 0, 0)
    assert client.get(BELL, headers={"HX-Request": "true", "HX-Ptag": tag}).status_code == 401
    assert client.get(BELL, headers={"HX-Request": "true"}).status_code == 401
    assert client.post("/account/sessions/end/").status_code == 302
    assert Session.objects.filter(user=clinic.admin).count() == 0


def test_the_key_of_the_half_way_session_is_not_the_key_of_the_whole_one(clinic, phone):
    enrol(clinic.admin, phone)
    client = Client()
    client.get(SIGN_IN)
    first_step(client, clinic.admin)
    half = client.cookies["sessionid"].value
    client.post(CODE, {"code": phone(clinic.admin)})
    assert client.cookies["sessionid"].value != half
    assert not Session.objects.filter(pk=half).exists()


def test_without_the_first_step_there_is_no_second(clinic, phone):
    enrol(clinic.admin, phone)
    for method in ("get", "post"):
        assert getattr(Client(), method)(CODE, {"code": phone(clinic.admin)})["Location"] == SIGN_IN


@pytest.mark.parametrize("why", ["late", "inactive", "password", "suspended"])
def test_the_first_step_is_forgotten_when_it_does_not_hold_any_more(clinic, phone, monkeypatch, why):
    enrol(clinic.admin, phone)
    client = Client()
    first_step(client, clinic.admin)
    if why == "late":
        monkeypatch.setattr(sign_in, "NOTE_LIFE", dt.timedelta(seconds=-1))
    elif why == "inactive":
        User.accounts.filter(pk=clinic.admin.pk).update(is_active=False)
    elif why == "password":
        user = User.accounts.get(pk=clinic.admin.pk)
        user.set_password("another-long-password")
        user.save()
    else:
        clinic.tenant.is_active = False
        clinic.tenant.save()
    assert client.post(CODE, {"code": phone(clinic.admin)})["Location"] == SIGN_IN
    assert client.get(INBOX).status_code == 302


def test_a_code_is_good_once(clinic, phone):
    enrol(clinic.admin, phone)
    code = phone(clinic.admin)
    client = Client()
    first_step(client, clinic.admin)
    assert client.post(CODE, {"code": code}).status_code == 302
    other = Client()
    first_step(other, clinic.admin)
    response = other.post(CODE, {"code": code})
    assert response.status_code == 422
    assert "used already" in response.content.decode()


def test_the_code_of_the_set_up_does_not_sign_in(clinic, phone):
    enrolment = second_factor.enrolment_begin(clinic.admin)
    code = phone.shows(enrolment.secret)
    second_factor.enable(user=clinic.admin, enrolment=enrolment, code=code, session_key=None)
    with pytest.raises(DomainError) as refused:
        second_factor.verify(user=clinic.admin, code=code)
    assert refused.value.code == "wrong_code"


@pytest.mark.parametrize(("steps", "is_taken"), [(-1, True), (1, True), (2, False), (-2, False)])
def test_clocks_may_differ_by_half_a_minute_and_no_more(clinic, phone, steps, is_taken):
    enrol(clinic.admin, phone)
    phone.next(4)
    if is_taken:
        second_factor.verify(user=clinic.admin, code=phone(clinic.admin, steps))
    else:
        with pytest.raises(DomainError):
            second_factor.verify(user=clinic.admin, code=phone(clinic.admin, steps))


def test_codes_are_taken_with_spaces_and_arabic_digits_and_no_other_numbers(clinic, phone):
    enrol(clinic.admin, phone)
    arabic = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
    code = phone(clinic.admin)
    for wrong in ("", "abc", f"+{code[1:]}", f"{code[0]}_{code[1:]}", f"0{code}"):
        with pytest.raises(DomainError):
            second_factor.verify(user=clinic.admin, code=wrong)
        forget_waiting(clinic.admin)
    second_factor.verify(user=clinic.admin, code=f"{code[:3]} {code[3:]}".translate(arabic))


def test_wrong_codes_make_the_next_one_wait_and_are_noted(clinic, phone):
    enrol(clinic.admin, phone)
    for _attempt in range(5):
        forget_waiting(clinic.admin)
        with pytest.raises(DomainError) as refused:
            second_factor.verify(user=clinic.admin, code="000000")
        assert refused.value.code == "wrong_code"
    with pytest.raises(DomainError) as refused:
        second_factor.verify(user=clinic.admin, code=phone(clinic.admin))
    assert refused.value.code == "too_many_codes"
    assert "16 seconds" in str(refused.value) or "15 seconds" in str(refused.value)
    assert actions(clinic.admin).count("second_factor.refused") == 1


def test_the_wait_does_not_grow_for_ever(clinic, phone):
    enrol(clinic.admin, phone)
    Authenticator.objects.filter(user=clinic.admin).update(throttling_failure_count=40)
    forget_waiting(clinic.admin)
    Authenticator.objects.filter(user=clinic.admin).update(
        throttling_failure_timestamp=timezone.now() - dt.timedelta(days=365 * 101)
    )
    with pytest.raises(DomainError):
        second_factor.verify(user=clinic.admin, code="000000")
    device = Authenticator.objects.get(user=clinic.admin)
    assert device.verify_is_allowed()[1]["locked_until"] < timezone.now() + dt.timedelta(minutes=18)


# --- recovery codes --------------------------------------------------------------------------------------------------


def test_a_recovery_code_signs_in_once_and_says_how_many_are_left(clinic, phone):
    codes = enrol(clinic.admin, phone)
    assert len(set(codes)) == 10
    client = Client()
    first_step(client, clinic.admin)
    page = client.post(f"{CODE}?with=recovery", {"code": codes[0].upper().replace("-", " ")}, follow=True)
    assert "9 are left" in page.content.decode()
    assert "second_factor.recovery_used" in actions(clinic.admin)
    other = Client()
    first_step(other, clinic.admin)
    assert other.post(f"{CODE}?with=recovery", {"code": codes[0]}).status_code == 422


def test_neither_secret_nor_codes_can_be_read_in_the_database(clinic, phone):
    codes = enrol(clinic.admin, phone)
    secret = Authenticator.objects.get(user=clinic.admin).bin_key
    stored = TOTPDevice.objects.get(user=clinic.admin)
    assert secret.hex() not in stored.key
    assert not stored.verify_token(phone(clinic.admin))
    plain = {code.replace("-", "") for code in codes}
    assert not plain & {token.lower() for token in StaticToken.objects.values_list("token", flat=True)}


def test_a_sealed_secret_is_of_no_use_to_somebody_else(clinic, phone):
    enrol(clinic.admin, phone)
    Authenticator.objects.filter(user=clinic.admin).update(user=clinic.front_desk)
    with pytest.raises(DomainError):
        second_factor.verify(user=clinic.front_desk, code="123456")


def test_both_outlive_a_change_of_the_secret_key(clinic, phone, settings):
    codes = enrol(clinic.admin, phone)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the new one, long enough to be taken for one"
    second_factor.verify(user=clinic.admin, code=phone(clinic.admin))
    assert second_factor.verify_recovery(user=clinic.admin, code=codes[3]) == 9


def test_new_codes_make_the_old_ones_void(clinic, phone):
    old = enrol(clinic.admin, phone)
    client = clinic.client(clinic.admin)
    page = client.post("/account/second-step/codes/", {"password": PASSWORD, "code": phone(clinic.admin)})
    new = re.findall(r'class="mono">([2-9a-z]{5}-[2-9a-z]{5})<', page.content.decode())
    assert len(new) == 10
    with pytest.raises(DomainError):
        second_factor.verify_recovery(user=clinic.admin, code=old[0])
    forgotten = client.post("/account/second-step/codes/file/", {"code": old})
    assert forgotten.status_code == 400
    answer = client.post("/account/second-step/codes/file/", {"code": new})
    assert answer["Content-Disposition"].startswith("attachment")
    assert all(code in answer.content.decode() for code in new)


# --- setting up and taking away --------------------------------------------------------------------------------------


def set_up_by_page(client: Client, phone, password: str = PASSWORD, code: str | None = None):
    page = client.get(SET_UP).content.decode()
    sealed = re.search(r'name="sealed" value="([^"]+)"', page)[1]
    user = User.accounts.get(pk=client.session[SESSION_KEY])
    shown = phone.shows(second_factor.enrolment_of(user, sealed).secret)
    return client.post(SET_UP, {"sealed": sealed, "password": password, "code": code or shown})


def test_the_page_sets_it_up_shows_the_codes_once_and_ends_the_other_sessions(clinic, phone):
    client, elsewhere = clinic.client(clinic.front_desk), clinic.client(clinic.front_desk)
    response = set_up_by_page(client, phone)
    page = response.content.decode()
    assert len(re.findall(r"<li><bdi", page)) == 10
    assert "no-store" in response["Cache-Control"]
    user = User.accounts.get(pk=clinic.front_desk.pk)
    assert second_factor.is_on(user)
    assert client.get(INBOX).status_code == 200
    assert elsewhere.get(INBOX).status_code == 302
    assert "second_factor.added" in actions(user)
    assert AccountLetter.objects.filter(user=user, kind="FACTOR_ON").exists()


def test_the_picture_and_the_text_hold_the_same_secret_and_no_address_is_asked_for_it(clinic):
    page = clinic.client(clinic.front_desk).get(SET_UP).content.decode()
    assert "<svg" in page
    assert "data:image" not in page
    assert "style=" not in page[page.index("x-qr-box") : page.index("x-key")]


@pytest.mark.parametrize("wrong", [{"password": "not mine at all"}, {"code": "000000"}])
def test_a_wrong_password_or_code_turns_nothing_on_and_keeps_the_secret(clinic, phone, wrong):
    client = clinic.client(clinic.front_desk)
    response = set_up_by_page(client, phone, **wrong)
    assert response.status_code == 422
    assert not second_factor.is_on(User.accounts.get(pk=clinic.front_desk.pk))
    assert not TOTPDevice.objects.exists()
    first = response.context["enrolment"].sealed
    assert f'name="sealed" value="{first}"' in response.content.decode()


def test_a_secret_sealed_for_somebody_else_is_not_taken(clinic, phone):
    theirs = second_factor.enrolment_begin(clinic.admin)
    assert second_factor.enrolment_of(clinic.front_desk, theirs.sealed) is None
    assert second_factor.enrolment_of(clinic.front_desk, "nonsense") is None
    data = {"sealed": theirs.sealed, "password": PASSWORD, "code": phone.shows(theirs.secret)}
    assert clinic.client(clinic.front_desk).post(SET_UP, data).status_code == 422


def test_turning_it_off_takes_password_and_code(clinic, phone):
    enrol(clinic.front_desk, phone)
    client = clinic.client(clinic.front_desk)
    off = "/account/second-step/off/"
    for data in ({"password": "wrong", "code": phone(clinic.front_desk)}, {"password": PASSWORD, "code": "000000"}):
        assert client.post(off, data).status_code == 422
        assert second_factor.is_on(User.accounts.get(pk=clinic.front_desk.pk))
    forget_waiting(clinic.front_desk)
    assert client.post(off, {"password": PASSWORD, "code": phone(clinic.front_desk)}).status_code == 302
    assert not TOTPDevice.objects.exists()
    assert not StaticToken.objects.exists()
    assert first_step(Client(), clinic.front_desk)["Location"] == "/"
    assert "second_factor.removed" in actions(clinic.front_desk)


def test_an_admin_helps_somebody_of_their_own_clinic_and_nobody_else(clinic, other_clinic, phone):
    enrol(clinic.provider, phone)
    tab = clinic.client(clinic.provider)
    for actor in (clinic.front_desk, other_clinic.admin):
        with pytest.raises(NotAllowed):
            second_factor.reset(actor=actor, user=clinic.provider)
    with pytest.raises(DomainError) as refused:
        second_factor.reset(actor=clinic.admin, user=clinic.admin)
    assert refused.value.code == "own_factor"
    second_factor.reset(actor=clinic.admin, user=clinic.provider)
    assert not second_factor.is_on(User.accounts.get(pk=clinic.provider.pk))
    assert tab.get(INBOX).status_code == 302
    row = AuditEvent.objects.get(action="second_factor.reset")
    assert (row.actor, row.object_id) == (clinic.admin, clinic.provider.pk)


def test_whoever_runs_the_server_helps_support(db, phone, capsys):
    support = User.accounts.create_superuser("support@agdar.example", PASSWORD)
    enrol(support, phone)
    call_command("reset_second_factor", "SUPPORT@agdar.example")
    assert not second_factor.is_on(User.accounts.get(pk=support.pk))
    for email in ("support@agdar.example", "nobody@agdar.example"):
        with pytest.raises(CommandError):
            call_command("reset_second_factor", email)


def test_sessions_are_begun_in_one_place():
    """Whoever calls Django's ``login`` elsewhere lets people in without the second step."""
    callers = {
        str(path.relative_to(settings.BASE_DIR))
        for path in settings.BASE_DIR.glob("*/**/*.py")
        if "tests" not in path.parts
        and ".venv" not in path.parts
        and re.search(r"\blogin\(|\bauth_login\b", path.read_text())
    }
    assert callers == {"core/sign_in.py"}


# --- where it is required --------------------------------------------------------------------------------------------


@pytest.fixture
def strict(clinic):
    clinic.tenant.requires_second_factor = True
    clinic.tenant.save()
    return clinic


def test_an_open_session_of_an_admin_is_led_to_the_set_up_and_opens_nothing_else(clinic, phone):
    client = clinic.client(clinic.admin)
    tag = bell_tag(clinic.admin, 0, 0)
    poll = {"HX-Request": "true", "HX-Ptag": tag}
    assert client.get(BELL, headers=poll).status_code == 304
    clinic.tenant.requires_second_factor = True
    clinic.tenant.save()
    response = client.get("/patients/?q=sara")
    assert response["Location"] == f"{SET_UP}?next=%2Fpatients%2F%3Fq%3Dsara"
    assert client.get(BELL, headers=poll).status_code == 403
    assert client.get("/patients/", headers={"HX-Request": "true"}).status_code == 403
    assert client.post("/patients/create/", {}).status_code == 302
    page = client.get(SET_UP).content.decode()
    assert "asks this of every admin" in page
    assert 'class="side"' not in page
    assert set_up_by_page(client, phone).status_code == 200
    assert client.get("/patients/").status_code == 200


def test_others_of_that_clinic_and_admins_of_other_clinics_owe_nothing(strict, other_clinic):
    assert strict.client(strict.front_desk).get(INBOX).status_code == 200
    assert other_clinic.client(other_clinic.admin).get(INBOX).status_code == 200


def test_whoever_owes_it_can_still_sign_out_and_change_the_language(strict):
    client = strict.client(strict.admin)
    assert client.post("/language/", {"lang": "ar", "next": SET_UP})["Location"] == SET_UP
    assert client.post("/sign-out/")["Location"] == SIGN_IN


def test_the_check_costs_no_query(strict, phone, django_assert_num_queries):
    enrol(strict.admin, phone)
    client = strict.client(strict.admin)
    with django_assert_num_queries(1):
        client.get("/account/second-step/codes/file/")


def test_support_needs_it_where_the_settings_say_so(db, settings, phone):
    settings.SUPPORT_REQUIRES_SECOND_FACTOR = True
    support = User.accounts.create_superuser("support@agdar.example", PASSWORD)
    client = Client()
    first_step(client, support)
    assert client.get("/admin/")["Location"].startswith(SET_UP)
    assert client.get("/admin/core/user/")["Location"].startswith(SET_UP)
    assert set_up_by_page(client, phone).status_code == 200
    assert client.get("/admin/").status_code == 200
    phone.next()
    other = Client()
    assert first_step(other, support)["Location"] == CODE
    assert other.post(CODE, {"code": phone(support)})["Location"] == reverse("admin:index")


def test_the_console_has_no_sign_in_of_its_own(db, phone):
    support = User.accounts.create_superuser("support@agdar.example", PASSWORD)
    client = Client()
    assert client.get("/admin/core/user/", follow=False)["Location"] == "/admin/login/?next=/admin/core/user/"
    data = {"username": support.email, "password": PASSWORD, "next": "/admin/"}
    assert client.post("/admin/login/?next=/admin/core/user/", data)["Location"] == "/sign-in/?next=/admin/core/user/"
    assert SESSION_KEY not in client.session


def test_the_console_shows_no_authenticators(db):
    support = User.accounts.create_superuser("support@agdar.example", PASSWORD)
    client = Client()
    client.force_login(support, backend="core.auth.AccountBackend")
    for address in ("/admin/otp_totp/totpdevice/", "/admin/otp_static/staticdevice/"):
        assert client.get(address).status_code == 404


# --- browsers that are remembered ------------------------------------------------------------------------------------


@pytest.fixture
def remembered(clinic, phone) -> Client:
    """A browser that was asked for a code once, and signed out again."""
    enrol(clinic.admin, phone)
    client = Client()
    first_step(client, clinic.admin)
    response = client.post(CODE, {"code": phone(clinic.admin), "is_remembered": "on"})
    cookie = next(cookie for name, cookie in response.cookies.items() if name.startswith("trust_"))
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    client.post("/sign-out/")
    return client


def test_a_remembered_browser_needs_no_code_and_still_the_password(clinic, remembered):
    wrong = remembered.post(SIGN_IN, {"username": clinic.admin.email, "password": "wrong"})
    assert wrong.status_code == 422
    assert first_step(remembered, clinic.admin)["Location"] == "/"


def test_its_cookie_is_of_no_use_for_somebody_else(clinic, remembered, phone):
    enrol(clinic.provider, phone)
    assert first_step(remembered, clinic.provider)["Location"] == CODE


@pytest.mark.parametrize("what", ["password", "everywhere", "app", "month"])
def test_a_new_password_a_sign_out_everywhere_a_new_app_or_a_month_end_it(clinic, remembered, phone, monkeypatch, what):
    admin = User.accounts.get(pk=clinic.admin.pk)
    password = PASSWORD
    if what == "password":
        password = "another-long-password"
        admin.set_password(password)
        admin.save()
    elif what == "everywhere":
        clinic.client(admin).post("/account/sessions/end/")
    elif what == "app":
        phone.next()
        second_factor.disable(user=admin, code=phone(admin), session_key=None)
        enrol(admin, phone)
    else:
        phone.next(31 * 24 * 120)
    response = remembered.post(SIGN_IN, {"username": admin.email, "password": password})
    assert response["Location"] == CODE
