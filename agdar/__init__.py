"""Wiring only: settings, Celery, URLs."""

from agdar.celery import app as celery_app

__all__ = ["celery_app"]
