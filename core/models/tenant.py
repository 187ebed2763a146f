"""A clinic group (tenant), its locations and its departments."""

from __future__ import annotations

import uuid
import zoneinfo

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from core.tenancy import TenantModel


class Language(models.TextChoices):
    ENGLISH = "en", _("English")
    ARABIC = "ar", _("Arabic")


def in_language(english: str, arabic: str, language: str | None = None) -> str:
    """The text of the wanted language (the active one by default), or the other when that is empty."""
    wanted = (language or translation.get_language() or "en")[:2]
    return (arabic or english) if wanted == "ar" else (english or arabic)


class BilingualName(models.Model):
    """``name_en`` and ``name_ar``, and ``name`` in the reader's language."""

    name_en = models.CharField(_("name in English"), max_length=200)
    name_ar = models.CharField(_("name in Arabic"), max_length=200, blank=True)

    class Meta:
        abstract = True

    @property
    def name(self) -> str:
        return self.name_in()

    def name_in(self, language: str | None = None) -> str:
        return in_language(self.name_en, self.name_ar, language)

    def __str__(self) -> str:
        return self.name


def _saudi_weekend() -> list[int]:
    return [4, 5]


def validate_zone(value: str) -> None:
    if value not in zoneinfo.available_timezones():
        raise ValidationError(_("“%(zone)s” is not an IANA time zone, such as Asia/Riyadh."), params={"zone": value})


class Tenant(BilingualName):
    """One clinic group. Everything else belongs to exactly one of them."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(_("short name"), unique=True)
    default_language = models.CharField(
        _("default language"), max_length=2, choices=Language.choices, default=Language.ARABIC
    )
    age_of_majority = models.PositiveSmallIntegerField(_("age of majority"), default=18)
    currency = models.CharField(_("currency"), max_length=3, default="SAR")
    # An arrival or a critical alert that nobody has acknowledged goes a step further after as long.
    escalate_after_minutes = models.PositiveSmallIntegerField(
        _("minutes until an alert goes further"), default=5, validators=[MinValueValidator(1), MaxValueValidator(60)]
    )
    # Admins can open nothing until they have an authenticator app (core.second_factor).
    requires_second_factor = models.BooleanField(_("admins need a second step to sign in"), default=False)
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("clinic group")
        verbose_name_plural = _("clinic groups")


class Location(TenantModel, BilingualName):
    """A building with its own clock, weekend and sender identities."""

    timezone = models.CharField(_("time zone"), max_length=64, default="Asia/Riyadh", validators=[validate_zone])
    weekend = models.JSONField(_("weekend days (Monday is 0)"), default=_saudi_weekend)
    address_en = models.CharField(_("address in English"), max_length=300, blank=True)
    address_ar = models.CharField(_("address in Arabic"), max_length=300, blank=True)
    phone = models.CharField(_("phone"), max_length=20, blank=True)
    sms_sender = models.CharField(
        _("SMS sender"), max_length=20, blank=True, help_text=_("A registered name of at most 11 letters, or a number.")
    )
    whatsapp_sender = models.CharField(_("WhatsApp sender"), max_length=20, blank=True)
    email_sender = models.CharField(_("email sender"), max_length=254, blank=True)
    # Monday to Sunday: ["09:00", "17:00"], or null for a day on which it is closed; empty: nobody has written them down.
    opening_hours = models.JSONField(_("opening hours"), default=list, blank=True)
    ramadan_hours = models.JSONField(_("opening hours in Ramadan"), default=list, blank=True)
    # Whoever reads over somebody's shoulder must not learn of it: ``core/discretion.py`` says what may be said.
    is_sensitive = models.BooleanField(_("sensitive"), default=False)
    discreet_name_en = models.CharField(_("discreet name in English"), max_length=60, blank=True)
    discreet_name_ar = models.CharField(_("discreet name in Arabic"), max_length=60, blank=True)
    # Not offered any more for what is new. What is booked there stays.
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("location")
        verbose_name_plural = _("locations")

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.timezone)

    def address_in(self, language: str | None = None) -> str:
        return in_language(self.address_en, self.address_ar, language)


class Department(TenantModel, BilingualName):
    """A clinic department; a patient has one sub-file in each that treats them."""

    code = models.CharField(_("code"), max_length=10)
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("department")
        verbose_name_plural = _("departments")
        constraints = [models.UniqueConstraint(fields=["tenant", "code"], name="department_code_once")]
