"""Addresses of the brand's page, of logos, and of the links in messages. Included at the root."""

from __future__ import annotations

from django.urls import path, re_path

from notifications.views import branding, preference_page, short_links

app_name = "branding"

urlpatterns = [
    path("settings/brand/", branding.brand, name="settings"),
    path("settings/brand/preview/", branding.preview, name="preview"),
    re_path(
        r"^brand/(?P<tenant_id>[-0-9a-f]{36})/(?P<name>[0-9a-f]{32}\.(?:png|jpg|webp))$", branding.logo, name="logo"
    ),
    re_path(r"^l/(?P<code>[2-9a-zA-Z]{4,16})/?$", short_links.short_link, name="short_link"),
    re_path(r"^p/(?P<code>[-_0-9a-zA-Z]{40,100})/?$", preference_page.page, name="preferences"),
    re_path(
        r"^p/(?P<code>[-_0-9a-zA-Z]{40,100})/stop/(?P<kind>[a-z]{4,12})/?$", preference_page.stop, name="unsubscribe"
    ),
    re_path(r"^l/o/(?P<code>[0-9a-f]{48})\.gif$", short_links.open_pixel, name="open_pixel"),
]
