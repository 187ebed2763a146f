"""Periodic work of the appointments. Safe to run twice at once; returns counts."""

from __future__ import annotations

from celery import shared_task

from appointments import reminders


@shared_task
def send_due_reminders_task() -> dict[str, int]:
    """Hands the reminders that are due to messaging."""
    return reminders.send_due_reminders()
