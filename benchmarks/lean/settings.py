"""The least that Django and Celery need for the common way, at its best: connections are kept open for good."""

from __future__ import annotations

import os

import environ

SECRET_KEY = "bench"  # signs nothing
USE_TZ = True
INSTALLED_APPS = ["benchmarks.lean"]
DATABASES = {"default": environ.Env.db_url_config(os.environ["DATABASE_URL"]) | {"CONN_MAX_AGE": None}}
