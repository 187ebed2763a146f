"""Logs hold event names and ids, and nothing that belongs to a patient (invariant 12)."""

from __future__ import annotations

import logging

import pytest
from django.test import Client, override_settings
from django.urls import path

from core.access import public


@public
def breaks(_request: object, code: str) -> None:
    raise RuntimeError("on purpose")


urlpatterns = [path("c/<str:code>/", breaks)]


@pytest.mark.django_db
@override_settings(ROOT_URLCONF=__name__, DEBUG_PROPAGATE_EXCEPTIONS=False)
def test_a_failed_request_is_logged_by_its_route_not_by_its_path(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "django.request")
    response = Client(raise_request_exception=False).get("/c/SECRETCODE/")
    assert response.status_code == 500
    assert "request_failed status=500 route=c/<str:code>/" in caplog.text
    assert "SECRETCODE" not in caplog.text
