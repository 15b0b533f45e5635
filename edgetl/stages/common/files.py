"""Files of the user that stages read beside the data set: initial weights, targets, patterns of what to leave out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgetl.config import target
from edgetl.config.loading import Loaded
from edgetl.errors import DataError
from edgetl.files import sha256_of, write_whole
from edgetl.stages.common import sources

__all__ = ["digests", "excluded", "fetch_weights", "student_weights", "targets", "weights"]


def digests(paths: Mapping[str, Path]) -> dict[str, str]:
    """sha256 of files, by the same names. Raises DataError for one that cannot be read."""
    try:
        return {name: sha256_of(path) for name, path in paths.items()}
    except OSError as exc:
        raise DataError(f"cannot be read: {exc.strerror}", place=str(exc.filename)) from exc


def weights(backbone: str, source: str, store: Path) -> dict[str, Path]:
    """The file that a network starts from, where the recipe names one or the hub has given it.

    An installed package's is known by the sha256 that `edgetl.models.weights` demands of it.
    """
    if source != "hub":
        path = Path(source)  # a file's is absolute since the recipe was loaded; the others are words
        return {path.name: path} if path.is_absolute() and path.is_file() else {}
    note = _note(store, backbone)
    path = Path(note.read_text(encoding="utf-8")) if note.is_file() else note
    return {f"the hub's {backbone}": path} if note.is_file() and path.is_file() else {}


def student_weights(loaded: Loaded, store: Path) -> dict[str, Path]:
    """The file that the student starts from, as `weights` gives it."""
    return weights(loaded.recipe.student.backbone, loaded.recipe.student.weights, store)


def fetch_weights(loaded: Loaded, store: Path) -> None:
    """Have the hub's weights here, and note where, before keys are computed from their content.

    Raises:
        UsageError: timm has none for a backbone.
        EnvironmentFault: they are not here, and the hub cannot be reached.
    """
    recipe = loaded.recipe
    pairs = [
        (recipe.student.backbone, recipe.student.weights),
        *((teacher.backbone, teacher.weights) for teacher in recipe.teachers),
    ]
    for backbone in dict.fromkeys(backbone for backbone, source in pairs if source == "hub"):
        from edgetl.models import hub

        path, _ = hub.fetch(backbone)
        note = _note(store, backbone)
        note.parent.mkdir(parents=True, exist_ok=True)
        write_whole(note, str(path))


def _note(store: Path, backbone: str) -> Path:
    """What keeps where the hub's client put a backbone's weights: asking it takes seconds, and a build of results none."""
    return store / "hub" / backbone.replace("/", "_")


def targets(loaded: Loaded, store: Path) -> dict[str, Path]:
    """The recipe's target files. Raises RecipeError for one that is not there."""
    paths = {name: target.find(name, loaded.project) for name in loaded.recipe.targets}
    # A name is that of one file; two paths may end in the same one.
    return {f"targets/{path.name}" if path.stem == name else name: path for name, path in paths.items()}


def excluded(loaded: Loaded, store: Path) -> dict[str, Path]:
    """The file of patterns that data.exclude names. Raises RecipeError when it is not there."""
    path = sources.exclude_file(loaded.recipe.data, loaded.data_root, loaded.project)
    return {path.name: path} if path else {}
