from __future__ import annotations

from integrations.tests.fakes import provider

__all__ = ["provider"]
