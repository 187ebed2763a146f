"""Two requests at the same moment with one code, one link or one letter: one is first. On PostgreSQL."""

from __future__ import annotations

import time

import pytest
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from appointments.tests.test_races import at_once, codes
from conftest import Clinic
from core import account_letters, accounts, second_factor
from core.models import AccountLetter, Authenticator, User

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

ROUNDS = 6


def code_of(secret: bytes) -> str:
    totp = TOTP(secret, 30, 0, 6, 0)
    totp.time = time.time()
    return f"{totp.token():06d}"


def turn_on(user: User) -> list[str]:
    enrolment = second_factor.enrolment_begin(user)
    return second_factor.enable(user=user, enrolment=enrolment, code=code_of(enrolment.secret), session_key=None)


def test_one_code_lets_one_in(clinic: Clinic) -> None:
    turn_on(clinic.admin)
    for _round in range(ROUNDS):
        Authenticator.objects.update(last_t=0, throttling_failure_count=0, throttling_failure_timestamp=None)
        code = code_of(Authenticator.objects.get().bin_key)
        outcomes = at_once(clinic, *[lambda code=code: second_factor.verify(user=clinic.admin, code=code)] * 2)
        assert codes(outcomes) == ["ok", "wrong_code"]


def test_one_recovery_code_lets_one_in(clinic: Clinic) -> None:
    for code in turn_on(clinic.admin)[:1]:
        outcomes = at_once(clinic, *[lambda code=code: second_factor.verify_recovery(user=clinic.admin, code=code)] * 2)
        assert codes(outcomes) == ["ok", "wrong_code"]
        assert second_factor.codes_left(clinic.admin) == 9


def test_two_tabs_that_finish_at_once_make_one_device(clinic: Clinic) -> None:
    def tab() -> object:
        return turn_on(User.accounts.get(pk=clinic.admin.pk))

    assert codes(at_once(clinic, tab, tab)) == ["already_on", "ok"]
    assert TOTPDevice.objects.count() == 1


def test_a_letter_is_sent_by_one_worker(clinic: Clinic, mailoutbox: list[object]) -> None:
    for number in range(1, ROUNDS):
        AccountLetter.objects.all().delete()
        letter = accounts.send_set_password_link(user=clinic.provider, actor=clinic.admin)
        outcomes = at_once(clinic, *[lambda letter=letter: account_letters.letter_send(letter.pk)] * 2)
        assert codes(outcomes) == ["ok", "ok"]
        assert len(mailoutbox) == number
