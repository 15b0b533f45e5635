"""Smoothing, mixing, layer-wise rates and freezing in the loop; several teachers in the stages."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes.progress import Heard
from torch import nn

from edgetl import pipeline
from edgetl.config.loading import load
from edgetl.config.training import Training
from edgetl.console.progress import Silent
from edgetl.models import spec
from edgetl.models.ensemble import AveragedLogits
from edgetl.results.evaluation import Evaluation
from edgetl.store import Store
from edgetl.training.batches import TrainingData
from edgetl.training.loop import Distillation, fit
from edgetl.training.losses.dist import dist

_SIZE = 16


def _data() -> TrainingData:
    """Three kinds of colours under noise."""
    generator = np.random.default_rng(0)
    labels = np.arange(90) % 3
    colours = generator.integers(0, 256, (3, 1, 1, 3))[labels]
    pictures = np.clip(0.5 * colours + generator.normal(80, 50, (90, _SIZE, _SIZE, 3)), 0, 255).astype(np.uint8)
    return TrainingData(pictures, labels.astype(np.int64), np.arange(67), np.arange(67, 90), 3)


def _network(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, bias=False),
            nn.BatchNorm2d(8),
            nn.Hardswish(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(32, 3),
        )


_ALL = Training(
    epochs=4,
    progressive=0.75,
    patience=1,
    batch_size=13,
    learning_rate=5e-3,
    layer_decay=0.7,
    freeze_epochs=2,
    label_smoothing=0.1,
    mixup=0.4,
    cutmix=1.0,
    imbalance="weights",
)


class _Stop(Silent):
    """Counts the steps, and presses Ctrl-C at one of them."""

    def __init__(self, at: int = 0) -> None:
        self.steps, self._at = 0, at

    def advance(self, *of: Any) -> None:
        self.steps += 1
        if self.steps == self._at:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("steps", [7, 10, 12])
def test_with_every_option_a_stopped_run_ends_with_the_bits_of_an_unstopped_one(tmp_path: Path, steps: int) -> None:
    """Five steps an epoch, twenty in all: stopped within the held epochs, at their end, and after."""
    data, distillation = _data(), Distillation(_network(7), dist, 1.0, 2.0)
    straight, stopped, resumed = _network(), _network(), _network(5)
    at: dict[str, Any] = {"distillation": distillation, "seed": 3}
    fit(straight, data, _ALL, checkpoints=tmp_path / "a", progress=Silent(), **at)
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, data, _ALL, checkpoints=tmp_path / "b", progress=_Stop(steps), **at)
    left = _Stop()
    fit(resumed, data, _ALL, checkpoints=tmp_path / "b", progress=left, **at)
    assert left.steps == 20 - steps
    for name, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_frozen_to_the_end_only_the_classifier_has_moved(tmp_path: Path, ema: float) -> None:
    network, before = _network(), _network().state_dict()
    probe = Training(epochs=2, batch_size=16, learning_rate=0.1, freeze_epochs=99, ema=ema)
    fit(network, _data(), probe, seed=0, checkpoints=tmp_path, progress=Silent())
    after = network.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert moved == {"6.weight", "6.bias"}
    assert all(parameter.requires_grad for parameter in network.parameters()), "what follows may train it"


def test_freezing_ends_and_then_everything_learns(tmp_path: Path) -> None:
    network, before = _network(), _network().state_dict()
    settings = Training(epochs=2, batch_size=16, learning_rate=0.01, freeze_epochs=1, ema=0.0)
    done = fit(network, _data(), settings, seed=0, checkpoints=tmp_path, progress=Silent())
    last = network.state_dict() if done.kept_epoch == 2 else _last(tmp_path)
    assert not any(torch.equal(value, last[name]) for name, value in before.items())


def _last(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    tensors = load_file(folder / "last.safetensors")
    return {name.removeprefix("network."): value for name, value in tensors.items() if name.startswith("network.")}


class _Seeing(nn.Module):
    """Keeps the batches that a network is given while it is in a training run."""

    def __init__(self, network: nn.Module, always: bool) -> None:
        super().__init__()
        self.network, self._always = network, always
        self.seen: list[torch.Tensor] = []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if self._always or self.training:
            self.seen.append(image.clone())
        logits: torch.Tensor = self.network(image)
        return logits


def test_teacher_and_student_see_the_same_blend_and_validation_sees_none(tmp_path: Path) -> None:
    data, student, teacher = _data(), _Seeing(_network(), False), _Seeing(_network(7), True)
    settings = Training(epochs=1, batch_size=16, mixup=1.0, ema=0.0)
    distillation = Distillation(teacher, dist, 1.0, 2.0)
    fit(student, data, settings, distillation=distillation, seed=0, checkpoints=tmp_path, progress=Silent())
    _, *shown = teacher.seen  # the first one shows whether it takes pictures of this size
    assert len(student.seen) == len(shown) == 4
    assert all(torch.equal(a, b) for a, b in zip(student.seen, shown, strict=True))
    whole = (student.seen[0] * 128 + 128).frac().abs()
    assert float((whole > 1e-3).float().mean()) > 0.5, "values between those of pictures"


def test_averaged_logits_are_the_geometric_mean_of_the_probabilities() -> None:
    networks, images = [_network(1).eval(), _network(2).eval()], torch.randn(5, 3, _SIZE, _SIZE)
    with torch.inference_mode():
        product = torch.stack([network(images).softmax(1) for network in networks]).log().mean(0).exp()
        ours = AveragedLogits(networks)(images).softmax(1)
    torch.testing.assert_close(ours, product / product.sum(1, keepdim=True))


_RECIPE = """\
name: two
data: {kind: skin_phantom, images: 140, image_size: 32}
teacher:
  - {backbone: mobilenetv3_small_050, weights: none, epochs: 1, batch_size: 32, freeze_epochs: 1}
  - {backbone: mobilenetv3_small_050, weights: none, epochs: 1, batch_size: 32, seed: 1}
student: {backbone: mobilenetv3_small_050}
distil: {epochs: 1, batch_size: 32, weights: [1.0], mixup: 0.2, label_smoothing: 0.1}
prune: null
"""


def test_two_teachers_are_trained_once_each_and_their_average_teaches_and_is_judged(tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(_RECIPE, encoding="utf-8")
    store, said = Store(tmp_path / ".edgetl"), Heard()
    steps = pipeline.build(load(path), store, tmp_path / "run", said, until="evaluate")
    folders = {step.stage.name: step.entry.folder for step in steps if step.entry}
    assert list(folders) == ["data", "teach", "teach.2", "trial", "distil", "prune", "evaluate"]
    cautions = [line for line in said.lines if "freeze_epochs" in line]
    assert len(cautions) == 1
    assert "warning: teacher: " in cautions[0]

    evaluation = Evaluation.read(folders["evaluate"])
    macs = {model.name: model.macs for model in evaluation.models}
    assert list(macs) == ["teacher", "teacher_2", "teachers", "student"]
    assert macs["teachers"] == macs["teacher"] + macs["teacher_2"]
    pairs = {(pair.reference, pair.candidate) for pair in evaluation.comparisons}
    assert pairs == {(name, "student") for name in ("teacher", "teacher_2", "teachers")}
    (gate,) = evaluation.gates
    assert "against the average of the teachers" in gate.message
    with np.load(folders["evaluate"] / "logits.npz") as logits:
        mean = (logits["teacher_test"] + logits["teacher_2_test"]) / 2
        np.testing.assert_allclose(logits["teachers_test"], mean, atol=1e-6)
    first, second = (spec.load(folders[stage] / "network").state_dict() for stage in ("teach", "teach.2"))
    assert not torch.equal(first["body.conv_stem.weight"], second["body.conv_stem.weight"])

    third = "[{backbone: mobilenetv3_small_050, weights: none, epochs: 1, batch_size: 32, freeze_epochs: 1}, "
    third += (
        "{backbone: mobilenetv3_small_050, weights: none, epochs: 1, batch_size: 32, seed: 1}, {backbone: resnet18}]"
    )
    planned = pipeline.plan(load(path, [f"teacher={third}"]), store, "distil")
    assert [(step.stage.name, step.cached) for step in planned] == [
        ("data", True),
        ("teach", True),
        ("teach.2", True),
        ("teach.3", False),
        ("trial", False),
        ("distil", False),
    ]
