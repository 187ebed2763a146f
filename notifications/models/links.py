"""Short links in messages, and what came of them. No address of a reader is kept, and of the browser only a hash."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.models import Language
from core.tenancy import TenantModel
from notifications.models.message import Message


class ShortLink(TenantModel):
    """One code and the page of ours that it leads to. Made by ``notifications/short_links.py``."""

    class Purpose(models.TextChoices):
        CONFIRMATION = "CONFIRMATION", _("The patient's page of a visit")

    code = models.CharField(max_length=16, unique=True)
    # A path of this house ("/c/…"), never an address of somebody else's.
    target = models.CharField(max_length=300)
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="short_links")
    purpose = models.CharField(max_length=12, choices=Purpose.choices, default=Purpose.CONFIRMATION)
    # The reader's, for the page that says that the link is over.
    language = models.CharField(max_length=2, choices=Language.choices)
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("short link")
        verbose_name_plural = _("short links")

    def __str__(self) -> str:
        return self.code


class LinkClick(TenantModel):
    """One visit to a short link, or one loading of an email's picture. Programs that only look are not written at all.

    Counted: ``is_suspicious=False``. A message was clicked (opened) when it has at least one counted row of that kind.
    """

    class Kind(models.TextChoices):
        CLICK = "CLICK", _("Link opened")
        # At least once, as far as the mail program tells: some load pictures by themselves, some never.
        OPEN = "OPEN", _("Email opened")

    # The message's own tenant is checked; this copy only serves the scope.
    tenant = models.ForeignKey(
        "core.Tenant", on_delete=models.PROTECT, related_name="+", editable=False, db_index=False, db_constraint=False
    )
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="clicks", db_index=False)
    # Empty for the loading of a picture.
    link = models.ForeignKey(ShortLink, on_delete=models.CASCADE, null=True, related_name="clicks")
    kind = models.CharField(_("kind"), max_length=5, choices=Kind.choices)
    # Sooner after the sending than anybody reads: a program that checks links.
    is_suspicious = models.BooleanField(default=False)
    # Tells two devices of one reader apart, nobody else's.
    agent_hash = models.CharField(max_length=16, blank=True)
    created_at = models.DateTimeField(_("time"), auto_now_add=True)

    class Meta:
        verbose_name = _("click")
        verbose_name_plural = _("clicks")
        ordering = ["created_at"]
        indexes = [
            # used by the message's page and by the rollups: which of these messages were clicked
            models.Index(fields=["message", "kind"], name="click_by_message"),
            # used by the rollups of a day
            models.Index(fields=["tenant", "created_at"], name="click_latest"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.message_id}"
