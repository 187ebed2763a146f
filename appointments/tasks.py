"""Periodic work of the appointments. Safe to run twice at once; returns counts."""

from __future__ import annotations

from celery import shared_task

from appointments import absences, free_slots, reminders


@shared_task
def send_due_reminders_task() -> dict[str, int]:
    """Hands the reminders that are due to messaging."""
    return reminders.send_due_reminders()


@shared_task
def replan_reminders_task() -> dict[str, int]:
    """Plans the reminders to come anew where rules, quiet hours or clocks have changed."""
    return reminders.replan()


@shared_task
def tend_waiting_list_task() -> dict[str, int]:
    """Ends the holds that are over and offers what is free to the next on the waiting list."""
    return free_slots.tend()


@shared_task
def finish_absences_task() -> dict[str, int]:
    """Finishes what a crash has left half done of a provider's absence."""
    return absences.finish_all()
