"""What `edgetl check` finds: a survey of every picture, and what a build of the same data would refuse.

A build refuses files that cannot be read, groups or identical files in two splits that the source prescribes, and classes
with too few groups for every split. Near duplicates it only warns of: that two pictures are one photograph is measured,
not known.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgetl.config.loading import Loaded
from edgetl.config.recipe import Split
from edgetl.console.progress import Progress
from edgetl.data import leaks
from edgetl.data.source import Source, open_source
from edgetl.data.splits import split
from edgetl.data.survey import Survey, survey
from edgetl.errors import DataError
from edgetl.stages.common import preflight, sources
from edgetl.stages.common.settings import split_seed
from edgetl.store import Store

__all__ = ["Check", "Survey", "check_data", "check_recipe"]


@dataclass(frozen=True)
class Check:
    """A checked data set.

    root: what the user named, or where its stand-in was rendered.
    stand_in: name of the synthetic data set that was looked at instead of the real one, or None.
    problems: what would stop a build, each as one line.
    """

    survey: Survey
    root: Path
    stand_in: str | None
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The survey's, and the problems."""
        return {**self.survey.to_json(), "stand_in": self.stand_in, "problems": list(self.problems)}


def check_recipe(loaded: Loaded, store: Store, progress: Progress) -> Check:
    """A recipe's names and data, with its labels, columns, exclusions and split.

    Raises:
        EdgetlError: what a build would raise before it looks at the first picture.
    """
    recipe = loaded.recipe
    preflight.check(loaded)
    root = sources.root(loaded, store, progress)
    source = sources.records(recipe.data, root, loaded.project)
    found = survey(source, store.root / "files.sqlite", progress)
    problems = _problems(found) or _unsplittable(found, source, recipe.data.split, split_seed(recipe))
    return Check(found, loaded.data_root or root, loaded.stand_in, tuple(problems))


def check_data(kind: str, root: Path, columns: Mapping[str, str], progress: Progress) -> Check:
    """Data without a recipe: only the splits that it prescribes itself are looked at.

    Args:
        columns: of a CSV table, as role -> column; the others are found by their name.

    Raises:
        UsageError: an unknown kind, or columns of one that has none.
        DataError: the root is not of its kind.
    """
    with tempfile.TemporaryDirectory() as scratch:
        source = open_source(kind, root, unpack_to=Path(scratch), columns=columns, progress=progress)
        found = survey(source, Path(scratch) / "files.sqlite", progress)
    return Check(found, root, None, tuple(_problems(found)))


def _problems(found: Survey) -> list[str]:
    parts = (
        (found.unreadable, "files that cannot be read"),
        (found.leaks.groups, "groups in two prescribed splits"),
        (found.leaks.across, "sets of identical files in two prescribed splits"),
    )
    return [f"{what}: {len(some)}" for some, what in parts if some]


def _unsplittable(found: Survey, source: Source, shares: Split, seed: int) -> list[str]:
    """What the split itself would refuse: a class with too few groups, groups that identical files tie together."""
    by_image = {record.image: record for record in source.records}
    same = [[by_image[image] for image in one.images] for one in found.leaks.identical]
    try:
        split(leaks.merge(source.records, same), shares.val, shares.test, seed)
    except DataError as exc:
        return [exc.message + (f" ({exc.hint})" if exc.hint else "")]
    return []
