"""django-post_office in a process of its own, on the settings that its caller gives.

``python -m benchmarks.lean.post_office SIZE BATCH THREADS PROCESSES WORDS``: queues SIZE mails, rendered from the template
in the file WORDS (JSON: subject, content, html_content); prints the seconds that took; waits for a line; sends them all;
prints the seconds that took.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import environ


def configure(batch: int, threads: int) -> None:
    import django
    from django.conf import settings

    mail: dict[str, Any] = environ.Env.email_url_config(os.environ["EMAIL_URL"])
    settings.configure(
        SECRET_KEY="bench",
        USE_TZ=True,
        INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
        DATABASES={"default": environ.Env.db_url_config(os.environ["DATABASE_URL"]) | {"CONN_MAX_AGE": None}},
        DEFAULT_FROM_EMAIL="Agdar <no-reply@agdar.example>",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        POST_OFFICE={
            "BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"},
            "BATCH_SIZE": batch,
            "THREADS_PER_PROCESS": threads,
            # No rows for what was sent well.
            "LOG_LEVEL": 0,
            "SENDING_ORDER": ["id"],
        },
        **mail,
    )
    django.setup()


def queue(size: int, words: dict[str, str]) -> float:
    from post_office import mail
    from post_office.models import Email, EmailTemplate

    Email.objects.all().delete()
    template, _is_new = EmailTemplate.objects.get_or_create(name="bench", defaults=words)
    began = time.perf_counter()
    for first in range(0, size, 1000):
        mail.send_many(
            [
                {
                    "recipients": f"patient{number}@mail.example",
                    "template": template,
                    "context": {"patient_name": "Sara Al-Mutairi"},
                }
                for number in range(first, min(first + 1000, size))
            ]
        )
    return time.perf_counter() - began


def send(size: int, processes: int) -> float:
    from django.db import connection
    from post_office import mail

    began = time.perf_counter()
    sent = 0
    while sent < size:
        counts = mail.send_queued(processes=processes)
        sent += counts[0]
        if processes > 1:
            # As post_office's own command does: its forked processes have closed the connection that they inherited.
            connection.close()
        if not counts[0]:
            raise RuntimeError(f"post_office sent {sent} of {size} only")
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("size", "batch", "threads", "processes"):
        parser.add_argument(name, type=int)
    parser.add_argument("words", type=Path)
    chosen = parser.parse_args()
    configure(chosen.batch, chosen.threads)
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    print(queue(chosen.size, json.loads(chosen.words.read_text())), flush=True)
    sys.stdin.readline()
    print(send(chosen.size, chosen.processes), flush=True)


if __name__ == "__main__":
    main()
