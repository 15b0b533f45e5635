"""Every file of a recipe against every runtime that a target runs it with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgetl.config import target as targets
from edgetl.config.target import Target
from edgetl.errors import RecipeError
from edgetl.lint.graph import Graph
from edgetl.lint.predicting import Prediction, predict
from edgetl.lint.rules import all_rules, rules_of

__all__ = ["Linted", "kind_of", "lint", "named_by_rules"]


@dataclass(frozen=True)
class Linted:
    """What is expected on a target. kind: of device, as rules name it. artifacts: a prediction each."""

    target: str
    kind: str
    artifacts: tuple[Prediction, ...]


def kind_of(name: str, project: Path) -> tuple[str, str]:
    """Name of a target and its kind as rules name it, or a kind of device that rules know and no target file is there for.

    Raises RecipeError where it is neither.
    """
    try:
        targets.find(name, project, "--target")
    except RecipeError as exc:
        kinds = sorted({kind for rules in all_rules().values() for kind in rules.kinds})
        if name in kinds:
            return name, name
        hint = f"{exc.hint}, or a kind of device that there are rules for: {', '.join(kinds)}"
        raise RecipeError(exc.message, place=exc.place, hint=hint) from exc
    chosen = targets.load(name, project)
    return chosen.name, named_by_rules(chosen)


def named_by_rules(target: Target) -> str:
    """Its kind of device: with its accelerator, as in openvino_npu, where rules tell those of a kind apart."""
    with_accelerator = f"{target.kind}_{getattr(target, 'accelerator', '')}"
    known = {kind for rules in all_rules().values() for kind in rules.kinds}
    return with_accelerator if with_accelerator in known else target.kind


def lint(name: str, kind: str, graphs: Mapping[str, Graph | None]) -> Linted:
    """Predict what becomes of the files on a target.

    Args:
        graphs: the operators of each artefact by its name, BACKEND-PRECISION; None where they are not known.
    """
    backends = [artifact.rpartition("-")[0] for artifact in graphs]
    known = rules_of(kind, backends)
    found = []
    for artifact, graph in graphs.items():
        rules_name, rules = known.get(artifact.rpartition("-")[0], ("", None))
        found.append(predict(artifact, graph, rules_name, rules))
    return Linted(name, kind, tuple(found))
