"""Slices of the recipe as stages put them into their keys: seeds resolved, a weights file without its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgetl.config.recipe import Data, Recipe, Training
from edgetl.data.readers import READERS

if TYPE_CHECKING:
    from edgetl.runtime.preprocessing import Preprocessing


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


def preprocessing_of(data: Data) -> Preprocessing:
    """What stands between a picture file and the input of every artefact of a recipe."""
    from edgetl.runtime.preprocessing import Preprocessing, Resize  # numpy, which keys can do without

    return Preprocessing(Resize(data.resize.mode, data.resize.kernel, data.image_size, data.image_size))


def training(recipe: Recipe, section: Training) -> dict[str, Any]:
    """All that the recipe says about one training."""
    resolved = {"seed": training_seed(recipe, section), "augment": augmentation(recipe.data)}
    return section.model_dump(mode="json") | resolved


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
