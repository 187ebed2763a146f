"""How a clinic group's emails look, and what its links may count. One row a tenant; without a row there is no look."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.models.tenant import in_language
from core.tenancy import TenantModel

DEFAULT_COLOUR = "#3451c9"


class Brand(TenantModel):
    """Written by ``notifications/branding.py``; every worker reads it anew, so a change holds from the next batch on."""

    colour = models.CharField(_("colour"), max_length=7, default=DEFAULT_COLOUR)
    footer_en = models.TextField(_("footer in English"), max_length=500, blank=True)
    footer_ar = models.TextField(_("footer in Arabic"), max_length=500, blank=True)
    reply_to = models.EmailField(_("replies go to"), blank=True)
    # SHA-256 of the logo in ``BrandLogo``; empty without one. It is the logo's address, so that a new one has a new one.
    logo_digest = models.CharField(max_length=64, blank=True)
    logo_type = models.CharField(max_length=10, blank=True)
    logo_width = models.PositiveSmallIntegerField(default=0)
    logo_height = models.PositiveSmallIntegerField(default=0)
    # One of ``settings.SHORT_LINK_HOSTS``; empty is the house's own address.
    link_host = models.CharField(_("host of the links"), max_length=200, blank=True)
    # Both off until an admin switches them on: counting what patients do is a decision of the clinic.
    track_clicks = models.BooleanField(_("count who opens the links in messages"), default=False)
    track_opens = models.BooleanField(_("count who opens emails"), default=False)
    updated_by = models.ForeignKey("core.User", on_delete=models.SET_NULL, null=True, related_name="+")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("brand")
        verbose_name_plural = _("brands")
        constraints = [models.UniqueConstraint(fields=["tenant"], name="brand_once")]

    def __str__(self) -> str:
        return f"brand of {self.tenant_id}"

    def footer_in(self, language: str | None = None) -> str:
        return in_language(self.footer_en, self.footer_ar, language)


class BrandLogo(TenantModel):
    """The picture itself, beside the brand: whoever needs the colour does not read 200 KB.

    In the database, because web and workers may run on several machines without a shared disk, and a backup of the
    database is then whole.
    """

    digest = models.CharField(max_length=64)
    content_type = models.CharField(max_length=20)
    content = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("logo")
        verbose_name_plural = _("logos")
        constraints = [models.UniqueConstraint(fields=["tenant", "digest"], name="logo_once")]

    def __str__(self) -> str:
        return self.digest[:12]
