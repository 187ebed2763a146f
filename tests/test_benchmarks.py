"""The benchmark harness: its arithmetic and what it prints. The measures themselves run by ``bin/bench``."""

from __future__ import annotations

import json

import pytest

from benchmarks.__main__ import NAMES
from benchmarks.measure import Measure, p95


def test_a_measure_is_one_json_object_with_the_agreed_fields() -> None:
    measure = Measure("event_to_row_p95", 140.704, "ms", 56.2, 1000.0)
    assert json.loads(measure.as_json()) == {
        "name": "event_to_row_p95",
        "value": 140.7,
        "unit": "ms",
        "baseline": 56.2,
        "ratio": 2.5,
        "goal": 1000.0,
        "met": True,
    }
    assert "MISSED" in Measure("slow", 1001.0, "ms", 1.0, 1000.0).as_text()


def test_a_percentile_needs_enough_samples() -> None:
    assert p95([float(n) for n in range(1, 101)]) == pytest.approx(95.95)
    with pytest.raises(ValueError, match="too few"):
        p95([1.0] * 19)


def test_every_named_benchmark_has_its_file() -> None:
    for name in NAMES:
        assert hasattr(__import__(f"benchmarks.{name}", fromlist=["run"]), "run")
