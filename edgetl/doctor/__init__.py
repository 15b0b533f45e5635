"""What this machine can do: looked at without trusting any package, which a broken one may need.

machine      Python, processor, memory, disk, variables, tools of later targets; all in this process
packages     what is installed against what edgetl requires
probing      a process for each package, so that one that crashes or hangs is a finding and not the end
probe        what runs in such a process
targets      which of the targets that come with edgetl can be measured here
checkpoints  what torch's and the hub's caches hold, by the names of the files
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edgetl.doctor.finding import Finding

__all__ = ["Finding", "examine"]


def examine(network: bool, progress: Callable[[str, int, int], None]) -> Iterator[Finding]:
    """Everything there is to say, in order. network: also ask whether the model hub can be reached."""
    from edgetl.doctor import checkpoints, machine, packages, probing, targets

    yield from machine.findings()
    yield from packages.findings()
    yield from probing.findings(packages.present(), network, progress)
    yield from targets.findings(progress)
    yield from checkpoints.findings()
    yield from machine.surroundings()
