"""Fewer channels, to a share of the multiply-accumulates (MACs).

Channels that depend on each other (a depthwise convolution and its neighbours, a residual sum, squeeze-and-excite and
the channels it weighs) are one group and go together: DepGraph, https://arxiv.org/abs/2301.12900. Groups of the same
structure are ranked against each other over the whole network: isomorphic pruning, https://arxiv.org/abs/2407.04616.

MACs are those of convolutions and linear layers for one image; activations, norms, pooling and products of feature maps
are not counted. They say what is computed, not how fast it runs: latency is measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from edgetl.errors import UsageError
from edgetl.models.architecture import Network

__all__ = ["PruneReport", "count", "prune_to_macs"]

_STEPS = 100
_MOST_OF_A_LAYER = 0.9  # no layer loses more, or the network would be cut in two
_TOLERANCE = 0.02


@dataclass(frozen=True)
class PruneReport:
    """What pruning did. macs: of one image. share: MACs after / before; target: what was asked for."""

    target: float
    share: float
    macs_before: int
    macs_after: int
    parameters_before: int
    parameters_after: int


def count(network: nn.Module, image_size: int) -> tuple[int, int]:
    """MACs of one [1, 3, image_size, image_size] image, and the number of parameters.

    Those of convolutions and linear layers, which is what pruning takes from, and layer by layer as pruning needs them.
    torch.utils.flop_counter has the same totals for convolutional networks; the products inside attention, which it
    counts too, are 1 to 3 % of EdgeNeXt and EfficientViT.
    """
    macs = _macs(_uses(network, image_size))
    return macs, sum(parameter.numel() for parameter in network.parameters())


def prune_to_macs(network: nn.Module, image_size: int, share: float, round_to: int = 8) -> PruneReport:
    """Remove the least important channels, in place, until at most `share` of the MACs is left.

    Important is what has a large L2 norm of all weights of its group (DepGraph).

    `round_to` channels of one group go at a time, and it stops at the target. A slice that would overshoot it by more
    than 0.02 is left in as long as smaller ones get there, so what remains is between `share` - 0.02 and `share` unless
    the grid of `round_to` is too coarse for the network. The classifier's outputs stay. The network must be trained
    further: its accuracy is gone, and its BatchNorm statistics are those of the wider network.

    Args:
        network: a trained `Network`; keeps its device and mode. Optimizers and averages made before are invalid.
        image_size: height and width in pixels of the images it will see; decides how MACs are spread over the layers.
        share: in (0, 1]; 1 changes nothing.
        round_to: channels are removed so that what is left is a multiple of it.

    Raises:
        UsageError: a share outside (0, 1], or one that cannot be reached (the network is then
            pruned as far as it goes).
    """
    if not 0.0 < share <= 1.0:
        raise UsageError(f"prune.macs: got {share}, expected more than 0 and at most 1")
    assert isinstance(network, Network), "the classifier must be known, or its outputs would be pruned too"
    macs_before, parameters_before = count(network, image_size)
    target = int(share * macs_before)
    for floor in (target - int(_TOLERANCE * macs_before), 0):
        if not _remove(network, image_size, target, floor, round_to):
            break
    macs, parameters = count(network, image_size)
    if macs > target:
        raise UsageError(
            f"prune.macs: got {share}, but {macs / macs_before:.3f} is the least that this network can be pruned to",
            hint="take a smaller backbone instead",
        )
    return PruneReport(share, macs / macs_before, macs_before, macs, parameters_before, parameters)


def _remove(network: Network, image_size: int, target: int, floor: int, round_to: int) -> bool:
    """Prune until at most `target` MACs are left, passing over what would leave fewer than `floor`.

    Returns:
        Whether the target was missed because something was passed over.
    """
    uses = _uses(network, image_size)
    passed_over = False
    if _macs(uses) <= target:
        return False
    with _evaluating(network), torch.enable_grad():  # DepGraph reads the dependencies from the autograd graph
        for part in _slices(network, image_size, round_to):
            if _macs(uses) - _saved(part, uses) < floor:
                passed_over = True
                continue
            part.prune()
            if _macs(uses) <= target:
                return False
    return passed_over


def _slices(network: Network, image_size: int, round_to: int) -> Iterator[Any]:
    """Groups of channels to prune, the least important first, cut into slices of `round_to` channels.

    Slices go from the highest channel to the lowest, so that the numbers of those that remain stay valid whether a
    slice is pruned or passed over. Grouped convolutions need the same channels of every group: they are not cut.
    """
    pruner = torch_pruning.pruner.BasePruner(
        network,
        _image(network, image_size),
        importance=torch_pruning.importance.GroupMagnitudeImportance(),
        global_pruning=True,
        isomorphic=True,
        pruning_ratio=_MOST_OF_A_LAYER,
        max_pruning_ratio=_MOST_OF_A_LAYER,
        iterative_steps=_STEPS,
        ignored_layers=list(network.classifiers),
        round_to=round_to,
        # torch-pruning 1.6.1 fills its default dicts in place, so that one pruner would see the last one's layers.
        in_channel_groups={},
        out_channel_groups={},
        num_heads={},
    )
    for _ in range(_STEPS):
        for group in pruner.step(interactive=True):
            if pruner._get_channel_groups(group) > 1:
                yield group
                continue
            dependency, channels = group[0]
            remaining = sorted(channels)
            while remaining:
                size = len(remaining) % round_to or round_to
                part, remaining = remaining[-size:], remaining[:-size]
                yield pruner.DG.get_pruning_group(dependency.target.module, dependency.handler, part)


def _uses(network: nn.Module, image_size: int) -> dict[nn.Module, int]:
    """How often each weight of a convolution or linear layer is used for one image; pruning does not change it."""
    uses: dict[nn.Module, int] = {}

    def add(layer: Any, _: Any, output: Tensor) -> None:
        channels = layer.out_channels if isinstance(layer, _ConvNd) else layer.out_features
        uses[layer] = uses.get(layer, 0) + output.numel() // channels

    hooks = [layer.register_forward_hook(add) for layer in network.modules() if isinstance(layer, (_ConvNd, nn.Linear))]
    try:
        with _evaluating(network), torch.no_grad():
            network(_image(network, image_size))
    finally:
        for hook in hooks:
            hook.remove()
    return uses


def _macs(uses: Mapping[nn.Module, int]) -> int:
    return sum(times * _weights(layer) for layer, times in uses.items())


def _weights(layer: Any) -> int:
    return int(layer.weight.numel())


def _saved(group: Any, uses: Mapping[nn.Module, int]) -> float:
    """MACs that pruning a group will save."""
    kept: dict[nn.Module, dict[bool, float]] = {}
    for dependency, channels in group:
        layer = dependency.target.module
        if layer in uses:
            outputs = dependency.handler.__name__.endswith("out_channels")
            size = layer.weight.shape[0] if outputs or _depthwise(layer) else layer.weight.shape[1]
            kept.setdefault(layer, {})[outputs or _depthwise(layer)] = 1 - len(channels) / size
    return sum(uses[layer] * _weights(layer) * (1 - math.prod(sides.values())) for layer, sides in kept.items())


def _depthwise(layer: nn.Module) -> bool:
    return isinstance(layer, _ConvNd) and layer.groups == layer.out_channels > 1


def _image(network: nn.Module, size: int) -> Tensor:
    return torch.zeros(1, 3, size, size, device=next(network.parameters()).device)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)
