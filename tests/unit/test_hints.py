"""Hints between any two backbones: the maps they compare, how far apart those are, and what becomes of the projection."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgetl.config.training import Training
from edgetl.console.progress import Silent
from edgetl.errors import UsageError
from edgetl.models.backbones import Network, create
from edgetl.models.ensemble import AveragedLogits
from edgetl.models.feature_maps import feature_map
from edgetl.models.prune import prune_to_macs
from edgetl.tasks import classify
from edgetl.training.batches import TrainingData
from edgetl.training.checkpoints import Checkpoints
from edgetl.training.hints import Hints, channels, heard, hint_loss, hints_between
from edgetl.training.job import Distillation, Job
from edgetl.training.loop import fit
from edgetl.training.losses import DISTIL_LOSSES
from edgetl.training.losses.dkd import dkd
from edgetl.training.losses.kd import kd
from edgetl.training.losses.pkd import pkd
from edgetl.training.objective import Objective

pytestmark = pytest.mark.usefixtures("one_thread")

_SIZE, _CLASSES = 64, 3
_STUDENT = "mobilenetv3_small_050"


def _network(backbone: str = _STUDENT, seed: int = 0, size: int | None = None) -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return create(backbone, _CLASSES, image_size=size or _SIZE, resizes=size is not None)[0]


def _images(count: int = 4, side: int = _SIZE) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


# Backbone -> its last map of 64 pixels, [C, H, W]; ViTs, DeiT, Swin and so on are made for that size by timm.
_MAPS = {
    _STUDENT: (288, 2, 2),
    "tf_efficientnet_lite0": (1280, 2, 2),
    "mobilenetv4_conv_small": (960, 2, 2),
    "resnet18": (512, 2, 2),
    "repvit_m0_9": (384, 2, 2),
    "test_convnext": (64, 2, 2),
    "test_vit": (64, 4, 4),  # a class token
    "deit_tiny_distilled_patch16_224": (192, 4, 4),  # two tokens that stand for no place
    "swin_tiny_patch4_window7_224": (768, 2, 2),  # channels last
    "mambaout_femto": (288, 2, 2),  # channels last
}


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("backbone", _MAPS)
def test_one_pass_gives_the_same_logits_and_the_map_under_the_head(backbone: str, mode: str) -> None:
    network, images = _network(backbone).train(mode == "train"), _images()
    torch.manual_seed(3)  # dropout and stochastic depth
    expected = copy.deepcopy(network)(images)
    torch.manual_seed(3)
    logits, features = network.with_features(images)
    assert torch.equal(logits, expected)
    assert features.shape == (4, *_MAPS[backbone])


def test_tokens_and_channels_last_come_to_their_places() -> None:
    """Of a map that counts its places, in each of timm's layouts."""
    places = torch.arange(6.0).reshape(1, 1, 2, 3) + torch.tensor([0.0, 100.0]).reshape(1, 2, 1, 1)
    body: Any = nn.Identity()
    assert torch.equal(feature_map(body, places, 64, 96), places)
    tokens = places.flatten(2).transpose(1, 2)
    assert torch.equal(feature_map(body, tokens, 64, 96), places)
    body.num_prefix_tokens = 2
    assert torch.equal(feature_map(body, torch.cat([torch.full((1, 2, 2), -1.0), tokens], 1), 64, 96), places)
    body.output_fmt = "NHWC"
    assert torch.equal(feature_map(body, places.permute(0, 2, 3, 1), 64, 96), places)


@pytest.mark.parametrize("features", [[torch.zeros(1, 4, 8)], torch.zeros(1, 8), torch.zeros(1, 7, 8)])
def test_features_that_are_no_map_are_refused_by_name(features: Any) -> None:
    with pytest.raises(UsageError, match="last features of Identity are no map"):
        feature_map(nn.Identity(), features, 64, 64)


def test_a_backbone_of_several_maps_is_refused_before_the_training() -> None:
    with pytest.raises(UsageError, match=r"features of CoaT are no map, got list(.|\n)*set distil\.hints: 0"):
        hints_between(_network(), _network("coat_tiny"), _SIZE, _SIZE, 1.0, 0)


def test_pkd_is_one_minus_pearson_within_each_channel() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(5, 3, 2, 4, generator=generator).double() for _ in range(2))
    by_channel = [(x.transpose(0, 1).reshape(3, -1).numpy()) for x in (a, b)]
    expected = 1 - np.mean([np.corrcoef(x, y)[0, 1] for x, y in zip(*by_channel, strict=True)])
    assert pkd(a, b).item() == pytest.approx(expected)
    scale, shift = torch.tensor([0.1, 3.0, 20.0])[:, None, None], torch.tensor([5.0, -1.0, 0.0])[:, None, None]
    assert pkd(a * scale + shift, a).item() == pytest.approx(0.0, abs=1e-9)
    assert pkd(-a, a).item() == pytest.approx(2.0)


def test_a_dead_channel_of_the_teacher_counts_for_nothing() -> None:
    student, teacher = (torch.randn(5, 3, 2, 4, generator=torch.Generator().manual_seed(s)) for s in (1, 2))
    alone = pkd(student[:, :2], teacher[:, :2])
    teacher[:, 2] = 4.0
    torch.testing.assert_close(pkd(student, teacher), alone)
    assert pkd(student, torch.ones_like(teacher)).item() == 0.0


def test_the_gradient_of_pkd_is_that_of_the_loss_and_finite_where_nothing_varies() -> None:
    student, teacher = (torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(s)).double() for s in (1, 2))
    assert torch.autograd.gradcheck(lambda features: pkd(features, teacher), student.requires_grad_())
    flat = torch.zeros(2, 3, 2, 2, requires_grad=True)
    pkd(flat, teacher.float()).backward()  # type: ignore[no-untyped-call]
    assert flat.grad is not None
    assert torch.isfinite(flat.grad).all()


def test_maps_are_averaged_to_the_smaller_and_projected_to_each_teachers_channels() -> None:
    hints = Hints(2, (3, 1), 0.5)
    ours, theirs = torch.randn(4, 2, 4, 2), (torch.randn(4, 3, 2, 4), torch.randn(4, 1, 4, 2))
    (first, their_first), (second, their_second) = hints(ours, theirs)
    means = ours.reshape(4, 2, 2, 2, 2).mean(3)  # rows in pairs
    weight = hints.projections[0].weight[:, :, 0, 0]  # type: ignore[index]
    torch.testing.assert_close(first, torch.einsum("oc,bchw->bohw", weight, means))
    torch.testing.assert_close(their_first, theirs[0].reshape(4, 3, 2, 2, 2).mean(4))  # columns in pairs
    assert second.shape == their_second.shape == (4, 1, 4, 2)
    assert torch.equal(their_second, theirs[1])
    expected = (pkd(first, their_first) + pkd(second, their_second)) / 2
    torch.testing.assert_close(hint_loss(hints(ours, theirs)), expected)


@pytest.mark.parametrize("teacher", ["resnet18", "test_vit", "swin_tiny_patch4_window7_224"])
@pytest.mark.parametrize("student", [_STUDENT, "test_vit"])
def test_any_two_backbones_can_be_brought_together(student: str, teacher: str) -> None:
    ours, theirs = _network(student), _network(teacher, 1)
    hints = hints_between(ours, theirs, _SIZE, _SIZE, 1.0, 0)
    assert ours.training
    channels = (_MAPS[teacher][0], _MAPS[student][0], 1, 1)
    assert [tuple(value.shape) for value in hints.parameters()] == [channels]
    before = torch.manual_seed(12345).get_state()
    again, other = (hints_between(ours, theirs, _SIZE, _SIZE, 1.0, seed) for seed in (0, 1))
    assert torch.equal(torch.default_generator.get_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(hints.parameters(), again.parameters(), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(hints.parameters(), other.parameters(), strict=True))
    _, features = ours.with_features(_images())
    _, maps = heard(theirs.eval(), _images())
    hint_loss(hints(features, maps)).backward()  # type: ignore[no-untyped-call]
    grads = [value.grad for value in (*hints.parameters(), *ours.body.parameters()) if value.grad is not None]
    assert all(torch.isfinite(grad).all() for grad in grads)
    assert any(grad.abs().max() > 0 for grad in grads[1:]), "the student learns too"


def test_a_network_is_asked_for_its_channels_where_it_lies() -> None:
    """A trial's second candidate finds the teacher where the first one took it."""
    network = _network()
    here = channels(network, 32, 32)
    assert channels(network.to("meta"), 32, 32) == here


def test_a_pruned_student_has_projections_for_the_channels_that_are_left() -> None:
    student = _network("resnet18")
    prune_to_macs(student, _SIZE, 0.5)
    hints = hints_between(student, _network("test_convnext"), _SIZE, _SIZE, 1.0, 0)
    logits, features = student.eval().with_features(_images())
    assert torch.equal(logits, student(_images()))
    assert features.shape[1] < 512
    assert next(iter(hints.parameters())).shape == (64, features.shape[1], 1, 1)


def test_several_teachers_answer_in_one_pass_and_each_gives_a_hint() -> None:
    teacher = AveragedLogits([_network("resnet18", 1), _network("test_vit", 2, size=96)]).eval()
    logits, maps = heard(teacher, _images())
    assert torch.equal(logits, teacher(_images()))
    assert [tuple(each.shape[1:]) for each in maps] == [(512, 2, 2), (64, 6, 6)]
    hints = hints_between(_network(), teacher, _SIZE, _SIZE, 1.0, 0)
    assert [value.shape[0] for value in hints.parameters()] == [512, 64]


def _data(train: int = 24, val: int = 12) -> TrainingData:
    generator = np.random.default_rng(0)
    labels = (np.arange(train + val) % _CLASSES).astype(np.int64)
    colours = generator.integers(0, 256, (_CLASSES, 1, 1, 3))[labels]
    images = np.clip(0.5 * colours + generator.normal(60, 40, (train + val, 32, 32, 3)), 0, 255).astype(np.uint8)
    return TrainingData(images, labels, np.arange(train), np.arange(train, train + val), _CLASSES)


_SHORT = Training(epochs=2, batch_size=8, learning_rate=1e-3, ema=0.5, warmup_epochs=0.0)


def _taught(student: Network, weight: float = 0.7, **options: Any) -> Distillation:
    teacher = _network("test_convnext", 5)
    hints = hints_between(student, teacher, 32, 32, 1.5, 0)
    return Distillation(teacher, kd, weight, 2.0, hints=hints, **options)


def _losses(job: Job, images: Tensor, labels: Tensor) -> Any:
    return Objective(job, torch.device("cpu"), nullcontext)(job.network.eval(), images, labels)


@pytest.mark.parametrize("label_weight", [1.0, 0.25, 0.0])
@pytest.mark.parametrize("blended", [False, True])
def test_the_objective_is_what_its_words_say(label_weight: float, blended: bool) -> None:
    student, data, images = _network(), _data(), _images(6, 32)
    taught = _taught(student, label_weight=label_weight)
    taught.teacher.eval()
    indices = torch.arange(6) % _CLASSES
    labels = 0.6 * torch.eye(_CLASSES)[indices] + 0.4 * torch.eye(_CLASSES)[indices.roll(1)] if blended else indices
    job = Job(student, data, _SHORT, taught, 0, "test")
    total, label, distil = _losses(job, images, labels)
    with torch.no_grad():
        logits, features = student.with_features(images)
        theirs, maps = heard(taught.teacher, images)
        projected = taught.hints.projections[0](features)  # type: ignore[union-attr]
        own = kd(logits, theirs, 2.0) + 1.5 * pkd(projected, maps[0])
        of_labels = classify.label_loss("logit_adjust", data.counts())(logits, labels)
    torch.testing.assert_close(label.detach(), of_labels)
    torch.testing.assert_close(distil.detach(), own)
    torch.testing.assert_close(total.detach(), label_weight * of_labels + 0.7 * own)


@pytest.mark.parametrize("blended", [False, True])
def test_the_loss_of_the_logits_gets_the_labels_as_they_are_blended(blended: bool) -> None:
    student, teacher, images = _network(), _network("test_convnext", 5).eval(), _images(6, 32)
    indices = torch.arange(6) % _CLASSES
    labels = 0.6 * torch.eye(_CLASSES)[indices] + 0.4 * torch.eye(_CLASSES)[indices.roll(1)] if blended else indices
    job = Job(student, _data(), _SHORT, Distillation(teacher, dkd, 0.7, 2.0), 0, "test")
    losses = _losses(job, images, labels)
    expected = dkd(student(images), teacher(images), 2.0, indices)
    torch.testing.assert_close(losses.distil, expected)
    assert not torch.allclose(expected, dkd(student(images), teacher(images), 2.0, indices.roll(1)))


@pytest.mark.parametrize("blended", [False, True])
@pytest.mark.parametrize("name", sorted(DISTIL_LOSSES))
def test_nothing_in_the_objective_looks_at_a_number_or_leaves_the_device(name: str, blended: bool) -> None:
    """On PyTorch's device without numbers: what asks for one, has a shape that depends on one, or mixes devices, fails."""
    student, teacher = _network(), AveragedLogits([_network("test_convnext", 5), _network("test_vit", 6)]).eval()
    hints = hints_between(student, teacher, _SIZE, _SIZE, 1.0, 0)
    for module in (student, teacher, hints):
        module.to("meta")
    taught = Distillation(teacher, DISTIL_LOSSES[name].function(), 0.7, 2.0, 0.5, hints)
    for distillation in (taught, replace(taught, hints=None)):
        job = Job(student, _data(), _SHORT, distillation, 0, "test")
        labels = torch.zeros(6, _CLASSES, device="meta") if blended else torch.zeros(6, device="meta").long()
        losses = Objective(job, torch.device("meta"), nullcontext)(student, _images(6).to("meta"), labels)
        losses.total.backward()  # type: ignore[no-untyped-call]
        assert {loss.device.type for loss in losses} == {"meta"}


def test_maps_in_half_precision_are_compared_in_float32() -> None:
    ours, theirs = (torch.randn(6, 8, 4, 4, generator=torch.Generator().manual_seed(s)).bfloat16() for s in (1, 2))
    loss = hint_loss([(ours, theirs)])
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, pkd(ours.float(), theirs.float()))


def test_half_precision_is_for_the_two_forward_passes() -> None:
    student, images = _network(), _images(6, 32)
    taught = _taught(student)
    job = Job(student.eval(), _data(), _SHORT, taught, 0, "test")
    taught.teacher.eval()
    labels, seen = torch.arange(6) % _CLASSES, []

    def autocast() -> Any:
        seen.append("autocast")
        return torch.autocast("cpu", torch.bfloat16)

    half, whole = Objective(job, torch.device("cpu"), autocast), Objective(job, torch.device("cpu"), nullcontext)
    losses = half(student, images, labels)
    assert seen == ["autocast", "autocast"], "around the teacher's pass and the student's, nowhere else"
    assert {loss.dtype for loss in losses} == {torch.float32}
    for ours, theirs in zip(losses, whole(student, images, labels), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0.1, atol=0.05)


class _Stop(Silent):
    """Presses Ctrl-C at a step."""

    def __init__(self, step: int) -> None:
        self._step = step

    def advance(self, label: str, done: int, total: int) -> None:
        if done == self._step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("frozen", [0, 1])
def test_a_training_with_hints_goes_on_with_the_same_bits_and_its_projection(tmp_path: Path, frozen: int) -> None:
    data, settings, projections = _data(), _SHORT.model_copy(update={"freeze_epochs": frozen}), []

    def trained(seed: int, folder: str, progress: Silent) -> Network:
        student = _network(seed=seed)
        taught = _taught(student)
        assert taught.hints is not None
        before = copy.deepcopy(taught.hints.state_dict())
        fit(student, data, settings, distillation=taught, seed=1, checkpoints=tmp_path / folder, progress=progress)
        projections.append(taught.hints.state_dict())
        assert not torch.equal(projections[-1]["projections.0.weight"], before["projections.0.weight"])
        assert taught.teacher.state_dict().keys() == _network("test_convnext").state_dict().keys()
        return student

    straight = trained(0, "a", Silent())
    with pytest.raises(KeyboardInterrupt):
        trained(0, "b", _Stop(4))
    resumed = trained(9, "b", Silent())
    assert straight.state_dict().keys() == _network().state_dict().keys(), "the projection is no part of what ships"
    ours, theirs = straight.state_dict(), resumed.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert torch.equal(projections[0]["projections.0.weight"], projections[-1]["projections.0.weight"])


@pytest.mark.parametrize("change", ["nothing", "weight", "channels", "label_weight", "no hints"])
def test_only_a_state_with_the_same_hints_is_taken_up(change: str) -> None:
    student, data = _network(), _data()
    jobs = []
    for other in (False, True):
        changed = change if other else "nothing"
        teacher = _network("resnet18" if changed == "channels" else "test_convnext")
        hints = hints_between(student, teacher, 32, 32, 2.0 if changed == "weight" else 1.0, 0)
        of_labels = 0.5 if changed == "label_weight" else 1.0
        taught = Distillation(teacher, kd, 1.0, 2.0, of_labels, None if changed == "no hints" else hints)
        jobs.append(Job(student, data, _SHORT, taught, 0, "test").identity())
    assert (jobs[0] == jobs[1]) is (change == "nothing")


def test_checkpoints_hold_the_projection_and_what_ships_does_not(tmp_path: Path) -> None:
    student, data = _network(), _data()
    taught = _taught(student)
    job = Job(student, data, _SHORT, taught, 1, "train")
    done = fit(student, data, _SHORT, distillation=taught, seed=1, checkpoints=tmp_path, progress=Silent())
    store = Checkpoints(tmp_path, job.identity())
    snapshot = store.load()
    assert snapshot is not None
    assert taught.hints is not None
    assert torch.equal(
        snapshot.tensors["hints.projections.0.weight"], taught.hints.state_dict()["projections.0.weight"]
    )
    assert not any("hints" in name for name in store.load_best(done.best_epoch))


def test_the_gradient_of_the_projection_is_clipped_with_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from accelerate import Accelerator

    clipped: list[int] = []
    clip = Accelerator.clip_grad_norm_

    def seen(self: Accelerator, parameters: Any, *rest: Any) -> Any:
        clipped.append(len(list(parameters)))
        return clip(self, parameters, *rest)

    monkeypatch.setattr(Accelerator, "clip_grad_norm_", seen)
    student = _network()
    settings = _SHORT.model_copy(update={"epochs": 1, "batch_size": 24})
    fit(student, _data(), settings, distillation=_taught(student), seed=1, checkpoints=tmp_path, progress=Silent())
    assert clipped == [len(list(student.parameters())) + 1]
