"""An Android phone behind adb, where TFLite files are measured with TFLite's own `benchmark_model`."""

from __future__ import annotations

import hashlib
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from edgetl.config.target import Target
from edgetl.devices import Presence
from edgetl.devices.adb import phone
from edgetl.devices.adb.benchmark_model import OWN_FLAGS
from edgetl.devices.adb.link import Link, serial_of
from edgetl.devices.adb.running import Phone, PhoneWorker
from edgetl.devices.adb.storage import Storage
from edgetl.devices.pushed import Pushed
from edgetl.devices.threads import ThreadCounts, resolved
from edgetl.devices.variables import replaced
from edgetl.errors import IntegrityError, RecipeError
from edgetl.results.latency import Machine
from edgetl.runtime.manifest import Artifact
from edgetl.runtime.measurement import Mode
from edgetl.runtime.measuring import Effort

__all__ = ["EFFORTS", "Adb", "AdbTarget", "presence", "reach"]

EFFORTS: dict[Mode, Effort] = {
    "quick": Effort(rounds=6, runs=100, seconds=0.0, limit_s=8.0, warm_up_s=0.0, attempts=2),
    "full": Effort(rounds=32, runs=1024, seconds=0.0, limit_s=float("inf"), warm_up_s=0.0, attempts=2),
}
"""A start costs far more than the three runs that it tells: time under load, not of the runs alone, is what is long enough."""

_FLAG = re.compile(r"[a-z][a-z0-9_]*")


class AdbTarget(Target):
    """An Android phone or board behind adb, measured with TFLite's benchmark_model."""

    serial: Annotated[str, Field(pattern=r"^[!-~]{1,128}$")] | None = None
    """Of the device; without it ANDROID_SERIAL, or the only one attached. It appears in no result."""
    benchmark: str = "${EDGETL_BENCHMARK_MODEL}"
    """benchmark_model for Android, a file of this computer; `${NAME}` is replaced from the environment."""
    sha256: str = "${EDGETL_BENCHMARK_MODEL_SHA256}"
    """What that file must be, in hexadecimal; `${NAME}` is replaced. Another file is never run."""
    threads: ThreadCounts = (1, 4)
    """Thread counts to measure with; all is every core that is switched on."""
    accelerator: Literal["cpu", "gpu", "nnapi"] = "cpu"
    """What computes. gpu keeps float32."""
    allow_fallback: bool = False
    """Whether the CPU may compute what the accelerator does not take."""
    flags: dict[str, str] = Field(default={})
    """Further flags of benchmark_model without their dashes, such as `use_xnnpack: "false"`."""
    folder: Annotated[str, Field(pattern=r"^/[^\x00-\x1f\x7f]{0,200}$")] = "/data/local/tmp/edgetl"
    """On the device: where files lie and run."""

    def find_machine(self) -> str:
        """Targets of one phone are one machine, whatever else they say, and whether they name it or mean the only one."""
        return f"{self.kind} {serial_of(self.serial) or 'the only one'}"

    @field_validator("flags")
    @classmethod
    def _others(cls, flags: dict[str, str]) -> dict[str, str]:
        for name, value in flags.items():
            if not _FLAG.fullmatch(name) or not value.isprintable():
                raise ValueError("expected flags as benchmark_model names them, with printable values")
            if name in OWN_FLAGS:
                raise ValueError(f"{name} is set by edgetl")
        return flags


def presence(target: AdbTarget) -> Presence:
    """What it runs; whether it is there shows when it is used."""
    why = "benchmark_model runs TFLite files only"
    return Presence(said="an Android phone", known=False, without={"onnx": why, "openvino": why})


def reach(target: AdbTarget) -> None:
    """Find the phone, and the program that will be sent to it.

    Raises:
        DeviceError: it is not attached, or cannot be used.
        RecipeError, IntegrityError: there is no such program, or it is another one.
    """
    _program(target)
    Link(target.serial)


class Adb:
    """A phone; it is looked for when something is first asked of it."""

    def __init__(self, target: AdbTarget) -> None:
        self._target = target
        self._pushed = Pushed(target.folder)

    def info(self) -> Machine:
        """Model, chip, Android's version; no serial number."""
        return phone.machine(self._link)

    def threads(self) -> tuple[int, ...]:
        """`all` is every core that is switched on."""
        counts = self._target.threads
        return resolved(counts, phone.cores(self._link) if "all" in counts else 0)

    def push(self, folder: Path, keep: bool = True) -> Path:
        """A name for it: artefacts are sent when they are needed, each under its hash; pictures one by one, and never kept."""
        return self._pushed.push(folder)

    def worker(self, folder: Path, artifact: Artifact, threads: int) -> PhoneWorker:
        """An artefact, a TFLite file; the binary is sent now, the artefact when it is started."""
        file = self._pushed.host(folder / artifact.path)
        return PhoneWorker(f"{artifact.name}@{threads}", threads, self._phone, artifact, file)

    def close(self) -> None:
        """Remove what this run wrote; what is kept by its hash stays for the next."""
        if "_storage" in self.__dict__:
            self._storage.close()

    @cached_property
    def _link(self) -> Link:
        return Link(self._target.serial)

    @cached_property
    def _storage(self) -> Storage:
        return Storage(self._link, self._target.folder)

    @cached_property
    def _phone(self) -> Phone:
        target = self._target
        content = _program(target)
        return Phone(
            link=self._link,
            machine=self.info(),
            storage=self._storage,
            program=self._storage.keep(content, executable=True),
            version=hashlib.sha256(content).hexdigest()[:12],
            accelerator=target.accelerator,
            allow_fallback=target.allow_fallback,
            flags=target.flags,
            pushed=self._pushed,
        )


def _program(target: AdbTarget) -> bytes:
    """The binary, read once: what was hashed is what is sent.

    Raises:
        RecipeError: a variable is not set, or there is no such file.
        IntegrityError: it is another file than the target says.
    """
    place = f"target {target.name}"
    path = Path(replaced(target.benchmark, "benchmark", place))
    expected = replaced(target.sha256, "sha256", place).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", expected):
        raise RecipeError("sha256: expected 64 hexadecimal digits", place=place, hint=f"sha256sum {path.name}")
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise RecipeError(f"benchmark: {path} cannot be read: {reason}", place=place, hint="docs/devices.md") from exc
    got = hashlib.sha256(content).hexdigest()
    if got != expected:
        raise IntegrityError(
            f"{path} has the sha256 {got[:12]}..., expected {expected[:12]}...: it was not run",
            place=place,
            hint="if you trust the new file, change sha256 in the target file",
        )
    return content
