"""Whether what is installed on a device can run there: told from its wheel, without importing it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

from packaging.requirements import Requirement

__all__ = ["misfit", "requirement"]


def misfit(name: str, installed: Mapping[str, Any] | None, machine: str) -> str | None:
    """What is wrong with an installed distribution on a machine (`platform.machine()`); None where nothing is.

    A wheel of another architecture is found where a disk or a folder of packages came from another machine.
    """
    if installed is None or not installed["tags"]:  # what a distribution's own packages install has no wheel
        return None
    platforms = {part for tag in installed["tags"] for part in tag.rpartition("-")[2].split(".")}
    if any(platform == "any" or platform.endswith(f"_{machine}") for platform in platforms):
        return None
    there = ", ".join(sorted(platforms))
    return f"{name} {installed['version']} there is a wheel for {there}, expected one for linux_{machine}"


def requirement(name: str) -> str:
    """A distribution with the versions that this edgetl is made for."""
    try:
        lines = metadata.requires("edgetl") or []
    except metadata.PackageNotFoundError:  # run from its sources
        lines = []
    wanted = [found for found in map(Requirement, lines) if found.name == name and found.marker is None]
    return f"{name}{wanted[0].specifier}" if wanted else name
