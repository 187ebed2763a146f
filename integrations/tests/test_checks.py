"""What is switched on must be set up; what is good for the demo only must not reach production."""

from __future__ import annotations

import os
import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from django.conf import settings as live_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from core.production import refuse_unsafe_production, unsafe_settings
from integrations import checks


def provider_errors() -> dict[str, str]:
    return {str(error.id): str(error.msg) for error in checks.check_providers()}


def test_the_demo_as_it_comes_has_no_error(settings: Any) -> None:
    assert checks.check_providers() == []
    assert checks.check_public_address() == []


def test_a_provider_that_does_not_exist_is_named_with_those_that_do(settings: Any) -> None:
    settings.SMS_PROVIDER = ["twilio", "pigeon"]
    assert "pigeon" in provider_errors()["agdar.E001"]
    assert "unifonic" in provider_errors()["agdar.E001"]


def test_a_provider_must_be_able_to_carry_the_channel(settings: Any) -> None:
    settings.WHATSAPP_PROVIDER = ["unifonic"]
    assert "WHATSAPP_PROVIDER" in provider_errors()["agdar.E002"]


@pytest.mark.parametrize(
    ("provider", "missing"),
    [("twilio", "TWILIO_AUTH_TOKEN"), ("unifonic", "UNIFONIC_WEBHOOK_SECRET"), ("sandbox", "SANDBOX_URL")],
)
def test_a_missing_variable_is_named(settings: Any, provider: str, missing: str) -> None:
    settings.SMS_PROVIDER = ["sandbox", provider]
    for name in (
        "TWILIO_ACCOUNT_SID",
        "TWILIO_AUTH_TOKEN",
        "TWILIO_SMS_FROM",
        "UNIFONIC_APP_SID",
        "UNIFONIC_SENDER_ID",
    ):
        setattr(settings, name, "set")
    settings.UNIFONIC_WEBHOOK_SECRET = "set"
    setattr(settings, missing, "")
    assert f"but {missing} is empty" in provider_errors()["agdar.E003"]


def test_a_channel_that_is_switched_off_needs_nothing(settings: Any) -> None:
    settings.SMS_PROVIDER = settings.WHATSAPP_PROVIDER = []
    settings.EMAIL_URL = ""
    assert provider_errors() == {}


@pytest.mark.parametrize(
    ("address", "is_good"),
    [
        ("https://messages.clinic.example", True),
        ("http://messages.clinic.example", False),
        ("https://localhost", False),
        ("https://my_clinic.example", False),
    ],
)
def test_a_real_provider_must_be_able_to_call_back(settings: Any, address: str, is_good: bool) -> None:
    settings.SMS_PROVIDER, settings.PUBLIC_BASE_URL = ["twilio"], address
    assert (checks.check_public_address() == []) is is_good


SAFE = {
    "DEBUG": False,
    "SECRET_KEY": "own",
    "DEFAULT_SECRET_KEY": "default",
    "SMS_PROVIDER": ["twilio", "unifonic"],
    "WHATSAPP_PROVIDER": [],
    "DATABASES": {"default": {"ENGINE": "django.db.backends.postgresql"}},
    "CELERY_BROKER_URL": "redis://redis:6379/0",
}


@pytest.mark.parametrize(
    ("change", "identity"),
    [
        ({"SECRET_KEY": "default"}, "agdar.E010"),
        ({"SMS_PROVIDER": ["twilio", "sandbox"]}, "agdar.E011"),
        ({"WHATSAPP_PROVIDER": ["sandbox"]}, "agdar.E011"),
        ({"DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3"}}}, "agdar.E012"),
        ({"CELERY_BROKER_URL": "sqlite:////x"}, "agdar.E013"),
    ],
)
def test_production_refuses_what_is_good_for_the_demo_only(change: dict[str, Any], identity: str) -> None:
    assert list(unsafe_settings(SAFE)) == []
    refuse_unsafe_production(SAFE)
    with pytest.raises(ImproperlyConfigured, match=identity):
        refuse_unsafe_production(SAFE | change)
    refuse_unsafe_production(SAFE | change | {"DEBUG": True})


def test_the_deployment_check_shows_the_same(settings: Any) -> None:
    settings.SMS_PROVIDER = ["sandbox"]
    assert "agdar.E011" in {error.id for error in checks.check_production()}


def test_a_production_process_really_does_not_start() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import agdar.wsgi"],
        cwd=live_settings.BASE_DIR,
        env={
            **os.environ,
            "DEBUG": "False",
            "SECRET_KEY": "",
            "DATABASE_URL": "sqlite:////tmp/x",
            "SMS_PROVIDER": "sandbox",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "ImproperlyConfigured" in done.stderr
    assert "agdar.E012" in done.stderr


def test_a_client_that_is_led_to_this_machine_can_call_back_to_it(settings: Any) -> None:
    settings.SMS_PROVIDER, settings.PUBLIC_BASE_URL = ["twilio"], "http://127.0.0.1:8000"
    assert checks.check_public_address() != []
    settings.TWILIO_API_BASE_URL = "http://127.0.0.1:9000"
    assert checks.check_public_address() == []


def push_errors() -> set[str]:
    return {str(error.id) for error in checks.check_push()}


GOOD_KEY = "hD3hmmB_FEaF7uaAREgdGCx3I1qQXgZvv8nXM65c8Ck"


@pytest.mark.parametrize(
    ("key", "subject", "wrong"),
    [
        ("", "", set()),
        (GOOD_KEY, "mailto:it@clinic.example", set()),
        (GOOD_KEY, "https://clinic.example", set()),
        (GOOD_KEY, "", {"agdar.E006"}),
        ("", "mailto:it@clinic.example", {"agdar.E006"}),
        ("too-short", "mailto:it@clinic.example", {"agdar.E007"}),
        ("not base64 at all!", "mailto:it@clinic.example", {"agdar.E007"}),
        ("A" * 43, "mailto:it@clinic.example", {"agdar.E007"}),
        (GOOD_KEY, "it@clinic.example", {"agdar.E008"}),
    ],
)
def test_browser_push_is_set_up_wholly_or_off(settings: Any, key: str, subject: str, wrong: set[str]) -> None:
    settings.VAPID_PRIVATE_KEY, settings.VAPID_SUBJECT = key, subject
    assert push_errors() == wrong


def test_a_push_service_is_a_host_and_only_a_double_an_origin(settings: Any) -> None:
    settings.PUSH_HOSTS = ["fcm.googleapis.com", "http://127.0.0.1:9100"]
    assert push_errors() == set()
    settings.PUSH_HOSTS = ["http://push.example"]
    assert push_errors() == {"agdar.E009"}


def test_the_command_makes_a_key_that_passes(settings: Any) -> None:
    out = StringIO()
    call_command("make_vapid_keys", "--subject=mailto:it@clinic.example", stdout=out)
    lines = dict(line.split("=", 1) for line in out.getvalue().split())
    settings.VAPID_PRIVATE_KEY, settings.VAPID_SUBJECT = lines["VAPID_PRIVATE_KEY"], lines["VAPID_SUBJECT"]
    assert push_errors() == set()
