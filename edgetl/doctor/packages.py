"""What is installed against what edgetl requires, from the metadata alone: nothing is imported."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

from edgetl.doctor.finding import Finding

__all__ = ["findings", "present"]


def findings() -> Iterator[Finding]:
    """A finding for each requirement of edgetl."""
    try:
        from packaging.requirements import InvalidRequirement, Requirement
    except ImportError:
        yield Finding("packages", "packaging", "broken", "not installed", "pip install packaging")
        return
    texts = _required()
    if not texts:
        yield Finding("packages", "edgetl", "warning", "runs without being installed", "pip install -e . in its folder")
    for text in texts:
        try:
            requirement = Requirement(text)
        except InvalidRequirement as exc:
            yield Finding("packages", text, "warning", f"edgetl's own metadata: {exc}", "install edgetl again")
            continue
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        wanted = f"{requirement.name}{requirement.specifier}"
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield Finding("packages", requirement.name, "broken", "not installed", f"pip install '{wanted}'")
            continue
        detail = f"{version} (edgetl wants {requirement.specifier or 'any'})"
        if requirement.specifier.contains(version, prereleases=True):
            yield Finding("packages", requirement.name, "ok", detail)
        else:
            yield Finding("packages", requirement.name, "warning", f"{detail}: untested", f"pip install '{wanted}'")


def present() -> dict[str, str]:
    """The required distributions that are installed, each with what pip installs again."""
    found = {}
    for text in _required():
        name = text.split(";")[0].split("[")[0].strip().partition(" ")[0]
        name = next((name[:at] for at, letter in enumerate(name) if letter in "<>=!~("), name)
        try:
            found[name] = f"{name}=={metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    return found


def _required() -> list[str]:
    """Requirements without those of extras; empty when edgetl runs from a folder that is not installed."""
    try:
        texts = metadata.requires("edgetl") or []
    except metadata.PackageNotFoundError:
        return []
    return [text for text in texts if "extra ==" not in text]
