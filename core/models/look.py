"""Who looked at what was written to a patient, and when. Append-only, like the audit trail."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from core.tenancy import TenantModel


class Look(TenantModel):
    """One look: a user, a patient, a page, a quarter of an hour. Written by ``core.looks.record_look`` only.

    ``message`` is an id without a foreign key: ``core`` knows no messages, and the look outlives the message.
    The patient's key has no constraint for the same reason: erasing a file may not erase who read it.
    """

    class Page(models.TextChoices):
        """Where it was seen. No page names a diagnosis or an address."""

        MESSAGE = "message", _("The message's page")
        MESSAGES = "messages", _("The list of messages of one patient")
        PATIENT = "patient", _("The patient's file")
        APPOINTMENT = "appointment", _("The visit's page")
        SEND = "send", _("The form for writing to the patient")
        RECEIPTS = "receipts", _("The raw reports of the provider")
        PREVIEW = "preview", _("A preview with the patient's data")
        SUPPORT = "support", _("The support console")

    # Both are found by the indexes below, which begin with the tenant.
    user = models.ForeignKey("core.User", on_delete=models.PROTECT, related_name="+", db_index=False)
    patient = models.ForeignKey(
        "core.Patient", on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    message = models.UUIDField(_("message"), null=True)
    page = models.CharField(_("page"), max_length=12, choices=Page.choices)
    seen_at = models.DateTimeField(pgettext_lazy("look", "time"))

    class Meta:
        verbose_name = _("look")
        verbose_name_plural = _("looks")
        ordering = ["-seen_at", "-pk"]
        indexes = [
            # The page of looks, and its two filters; the patient's own page asks for the newest of one patient.
            models.Index(fields=["tenant", "-seen_at", "-id"], name="look_latest"),
            models.Index(fields=["tenant", "patient", "-seen_at", "-id"], name="look_by_patient"),
            models.Index(fields=["tenant", "user", "-seen_at", "-id"], name="look_by_user"),
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("looks are append-only")
        super().save(*args, **kwargs)
