"""Saved filters of the message list, and files that were made of it.

Only ``notifications/saved_filters.py`` and ``notifications/exports.py`` write these.
"""

from __future__ import annotations

import uuid
from urllib.parse import urlencode

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.models import Language
from core.tenancy import TenantModel


class SavedFilter(TenantModel):
    """A filter of the message list under a name: its owner's, or shared with everybody of the clinic group."""

    owner = models.ForeignKey("core.User", on_delete=models.PROTECT, related_name="+")
    name = models.CharField(_("name"), max_length=60)
    # The fields of MessageFilterForm as the address holds them; empty ones are left out.
    query = models.JSONField(default=dict)
    is_shared = models.BooleanField(_("shared"), default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("saved filter")
        verbose_name_plural = _("saved filters")
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="saved_filter_once")]

    def __str__(self) -> str:
        return self.name

    @property
    def address(self) -> str:
        """The query that brings the list to it."""
        return urlencode(self.query)


class ExportStatus(models.TextChoices):
    QUEUED = "QUEUED", _("Waiting")
    RUNNING = "RUNNING", _("Being made")
    READY = "READY", _("Ready")
    FAILED = "FAILED", _("Failed")
    # The file has been deleted; that it was there stays.
    EXPIRED = "EXPIRED", _("Deleted")


class ExportFormat(models.TextChoices):
    CSV = "CSV", _("CSV")
    XLSX = "XLSX", _("Excel")


class MessageExport(TenantModel):
    """A long export, made by a worker. The file lies in ``MessageExportPart`` rows: web and worker share a database only."""

    Status = ExportStatus

    user = models.ForeignKey("core.User", on_delete=models.PROTECT, related_name="+")
    format = models.CharField(_("format"), max_length=4, choices=ExportFormat.choices)
    language = models.CharField(_("language"), max_length=2, choices=Language.choices)
    # The wall clock of its times, as an IANA zone.
    timezone = models.CharField(max_length=64)
    query = models.JSONField(default=dict)
    with_text = models.BooleanField(_("with the texts"), default=False)
    status = models.CharField(_("status"), max_length=7, choices=ExportStatus.choices, default=ExportStatus.QUEUED)
    rows = models.PositiveIntegerField(_("messages"), default=0)
    size = models.PositiveBigIntegerField(_("size"), default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_token = models.UUIDField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)
    # When the file is deleted.
    expires_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("export")
        verbose_name_plural = _("exports")
        ordering = ["-created_at", "-pk"]
        indexes = [
            models.Index(fields=["user", "-created_at"], name="export_of_user"),
            # used by the sweeper: what waits, and whose worker died
            models.Index(
                fields=["created_at"],
                condition=models.Q(status__in=["QUEUED", "RUNNING"]),
                name="export_unfinished",
            ),
        ]

    @property
    def is_moving(self) -> bool:
        return self.status in (ExportStatus.QUEUED, ExportStatus.RUNNING)

    @property
    def filename(self) -> str:
        return f"messages-{self.created_at:%Y-%m-%d}-{str(self.pk)[:8]}.{self.format.lower()}"


class MessageExportPart(TenantModel):
    """A piece of a file, compressed by zlib. ``after`` is the cursor of its last row: the next piece begins below it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(
        "core.Tenant", on_delete=models.PROTECT, related_name="+", editable=False, db_index=False
    )
    export = models.ForeignKey(MessageExport, on_delete=models.CASCADE, related_name="parts", db_index=False)
    position = models.PositiveIntegerField()
    after = models.CharField(max_length=40, blank=True)
    rows = models.PositiveIntegerField(default=0)
    data = models.BinaryField()

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["export", "position"], name="export_part_once")]
