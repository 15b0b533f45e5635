"""Slices of the recipe as stages put them into their keys: seeds resolved, a weights file without its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgetl.config.data import Data
from edgetl.config.recipe import Recipe
from edgetl.config.training import Distil, Prune, Training
from edgetl.data.readers import READERS

if TYPE_CHECKING:
    from edgetl.runtime.preprocessing import Preprocessing

_TRIAL_SHARE, _TRIAL_EPOCHS = 10, 5
"""Of the student's epochs a trial takes one in so many, and at least so many."""


def split_seed(recipe: Recipe) -> int:
    """What draws the split."""
    own = recipe.data.split.seed
    return recipe.seed if own is None else own


def training_seed(recipe: Recipe, section: Training) -> int:
    """What draws initial weights, order and augmentation of one training."""
    return recipe.seed if section.seed is None else section.seed


def augmentation(data: Data) -> Literal["strong", "standard", "light", "none"]:
    """The recipe's augmentation, or the one that its kind of pictures bears."""
    return data.augment or ("standard" if READERS[data.kind].any_angle else "light")


def preprocessing_of(data: Data, bits: int) -> Preprocessing:
    """What stands between a picture file and the input of every artefact of a recipe.

    Args:
        bits: that unsigned 16-bit grey uses, of which the data stage decides.
    """
    from edgetl.runtime.preprocessing import Preprocessing, Resize  # numpy, which keys can do without

    resize = Resize(data.resize.mode, data.resize.kernel, data.image_size, data.image_size)
    return Preprocessing(resize, bits=bits)


def preprocessing_after(data: Data, folder: Path) -> Preprocessing:
    """As `preprocessing_of`, with what the data stage decided; `folder` is its result."""
    from edgetl.results.depth import Depth

    return preprocessing_of(data, Depth.read(folder).bits)


def candidate_weights(recipe: Recipe) -> list[float]:
    """The weights of the teacher's loss to choose among, smallest first; without a teacher 0 alone."""
    return sorted(set(recipe.distil.weights)) if recipe.teachers else [0.0]


def has_trial(recipe: Recipe) -> bool:
    """Whether there is something to choose, or to prune."""
    return len(candidate_weights(recipe)) > 1 or recipe.prune is not None


def has_student(recipe: Recipe) -> bool:
    """Whether the unpruned student is trained to the end: it ships, or is what the pruned one is compared with."""
    return recipe.prune is None or recipe.prune.reference


def is_pretrained(recipe: Recipe) -> bool:
    """Whether the student starts from weights that have seen pictures."""
    return recipe.student.weights != "none"


def student_epochs_key(recipe: Recipe) -> Any:
    """What of the recipe decides `trained.student_epochs`, which depends on the data too."""
    distil = recipe.distil
    return distil.epochs or {"batch_size": distil.batch_size, "pretrained": is_pretrained(recipe)}


def student_settings(distil: Distil, epochs: int | None) -> Training:
    """The student's training to the end."""
    return _training(distil, epochs=epochs)


def trial_settings(distil: Distil, epochs: int | None) -> Training:
    """The short training of each candidate, where the student's takes `epochs`; a whole one, down to a rate of 0.

    Where neither is known yet, the trial's epochs are not either.
    """
    short = distil.trial_epochs
    if short is None and epochs is not None:
        short = min(epochs, max(_TRIAL_EPOCHS, epochs // _TRIAL_SHARE))
    if short is None:
        return _training(distil, epochs=None)
    # A trial in which only the classifier learns says nothing; the schedule cuts a long warm-up in the same way.
    return _training(distil, epochs=short, freeze_epochs=min(distil.freeze_epochs, short // 2))


def pruned_settings(prune: Prune, epochs: int | None) -> Training:
    """The pruned network's training to the end, where the student's takes `epochs`."""
    return _training(prune, epochs=prune.epochs or epochs)


def _training(section: Training, **changes: Any) -> Training:
    """What every training has, without what the section says beside it: that decides nothing of this one."""
    return Training(**{name: getattr(section, name) for name in Training.model_fields} | changes)


def training(recipe: Recipe, section: Training) -> dict[str, Any]:
    """All that the recipe says about one training."""
    resolved = {"seed": training_seed(recipe, section), "augment": augmentation(recipe.data)}
    return section.model_dump(mode="json", exclude={"members"}) | resolved


def student(recipe: Recipe) -> dict[str, Any]:
    """What the student is, and what it starts from."""
    return recipe.student.model_dump(mode="json") | {"weights": weights_name(recipe.student.weights)}


def distillation(distil: Distil) -> dict[str, Any]:
    """How a network learns from teachers, whatever the weight of their loss."""
    return {name: getattr(distil, name) for name in ("loss", "temperature", "hints", "label_weight")}


def cautions(label: str, section: Training, weights: str) -> list[str]:
    """What makes little sense with these initial weights, in sentences for console and report."""
    if weights != "none" or (section.freeze_epochs == 0 and section.layer_decay == 1):
        return []
    fields = {"freeze_epochs": section.freeze_epochs > 0, "layer_decay": section.layer_decay < 1}
    named = " and ".join(name for name, used in fields.items() if used)
    return [f"{label}: {named} would keep pretrained layers, but weights: none starts from random ones"]


def weights_name(weights: str) -> str:
    """`weights` of the recipe; a file, whose content the stage's `files` put into the key, by its name."""
    return Path(weights).name
