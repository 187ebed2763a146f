"""One measure and how it is written down. Knows nothing of Django."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Goal(Enum):
    """How ``Measure.goal`` is read: a limit of the value or of the ratio, above or below."""

    AT_MOST = "≤ {0:g}"
    AT_LEAST = "≥ {0:g}"
    RATIO_AT_LEAST = "≥ {0:g} ×"


@dataclass(frozen=True)
class Measure:
    """``baseline`` is the other side of the same run, in the same unit; None where there is none."""

    name: str
    value: float
    unit: str
    baseline: float | None
    goal: float | None
    kind: Goal = Goal.AT_MOST

    @property
    def ratio(self) -> float | None:
        return self.value / self.baseline if self.baseline else None

    @property
    def met(self) -> bool:
        """A measure without a goal is told for the reader, and cannot be missed."""
        if self.goal is None:
            return True
        if self.kind is Goal.AT_MOST:
            return self.value <= self.goal
        reached = self.value if self.kind is Goal.AT_LEAST else self.ratio
        return reached is not None and reached >= self.goal

    def as_json(self) -> str:
        fields = {
            "name": self.name,
            "value": round(self.value, 2),
            "unit": self.unit,
            "baseline": None if self.baseline is None else round(self.baseline, 2),
            "ratio": None if self.ratio is None else round(self.ratio, 2),
            "goal": self.goal,
            "met": self.met,
        }
        return json.dumps(fields)

    def as_text(self) -> str:
        baseline = "" if self.baseline is None else f"baseline {self.baseline:8.1f}   ratio {self.ratio:6.2f}"
        verdict = "" if self.goal is None else f"goal {self.kind.value.format(self.goal)} {self._verdict()}"
        return f"{self.name:<36} {self.value:9.1f} {self.unit:<4} {baseline:<36} {verdict}".rstrip()

    def _verdict(self) -> str:
        return "met" if self.met else "MISSED"


def p95(samples: Sequence[float]) -> float:
    """The 95th percentile; twenty samples are the least that have one."""
    if len(samples) < 20:
        raise ValueError("too few samples for a 95th percentile")
    return statistics.quantiles(samples, n=20)[-1]
