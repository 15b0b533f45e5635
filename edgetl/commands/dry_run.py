"""What `edgetl build --dry-run` tells: what would run and why, and what is cached since when."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgetl.stages.common import sources
from edgetl.store import History
from edgetl.store.diff import DATA_CHANGED

if TYPE_CHECKING:
    from edgetl.config.loading import Loaded
    from edgetl.stages.common.stage import Step
    from edgetl.store import Store


def stages(loaded: Loaded, store: Store, steps: Sequence[Step], *, fresh: bool) -> list[dict[str, Any]]:
    """As JSON: name, key (null while an earlier stage is not computed), cached, and `since` (ISO time) or `why` (phrases)."""
    history = History(store.root if not all(step.cached for step in steps) else None)
    recipe = loaded.recipe.model_dump(mode="json")
    found: list[dict[str, Any]] = []
    for step in steps:
        document: dict[str, Any] = {"name": step.stage.name, "key": step.key, "cached": step.cached}
        if step.cached and step.entry:
            document["since"] = step.entry.made
        elif fresh:
            document["why"] = ["--fresh"]
        elif step.damage:
            document["why"] = [f"its stored result is damaged: {step.damage}"]
        else:
            document["why"] = why = history.why(step.parts, loaded.recipe.name, recipe, step.waits)
            if DATA_CHANGED in why:
                entry = history.compared(step.parts, loaded.recipe.name, recipe, step.waits)
                why[why.index(DATA_CHANGED)] = sources.changes(loaded, store, entry.folder) or DATA_CHANGED
        found.append(document)
    return found


def table(found: Sequence[dict[str, Any]]) -> str:
    """What `stages` gives, a line each, with times of this machine's zone."""
    width = max(len(stage["name"]) for stage in found)
    lines = []
    for stage in found:
        about = f"since {_local(stage['since'])}" if stage["cached"] else "; ".join(stage["why"])
        lines.append(f"{'cached   ' if stage['cached'] else 'would run'}  {stage['name']:<{width}}  {about}")
    return "\n".join(lines)


def _local(made: str) -> str:
    if not made:
        return "an unknown time"
    return f"{datetime.datetime.fromisoformat(made).astimezone():%Y-%m-%d %H:%M}"
