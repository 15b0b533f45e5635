"""`edgetl check`: a survey of every picture, and what a build of the same data would refuse.

A build refuses files that cannot be read, groups or identical files in two splits that the source prescribes, and classes
with too few groups for every split. Near duplicates it only warns of: that two pictures are one photograph is measured,
not known.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edgetl.api.boundary import boundary
from edgetl.api.data_section import data_section
from edgetl.api.project import store_of
from edgetl.api.recipes import AnyRecipe, Loaded, Overrides, load_recipe, stand_in_warning
from edgetl.config.data import Data, Split
from edgetl.console.capture import captured
from edgetl.console.events import Listener, reporting_to
from edgetl.console.progress import Progress
from edgetl.data import leaks
from edgetl.data.groups_in_names import Proposal, propose
from edgetl.data.source import Source
from edgetl.data.splits import split
from edgetl.data.survey import Survey, survey
from edgetl.errors import DataError, Interrupted, UsageError
from edgetl.lint.linting import Linted, kind_of, lint
from edgetl.lint.predicting import Finding, Prediction
from edgetl.results.rehearsal import Rehearsal
from edgetl.stages.common import preflight, sources
from edgetl.stages.common.settings import split_seed

__all__ = ["CheckResult", "Finding", "Linted", "Prediction", "Proposal", "Rehearsal", "Survey", "check"]


@dataclass(frozen=True)
class CheckResult:
    """A checked data set.

    root: what the user named, or where its stand-in was rendered.
    stand_in: name of the synthetic data set that was looked at instead of the real one, or None.
    problems: what would stop a build, each as one line.
    proposal: how names seem to say which images show one patient, where nothing else does.
    rehearsal: what came of the recipe's whole path with untrained networks, where it was asked for.
    unlabelled: pictures in the recipe's data.unlabelled; which of them show one that is held out, the split decides.
    lint: what each target that was asked about is expected to make of the recipe's files.
    """

    survey: Survey
    root: Path
    stand_in: str | None
    problems: tuple[str, ...]
    proposal: Proposal | None = None
    rehearsal: Rehearsal | None = None
    unlabelled: int = 0
    lint: tuple[Linted, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The survey's, the problems and the proposal."""
        return {
            **self.survey.to_json(),
            "stand_in": self.stand_in,
            "problems": list(self.problems),
            "unlabelled": self.unlabelled,
            "proposal": self.proposal.to_json() if self.proposal else None,
            "rehearsal": json.loads(self.rehearsal.to_json()) if self.rehearsal else None,
            "lint": [asdict(linted) for linted in self.lint],
        }

    def raise_on_problems(self) -> None:
        """Raise the DataError with which a build would stop, if one would."""
        if self.problems:
            others = "".join(f"\n  and: {problem}" for problem in self.problems[1:])
            raise DataError(f"a build would stop here: {self.problems[0]}{others}", place=str(self.root))


@boundary
def check(
    recipe: AnyRecipe | None = None,
    *,
    overrides: Overrides = (),
    data: str | None = None,
    columns: Mapping[str, str] | None = None,
    rehearse: bool = False,
    targets: Sequence[str] = (),
    progress: Listener = None,
) -> CheckResult:
    """Look at every picture of a recipe's data, or of data alone, without training.

    Args:
        recipe: its names, labels, columns, exclusions and split are checked too. Either this or `data`.
        overrides: fields of the recipe that get another value; of `data` those of its section, as data.table.folder.
        data: KIND:ROOT.
        columns: of a CSV table in `data`, as role -> column; the others are found by their name.
        rehearse: go the recipe's whole path too, with untrained networks: some minutes for one that is new.
        targets: say what these are expected to make of the recipe's files, which a rehearsal makes: targets, or kinds of
            devices that `edgetl/lint/rules` knows.
        progress: what is told how far it is; nobody without it.

    Raises:
        UsageError: both or none of the two, an unknown kind, columns of one that has none, or a path that cannot be gone.
        DataError: the root is not of its kind.
        RecipeError: there is no such target.
        EdgetlError: what else a build would raise before it looks at the first picture.
    """
    if (recipe is None) == (data is None):
        raise UsageError("check: expected a recipe, or --data KIND:ROOT", hint="edgetl check --help")
    for asked, option in ((rehearse, "--rehearse"), (bool(targets), "--target")):
        if data is not None and asked:
            raise UsageError(f"{option} is for a recipe", hint=f"edgetl check RECIPE {option}")
    if data is None and columns:
        raise UsageError("--columns is for --data", hint="--set data.columns.label=... changes those of a recipe")
    try:
        with reporting_to(progress) as reporter, captured():  # what libtiff prints is nobody's, and helps nobody
            if recipe is not None:
                loaded = load_recipe(recipe, overrides)
                kinds = [kind_of(name, loaded.project) for name in dict.fromkeys(targets)]
                found = _of_recipe(loaded, reporter)
                if found.problems or not (rehearse or kinds):
                    return found
                rehearsal = _rehearsal(loaded, reporter)
                graphs = {file.name: file.operators for file in rehearsal.files if file.name in loaded.recipe.artifacts}
                linted = tuple(lint(name, kind, graphs) for name, kind in kinds)
                return replace(found, rehearsal=rehearsal if rehearse else None, lint=linted)
            return _of_data(*data_section(data or "", columns, overrides), reporter)
    except KeyboardInterrupt as exc:
        raise Interrupted("interrupted; a check changes nothing") from exc


def _of_recipe(loaded: Loaded, progress: Progress) -> CheckResult:
    if loaded.stand_in:
        progress.warn(stand_in_warning(loaded))
    recipe, store = loaded.recipe, store_of(loaded)
    preflight.check(loaded)
    preflight.require_targets(loaded)
    root = sources.root(loaded, store, progress)
    source = sources.records(recipe.data, root, loaded.project)
    surveyed = survey(source, store.root / sources.INDEX, progress, recipe.data.bits)
    preflight.require_a_lesson(recipe, len(surveyed.classes))
    problems = _problems(surveyed) or _unsplittable(surveyed, source, recipe.data.split, split_seed(recipe))
    further = len(sources.unlabelled(recipe.data)[1]) if recipe.data.unlabelled is not None else 0
    found = CheckResult(surveyed, loaded.data_root or root, loaded.stand_in, tuple(problems), propose(source.records))
    return replace(found, unlabelled=further)


def _rehearsal(loaded: Loaded, progress: Progress) -> Rehearsal:
    from edgetl import pipeline

    return pipeline.rehearse(loaded, store_of(loaded), progress)


def _of_data(data: Data, root: Path, progress: Progress) -> CheckResult:
    with tempfile.TemporaryDirectory() as scratch:
        source = sources.records(data, root, Path.cwd(), unpack_to=Path(scratch), progress=progress)
        surveyed = survey(source, Path(scratch) / sources.INDEX, progress, data.bits)
    problems = _problems(surveyed) or _unsplittable(surveyed, source, data.split, data.split.seed or 0)
    return CheckResult(surveyed, root, None, tuple(problems), propose(source.records))


def _problems(surveyed: Survey) -> list[str]:
    parts = (
        (surveyed.unreadable, "files that cannot be read"),
        (surveyed.leaks.groups, "groups in two prescribed splits"),
        (surveyed.leaks.across, "sets of identical files in two prescribed splits"),
    )
    return [f"{what}: {len(some)}" for some, what in parts if some]


def _unsplittable(surveyed: Survey, source: Source, shares: Split, seed: int) -> list[str]:
    """What the split itself would refuse: a class with too few groups, groups that identical files tie together."""
    by_image = {record.image: record for record in source.records}
    same = [[by_image[image] for image in copies.images] for copies in surveyed.leaks.identical]
    try:
        split(leaks.merge(source.records, same), shares.val, shares.test, seed)
    except DataError as exc:
        return [exc.message + (f" ({exc.hint})" if exc.hint else "")]
    return []
