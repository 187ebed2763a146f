"""Numbers of past days, counted once. Their one writer is ``notifications/rollups.py``, which also says what is read.

They are a copy: every row can be counted again from the messages, attempts, visits and alerts of its day.
"""

from __future__ import annotations

from enum import StrEnum

from django.db import models

from core.tenancy import TenantModel


class Dimension(StrEnum):
    """What the rows of a day are divided by, and what their ``key`` is then."""

    STATUS = "STATUS"  # key: the status
    TYPE = "TYPE"  # key: the notification type
    TEMPLATE = "TEMPLATE"  # key: the template's id, empty for words typed by a person
    DEPARTMENT = "DEPARTMENT"  # key: the department's id, empty for none
    CAUSE = "CAUSE"  # key: the reason, or "provider:code", of what did not arrive
    # key: the provider; bucket: milliseconds at most, 0 for more than all of them or unknown
    CALL = "CALL"
    VISIT = "VISIT"  # key: "reminded" or "unreminded"
    ALERT = "ALERT"  # key: "answered" or "unanswered"; bucket: whole minutes


class DailyCount(TenantModel):
    """One group of one local day of a tenant (``RollupState.zone``). Counts of messages, unless ``Dimension`` says else.

    ``sent``: a provider accepted it, whatever came of it; ``delivered`` includes ``read``; ``failed``: FAILED and
    BOUNCED. CALL: ``messages`` are calls, ``sent`` those that were accepted. VISIT: ``messages`` are visits that took
    place or should have, ``failed`` those to which nobody came.
    """

    tenant = models.ForeignKey(
        "core.Tenant", on_delete=models.PROTECT, related_name="+", editable=False, db_index=False
    )
    day = models.DateField()
    dimension = models.CharField(max_length=10)
    key = models.CharField(max_length=80, blank=True)
    channel = models.CharField(max_length=8, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    bucket = models.PositiveIntegerField(default=0)
    messages = models.PositiveIntegerField(default=0)
    sent = models.PositiveIntegerField(default=0)
    delivered = models.PositiveIntegerField(default=0)
    read = models.PositiveIntegerField(default=0)
    clicked = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    segments = models.PositiveIntegerField(default=0)
    cost = models.DecimalField(max_digits=16, decimal_places=5, default=0)

    class Meta:
        constraints = [
            # Also the index of every reader: a tenant's dimension, from day to day.
            models.UniqueConstraint(
                fields=["tenant", "dimension", "day", "key", "channel", "currency", "bucket"], name="daily_count_once"
            )
        ]


class RollupState(TenantModel):
    """How far a tenant's days are counted. Later days, and those with a mark, are counted live by whoever reads."""

    tenant = models.OneToOneField("core.Tenant", on_delete=models.CASCADE, related_name="+", editable=False)
    # The clock whose midnights divide the days; another one means counting all again.
    zone = models.CharField(max_length=64)
    # The last day that is counted; None: none is yet.
    closed_through = models.DateField(null=True)
    checked_at = models.DateTimeField(null=True)


class RollupMark(TenantModel):
    """Something that belongs to that hour has changed after the fact. Written in the transaction of the change.

    Many for one hour are many rows: nobody waits for anybody, and none is lost while its day is being counted.
    """

    tenant = models.ForeignKey(
        "core.Tenant", on_delete=models.CASCADE, related_name="+", editable=False, db_index=False
    )
    hour = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["tenant", "hour"], name="rollup_mark_by_hour")]
