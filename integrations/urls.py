"""Where providers report, and the demo's phone."""

from __future__ import annotations

from django.urls import path

from integrations import email_webhooks, views, webhooks

app_name = "integrations"
urlpatterns = [
    path("webhooks/twilio/status/<str:message_ref>/", webhooks.twilio_status, name="twilio_status"),
    path("webhooks/twilio/inbound/", webhooks.twilio_inbound, name="twilio_inbound"),
    path("webhooks/unifonic/status/<str:message_ref>/", webhooks.unifonic_status, name="unifonic_status"),
    path("webhooks/email/", email_webhooks.email_events, name="email_events"),
    path("sandbox/", views.sandbox, name="sandbox"),
    path("sandbox/refresh/", views.sandbox_refresh, name="sandbox_refresh"),
    path("sandbox/reply/", views.sandbox_reply, name="sandbox_reply"),
]
