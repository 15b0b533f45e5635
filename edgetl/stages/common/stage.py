"""What a stage is: a name, what it depends on, and a function that fills a folder.

Stage files import torch, converters and runtimes inside `run`: an unchanged build only computes keys and stays quick.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgetl.config.loading import Loaded
from edgetl.config.recipe import Recipe
from edgetl.console.progress import Progress
from edgetl.store import Dependencies, Entry

SOURCE = "source"
UNLABELLED = "unlabelled pictures"


@dataclass(frozen=True)
class Context:
    """What a stage sees while it runs.

    folder: empty; what is written here becomes the stage's result when `run` returns, and nothing stays when it raises.
    inputs: the finished folder of each stage that `needs` names.
    scratch: survives a kill and is deleted when the stage ends: checkpoints live here.
    source: where the pictures are: their folder, or the table of a CSV data set.
    project: the recipe's project, where target files are looked up.
    progress: where to say how far it is.
    pictures: the folder that the records' paths are relative to, where it is not that of `source`.
    networks: of `inputs`, the folders of networks, under the names that report.json gives them (`Stage.network`).
    """

    recipe: Recipe
    folder: Path
    inputs: Mapping[str, Path]
    scratch: Path
    source: Path
    project: Path
    progress: Progress
    networks: Mapping[str, Path] = field(default_factory=dict)
    pictures: Path | None = None

    @property
    def data_root(self) -> Path:
        """The folder that the records' paths are relative to."""
        return self.pictures or (self.source.parent if self.source.is_file() else self.source)


def always(recipe: Recipe) -> bool:
    """The `active` of a stage that every recipe has."""
    return True


def all_read(recipe: Recipe) -> Container[str]:
    """The `unread` of a stage that reads all it needs in every recipe."""
    return ()


def none(loaded: Loaded, store: Path) -> dict[str, Path]:
    """The `files` of a stage that reads none."""
    return {}


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline.

    version: raised by hand when the code computes something else from the same inputs.
    needs: what it reads of earlier stages, as STAGE/FILE or STAGE/FOLDER: only a change of that recomputes it. Stages
        that the recipe leaves out are left out here too. SOURCE is the whole data set, as its user keeps it, UNLABELLED
        the pictures of data.unlabelled.
    unread: those of `needs` that it does not read in this recipe.
    settings: the slice of the recipe that it depends on, as JSON.
    tools: distributions whose version is part of the key, and with it the environment variables that change what they
        compute (`environment.VARIABLES`).
    active: whether the recipe has this stage at all.
    files: what else it reads that its user keeps, by what messages call it: their content is part of the key. Its second
        argument is the store's folder.
    trains: whether a launcher's other processes join it; they wait while the first one computes the rest.
    network: what report.json calls the network that it writes into `network/`; None where it writes none.
    """

    name: str
    version: int
    needs: tuple[str, ...]
    settings: Callable[[Recipe], Any]
    tools: tuple[str, ...]
    run: Callable[[Context], None]
    active: Callable[[Recipe], bool] = always
    files: Callable[[Loaded, Path], Mapping[str, Path]] = none
    trains: bool = False
    network: str | None = None
    unread: Callable[[Recipe], Container[str]] = all_read

    def reads(self, recipe: Recipe) -> tuple[str, ...]:
        """Its `needs` in this recipe."""
        unread = self.unread(recipe)
        return tuple(need for need in self.needs if need not in unread)


@dataclass(frozen=True)
class Step:
    """A stage of one build.

    parts: what it depends on; without inputs where those are not computed yet.
    waits: the stages it needs that are not computed yet; it has no key then.
    damage: what is wrong with the entry that it had.
    """

    stage: Stage
    parts: Dependencies
    entry: Entry | None
    cached: bool
    waits: tuple[str, ...] = ()
    damage: str = ""

    @property
    def key(self) -> str | None:
        """Where the store keeps the result; None while it depends on a stage that is not computed yet."""
        return None if self.waits else self.parts.key
