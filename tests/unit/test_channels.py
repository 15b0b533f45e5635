"""Small networks whose channels depend on each other in one way each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgetl.errors import UsageError
from edgetl.models.architecture import Architecture, Network
from edgetl.models.attention.placement import Placement
from edgetl.models.channels.sizes import numbers_of, rows_of
from edgetl.models.prune import PruneReport, prune_to_macs, reachable

_SIZE = 8


class _Body(nn.Module):
    """A stem, something in between, and a classifier that timm would find."""

    def __init__(self, middle: nn.Module, inputs: int = 32, outputs: int = 32) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, inputs, 3, padding=1)
        self.middle = middle
        self.fc = nn.Linear(outputs, 3)

    def get_classifier(self) -> nn.Module:
        """As timm's."""
        return self.fc

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] to [B, 3]."""
        logits: Tensor = self.fc(self.middle(self.stem(image)).mean((2, 3)))
        return logits


def _pruned(middle: nn.Module, inputs: int = 32, outputs: int = 32, share: float = 0.6) -> tuple[Any, PruneReport]:
    torch.manual_seed(0)
    body = _Body(middle, inputs, outputs)
    report = prune_to_macs(Network(Architecture("none", 3), body, Placement(None)), _SIZE, share)
    assert report.share <= share
    assert body(torch.randn(2, 3, _SIZE, _SIZE)).shape == (2, 3)
    return body, report


class _Function(nn.Module):
    """A block as one function of its two convolutions."""

    def __init__(self, function: Callable[[Any, Tensor], Any], wide: int = 32, **numbers: object) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(32, wide, 1), nn.Conv2d(wide, 32, 1)
        self._function = function
        for name, value in numbers.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 32, H, W] to the same shape."""
        result: Tensor = self._function(self, x)
        return result


def _shuffled(block: Any, x: Tensor) -> Any:
    batch, _, height, width = x.shape
    x = block.one(x).view(batch, 4, -1, height, width).transpose(1, 2).reshape(batch, -1, height, width)
    return x + block.two(x)


def _split(block: Any, x: Tensor) -> Any:
    kept, changed = torch.split(block.one(x), [block.untouched_dim, block.dim], dim=1)
    return block.two(torch.cat([changed.relu(), kept], dim=1))


def _sliced(block: Any, x: Tensor) -> Any:
    y = block.one(x)
    return block.two(torch.cat([y[:, : block.dim] * 2, y[:, block.dim :]], dim=1))


def _chunked(block: Any, x: Tensor) -> Any:
    value, gate = block.one(x).chunk(2, dim=1)
    return block.two(torch.cat([value * gate.sigmoid(), gate], dim=1))


def _normalised(block: Any, x: Tensor) -> Any:
    return block.two(functional.normalize(block.one(x), dim=1))


@pytest.mark.parametrize(
    ("function", "numbers"),
    [
        (_shuffled, {}),
        (_split, {"untouched_dim": 24, "dim": 8}),
        (_sliced, {"dim": 16}),
        (_chunked, {}),
        (_normalised, {}),
    ],
)
def test_what_blocks_do_with_channels_is_followed(
    function: Callable[[Any, Tensor], Any], numbers: dict[str, int]
) -> None:
    body, report = _pruned(_Function(function, **numbers), share=0.5)
    assert report.left_whole == ()
    assert body.middle.one.out_channels < 32
    for name, whole in numbers.items():
        assert 0 < getattr(body.middle, name) <= whole


class _Attention(nn.Module):
    """As timm's: heads and their width are numbers, and so is the root that scores are divided by."""

    def __init__(self, of_input: bool) -> None:
        super().__init__()
        self.num_heads, self.head_dim, self.scale = 4, 8, 8**-0.5
        self.of_input = of_input
        self.norm, self.qkv, self.proj = nn.LayerNorm(32), nn.Linear(32, 96), nn.Linear(32, 32)
        self.gamma = nn.Parameter(torch.ones(32))

    def forward(self, x: Tensor) -> Tensor:
        """[B, 32, H, W] to the same shape."""
        batch, channels, height, width = x.shape
        tokens = x.flatten(2).transpose(1, 2)
        width_of_heads = channels // self.num_heads if self.of_input else self.head_dim
        qkv = self.qkv(self.norm(tokens)).reshape(batch, -1, 3, self.num_heads, width_of_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        scores = (query * self.scale @ key.transpose(-2, -1)).softmax(-1)
        mixed = (scores @ value).transpose(1, 2).flatten(2)
        added: Tensor = tokens + self.proj(mixed) * self.gamma
        return added.transpose(1, 2).reshape(batch, -1, height, width)


@pytest.mark.parametrize("of_input", [False, True])
def test_heads_become_narrower_and_their_numbers_follow(of_input: bool) -> None:
    body, report = _pruned(_Attention(of_input), share=0.5)
    attention = body.middle
    assert report.left_whole == ()
    assert attention.num_heads == 4
    width = attention.qkv.out_features // 12
    assert width < 8
    assert attention.proj.in_features == 4 * width
    if not of_input:
        assert (attention.head_dim, attention.scale) == (width, width**-0.5)
    assert attention.norm.normalized_shape == (attention.qkv.in_features,) == tuple(attention.gamma.shape)


@pytest.mark.parametrize(("groups", "whole_groups"), [(16, True), (2, False), (32, True)])
def test_small_groups_go_whole_and_wide_ones_evenly(groups: int, whole_groups: bool) -> None:
    layer = nn.Conv2d(32, 32, 3, padding=1, groups=groups)
    _pruned(nn.Sequential(layer, nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 32, 1)), share=0.6)
    assert layer.out_channels < 32
    assert layer.weight.shape == (layer.out_channels, layer.in_channels // layer.groups, 3, 3)
    assert (layer.groups < groups) == whole_groups


def test_what_a_network_insists_on_is_left_whole_and_named() -> None:
    def stubborn(block: Any, x: Tensor) -> Any:
        return block.two(block.one(x).reshape(len(x), 32, -1).view(len(x), 32, *x.shape[2:]))

    body, report = _pruned(nn.Sequential(_Function(stubborn), nn.Conv2d(32, 32, 1)), share=0.7)
    assert len(report.left_whole) == 1
    assert report.left_whole[0].startswith("middle.0.one: 32 channels: ")
    assert "32" in report.left_whole[0]
    assert body.middle[0].one.out_channels == 32


def test_channels_that_would_silently_meet_others_are_left_whole() -> None:
    """Every shape fits without the first eight channels, but the number in the code then parts others."""

    def swapped(block: Any, x: Tensor) -> Any:
        y = block.one(x)
        return block.two(torch.cat([y[:, 8:], y[:, :8]], dim=1))

    body, report = _pruned(nn.Sequential(_Function(swapped), nn.Conv2d(32, 32, 1)), share=0.7)
    assert body.middle[0].one.out_channels == 32
    assert any("other channels meet" in line for line in report.left_whole)


def test_an_operation_that_is_not_known_keeps_its_channels() -> None:
    def sorted_channels(block: Any, x: Tensor) -> Any:
        return block.two(block.one(x).sort(dim=1).values)

    _, report = _pruned(nn.Sequential(_Function(sorted_channels), nn.Conv2d(32, 32, 1)), share=0.8)
    assert any("sort in middle.0 is not known" in line for line in report.left_whole)


def test_a_network_without_anything_to_prune_says_so() -> None:
    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.ones(32, 1, 1)

    body = _Body(Fixed())
    network = Network(Architecture("none", 3), body, Placement(None))
    assert reachable(network, _SIZE).share == 1.0
    with pytest.raises(UsageError, match=r"1\.000 is the least"):
        prune_to_macs(network, _SIZE, 0.9)


def test_shared_weights_stay_shared() -> None:
    layer = nn.Conv2d(32, 32, 1)
    body, _ = _pruned(nn.Sequential(layer, nn.ReLU(), layer), share=0.6)
    assert body.middle[0] is body.middle[2]
    tied = nn.Sequential(nn.Conv2d(32, 32, 1), nn.ReLU(), nn.Conv2d(32, 32, 1))
    tied[2].weight = tied[0].weight
    body, _ = _pruned(tied, share=0.6)
    assert body.middle[0].weight is body.middle[2].weight


def test_only_numbers_of_channels_may_change() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.num_heads, self.head_dim, self.out_chs, self.split_sizes = 4, 8, 16, (8, 8)
            self.stride, self.window_size, self.flag_dim, self.kernel_dim = 2, 7, True, 3

    assert set(numbers_of(Block())) == {"num_heads", "head_dim", "out_chs"}
    assert set(rows_of(Block())) == {"split_sizes"}
