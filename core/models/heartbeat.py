"""Signs of life of the processes, one row each. Read by ``/readyz``."""

from __future__ import annotations

from django.db import models


class Heartbeat(models.Model):
    """``name`` is the process kind (worker, beat); ``at`` its last sign of life."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
