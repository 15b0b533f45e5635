"""The loop learns, resumes to the bit, keeps the best epoch, and says where it broke."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgetl.errors import DataError, EdgetlError, IntegrityError
from edgetl.models import backbones
from edgetl.progress import Silent
from edgetl.recipe import Training
from edgetl.training.batches import TrainingData, as_input, epoch_batches, plain_batches, prefetched
from edgetl.training.ema import WeightAverage, recalibrate
from edgetl.training.loop import Distillation, fit, predict_logits
from edgetl.training.losses import dist

_SIZE = 32


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums in another order are other sums: equal bits need an equal number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _data(images: int = 240, augmented: bool = True) -> TrainingData:
    """Three kinds of colour checkerboards under noise, unequally frequent."""
    generator = np.random.default_rng(0)
    labels = np.concatenate([np.arange(3), generator.choice(3, images - 6, p=(0.6, 0.25, 0.15)), np.arange(3)])
    patterns = np.kron(generator.integers(0, 256, (3, 4, 4, 3)), np.ones((1, 8, 8, 1)))
    noise = generator.normal(80, 50, (images, _SIZE, _SIZE, 3))
    pictures = np.clip(0.5 * patterns[labels] + noise, 0, 255).astype(np.uint8)
    cut = images * 2 // 3
    return TrainingData(
        pictures, labels.astype(np.int64), np.arange(cut), np.arange(cut, images), 3, _mirrored if augmented else None
    )


def _mirrored(image: np.ndarray, seed: int, epoch: int, index: int) -> np.ndarray:
    return image[:, ::-1] if np.random.default_rng((seed, epoch, index)).random() < 0.5 else image


def _network(seed: int = 0) -> nn.Module:
    """Small, but with all that a run must keep track of: BatchNorm, depthwise convolutions, dropout."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.Hardswish(),
            nn.Conv2d(16, 16, 3, stride=2, padding=1, groups=16, bias=False),
            nn.BatchNorm2d(16),
            nn.Hardswish(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Dropout(0.1),
            nn.Linear(256, 3),
        )


_SETTINGS = Training(epochs=4, batch_size=32, learning_rate=5e-3, ema=0.9)


def _same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


class _Stop(Silent):
    """Presses Ctrl-C after an epoch."""

    def __init__(self, after: int) -> None:
        self._after = after

    def event(self, kind: str, **fields: Any) -> None:
        if kind == "epoch" and fields["epoch"] == self._after:
            raise KeyboardInterrupt


def test_a_run_learns_and_the_network_holds_the_best_epoch(tmp_path: Path) -> None:
    data, network = _data(), _network()
    done = fit(network, data, _SETTINGS, seed=1, checkpoints=tmp_path, progress=Silent())
    assert done.scores["balanced_accuracy"] > 0.8
    assert done.best_epoch == max(done.history, key=lambda e: (e["val_balanced_accuracy"], e["val_auroc"]))["epoch"]
    assert not network.training
    again = predict_logits(network, data.images, rows=data.val)
    assert (again.argmax(1) == data.labels[data.val]).mean() > 0.8
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"best-{done.best_epoch:04d}.safetensors",
        "last.safetensors",
    ]


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_stopped_run_ends_with_the_bits_of_an_unstopped_one(tmp_path: Path, ema: float) -> None:
    data, teacher = _data(), _network(7)
    settings = _SETTINGS.model_copy(update={"ema": ema})
    distillation = Distillation(teacher, dist, 1.0, 2.0)
    straight, stopped, resumed = _network(), _network(), _network(99)
    whole = fit(
        straight, data, settings, distillation=distillation, seed=1, checkpoints=tmp_path / "a", progress=Silent()
    )
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, data, settings, distillation=distillation, seed=1, checkpoints=tmp_path / "b", progress=_Stop(2))
    torch.manual_seed(12345)  # the generator's state at the stop must not matter
    rest = fit(
        resumed, data, settings, distillation=distillation, seed=1, checkpoints=tmp_path / "b", progress=Silent()
    )
    assert (whole.resumed_after, rest.resumed_after) == (0, 2)
    assert _same(straight, resumed)
    last_whole, last_rest = whole.history[-1], rest.history[-1]
    assert {k: v for k, v in last_whole.items() if k != "seconds"} == {
        k: v for k, v in last_rest.items() if k != "seconds"
    }


def test_a_finished_run_is_not_trained_again_and_another_run_does_not_take_its_state(tmp_path: Path) -> None:
    data, first, second, other = _data(), _network(), _network(5), _network()
    short = _SETTINGS.model_copy(update={"epochs": 1})
    fit(first, data, short, seed=1, checkpoints=tmp_path, progress=Silent())
    assert fit(second, data, short, seed=1, checkpoints=tmp_path, progress=Silent()).resumed_after == 1
    assert _same(first, second)
    assert fit(other, data, short, seed=2, checkpoints=tmp_path, progress=Silent()).resumed_after == 0


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "last.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0nonsense")
    with pytest.raises(IntegrityError, match=r"last\.safetensors"):
        fit(_network(), _data(), _SETTINGS, seed=1, checkpoints=tmp_path, progress=Silent())


def test_a_loss_that_is_no_number_names_epoch_batch_and_rows_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    data, network = _data(), _network()
    one = _SETTINGS.model_copy(update={"epochs": 2})
    with pytest.raises(KeyboardInterrupt):
        fit(network, data, one, seed=1, checkpoints=tmp_path, progress=_Stop(1))
    kept = (tmp_path / "last.safetensors").read_bytes()

    class Broken(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.full((len(image), 3), float("nan"))

    with pytest.raises(EdgetlError, match=r"epoch 2, batch 1: .*rows \d+, ") as caught:
        fit(
            network,
            data,
            one,
            distillation=None,
            seed=1,
            checkpoints=tmp_path,
            progress=_Poison(network),
        )
    assert "learning_rate" in str(caught.value)
    assert (tmp_path / "last.safetensors").read_bytes() == kept


class _Poison(Silent):
    """Puts a NaN into the network when the run says that it goes on."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    def say(self, message: str) -> None:
        if "going on" in message:
            next(self._network.parameters()).data.fill_(float("nan"))


def test_patience_stops_a_run_that_gets_no_better(tmp_path: Path) -> None:
    settings = Training(epochs=30, batch_size=32, learning_rate=1e-9, ema=0.0, patience=2, warmup_epochs=0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(_SIZE * _SIZE * 3, 3))
    done = fit(network, _data(augmented=False), settings, seed=0, checkpoints=tmp_path, progress=Silent())
    assert len(done.history) - done.best_epoch == 2


def test_fewer_images_than_a_batch_still_train_and_one_image_does_not(tmp_path: Path) -> None:
    data = _data(15)
    big = Training(epochs=1, batch_size=4096)
    assert len(fit(_network(), data, big, seed=0, checkpoints=tmp_path, progress=Silent()).history) == 1
    with pytest.raises(DataError, match="got 1 training images"):
        TrainingData(data.images, data.labels, data.train[:1], data.val, 3)


def test_the_teacher_pulls_the_student_to_its_opinion(tmp_path: Path) -> None:
    data, teacher = _data(), _network(7)
    before = copy.deepcopy(teacher.state_dict())
    agreement = []
    for weight in (0.0, 20.0):
        student = _network()
        distillation = Distillation(teacher, dist, weight, 2.0)
        fit(
            student,
            data,
            _SETTINGS,
            distillation=distillation,
            seed=1,
            checkpoints=tmp_path / f"{weight}",
            progress=Silent(),
        )
        ours, theirs = (predict_logits(net, data.images, rows=data.val) for net in (student, teacher))
        agreement.append(dist(torch.from_numpy(ours), torch.from_numpy(theirs), 2.0).item())
    assert agreement[1] < agreement[0]
    assert all(torch.equal(value, teacher.state_dict()[name]) for name, value in before.items())


def test_a_real_backbone_goes_through(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, _ = backbones.create("mobilenetv3_small_050", 3, "none")
    settings = Training(epochs=4, batch_size=32, learning_rate=2e-3, ema=0.9)
    done = fit(network, _data(), settings, seed=1, checkpoints=tmp_path, progress=Silent())
    assert done.history[-1]["label_loss"] < done.history[0]["label_loss"]


def test_bf16_trains_and_gives_back_a_plain_float32_network(tmp_path: Path) -> None:
    network = _network()
    settings = _SETTINGS.model_copy(update={"epochs": 2, "precision": "bf16"})
    fit(network, _data(), settings, seed=1, checkpoints=tmp_path, progress=Silent())
    output = network(torch.zeros(1, 3, _SIZE, _SIZE))
    assert output.dtype == torch.float32
    assert "forward" not in vars(network)


def test_recalibration_gives_the_statistics_of_the_images_and_touches_nothing_else() -> None:
    network, data = _network(), _data()
    network.train()
    weights = {name: value.clone() for name, value in network.named_parameters()}
    recalibrate(network, plain_batches(data, 160, 32, 0))
    first = network[0](as_input(data.images[data.train]))  # type: ignore[index]
    norm = network[1]  # type: ignore[index]
    assert torch.allclose(norm.running_mean, first.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(norm.running_var, first.var((0, 2, 3)), rtol=0.05)
    assert norm.momentum == 0.1
    assert network.training
    assert all(torch.equal(value, weights[name]) for name, value in network.named_parameters())


def test_the_average_forgets_the_first_weights_quickly() -> None:
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(0.0)
    average = WeightAverage(network, 0.999)
    network.weight.data.fill_(1.0)
    for _ in range(50):
        average.update(network)
    assert average.network.weight.item() > 0.99  # type: ignore[operator]


def test_batches_depend_on_seed_epoch_and_row_alone_and_cover_the_epoch() -> None:
    data = _data()
    one, again = (list(epoch_batches(data, 32, 5, 3)) for _ in range(2))
    ahead = list(prefetched(epoch_batches(data, 32, 5, 3)))
    for a, b, c in zip(one, again, ahead, strict=True):
        assert np.array_equal(a.images, b.images)
        assert np.array_equal(a.images, c.images)
    rows = np.concatenate([batch.rows for batch in one])
    assert len(set(rows.tolist())) == len(rows) == len(data.train) // 32 * 32
    assert not np.array_equal(rows, np.concatenate([b.rows for b in epoch_batches(data, 32, 5, 4)]))


def test_an_error_while_preparing_a_batch_comes_out() -> None:
    def broken(image: np.ndarray, seed: int, epoch: int, index: int) -> np.ndarray:
        raise DataError("no such image")

    data = _data()
    bad = TrainingData(data.images, data.labels, data.train, data.val, 3, broken)
    with pytest.raises(DataError, match="no such image"):
        list(prefetched(epoch_batches(bad, 8, 0, 1)))


def test_inputs_are_exact_and_below_one() -> None:
    images = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    tensor = as_input(images)
    assert tensor.is_contiguous(memory_format=torch.channels_last)
    assert tensor.min() == -1.0
    assert tensor.max() == 127 / 128
