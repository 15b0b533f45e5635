"""What the benchmarks of measuring say of their numbers."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import repeatability, sustained, tables, timers

ABOUT = {
    "command": "python -m x",
    "commit": "0" * 40,
    "machine": {"processor": "fake", "cores": 2},
    "bundle": "tiny",
    "input": [1, 8, 8, 3],
}


def row(p50: float, p90: float, *, noisy: bool = False, attempts: int = 1, yardstick_ms: float = 2.0) -> dict[str, Any]:
    return {"p50_ms": p50, "p90_ms": p90, "noisy": noisy, "attempts": attempts, "yardstick_ms": yardstick_ms}


def lines(page: str) -> list[list[str]]:
    """The cells of a page's table."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]


def test_deviation_is_the_largest_from_the_middle_one() -> None:
    rows = [row(p50, 1.0) for p50 in (10.0, 9.0, 10.5)]
    assert repeatability.deviation(rows, "p50_ms") == pytest.approx(0.1)
    assert repeatability.deviation(rows[:1], "p50_ms") == 0


def test_noisy_measurements_are_told_apart() -> None:
    cells = {
        "full-0": {"a": row(10, 20), "b": row(10, 20)},
        "full-1": {"a": row(10, 20.8), "b": row(10, 30, noisy=True, attempts=3, yardstick_ms=3.0)},
        "full-2": {"a": row(10, 21), "b": row(10, 20)},
        "quick-0": {"a": row(10, 20), "b": row(10, 20, noisy=True)},
        "quick-1": {"a": row(10, 25), "b": row(10, 20, noisy=True)},
    }
    _, _, *found = lines(repeatability.render({**ABOUT, "cells": cells}))
    assert found == [
        ["a", "full", "3", "0", "3", "0.0%", "3.8%", "0.0%", "3.8%", "0.0%", "3.8%", "yes (5%)"],
        ["b", "full", "3", "1", "5", "0.0%", "50.0%", "0.0%", "0.0%", "33.3%", "0.0%", "yes (5%)"],
        ["a", "quick", "2", "0", "2", "0.0%", "11.1%", "0.0%", "11.1%", "0.0%", "11.1%", "**no** (10%)"],
        ["b", "quick", "2", "2", "2", "0.0%", "0.0%", "-", "-", "0.0%", "0.0%", "all noisy (10%)"],
    ]


def test_a_ratio_is_held_against_the_bar() -> None:
    def timed(name: str, ratio: float) -> dict[str, Any]:
        spread = {"median": ratio, "low": 0.9, "high": 1.2}
        return {"name": name, "timer": "theirs", "ours_ms": [1.0, 2.0, 9.0], "theirs_ms": [2.0], "ratio": spread}

    result = {**ABOUT, "rounds": 3, "artifacts": [timed("a", 0.951), timed("b", 1.051)]}
    _, _, first, second = lines(timers.render(result))
    assert first == ["a", "theirs", "2.000", "2.000", "0.951 [0.900, 1.200]", "yes"]
    assert second[-1] == "**no**"


def test_minutes_become_a_table() -> None:
    minutes = [{"runs": 9, "p50_ms": p50, "p90_ms": p90} for p50, p90 in ((2.0, 2.5), (4.0, 9.0), (3.0, 3.5))]
    result = {
        **ABOUT,
        "target": "local_cpu",
        "minutes": 3,
        "results": [{"name": "a", "threads": 2, "minutes": minutes, "ratio": 1.5}],
        "machine": {"processor": "fake", "cores": 2},
        "overtaken": [["b", "a"]],
    }
    result["states"] = [{"temperature_c": celsius, "frequency_mhz": None} for celsius in (40.0, 71.0, None)]
    page = sustained.render(result)
    assert lines(page)[2] == ["a", "2.00", "3.00", "2.00", "4.00", "9.00", "1.500"]
    assert "The ranking changed: a became quicker than b." in page
    assert "Temperature: 40 to 71 °C. Frequency: not said by the machine." in page
    assert "2 threads" in page


def test_they_are_on_the_page() -> None:
    assert {"timers", "repeatability", "sustained"} <= set(tables.SECTIONS)
