"""Fewer channels, to a share of the multiply-accumulates (MACs).

Channels that depend on each other (a depthwise convolution and its neighbours, a residual sum, squeeze-and-excite and
the channels it weighs) are one class and go together: the idea of DepGraph, https://arxiv.org/abs/2301.12900.
`edgetl.models.channels` finds them by following one run of the network, whatever it is made of, ranks them, and tries
on the network what it found. What turns out not to work is left whole.

MACs are those of convolutions and linear layers for one image; activations, norms, pooling and products of feature maps
are not counted. They say what is computed, not how fast it runs: latency is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from edgetl.errors import UsageError
from edgetl.models.architecture import Network
from edgetl.models.channels.cut import cut, evaluating
from edgetl.models.channels.groups import Coupling, find
from edgetl.models.channels.trace import names_of
from edgetl.models.channels.trials import Trials

__all__ = ["PruneReport", "Reachable", "count", "prune_to_macs", "reachable"]

_TOLERANCE = 0.02


@dataclass(frozen=True)
class PruneReport:
    """What pruning did. macs: of one image. share: MACs after / before; target: what was asked for.

    left_whole: layers whose channels could not be pruned, how many, and why; one line each, the classifier aside.
    """

    target: float
    share: float
    macs_before: int
    macs_after: int
    parameters_before: int
    parameters_after: int
    left_whole: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reachable:
    """How far a network can be pruned. share: the least of its MACs; left_whole: as in PruneReport."""

    share: float
    left_whole: tuple[str, ...]


def count(network: nn.Module, image_size: int) -> tuple[int, int]:
    """MACs of one [1, 3, image_size, image_size] image, and the number of parameters.

    Those of convolutions and linear layers, which is what pruning takes from, and layer by layer as pruning needs them.
    torch.utils.flop_counter has the same totals for convolutional networks; the products inside attention, which it
    counts too, are 1 to 3 % of EdgeNeXt and EfficientViT.
    """
    macs = _macs(_uses(network, image_size))
    return macs, sum(parameter.numel() for parameter in network.parameters())


def prune_to_macs(
    network: nn.Module,
    image_size: int,
    share: float,
    round_to: int = 8,
    progress: Callable[[int, int], None] | None = None,
) -> PruneReport:
    """Remove the least important channels, in place, until at most `share` of the MACs is left.

    Important is what has a large L2 norm of all weights that depend on it (DepGraph).

    `round_to` channels of one group go at a time, and it stops at the target. A slice that would overshoot it by more
    than 0.02 is left in as long as smaller ones get there, so what remains is between `share` - 0.02 and `share` unless
    the grid of `round_to` is too coarse for the network. The classifier's outputs stay. The network must be trained
    further: its accuracy is gone, and its BatchNorm statistics are those of the wider network.

    Args:
        network: a trained `Network`; keeps its device and mode. Optimizers and averages made before are invalid.
        image_size: height and width in pixels of the images it will see; decides how MACs are spread over the layers.
        share: in (0, 1]; 1 changes nothing.
        round_to: channels are removed so that what is left is a multiple of it.
        progress: called as progress(done, total) now and then; it may end before done is total.

    Raises:
        UsageError: a share outside (0, 1], or one that cannot be reached; the network is then unchanged.
    """
    if not 0.0 < share <= 1.0:
        raise UsageError(f"prune.macs: got {share}, expected more than 0 and at most 1")
    macs_before, parameters_before = count(network, image_size)
    target = int(share * macs_before)
    if share == 1.0:
        return PruneReport(share, 1.0, macs_before, macs_before, parameters_before, parameters_before)
    trials = _trials(network, image_size, round_to, progress)
    plan = trials.plan(target, int(_TOLERANCE * macs_before))
    if plan.macs > target:
        least = trials.plan(0, 0).macs / macs_before
        raise UsageError(
            f"prune.macs: got {share}, but {least:.3f} is the least that this network can be pruned to",
            hint="take a smaller backbone instead",
        )
    cut(network, trials.channels, plan.kept)
    macs, parameters = count(network, image_size)
    assert macs <= plan.macs, "ECA's convolution along the channels gets shorter, all else counts as planned"
    return PruneReport(
        share, macs / macs_before, macs_before, macs, parameters_before, parameters, _lines(trials, round_to)
    )


def reachable(
    network: nn.Module, image_size: int, round_to: int = 8, progress: Callable[[int, int], None] | None = None
) -> Reachable:
    """The least share of the MACs that `prune_to_macs` can reach; the network stays as it is, trained or not.

    The same for the same weights. Other weights move it a little: what is ranked last is what remains.
    """
    trials = _trials(network, image_size, round_to, progress)
    plan = trials.plan(0, 0)
    whole = _macs(_uses(network, image_size))
    return Reachable(plan.macs / whole, _lines(trials, round_to))


def _trials(network: nn.Module, image_size: int, round_to: int, progress: Callable[[int, int], None] | None) -> Trials:
    assert isinstance(network, Network), "the classifier must be known, or its outputs would be pruned too"
    image = _image(network, image_size)
    names = {module: name for name, module in network.named_modules()}
    tensors = names_of(network)
    uses: dict[str, int] = {}
    for layer, times in _uses(network, image_size).items():
        name = tensors[f"{names[layer]}.weight"]
        uses[name] = uses.get(name, 0) + times
    best: Trials | None = None
    for coupling in (Coupling.LIKELY, Coupling.ALL, Coupling.NONE):
        with evaluating(network):
            channels = find(network, image, uses, coupling)
        trials = Trials(network, image, channels, round_to, progress)
        if best is None or trials.lost < best.lost:
            best = trials
        if not best.lost:
            break
    assert best is not None
    return best


def _lines(trials: Trials, round_to: int) -> tuple[str, ...]:
    """What was left whole, for people; fewer channels than go at a time are not worth a line."""
    return tuple(
        f"{each.name.removeprefix('body.').removesuffix('.weight')}: {each.channels} channels: "
        f"{each.why.replace('body.', '')}"
        for each in trials.whole
        if each.channels >= round_to
    )


def _uses(network: nn.Module, image_size: int) -> dict[nn.Module, int]:
    """How often each weight of a convolution or linear layer is used for one image; pruning does not change it."""
    uses: dict[nn.Module, int] = {}

    def add(layer: Any, _: Any, output: Tensor) -> None:
        channels = layer.out_channels if isinstance(layer, _ConvNd) else layer.out_features
        uses[layer] = uses.get(layer, 0) + output.numel() // channels

    hooks = [layer.register_forward_hook(add) for layer in network.modules() if isinstance(layer, (_ConvNd, nn.Linear))]
    try:
        with evaluating(network), torch.no_grad():
            network(_image(network, image_size))
    finally:
        for hook in hooks:
            hook.remove()
    return uses


def _macs(uses: Mapping[nn.Module, int]) -> int:
    return sum(times * _weights(layer) for layer, times in uses.items())


def _weights(layer: Any) -> int:
    return int(layer.weight.numel())


def _image(network: nn.Module, size: int) -> Tensor:
    return torch.zeros(1, 3, size, size, device=next(network.parameters()).device)
