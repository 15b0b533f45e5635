"""A training against one written out in plain PyTorch: the same weights and the same numbers, with every option that counts."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from edgetl.config.recipe import Training
from edgetl.console.progress import Silent
from edgetl.errors import TrainingDiverged
from edgetl.tasks import classify
from edgetl.training import loop
from edgetl.training.accelerator import make_accelerator
from edgetl.training.batches import TrainingData, as_input, epoch_batches, plain_batches
from edgetl.training.ema import WeightAverage, recalibrate
from edgetl.training.loop import Distillation, Fit, fit
from edgetl.training.losses.kd import kd, kd_standardized
from edgetl.training.mixing import mixed
from edgetl.training.optimizer import adamw, hold_backbone, set_learning_rate
from edgetl.training.schedules import warmup_cosine

pytestmark = pytest.mark.usefixtures("one_thread")

_SIZE, _CLASSES, _SEED = 8, 3, 5


def _data(train: int = 29, val: int = 15) -> TrainingData:
    generator = np.random.default_rng(0)
    labels = (np.arange(train + val) % 4 % _CLASSES).astype(np.int64)  # class 0 is twice as frequent
    colours = generator.integers(0, 256, (_CLASSES, 1, 1, 3))[labels]
    noise = generator.normal(80, 60, (train + val, _SIZE, _SIZE, 3))
    images = np.clip(0.4 * colours + noise, 0, 255).astype(np.uint8)
    return TrainingData(images, labels, np.arange(train), np.arange(train, train + val), _CLASSES)


def _network(seed: int = 0) -> nn.Sequential:
    """With BatchNorm, dropout, and outputs so steep that gradients are clipped."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        classifier = nn.Linear(54, _CLASSES)
        classifier.weight.data *= 40
        return nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2, bias=False),
            nn.BatchNorm2d(6),
            nn.Flatten(),
            nn.Dropout(0.2),
            classifier,
        )


@dataclasses.dataclass
class _Expected:
    best: int
    history: list[dict[str, float]]
    weights: dict[str, Tensor]


def _written_out(
    network: nn.Module,
    data: TrainingData,
    wanted: Training,
    teacher: nn.Module | None = None,
    weight: float = 0.0,
    temperature: float = 1.0,
    share: tuple[int, int] = (0, 1),
) -> _Expected:
    size = min(wanted.batch_size, len(data.train))
    steps = len(data.train) // size
    average = WeightAverage(network, wanted.ema)
    optimizer = adamw(network, wanted)
    label_loss = classify.label_loss(wanted.imbalance, data.counts(), wanted.label_smoothing)
    history: list[dict[str, float]] = []
    kept: list[dict[str, Tensor]] = []
    for epoch in range(1, wanted.epochs + 1):
        network.train()
        held = epoch <= wanted.freeze_epochs
        hold_backbone(network, held)
        sums = np.zeros(2)
        for index, batch in enumerate(epoch_batches(data, size, _SEED, epoch, share=share)):
            step = (epoch - 1) * steps + index
            factor = warmup_cosine(step, wanted.epochs * steps, round(wanted.warmup_epochs * steps))
            set_learning_rate(optimizer, wanted.learning_rate * factor)
            draw = np.random.SeedSequence((_SEED, epoch, index, 0, share[0])).generate_state(1)
            torch.manual_seed(int(draw[0]))
            images, labels = as_input(batch.images), torch.from_numpy(batch.labels)
            images, labels = mixed(images, labels, data.classes, wanted, _SEED, epoch, index)
            logits = network(images)
            losses = [label_loss(logits, labels)]
            if teacher is not None:
                with torch.no_grad():
                    theirs = teacher.eval()(images)
                losses.append(kd(logits, theirs, temperature))
            of_batch = len(batch.rows) * share[1] / size
            loss = losses[0] + (weight * losses[1] if teacher is not None else 0.0)
            optimizer.zero_grad()
            (loss * of_batch).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            average.update(network)
            sums[: len(losses)] += [value.item() * of_batch for value in losses]
        judged = average.network if wanted.ema > 0 else network
        if wanted.ema > 0 and not held:
            recalibrate(judged, plain_batches(data, 1000, size, _SEED))
        network.eval()
        judged.eval()
        with torch.no_grad():
            logits = judged(as_input(data.images[data.val])).numpy()
        scores = classify.validation_scores(logits, data.labels[data.val])
        history.append({"epoch": epoch, "label_loss": sums[0] / steps} | {f"val_{k}": v for k, v in scores.items()})
        if teacher is not None:
            history[-1]["distil_loss"] = sums[1] / steps
        kept.append(copy.deepcopy(judged.state_dict()))
    best = max(history, key=lambda entry: (entry["val_balanced_accuracy"], entry["val_auroc"], -entry["epoch"]))
    return _Expected(int(best["epoch"]), history, kept[int(best["epoch"]) - 1])


def _compare(done: Fit, network: nn.Module, expected: _Expected) -> None:
    assert done.best_epoch == expected.best
    for entry, by_hand in zip(done.history, expected.history, strict=True):
        assert {name: entry[name] for name in by_hand} == pytest.approx(by_hand, rel=1e-4)
        assert ("distil_loss" in entry) is ("distil_loss" in by_hand)
    best = expected.history[expected.best - 1]
    assert done.scores == pytest.approx({name: best[f"val_{name}"] for name in done.scores})
    assert set(done.scores) == {"balanced_accuracy", "auroc", "score"}
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, expected.weights[name], rtol=1e-4, atol=1e-6)


_PLAIN = Training(epochs=3, batch_size=9, learning_rate=0.01, warmup_epochs=0.5, ema=0.0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 100},
        {"ema": 0.7, "label_smoothing": 0.1, "imbalance": "weights"},
        {"mixup": 0.4, "ema": 0.0, "imbalance": "none"},
        {"freeze_epochs": 1, "ema": 0.5},
    ],
)
def test_a_training_is_what_it_would_be_written_out(tmp_path: Path, options: dict[str, Any]) -> None:
    wanted, data, network = _PLAIN.model_copy(update=options), _data(), _network()
    expected = _written_out(_network(), data, wanted)
    done = fit(network, data, wanted, seed=_SEED, checkpoints=tmp_path, progress=Silent())
    _compare(done, network, expected)


def test_a_teacher_adds_its_loss_with_its_weight_at_its_temperature(tmp_path: Path) -> None:
    data, network = _data(), _network()
    expected = _written_out(_network(), data, _PLAIN, _network(3), 0.7, 2.0)
    taught = Distillation(_network(3), kd, 0.7, 2.0)
    done = fit(network, data, _PLAIN, distillation=taught, seed=_SEED, checkpoints=tmp_path, progress=Silent())
    _compare(done, network, expected)


def test_a_thousand_images_measure_the_batchnorm_of_an_average(tmp_path: Path) -> None:
    data, network = _data(train=1300), _network()
    wanted = Training(epochs=1, batch_size=250, ema=0.5)
    expected = _written_out(_network(), data, wanted)
    done = fit(network, data, wanted, seed=_SEED, checkpoints=tmp_path, progress=Silent())
    _compare(done, network, expected)


def test_a_share_of_a_batch_counts_by_its_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of two processes has five of nine images; the other one's numbers are made the same as its own."""
    monkeypatch.setattr(Accelerator, "num_processes", 2)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor, group=None: tensor.mul_(2))
    monkeypatch.setattr(torch.distributed, "broadcast", lambda tensor, source: tensor)
    monkeypatch.setattr(torch.distributed, "new_group", lambda **options: None)
    monkeypatch.setattr(
        torch.distributed,
        "all_gather_object",
        lambda values, value, group: values.__setitem__(slice(None), [value, value[: len(value) - 1]]),
    )
    data, network = _data(), _network()
    expected = _written_out(_network(), data, _PLAIN, share=(0, 2))
    done = fit(network, data, _PLAIN, seed=_SEED, checkpoints=tmp_path, progress=Silent())
    assert [entry["label_loss"] for entry in done.history] == pytest.approx(
        [entry["label_loss"] for entry in expected.history], rel=1e-4
    )


_WHILE = 0.05


class _Heard(Silent):
    """Keeps what is told, takes a while at the step before a certain one, and presses Ctrl-C at it."""

    def __init__(self, step: int = 0) -> None:
        self._step = step
        self.steps: list[tuple[str, int, int]] = []
        self.events: list[dict[str, Any]] = []
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)

    def advance(self, label: str, done: int, total: int) -> None:
        self.steps.append((label, done, total))
        if done == self._step - 1:
            time.sleep(_WHILE)
        if done == self._step:
            signal.raise_signal(signal.SIGINT)

    def event(self, kind: str, **fields: Any) -> None:
        self.events.append({"kind": kind, **fields})


def test_every_step_and_epoch_is_told(tmp_path: Path) -> None:
    told, began = _Heard(), time.perf_counter()
    done = fit(_network(), _data(), _PLAIN, seed=_SEED, checkpoints=tmp_path, progress=told, label="student")
    assert [step[1:] for step in told.steps] == [(number, 9) for number in range(1, 10)]
    assert [step[0] for step in told.steps] == [f"student: epoch {epoch}/3" for epoch in (1, 1, 1, 2, 2, 2, 3, 3, 3)]
    assert [event["epoch"] for event in told.events] == [1, 2, 3]
    assert all(event["label"] == "student" and event["kind"] == "epoch" for event in told.events)
    bests = [line.endswith("(best)") for line in told.lines]
    scores = [(entry["val_balanced_accuracy"], entry["val_auroc"]) for entry in done.history]
    assert bests == [score > max(scores[:index], default=(-1.0, -1.0)) for index, score in enumerate(scores)]
    assert told.lines[0].startswith(f"student: epoch 1/3  loss {done.history[0]['label_loss']:.3f}")
    assert done.seconds == pytest.approx(sum(entry["seconds"] for entry in done.history))
    assert done.seconds <= time.perf_counter() - began
    assert all(0 <= entry["data_wait_seconds"] <= entry["seconds"] > 0 for entry in done.history)
    assert done.resumed_after == 0


@pytest.mark.parametrize(
    ("step", "where"), [(1, "in epoch 1 of 3, after batch 1"), (5, "in epoch 2 of 3, after batch 2")]
)
def test_a_run_that_was_stopped_goes_on_with_its_sums(tmp_path: Path, step: int, where: str) -> None:
    straight, resumed, told = _network(), _network(8), _Heard()
    whole = fit(straight, _data(), _PLAIN, seed=_SEED, checkpoints=tmp_path / "a", progress=Silent())
    with pytest.raises(KeyboardInterrupt):
        fit(_network(), _data(), _PLAIN, seed=_SEED, checkpoints=tmp_path / "b", progress=_Heard(step))
    rest = fit(resumed, _data(), _PLAIN, seed=_SEED, checkpoints=tmp_path / "b", progress=told)
    assert told.lines[0] == f"train: going on {where}"
    assert [done for _, done, _ in told.steps] == list(range(step + 1, 10))
    assert rest.resumed_after == (step - 1) // 3
    assert rest.history[(step - 1) // 3]["seconds"] >= (_WHILE if step > 1 else 0), "those before the stop count"
    for ours, theirs in zip(rest.history, whole.history, strict=True):
        assert {k: v for k, v in ours.items() if "seconds" not in k} == {
            k: v for k, v in theirs.items() if "seconds" not in k
        }
    assert all(
        torch.equal(a, b) for a, b in zip(straight.state_dict().values(), resumed.state_dict().values(), strict=True)
    )


def test_a_finished_run_only_says_where_it_stands(tmp_path: Path) -> None:
    first, again, told = _network(), _network(8), _Heard()
    fit(first, _data(), _PLAIN, seed=_SEED, checkpoints=tmp_path, progress=Silent())
    done = fit(again, _data(), _PLAIN, seed=_SEED, checkpoints=tmp_path, progress=told)
    assert told.lines[0] == "train: going on after epoch 3 of 3"
    assert (told.steps, done.resumed_after, len(done.history)) == ([], 3, 3)
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))


@pytest.fixture(scope="module")
def one_epoch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoints of a finished training."""
    folder = tmp_path_factory.mktemp("one_epoch")
    taught = Distillation(_network(3), kd, 0.7, 2.0)
    fit(_network(), _data(), _SHORT, distillation=taught, seed=_SEED, checkpoints=folder, progress=Silent())
    return folder


_SHORT = _PLAIN.model_copy(update={"epochs": 1, "batch_size": 29})
_CHANGES = ["nothing", "seed", "rate", "labels", "train", "val", "shape", "weight", "temperature", "loss", "no teacher"]


@pytest.mark.parametrize("change", _CHANGES)
def test_only_the_state_of_the_very_same_run_is_taken_up(tmp_path: Path, one_epoch: Path, change: str) -> None:
    folder = shutil.copytree(one_epoch, tmp_path / "checkpoints")
    data, network, settings = _data(), _network(), _SHORT
    taught = Distillation(_network(3), kd, 0.7, 2.0)
    fields: dict[str, Any] = {"weight": 0.6, "temperature": 2.5, "loss": kd_standardized}
    if change == "shape":
        network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    if change == "rate":
        settings = settings.model_copy(update={"learning_rate": 0.02})
    if change in ("labels", "train", "val"):
        data = dataclasses.replace(data, **{change: np.roll(getattr(data, change), 1)})
    if change in fields:
        taught = dataclasses.replace(taught, **{change: fields[change]})
    done = fit(
        network,
        data,
        settings,
        distillation=None if change == "no teacher" else taught,
        seed=_SEED + (change == "seed"),
        checkpoints=folder,
        progress=Silent(),
    )
    assert (done.resumed_after == 1) is (change == "nothing")


def test_an_equal_epoch_is_no_better_one_and_patience_counts_from_the_best(tmp_path: Path) -> None:
    """A network that does not learn: all epochs are equal, so the first is kept."""
    for patience in (1, 2):
        wanted = _PLAIN.model_copy(update={"epochs": 5, "learning_rate": 1e-12, "patience": patience})
        network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
        folder = tmp_path / str(patience)
        done = fit(network, _data(), wanted, seed=_SEED, checkpoints=folder, progress=Silent())
        assert (done.best_epoch, len(done.history)) == (1, 1 + patience)


class _Broken(nn.Module):
    """Says what is no number: while it trains, while it does not, or with a gradient that is not finite."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.network, self.nought, self._how = _network(), nn.Parameter(torch.zeros(1)), how

    def forward(self, image: Tensor) -> Tensor:
        output: Tensor = self.network(image)
        if self._how == "gradient":
            return output + self.nought.abs().sqrt()
        return output * float("nan") if self.training is (self._how == "training") else output


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("training", r"epoch 1, batch 1: loss nan"),
        ("gradient", r"epoch 1, batch 1: loss \d+\.\d+, or its gradient, is not finite"),
        ("validating", "epoch 1: the validation outputs are not finite"),
    ],
)
def test_what_is_not_finite_ends_the_training(tmp_path: Path, how: str, message: str) -> None:
    with pytest.raises(TrainingDiverged, match=message):
        fit(_Broken(how), _data(), _PLAIN, seed=_SEED, checkpoints=tmp_path, progress=Silent())
    assert not (tmp_path / "last.safetensors").exists()


def test_overflows_are_skipped_until_the_scale_of_the_gradients_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fp16 needs a GPU; its scaler does not. From four on it halves twice."""

    def scaling(precision: str) -> Accelerator:
        accelerator = make_accelerator(precision)
        accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
        accelerator.native_amp = True
        accelerator.state._mixed_precision = "fp16"
        accelerator.autocast = contextlib.nullcontext
        return accelerator

    monkeypatch.setattr(loop, "make_accelerator", scaling)
    told = _Heard()
    with pytest.raises(TrainingDiverged, match="epoch 1, batch 3: "):
        fit(_Broken("gradient"), _data(), _PLAIN, seed=_SEED, checkpoints=tmp_path, progress=told)
    assert [done for _, done, _ in told.steps] == [1, 2]


def test_a_network_comes_back_plain(tmp_path: Path) -> None:
    network, wanted = _network(), _PLAIN.model_copy(update={"freeze_epochs": 9, "epochs": 1})
    fit(network, _data(), wanted, seed=_SEED, checkpoints=tmp_path, progress=Silent())
    assert not any(module.training for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(parameter.is_contiguous() for parameter in network.parameters())
