"""One measurement as the history keeps it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgetl.evidence.intervals import Interval
from edgetl.results.latency import Machine

__all__ = ["CIRCUMSTANCES", "Record", "content_digest"]

CIRCUMSTANCES = ("target", "origin", "batch", "threads", "accelerator", "mode", "runtime", "version")
"""What of a latency row must be equal, beside the machine, before two are held against each other; so in messages."""

_TIMES = ("p50_ms", "p90_ms", "p99_ms", "first_ms", "load_ms")
_MAYBE = ("peak_rss_mb", "delegated")
_ROUNDS = ("round_ms", "yardstick_ms")


@dataclass(frozen=True)
class Record:
    """A latency row, of what and where.

    run: one command's measurements have one; what a build measured is kept once more, under another run, where the bundle is
    another one. time: when it ended, UTC, ISO 8601. source: bench or build. label: the user's
    word for this run, or "". edgetl: version that measured. bundle_sha256: of bundle.json; "" where a build wrote no bundle.
    artifact: the bundle's, also where a file was measured that was written of it for several images at once; sha256, content,
    bytes and metrics are that file's own. sha256: of the model file. content: digest of all files that the artefact needs
    (OpenVINO keeps weights beside the model).
    machine: no host or user name. data: digest of the labelled set that `metrics` are of, "" without. row: a
    `results.latency.Latency` as JSON, with whatever fields the version that measured gave it.
    """

    run: str
    time: str
    source: str
    label: str
    edgetl: str
    bundle: str
    bundle_sha256: str
    artifact: str
    sha256: str
    content: str
    model: str
    backend: str
    precision: str
    bytes: int
    machine: Machine
    data: str
    metrics: Mapping[str, Interval]
    row: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Raise ValueError where the row lacks what comparing needs: a row of years ago may be anything."""
        for name in CIRCUMSTANCES:
            if not isinstance(self.row.get(name), int if name in ("batch", "threads") else str):
                raise ValueError(f"{name}: got {self.row.get(name)!r}")
        for name in _TIMES:
            if not _is_amount(self.row.get(name)):
                raise ValueError(f"{name}: got {self.row.get(name)!r}, expected milliseconds")
        for name in _MAYBE:
            if (value := self.row.get(name)) is not None and not _is_amount(value):
                raise ValueError(f"{name}: got {value!r}, expected a number or null")
        for name in _ROUNDS:
            times = self.row.get(name, ())
            if not isinstance(times, list | tuple) or not all(map(_is_amount, times)):
                raise ValueError(f"{name}: got {str(times)[:40]}, expected a list of milliseconds")
        if not isinstance(self.row.get("yardstick", ""), str):
            raise ValueError(f"yardstick: got {self.row['yardstick']!r}, expected a text")

    @property
    def measurement(self) -> str:
        """What a command measured has one, however often it is kept."""
        return " ".join(self.run.split(" ")[:2])

    @property
    def place(self) -> tuple[Any, ...]:
        """What must be equal before two times are held against each other: circumstances and machine, but not the file."""
        machine = asdict(self.machine)
        machine.pop("memory_gb")  # a kernel that takes some megabytes more makes no other machine
        return (*(self.row[name] for name in CIRCUMSTANCES), *machine.values())

    @property
    def bundled(self) -> bool:
        """Whether its file is the bundle's own; those for several images at once are written for a measurement alone."""
        return bool(self.row["batch"] == 1)

    @property
    def noisy(self) -> bool:
        """Whether its own runs varied too much to be compared."""
        return bool(self.row.get("noisy"))

    def number(self, name: str) -> float | None:
        """A number of the row; None where it was not measured."""
        value = self.row.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    @property
    def rounds(self) -> Sequence[float]:
        """Median of each round, ms; those of 0 ms are left out."""
        return [float(value) for value in self.row.get("round_ms") or () if value > 0]

    def to_json(self) -> dict[str, Any]:
        """As it is exported: one object with everything."""
        return asdict(self)


def _is_amount(value: object) -> bool:
    """A number that can be divided and multiplied: 0, or within what a clock or a memory can be."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and (value == 0 or 1e-9 < value < 1e12)  # type: ignore[operator]


def content_digest(sha256: str, companions: Mapping[str, str]) -> str:
    """What an artefact with these files is known by: the file's own sha256, or a digest over all of several.

    Args:
        companions: sha256 of the other files by their name, without a folder.
    """
    if not companions:
        return sha256
    text = "\n".join([sha256, *(f"{name} {digest}" for name, digest in sorted(companions.items()))])
    return hashlib.sha256(text.encode()).hexdigest()
