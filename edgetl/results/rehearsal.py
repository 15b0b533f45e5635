"""What a rehearsal found: the whole path with untrained networks, before the first training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgetl.lint.graph import Graph
from edgetl.results.document import Amount, Count, Document, Factor, Positive, Share

__all__ = ["Rehearsal", "RehearsedFile", "RehearsedPruning", "RehearsedTraining"]


@dataclass(frozen=True)
class RehearsedTraining:
    """Steps of one kind of training, measured.

    backbone, attention, activation, image_size: of the network that learns. taught: whether a teacher is asked too.
    grows: whether some epochs see smaller pictures.
    step_seconds: the median of `steps` steps, with their waits for images. image_seconds: of one image in a validation.
    peak_mb: largest memory of the process while it ran, in MB (10**6 bytes); device_mb: that of the accelerator.
    """

    backbone: str
    attention: str | None
    activation: str | None
    image_size: Positive | None
    taught: bool
    batch_size: Positive
    precision: str
    grows: bool
    step_seconds: Factor
    image_seconds: Amount
    steps: Positive
    peak_mb: Amount | None
    device_mb: Amount | None


@dataclass(frozen=True)
class RehearsedPruning:
    """wanted, reached: shares of the multiply-accumulates. seconds: that it took."""

    wanted: Share
    reached: Share
    seconds: Amount


@dataclass(frozen=True)
class RehearsedFile:
    """One artefact of the untrained network.

    difference: largest one between its probabilities and PyTorch's; None of int8, whose accuracy is not judged here.
    problem: why there is none; None where it was made, loaded and ran.
    operators: what it is made of; None where there is no file, or its backend cannot tell.
    unread: why its operators could not be read, so that nothing is predicted of it; "" where they were, or nobody can.
    """

    name: str
    seconds: Amount
    bytes: Count
    difference: Amount | None
    problem: str | None
    operators: Graph | None
    unread: str = ""


@dataclass(frozen=True)
class Rehearsal(Document):
    """A whole rehearsal.

    peak_mb: largest memory of the whole of it, converters included.
    """

    FILE: ClassVar[str] = "rehearsal.json"

    trainings: tuple[RehearsedTraining, ...]
    pruning: RehearsedPruning | None
    files: tuple[RehearsedFile, ...]
    seconds: Amount
    peak_mb: Amount | None
