"""One measure and how it is written down. Knows nothing of Django."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """``baseline`` is the floor of the same run, ``goal`` the most that ``value`` may be."""

    name: str
    value: float
    unit: str
    baseline: float
    goal: float

    @property
    def ratio(self) -> float:
        return self.value / self.baseline

    @property
    def met(self) -> bool:
        return self.value <= self.goal

    def as_json(self) -> str:
        fields = {
            "name": self.name,
            "value": round(self.value, 2),
            "unit": self.unit,
            "baseline": round(self.baseline, 2),
            "ratio": round(self.ratio, 2),
            "goal": self.goal,
            "met": self.met,
        }
        return json.dumps(fields)

    def as_text(self) -> str:
        verdict = "met" if self.met else "MISSED"
        return (
            f"{self.name:<36} {self.value:8.1f} {self.unit}   floor {self.baseline:8.1f}   ratio {self.ratio:6.2f}   "
            f"goal {self.goal:g} {verdict}"
        )


def p95(samples: Sequence[float]) -> float:
    """The 95th percentile; twenty samples are the least that have one."""
    if len(samples) < 20:
        raise ValueError("too few samples for a 95th percentile")
    return statistics.quantiles(samples, n=20)[-1]
