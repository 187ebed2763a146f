"""The benchmark harness: its arithmetic and what it prints. The measures themselves run by ``bin/bench``."""

from __future__ import annotations

import json

import pytest

from benchmarks.__main__ import NAMES
from benchmarks.measure import Goal, Measure, p95
from benchmarks.memory import Watch


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


def test_a_measure_without_a_baseline_or_a_goal_says_so() -> None:
    told = json.loads(Measure("memory", 1.0, "MB", None, None).as_json())
    assert (told["baseline"], told["ratio"], told["goal"], told["met"]) == (None, None, None, True)
    assert "baseline" not in Measure("memory", 1.0, "MB", None, 250.0).as_text()


@pytest.mark.parametrize(
    ("kind", "value", "goal", "is_met"),
    [
        (Goal.AT_MOST, 10.0, 10.0, True),
        (Goal.AT_MOST, 10.1, 10.0, False),
        (Goal.AT_LEAST, 10.0, 10.0, True),
        (Goal.AT_LEAST, 9.9, 10.0, False),
        (Goal.RATIO_AT_LEAST, 20.0, 10.0, True),
        (Goal.RATIO_AT_LEAST, 19.8, 10.0, False),
    ],
)
def test_a_goal_is_a_limit_of_the_value_or_of_the_ratio(kind: Goal, value: float, goal: float, is_met: bool) -> None:
    assert Measure("speed", value, "/s", 2.0, goal, kind).met is is_met


def test_a_ratio_goal_without_a_baseline_is_not_met() -> None:
    assert not Measure("speed", 1.0, "/s", None, 0.1, Goal.RATIO_AT_LEAST).met


def test_a_percentile_needs_enough_samples() -> None:
    assert p95([float(n) for n in range(1, 101)]) == pytest.approx(95.95)
    with pytest.raises(ValueError, match="too few"):
        p95([1.0] * 19)


def test_memory_is_the_highest_of_all_processes_and_growth_counts_after_the_start() -> None:
    watch = Watch()
    watch.samples = {
        1: [(0.0, 50.0), (2.0, 90.0), (10.0, 95.0)],
        2: [(0.0, 100.0), (2.0, 101.0), (10.0, 101.5)],
    }
    assert watch.peak() == 101.5
    assert watch.growth(0.2) == 5.0


def test_every_named_benchmark_has_its_file() -> None:
    for name in NAMES:
        assert hasattr(__import__(f"benchmarks.{name}", fromlist=["run"]), "run")
