"""``bin/test``: one pass on the embedded database and broker, one on PostgreSQL and Redis where they are, one table."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from tests import parts

# Nothing that .env or the machine says may reach the tests, except through the finders.
NEUTRAL = {
    "DEBUG": "True",
    "SECRET_KEY": "insecure-demo-key-never-for-production",
    "ALLOWED_HOSTS": "127.0.0.1,localhost,testserver",
    "PUBLIC_BASE_URL": "http://127.0.0.1:8000",
    "REDIS_URL": "",
    "SMS_PROVIDER": "sandbox",
    "WHATSAPP_PROVIDER": "sandbox",
    "EMAIL_PROVIDER": "smtp",
    "SECURE_COOKIES": "False",
    "SECURE_SSL_REDIRECT": "False",
    "LOG_LEVEL": "WARNING",
}
# pytest's own code for "no test selected".
NOTHING_SELECTED = 5


def main(arguments: list[str]) -> int:
    parts.VAR.mkdir(exist_ok=True)
    postgres, redis, chromium = parts.find_postgres(), parts.find_redis(), parts.find_chromium()
    missing = {
        name: found.why_not
        for name, found in {"PostgreSQL": postgres, "Redis": redis, "browser": chromium}.items()
        if not found
    }
    embedded = {
        "DATABASE_URL": f"sqlite:///{parts.VAR / 'test-main.sqlite3'}",
        "CELERY_BROKER_URL": f"sqlite:///{parts.VAR / 'test-broker.sqlite3'}",
        "AGDAR_TEST_DB": "test-embedded.sqlite3",
        # Those tests run in the second pass, or nowhere; then the table says why.
        "AGDAR_LEAVE_OUT": "postgres,redis",
    }
    passes = {"SQLite and the embedded broker": embedded}
    if postgres or redis:
        # What a browser shows does not hang on the database, and its tests are the longest: they run once.
        embedded["AGDAR_LEAVE_OUT"] += ",browser"
        names = [name for name, found in (("PostgreSQL", postgres), ("Redis", redis)) if found]
        names += [name for name, found in (("SQLite", postgres), ("the embedded broker", redis)) if not found]
        passes[" and ".join(names)] = {
            "DATABASE_URL": _own_database(postgres.address) if postgres else embedded["DATABASE_URL"],
            "CELERY_BROKER_URL": redis.address or embedded["CELERY_BROKER_URL"],
            "AGDAR_TEST_DB": "test-services.sqlite3",
            "AGDAR_LEAVE_OUT": ",".join(
                marker for marker, found in (("postgres", postgres), ("redis", redis)) if not found
            ),
        }

    total, codes = parts.Run(), []
    for title, environment in passes.items():
        print(f"\n── The suite on {title} " + "─" * max(0, 60 - len(title)), flush=True)
        began = time.monotonic()
        code, run = _pytest(arguments, NEUTRAL | environment)
        print(f"({time.monotonic() - began:.0f} s)", flush=True)
        codes.append(code)
        total.merge(run)

    print("\nparts")
    print("\n".join(f"  {line}" for line in parts.table(total, missing)))
    refused = [name for name in missing if parts.PARTS[name] in parts.required()]
    for name in refused:
        print(f"AGDAR_REQUIRE asks for {parts.PARTS[name]}, which is not there: {missing[name]}")
    counts = total.total
    print(f"\n{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped", flush=True)
    if refused:
        return 1
    # A selection (-k, a path) may leave one of the passes empty.
    worst = [code for code in codes if code not in (0, NOTHING_SELECTED)]
    return worst[0] if worst else min(codes)


def _pytest(arguments: list[str], environment: dict[str, str]) -> tuple[int, parts.Run]:
    # In parallel when everything runs; a selection is usually short, and its output easier to read in order.
    parallel = [] if arguments else ["-n", "2", "--dist", "worksteal"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "parts.json"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *parallel, *arguments],
            env=os.environ | environment | {"AGDAR_PARTS_FILE": str(report)},
            cwd=parts.ROOT,
            check=False,
        )
        run = parts.Run.load(report.read_text()) if report.exists() else parts.Run()
    return done.returncode, run


def _own_database(url: str) -> str:
    """The same server, a name of this folder's own: two clones may test at the same time."""
    name = f"agdar_{hashlib.sha256(str(parts.ROOT).encode()).hexdigest()[:8]}"
    return urlsplit(url)._replace(path=f"/{name}").geturl()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
