"""Where latency is measured: one file a kind of device, with the type of its target files and its `Device`."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

from edgetl.errors import DeviceError, MissingAccelerator

if TYPE_CHECKING:
    from edgetl.config.target import Target
    from edgetl.results.latency import Machine
    from edgetl.runtime.manifest import Artifact
    from edgetl.runtime.workers import Worker

__all__ = [
    "DEVICES",
    "Baseline",
    "Device",
    "Kind",
    "Presence",
    "baselines",
    "open_device",
    "presence",
    "reach",
    "require",
]

Baseline: TypeAlias = "Callable[[str, int], Worker]"
"""(name to measure under, threads) -> worker, for what is no artefact, such as PyTorch eager."""


class Device(Protocol):
    """A device that a target names."""

    def info(self) -> Machine:
        """What it is, as reports name it beside its latencies."""

    def threads(self) -> tuple[int, ...]:
        """The thread counts of the target, resolved on the device, each once."""

    def push(self, folder: Path, keep: bool = True) -> Path:
        """Bring a folder onto the device; where it is there.

        keep: whether the device may keep its files for the next time, which pictures of patients are not for.
        """

    def worker(self, folder: Path, artifact: Artifact, threads: int) -> Worker:
        """How to start an artefact of a pushed folder for measuring; the name tells the thread count too."""

    def close(self) -> None:
        """Let go of the device; nothing of ours runs there any more."""


@dataclass(frozen=True)
class Presence:
    """Whether what a target names is there, asked before anything is measured or trained.

    said: what it is, in a few words.
    known: whether that could be asked; False where it shows once something is done with it.
    absent: why nothing can be measured there, as "got ..., expected ..."; None where something can, as far as is known.
    hint: what to do about that.
    without: backend -> why its files cannot be measured there.
    """

    said: str = ""
    known: bool = True
    absent: str | None = None
    hint: str | None = None
    without: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A kind of device by its name in target files.

    about: what it is, in a few words.
    target: MODULE:CLASS of its target files, a `Target`.
    load: MODULE:CLASS of its `Device`, which is made from such a target.
    here: whether it is the machine that edgetl runs on; only there PyTorch's networks are measured beside the artefacts.
    efforts: MODULE:NAME of how long it measures in each mode.
    presence: MODULE:FUNCTION that gives the `Presence` of a target in a second or so; "" where only using it shows it.
    reach: MODULE:FUNCTION that connects to a target and leaves it, within a minute, or raises a DeviceError that says
        why it cannot; "" where there is nothing to connect to.
    networks: MODULE:FUNCTION of target, network's folder and image size: how PyTorch runs it there, a row each.
    """

    name: str
    about: str
    target: str
    load: str
    here: bool = False
    efforts: str = "edgetl.runtime.measuring:EFFORTS"
    presence: str = ""
    reach: str = ""
    networks: str = f"{__name__}.local:networks"


_ENTRIES = (
    Kind("local", "this machine's CPU", f"{__name__}.local:LocalTarget", f"{__name__}.local:Local", here=True),
    Kind(
        *("adb", "an Android phone behind adb", f"{__name__}.adb:AdbTarget", f"{__name__}.adb:Adb"),
        efforts=f"{__name__}.adb:EFFORTS",
        presence=f"{__name__}.adb:presence",
        reach=f"{__name__}.adb:reach",
    ),
    Kind(
        *("browser", "a page in a browser", f"{__name__}.browser:BrowserTarget", f"{__name__}.browser:Browser"),
        presence=f"{__name__}.browser:presence",
    ),
    Kind(
        "cuda_host",
        "a CUDA GPU of this machine",
        f"{__name__}.cuda_host:CudaHostTarget",
        f"{__name__}.cuda_host:CudaHost",
        here=True,
        presence=f"{__name__}.cuda_host:presence",
        networks=f"{__name__}.cuda_host:networks",
    ),
    Kind(
        "openvino",
        "an accelerator of this machine that OpenVINO drives",
        f"{__name__}.openvino:OpenVinoTarget",
        f"{__name__}.openvino:OpenVino",
        presence=f"{__name__}.openvino:presence",
    ),
    Kind(
        *("ssh", "a Linux machine over ssh", f"{__name__}.ssh.target:SshTarget", f"{__name__}.ssh.device:Ssh"),
        reach=f"{__name__}.ssh.device:reach",
    ),
)

DEVICES: dict[str, Kind] = {kind.name: kind for kind in _ENTRIES}
"""By name, as `kind` of a target file takes them."""


def open_device(target: Target) -> Device:
    """The device that a target describes."""
    make = cast("Callable[[Target], Device]", pkgutil.resolve_name(DEVICES[target.kind].load))
    return make(target)


def presence(target: Target) -> Presence:
    """Whether what a target names is there. Of a device that is reached over a wire nothing is known until it is used."""
    kind = DEVICES[target.kind]
    if not kind.presence:
        return Presence(known=kind.here)
    return cast("Callable[[Target], Presence]", pkgutil.resolve_name(kind.presence))(target)


def require(target: Target) -> Presence:
    """Its presence.

    Raises:
        MissingAccelerator: nothing can be measured there.
    """
    found = presence(target)
    if found.absent is not None:
        raise MissingAccelerator(found.absent, place=f"target {target.name}", hint=found.hint)
    return found


def reach(target: Target) -> None:
    """Require its presence; where that is not known, connect to it and leave it again, if its kind can.

    Raises:
        MissingAccelerator: nothing can be measured there.
        DeviceError: it cannot be reached, or refuses.
        EnvironmentFault, MissingRuntime: what connects to it is not installed.
        RecipeError, IntegrityError: a file that its target file names is missing, or another one.
    """
    connect = DEVICES[target.kind].reach
    if require(target).known or not connect:
        return
    try:
        cast("Callable[[Target], None]", pkgutil.resolve_name(connect))(target)
    except DeviceError as exc:
        exc.place = exc.place or f"target {target.name}"
        raise


def baselines(target: Target, network: Path, size: int) -> Sequence[Baseline]:
    """The ways in which PyTorch runs a network there, a row each; none on a machine that is not this one."""
    kind = DEVICES[target.kind]
    if not kind.here:
        return ()
    return cast("Callable[[Target, Path, int], Sequence[Baseline]]", pkgutil.resolve_name(kind.networks))(
        target, network, size
    )
