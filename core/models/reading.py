"""How a reader of messages wants them written."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Numerals(models.TextChoices):
    """The digits a reader wishes, by their name in CLDR."""

    LATIN = "latn", _("1 2 3")
    ARABIC = "arab", _("١ ٢ ٣")


class ReadingWishes(models.Model):
    """How a reader of messages wants numbers and dates written."""

    numerals = models.CharField(_("digits"), max_length=4, choices=Numerals.choices, default=Numerals.LATIN)
    show_hijri = models.BooleanField(_("Hijri date beside the Gregorian"), default=False)

    class Meta:
        abstract = True
