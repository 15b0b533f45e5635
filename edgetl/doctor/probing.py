"""Importing what may crash: each package in a process of its own, with a time limit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edgetl.doctor.finding import Finding, State
from edgetl.runtime.backends import BACKENDS

__all__ = ["Probe", "findings", "run"]

SECONDS = 180.0
_AT_ONCE = 2
MARK = "edgetl-probe "
TARGET = "target:"
"""Begins what is asked of a target file."""


@dataclass(frozen=True)
class Probe:
    """A package to be tried.

    distribution: as pip knows it; None for what is no package. needed: whether the main recipe stops without it.
    asks: what its process is told, where that is not the name.
    """

    group: str
    name: str
    distribution: str | None
    needed: bool = True
    asks: str = ""


_TRAINING = (
    *(Probe("training", name, name) for name in ("torch", "torchvision", "timm", "accelerate", "albumentations")),
    Probe("training", "opencv", "opencv-python-headless"),
    Probe("training", "gpu", "torch", needed=False),
)
_OTHERS = (Probe("report", "matplotlib", "matplotlib"), Probe("weights", "packages", None))
_NETWORK = Probe("weights", "hub", None, needed=False)


def probes() -> list[Probe]:
    """What is tried: training, then the runtime and the tools of every backend, then the rest."""
    runtimes = dict.fromkeys(backend.distribution for backend in BACKENDS.values())
    tools = dict.fromkeys(tool for backend in BACKENDS.values() for tool in backend.tools)
    known = {probe.distribution for probe in _TRAINING} | runtimes.keys()
    converters = [Probe("converters", tool, tool) for tool in tools if tool not in known]
    return [*_TRAINING, *(Probe("runtimes", name, name) for name in runtimes), *converters, *_OTHERS]


def findings(
    installed: Mapping[str, str], network: bool, progress: Callable[[str, int, int], None]
) -> Iterator[Finding]:
    """A finding for each package that is installed (that one is missing is said elsewhere), and for the weights."""
    chosen = [
        probe for probe in probes() if not installed or probe.distribution is None or probe.distribution in installed
    ]
    chosen += [_NETWORK] if network else []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        running = [pool.submit(run, probe, installed.get(probe.distribution or "")) for probe in chosen]
        try:
            for number, probed in enumerate(running):
                progress(chosen[number].name, number, len(running))
                yield probed.result()
        finally:  # Ctrl-C: without the probes that have not begun
            pool.shutdown(wait=False, cancel_futures=True)
    if not network:
        yield Finding("weights", "hub", "absent", "not asked; --network does")


def run(probe: Probe, requirement: str | None, seconds: float = SECONDS) -> Finding:
    """Try one package. requirement: what pip installs again when it is broken."""
    fix = f"pip install --force-reinstall --no-deps '{requirement}'" if requirement else None
    state: State = "broken" if probe.needed else "warning"
    package = Path(__file__).parents[1]
    # -P: a file torch.py in the folder that the user stands in is not taken for the package.
    words = [sys.executable, "-P", "-m", f"{package.name}.doctor.probe", probe.asks or probe.name]
    path = os.pathsep.join([str(package.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired:
        return Finding(probe.group, probe.name, state, f"did not answer within {seconds:.0f} s", fix or "try again")
    answers = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if done.returncode == 0 and answers:
        answer = json.loads(answers[-1].removeprefix(MARK))
        return Finding(probe.group, probe.name, answer["state"], answer["detail"], answer["fix"])
    return Finding(probe.group, probe.name, state, _how_it_ended(done), fix or "install edgetl again")


def _how_it_ended(done: subprocess.CompletedProcess[str]) -> str:
    last = next((line.strip() for line in reversed(done.stderr.splitlines()) if line.strip()), "without a word")
    if done.returncode < 0:
        return f"crashed: {signal.Signals(-done.returncode).name}"
    return f"cannot be used: {last[:200]}"
