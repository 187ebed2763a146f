"""What WhatsApp says about a template, language by language, and what a message carries instead of free text."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from core.models import Language
from core.tenancy import TenantModel
from notifications.models.message import Message
from notifications.models.template import MessageTemplate

CONTENT_SID = r"HX[0-9a-f]{32}"


class WhatsAppApproval(TenantModel):
    """The approval of one template in one language. No row is the same as NOT_SUBMITTED."""

    class State(models.TextChoices):
        NOT_SUBMITTED = "NOT_SUBMITTED", _("Not submitted")
        PENDING = "PENDING", _("Being reviewed")
        APPROVED = "APPROVED", _("Approved")
        REJECTED = "REJECTED", _("Rejected")
        PAUSED = "PAUSED", _("Paused by WhatsApp")

    class Category(models.TextChoices):
        """Meta decides in the end; what is asked for is a wish."""

        UTILITY = "UTILITY", _("Utility")
        MARKETING = "MARKETING", _("Marketing")
        AUTHENTICATION = "AUTHENTICATION", _("Authentication")

    template = models.ForeignKey(MessageTemplate, on_delete=models.CASCADE, related_name="approvals")
    language = models.CharField(_("language"), max_length=2, choices=Language.choices)
    state = models.CharField(_("state"), max_length=13, choices=State.choices, default=State.NOT_SUBMITTED)
    content_sid = models.CharField(
        _("ContentSid"), max_length=34, blank=True, validators=[RegexValidator(f"^{CONTENT_SID}$")]
    )
    category = models.CharField(_("category"), max_length=14, choices=Category.choices, default=Category.UTILITY)
    rejection_reason = models.CharField(_("why it was rejected"), max_length=300, blank=True)
    # The template's version whose words were submitted: an approval of older words is none.
    version = models.PositiveIntegerField(_("version"), default=0)
    updated_by = models.ForeignKey("core.User", on_delete=models.SET_NULL, null=True, related_name="+")
    updated_at = models.DateTimeField(auto_now=True)
    # When the provider was last asked.
    checked_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("WhatsApp approval")
        verbose_name_plural = _("WhatsApp approvals")
        constraints = [models.UniqueConstraint(fields=["template", "language"], name="approval_once_per_language")]

    def __str__(self) -> str:
        return f"{self.template_id} {self.language} {self.state}"

    def covers(self, version: int) -> bool:
        """WhatsApp has approved these very words, and still does."""
        return self.state == self.State.APPROVED and self.version == version and bool(self.content_sid)


class WhatsAppContent(TenantModel):
    """The approved content that a message is sent as, frozen beside its body (invariant 10)."""

    # The message's own tenant is checked; this copy only serves the scope.
    tenant = models.ForeignKey(
        "core.Tenant", on_delete=models.PROTECT, related_name="+", editable=False, db_index=False, db_constraint=False
    )
    message = models.OneToOneField(Message, on_delete=models.CASCADE, related_name="whatsapp_content")
    content_sid = models.CharField(max_length=34)
    # {"1": "Sara", "2": "Monday 23 November 2026"}: the values of the numbered placeholders.
    variables = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("approved content")
        verbose_name_plural = _("approved contents")

    def __str__(self) -> str:
        return f"{self.message_id} {self.content_sid}"
