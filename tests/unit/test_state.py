"""What a checkpoint holds of a run is all that changes, and comes back as it was."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from edgetl.training.checkpoint_schedule import SoFar
from edgetl.training.checkpoints import Snapshot
from edgetl.training.ema import WeightAverage
from edgetl.training.state import State, Validated
from edgetl.training.threads import ThreadCount


class _Scaler:
    def __init__(self, scale: float) -> None:
        self.scale = scale

    def state_dict(self) -> dict[str, float]:
        return {"scale": self.scale}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.scale = state["scale"]


def _state(seed: int, *, average: bool, scaler: bool, steps: int = 0) -> State:
    torch.manual_seed(seed)
    network = nn.Linear(3, 2)
    state = State(
        network=network,
        average=WeightAverage(network, 0.5) if average else None,
        optimizer=torch.optim.AdamW(network.parameters()),
        scaler=_Scaler(float(seed)) if scaler else None,
        so_far=SoFar(4, batches=steps, label_loss=0.5, distil_loss=0.25, seconds=9.0, data_wait_seconds=1.0),
        threads=ThreadCount(seed, f"{seed} cores"),
        logits=torch.full((4, 2), float(seed)) if steps else None,
    )
    for _ in range(steps):
        network(torch.ones(1, 3)).sum().backward()
        state.optimizer.step()
        if state.average is not None:
            state.average.update(network)
    return state


def _snapshot(state: State) -> Snapshot:
    tensors = {name: value.clone() for name, value in state.tensors().items()}
    return Snapshot(tensors, json.loads(json.dumps(state.counters())))


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("scaler", [True, False])
def test_everything_that_changed_comes_back(average: bool, scaler: bool) -> None:
    state = _state(1, average=average, scaler=scaler, steps=3)
    snapshot = _snapshot(state)
    other = _state(2, average=average, scaler=scaler)
    other.restore(snapshot)
    assert other.tensors().keys() == snapshot.tensors.keys()
    assert all(torch.equal(value, snapshot.tensors[name]) for name, value in other.tensors().items())
    assert other.counters() == state.counters()
    assert (other.so_far, other.threads) == (state.so_far, ThreadCount(1, "1 cores"))
    kinds = {name.partition(".")[0] for name in snapshot.tensors}
    assert kinds == {"network", "optimizer", "logits", *(["average"] if average else [])}
    assert other.logits is not None
    assert torch.equal(other.logits, torch.full((4, 2), 1.0))
    if average:
        assert other.average is not None
        assert other.average.updates == 3
    if scaler:
        assert other.scaler.scale == 1.0


def test_the_average_is_judged_where_there_is_one() -> None:
    with_one, without = (_state(1, average=average, scaler=False) for average in (True, False))
    assert with_one.average is not None
    assert with_one.judged() is with_one.average.network
    assert without.judged() is without.network


def test_what_was_validated_comes_back_beside_its_logits() -> None:
    state = _state(1, average=True, scaler=False, steps=2)
    assert state.average is not None
    again = Validated.of(state.validated().tensors())
    weights = state.average.network.state_dict()
    assert again.weights.keys() == weights.keys()
    assert all(torch.equal(value, again.weights[name]) for name, value in weights.items())
    assert state.logits is not None
    assert torch.equal(again.logits, state.logits)


def test_before_the_first_validation_there_are_no_logits() -> None:
    snapshot = _snapshot(_state(1, average=False, scaler=False))
    other = _state(2, average=False, scaler=False, steps=1)
    other.restore(snapshot)
    assert other.logits is None


def test_a_scaler_keeps_its_scale_where_the_checkpoint_has_none() -> None:
    snapshot = _snapshot(_state(1, average=False, scaler=False))
    assert (snapshot.notes["updates"], snapshot.notes["scaler"]) == (0, None)
    other = _state(2, average=False, scaler=True)
    other.restore(snapshot)
    assert other.scaler.scale == 2.0
    scaled = _snapshot(_state(1, average=False, scaler=True))
    plain = _state(2, average=False, scaler=False)
    plain.restore(scaled)
    assert plain.scaler is None


def test_a_checkpoint_that_says_nothing_about_them_leaves_progress_and_threads() -> None:
    snapshot = _snapshot(_state(1, average=False, scaler=False, steps=3))
    older = Snapshot(snapshot.tensors, {"updates": 0, "scaler": None})
    other = _state(2, average=False, scaler=False)
    other.restore(older)
    assert (other.so_far.batches, other.threads.count) == (0, 2)
