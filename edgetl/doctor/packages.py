"""What is installed against what edgetl requires, from the metadata alone: nothing is imported."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING

from edgetl.distributions import installed
from edgetl.doctor.finding import Finding

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["findings", "present"]


def findings() -> Iterator[Finding]:
    """A finding for each requirement of edgetl."""
    try:
        requirements = _required()
    except ImportError:
        yield Finding("packages", "packaging", "broken", "not installed", "pip install packaging")
        return
    if not requirements:
        yield Finding("packages", "edgetl", "warning", "runs without being installed", "pip install -e . in its folder")
    for requirement in requirements:
        wanted = f"{requirement.name}{requirement.specifier}"
        try:
            version = installed(requirement.name)
        except metadata.PackageNotFoundError:
            yield Finding("packages", requirement.name, "broken", "not installed", f"pip install '{wanted}'")
            continue
        detail = f"{version} (edgetl wants {requirement.specifier or 'any'})"
        if requirement.specifier.contains(version.partition(" ")[0], prereleases=True):
            yield Finding("packages", requirement.name, "ok", detail)
        else:
            yield Finding("packages", requirement.name, "warning", f"{detail}: untested", f"pip install '{wanted}'")


def present() -> dict[str, str]:
    """The required distributions that are installed, each with what pip installs again."""
    pinned = {}
    with contextlib.suppress(ImportError):  # without packaging, which is a finding of its own
        for requirement in _required():
            with contextlib.suppress(metadata.PackageNotFoundError):
                pinned[requirement.name] = f"{requirement.name}=={metadata.version(requirement.name)}"
    return pinned


def _required() -> list[Requirement]:
    """What edgetl needs here, without its extras; empty when it runs from a folder that is not installed.

    Raises ImportError.
    """
    from packaging.requirements import Requirement

    try:
        requirements = [Requirement(text) for text in metadata.requires("edgetl") or []]
    except metadata.PackageNotFoundError:
        return []
    return [each for each in requirements if each.marker is None or each.marker.evaluate({"extra": ""})]
