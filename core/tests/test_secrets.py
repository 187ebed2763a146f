"""Secrets at rest: unreadable without the key, readable with a former one."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from conftest import Clinic
from core import secrets
from notifications.models import ChatTarget

ADDRESS = "https://hooks.slack.com/services/T00000000/B00000000/abcdefghijklmnopqrstuvwx"


def test_the_database_holds_no_plain_address(clinic: Clinic) -> None:
    row = ChatTarget.objects.create(tenant=clinic.tenant, name="ops", kind="slack", url=ADDRESS)
    with connection.cursor() as cursor:
        cursor.execute('SELECT "url" FROM notifications_chattarget')
        (stored,) = cursor.fetchone()
    assert "hooks" not in stored
    row.refresh_from_db()
    assert row.url == ADDRESS


def test_a_former_key_still_opens_and_a_foreign_one_does_not(settings: Any) -> None:
    token = secrets.encrypt(ADDRESS)
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another-key"
    with pytest.raises(secrets.SecretUnreadable):
        secrets.decrypt(token)
    settings.SECRET_KEY_FALLBACKS = [former]
    assert secrets.decrypt(token) == ADDRESS


def test_an_address_that_can_no_longer_be_read_is_none_and_breaks_no_page(clinic: Clinic, settings: Any) -> None:
    row = ChatTarget.objects.create(tenant=clinic.tenant, name="ops", kind="slack", url=ADDRESS)
    settings.SECRET_KEY = "another-key"
    row.refresh_from_db()
    assert row.url is None
