"""Times are of the right thing, comparable, and a worker that fails is named."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgetl
from edgetl.runtime import yardstick
from edgetl.runtime.measurement import Measurement
from edgetl.runtime.measuring import Effort, measure
from edgetl.runtime.subjects import Failure
from edgetl.runtime.workers import Command

ROOT = str(Path(edgetl.__file__).parent.parent)
SHORT = Effort(rounds=4, runs=12, seconds=0.0, limit_s=2.0, warm_up_s=0.0)

# Notes when it ran, so that a test can see the order; prints like a runtime does, which must not disturb the answers.
SLEEPER = """
import os, sys, time
from edgetl.runtime.serving import serve
os.write(1, b"Welcome to the device\\n")
def run():
    print("a runtime chatters")
    os.system("echo and its C code as well")
    with open(sys.argv[2], "a") as log: log.write(f"{sys.argv[3]} {time.monotonic()}\\n")
    time.sleep(float(sys.argv[1]))
serve(run, {"load_ms": 3.5, "first_ms": 2, "runtime": "sleep", "version": "1"})
"""


def python(name: str, code: str, *arguments: str) -> Command:
    return Command(name, (sys.executable, "-c", code, *arguments), env={"PYTHONPATH": ROOT})


def sleeper(name: str, seconds: float, log: Path) -> Command:
    return python(name, SLEEPER, str(seconds), str(log), name)


def measured(plan: list[Command], **how: Any) -> list[Measurement]:
    """Where none fails."""
    results = measure(plan, **how)
    assert all(isinstance(result, Measurement) for result in results), results
    return [result for result in results if isinstance(result, Measurement)]


def test_two_workers_are_timed_in_turns(tmp_path: Path) -> None:
    log = tmp_path / "log"
    slow, fast = measured([sleeper("slow", 0.02, log), sleeper("fast", 0.002, log)], effort=SHORT)
    assert (slow.name, fast.name) == ("slow", "fast")
    assert slow.p50_ms >= 20
    assert 2 <= fast.p50_ms < slow.p50_ms
    assert slow.runs >= 12
    assert (slow.load_ms, slow.first_ms, slow.described) == (3.5, 2.0, {"runtime": "sleep", "version": "1"})
    assert len(slow.round_ms) == len(fast.round_ms) == 4
    assert len(slow.yardstick_ms) == len(fast.yardstick_ms) == 4
    assert slow.yardstick == fast.yardstick == yardstick.kind()
    assert min(slow.yardstick_ms) > 0
    order = [line.split()[0] for line in log.read_text().splitlines()]
    changes = sum(one != other for one, other in pairwise(order))
    assert changes >= 4, "they did not take turns"


def test_the_order_of_a_seed_is_the_same(tmp_path: Path) -> None:
    orders = []
    for attempt in range(2):
        log = tmp_path / str(attempt)
        measure([sleeper(name, 0.0, log) for name in "abc"], seed=3, effort=SHORT)
        turns = [line.split()[0] for line in log.read_text().splitlines()]
        orders.append([one for one, other in zip(turns, [*turns[1:], ""], strict=True) if one != other])
    assert orders[0] == orders[1]


def test_sixteen_workers_do_not_slow_each_other(tmp_path: Path) -> None:
    """They wait on their input between their turns; a spinning one would show as processor time."""
    plan = [sleeper(f"worker-{number}", 0.001, tmp_path / "log") for number in range(16)]
    start = time.monotonic()
    results = measured(plan, effort=Effort(rounds=2, runs=4, seconds=0.0, limit_s=1.0, warm_up_s=0.0))
    assert len(results) == 16
    assert time.monotonic() - start < 60
    stamps = [float(line.split()[1]) for line in (tmp_path / "log").read_text().splitlines()]
    assert all(later - earlier > 0.0009 for earlier, later in pairwise(stamps)), "two ran at once"


def test_an_idle_worker_uses_no_processor_time(tmp_path: Path) -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("needs /proc")
    with sleeper("idle", 0.0, tmp_path / "log").start() as running:
        running.ready()
        running.run(1)
        stat = Path(f"/proc/{running._process.pid}/stat")

        def spent() -> float:
            """Seconds of processor time, user and system."""
            ticks = stat.read_text().rsplit(")")[-1].split()[11:13]
            return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

        before = spent()
        time.sleep(1.0)
        assert spent() - before < 0.5, "one that waits in a loop would have spent all of it"


def test_memory_is_the_workers_own_not_its_parents(tmp_path: Path) -> None:
    """Linux hands the maximum of getrusage down to children: a parent with a large array would show in all of them."""
    ballast = np.ones(60_000_000)
    (result,) = measured([sleeper("small", 0.0, tmp_path / "log")], effort=SHORT)
    assert ballast.nbytes / 1e6 > 400
    assert result.peak_rss_mb is None or result.peak_rss_mb < 300


DEAD = "import sys; print('warming up', file=sys.stderr); sys.exit('out of memory on the device')"
DIES = """
import sys
from edgetl.runtime.serving import serve
def run(): raise RuntimeError("the accelerator went away")
serve(run, {"load_ms": 1.0, "first_ms": 1.0})
"""
MUTE = "print('{\"ready\": true}')"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (DEAD, r"^tiny: died with exit code 1; its last line: out of memory on the device"),
        (DIES, r"^tiny: died with exit code 1; its last line: RuntimeError: the accelerator went away"),
        (MUTE, r"^tiny: expected a number as load_ms, got None"),
        ("", r"^tiny: died with exit code 0; its last line: \(none\)"),
    ],
)
def test_a_worker_that_fails_is_named_with_its_last_words(code: str, message: str, tmp_path: Path) -> None:
    well, failed = measure([sleeper("well", 0.0, tmp_path / "log"), python("tiny", code)], effort=SHORT)
    assert isinstance(well, Measurement)
    assert well.runs >= 12, "the others go on"
    assert isinstance(failed, Failure)
    assert re.match(message, f"{failed.name}: {failed.reason}")
    assert failed.exit_code == 4


def test_a_missing_model_says_so_through_the_worker(tmp_path: Path) -> None:
    model = str(tmp_path / "none.onnx")
    argv = (sys.executable, "-m", "edgetl.runtime", "worker", "--path", model, "--backend", "onnx")
    (failed,) = measure([Command("tiny", argv, env={"PYTHONPATH": ROOT})])
    assert isinstance(failed, Failure)
    assert re.search(r"exit code 5; its last line: .*none\.onnx: cannot be read", failed.reason)


def test_a_measurement_is_one_flat_json_object(tmp_path: Path) -> None:
    (result,) = measured([sleeper("flat", 0.0, tmp_path / "log")], effort=SHORT)
    assert isinstance(result, Measurement)
    content = json.loads(json.dumps(result.to_json()))
    assert content["runtime"] == "sleep"
    wanted = {"batch", "threads", "runs", "noisy", "p50_ms", "p90_ms", "p99_ms", "first_ms", "load_ms", "peak_rss_mb"}
    assert wanted <= set(content)
