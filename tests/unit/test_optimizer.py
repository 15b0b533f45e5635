"""Parameter groups hold every parameter once, whatever the network; a held backbone is held altogether."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgetl.config.training import Training
from edgetl.models.backbones import Network, create
from edgetl.models.prune import prune_to_macs
from edgetl.training.optimizer import adamw, hold_backbone, parameter_groups, set_learning_rate

_BACKBONES = [("mobilenetv3_small_050", None), ("mobilenetv3_small_050", "coord"), ("mobilenetv4_conv_small", None)]
_BACKBONES += [("tf_efficientnet_lite0", None), ("resnet18", None), ("repvit_m0_9", None)]


def _network(backbone: str = "mobilenetv3_small_050", attention: str | None = None) -> Network:
    torch.manual_seed(0)
    return create(backbone, 3, attention=attention)[0]


def _scales(network: Network, decay: float) -> dict[str, float]:
    """lr_scale by the parameter's name, every parameter exactly once."""
    groups = parameter_groups(network, Training(layer_decay=decay))
    scales = [(id(parameter), group["lr_scale"]) for group in groups for parameter in group["params"]]
    assert sorted(one for one, _ in scales) == sorted(id(parameter) for parameter in network.parameters())
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    return {names[one]: scale for one, scale in scales}


@pytest.mark.parametrize(("backbone", "attention"), _BACKBONES)
def test_every_parameter_is_in_one_group(backbone: str, attention: str | None) -> None:
    _check(_network(backbone, attention))


def test_every_parameter_is_in_one_group_after_pruning() -> None:
    network = _network(attention="coord")
    prune_to_macs(network, 32, 0.9)
    _check(network)


def _check(network: Network) -> None:
    scales = _scales(network, 0.5)
    classifier = {id(parameter) for parameter in network.classifiers[0].parameters()}
    assert {scales[name] for name, parameter in network.named_parameters() if id(parameter) in classifier} == {1.0}
    assert next(iter(scales.values())) < 0.01, "the stem, many blocks below"
    assert set(_scales(network, 1.0).values()) == {1.0}


def test_each_block_learns_a_factor_slower_than_the_one_above() -> None:
    scales = _scales(_network(attention="eca"), 0.7)
    blocks = ["body.conv_stem", *(f"body.blocks.1.{index}" for index in range(2)), "body.blocks.2.0"]
    found = [{scale for name, scale in scales.items() if name.startswith(f"{block}.")} for block in blocks]
    assert [len(scales) for scales in found] == [1, 1, 1, 1]
    stem, first, second, third = (scales.pop() for scales in found)
    assert second == pytest.approx(first / 0.7)
    assert third == pytest.approx(second / 0.7)
    assert stem == pytest.approx(first * 0.7**2), "blocks.0.0 lies between"


@pytest.mark.parametrize("decay", [1.0, 0.7])
def test_norms_and_biases_have_no_weight_decay_and_rates_keep_their_proportion(decay: float) -> None:
    network = _network()
    optimizer = adamw(network, Training(layer_decay=decay, weight_decay=0.1))
    set_learning_rate(optimizer, 0.5)
    for group in optimizer.param_groups:
        assert group["lr"] == 0.5 * group["lr_scale"]
        assert group["weight_decay"] == (0.1 if group["params"][0].ndim > 1 else 0.0)
        assert len({parameter.ndim > 1 for parameter in group["params"]}) == 1


def test_a_held_backbone_gets_no_gradient_and_keeps_its_statistics_until_it_is_let_go() -> None:
    network = _network().train()
    hold_backbone(network, True)
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    network(torch.randn(4, 3, 32, 32)).sum().backward()
    learning = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert learning == {"body.classifier.weight", "body.classifier.bias"}
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())
    network.train()
    hold_backbone(network, False)
    network(torch.randn(4, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert not all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())


def test_a_plain_module_has_its_last_layer_as_classifier() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2), nn.Softmax(1))
    hold_backbone(network.train(), True)
    assert [name for name, parameter in network.named_parameters() if parameter.requires_grad] == ["3.weight", "3.bias"]


def test_a_group_without_parameters_is_none() -> None:
    without_bias = nn.Linear(4, 2, bias=False)
    assert [group["weight_decay"] for group in parameter_groups(without_bias, Training(weight_decay=0.1))] == [0.1]
    assert [group["weight_decay"] for group in parameter_groups(nn.BatchNorm1d(4), Training(weight_decay=0.1))] == [0.0]


def test_the_peak_rate_and_the_frozen_parameters_are_those_of_the_settings() -> None:
    network = nn.Linear(4, 2)
    network.bias.requires_grad_(False)
    optimizer = adamw(network, Training(learning_rate=0.3))
    assert [group["lr"] for group in optimizer.param_groups] == [0.3]
    assert [group["lr_scale"] for group in optimizer.param_groups] == [1.0]
    assert [parameter for group in optimizer.param_groups for parameter in group["params"]] == [network.weight]


def test_a_held_network_is_in_inference_mode_but_for_its_classifier() -> None:
    network = _network().train()
    hold_backbone(network, True)
    assert {name for name, module in network.named_modules() if module.training} == {"body.classifier"}
    plain = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 4), nn.Linear(4, 2), nn.Dropout(0.5)).train()
    hold_backbone(plain, True)
    assert [module.training for module in plain] == [False, False, True, False]
    hold_backbone(plain, False)
    assert all(parameter.requires_grad for parameter in plain.parameters())
    assert [module.training for module in plain] == [False, False, True, False], "train() is the caller's"
