"""A recipe as a person gives it: a file, a dictionary, or one that is loaded already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from edgetl.api.boundary import boundary
from edgetl.api.paths import AnyPath, expanded
from edgetl.config.loading import Loaded, load
from edgetl.config.overrides import Overrides
from edgetl.errors import UsageError

if TYPE_CHECKING:
    from edgetl.runtime.manifest import Manifest

__all__ = ["AnyRecipe", "Loaded", "Overrides", "load_recipe", "stand_in_warning", "warn_of_stand_in"]

AnyRecipe: TypeAlias = AnyPath | Mapping[str, Any] | Loaded


@boundary
def load_recipe(recipe: AnyRecipe, overrides: Overrides = ()) -> Loaded:
    """A recipe, read and checked, with its variables and its stand-in put in; the data are looked for, not at.

    Args:
        recipe: a YAML file; or its content as a dictionary, whose relative paths and store belong to the current folder;
            or what this function returned.
        overrides: fields that get another value. Not for a recipe that is loaded already.

    Raises:
        RecipeError: at file:line:column, or at recipe["section"]["field"], saying what was got and what was expected.
        UsageError: a malformed override.
        DataError: data.root is not there.
    """
    if isinstance(recipe, Loaded):
        if overrides:
            raise UsageError("overrides: expected none, this recipe is loaded already", hint="give them to load_recipe")
        return recipe
    return load(recipe if isinstance(recipe, Mapping) else expanded(recipe), overrides)


def warn_of_stand_in(manifest: Manifest, warn: Callable[[str], None]) -> None:
    """That a bundle was trained on synthetic pictures, before anybody reads what it says of a real one."""
    if manifest.stand_in is not None:
        warn(
            f"STAND-IN DATA: {manifest.name} was trained on {manifest.stand_in}, synthetic pictures; what it says of a "
            "picture says nothing about a patient."
        )


def stand_in_warning(loaded: Loaded) -> str:
    """That nothing here is about patients: to be said before anything is done with the recipe."""
    return (
        f"STAND-IN DATA: {loaded.recipe.name} is built on {loaded.stand_in}, synthetic pictures; nothing that comes out "
        "of it says anything about patients.\n"
        "  (The recipe asks for them, or its data.root names a variable that is not set.)"
    )
