"""What a machine says of itself, on trees of files as kernels show them; what it does not say is None."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edgetl.devices.ssh import agent
from edgetl.runtime import surroundings
from edgetl.runtime.states import between
from edgetl.runtime.surroundings import Surroundings, energy_uj, look, processor, spent_uj, ticks


def put(root: Path, **files: object) -> Path:
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cores 1 and 2 of those that the machine has."""
    monkeypatch.setattr(surroundings, "_usable", lambda: [1, 2])


CPU = "sys__devices__system__cpu__cpu"


def machine(root: Path) -> Path:
    """A laptop, whose core 0 is not ours."""
    info = "processor\t: 0\nmodel name\t: Fast 9000\ncpu MHz\t\t: 800.0\n\nprocessor\t: 1\nmodel name\t: Fast 9000\n"
    put(root, proc__cpuinfo=info)
    for core, (mhz, governor, throttled) in enumerate(
        ((9e6, "other", 90), (2.4e6, "performance", 3), (2.6e6, "powersave", 4))
    ):
        base = f"{CPU}{core}__cpufreq__scaling"
        put(root, **{f"{base}_cur_freq": int(mhz), f"{base}_governor": governor})
        put(root, **{f"{CPU}{core}__thermal_throttle__core_throttle_count": throttled})
        put(root, **{f"{CPU}{core}__thermal_throttle__package_throttle_count": 10})
    for zone, (kind, milli) in enumerate((("acpitz", 99000), ("x86_pkg_temp", 61000), ("iwlwifi", 90000))):
        put(root, **{f"sys__class__thermal__thermal_zone{zone}__type": kind})
        put(root, **{f"sys__class__thermal__thermal_zone{zone}__temp": milli})
    for monitor, (name, milli) in enumerate((("coretemp", 62500), ("nvme", 80000))):
        put(root, **{f"sys__class__hwmon__hwmon{monitor}__name": name})
        put(root, **{f"sys__class__hwmon__hwmon{monitor}__temp1_input": milli})
    return root


def test_a_machine_that_says_everything(tmp_path: Path, two_cores: None) -> None:
    found = look(machine(tmp_path))
    assert found.processor == "Fast 9000"
    assert found.frequency_mhz == 2500.0
    assert found.governor == "performance, powersave"
    assert found.temperature_c == 62.5
    assert found.throttled == 3 + 4 + 20
    assert found.load == pytest.approx(os.getloadavg()[0], abs=2)


def test_what_is_sent_over_ssh_names_a_processor_alike() -> None:
    assert agent.processor() == processor()


def test_one_that_says_nothing(tmp_path: Path) -> None:
    found = look(tmp_path)
    said = (found.governor, found.frequency_mhz, found.temperature_c, found.throttled)
    assert said == (None, None, None, None)
    assert found.processor
    assert ticks(tmp_path) is None
    assert energy_uj(tmp_path) == {}


def test_an_arm_board_has_its_name_elsewhere_and_no_mhz_in_cpuinfo(tmp_path: Path, two_cores: None) -> None:
    put(tmp_path, proc__cpuinfo="processor : 0\nBogoMIPS : 108.00\n\nModel\t\t: Raspberry Pi 5 Model B\n")
    put(
        tmp_path, sys__class__thermal__thermal_zone0__type="cpu-thermal", sys__class__thermal__thermal_zone0__temp=48312
    )
    found = look(tmp_path)
    assert (found.processor, found.temperature_c, found.frequency_mhz) == ("Raspberry Pi 5 Model B", 48.312, None)
    put(tmp_path, proc__cpuinfo="model name\t: ARMv7 Processor rev 3 (v7l)\n\nModel\t\t: Raspberry Pi 4 Model B\n")
    assert processor(tmp_path) == "Raspberry Pi 4 Model B", "the processor's name is that of many boards"
    (tmp_path / "proc/cpuinfo").unlink()
    put(tmp_path, **{"proc__device-tree__model": "Radxa ROCK 5B\0"})
    assert processor(tmp_path) == "Radxa ROCK 5B"


def test_frequency_of_a_virtual_machine_is_in_cpuinfo(tmp_path: Path) -> None:
    put(tmp_path, proc__cpuinfo="cpu MHz\t\t: 2000.0\ncpu MHz\t\t: 3000.5\n")
    assert look(tmp_path).frequency_mhz == 2500.2


def test_a_file_that_cannot_be_read_says_nothing(tmp_path: Path, two_cores: None) -> None:
    machine(tmp_path)
    sensor = tmp_path / "sys/class/hwmon/hwmon0/temp1_input"
    sensor.unlink()
    sensor.mkdir()  # as unreadable to root as to anyone
    (tmp_path / "sys/class/thermal/thermal_zone1/temp").write_text("\n")
    assert look(tmp_path).temperature_c is None


def test_ticks_are_of_the_usable_cores(tmp_path: Path, two_cores: None) -> None:
    stat = "cpu  1 1 1 1 1 1 1 1 0 0\ncpu0 900 0 0 0 0 0 0 900 0 0\ncpu1 10 20 30 400 50 6 7 8 5 5\ncpu2 1 0 0 99 0 0 0 0 0 0\n"
    put(tmp_path, proc__stat=f"{stat}intr 5 0 0\nctxt 9\n")
    found, tick = ticks(tmp_path), 1 / os.sysconf("SC_CLK_TCK")
    assert found is not None
    assert found.busy == pytest.approx(tick * (10 + 20 + 30 + 6 + 7 + 1))
    assert found.stolen == pytest.approx(tick * 8)
    assert found.all == pytest.approx(tick * (10 + 20 + 30 + 400 + 50 + 6 + 7 + 8 + 100))
    put(tmp_path, proc__stat="cpu1 0 0 0 0 0 0 0 0 0 0\ncpu2 0 0 0 0 0 0 0 0 0 0\n")
    assert ticks(tmp_path) is None, "some sandboxes show zeros"


def test_energy_is_of_packages_and_a_counter_may_start_anew(tmp_path: Path) -> None:
    base = "sys__class__powercap__intel-rapl:"
    zones = {
        "0": ("package-0", 900, 1000),
        "1": ("package-1", 50, 1000),
        "0:0": ("core", 7, 1000),
        "2": ("psys", 7, 1000),
    }
    for zone, (name, now, end) in zones.items():
        put(tmp_path, **{f"{base}{zone}__name": name, f"{base}{zone}__energy_uj": now})
        put(tmp_path, **{f"{base}{zone}__max_energy_range_uj": end})
    before = energy_uj(tmp_path)
    assert before == {"intel-rapl:0": (900, 1000), "intel-rapl:1": (50, 1000)}
    put(tmp_path, **{f"{base}0__energy_uj": 30, f"{base}1__energy_uj": 75})
    assert spent_uj(before, energy_uj(tmp_path)) == 130 + 25
    (tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj").unlink()  # as where only root may read it
    assert set(energy_uj(tmp_path)) == {"intel-rapl:1"}


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_this_machine() -> None:
    usable, age = os.sched_getaffinity(0), surroundings.age_ms()
    try:
        for core in usable:
            os.sched_setaffinity(0, {core})
            assert surroundings.core_of_this_thread() == core
    finally:
        os.sched_setaffinity(0, usable)
    assert age is not None
    assert age > 0
    time.sleep(0.05)
    later = surroundings.age_ms()
    assert later is not None
    assert 30 < later - age < 5000
    assert look().cores == len(os.sched_getaffinity(0))


def state(busy: float, stolen: float, every: float, used: float, **more: Any) -> dict[str, Any]:
    return {"ticks": {"busy": busy, "stolen": stolen, "all": every}, "used_s": used, **more}


def test_what_no_worker_used_is_of_others() -> None:
    before = {"a": state(100, 5, 1000, 10), "b": state(100, 5, 1000, 20)}
    after = {"a": state(150, 6, 1100, 30), "b": state(150, 6, 1100, 25)}
    found = between(before, after)
    for name in "ab":
        assert found[name]["foreign"] == pytest.approx((50 - 20 - 5) / 100)
        assert found[name]["stolen"] == pytest.approx(1 / 100)


def test_a_worker_that_used_more_than_the_ticks_saw_leaves_nothing_for_others() -> None:
    found = between({"a": state(100, 5, 1000, 10)}, {"a": state(101, 5, 1100, 30)})
    assert (found["a"]["foreign"], found["a"]["stolen"]) == (0.0, 0.0)


def test_what_one_that_died_used_is_not_what_others_took() -> None:
    before = {"a": state(100, 5, 1000, 10), "b": state(100, 5, 1000, 10)}
    found = between(before, {"a": state(150, 5, 1100, 30)})
    assert (found["a"]["foreign"], found["a"]["stolen"]) == (None, 0.0)


def test_energy_is_of_each_run_between_the_two_looks() -> None:
    before: dict[str, dict[str, Any]] = {
        "a": {"runs": 100, "energy_uj": 5_000},
        "b": {"runs": 0, "energy_uj": None},
        "c": {"runs": 4, "energy_uj": 9},
    }
    after: dict[str, dict[str, Any]] = {
        "a": {"runs": 300, "energy_uj": 405_000, "ran_on": [1, 3]},
        "b": {"runs": 9, "energy_uj": None},
        "c": {"runs": 4, "energy_uj": 9},
    }
    found = between(before, after)
    assert [found[name]["energy_mj"] for name in "abc"] == [2.0, None, None]
    assert [found[name]["ran_on"] for name in "abc"] == [(1, 3), (), ()]


def test_a_worker_that_says_nothing_has_nothing() -> None:
    said = between({"a": {}}, {"a": {}})["a"]
    assert said == {
        "stolen": None,
        "foreign": None,
        "energy_mj": None,
        "ran_on": (),
        "before": None,
        "after": None,
        "cautions": (),
    }
    told = {"surroundings": {"processor": "x", "cores": 2, "load": 0.5, "of a later version": 1}}
    assert between({}, {"a": told})["a"]["after"] == Surroundings("x", 2, None, None, None, None, 0.5)
