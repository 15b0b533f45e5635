"""What only a GPU can show of its steps: they are recorded, learn what the CPU's learn, and survive what goes wrong."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_training import SETTINGS, SIZE, tiny_data, tiny_network

from edgetl.config.training import Training
from edgetl.console.progress import Silent
from edgetl.data.augment import Augment
from edgetl.errors import TrainingDiverged
from edgetl.training import checkpoint_schedule
from edgetl.training.accelerator import make_accelerator
from edgetl.training.batches import TrainingData
from edgetl.training.checkpoint_schedule import SoFar
from edgetl.training.device.steps import DeviceSteps
from edgetl.training.ema import WeightAverage
from edgetl.training.job import Job
from edgetl.training.loop import Distillation, fit
from edgetl.training.losses.dist import dist
from edgetl.training.optimizer import adamw
from edgetl.training.run import Run
from edgetl.training.state import State
from edgetl.training.threads import ThreadCount

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

_VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "without an average": {"ema": 0.0},
    "mixup and cutmix": {"mixup": 0.4, "cutmix": 1.0},
    "class weights": {"imbalance": "weights", "label_smoothing": 0.1},
}


def _data(augmented: bool = True) -> TrainingData:
    """With pictures that have no label, which take part where there is a teacher."""
    data = tiny_data(augmented=False)
    further = 255 - np.asarray(data.images[np.arange(23)])
    return dataclasses.replace(data, augment=Augment(SIZE, "strong") if augmented else None, unlabelled=further)


def _taught(taught: bool) -> Distillation | None:
    return Distillation(tiny_network(7), dist, 0.7, 2.0) if taught else None


def _run(settings: Training = SETTINGS, taught: bool = False) -> Run:
    run = Run(Job(tiny_network(), _data(), settings, _taught(taught), 0, "tiny"), make_accelerator("auto"))
    run.state.network.train()
    return run


def _steps(device: str, settings: Training, taught: bool) -> DeviceSteps:
    """Of a network without dropout, in float32 and without augmentation: nothing that two devices draw differently."""
    network = tiny_network(norm=False).to(device)
    job = Job(network, _data(augmented=False), settings, _taught(taught), 0, "tiny")
    if job.distillation is not None:
        job.distillation.teacher.to(device).eval()
    average = WeightAverage(network, settings.ema) if settings.ema else None
    optimizer = adamw(network, settings, capturable=device == "cuda")
    state = State(network.train(), average, optimizer, None, SoFar(epoch=1), ThreadCount.now())
    return DeviceSteps(job, state, torch.device(device))


@pytest.mark.parametrize("variant", _VARIANTS)
@pytest.mark.parametrize("taught", [False, True], ids=["alone", "taught"])
def test_the_step_is_recorded(variant: str, taught: bool) -> None:
    run = _run(SETTINGS.model_copy(update=_VARIANTS[variant]), taught)
    assert isinstance(run.steps, DeviceSteps)
    for epoch in (1, 2):
        list(run.steps.epoch(epoch, 0, None, lambda _: 1e-3))
    label, _ = run.steps.settle()
    assert run.steps.note == ""
    assert run.steps._graph is not None
    assert 0 < label < 1e3


@pytest.mark.parametrize("variant", _VARIANTS)
@pytest.mark.parametrize("taught", [False, True], ids=["alone", "taught"])
def test_it_learns_what_the_cpu_learns(variant: str, taught: bool) -> None:
    settings = SETTINGS.model_copy(update=_VARIANTS[variant])
    learned = []
    for device in ("cpu", "cuda"):
        steps = _steps(device, settings, taught)
        for epoch in (1, 2):
            list(steps.epoch(epoch, 0, None, lambda _: 1e-3))
        losses = steps.settle()
        learned.append((losses, [value.detach().cpu() for value in steps._state.network.parameters()]))
    (cpu, ours), (cuda, theirs) = learned
    assert cuda == pytest.approx(cpu, rel=1e-2)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-2, atol=2e-3)


def test_a_change_of_size_records_anew() -> None:
    run = _run(SETTINGS.model_copy(update={"progressive": 0.5}))
    assert isinstance(run.steps, DeviceSteps)
    graphs = []
    for epoch, size in ((1, (24, 24)), (2, (24, 24)), (3, None)):
        list(run.steps.epoch(epoch, 0, size, lambda _: 1e-3))
        graphs.append(run.steps._graph)
    assert run.steps.note == ""
    assert all(graph is not None for graph in graphs)
    assert graphs[0] is graphs[1]
    assert graphs[1] is not graphs[2]


def test_a_recording_that_fails_leaves_a_training_and_a_device_that_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """With dropout in the network: its generator belongs to the recording while one is made."""
    run = _run()
    assert isinstance(run.steps, DeviceSteps)
    compute, rate = run.steps._compute, run.steps._inputs.rate

    def looking() -> None:
        compute()
        if torch.cuda.is_current_stream_capturing():
            rate.item()  # what a recording forbids

    monkeypatch.setattr(run.steps, "_compute", looking)
    list(run.steps.epoch(1, 0, None, lambda _: 1e-3))
    assert run.steps._graph is None
    assert run.steps.note.startswith("the step could not be recorded")
    label, _ = run.steps.settle()
    assert 0 < label < 1e3
    before = [value.detach().clone() for value in run.state.network.parameters()]
    list(run.steps.epoch(2, 0, None, lambda _: 1e-3))
    assert not any(torch.equal(a, b) for a, b in zip(before, run.state.network.parameters(), strict=True))
    assert torch.rand(3, device="cuda").isfinite().all(), "the generator went on"
    following = _run()
    assert isinstance(following.steps, DeviceSteps)
    list(following.steps.epoch(1, 0, None, lambda _: 1e-3))
    assert following.steps.note == ""
    assert following.steps._graph is not None


def test_a_stopped_training_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_schedule, "SAVE_SECONDS", 0.0)

    class Stop(Silent):
        def advance(self, label: str, done: int, total: int) -> None:
            if done == 12:
                raise KeyboardInterrupt

    settings = SETTINGS.model_copy(update={"mixup": 0.3})
    whole = fit(tiny_network(), _data(), settings, seed=1, checkpoints=tmp_path / "a", progress=Silent())
    with pytest.raises(KeyboardInterrupt):
        fit(tiny_network(), _data(), settings, seed=1, checkpoints=tmp_path / "b", progress=Stop())
    again = fit(tiny_network(99), _data(), settings, seed=1, checkpoints=tmp_path / "b", progress=Silent())
    assert len(again.history) == len(whole.history) == settings.epochs
    assert [entry["label_loss"] for entry in again.history] == pytest.approx(
        [entry["label_loss"] for entry in whole.history], rel=0.05
    )


def test_the_first_bad_step_is_named(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(TrainingDiverged, match=r"epoch \d, batch \d: .*pictures/\d{4}\.png"):
        fit(tiny_network(), _data(), settings, seed=1, checkpoints=tmp_path, progress=Silent())
