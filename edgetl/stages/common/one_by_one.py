"""One file's failure is one file's: with `incomplete: ship` it is left out and the others are built, else it ends the build.

The failure is no part of a stage's key. What a stage left out it writes down, and whoever reads that in a recipe that refuses
ends the build in the words of the first time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from edgetl.config.delivery import parts_of
from edgetl.config.recipe import Recipe
from edgetl.errors import ArtifactError
from edgetl.results.artifacts import LeftOut, Missing
from edgetl.stages.common.stage import Context

__all__ = ["Files", "refusal", "works_without"]


class Files:
    """The files that one stage makes or looks at, each on its own.

    step: what the stage does. folder: where it puts them. missing: those that are left out, here or in an earlier stage.
    """

    def __init__(
        self,
        context: Context,
        step: Literal["export", "quantize", "calibrate", "verify"],
        folder: Path,
        missing: Iterable[Missing] = (),
    ) -> None:
        self._context, self._step, self._folder = context, step, folder
        self.missing: list[Missing] = list(missing)
        if self.missing and context.recipe.incomplete == "refuse":
            raise refusal(context.recipe, self.missing)

    @contextmanager
    def making(self, artifact: str) -> Iterator[None]:
        """A block that is about one file: where it does not work, the file is left out or the build ends.

        Raises:
            ArtifactError: it does not work, and the recipe refuses an incomplete bundle.
        """
        try:
            yield
        except ArtifactError as exc:
            self.leave_out(artifact, exc)

    def leave_out(self, artifact: str, failure: ArtifactError) -> None:
        """Do without one file, and what lies in the folder of it. Raises ArtifactError where the recipe refuses that."""
        backend, _ = parts_of(artifact)
        reason = " ".join(failure.message.split()).removeprefix(f"{artifact}: ").removeprefix(f"{backend}: ")
        missing = Missing(artifact, self._step, reason)
        if self._context.recipe.incomplete == "refuse":
            raise refusal(self._context.recipe, [missing], failure.hint) from failure
        for path in self._folder.glob(f"{artifact}.*"):
            path.unlink()
        self.missing.append(missing)
        self._context.progress.warn(f"  LEFT OUT {artifact}: {reason}")

    def lacks(self, artifact: str, reference: str | None) -> bool:
        """Whether a file is missing: itself, or the one that it is made from and held against."""
        names = {missing.artifact for missing in self.missing}
        if artifact not in names and reference in names:
            self.leave_out(artifact, ArtifactError(f"is made from {reference}, which is missing"))
        return artifact in names or reference in names

    def write(self) -> None:
        """Put down what is missing, where something is, for the stages that follow."""
        if self.missing:
            LeftOut(tuple(self.missing)).write(self._context.folder)


def refusal(recipe: Recipe, missing: Iterable[Missing], words: str | None = None) -> ArtifactError:
    """The error that ends a build whose bundle would be incomplete: which files, why, and a recipe that works.

    Args:
        words: of the converter, or what else there is to say.
    """
    first, *others = missing
    more = "".join(f"\n{each.artifact}: {each.reason}" for each in others)
    hints = [works_without(recipe, [first.artifact, *(each.artifact for each in others)]), *([words] if words else [])]
    return ArtifactError(f"{first.reason}{more}", place=first.artifact, hint="\n  ".join(hints))


def works_without(recipe: Recipe, artifacts: Iterable[str]) -> str:
    """What a recipe could say so that files that do not work are not asked for."""
    gone = set(artifacts)
    gone |= {f"{parts_of(name)[0]}-int8" for name in gone}  # it is made from fp32
    left = recipe.export_of([name for name in recipe.artifacts if name not in gone])
    if not left:
        return "no other file is left: choose another format in `export`, or another backbone"
    return f"`export: [{', '.join(left)}]` leaves it out; `incomplete: ship` leaves out whatever does not work"
