"""What a phone says of itself, and what disturbs a measurement on it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from edgetl.devices.adb.link import Link
from edgetl.results.latency import Machine

__all__ = ["cautions", "cores", "machine", "state", "surroundings"]

_LOW_PERCENT = 20
_DISTURBING = {
    "airplane_mode": (False, "airplane mode is off: notifications and radios take time"),
    "screen_on": (True, "the screen is on: turn it off"),
    "battery_saver": (True, "the battery saver is on: it slows the processor"),
    "charging": (True, "it is charging, which warms it: adb over Wi-Fi needs no cable"),
}
_PLUGGED = re.compile(r"^\s*(AC|USB|Wireless|Dock) powered: true", re.MULTILINE)
_STATE = """
dumpsys battery
echo edgetl-thermal
for zone in /sys/class/thermal/thermal_zone*; do echo "$(cat "$zone/type") $(cat "$zone/temp")"; done
dumpsys thermalservice | grep -m 1 'Thermal Status:'
echo edgetl-frequency
cat /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor
cat /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq
echo edgetl-settings
echo "airplane $(settings get global airplane_mode_on)"
echo "saver $(settings get global low_power)"
dumpsys power | grep -m 1 'mWakefulness='
"""


def machine(link: Link) -> Machine:
    """The model, its chip and Android's version; never its serial number, nor a name that someone gave it."""
    names = ("ro.product.manufacturer", "ro.product.model", "ro.soc.manufacturer", "ro.soc.model")
    maker, model, chip_maker, chip = (link.must(["getprop", name]).strip() for name in names)
    board = link.must(["getprop", "ro.board.platform"]).strip()
    memory = re.search(r"MemTotal:\s+(\d+) kB", link.must(["cat", "/proc/meminfo"]))
    return Machine(
        processor=", ".join(filter(None, (f"{maker} {model}".strip(), f"{chip_maker} {chip}".strip() or board)))
        or "unknown",
        cores=cores(link),
        memory_gb=round(int(memory[1]) * 1024 / 1e9) if memory else 0,
        system=f"Android {link.must(['getprop', 'ro.build.version.release']).strip()}".strip(),
        machine=link.must(["getprop", "ro.product.cpu.abi"]).strip() or "unknown",
    )


def cores(link: Link) -> int:
    """Those that are switched on now."""
    _, said = link.script("nproc || grep -c ^processor /proc/cpuinfo")
    words = said.split()
    return int(words[-1]) if words and words[-1].isdecimal() and int(words[-1]) else 1


def state(link: Link) -> dict[str, Any]:
    """Battery, temperatures, frequencies and settings; what this phone does not tell is left out.

    Temperatures are in degrees Celsius, frequencies in MHz, the battery in percent.
    """
    _, said = link.script(_STATE)
    battery, _, rest = said.partition("edgetl-thermal\n")
    thermal, _, rest = rest.partition("edgetl-frequency\n")
    frequency, _, settings = rest.partition("edgetl-settings\n")
    found: dict[str, Any] = {}
    for name, pattern in (("battery_percent", r"^\s*level: (\d+)"), ("battery_c", r"^\s*temperature: (-?\d+)")):
        if match := re.search(pattern, battery, re.MULTILINE):
            found[name] = int(match[1]) / (10 if name == "battery_c" else 1)
    if "powered:" in battery:
        found["charging"] = bool(_PLUGGED.search(battery))
    zones = [(name, int(value) / 1000) for name, value in re.findall(r"^(\S+) (-?\d+)$", thermal, re.MULTILINE)]
    hottest = [value for name, value in zones if "cpu" in name.lower() and 0 < value < 150]
    if hottest:
        found["temperature_c"] = max(hottest)
    if match := re.search(r"Thermal Status: (\d+)", thermal):
        found["throttling"] = int(match[1])
    if governors := sorted(set(re.findall(r"^[a-z_]+$", frequency, re.MULTILINE))):
        found["governor"] = ", ".join(governors)
    if clocks := re.findall(r"^(\d+)$", frequency, re.MULTILINE):
        found["frequency_mhz"] = [int(clock) / 1000 for clock in clocks]
    for name, key in (("airplane", "airplane_mode"), ("saver", "battery_saver")):
        if match := re.search(rf"^{name} ([01])$", settings, re.MULTILINE):
            found[key] = match[1] == "1"
    if match := re.search(r"mWakefulness=(\w+)", settings):
        found["screen_on"] = match[1] == "Awake"
    return found


def surroundings(state: Mapping[str, Any], machine: Machine) -> dict[str, Any]:
    """A state in the words of `edgetl.runtime.surroundings`; what it does not tell is None there."""
    clocks = state.get("frequency_mhz")
    return {
        "processor": machine.processor,
        "cores": machine.cores,
        "governor": state.get("governor"),
        "frequency_mhz": round(sum(clocks) / len(clocks), 1) if clocks else None,
        "temperature_c": state.get("temperature_c"),
        "battery_percent": state.get("battery_percent"),
        "battery_c": state.get("battery_c"),
    }


def cautions(state: Mapping[str, Any]) -> list[str]:
    """What may disturb a measurement, each in a few words with what to do."""
    said = [words for key, (disturbing, words) in _DISTURBING.items() if state.get(key) is disturbing]
    if state.get("throttling", 0):
        said.append("Android says that it is throttled: let it cool")
    if state.get("battery_percent", 100) < _LOW_PERCENT:
        said.append(f"the battery is under {_LOW_PERCENT} %")
    return said
