"""django-notifications-hq 1.8.3 beside ours: a copy that Django 5.2 can import, and how its processes are started.

The package is called ``notifications`` like our own app. So its processes run in a folder of their own, where the name
is its copy; our modules come after it on their path. The copy differs in one line: ``index_together``, which Django 5.2
no longer knows. The index itself is there, its migrations make it.

::

    site = hq.Site.made_in(folder)                      # DATABASE_URL: the one in the environment, in a schema "hq"
    cookies = site.seed(size=1_000_000, users=200)      # one session key a user
    with process("hq", servers.gunicorn(port, hq.WSGI), folder, site.environment, cwd=site.folder): ...
    site.run("benchmarks.staff_bell.my_script", 10_000)  # anything in its own process; gives what it printed
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from benchmarks.services import ROOT, python

VERSION = "1.8.3"
WSGI = "benchmarks.staff_bell.hq_wsgi:application"
UNREAD_COUNT = "/inbox/notifications/api/unread_count/"
UNREAD_LIST = "/inbox/notifications/api/unread_list/"
_OLD_LINE = "        index_together = ('recipient', 'unread')\n"


@dataclass(frozen=True)
class Site:
    """The folder its processes run in, and what they need in their environment."""

    folder: Path
    environment: dict[str, str]

    @classmethod
    def made_in(cls, folder: Path) -> Site:
        home = folder / "hq"
        shutil.copytree(_installed(), home / "notifications", ignore=shutil.ignore_patterns("__pycache__"))
        models = home / "notifications" / "base" / "models.py"
        text = models.read_text()
        if text.count(_OLD_LINE) != 1:
            raise RuntimeError("django-notifications-hq is not the version that is known here")
        models.write_text(text.replace(_OLD_LINE, ""))
        return cls(
            home,
            {
                "DJANGO_SETTINGS_MODULE": "benchmarks.staff_bell.hq_settings",
                "PYTHONPATH": f"{home}:{ROOT}",
                # Its views still ask distutils which Django this is.
                "PYTHONWARNINGS": "ignore::DeprecationWarning",
            },
        )

    def run(self, module: str, *arguments: object) -> str:
        """Runs a module in its own process; gives what it printed."""
        done = subprocess.run(
            python(module, *arguments),
            env={**os.environ, **self.environment},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{module} ended with {done.returncode}")
        return done.stdout

    def seed(self, *, size: int, users: int) -> list[str]:
        """Users, ``size`` rows spread evenly over them, one in a hundred unread; gives a session key a user."""
        keys: list[str] = json.loads(self.run("benchmarks.staff_bell.hq_rows", size, users))
        return keys


def _installed() -> Path:
    """Where pip put it: the site-packages of this Python, past our own app of that name."""
    if metadata.version("django-notifications-hq") != VERSION:
        raise RuntimeError(f"needs django-notifications-hq {VERSION}")
    folder = metadata.distribution("django-notifications-hq").locate_file("notifications")
    return Path(str(folder))
