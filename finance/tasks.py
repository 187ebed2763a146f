"""Periodic work of the money. Safe to run twice at once; returns counts."""

from __future__ import annotations

from celery import shared_task

from finance import payment_reminders


@shared_task
def send_payment_reminders_task() -> dict[str, int]:
    """Reminds of the open bills whose day it is."""
    return payment_reminders.send_due()
