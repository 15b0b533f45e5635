"""What a build would do, and why: each stage with what is cached since when, or the reasons why it would run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgetl.stages.common import sources
from edgetl.store import History
from edgetl.store.diff import DATA_CHANGED

if TYPE_CHECKING:
    from edgetl.config.loading import Loaded
    from edgetl.stages.common.stage import Step
    from edgetl.store import Store

__all__ = ["StageResult", "planned"]


@dataclass(frozen=True)
class StageResult:
    """One stage of a build, or of a dry run.

    key: under which the store keeps its result; None while an earlier stage is not computed.
    cached: whether the result was there before.
    since: of a dry run, when a cached result was computed (ISO time, UTC).
    why: of a dry run, what makes the stage run, a phrase each.
    """

    name: str
    key: str | None
    cached: bool
    since: str | None = None
    why: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields; `since` and `why` only where there are any."""
        document: dict[str, Any] = {"name": self.name, "key": self.key, "cached": self.cached}
        if self.since is not None:
            document["since"] = self.since
        if self.why is not None:
            document["why"] = list(self.why)
        return document


def planned(loaded: Loaded, store: Store, steps: Sequence[Step], *, fresh: bool) -> tuple[StageResult, ...]:
    """The steps of a plan with their reasons. fresh: whether everything is to be computed again."""
    history = History(store.root if not all(step.cached for step in steps) else None)
    recipe = loaded.recipe.model_dump(mode="json")
    stages: list[StageResult] = []
    for step in steps:
        since, why = None, None
        if step.cached and step.entry:
            since = step.entry.made
        elif fresh:
            why = ["--fresh"]
        elif step.damage:
            why = [f"its stored result is damaged: {step.damage}"]
        else:
            why = history.why(step.parts, loaded.recipe.name, recipe, step.waits)
            if DATA_CHANGED in why:
                entry = history.compared(step.parts, loaded.recipe.name, recipe, step.waits)
                why[why.index(DATA_CHANGED)] = sources.changes(loaded, store, entry.folder) or DATA_CHANGED
        stages.append(StageResult(step.stage.name, step.key, step.cached, since, None if why is None else tuple(why)))
    return tuple(stages)
