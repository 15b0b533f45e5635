"""What workers say of their machine before and after they ran, and what that says of the runs between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from .subjects import Subject
from .surroundings import Surroundings, Ticks

State = Mapping[str, Any]


def states(those: Sequence[Subject]) -> dict[str, State]:
    """The answers to `state`, by the worker's name; empty where it does not know."""
    found: dict[str, State] = {}
    for subject in those:
        with subject.failing():
            found[subject.worker.name] = subject.running.ask("state")
    return found


def between(before: Mapping[str, State], after: Mapping[str, State]) -> dict[str, dict[str, Any]]:
    """By the worker's name, the fields of `Measurement` that two looks give.

    All workers are on one machine: the time of its cores that none of them used is that of others.
    """
    used: float | None = sum(
        _number(state, "used_s") - _number(before.get(name, {}), "used_s") for name, state in after.items() if state
    )
    if before.keys() - after.keys():  # one died: nobody knows what it used
        used = None
    found = {}
    for name, state in after.items():
        earlier = before.get(name, {})
        runs = _number(state, "runs") - _number(earlier, "runs")
        energies = [each.get("energy_uj") for each in (earlier, state)]
        spent = energies[1] - energies[0] if runs and None not in energies else None  # type: ignore[operator]
        found[name] = {
            **_shares(earlier, state, used),
            "energy_mj": None if spent is None else spent / 1e3 / runs,
            "ran_on": tuple(state.get("ran_on", ())),
            "before": surroundings(earlier),
            "after": surroundings(state),
            "cautions": tuple(dict.fromkeys([*earlier.get("cautions", ()), *state.get("cautions", ())])),
        }
    return found


def surroundings(state: State) -> Surroundings | None:
    """The machine, of a worker's state."""
    said = state.get("surroundings")
    if not isinstance(said, dict):
        return None
    values: dict[str, Any] = {each.name: said.get(each.name) for each in fields(Surroundings)}
    return Surroundings(**values)


def _shares(before: State, after: State, used: float | None) -> dict[str, float | None]:
    """used: seconds of all workers; None where that is not known."""
    one, other = before.get("ticks"), after.get("ticks")
    if not one or not other or other["all"] <= one["all"]:
        return {"stolen": None, "foreign": None}
    then, now = Ticks(**one), Ticks(**other)
    every = now.all - then.all
    shares = {
        "stolen": (now.stolen - then.stolen) / every,
        "foreign": None if used is None else (now.busy - then.busy - used) / every,
    }
    return {name: None if share is None else round(min(1.0, max(0.0, share)), 4) for name, share in shares.items()}


def _number(state: State, name: str) -> float:
    value = state.get(name)
    return float(value) if isinstance(value, int | float) else 0.0
