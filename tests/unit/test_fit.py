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

from edgetl.config.training import Training
from edgetl.console.progress import Silent
from edgetl.errors import TrainingDiverged, UsageError
from edgetl.tasks import classify
from edgetl.tasks.classify import choose_epoch
from edgetl.training import loop, run
from edgetl.training.accelerator import make_accelerator
from edgetl.training.batches import TrainingData, as_input, epoch_batches, plain_batches
from edgetl.training.ema import WeightAverage, recalibrate
from edgetl.training.inference import predict_logits
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
    kept: int
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
    outputs: list[np.ndarray] = []
    epochs = wanted.epochs or 0
    for epoch in range(1, epochs + 1):
        network.train()
        held = epoch <= wanted.freeze_epochs
        hold_backbone(network, held)
        sums = np.zeros(2)
        for index, batch in enumerate(epoch_batches(data, size, _SEED, epoch, share=share)):
            step = (epoch - 1) * steps + index
            factor = warmup_cosine(step, epochs * steps, round(wanted.warmup_epochs * steps))
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
        outputs.append(logits)
    best = int(np.argmax([entry["val_score"] for entry in history]))
    choice = choose_epoch(outputs[-1], outputs[best], data.labels[data.val], data.val_groups, epochs, _SEED)
    of = best if choice.keeps_best else epochs - 1
    return _Expected(of + 1, history, kept[of])


def _compare(done: Fit, network: nn.Module, expected: _Expected) -> None:
    assert done.kept_epoch == expected.kept
    for entry, by_hand in zip(done.history, expected.history, strict=True):
        assert {name: entry[name] for name in by_hand} == pytest.approx(by_hand, rel=1e-4)
        assert ("distil_loss" in entry) is ("distil_loss" in by_hand)
    kept = expected.history[expected.kept - 1]
    assert done.scores == pytest.approx({name: kept[f"val_{name}"] for name in done.scores})
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
    assert [event["epoch"] for event in told.events] == [1, 2, 3, done.kept_epoch]
    assert [event["kind"] for event in told.events] == [*["epoch"] * 3, "kept"]
    assert {event["label"] for event in told.events} == {"student"}
    bests = [line.endswith("(best)") for line in told.lines]
    scores = [entry["val_score"] for entry in done.history]
    assert bests[1:4] == [score > max(scores[:index], default=-1.0) for index, score in enumerate(scores)]
    assert told.lines[0] == "student: 3 epochs of 3 batches of 9 images"
    assert told.lines[1].startswith(f"student: epoch 1/3  loss {done.history[0]['label_loss']:.3f}")
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
    """A network that does not learn: all epochs are equal, so the first is the best, and the last is kept."""
    for patience in (1, 2):
        told = _Heard()
        wanted = _PLAIN.model_copy(update={"epochs": 5, "learning_rate": 1e-12, "patience": patience})
        network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
        folder = tmp_path / str(patience)
        done = fit(network, _data(), wanted, seed=_SEED, checkpoints=folder, progress=told)
        assert (done.best_epoch, done.kept_epoch, len(done.history)) == (1, 2 + patience, 2 + patience)
        assert (done.lead, done.standard_error, done.planned) == (0.0, 0.0, 5)
        said = f"train: no better since epoch 1; the rate comes down until epoch {2 + patience}"
        assert told.lines.count(said) == 1
        assert {total for _, _, total in told.steps[-3:]} == {3 * (2 + patience)}


def test_patience_waits_until_the_whole_network_learns(tmp_path: Path) -> None:
    changes = {"epochs": 6, "learning_rate": 1e-12, "patience": 1, "freeze_epochs": 2}
    network, wanted = nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), _PLAIN.model_copy(update=changes)
    done = fit(network, _data(), wanted, seed=_SEED, checkpoints=tmp_path, progress=Silent())
    assert len(done.history) == 4, "the third is no better, and one more cools down"


class _Rates(_Heard):
    """Keeps the learning rate after every step."""

    def __init__(self, optimizers: list[torch.optim.Optimizer]) -> None:
        super().__init__()
        self._optimizers = optimizers
        self.rates: list[float] = []

    def advance(self, label: str, done: int, total: int) -> None:
        super().advance(label, done, total)
        self.rates.append(self._optimizers[-1].param_groups[0]["lr"])


def test_patience_lets_the_learning_rate_come_down_to_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that says the same of every image never gets better: ten epochs are trained, and a fifth more."""
    optimizers: list[torch.optim.Optimizer] = []

    def seen(*given: Any, **options: Any) -> torch.optim.Optimizer:
        optimizers.append(adamw(*given, **options))
        return optimizers[-1]

    monkeypatch.setattr(run, "adamw", seen)
    wanted = _PLAIN.model_copy(update={"epochs": 15, "warmup_epochs": 0.0, "patience": 9})
    told = _Rates(optimizers)
    done = fit(_Constant(), _data(), wanted, seed=_SEED, checkpoints=tmp_path, progress=told)
    assert len(done.history) == 12
    steps = 15 * 3
    cosine = [0.01 * warmup_cosine(step, steps, 0) for step in range(31)]
    assert told.rates[:31] == pytest.approx(cosine)
    assert told.rates[30:] == pytest.approx([cosine[30] * (1 - (step / 6) ** 0.5) for step in range(6)])


class _Constant(nn.Module):
    """Says the same of every image."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(_CLASSES))

    def forward(self, image: Tensor) -> Tensor:
        return self.bias.expand(len(image), -1)


@pytest.mark.parametrize("best", [True, False])
def test_the_network_has_the_weights_of_the_epoch_that_is_kept_also_when_it_is_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: bool
) -> None:
    """Whichever the rule chooses; here the first epoch is the best, since the rate then tears the network apart."""
    asked: list[tuple[Any, ...]] = []

    def choose(*given: Any) -> classify.EpochChoice:
        asked.append(given)
        return classify.EpochChoice(best, 0.25, 0.125)

    monkeypatch.setattr(loop, "choose_epoch", choose)
    data = dataclasses.replace(_data(), val_groups=[f"lesion{index // 2}" for index in range(15)])
    wanted, outcomes = _PLAIN.model_copy(update={"warmup_epochs": 2.0, "learning_rate": 1.0, "epochs": 4}), []
    for network in (_network(), _network(9)):
        done = fit(network, data, wanted, seed=_SEED, checkpoints=tmp_path, progress=Silent())
        assert done.best_epoch != 4, "else this test shows nothing"
        assert (done.kept_epoch, done.lead, done.standard_error) == (done.best_epoch if best else 4, 0.25, 0.125)
        logits = predict_logits(network, data.images, rows=data.val)
        assert done.scores == pytest.approx(classify.validation_scores(logits, data.labels[data.val]))
        assert done.scores["score"] == done.history[done.kept_epoch - 1]["val_score"]
        np.testing.assert_array_equal(logits, asked[-1][1 if best else 0])
        outcomes.append(done)
    assert [outcome.resumed_after for outcome in outcomes] == [0, 4]
    labels, groups, looked_at, seed = asked[-1][2:]
    assert labels.tolist() == data.labels[data.val].tolist()
    assert (groups, looked_at, seed) == (data.val_groups, 4, _SEED)


def test_a_long_training_is_validated_now_and_then_and_in_its_last_fifth_always(tmp_path: Path) -> None:
    wanted, told = _PLAIN.model_copy(update={"epochs": 30, "batch_size": 29, "ema": 0.9}), _Heard()
    done = fit(_network(), _data(), wanted, seed=_SEED, checkpoints=tmp_path, progress=told)
    looked = [*range(2, 25, 2), *range(25, 31)]
    assert [int(entry["epoch"]) for entry in done.history if "val_score" in entry] == looked
    assert [event["epoch"] for event in told.events if "val_auroc" in event] == looked
    assert [line for line in told.lines if "epoch 1/30" in line and "val" in line] == []
    assert len(done.history) == 30


class _Sizes(nn.Module):
    """Takes pictures of any size, and keeps which it saw, training and not."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(4, _CLASSES)
        self.seen: list[tuple[bool, int, int]] = []

    def forward(self, image: Tensor) -> Tensor:
        self.seen.append((self.training, *image.shape[2:]))
        logits: Tensor = self.classifier(self.body(image))
        return logits


def test_the_first_epochs_see_smaller_pictures_and_validation_does_not(tmp_path: Path) -> None:
    network = _Sizes()
    wanted = _PLAIN.model_copy(update={"epochs": 4, "batch_size": 29, "progressive": 0.5})
    fit(network, _data(), wanted, seed=_SEED, checkpoints=tmp_path, progress=Silent())
    assert network.seen[:2] == [(False, 8, 8), (False, 6, 6)], "whether it takes them is tried before"
    assert [side for training, side, _ in network.seen[2:] if training] == [6, 6, 8, 8]
    assert {sides for training, *sides_ in network.seen[2:] if not training for sides in sides_} == {8}


def test_a_cooldown_sees_whole_pictures(tmp_path: Path) -> None:
    network = _Sizes()
    changes = {"epochs": 20, "batch_size": 29, "progressive": 0.9, "patience": 1, "learning_rate": 1e-12}
    wanted = _PLAIN.model_copy(update=changes)
    done = fit(network, _data(), wanted, seed=_SEED, checkpoints=tmp_path, progress=Silent())
    sides = [side for training, side, _ in network.seen if training]
    assert len(done.history) == len(sides) < 18
    assert sides[-1] == 8
    assert set(sides[:-1]) == {6}


@pytest.mark.parametrize("who", ["student", "teacher"])
def test_a_network_of_a_fixed_input_size_is_told_before_it_trains(tmp_path: Path, who: str) -> None:
    wanted, told = _PLAIN.model_copy(update={"progressive": 0.5, "epochs": 4}), _Heard()
    taught = Distillation(_network(), kd, 0.7, 2.0) if who == "teacher" else None
    network = _Sizes() if who == "teacher" else _network()
    with pytest.raises(UsageError, match=r"(?s)progressive: 6 x 6 pixels .* set progressive: 0"):
        fit(network, _data(), wanted, distillation=taught, seed=_SEED, checkpoints=tmp_path, progress=told)
    assert told.steps == []
    short = wanted.model_copy(update={"epochs": 1})
    fit(network, _data(), short, distillation=taught, seed=_SEED, checkpoints=tmp_path, progress=told)  # none is small


@pytest.mark.parametrize("who", ["student", "teacher"])
def test_a_network_of_another_input_size_is_told_before_it_trains(tmp_path: Path, who: str) -> None:
    class Fixed(_Sizes):
        def forward(self, image: Tensor) -> Tensor:
            assert image.shape[2] == 16, "Input height (8) doesn't match model (16)."
            return super().forward(image)

    taught = Distillation(Fixed(), kd, 0.7, 2.0) if who == "teacher" else None
    network = _Sizes() if who == "teacher" else Fixed()
    with pytest.raises(UsageError, match=r"(?s)data.image_size: 8 x 8 pixels .* or take another network"):
        fit(network, _data(), _PLAIN, distillation=taught, seed=_SEED, checkpoints=tmp_path, progress=Silent())


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
