"""The desk's work list: what a person has to do because of a message, a reply or a date."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.models import Role
from core.tenancy import TenantModel
from notifications.states import TaskKind, TaskState


class DeskTask(TenantModel):
    """One thing to do, once: ``key`` is unique among the open ones. Written by ``notifications/desk_tasks.py`` only."""

    kind = models.CharField(_("what to do"), max_length=13, choices=TaskKind.choices)
    state = models.CharField(_("state"), max_length=4, choices=TaskState.choices, default=TaskState.OPEN)
    key = models.CharField(max_length=160)
    role = models.CharField(_("for"), max_length=12, choices=Role.choices, default=Role.FRONT_DESK)
    is_urgent = models.BooleanField(_("urgent"), default=False)
    patient = models.ForeignKey("core.Patient", on_delete=models.CASCADE, null=True, related_name="desk_tasks")
    location = models.ForeignKey("core.Location", on_delete=models.CASCADE, null=True, related_name="+")
    # What it is about: a visit, a message, a reply, a request. Its page is found by notifications/links.py.
    object_type = models.CharField(max_length=60, blank=True)
    object_id = models.UUIDField(null=True)
    # What the words of the page need besides: ids, dates, codes; no names and no texts.
    details = models.JSONField(default=dict)
    due_at = models.DateTimeField(_("until"), null=True)
    created_at = models.DateTimeField(_("since"), auto_now_add=True)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+")
    note = models.CharField(_("note"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("task of the desk")
        verbose_name_plural = _("tasks of the desk")
        ordering = ["-is_urgent", "due_at", "created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "key"], condition=models.Q(state="OPEN"), name="desk_task_open_once"
            )
        ]
        indexes = [
            # used by the list and its number in the menu
            models.Index(fields=["tenant", "role", "due_at"], condition=models.Q(state="OPEN"), name="desk_task_open"),
            # used by who closes the tasks of a thing that has changed
            models.Index(fields=["object_id"], condition=models.Q(state="OPEN"), name="desk_task_by_object"),
        ]
