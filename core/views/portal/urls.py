"""Addresses of the patient's own view. Included at /me/."""

from __future__ import annotations

from django.urls import path

from core.views.portal import pages, sign_in

app_name = "portal"

urlpatterns = [
    path("", sign_in.sign_in, name="sign_in"),
    path("code/", sign_in.code, name="code"),
    path("choose/", sign_in.choose, name="choose"),
    path("sign-out/", sign_in.sign_out, name="sign_out"),
    path("care/", pages.overview, name="overview"),
    path("messages/", pages.messages, name="messages"),
    path("consents/", pages.consents, name="consents"),
    path("requests/", pages.requests, name="requests"),
    path("requests/<uuid:pk>/withdraw/", pages.request_withdraw, name="request_withdraw"),
    path("copies/<uuid:pk>/", pages.copy, name="copy"),
]
