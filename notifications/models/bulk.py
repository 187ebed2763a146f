"""Bulk sends: one row a send, one a recipient, one a row of a file that could not be used; and the rules of the classes.

Written by ``integrations/bulk/`` (the sends) and ``notifications/message_classes.py`` (the rules) only.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.tenancy import TenantModel
from notifications.bulk_states import BulkSource, BulkState, MessageClass, RowProblem
from notifications.models.template import MessageTemplate
from notifications.states import Channel, Reason


class ClassRule(TenantModel):
    """When messages of a class may leave, and from how many on a second person decides. Without a row: the defaults."""

    message_class = models.CharField(_("class"), max_length=11, choices=MessageClass.choices)
    # The wall clock of the place the send is about; half open: at ``closes_at`` nothing leaves any more.
    opens_at = models.TimeField(_("from"))
    closes_at = models.TimeField(_("until"))
    # A send to more people than this needs a second person.
    approval_above = models.PositiveIntegerField(_("second person above"))
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("rule of a message class")
        verbose_name_plural = _("rules of message classes")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "message_class"], name="class_rule_once"),
            models.CheckConstraint(
                condition=models.Q(closes_at__gt=models.F("opens_at")), name="class_rule_opens_before_it_closes"
            ),
        ]

    def __str__(self) -> str:
        return self.message_class


class BulkSend(TenantModel):
    """One send to many. Audience and words are frozen when it is checked: what is approved is what goes out."""

    name = models.CharField(_("name"), max_length=120)
    source = models.CharField(_("audience"), max_length=7, choices=BulkSource.choices)
    message_class = models.CharField(_("class"), max_length=11, choices=MessageClass.choices)
    # A service message that cannot wait for the morning: the class's hours do not hold it.
    is_urgent = models.BooleanField(_("urgent"), default=False)
    state = models.CharField(_("state"), max_length=9, choices=BulkState.choices, default=BulkState.DRAFT)
    # The filters as they were chosen: name → value, for the people who read it later.
    audience = models.JSONField(default=dict)
    file_name = models.CharField(max_length=200, blank=True)
    # Rows of the file, and how many of them could not be used.
    row_count = models.PositiveIntegerField(default=0)
    error_count = models.PositiveIntegerField(default=0)
    # What the recipients' ``object_id`` names: the visits that are called off.
    object_type = models.CharField(max_length=60, blank=True)
    # Placeholders that the audience has values for, beside those every message has.
    variables = models.JSONField(default=list)
    # Empty: each one's preferred channel among those with words.
    channel = models.CharField(_("channel"), max_length=8, choices=Channel.choices, blank=True)
    template = models.ForeignKey(
        MessageTemplate, on_delete=models.PROTECT, null=True, blank=True, related_name="bulk_sends", db_index=False
    )
    # channel → the words as they will be sent: subject_en, subject_ar, body_en, body_ar, template_id, version, variables.
    words = models.JSONField(default=dict)
    # Whose wall clock the times below are.
    timezone = models.CharField(max_length=64)
    scheduled_at = models.DateTimeField(_("starts at"), null=True)
    sends_from = models.TimeField(_("sends from"), null=True)
    sends_until = models.TimeField(_("sends until"), null=True)
    useful_hours = models.PositiveSmallIntegerField(_("useful for hours"), default=24)
    expires_at = models.DateTimeField(_("useful until"), null=True)
    # Of the check: how many get it, over which channels, who not and why, segments, cost.
    totals = models.JSONField(default=dict)
    # The position of the last recipient whose message exists.
    cursor = models.PositiveIntegerField(default=0)
    lease_token = models.UUIDField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    again_of = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="repeats")
    created_by = models.ForeignKey("core.User", on_delete=models.PROTECT, related_name="+", db_index=False)
    # Ids of those who wrote the words or asked for it to be sent. None of them approves it, nor does ``created_by``.
    editors = models.JSONField(default=list)
    approved_by = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    checked_at = models.DateTimeField(null=True)
    approved_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    # When the last message had been written; until then a pause ends in STARTING again.
    written_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("bulk send")
        verbose_name_plural = _("bulk sends")
        ordering = ["-created_at", "-pk"]
        indexes = [
            models.Index(fields=["tenant", "-created_at"], name="bulk_latest"),
            # used by every claim: which sends hold their messages back; and by the sweeper
            models.Index(
                fields=["tenant", "state"],
                condition=models.Q(finished_at=None) & ~models.Q(state__in=["DRAFT", "CHECKED", "AWAITING"]),
                name="bulk_under_way",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class BulkRecipient(TenantModel):
    """One person of a send's audience, in the order in which they are written to."""

    # The send's own tenant is checked; this copy, which never differs, only serves the scope.
    tenant = models.ForeignKey(
        "core.Tenant", on_delete=models.PROTECT, related_name="+", editable=False, db_index=False, db_constraint=False
    )
    bulk = models.ForeignKey(BulkSend, on_delete=models.CASCADE, related_name="recipients", db_index=False)
    position = models.PositiveIntegerField()
    patient = models.ForeignKey("core.Patient", on_delete=models.CASCADE, related_name="+", db_index=False)
    # The row of the file it came from.
    row = models.PositiveIntegerField(null=True)
    # Values of placeholders, as ``notifications.bulk_values`` writes them down.
    values = models.JSONField(default=dict)
    # What the message is about, so that it is withdrawn when that changes: a visit and its version.
    object_id = models.UUIDField(null=True)
    object_version = models.PositiveIntegerField(default=0)
    # Of the check. Why nothing goes to this person; and who is told for them (the position of a relative with the same number).
    reason = models.CharField(_("reason"), max_length=30, choices=Reason.choices, blank=True)
    folded_into = models.PositiveIntegerField(null=True)

    class Meta:
        verbose_name = _("recipient")
        verbose_name_plural = _("recipients")
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["bulk", "position"], name="bulk_recipient_position")]

    def __str__(self) -> str:
        return str(self.position)


class BulkRowError(TenantModel):
    """A row of an uploaded list that could not be used: where and why, never its content."""

    tenant = models.ForeignKey(
        "core.Tenant", on_delete=models.PROTECT, related_name="+", editable=False, db_index=False, db_constraint=False
    )
    bulk = models.ForeignKey(BulkSend, on_delete=models.CASCADE, related_name="row_errors", db_index=False)
    row = models.PositiveIntegerField(_("row"))
    column = models.CharField(_("column"), max_length=80, blank=True)
    problem = models.CharField(_("what is wrong"), max_length=20, choices=RowProblem.choices)
    # The earlier row that this one repeats.
    other_row = models.PositiveIntegerField(null=True)

    class Meta:
        verbose_name = _("row that cannot be used")
        verbose_name_plural = _("rows that cannot be used")
        ordering = ["row"]
        constraints = [models.UniqueConstraint(fields=["bulk", "row"], name="bulk_row_error_once")]

    def __str__(self) -> str:
        return f"{self.row} {self.problem}"
