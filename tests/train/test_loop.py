"""The loop learns, resumes to the bit, keeps the last epoch or a better one, and says where it broke."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import SETTINGS, SIZE, same, tiny_data, tiny_network, train

from edgetl.config.training import Training
from edgetl.console.progress import Silent
from edgetl.errors import EnvironmentFault
from edgetl.models import backbones
from edgetl.training import loop
from edgetl.training.inference import predict_logits
from edgetl.training.loop import Distillation, fit
from edgetl.training.losses.dist import dist

pytestmark = pytest.mark.usefixtures("one_thread")


class _Stop(Silent):
    """Presses Ctrl-C after an epoch."""

    def __init__(self, after: int) -> None:
        self._after = after

    def event(self, kind: str, **fields: Any) -> None:
        if kind == "epoch" and fields["epoch"] == self._after:
            raise KeyboardInterrupt


def test_a_run_learns_and_the_network_holds_the_epoch_that_is_kept(tmp_path: Path) -> None:
    data, network = tiny_data(), tiny_network()
    done = fit(network, data, SETTINGS, seed=1, checkpoints=tmp_path, progress=Silent())
    assert done.scores["balanced_accuracy"] > 0.8
    assert done.best_epoch == max(done.history, key=lambda entry: entry["val_score"])["epoch"]
    assert done.kept_epoch in (done.best_epoch, 4)
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


# Thirty epochs are planned and validated every second; it is learnt before, so that patience ends it.
_LONG = SETTINGS.model_copy(
    update={"epochs": 30, "patience": 6, "progressive": 0.2, "learning_rate": 5e-3, "batch_size": 80}
)


@pytest.mark.parametrize("after", [1, 3, 7, "cooldown"])
def test_stopped_among_small_pictures_before_and_in_a_cooldown_a_run_ends_with_the_same_bits(
    tmp_path: Path, after: int | str
) -> None:
    straight, resumed = tiny_network(), tiny_network(99)
    whole = train(straight, tmp_path / "a", settings=_LONG)
    assert 10 < len(whole.history) < 30, "else this test shows less than it says"
    assert sum("val_score" in entry for entry in whole.history) < len(whole.history) - 4
    at = after if isinstance(after, int) else len(whole.history) - 1
    with pytest.raises(KeyboardInterrupt):
        train(tiny_network(), tmp_path / "b", _Stop(at), settings=_LONG)
    rest = train(resumed, tmp_path / "b", settings=_LONG)
    assert rest.resumed_after == at
    assert same(straight, resumed)
    for ours, theirs in zip(rest.history, whole.history, strict=True):
        assert {k: v for k, v in ours.items() if "seconds" not in k} == {
            k: v for k, v in theirs.items() if "seconds" not in k
        }
    kept = [(done.kept_epoch, done.best_epoch, done.lead, done.standard_error) for done in (whole, rest)]
    assert kept[0] == kept[1]


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


def test_a_training_begins_with_what_the_one_before_it_kept_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(loop, "give_back", lambda: told.append("give back"))
    monkeypatch.setattr(loop, "keep_freed_memory", lambda: told.append("keep"))
    train(tiny_network(), tmp_path)
    assert told == ["give back", "keep"]
