"""Structured logs: one event name and ids. Personal data has no place in them (invariant 12)."""

from __future__ import annotations

import logging
from typing import Any

import structlog

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


class RouteNotPath(logging.Filter):
    """Django logs the path of a failed request; ours may hold a patient's link, so the route stands for it."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        if request is not None:
            match = getattr(request, "resolver_match", None)
            record.msg = "request_failed status=%s route=%s"
            record.args = (getattr(record, "status_code", 500), match.route if match else None)
        return True


def logging_config(*, level: str, as_json: bool) -> dict[str, Any]:
    """The ``LOGGING`` dictionary; sets structlog up on the way."""
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    renderer,
                ],
            }
        },
        "filters": {"route_not_path": {"()": RouteNotPath}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "django": {"level": "WARNING"},
            "django.request": {"level": "ERROR", "filters": ["route_not_path"]},
            # These two print addresses and whole requests at INFO.
            "twilio": {"level": "WARNING"},
            "axes": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            # "No hostname was supplied": the embedded broker is a file.
            "kombu.connection": {"level": "ERROR"},
            "aiosmtpd": {"level": "ERROR"},
            "mail.log": {"level": "ERROR"},
        },
    }
