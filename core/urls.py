"""Addresses of the account, the home pages and the patients. Included at the root."""

from __future__ import annotations

from django.urls import path

from core.views import account, language
from core.views.home import home

app_name = "core"

urlpatterns = [
    path("", home, name="home"),
    path("sign-in/", account.sign_in, name="sign_in"),
    path("sign-out/", account.sign_out, name="sign_out"),
    path("language/", language.set_language, name="set_language"),
]
