"""int8 files against the float32 files of the same network and format: whether they are worth it, as measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgetl.evidence.intervals import Interval
from edgetl.evidence.paired_times import quotient
from edgetl.results.latency import Latency

__all__ = ["Described", "Twins", "slow_int8", "twins"]


class Described(Protocol):
    """An artefact, as a manifest or a report has it."""

    @property
    def name(self) -> str:
        """Under which its rows are."""

    @property
    def model(self) -> str:
        """The network it was made from."""

    @property
    def backend(self) -> str:
        """Its format."""

    @property
    def precision(self) -> str:
        """fp32, int8, ..."""


@dataclass(frozen=True)
class Twins:
    """An int8 file and its float32 twin on one target with one thread count and batch size.

    ratio: the int8 file's time over its twin's, of the same rounds, with the 95 % interval; None where too few rounds tell.
    """

    int8: str
    fp32: str
    target: str
    threads: int
    batch: int
    ratio: Interval | None

    @property
    def slower(self) -> bool:
        """Whether the int8 file is slower, and not by noise."""
        return self.ratio is not None and self.ratio.low > 1

    @property
    def faster(self) -> bool:
        """Whether it is faster, and not by noise."""
        return self.ratio is not None and self.ratio.high < 1

    def sentence(self) -> str:
        """Of a slower one."""
        assert self.ratio is not None
        threads = "one thread" if self.threads == 1 else f"{self.threads} threads"
        batch = "" if self.batch == 1 else f" in batches of {self.batch}"
        return (
            f"{self.int8} is slower than {self.fp32} on {self.target} with {threads}{batch}: {self.ratio.value:.2f} times its "
            f"time [{self.ratio.low:.2f}, {self.ratio.high:.2f}]"
        )


def twins(artifacts: Sequence[Described], rows: Mapping[str, Sequence[Latency]]) -> Iterator[Twins]:
    """All pairs that were measured on the target itself, in the order of the artefacts and their rows."""
    for artifact in artifacts:
        if artifact.precision != "int8":
            continue
        for twin in artifacts:
            if (twin.model, twin.backend, twin.precision) == (artifact.model, artifact.backend, "fp32"):
                for row in rows.get(artifact.name, ()):
                    for other in rows.get(twin.name, ()):
                        if _same(row, other):
                            ratio = quotient(row.round_ms, other.round_ms)
                            yield Twins(artifact.name, twin.name, row.target, row.threads, row.batch, ratio)


def slow_int8(artifacts: Sequence[Described], rows: Mapping[str, Sequence[Latency]]) -> list[Twins]:
    """The pairs whose int8 file is slower."""
    return [pair for pair in twins(artifacts, rows) if pair.slower]


def _same(row: Latency, other: Latency) -> bool:
    """Whether two rows differ in the file alone."""
    here, there = ((each.target, each.threads, each.batch, each.accelerator, each.mode) for each in (row, other))
    return here == there and row.origin == other.origin == "measured"
