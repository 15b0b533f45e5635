"""What a machine says of itself while something is measured on it; None where it does not say.

Everything is read from Linux's /proc and /sys, on the device itself, by the process that is measured.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cores import usable_cores

_ROOT = Path("/")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01


@dataclass(frozen=True)
class Surroundings:
    """The machine at one moment.

    cores: usable by the process. governor: of their frequency, several where they differ. frequency_mhz: mean of these cores.
    temperature_c: of the hottest sensor of the processor. throttled: how often heat slowed a core since the machine started.
    load: runnable processes, mean of the last minute. battery_percent, battery_c: of a phone.
    """

    processor: str
    cores: int
    governor: str | None
    frequency_mhz: float | None
    temperature_c: float | None
    throttled: int | None
    load: float | None
    battery_percent: float | None = None
    battery_c: float | None = None


@dataclass(frozen=True)
class Ticks:
    """Seconds of the usable cores since the machine started: busy with any process, stolen by a hypervisor, and all."""

    busy: float
    stolen: float
    all: float


def look(root: Path = _ROOT) -> Surroundings:
    """The machine now. root: where /proc and /sys are."""
    cores = [root / f"sys/devices/system/cpu/cpu{number}" for number in _usable()]
    governors = {text for core in cores if (text := _text(core / "cpufreq/scaling_governor"))}
    throttled = [
        int(text)
        for core in cores
        for kind in ("core", "package")
        if (text := _text(core / f"thermal_throttle/{kind}_throttle_count")).isdecimal()
    ]
    return Surroundings(
        processor=processor(root),
        cores=usable_cores(),
        governor=", ".join(sorted(governors)) or None,
        frequency_mhz=_frequency(root, cores),
        temperature_c=_temperature(root),
        throttled=sum(throttled) if throttled else None,
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    )


def processor(root: Path = _ROOT) -> str:
    """The board's name where there is one, as on ARM, whose processors have none of their own; else the processor's."""
    pairs = (line.partition(":") for line in _text(root / "proc/cpuinfo").splitlines())
    said = {name.strip(): value.strip() for name, _, value in pairs}
    board = _text(root / "proc/device-tree/model").strip("\0") or said.get("Model")
    return board or said.get("model name") or platform.processor() or platform.machine()


def ticks(root: Path = _ROOT) -> Ticks | None:
    """What the usable cores did."""
    wanted, found = {f"cpu{number}" for number in _usable()}, []
    for line in _text(root / "proc/stat").splitlines():
        name, *values = line.split()
        if name in wanted and len(values) >= 8:
            user, nice, system, idle, waiting, hard, soft, stolen = (int(value) for value in values[:8])
            busy = user + nice + system + hard + soft
            found.append((busy, stolen, busy + idle + waiting + stolen))
    if not any(every for _, _, every in found):  # some sandboxes show zeros
        return None
    return Ticks(*(sum(column) * _TICK_S for column in zip(*found, strict=True)))


def core_of_this_thread() -> int | None:
    """The core that this thread runs on."""
    words = _text(Path("/proc/thread-self/stat")).rpartition(")")[2].split()
    return int(words[36]) if len(words) > 36 else None


def age_ms() -> float | None:
    """Milliseconds since this process was started, interpreter and imports included, to 10 ms."""
    words = _text(Path("/proc/self/stat")).rpartition(")")[2].split()
    if len(words) < 20 or not hasattr(time, "CLOCK_BOOTTIME"):
        return None
    return 1e3 * (time.clock_gettime(time.CLOCK_BOOTTIME) - int(words[19]) * _TICK_S)


def energy_uj(root: Path = _ROOT) -> dict[str, tuple[int, int]]:
    """Counters of the processor's packages (RAPL, Intel and AMD): microjoules, and where they start anew. Most systems
    show them to root alone."""
    found = {}
    for zone in sorted((root / "sys/class/powercap").glob("intel-rapl:*")):
        now, end = (_text(zone / name) for name in ("energy_uj", "max_energy_range_uj"))
        # Packages alone: their parts (core, dram) are counted in them, and psys counts them once more.
        if _text(zone / "name").startswith("package") and now.isdecimal():
            found[zone.name] = (int(now), int(end) if end.isdecimal() else 0)
    return found


def spent_uj(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> int:
    """Microjoules between two readings; a counter that is smaller than before has started anew."""
    spent = 0
    for zone, (now, end) in after.items():
        then = before.get(zone, (now, end))[0]
        spent += now - then if now >= then else now + end - then
    return spent


def _usable() -> Sequence[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return range(os.cpu_count() or 1)


def _frequency(root: Path, cores: Iterable[Path]) -> float | None:
    found = [int(text) / 1e3 for core in cores if (text := _text(core / "cpufreq/scaling_cur_freq")).isdecimal()]
    if not found:
        lines = [line.partition(":") for line in _text(root / "proc/cpuinfo").splitlines()]
        found = [float(value) for name, _, value in lines if name.strip() == "cpu MHz"]
    return round(sum(found) / len(found), 1) if found else None


def _temperature(root: Path) -> float | None:
    """Thermal zones and hardware monitors that are about the processor, the hottest of them."""
    places = [(zone / "type", zone / "temp") for zone in (root / "sys/class/thermal").glob("thermal_zone*")]
    for monitor in (root / "sys/class/hwmon").glob("hwmon*"):
        places += [(monitor / "name", sensor) for sensor in monitor.glob("temp*_input")]
    words = ("cpu", "soc", "pkg", "core", "k10temp", "zenpower")
    found = [
        int(text) / 1e3
        for about, sensor in places
        if any(word in _text(about).lower() for word in words)
        if (text := _text(sensor)).lstrip("-").isdecimal()
    ]
    return max(found, default=None)


def _text(file: Path) -> str:
    """Of a file of the kernel, stripped; "" where it is not there, not ours to read, or has nothing to say now."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def to_json(found: Surroundings | Ticks | None) -> dict[str, Any] | None:
    """The fields."""
    return None if found is None else dict(vars(found))
