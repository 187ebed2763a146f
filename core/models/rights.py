"""What the law gives a person over their own data: requests with a date, a copy of everything, erasure; and what stops
erasing: a legal hold.

Written by ``core/rights.py``, ``core/subject_exports.py``, ``core/holds.py`` and ``core/erasure.py`` only.
"""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from core.models.tenant import Language
from core.tenancy import TenantModel


class RightsKind(models.TextChoices):
    EXPORT = "EXPORT", _("A copy of the data")
    CORRECTION = "CORRECTION", _("Correction")
    ERASURE = "ERASURE", _("Erasure")


class RightsState(models.TextChoices):
    OPEN = "OPEN", pgettext_lazy("request", "Open")
    # An admin has said yes and a worker is at it (erasure).
    RUNNING = "RUNNING", _("Being carried out")
    DONE = "DONE", _("Done")
    REFUSED = "REFUSED", _("Refused")
    WITHDRAWN = "WITHDRAWN", _("Withdrawn")


class RightsRequest(TenantModel):
    """A request about one patient's data, to be answered within 30 days (PDPL). One of a kind at a time from each who may
    ask: neither of two parents waits for what the other has asked for.
    """

    Kind, State = RightsKind, RightsState

    patient = models.ForeignKey("core.Patient", on_delete=models.PROTECT, related_name="rights_requests")
    kind = models.CharField(_("request"), max_length=10, choices=RightsKind.choices)
    state = models.CharField(_("state"), max_length=9, choices=RightsState.choices, default=RightsState.OPEN)
    # In the person's own words: what is wrong, what should go.
    details = models.TextField(_("details"), blank=True)
    # "patient:<id>" or "guardian:<id>"; and who took it down, when it was said at the desk.
    asked_by = models.CharField(max_length=50)
    taken_by = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+")
    due_on = models.DateField(_("to be answered by"))
    created_at = models.DateTimeField(_("asked"), auto_now_add=True)
    answered_at = models.DateTimeField(_("answered"), null=True)
    answered_by = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+")
    # What the person is told; a refusal has its reason here.
    answer = models.TextField(_("answer"), blank=True)
    # Erasing, while a worker is at it: where the step stands.
    lease_expires_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name = _("request about data")
        verbose_name_plural = _("requests about data")
        ordering = ["due_on", "created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["patient", "kind", "asked_by"],
                condition=models.Q(state__in=["OPEN", "RUNNING"]),
                name="rights_open_once",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="REFUSED") | ~models.Q(answer=""), name="rights_refused_with_reason"
            ),
        ]
        indexes = [
            # used by the page of what is open, and by the sweeper
            models.Index(
                fields=["tenant", "due_on"], condition=models.Q(state__in=["OPEN", "RUNNING"]), name="rights_open"
            ),
        ]

    @property
    def is_open(self) -> bool:
        return self.state in (RightsState.OPEN, RightsState.RUNNING)

    @property
    def is_late(self) -> bool:
        return self.is_open and self.due_on < timezone.localdate()

    @property
    def status(self) -> str:
        """For the badge (``agdar_ui.STATUS_CLASSES``)."""
        return self.state

    def get_status_display(self) -> str:
        return str(RightsState(self.state).label)


class SubjectExport(TenantModel):
    """A copy of all that is kept about one patient, made by a worker. The file lies in ``SubjectExportPart`` rows."""

    class Status(models.TextChoices):
        QUEUED = "QUEUED", _("Waiting")
        RUNNING = "RUNNING", _("Being made")
        READY = "READY", _("Ready")
        FAILED = "FAILED", _("Failed")
        # The file has been deleted; that it was there stays.
        EXPIRED = "EXPIRED", _("Deleted")

    patient = models.ForeignKey("core.Patient", on_delete=models.PROTECT, related_name="exports")
    request = models.ForeignKey(RightsRequest, on_delete=models.PROTECT, null=True, related_name="exports")
    # Whose addresses it may spell out: "patient:<id>" or "guardian:<id>"; everybody else's are masked.
    reader = models.CharField(max_length=50)
    asked_by = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+")
    language = models.CharField(_("language"), max_length=2, choices=Language.choices)
    status = models.CharField(_("status"), max_length=7, choices=Status.choices, default=Status.QUEUED)
    # Section → number of rows.
    counts = models.JSONField(default=dict)
    size = models.PositiveBigIntegerField(_("size"), default=0)
    digest = models.CharField(max_length=64, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_token = models.UUIDField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(_("asked"), auto_now_add=True)
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("copy of a patient's data")
        verbose_name_plural = _("copies of patients' data")
        ordering = ["-created_at"]
        indexes = [
            models.Index(
                fields=["created_at"],
                condition=models.Q(status__in=["QUEUED", "RUNNING"]),
                name="subject_export_unfinished",
            )
        ]

    @property
    def filename(self) -> str:
        """Says neither whose it is nor of which clinic."""
        return f"my-data-{self.created_at:%Y-%m-%d}-{str(self.pk)[:8]}.zip"


class SubjectExportPart(TenantModel):
    """A piece of the file."""

    export = models.ForeignKey(SubjectExport, on_delete=models.CASCADE, related_name="parts")
    position = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["export", "position"], name="subject_export_part_once")]


class LegalHold(TenantModel):
    """Nothing of this patient's is thrown away, by retention or on request, until the hold is lifted or its day is over."""

    patient = models.ForeignKey("core.Patient", on_delete=models.PROTECT, related_name="legal_holds")
    reason = models.CharField(_("reason"), max_length=300)
    # The last day on which it holds; empty: until somebody lifts it.
    until = models.DateField(_("until"), null=True, blank=True)
    placed_by = models.ForeignKey("core.User", on_delete=models.PROTECT, related_name="+")
    placed_at = models.DateTimeField(_("since"), auto_now_add=True)
    lifted_by = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+")
    lifted_at = models.DateTimeField(_("lifted"), null=True)
    # When what the hold had kept beyond its time was let go.
    settled_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("legal hold")
        verbose_name_plural = _("legal holds")
        ordering = ["-placed_at"]
        indexes = [
            # used by everything that throws away
            models.Index(fields=["tenant", "patient"], condition=models.Q(settled_at=None), name="hold_unsettled"),
        ]

    @property
    def is_in_force(self) -> bool:
        return self.lifted_at is None and (self.until is None or self.until >= timezone.localdate())


class ErasedWords(TenantModel):
    """The proof of what a message said, after its words are gone: a SHA-256 over id, subject and text.

    Whoever claims that a certain text was sent brings the text, and it fits or it does not. The id in it keeps two
    messages of the same words from having the same digest.
    """

    # Its own id is the message's or the reply's; ``core`` knows neither, and the proof outlives both.
    digest = models.CharField(max_length=64)
    erased_at = models.DateTimeField()

    class Meta:
        verbose_name = _("proof of erased words")
        verbose_name_plural = _("proofs of erased words")

    def __str__(self) -> str:
        return f"{self.pk} {self.digest[:12]}"
