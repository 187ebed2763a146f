"""The words of a message in both languages."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from core.models.tenant import in_language
from core.tenancy import TenantModel
from notifications import rendering
from notifications.states import Channel, NotificationType


class MessageTemplate(TenantModel):
    """The words of a message in both languages. ``version`` grows with every change of the words."""

    code = models.CharField(_("code"), max_length=80)
    name = models.CharField(_("name"), max_length=120)
    channel = models.CharField(_("channel"), max_length=8, choices=Channel.choices)
    notification_type = models.CharField(_("type"), max_length=12, choices=NotificationType.choices)
    subject_en = models.CharField(_("subject in English"), max_length=200, blank=True)
    subject_ar = models.CharField(_("subject in Arabic"), max_length=200, blank=True)
    body_en = models.TextField(_("text in English"))
    body_ar = models.TextField(_("text in Arabic"), blank=True)
    variables = models.JSONField(
        _("placeholders"),
        default=list,
        blank=True,
        help_text=_("Names that may stand in the text: patient_name, date."),
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("message template")
        verbose_name_plural = _("message templates")
        ordering = ["code", "channel"]
        constraints = [models.UniqueConstraint(fields=["tenant", "code", "channel"], name="template_once_per_channel")]

    def __str__(self) -> str:
        return f"{self.name} ({self.get_channel_display()})"

    def clean(self) -> None:
        """Refuses a text with a placeholder that is not declared in ``variables``."""
        errors: dict[str, list[str]] = {}
        for field in ("subject_en", "subject_ar", "body_en", "body_ar"):
            try:
                rendering.check_text(getattr(self, field), self.variables)
            except rendering.TemplateError as error:
                errors[field] = [str(error)]
        if errors:
            raise ValidationError(errors)

    def render(self, language: str = "en", **context: Any) -> str:
        """The body in that language. Raises ``rendering.TemplateError`` for a missing or unknown placeholder."""
        return rendering.render(self._body(language), self.variables, context, language)

    def render_subject(self, language: str = "en", **context: Any) -> str:
        return rendering.render(
            in_language(self.subject_en, self.subject_ar, language), self.variables, context, language
        )

    def texts(self, language: str) -> tuple[rendering.Compiled, rendering.Compiled]:
        """Subject and body, compiled, for who renders many. Raises ``rendering.TemplateError``."""
        variables = tuple(self.variables)
        subject = in_language(self.subject_en, self.subject_ar, language)
        return rendering.compiled(subject, variables), rendering.compiled(self._body(language), variables)

    def _body(self, language: str) -> str:
        return in_language(self.body_en, self.body_ar, language)
