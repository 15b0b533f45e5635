"""The pace of a training: real steps, by an injected clock, and nothing left behind."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_training import SETTINGS, STEPS, same, tiny_data, tiny_network, train
from torch import nn

from edgetl.models import backbones
from edgetl.training import pace as training_pace
from edgetl.training.batches import TrainingData
from edgetl.training.job import Distillation, Job
from edgetl.training.losses import DISTIL_LOSSES
from edgetl.training.pace import Pace, counted, measured


def _job(network: nn.Module | None = None, data: TrainingData | None = None, **settings: object) -> Job:
    changed = SETTINGS.model_copy(update=settings)
    return Job(network or tiny_network(), data or tiny_data(), changed, None, 1, "tiny")


def _clock(*passing: float) -> Callable[[], float]:
    """Tells the time; so much passes between its calls, and nothing after them."""
    times: Iterator[float] = accumulate((0.0, *passing))
    last = 0.0

    def now() -> float:
        nonlocal last
        last = next(times, last)
        return last

    return now


def _seconds(pace: Pace, **settings: Any) -> float:
    job = _job(**settings)
    return pace.training_seconds(job.data, job.settings)


class _Watched(nn.Module):
    """Notes the images of each forward pass, and whether it learns."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.passes: list[tuple[int, bool]] = []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.passes.append((len(image), torch.is_grad_enabled()))
        output: torch.Tensor = self.network(image)
        return output


def test_the_first_two_steps_do_not_count_and_the_others_median_does() -> None:
    """160 images in 5 batches; 160 more pass for the average's BatchNorm, and 80 are validated, at 0.01 s each."""
    pace = measured(_job(), 1e9, _clock(50, 9, 1, 2, 3, 4, 15, 7, 0.8))
    assert (pace.step_seconds, pace.steps) == (3, 5)
    assert pace.image_seconds == pytest.approx(0.01)
    assert _seconds(pace) == pytest.approx(4 * (STEPS * 3 + (160 + 80) * 0.01))
    assert _seconds(pace, ema=0.0) == pytest.approx(4 * (STEPS * 3 + 80 * 0.01))


def test_of_a_long_training_only_the_epochs_that_are_validated_take_a_validation() -> None:
    """Of 40 epochs every second one, and all of the last fifth: 16 and 8."""
    pace = Pace(3, 0.01, 5)
    assert _seconds(pace, epochs=40) == pytest.approx(40 * STEPS * 3 + 24 * (160 + 80) * 0.01)
    frozen = 24 * 80 + 22 * 160  # the average of an untouched backbone is not measured anew: epochs 2 and 4
    assert _seconds(pace, epochs=40, freeze_epochs=4) == pytest.approx(40 * STEPS * 3 + frozen * 0.01)


def test_fewer_steps_are_left_out_where_the_network_was_measured_before() -> None:
    pace = measured(_job(), 0.0, _clock(50, 9, 1, 15, 7, 0.8), least=3, warm=1)
    assert (pace.step_seconds, pace.steps) == (5, 2)


def test_the_fewest_steps_are_taken_whatever_they_cost() -> None:
    assert measured(_job(), 0.0, _clock(50, 9, 1, 2, 3, 4, 15, 7, 0.8), least=5).steps == 3


@pytest.mark.parametrize(
    ("steps", "median", "count"),
    [([70], 70, 1), ([50, 30], 30, 1), ([30, 20, 15], 15, 1), ([30, 10, 10, 20], 15, 2)],
)
def test_steps_that_take_too_long_are_fewer(steps: list[float], median: float, count: int) -> None:
    pace = measured(_job(), 60, _clock(*steps, 0, 0))
    assert (pace.step_seconds, pace.steps) == (median, count)


def test_of_few_steps_the_last_counts() -> None:
    found: list[Sequence[float]] = [counted(list(range(number))) for number in range(1, 8)]
    assert [list(steps) for steps in found] == [[0], [1], [2], [2, 3], [2, 3, 4], [2, 3, 4, 5], [2, 3, 4, 5, 6]]


def test_it_is_real_batches_that_are_augmented_and_taught() -> None:
    changed: list[int] = []

    def augment(image: np.ndarray, seed: int, epoch: int, row: int) -> np.ndarray:
        changed.append(row)
        return image

    student, teacher = _Watched(tiny_network()), _Watched(tiny_network(1))
    taught = Distillation(teacher, DISTIL_LOSSES["dist"].function(), 1.0, 2.0)
    job = dataclasses.replace(_job(student, dataclasses.replace(tiny_data(), augment=augment)), distillation=taught)
    measured(job, 1e9)
    learned = [images for images, learns in student.passes if learns]
    assert learned == [32] * 7, "two that are not counted, and five"
    assert [images for images, _ in teacher.passes] == [1, *learned], "one shows whether it takes pictures of this size"
    assert len(changed) >= 7 * 32


@pytest.mark.parametrize(("frozen", "learns"), [(0, True), (2, True), (4, False)])
def test_an_epoch_with_a_frozen_backbone_is_measured_only_where_there_is_no_other(frozen: int, learns: bool) -> None:
    network, _ = backbones.create("mobilenetv3_small_050", 3)
    seen: list[bool] = []
    network.register_forward_pre_hook(lambda module, _: seen.append(next(module.parameters()).requires_grad))
    measured(_job(network, freeze_epochs=frozen, ema=0.0), 1e9, _clock())
    assert set(seen[1:]) == {learns}, "after the one that shows whether it takes pictures of this size"


def test_one_of_several_processes_takes_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_pace, "launched", lambda: 2)
    student = _Watched(tiny_network())
    pace = measured(_job(student), 1e9, _clock(*[1] * 7, 0, 0.8))
    assert {images for images, learns in student.passes if learns} == {16}
    assert pace.training_seconds(_job().data, _job().settings) == pytest.approx(4 * (STEPS * 1 + (160 + 40) * 0.01))


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    plain, after = tiny_network(), tiny_network()
    train(plain, tmp_path / "plain")
    numbers, threads, running = torch.get_rng_state(), torch.get_num_threads(), threading.active_count()
    drawn = np.random.get_state()[1].tolist()  # type: ignore[index]
    measured(_job(), 1e9)
    assert torch.equal(numbers, torch.get_rng_state())
    assert np.random.get_state()[1].tolist() == drawn  # type: ignore[index]
    assert (threads, running) == (torch.get_num_threads(), threading.active_count())
    train(after, tmp_path / "after")
    assert same(plain, after), "a training after a forecast gives the same bits"


def test_ctrl_c_comes_through_and_leaves_nothing_behind() -> None:
    calls = iter(range(3))

    def clock() -> float:
        for call in calls:
            return float(call)
        raise KeyboardInterrupt

    numbers, running = torch.get_rng_state(), threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        measured(_job(), 1e9, clock)
    assert torch.equal(numbers, torch.get_rng_state())
    assert threading.active_count() == running
