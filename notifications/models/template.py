"""The words of a message in both languages, and every version they have had.

``MessageTemplate`` is what is sent: it always holds the published words. ``TemplateVersion`` keeps what was, and what is
being written. Only ``notifications/template_versions.py`` moves a version::

    DRAFT ──submit──> IN_REVIEW ──publish, by another person──> PUBLISHED ──the next one──> SUPERSEDED
      │  <──take back──┘   └──reject──> REJECTED
      └──discard──> WITHDRAWN
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from core.models.tenant import in_language
from core.tenancy import TenantModel
from notifications import rendering
from notifications.states import Channel, NotificationType

TEXTS = ("subject_en", "subject_ar", "body_en", "body_ar")
WORDS = (*TEXTS, "variables")


class TemplateWords(models.Model):
    """Subject and text in both languages, and the placeholders that may stand in them."""

    subject_en = models.CharField(_("subject in English"), max_length=200, blank=True)
    subject_ar = models.CharField(_("subject in Arabic"), max_length=200, blank=True)
    body_en = models.TextField(_("text in English"), blank=True)
    body_ar = models.TextField(_("text in Arabic"), blank=True)
    variables = models.JSONField(
        _("placeholders"),
        default=list,
        blank=True,
        help_text=_("Names that may stand in the text: patient_name, date."),
    )

    class Meta:
        abstract = True

    def clean(self) -> None:
        """Refuses a text with a placeholder that is not declared in ``variables``."""
        errors: dict[str, list[str]] = {}
        for field in TEXTS:
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

    @property
    def written_in(self) -> list[str]:
        """The languages that have a text. One language alone is sent to readers of the other."""
        return [language for language in ("en", "ar") if getattr(self, f"body_{language}").strip()]

    def words(self) -> dict[str, Any]:
        """The four texts and the placeholders, as one goes over into another row."""
        return {name: getattr(self, name) for name in WORDS}

    def _body(self, language: str) -> str:
        return in_language(self.body_en, self.body_ar, language)


class MessageTemplate(TenantModel, TemplateWords):
    """What is sent: the published words. ``version`` is the number of that version, 0 before the first is published."""

    code = models.CharField(_("code"), max_length=80)
    name = models.CharField(_("name"), max_length=120)
    channel = models.CharField(_("channel"), max_length=8, choices=Channel.choices)
    notification_type = models.CharField(_("type"), max_length=12, choices=NotificationType.choices)
    version = models.PositiveIntegerField(default=1, editable=False)
    is_active = models.BooleanField(_("active"), default=True)
    archived_at = models.DateTimeField(_("archived"), null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("message template")
        verbose_name_plural = _("message templates")
        ordering = ["code", "channel"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "code", "channel"], name="template_once_per_channel"),
            # So that whoever sends need only ask whether it is active.
            models.CheckConstraint(
                condition=Q(is_active=False) | Q(version__gte=1, archived_at__isnull=True),
                name="template_active_is_published",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.get_channel_display()})"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """A template that comes with its words comes with its first version too."""
        if not self._state.adding:
            super().save(*args, **kwargs)
            return
        with transaction.atomic():
            super().save(*args, **kwargs)
            if self.version:
                TemplateVersion.published(self).save()


class VersionState(models.TextChoices):
    DRAFT = "DRAFT", _("Draft")
    IN_REVIEW = "IN_REVIEW", _("In review")
    PUBLISHED = "PUBLISHED", _("Published")
    SUPERSEDED = "SUPERSEDED", _("Replaced")
    REJECTED = "REJECTED", _("Sent back")
    WITHDRAWN = "WITHDRAWN", _("Discarded")


# The one version of a template that is being worked on.
OPEN = frozenset({VersionState.DRAFT, VersionState.IN_REVIEW})
# What patients got, or still get: reviewed words, which may be published again.
WERE_SENT = frozenset({VersionState.PUBLISHED, VersionState.SUPERSEDED})


class TemplateVersion(TenantModel, TemplateWords):
    """One version of a template's words. Its words change only while it is a draft."""

    State = VersionState

    template = models.ForeignKey(MessageTemplate, on_delete=models.CASCADE, related_name="versions", db_index=False)
    number = models.PositiveIntegerField(_("version"))
    state = models.CharField(_("state"), max_length=10, choices=VersionState.choices, default=VersionState.DRAFT)
    # Grows with every change of a draft: nobody overwrites or approves what they have not seen.
    revision = models.PositiveIntegerField(default=1)
    # Who began it; None for the words a clinic starts with. Ids of all who typed in it: none of them may review it.
    author = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    editors = models.JSONField(default=list)
    reviewer = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    # What the author tells the reviewer, and what the reviewer answers.
    note = models.CharField(_("what has changed"), max_length=300, blank=True)
    review_note = models.CharField(_("answer of the reviewer"), max_length=300, blank=True)
    # The version whose words were published again; reviewed then, so not again.
    restores = models.PositiveIntegerField(null=True)
    submitted_at = models.DateTimeField(null=True)
    # When it was published, sent back or discarded.
    decided_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("version of a template")
        verbose_name_plural = _("versions of templates")
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["template", "number"], name="template_version_once"),
            models.UniqueConstraint(
                fields=["template"], condition=Q(state__in=["DRAFT", "IN_REVIEW"]), name="template_one_open_version"
            ),
            models.UniqueConstraint(
                fields=["template"], condition=Q(state="PUBLISHED"), name="template_one_published_version"
            ),
            models.CheckConstraint(
                condition=Q(reviewer__isnull=True) | Q(author__isnull=True) | ~Q(reviewer=F("author")),
                name="template_version_second_person",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.template_id} {self.number} {self.state}"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def was_sent(self) -> bool:
        return self.state in WERE_SENT

    @classmethod
    def published(cls, template: MessageTemplate) -> TemplateVersion:
        """The version that a template's own words are; not saved. For templates that come with their words."""
        return cls(
            tenant_id=template.tenant_id,
            template=template,
            number=template.version,
            state=VersionState.PUBLISHED,
            decided_at=template.created_at,
            **template.words(),
        )
