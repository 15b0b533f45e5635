"""The machine itself: Python, processor, memory, disk, environment variables, tools."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from edgetl import __version__
from edgetl.doctor.finding import Finding, State

__all__ = ["findings", "surroundings"]

PYTHON = (3, 11)
# What a build of the main recipe took, rounded up: the store 2 GB, the training processes 3 GB.
DISK_GB, MEMORY_GB = 5.0, 4.0
LEAST_DISK_GB = 0.5
_LOOK_SECONDS = 0.5

# Instructions that decide how fast int8 is: without a dot product of bytes it is often no faster than fp32.
_DOT_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm", "sve2")
_OTHERS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve")

_TOOLS = {
    "adb": ("adb",),
    "browser": ("chromium", "chromium-browser", "google-chrome", "chrome"),
    "qemu": ("qemu-aarch64", "qemu-aarch64-static", "qemu-system-aarch64"),
}
_WITHOUT = {
    "adb": "the adb extra brings one",
    "browser": "no target starts one",
    "qemu": "tools/arm64_device.py brings one",
}


def findings() -> Iterator[Finding]:
    """Python, processor, who else uses it, memory and disk."""
    yield _python()
    yield Finding("python", "edgetl", "ok", f"{__version__} in {Path(__file__).parents[1]}")
    yield Finding("machine", "system", "ok", f"{platform.system()} {platform.release()} {platform.machine()}")
    yield _processor()
    yield _neighbours()
    yield _memory()
    yield _disk()


def surroundings() -> Iterator[Finding]:
    """Environment variables of edgetl, telemetry, and tools that targets may need."""
    for name, value in sorted(os.environ.items()):
        if name.startswith("EDGETL_"):
            yield _variable(name, value)
    yield _telemetry(os.environ)
    for name, commands in _TOOLS.items():
        executable = next((path for command in commands if (path := shutil.which(command))), None)
        yield Finding("tools", name, "ok" if executable else "absent", executable or f"not on PATH; {_WITHOUT[name]}")


def _python() -> Finding:
    detail = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info < PYTHON:
        return Finding("python", "Python", "broken", detail, "install Python 3.11 or later")
    return Finding("python", "Python", "ok", detail)


def _processor() -> Finding:
    from edgetl.devices.local import machine

    known = machine()
    flags = _flags()
    relevant = [flag for flag in (*_DOT_PRODUCTS, *_OTHERS) if flag in flags]
    named = f"{known.processor}, {known.cores} of {os.cpu_count()} cores usable"
    detail = f"{named}; for int8: {' '.join(relevant) or 'no flags known'}"
    if flags and not any(flag in flags for flag in _DOT_PRODUCTS):
        return Finding(
            "machine",
            "processor",
            "warning",
            f"{detail}; no dot product of bytes",
            "int8 may be no faster than fp32 here: measure int8 on the target, not on this machine",
        )
    return Finding("machine", "processor", "ok", detail)


def _flags() -> set[str]:
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return set()
    for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(("flags", "Features")):
            return set(line.partition(":")[2].split())
    return set()


def _neighbours() -> Finding:
    """What others use of the cores right now."""
    from edgetl.training.contention import SHARED, OtherLoad, core_numbers

    cores = core_numbers()
    try:
        load = OtherLoad(cores)
        time.sleep(_LOOK_SECONDS)
        others = max(0.0, sum(load.look(cores).values()))
    except OSError as exc:
        return Finding("machine", "others", "absent", f"the system does not say what they use: {exc.strerror}")
    detail = f"use {others:.1f} of {len(cores)} cores"
    if others < SHARED:
        return Finding("machine", "others", "ok", detail)
    return Finding(
        "machine",
        "others",
        "warning",
        f"{detail}: trainings take longer, and latencies measured now are too long",
        "stop other programs before a build that measures latencies",
    )


def _memory() -> Finding:
    import psutil

    memory = psutil.virtual_memory()
    total, free = memory.total / 1e9, memory.available / 1e9
    limit = _limit()
    bounded = f", this process may use {limit:.1f} GB" if limit and limit < total else ""
    detail = f"{total:.1f} GB, {free:.1f} GB available{bounded}"
    if min(free, limit or free) < MEMORY_GB:
        return Finding(
            "machine",
            "memory",
            "warning",
            detail,
            f"close other programs, or lower batch_size and image_size: a build takes up to {MEMORY_GB:.0f} GB",
        )
    return Finding("machine", "memory", "ok", detail)


def _limit() -> float | None:
    """What a container may use, in GB."""
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(file).read_text(encoding="utf-8").strip()
        except OSError:
            continue
        return int(text) / 1e9 if text.isdecimal() else None
    return None


def _disk() -> Finding:
    """Free space where the store is or will be, from the folder that the command runs in."""
    chosen = os.environ.get("EDGETL_STORE")
    store = _path(chosen) if chosen else Path.cwd() / ".edgetl"
    there = next(path for path in (store, *store.absolute().parents) if path.exists())
    try:
        free = shutil.disk_usage(there).free / 1e9
    except OSError as exc:
        return Finding("machine", "store", "broken", f"{store}: {exc.strerror}", "point EDGETL_STORE to another folder")
    detail = f"{free:.1f} GB free at {store}"
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        reason = "is no folder" if not there.is_dir() else "may not be written"
        return Finding("machine", "store", "broken", f"{there} {reason}", "point EDGETL_STORE to a folder of your own")
    if free < DISK_GB:
        state: State = "broken" if free < LEAST_DISK_GB else "warning"
        fix = "make room, `edgetl cache prune` helps, or point EDGETL_STORE to another disk"
        return Finding("machine", "store", state, detail, fix)
    return Finding("machine", "store", "ok", detail)


def _variable(name: str, value: str) -> Finding:
    if name == "EDGETL_QUIET":
        return Finding("variables", name, "ok", f"{value}: only warnings and errors are said")
    try:
        exists = _path(value).exists()
    except (OSError, ValueError):
        exists = False
    if exists or name == "EDGETL_STORE":
        return Finding("variables", name, "ok", value + ("" if exists else " (is made by the first build)"))
    return Finding(
        "variables",
        name,
        "warning",
        f"{value} does not exist",
        f"set {name} to the folder, or unset it for the stand-in",
    )


def _telemetry(environment: Mapping[str, str]) -> Finding:
    chosen = environment.get("ORT_DISABLE_TELEMETRY", "1")
    if chosen in ("1", "true", "True"):
        return Finding("variables", "telemetry", "ok", "off for onnxruntime, openvino and nncf, before their import")
    return Finding(
        "variables",
        "telemetry",
        "warning",
        f"ORT_DISABLE_TELEMETRY is {chosen!r}: onnxruntime may report to its maker",
        "unset ORT_DISABLE_TELEMETRY: edgetl then switches it off",
    )


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # ~nobody
        return Path(text)
