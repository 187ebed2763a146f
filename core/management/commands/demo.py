"""``manage.py demo``: a living demo clinic in one terminal. Called by ``bin/demo``.

Sets up the embedded database and broker in ``var/``, loads the demo data, and runs web, worker, beat and the sandbox
provider as child processes until Ctrl-C. It never touches the services that the environment or ``.env`` names.
Everything that works on the data runs in a child with the demo's own environment; this process opens no database.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any

from celery import current_app
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core.demo_accounts import DEMO_ACCOUNTS, DEMO_PASSWORD
from core.management.supervisor import Child, Supervisor
from notifications import push_keys

# About five seconds on an idle machine; much longer on one that is busy with something else.
READY_WITHIN_SECONDS = 120.0
# What the environment may say about other services, and the demo does not follow.
_FOREIGN = (
    *("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"),
    *("SMS_PROVIDER", "WHATSAPP_PROVIDER", "EMAIL_PROVIDER", "EMAIL_URL"),
    *("VAPID_PRIVATE_KEY", "VAPID_SUBJECT"),
)
# The demo's own files in var/; the test databases beside them are left alone by --fresh.
_FILES = ("agdar.sqlite3", "broker.sqlite3", "sandbox.sqlite3", "celerybeat-schedule")


class Command(BaseCommand):
    help = "Runs the whole demo (web, worker, beat, sandbox provider) until Ctrl-C."
    requires_system_checks = ()  # the children check, in the demo's environment

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--port", type=_port, default=8000, help="the port of the web pages (8000)")
        parser.add_argument("--fresh", action="store_true", help="throw the demo's data away and start over")

    def handle(self, *args: Any, port: int, fresh: bool, **options: Any) -> None:
        var = Path(settings.VAR_DIR)
        var.mkdir(exist_ok=True)
        lock = _lock_or_refuse(var / "demo.lock")
        if not _is_free(port):
            raise CommandError(f"Port {port} is taken. Choose another one: bin/demo --port {port + 1}")
        environment = demo_environment(var, port)
        lock.write(environment["PUBLIC_BASE_URL"])
        lock.flush()

        ignored = [name for name in _FOREIGN if os.environ.get(name, environment[name]) != environment[name]]
        if ignored:
            self.stdout.write(f"The demo uses its own services in var/ and ignores {', '.join(ignored)}.")
        if fresh:
            for name in _FILES:
                for path in var.glob(f"{name}*"):
                    path.unlink()
        self._prepare(environment, "migrate", "--verbosity", "0")
        self._prepare(environment, "seed_demo")

        supervisor = Supervisor(demo_children(environment, port))
        code = supervisor.run(self._greet(environment))
        supervisor.say("Agdar has stopped.")
        lock.close()
        sys.exit(code)

    def _prepare(self, environment: dict[str, str], *command: str) -> None:
        """One preparing command, in the demo's environment and before anything is started."""
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            # Its own lines say what it does; what the services log of the invented past interests nobody.
            env={"LOG_LEVEL": "WARNING"} | environment,
            cwd=settings.BASE_DIR,
            check=False,
        )
        if done.returncode:
            raise CommandError(f"“{command[0]}” failed, see above. bin/demo --fresh starts over with new data.")

    def _greet(self, environment: dict[str, str]) -> Any:
        def when_started(supervisor: Supervisor) -> bool:
            supervisor.say("Starting web, worker, beat and the sandbox provider …")
            deadline = time.monotonic() + READY_WITHIN_SECONDS
            while time.monotonic() < deadline:
                if supervisor.wait(0.25) or not supervisor.keep_alive():
                    return False
                missing = not_ready(environment["PUBLIC_BASE_URL"])
                if not missing:
                    supervisor.say(welcome(environment))
                    return True
            supervisor.say(
                f"Not ready after {READY_WITHIN_SECONDS:.0f} s: {missing}. Stopping; the lines above say why."
            )
            return False

        return when_started


def demo_environment(var: Path, port: int) -> dict[str, str]:
    """The environment of every child: what the machine says, overruled wherever it could lead outside ``var/``."""
    sandbox, mail = _free_port(8025, taken={port}), _free_port(8026, taken={port, 8025})
    address = f"http://127.0.0.1:{port}"
    unproxied = ",".join(
        filter(None, [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), "127.0.0.1,localhost"])
    )
    return os.environ | {
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": unproxied,
        "no_proxy": unproxied,
        "DEBUG": "True",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "SECURE_COOKIES": "False",
        "SECURE_SSL_REDIRECT": "False",
        "SECURE_HSTS_SECONDS": "0",
        "BEHIND_PROXY": "False",
        "DATABASE_URL": f"sqlite:///{var / 'agdar.sqlite3'}",
        "REDIS_URL": "",
        "CELERY_BROKER_URL": f"sqlite:///{var / 'broker.sqlite3'}",
        "PUBLIC_BASE_URL": address,
        "SMS_PROVIDER": "sandbox",
        "WHATSAPP_PROVIDER": "sandbox",
        "SANDBOX_WHATSAPP_APPROVAL": "True",
        "SANDBOX_URL": f"http://127.0.0.1:{sandbox}",
        "EMAIL_PROVIDER": "smtp",
        "EMAIL_URL": f"smtp://127.0.0.1:{mail}",
        "BELL_POLL_MS": "2000",
        # Push messages go to the browsers' services only when somebody turns push on.
        "VAPID_PRIVATE_KEY": demo_push_key(var),
        "VAPID_SUBJECT": "mailto:demo@agdar.example",
    }


def demo_push_key(var: Path) -> str:
    """The demo's own key, made once: browsers that subscribed stay subscribed."""
    path = var / "vapid.key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(push_keys.new_private_key())
    return path.read_text().strip()


def demo_children(environment: dict[str, str], port: int) -> list[Child]:
    queues = [queue.name for queue in current_app.conf.task_queues]
    python = sys.executable
    # Somebody may well try the demo as root in a container; Celery's sermon about it would bury the first lines.
    celery = [python, "-W", "ignore:You're running the worker", "-m", "celery", "--quiet", "--app", "agdar"]
    commands = {
        "sandbox": [python, "manage.py", "sandbox"],
        "web": [
            *(python, "-m", "gunicorn", "agdar.wsgi", "--bind", f"127.0.0.1:{port}"),
            *("--worker-class", "gthread", "--threads", "8", "--graceful-timeout", "3", "--keep-alive", "5"),
            *("--no-control-socket", "--log-level", "warning"),
        ],
        "worker": [
            *(*celery, "worker", "--pool", "prefork", "--concurrency", "2"),
            *("--queues", ",".join(queue for queue in queues if queue != "bulk")),
            *("--loglevel", "WARNING", "--without-gossip", "--without-mingle"),
        ],
        # A worker of its own, so that nobody's confirmation waits behind a bulk send.
        "bulk": [
            *(*celery, "worker", "--pool", "prefork", "--concurrency", "1", "--queues", "bulk"),
            *("--hostname", "bulk@%h", "--loglevel", "WARNING", "--without-gossip", "--without-mingle"),
        ],
        "beat": [*celery, "beat", "--loglevel", "WARNING"],
    }
    return [Child(name, command, environment) for name, command in commands.items()]


def not_ready(address: str) -> str:
    """What /readyz still misses, in words; empty when everything is there."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/readyz", timeout=5) as response:
            response.read()
            return ""
    except urllib.error.HTTPError as error:
        checks = json.loads(error.read()).get("checks", {}) if error.code == 503 else {"web": f"status {error.code}"}
        return ", ".join(f"{name}: {answer}" for name, answer in checks.items() if answer != "ok")
    except OSError:
        return "web: does not answer"


def welcome(environment: dict[str, str]) -> str:
    address = environment["PUBLIC_BASE_URL"]
    roles = {"ADMIN": "admin", "FRONT_DESK": "front desk", "PROVIDER": "provider", "PATIENT": "patient"}
    accounts = "\n".join(
        f"    {account.email:<20} {roles[account.role]:<11} {account.name_en}" for account in DEMO_ACCOUNTS
    )
    rule = "─" * 78
    return f"""
{rule}
  Agdar is ready:        {address}/
  The patient's phone:   {address}/sandbox/

  Accounts, all with the password  {DEMO_PASSWORD}
{accounts}

  What to try
    1. Sign in as the front desk (desk@noor.example) and book a visit with Layla Hassan.
    2. In a second browser sign in as layla@noor.example: the bell rings by itself.
    3. Confirm the visit, then look at the patient's phone and mailbox in the sandbox.
    4. Open the message in the message list: its timeline goes from created to read.
    5. Move the visit, mark it arrived, complete it; switch to Arabic at the top of the page.

  Ctrl-C stops everything. The data stays in var/; bin/demo --fresh starts over.
{rule}
"""


def _port(text: str) -> int:
    if not text.isdecimal() or not 1024 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError("a number from 1024 to 65535")
    return int(text)


def _lock_or_refuse(path: Path) -> IO[str]:
    """One demo per folder: two beats on one database would be one too many."""
    lock = path.open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        raise CommandError(
            f"A demo is already running from this folder: {lock.read() or 'it is still starting'}"
        ) from error
    lock.truncate(0)
    return lock


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port(wish: int, *, taken: set[int]) -> int:
    """The port wished for, or any other that is free."""
    if wish not in taken and _is_free(wish):
        return wish
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
