"""Versions of what made a build, for its report and its bundle."""

from __future__ import annotations

from collections.abc import Iterable

from edgetl.distributions import installed
from edgetl.runtime.backends import BACKENDS

_TRAINING = ("torch", "timm", "numpy")


def tool_versions(backends: Iterable[str]) -> dict[str, str]:
    """Distribution -> version, of training and of these backends' converters and runtimes."""
    entries = [BACKENDS[backend] for backend in backends]
    tools = (tool for entry in entries for tool in (*entry.tools, entry.distribution))
    return {tool: installed(tool) for tool in dict.fromkeys([*_TRAINING, *tools])}
