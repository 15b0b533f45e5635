"""Whatever stops a training in the middle of an epoch, the same command ends with the bits of one that was not stopped."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_training
import torch
from accelerate import Accelerator
from tiny_training import SETTINGS, STEPS, OutOfMemoryOn, same, tiny_network, train
from torch import nn

from edgetl.console.progress import Silent
from edgetl.errors import EnvironmentFault, TrainingDiverged
from edgetl.training import checkpoint_schedule, loop, run, validation
from edgetl.training.accelerator import make_accelerator
from edgetl.training.checkpoints import Checkpoints

pytestmark = pytest.mark.usefixtures("one_thread")

_LAST = "last.safetensors"


@pytest.fixture(scope="module")
def unstopped(tmp_path_factory: pytest.TempPathFactory) -> nn.Module:
    """A network after a training in one go."""
    torch.set_num_threads(1)
    network = tiny_network()
    train(network, tmp_path_factory.mktemp("unstopped"))
    return network


class _At(Silent):
    """Does something at a step, and keeps what was said and how many steps there were."""

    def __init__(self, step: int = 0, act: Callable[[], Any] = lambda: None) -> None:
        self._step, self._act = step, act
        self.said: list[str] = []
        self.steps = 0

    def say(self, message: str) -> None:
        self.said.append(message)

    def warn(self, message: str) -> None:
        self.said.append(message)

    def advance(self, label: str, done: int, total: int) -> None:
        self.steps += 1
        if done == self._step:
            self._act()


def _ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def _count_saves(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """A list that grows with every checkpoint."""
    saved: list[None] = []
    save = Checkpoints.save

    def counting(*arguments: Any) -> None:
        saved.append(None)
        save(*arguments)

    monkeypatch.setattr(Checkpoints, "save", counting)
    return saved


def test_a_killed_process_goes_on_in_the_middle_of_its_epoch(tmp_path: Path, unstopped: nn.Module) -> None:
    command = [sys.executable, tiny_training.__file__, str(tmp_path), "slowly"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == f"step {STEPS + 3}\n":
                process.kill()
                break
    assert process.wait() == -signal.SIGKILL
    (tmp_path / f".{_LAST}.1.partial").write_bytes(b"half of a checkpoint, if the kill fell there")
    network, progress = tiny_network(99), _At()
    train(network, tmp_path, progress)
    assert "going on in epoch 2 of 4, after batch " in progress.said[0]
    assert progress.steps < 4 * STEPS - STEPS
    assert same(network, unstopped)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("step", [1, STEPS + 2, 2 * STEPS])
def test_ctrl_c_loses_nothing(tmp_path: Path, unstopped: nn.Module, step: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tiny_network(), tmp_path, _At(step, _ctrl_c))
    network, progress = tiny_network(99), _At()
    train(network, tmp_path, progress)
    assert progress.steps == 4 * STEPS - step
    assert same(network, unstopped)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


_COOLING = SETTINGS.model_copy(
    update={"epochs": 8, "patience": 1, "progressive": 0.5, "learning_rate": 1e-9, "ema": 0.0}
)
"""Nothing gets better: the second epoch, among small pictures, is followed by a cooldown of one."""


@pytest.mark.parametrize("step", [STEPS + 2, 2 * STEPS, 2 * STEPS + 1, 2 * STEPS + 3])
def test_ctrl_c_before_and_within_a_cooldown_loses_nothing(tmp_path: Path, step: int) -> None:
    whole, network, progress = tiny_network(), tiny_network(99), _At()
    done = train(whole, tmp_path / "whole", settings=_COOLING)
    assert len(done.history) == 3
    with pytest.raises(KeyboardInterrupt):
        train(tiny_network(), tmp_path / "stopped", _At(step, _ctrl_c), settings=_COOLING)
    again = train(network, tmp_path / "stopped", progress, settings=_COOLING)
    assert progress.steps == 3 * STEPS - step
    assert same(network, whole)
    assert (again.kept_epoch, again.lead) == (done.kept_epoch, done.lead)


def test_ctrl_c_while_validating_loses_nothing(
    tmp_path: Path, unstopped: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(*args: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(validation, "predict_logits", pressed)
        with pytest.raises(KeyboardInterrupt):
            train(tiny_network(), tmp_path)
    network, progress = tiny_network(99), _At()
    train(network, tmp_path, progress)
    assert progress.steps == 3 * STEPS
    assert same(network, unstopped)


def test_saving_after_every_step_changes_nothing(
    tmp_path: Path, unstopped: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_schedule, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(checkpoint_schedule, "_LARGEST_SHARE", 1e9)
    saved = _count_saves(monkeypatch)
    network = tiny_network()
    train(network, tmp_path)
    assert len(saved) == 4 * (STEPS + 1)
    assert same(network, unstopped)


def test_between_two_epochs_of_seconds_nothing_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = _count_saves(monkeypatch)
    train(tiny_network(), tmp_path)
    assert len(saved) == 4


@pytest.mark.parametrize("damage", ["cut", "a bit", "not a checkpoint", "the best network is gone"])
def test_a_damaged_checkpoint_costs_the_training_not_the_command(
    tmp_path: Path, unstopped: nn.Module, damage: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tiny_network(), tmp_path, _At(STEPS + 2, _ctrl_c))
    last = tmp_path / _LAST
    if damage == "cut":
        os.truncate(last, last.stat().st_size // 2)
    elif damage == "a bit":
        content = bytearray(last.read_bytes())
        content[-5] ^= 64
        last.write_bytes(content)
    elif damage == "not a checkpoint":
        last.write_bytes(b"\x10\0\0\0\0\0\0\0nonsense")
    else:
        (tmp_path / "best-0001.safetensors").unlink()
    network, progress = tiny_network(), _At()
    train(network, tmp_path, progress)
    assert "cannot be read" in progress.said[0]
    assert "starts anew" in progress.said[0]
    assert progress.steps == 4 * STEPS
    assert same(network, unstopped)


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path: Path, unstopped: nn.Module) -> None:
    """A limit on the size of files stands in for the disk: the write ends in the middle, with an error of the system."""
    with pytest.raises(KeyboardInterrupt):
        train(tiny_network(), tmp_path, _At(STEPS + 2, _ctrl_c))
    kept = (tmp_path / _LAST).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(kept) // 2, hard))
    try:
        with pytest.raises(EnvironmentFault, match=os.strerror(errno.EFBIG)) as caught:
            train(tiny_network(99), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert _LAST in str(caught.value)
    assert (tmp_path / _LAST).read_bytes() == kept
    assert not list(tmp_path.glob(".*.partial"))
    network = tiny_network(99)
    train(network, tmp_path)
    assert same(network, unstopped)


def test_a_loss_that_is_no_number_names_its_images_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tiny_network(), tmp_path, _At(STEPS + 2, _ctrl_c))
    kept, network = (tmp_path / _LAST).read_bytes(), tiny_network()

    def poison() -> None:
        next(network.parameters()).data.fill_(float("nan"))

    with pytest.raises(
        TrainingDiverged, match=r"epoch 2, batch 4: .*images pictures/\d{4}\.png, .* and 24 more"
    ) as caught:
        train(network, tmp_path, _At(STEPS + 3, poison))
    assert caught.value.exit_code == 2
    assert "learning_rate" in str(caught.value)
    assert (tmp_path / _LAST).read_bytes() == kept


def test_out_of_memory_names_batch_size_and_images_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    network = OutOfMemoryOn(tiny_network(), wanted=False)
    with pytest.raises(KeyboardInterrupt):
        train(network, tmp_path, _At(STEPS + 2, _ctrl_c))
    kept = (tmp_path / _LAST).read_bytes()
    wanted = r"epoch 2, batch 3: 32 images of 32 x 32 pixels \(images pictures/\d{4}\.png"
    with pytest.raises(EnvironmentFault, match=wanted) as caught:
        train(OutOfMemoryOn(tiny_network(), wanted=True), tmp_path)
    assert caught.value.exit_code == 3
    assert "lower batch_size" in str(caught.value)
    assert (tmp_path / _LAST).read_bytes() == kept


@pytest.mark.parametrize("where", ["recalibrate", "adamw", "predict_logits"])
def test_out_of_memory_anywhere_in_a_training_is_the_environments_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def starved(*args: Any, **options: Any) -> None:
        torch.empty(2**50)

    monkeypatch.setattr(validation if where == "predict_logits" else run, where, starved)
    with pytest.raises(EnvironmentFault, match="out of memory"):
        train(tiny_network(), tmp_path)


class _InfiniteGradient(nn.Module):
    """Says finite things whose gradient is not."""

    def __init__(self) -> None:
        super().__init__()
        self.network, self.nought = tiny_network(), nn.Parameter(torch.zeros(1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.network(image) + self.nought.abs().sqrt()
        return output


def test_a_gradient_scaler_skips_overflows_but_not_a_whole_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fp16 needs a GPU; its scaler does not."""

    def scaling(precision: str) -> Accelerator:
        accelerator = make_accelerator(precision)
        accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
        accelerator.native_amp = True
        accelerator.state._mixed_precision = "fp16"
        accelerator.autocast = contextlib.nullcontext
        return accelerator

    monkeypatch.setattr(loop, "make_accelerator", scaling)
    train(tiny_network(), tmp_path / "good")
    with pytest.raises(TrainingDiverged, match=r"epoch 3, batch 1: .*gradient"):
        train(_InfiniteGradient(), tmp_path / "bad")


def test_another_fault_of_the_network_is_not_taken_for_lack_of_memory(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        train(nn.Sequential(nn.Flatten(), nn.Linear(3, 3)), tmp_path, settings=SETTINGS)
