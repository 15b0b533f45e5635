"""What a model is asked to compute on, and what is said when something else would.

Runtimes replace an accelerator silently: ONNX Runtime drops a provider whose libraries are missing with a warning, and
leaves to the CPU every operator that a provider does not take. Here that is an error unless it was allowed, and what
computes is read back from the loaded session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from .errors import MissingAccelerator
from .records import dataclass

__all__ = ["CPU", "Accelerator", "Placement"]


@dataclass(frozen=True)
class Accelerator:
    """What is asked for.

    name: as the backend's entry in BACKENDS lists it.
    options: the runtime's own for it, by name.
    allow_fallback: whether the CPU may compute what it does not, or everything where it is not there.
    """

    name: str = "cpu"
    options: Mapping[str, str] = field(default_factory=dict)
    allow_fallback: bool = False

    def missing(self, there: Sequence[str], place: str, why: str = "") -> MissingAccelerator:
        """The error of one that is not there; `there`: those that are, `why`: what the runtime says of it."""
        return MissingAccelerator(
            f"got accelerator {self.name!r}, expected one that is there: {', '.join(there)}"
            + (f" ({why})" if why else ""),
            place=place,
            hint="nothing is taken in its place: ask for one of these, or allow a fallback",
        )


CPU = Accelerator()


@dataclass(frozen=True)
class Placement:
    """Where a loaded model computes, as its session says.

    accelerator: the one that computes; "cpu" where nothing was left of what was asked for.
    delegated: share of the operators there (for TFLite: in the delegate), in [0, 1]; None where nobody tells.
    said: in words; why the share is not known, too.
    """

    accelerator: str
    delegated: float | None
    said: str

    def settled(self, asked: Accelerator, place: str) -> Placement:
        """Itself, if it is what was asked for or may be something else.

        Raises:
            MissingAccelerator: operators fell back, and no fallback was allowed.
        """
        complete = self.accelerator == asked.name and self.delegated in (None, 1.0)
        if asked.name == "cpu" or asked.allow_fallback or complete:
            return self
        share = "nothing" if not self.delegated else f"{self.delegated:.1%} of the operators"
        raise MissingAccelerator(
            f"accelerator {asked.name!r} computes {share}, expected all of it: {self.said}",
            place=place,
            hint="allow a fallback, and the row says what computed where",
        )

    def to_json(self) -> dict[str, str | float | None]:
        """As `Session.describe` says it."""
        return {"accelerator": self.accelerator, "placement": self.said, "delegated": self.delegated}
