"""What a phone says of itself, and what disturbs a measurement on it."""

from __future__ import annotations

import re
from typing import Any

from edgetl.devices.adb.link import Link
from edgetl.results.latency import Machine

__all__ = ["cautions", "cores", "machine", "state"]

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
    said = link.must(["nproc"]).strip()
    return int(said) if said.isdecimal() and int(said) else 1


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


def cautions(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What may have disturbed what was measured between two states, each in a few words."""
    said = []
    for key, disturbing, words in (
        ("airplane_mode", False, "airplane mode is off"),
        ("screen_on", True, "the screen is on"),
        ("battery_saver", True, "the battery saver is on"),
        ("charging", True, "it is charging"),
    ):
        if disturbing in (before.get(key), after.get(key)):
            said.append(words)
    if after.get("throttling", 0) or before.get("throttling", 0):
        said.append("Android says that it is throttled")
    if (level := after.get("battery_percent", 100)) < 20:
        said.append(f"the battery is at {level:.0f} %")
    if (warmer := after.get("battery_c", 0.0) - before.get("battery_c", 0.0)) >= 3:
        said.append(f"its battery became {warmer:.0f} degrees warmer")
    return said
