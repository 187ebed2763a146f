"""Our web process for benchmarks that look at whole pages: the files' names come from the benchmark's own folder.

``AGDAR_BENCH_PANELS`` says how many drawn panels the process may keep; 0 draws each anew.
"""

from __future__ import annotations

import os

from django.conf import settings

settings.STATIC_ROOT = os.environ["AGDAR_BENCH_STATIC"]

from agdar.wsgi import application  # noqa: E402  # the files are listed when it is made
from notifications import panels  # noqa: E402

panels.PANELS.kept = int(os.environ.get("AGDAR_BENCH_PANELS", panels.KEPT))

__all__ = ["application"]
