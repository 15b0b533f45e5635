"""The loop learns, resumes to the bit, keeps the best epoch, and says where it broke."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_training import SETTINGS, SIZE, same, tiny_data, tiny_network, train
from torch import nn

from edgetl.config.recipe import Training
from edgetl.console.progress import Silent
from edgetl.data.augment import Augment
from edgetl.errors import DataError, EnvironmentFault
from edgetl.models import backbones
from edgetl.training import batches
from edgetl.training.batches import Prefetched, TrainingData, as_input, epoch_batches, plain_batches
from edgetl.training.ema import WeightAverage, recalibrate
from edgetl.training.loop import Distillation, fit, predict_logits
from edgetl.training.losses import dist

pytestmark = pytest.mark.usefixtures("one_thread")


class _Stop(Silent):
    """Presses Ctrl-C after an epoch."""

    def __init__(self, after: int) -> None:
        self._after = after

    def event(self, kind: str, **fields: Any) -> None:
        if kind == "epoch" and fields["epoch"] == self._after:
            raise KeyboardInterrupt


def test_a_run_learns_and_the_network_holds_the_best_epoch(tmp_path: Path) -> None:
    data, network = tiny_data(), tiny_network()
    done = fit(network, data, SETTINGS, seed=1, checkpoints=tmp_path, progress=Silent())
    assert done.scores["balanced_accuracy"] > 0.8
    assert done.best_epoch == max(done.history, key=lambda e: (e["val_balanced_accuracy"], e["val_auroc"]))["epoch"]
    assert not network.training
    assert all(0 <= entry["data_wait_seconds"] <= entry["seconds"] for entry in done.history)
    again = predict_logits(network, data.images, rows=data.val)
    assert (again.argmax(1) == data.labels[data.val]).mean() > 0.8
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"best-{done.best_epoch:04d}.safetensors",
        "last.safetensors",
    ]


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_stopped_run_ends_with_the_bits_of_an_unstopped_one(tmp_path: Path, ema: float) -> None:
    data, teacher = tiny_data(), tiny_network(7)
    settings = SETTINGS.model_copy(update={"ema": ema})
    distillation = Distillation(teacher, dist, 1.0, 2.0)
    straight, stopped, resumed = tiny_network(), tiny_network(), tiny_network(99)
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
    assert same(straight, resumed)
    last_whole, last_rest = whole.history[-1], rest.history[-1]
    assert {k: v for k, v in last_whole.items() if "seconds" not in k} == {
        k: v for k, v in last_rest.items() if "seconds" not in k
    }


def test_a_finished_run_is_not_trained_again_and_another_run_does_not_take_its_state(tmp_path: Path) -> None:
    data, first, second, other = tiny_data(), tiny_network(), tiny_network(5), tiny_network()
    short = SETTINGS.model_copy(update={"epochs": 1})
    fit(first, data, short, seed=1, checkpoints=tmp_path, progress=Silent())
    assert fit(second, data, short, seed=1, checkpoints=tmp_path, progress=Silent()).resumed_after == 1
    assert same(first, second)
    assert fit(other, data, short, seed=2, checkpoints=tmp_path, progress=Silent()).resumed_after == 0


def test_patience_stops_a_run_that_gets_no_better(tmp_path: Path) -> None:
    settings = Training(epochs=30, batch_size=32, learning_rate=1e-9, ema=0.0, patience=2, warmup_epochs=0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(SIZE * SIZE * 3, 3))
    done = fit(network, tiny_data(augmented=False), settings, seed=0, checkpoints=tmp_path, progress=Silent())
    assert len(done.history) - done.best_epoch == 2


def test_fewer_images_than_a_batch_still_train_and_one_image_does_not(tmp_path: Path) -> None:
    data = tiny_data(15)
    big = Training(epochs=1, batch_size=4096)
    assert len(fit(tiny_network(), data, big, seed=0, checkpoints=tmp_path, progress=Silent()).history) == 1
    with pytest.raises(DataError, match="got 1 training images"):
        TrainingData(data.images, data.labels, data.train[:1], data.val, 3)


def test_the_teacher_pulls_the_student_to_its_opinion(tmp_path: Path) -> None:
    data, teacher = tiny_data(), tiny_network(7)
    before = copy.deepcopy(teacher.state_dict())
    agreement = []
    for weight in (0.0, 20.0):
        student = tiny_network()
        distillation = Distillation(teacher, dist, weight, 2.0)
        fit(
            student,
            data,
            SETTINGS,
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
    done = fit(network, tiny_data(), settings, seed=1, checkpoints=tmp_path, progress=Silent())
    assert done.history[-1]["label_loss"] < done.history[0]["label_loss"]


def test_bf16_trains_and_gives_back_a_plain_float32_network(tmp_path: Path) -> None:
    network = tiny_network()
    settings = SETTINGS.model_copy(update={"epochs": 2, "precision": "bf16"})
    fit(network, tiny_data(), settings, seed=1, checkpoints=tmp_path, progress=Silent())
    output = network(torch.zeros(1, 3, SIZE, SIZE))
    assert output.dtype == torch.float32
    assert "forward" not in vars(network)


def test_bf16_validates_in_float32_what_it_trained_in_bf16(tmp_path: Path) -> None:
    network, seen = tiny_network(), set()
    network[0].register_forward_hook(lambda module, args, out: seen.add((module.training, out.dtype)))  # type: ignore[index]
    settings = SETTINGS.model_copy(update={"epochs": 1, "precision": "bf16", "ema": 0.0})
    fit(network, tiny_data(), settings, seed=1, checkpoints=tmp_path, progress=Silent())
    assert seen == {(True, torch.bfloat16), (False, torch.float32)}


def test_fp16_without_a_gpu_is_refused_rather_than_trained_in_fp32(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(EnvironmentFault, match="fp16 needs a GPU"):
        train(tiny_network(), tmp_path, settings=SETTINGS.model_copy(update={"precision": "fp16"}))


def test_recalibration_gives_the_statistics_of_the_images_and_touches_nothing_else() -> None:
    network, data = tiny_network(), tiny_data()
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
    data = tiny_data()
    one, again = (list(epoch_batches(data, 32, 5, 3)) for _ in range(2))
    ahead = list(Prefetched(epoch_batches(data, 32, 5, 3)))
    for a, b, c in zip(one, again, ahead, strict=True):
        assert np.array_equal(a.images, b.images)
        assert np.array_equal(a.images, c.images)
    rows = np.concatenate([batch.rows for batch in one])
    assert len(set(rows.tolist())) == len(rows) == len(data.train) // 32 * 32
    assert not np.array_equal(rows, np.concatenate([b.rows for b in epoch_batches(data, 32, 5, 4)]))


def test_threads_augment_as_one_does_and_an_epoch_can_begin_in_its_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataclasses.replace(tiny_data(), augment=Augment(SIZE))
    monkeypatch.setattr(batches, "augmenting_threads", lambda: 1)
    alone = list(epoch_batches(data, 32, 5, 3))
    monkeypatch.setattr(batches, "augmenting_threads", lambda: 3)
    rest = list(epoch_batches(data, 32, 5, 3, start=2))
    assert len(rest) == len(alone) - 2
    for one, other in zip(alone[2:], rest, strict=True):
        assert np.array_equal(one.rows, other.rows)
        assert np.array_equal(one.images, other.images)


def test_the_shares_of_several_processes_make_up_each_batch() -> None:
    data = tiny_data()
    shares = [list(epoch_batches(data, 32, 5, 3, share=(index, 3))) for index in range(3)]
    for whole, *parts in zip(epoch_batches(data, 32, 5, 3), *shares, strict=True):
        assert sorted(np.concatenate([part.rows for part in parts])) == sorted(whole.rows)


def test_an_error_while_preparing_a_batch_comes_out() -> None:
    def broken(image: np.ndarray, seed: int, epoch: int, index: int) -> np.ndarray:
        raise DataError("no such image")

    data = tiny_data()
    bad = TrainingData(data.images, data.labels, data.train, data.val, 3, broken)
    with pytest.raises(DataError, match="no such image"):
        list(Prefetched(epoch_batches(bad, 8, 0, 1)))


def test_inputs_are_exact_and_below_one() -> None:
    images = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    tensor = as_input(images)
    assert tensor.is_contiguous(memory_format=torch.channels_last)
    assert tensor.min() == -1.0
    assert tensor.max() == 127 / 128
