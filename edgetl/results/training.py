"""How networks were trained: teach, trial, distil and prune, and what report.json says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from edgetl.results.document import Amount, Count, Digest, Document, Positive, Share

__all__ = [
    "Candidate",
    "Choice",
    "Cut",
    "DistilResult",
    "Epoch",
    "InitialWeights",
    "KeptEpoch",
    "KeptMacs",
    "PruneResult",
    "PrunedTraining",
    "Run",
    "Scores",
    "StudentTraining",
    "TeachResult",
    "TeacherTraining",
    "Trial",
    "TrialResult",
]


@dataclass(frozen=True)
class Scores:
    """On validation; score is the mean of the other two."""

    balanced_accuracy: Share
    auroc: Share
    score: Share


@dataclass(frozen=True)
class Epoch:
    """One pass over the training images, counted from 1; distil_loss is null where no teacher is asked, val_... where the
    epoch was not validated."""

    epoch: Positive
    label_loss: float
    distil_loss: float | None
    val_balanced_accuracy: Share | None
    val_auroc: Share | None
    val_score: Share | None
    seconds: Amount
    data_wait_seconds: Amount


@dataclass(frozen=True)
class KeptEpoch:
    """The epoch that a training kept, and why.

    The last one is kept, unless the best is better by more than noise; see `edgetl.evidence.epoch_selection`.

    epoch: that was kept. trained, planned, validated: how many epochs.
    best: the one with the best score on validation; lead: its score less that of the last one.
    standard_error: of the lead.
    """

    epoch: Positive
    trained: Positive
    planned: Positive
    validated: Positive
    best: Positive
    lead: Amount
    standard_error: Amount


@dataclass(frozen=True)
class Run:
    """One training: its epochs, the one that was kept, and the one after which it was taken up again (0: in one go)."""

    history: tuple[Epoch, ...]
    kept: KeptEpoch
    seconds: Amount
    resumed_after: Count


@dataclass(frozen=True)
class InitialWeights:
    """What a network started from.

    detail: the package, the hub's model, or the file's name; sha256: of the file.
    loaded, skipped: how many of the network's tensors have pretrained values, how many have not.
    """

    source: Literal["package", "hub", "file", "none"]
    detail: str
    sha256: Digest | None
    loaded: Count
    skipped: Count


@dataclass(frozen=True)
class TeacherTraining:
    """How a teacher came about; notes are sentences."""

    weights: InitialWeights
    notes: tuple[str, ...]
    kept: KeptEpoch
    validation: Scores
    seconds: Amount


@dataclass(frozen=True)
class Candidate:
    """A trial with one weight of the teacher's loss; see `edgetl.evidence.model_selection.Standing`."""

    weight: Amount
    chosen: bool
    score: Share
    behind: Amount
    standard_error: Amount
    allowed: Amount
    validation: Scores


@dataclass(frozen=True)
class Trial:
    """The weight of the teacher's loss, and how `rule` chose it among the candidates, after a short training of each.

    epochs: of each candidate's training; 0, and no candidates, where there was nothing to choose and nothing to prune.
    rule, weights: null there too; weights is what the student starts from. notes are sentences; seconds of all together.
    """

    chosen_weight: Amount
    rule: str | None
    epochs: Count
    weights: InitialWeights | None
    notes: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    seconds: Amount


@dataclass(frozen=True)
class StudentTraining:
    """How the student came about, with the weight of the teacher's loss that its trial chose; notes are sentences."""

    weights: InitialWeights
    loss: str
    chosen_weight: Amount
    notes: tuple[str, ...]
    kept: KeptEpoch
    validation: Scores
    seconds: Amount


@dataclass(frozen=True)
class KeptMacs:
    """Shares of the student's multiply-accumulates: what the recipe wanted and what is left."""

    wanted_macs: Share
    kept_macs: Share


@dataclass(frozen=True)
class Cut:
    """A network at one moment of pruning: its scores, multiply-accumulates of one image, and trainable numbers."""

    validation: Scores
    macs: Positive
    parameters: Positive


@dataclass(frozen=True)
class PrunedTraining:
    """What pruning took of the trial's network, and how the rest was trained to the end, by whom; weight 0: by labels alone."""

    pruned: KeptMacs
    loss: str
    taught_by: str
    teacher_weight: Amount
    before_pruning: Cut
    after_pruning: Cut
    after_training: Cut
    kept: KeptEpoch
    validation: Scores
    seconds: Amount


@dataclass(frozen=True)
class TeachResult(Document):
    """Of one teach stage; both null where the recipe has no such teacher."""

    FILE: ClassVar[str] = "training.json"
    SCHEMA: ClassVar[int] = 2

    training: TeacherTraining | None
    run: Run | None


@dataclass(frozen=True)
class TrialResult(Document):
    """Of the trial stage; runs are those of `trial.candidates`, in their order."""

    FILE: ClassVar[str] = "training.json"
    SCHEMA: ClassVar[int] = 2

    trial: Trial
    runs: tuple[Run, ...]

    def __post_init__(self) -> None:
        if len(self.runs) != len(self.trial.candidates):
            raise ValueError(f"runs: got {len(self.runs)}, expected {len(self.trial.candidates)}, one a candidate")


@dataclass(frozen=True)
class DistilResult(Document):
    """Of the distil stage; both null where the recipe prunes and spares the unpruned student."""

    FILE: ClassVar[str] = "training.json"
    SCHEMA: ClassVar[int] = 2

    training: StudentTraining | None
    run: Run | None


@dataclass(frozen=True)
class Choice(Document):
    """What later stages depend on, apart from training.json with its times: the chosen weight of the teacher's loss."""

    FILE: ClassVar[str] = "choice.json"

    weight: Amount


@dataclass(frozen=True)
class PruneResult(Document):
    """Of the prune stage; both null where the recipe prunes nothing."""

    FILE: ClassVar[str] = "training.json"
    SCHEMA: ClassVar[int] = 2

    training: PrunedTraining | None
    run: Run | None
