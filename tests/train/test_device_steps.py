"""The step that a GPU replays, computed as it stands: it learns what the host's step learns, and nothing in it waits."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_training import SETTINGS, SIZE, same, tiny_data, tiny_network
from torch import nn
from torch.autograd.graph import get_gradient_edge
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from edgetl.config.training import Training
from edgetl.console.progress import Silent
from edgetl.data.augment import Augment
from edgetl.errors import TrainingDiverged
from edgetl.models import backbones
from edgetl.training import checkpoint_schedule, run
from edgetl.training.batches import TrainingData, epoch_order, unlabelled_numbers
from edgetl.training.checkpoint_schedule import SoFar
from edgetl.training.checkpoints import Checkpoints
from edgetl.training.device import augment, mixing, pictures
from edgetl.training.device import steps as device_steps
from edgetl.training.device.pictures import Resident, Streamed
from edgetl.training.device.record import Record
from edgetl.training.device.shrinking import Shrink
from edgetl.training.device.steps import DeviceSteps
from edgetl.training.ema import WeightAverage
from edgetl.training.hints import hints_between
from edgetl.training.job import Job
from edgetl.training.loop import Distillation, Fit, fit
from edgetl.training.losses.dist import dist
from edgetl.training.mixing import mixed
from edgetl.training.objective import Losses
from edgetl.training.optimizer import adamw
from edgetl.training.state import State
from edgetl.training.threads import ThreadCount

pytestmark = pytest.mark.usefixtures("one_thread")
_CPU = torch.device("cpu")


@pytest.fixture
def on_device(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Says by which kind of steps trainings from here on are computed."""

    def choose(chosen: bool) -> None:
        monkeypatch.setattr(run, "_on_device", lambda *_: chosen)

    return choose


def _data(augmented: bool = False, unlabelled: int = 0) -> TrainingData:
    data = tiny_data(augmented=False)
    further = 255 - np.asarray(data.images[np.arange(unlabelled)]) if unlabelled else None
    return dataclasses.replace(data, augment=Augment(SIZE, "strong") if augmented else None, unlabelled=further)


_VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "without an average": {"ema": 0.0},
    "mixup and cutmix": {"mixup": 0.4, "cutmix": 1.0},
    "small pictures first": {"progressive": 0.5},
    "frozen first": {"freeze_epochs": 2},
    "class weights": {"imbalance": "weights", "label_smoothing": 0.1},
    "patience": {"patience": 1, "epochs": 6, "learning_rate": 1e-7},
}


_TEACHINGS = {"alone": (False, 0), "taught": (True, 0), "unlabelled too": (True, 23)}
"""Whether there is a teacher, and how many pictures without a label."""


@pytest.mark.parametrize("variant", _VARIANTS)
@pytest.mark.parametrize("teaching", _TEACHINGS)
def test_both_kinds_of_steps_learn_the_same(
    variant: str, teaching: str, tmp_path: Path, on_device: Callable[[bool], None]
) -> None:
    taught, unlabelled = _TEACHINGS[teaching]
    data = _data(unlabelled=unlabelled)
    settings = SETTINGS.model_copy(update=_VARIANTS[variant])
    distillation = Distillation(tiny_network(7), dist, 0.7, 2.0) if taught else None
    fits: list[Fit] = []
    networks = tiny_network(), tiny_network()
    for chosen, network in zip((False, True), networks, strict=True):
        on_device(chosen)
        folder = tmp_path / str(chosen)
        fits.append(
            fit(network, data, settings, distillation=distillation, seed=3, checkpoints=folder, progress=Silent())
        )
    host, device = fits
    assert len(host.history) == len(device.history)
    for ours, theirs in zip(device.history, host.history, strict=True):
        assert ours.keys() == theirs.keys()
        numbers = {name for name in theirs if name == "epoch" or name.endswith(("_loss", "_auroc", "_score"))}
        # In float32 the pictures that are made smaller are not rounded to whole levels, as the host's are.
        tolerance = 0.05 if variant == "small pictures first" else 2e-3
        assert {name: ours[name] for name in numbers} == pytest.approx(
            {name: theirs[name] for name in numbers}, rel=tolerance, abs=1e-3
        )
    if variant != "small pictures first":
        for a, b in zip(networks[0].state_dict().values(), networks[1].state_dict().values(), strict=True):
            torch.testing.assert_close(a, b, rtol=2e-3, atol=2e-4)


def test_hints_are_learned_alike(tmp_path: Path, on_device: Callable[[bool], None]) -> None:
    learned = []
    for chosen in (False, True):
        on_device(chosen)
        torch.manual_seed(0)
        student = backbones.create("mobilenetv3_small_050", 3, image_size=SIZE)[0]
        teacher = backbones.create("resnet18", 3, image_size=SIZE)[0].eval()
        hints = hints_between(student, teacher, SIZE, SIZE, 1.0, 0)
        before = [value.clone() for value in hints.parameters()]
        distillation = Distillation(teacher, dist, 1.0, 2.0, hints=hints)
        settings = SETTINGS.model_copy(update={"epochs": 1, "learning_rate": 1e-3})
        folder = tmp_path / str(chosen)
        fit(student, _data(), settings, distillation=distillation, seed=3, checkpoints=folder, progress=Silent())
        assert not any(torch.equal(a, b) for a, b in zip(before, hints.parameters(), strict=True))
        learned.append([value.cpu() for value in hints.parameters()])
    for a, b in zip(*learned, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-3)


def test_a_stopped_run_ends_as_an_unstopped_one(
    tmp_path: Path, on_device: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_device(True)
    monkeypatch.setattr(checkpoint_schedule, "SAVE_SECONDS", 0.0)

    class Stop(Silent):
        def advance(self, label: str, done: int, total: int) -> None:
            if done == 8:
                raise KeyboardInterrupt

    settings = SETTINGS.model_copy(update={"mixup": 0.3})
    straight, stopped, resumed = tiny_network(), tiny_network(), tiny_network(99)
    whole = fit(straight, _data(True), settings, seed=1, checkpoints=tmp_path / "a", progress=Silent())
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, _data(True), settings, seed=1, checkpoints=tmp_path / "b", progress=Stop())
    again = fit(resumed, _data(True), settings, seed=1, checkpoints=tmp_path / "b", progress=Silent())
    assert same(straight, resumed)
    assert [entry["label_loss"] for entry in again.history] == pytest.approx(
        [entry["label_loss"] for entry in whole.history]
    )


def test_where_epochs_are_quicker_than_saves_the_last_one_is_saved_all_the_same(
    tmp_path: Path, on_device: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_device(True)
    monkeypatch.setattr(checkpoint_schedule, "_SAVES", 1e9)
    saved: list[int] = []
    save = Checkpoints.save

    def noting(self: Checkpoints, epoch: int, *args: Any) -> None:
        saved.append(epoch)
        save(self, epoch, *args)

    monkeypatch.setattr(Checkpoints, "save", noting)
    network = tiny_network()
    whole = fit(network, _data(), SETTINGS, seed=1, checkpoints=tmp_path, progress=Silent())
    assert saved == [1, 4]
    again = tiny_network(99)
    assert fit(again, _data(), SETTINGS, seed=1, checkpoints=tmp_path, progress=Silent()).resumed_after == 4
    assert same(network, again)
    assert whole.best_epoch in range(1, 5)


def test_the_first_bad_step_is_named_with_its_images(tmp_path: Path, on_device: Callable[[bool], None]) -> None:
    on_device(True)

    class Breaks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network, self.steps = tiny_network(), 0

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            self.steps += self.training
            logits: torch.Tensor = self.network(image)
            return logits * float("inf") if self.steps == 3 else logits

    with pytest.raises(TrainingDiverged, match=r"epoch 1, batch 3: .*pictures/\d{4}\.png") as told:
        fit(Breaks(), _data(), SETTINGS, seed=1, checkpoints=tmp_path, progress=Silent())
    order = np.random.default_rng((1, 1)).permutation(_data().train)
    assert f"pictures/{order[64]:04d}.png" in told.value.message
    assert not (tmp_path / "last.safetensors").exists(), "no state after a bad step is kept"


def _steps(
    settings: Training, distillation: Distillation | None = None, augmented: bool = True, unlabelled: int = 0
) -> DeviceSteps:
    network = tiny_network()
    job = Job(network, _data(augmented, unlabelled), settings, distillation, 0, "tiny")
    average = WeightAverage(network, settings.ema) if settings.ema else None
    hints = None if distillation is None else distillation.hints
    optimizer = adamw(network, settings, hints)
    state = State(network.train(), average, optimizer, None, SoFar(epoch=1), ThreadCount.now(), hints=hints)
    return DeviceSteps(job, state, _CPU)


class _Looks(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Fails when a number of the device is looked at, by us or inside an operator: in a recording that is an error, and
    outside one a wait."""

    _FORBIDDEN = ("_local_scalar_dense", "masked_select", "nonzero", "is_nonzero", "unique", "equal", "bincount")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__.removeprefix("_unique").rstrip("2") or "unique"
        assert name not in self._FORBIDDEN, f"{name} looks at the device"
        masks = [
            index
            for index in (args[1] if name.startswith("index") and isinstance(args[1], list) else ())
            if index is not None
        ]
        assert all(index.dtype != torch.bool for index in masks), "a mask as an index looks at the device"
        assert name != "lift_fresh", "a number comes from the host"
        return func(*args, **(kwargs or {}))


_LOOKS: dict[str, Callable[[], object]] = {
    "item": lambda: torch.ones(1).item(),
    "a branch": lambda: bool(torch.ones(1) > 0),
    "a mask": lambda: torch.ones(3)[torch.ones(3) > 0],
    "a number from the host": lambda: torch.tensor(1.0),
    "inside an operator": lambda: F.cross_entropy(
        torch.rand(2, 3), torch.tensor([0, 1]), weight=torch.ones(3), label_smoothing=0.1
    ),
}


@pytest.mark.parametrize("look", _LOOKS)
def test_a_look_is_noticed(look: str) -> None:
    with pytest.raises(AssertionError, match=r"looks at the device|from the host"), _Looks():  # type: ignore[no-untyped-call]
        _LOOKS[look]()


@pytest.mark.parametrize("teaching", _TEACHINGS)
@pytest.mark.parametrize("variant", [*_VARIANTS, "blended weights"])
def test_a_step_looks_at_no_number_of_the_device(variant: str, teaching: str) -> None:
    taught, unlabelled = _TEACHINGS[teaching]
    blended = {"mixup": 0.3, "cutmix": 0.3, "imbalance": "weights", "label_smoothing": 0.1}
    settings = SETTINGS.model_copy(update=_VARIANTS.get(variant, blended))
    distillation = Distillation(tiny_network(7), dist, 1.0, 2.0) if taught else None
    steps = _steps(settings, distillation, unlabelled=unlabelled)
    size = (24, 24) if settings.progressive else None
    list(zip(range(2), steps.epoch(1, 0, size, lambda _: 1e-3), strict=False))
    with _Looks():  # type: ignore[no-untyped-call]
        steps._compute()


class _Stream:
    def __init__(self, *_: object) -> None:
        pass

    def wait_stream(self, _: object) -> None:
        pass


class _Generator:
    """Notes which of its states it is given back."""

    def __init__(self) -> None:
        self.cloned = object()
        self.restored: list[object] = []

    def clone_state(self) -> object:
        return self.cloned

    def graphsafe_set_state(self, state: object) -> None:
        self.restored.append(state)


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> _Generator:
    """A device that records nothing, what surrounds a recording runs on the CPU; its generator."""
    generator = _Generator()
    fakes = {
        "default_generators": [generator],
        "current_device": lambda: 0,
        "Stream": _Stream,
        "stream": lambda *_: contextlib.nullcontext(),
        "current_stream": lambda *_: None,
        "synchronize": lambda *_: None,
        "CUDAGraph": object,
        "graph": lambda *_, **__: contextlib.nullcontext(),
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    return generator


def _metadata(parameter: torch.Tensor) -> dict[str, Any]:
    """A note on the node of autograd that adds up a parameter's gradient; it goes when the node goes."""
    node: Any = get_gradient_edge(parameter).node
    noted: dict[str, Any] = node.metadata
    return noted


@pytest.mark.usefixtures("recording")
@pytest.mark.parametrize("taught", [False, True], ids=["alone", "taught"])
def test_a_recording_changes_nothing_and_nothing_of_autograd_outlives_a_step(
    taught: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What adds up a parameter's gradient belongs to the stream that it was made on: kept, no other stream can record it."""
    steps = _steps(SETTINGS, Distillation(tiny_network(7), dist, 1.0, 2.0) if taught else None)
    steps._inputs.labels.random_(0, 3)
    parameters, objective, compute = steps._state.parameters(), steps._objective, steps._compute

    def marking(*args: Any) -> Any:
        losses = objective(*args)
        for parameter in parameters:
            _metadata(parameter)["seen"] = True
        return losses

    def computing() -> None:
        compute()
        outlived = sum("seen" in _metadata(parameter) for parameter in parameters)
        assert not outlived, f"{outlived} of {len(parameters)}"

    monkeypatch.setattr(steps, "_objective", marking)
    monkeypatch.setattr(steps, "_compute", computing)
    before = [tensor.clone() for tensor in steps._changing()]
    steps._capture()
    after = steps._changing()
    assert steps._graph is not None
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=False))
    assert len(after) > len(before)
    assert not any(tensor.any() for tensor in after[len(before) :]), "the optimizer has seen no step"


@pytest.mark.parametrize(("message", "ends"), [("operation not permitted", False), ("CUDA out of memory", True)])
def test_a_step_that_cannot_be_recorded_is_computed_as_it_stands(
    message: str, ends: bool, monkeypatch: pytest.MonkeyPatch, recording: _Generator
) -> None:
    @contextlib.contextmanager
    def graph(*_: object, **__: object) -> Iterator[None]:
        yield
        raise RuntimeError(f"{message}\nmore of it")

    monkeypatch.setattr(torch.cuda, "graph", graph)
    steps = _steps(SETTINGS)
    before = [tensor.clone() for tensor in steps._changing()]
    if ends:
        with pytest.raises(RuntimeError, match=message):
            steps._capture()
        return
    steps._capture()
    assert steps._graph is None
    assert recording.restored == [recording.cloned], "dropout would draw from a recording that is over"
    assert steps.note == "the step could not be recorded and is launched kernel by kernel: operation not permitted"
    assert all(torch.equal(a, b) for a, b in zip(before, steps._changing(), strict=False))


@pytest.mark.parametrize(
    ("loss", "norm", "bad"), [(1.0, 2.0, False), (1.0, float("inf"), True), (float("nan"), 2.0, True)]
)
def test_a_step_is_bad_where_its_loss_or_its_gradient_is_not_finite(loss: float, norm: float, bad: bool) -> None:
    record, finite = Record(_CPU), torch.tensor(1.0)
    record.note(Losses(finite, finite, finite), finite, torch.tensor(0))
    record.note(Losses(torch.tensor(loss), finite, finite), torch.tensor(norm), torch.tensor(1))
    record.note(Losses(torch.tensor(float("nan")), finite, finite), finite, torch.tensor(2))
    label, distil, first = record.read()
    assert (label, distil) == (3.0, 3.0)
    assert first is not None
    assert first[0] == (1 if bad else 2)


def test_a_bad_step_after_a_stop_has_the_number_that_it_has_in_its_epoch() -> None:
    steps = _steps(SETTINGS, augmented=False)
    list(steps.epoch(1, 3, None, lambda _: float("inf")))
    with pytest.raises(TrainingDiverged, match="epoch 1, batch 5:"):  # the fourth moves to infinity, the fifth sees it
        steps.settle()


def test_a_teacher_keeps_no_gradients() -> None:
    teacher = tiny_network(7)
    list(_steps(SETTINGS, Distillation(teacher, dist, 1.0, 2.0), unlabelled=23).epoch(1, 0, None, lambda _: 1e-3))
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_the_projections_of_hints_are_among_what_a_recording_leaves_as_it_was() -> None:
    torch.manual_seed(0)
    student = backbones.create("mobilenetv3_small_050", 3, image_size=SIZE)[0]
    hints = hints_between(student, student, SIZE, SIZE, 1.0, 0)
    steps = _steps(SETTINGS, Distillation(student, dist, 1.0, 2.0, hints=hints))
    places = {tensor.data_ptr() for tensor in steps._changing()}
    assert places >= {parameter.data_ptr() for parameter in hints.parameters()}


def test_a_network_without_buffers_is_averaged() -> None:
    network = nn.Linear(3, 2)
    average = WeightAverage(network, 0.9)
    with torch.no_grad():
        network.weight += 1
    average.move(network, torch.tensor(0.25))
    torch.testing.assert_close(average.network.weight, network.weight - 0.25)


def test_the_rate_of_each_step_is_that_which_was_asked_for() -> None:
    steps, seen = _steps(SETTINGS.model_copy(update={"layer_decay": 1.0})), []
    for _ in steps.epoch(1, 0, None, lambda index: 0.001 * (index + 1)):
        seen.append(float(steps._state.optimizer.param_groups[0]["lr"]))
    assert seen == pytest.approx([0.001, 0.002, 0.003, 0.004, 0.005])


@pytest.mark.parametrize("resident", [True, False])
def test_pictures_without_labels_follow_those_with_them(resident: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_steps, "placed", lambda data, device, _: pictures.placed(data, device, resident))
    steps = _steps(SETTINGS, Distillation(tiny_network(7), dist, 1.0, 2.0), unlabelled=23)
    data, batch, place_of_pixels = steps._job.data, steps._job.batch_size, steps._inputs.pixels.data_ptr()
    assert data.unlabelled is not None
    assert isinstance(steps._source, Resident if resident else Streamed)
    rows, numbers = epoch_order(data, 0, 2)[:160].reshape(-1, batch), unlabelled_numbers(data, batch, 0, 2)
    assert numbers.shape == (5, 5)
    for place, _ in enumerate(steps.epoch(2, 1, None, lambda _: 1e-3), start=1):
        pixels = np.concatenate([data.images[rows[place]], data.unlabelled[numbers[place]]])
        assert np.array_equal(steps._inputs.pixels.numpy(), pixels)
        drawn_by = np.concatenate([rows[place], numbers[place] + len(data.labels)])
        drawn = augment.draw("strong", drawn_by, 0, 2, (SIZE, SIZE))
        assert np.array_equal(steps._inputs.drawn.numpy(), drawn)
        assert steps._inputs.pixels.data_ptr() == place_of_pixels, "a recording would go on reading the old place"
    assert place == 4


def test_all_pictures_have_to_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    data = _data(unlabelled=23)
    for room, fits in ((240 + 23, True), (240 + 22, False)):
        monkeypatch.setattr(pictures, "room", lambda _, size, room=room: room if size == SIZE * SIZE * 3 else 0)
        assert pictures.fit(data, _CPU) is fits


def test_pictures_come_alike_from_the_device_and_from_the_host() -> None:
    data = _data()
    rows = np.random.default_rng(0).permutation(data.train)[:40]
    resident, streamed = Resident(data.images, np.union1d(data.train, data.val), _CPU), Streamed(data.images, _CPU)
    for a, b, start in zip(resident.batches(rows, 8), streamed.batches(rows, 8), range(0, 40, 8), strict=True):
        assert torch.equal(a, b)
        assert np.array_equal(a.numpy(), data.images[rows[start : start + 8]])
    assert np.array_equal(resident[data.val].numpy(), data.images[data.val])


@pytest.mark.parametrize("sides", [((128, 128), (96, 96)), ((64, 48), (48, 40)), ((224, 224), (160, 160))])
def test_smaller_pictures_are_opencvs(sides: tuple[tuple[int, int], tuple[int, int]]) -> None:
    import cv2

    (height, width), (small_height, small_width) = sides
    picture = np.random.default_rng(0).uniform(0, 255, (height, width, 3)).astype(np.float32)
    expected = cv2.resize(picture, (small_width, small_height), interpolation=cv2.INTER_AREA)
    ours = Shrink(*sides, _CPU)(torch.from_numpy(picture).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-3)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_a_batch_is_blended_as_on_the_host(kind: str) -> None:
    settings = Training.model_validate({kind: 1.0})
    images, labels = torch.rand(6, 3, 20, 16), torch.tensor([0, 1, 2, 0, 1, 2])
    for index in range(12):
        expected = mixed(images, labels, 3, settings, 5, 2, index)
        kept, share = mixing.drawn(settings, 20, 16, 5, 2, index)
        for ours, theirs in zip(mixing.blend(images, labels, 3, kept, share), expected, strict=True):
            torch.testing.assert_close(ours, theirs)
