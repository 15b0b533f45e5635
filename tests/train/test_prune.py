"""Pruning hits its budget, keeps networks consistent, and what is left reloads bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from edgetl.errors import UsageError
from edgetl.models import spec
from edgetl.models.backbones import Network, create
from edgetl.models.prune import count, prune_to_macs

_SIZE = 64
_CASES = [("mobilenetv3_small_100", attention) for attention in (None, "none", "eca", "cbam", "coord")]
_CASES += [("mobilenetv4_conv_small", None), ("tf_efficientnet_lite0", None)]


def _network(backbone: str, attention: str | None) -> Network:
    """Fresh, but with BatchNorm scales that differ as trained ones do."""
    torch.manual_seed(0)
    network, _ = create(backbone, 7, attention=attention)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return network


@pytest.mark.parametrize(("backbone", "attention"), _CASES)
def test_pruned_networks_hit_the_budget_and_reload_bit_equal(
    tmp_path: Path, backbone: str, attention: str | None
) -> None:
    network = _network(backbone, attention)
    report = prune_to_macs(network, _SIZE, 0.6)
    assert 0.58 <= report.share <= 0.6
    assert (report.macs_after, report.parameters_after) == count(network, _SIZE)
    assert report.parameters_after < report.parameters_before
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d) and layer.out_channels > 1]
    assert all(layer.out_channels % 8 == 0 for layer in convolutions)
    spec.save(network, tmp_path)
    twin = spec.load(tmp_path)
    images = torch.randn(2, 3, _SIZE, _SIZE)
    with torch.inference_mode():
        logits = network.eval()(images)
        assert torch.equal(logits, twin(images))
    assert logits.shape == (2, 7)


def test_pruned_networks_can_be_pruned_again_after_reloading(tmp_path: Path) -> None:
    network = _network("mobilenetv3_small_100", None)
    prune_to_macs(network, _SIZE, 0.8)
    spec.save(network, tmp_path)
    again = spec.load(tmp_path)
    assert 0.68 <= prune_to_macs(again, _SIZE, 0.7).share <= 0.7
    again.train()(torch.randn(4, 3, _SIZE, _SIZE)).sum().backward()
    spec.save(again, tmp_path)
    assert count(spec.load(tmp_path), _SIZE) == count(again, _SIZE)


def test_unimportant_channels_go_first() -> None:
    network = _network("mobilenetv3_small_100", "none")
    block = network.get_submodule("body.blocks.4.0")
    with torch.no_grad():
        for name, weights in block.named_parameters():
            channels = weights[:, :64] if name == "conv_pwl.weight" else weights[:64]
            if not name.startswith("bn3"):
                channels *= 1e-6
    prune_to_macs(network, _SIZE, 0.9)
    pruned = network.get_submodule("body.blocks.4.0.bn1")
    assert isinstance(pruned, nn.modules.batchnorm._BatchNorm)
    assert int((pruned.weight < 1e-3).sum()) < 64


def test_share_of_one_changes_nothing() -> None:
    network = _network("mobilenetv3_small_100", None)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    report = prune_to_macs(network, _SIZE, 1.0)
    assert report.share == 1.0
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_mode_and_random_numbers_are_kept() -> None:
    network = _network("mobilenetv3_small_100", "none")
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    prune_to_macs(network.train(), _SIZE, 0.9)
    assert network.training
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0, "more than 0"),
        (1.2, "at most 1"),
        (0.005, "is the least that this network can be pruned to"),
    ],
)
def test_impossible_requests_are_named(share: float, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        prune_to_macs(_network("mobilenetv3_small_100", "none"), _SIZE, share)


def test_count_is_what_paper_arithmetic_gives() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Conv2d(4, 4, 3, padding=1, groups=4))
    macs, parameters = count(network, 8)
    assert macs == 16 * 4 * 27 + 16 * 4 * 9
    assert parameters == (4 * 27 + 4) + (4 * 9 + 4)
