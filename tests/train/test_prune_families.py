"""Pruning ends for one backbone of each family, and what it leaves runs, trains, reloads bit for bit and exports."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgetl.backends import contract, onnx
from edgetl.errors import UsageError
from edgetl.models import spec
from edgetl.models.backbones import Network, create
from edgetl.models.channels.cut import cut
from edgetl.models.channels.groups import find
from edgetl.models.channels.plan import Plan
from edgetl.models.channels.trace import tensors_of
from edgetl.models.prune import count, prune_to_macs, reachable

_SIZE = 64
_FAMILIES = [
    "convnextv2_atto",  # LayerNorm, global response norm
    "edgenext_xx_small",  # attention across channels, splits, layer scale
    "efficientvit_b0",  # linear attention, grouped convolutions
    "efficientvit_m0",  # a convolution for each head, biases by index
    "fastvit_t8",  # merged branches, layer scale
    "ghostnet_100",  # concatenations, slices up to a number
    "mixnet_s",  # splits into unequal parts
    "mobilenetv4_hybrid_medium",  # multi-query attention
    "mobileone_s0",  # blocks that keep `groups`
    "mobilevit_xxs",  # tokens of patches, multi-head attention
    "poolformer_s12",  # lone scales, GroupNorm
    "regnety_004",  # grouped convolutions
    "rexnet_100",  # sums over a part of the channels
    "skresnet18",  # attention over branches
    "swiftformer_xs",  # additive attention, lone parameters
]
_WITH_ATTENTION = [("mobilenetv1_100", "eca"), ("mobilenetv1_100", "cbam"), ("repvit_m0_9", "eca")]
_EXPORTED = ["convnextv2_atto", "mobileone_s0", "skresnet18", "swiftformer_xs"]


def _network(backbone: str, attention: str | None = None) -> Network:
    """Fresh, but with scales that differ as trained ones do."""
    torch.manual_seed(0)
    network, _ = create(backbone, 7, attention=attention)
    for name, parameter in network.named_parameters():
        if parameter.ndim == 1 and name.endswith(("weight", "gamma")):
            nn.init.uniform_(parameter, 0.5, 1.5)
    return network


@pytest.mark.parametrize(("backbone", "attention"), [*((backbone, None) for backbone in _FAMILIES), *_WITH_ATTENTION])
def test_a_family_is_pruned_reloaded_and_trained_on(tmp_path: Path, backbone: str, attention: str | None) -> None:
    network = _network(backbone, attention)
    report = prune_to_macs(network, _SIZE, 0.6)
    assert 0.58 <= report.share <= 0.6
    assert (report.macs_after, report.parameters_after) == count(network, _SIZE)
    spec.save(network, tmp_path)
    twin = spec.load(tmp_path)
    images = torch.randn(2, 3, _SIZE, _SIZE)
    with torch.inference_mode():
        logits = network.eval()(images)
        assert torch.equal(logits, twin(images))
    assert logits.shape == (2, 7)
    assert torch.isfinite(logits).all()
    network.train()(images).sum().backward()


@pytest.mark.parametrize("backbone", _EXPORTED)
def test_a_pruned_family_exports(tmp_path: Path, backbone: str) -> None:
    import onnxruntime

    network = _network(backbone)
    prune_to_macs(network, _SIZE, 0.6)
    picture = np.random.default_rng(0).integers(0, 256, (1, _SIZE, _SIZE, 3), dtype=np.uint8)
    image = (torch.from_numpy(picture).permute(0, 3, 1, 2).float() - 128) / 128
    with torch.inference_mode():
        logits = network.eval()(image)
        with torch.no_grad():
            for layer in network.classifiers:
                for parameter in layer.parameters():  # probabilities that are neither 0 nor 1
                    parameter.div_(logits.std())
        expected = network(image).softmax(1).numpy()
    path = onnx.export(network, _SIZE, tmp_path, "pruned")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {session.get_inputs()[0].name: picture})
    assert np.abs(got - expected).max() < 1e-5
    assert expected.max() - expected.min() > 1e-2


@pytest.mark.parametrize("backbone", ["fastvit_t8", "fastvit_sa12", "mobileone_s0", "repvgg_a0", "repvit_m0_9"])
def test_branches_of_a_pruned_network_merge(backbone: str) -> None:
    network = _network(backbone)
    prune_to_macs(network, _SIZE, 0.6)
    images = torch.randn(2, 3, _SIZE, _SIZE)
    with torch.inference_mode():
        logits, merged = network.eval()(images), contract.frozen(network)(images)
    torch.testing.assert_close(merged, logits, rtol=1e-2, atol=1e-3 * float(logits.abs().max()))


@pytest.mark.parametrize(
    "backbone", ["cspdarknet53", "ghostnet_100", "mixnet_s", "regnety_004", "rexnet_100", "skresnet18"]
)
def test_what_goes_is_what_could_as_well_be_zero(backbone: str) -> None:
    """Zeros in all weights of the channels that go compute the same as the network without these channels."""
    network = _network(backbone).eval()
    image = torch.zeros(1, 3, _SIZE, _SIZE)
    uses = {f"{name}.weight": 1 for name, layer in network.named_modules() if isinstance(layer, (nn.Conv2d, nn.Linear))}
    channels = find(network, image, uses)
    plan = Plan(channels, channels.groups, 8)
    plan.remove(int(plan.macs * 0.6), 0)
    zeroed = copy.deepcopy(network)
    with torch.no_grad():
        for name, tensor in tensors_of(zeroed).items():
            for dim in range(tensor.ndim):
                if (name, dim) in channels.places and not name.endswith("running_var"):
                    gone = torch.from_numpy(np.flatnonzero(~plan.kept[channels.places[name, dim]]))
                    tensor.index_fill_(dim, gone, 0)
    cut(network, channels, plan.kept)
    images = torch.randn(2, 3, _SIZE, _SIZE)
    with torch.inference_mode():
        expected = zeroed(images)
        torch.testing.assert_close(network(images), expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
    assert count(network, _SIZE)[1] < count(zeroed, _SIZE)[1]


def test_what_a_network_remembers_of_an_earlier_run_is_forgotten() -> None:
    """Attention that keeps its biases in eval mode, ready for the heads that it had."""
    network = _network("levit_128s")
    image = torch.zeros(1, 3, 224, 224)
    with torch.no_grad():
        network.eval()(image)
    assert prune_to_macs(network, 224, 0.9).left_whole == ()
    with torch.no_grad():
        assert network(image).shape == (1, 7)


def test_pruning_works_in_inference_mode_too() -> None:
    with torch.inference_mode():
        assert prune_to_macs(_network("convnextv2_atto"), _SIZE, 0.6).share <= 0.6


def test_the_least_share_is_known_before_and_the_same_each_time() -> None:
    network = _network("mobilevit_xxs")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    steps: list[tuple[int, int]] = []
    found = reachable(network, _SIZE, progress=lambda done, total: steps.append((done, total)))
    assert found == reachable(network, _SIZE)
    assert steps
    assert all(0 < done <= total for done, total in steps)
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    with pytest.raises(UsageError, match=f"{found.share:.3f} is the least"):
        prune_to_macs(network, _SIZE, found.share * 0.9)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert prune_to_macs(network, _SIZE, found.share + 1e-6).share == pytest.approx(found.share)
