"""What the device side asks of its own process: memory, cores, and that nobody reports to a maker."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from edgetl.runtime import memory, telemetry
from edgetl.runtime.cores import usable_cores
from edgetl.runtime.memory import peak_rss_mb


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_peak_memory_is_what_the_kernel_counts() -> None:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    kilobytes = int(line.split()[1])
    peak = peak_rss_mb()
    assert peak is not None
    assert kilobytes * 1024 / 1e6 <= peak <= kilobytes * 1024 / 1e6 + 50


def fake_status(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None) -> None:
    status = tmp_path / "status"
    if text is not None:
        status.write_text(text)
    monkeypatch.setattr(memory, "Path", lambda name: status)


@pytest.mark.parametrize(
    ("text", "peak"),
    [
        ("Name:\tx\n\nVmPeak:\t  9000 kB\nVmHWM:\t  1000000 kB\nVmRSS:\t 1 kB\n", 1024.0),
        ("Name:\tx\n\n", None),  # a kernel that does not count
    ],
)
def test_peak_memory_of_a_known_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, peak: float | None
) -> None:
    fake_status(monkeypatch, tmp_path, text)
    assert peak_rss_mb() == peak


def test_peak_memory_without_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    fake_status(monkeypatch, tmp_path, None)
    monkeypatch.setattr(sys, "platform", "darwin")  # counts bytes
    counted = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    assert peak_rss_mb() == pytest.approx(counted, rel=0.1)
    monkeypatch.setattr(sys, "platform", "win32")
    assert peak_rss_mb() is None


def test_cores_are_those_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {1, 3, 5} if process == 0 else {}, raising=False)
    assert usable_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert usable_cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1


def test_nothing_is_reported_unless_the_user_asked_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)
    telemetry.forbid()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    assert sys.modules["openvino_telemetry"] is None
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    loaded = type(sys)("openvino_telemetry")
    monkeypatch.setitem(sys.modules, "openvino_telemetry", loaded)
    telemetry.forbid()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"
    assert sys.modules["openvino_telemetry"] is loaded
