"""An untrained network prepared so that what is computed with it means something.

A fresh network says the same of every picture: its BatchNorms have seen none, residual branches begin at zero, and its head
near zero; norms and scales hold the same number for each channel. A comparison of two runtimes would then pass whatever they
compute.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from edgetl.models.architecture import Network
from edgetl.training.ema import recalibrate

__all__ = ["spread"]

_NEARLY_ZERO = 1e-2
"""Below it all weights of a norm, or of a layer's scale, are where a residual branch is meant to begin."""
_OPEN = 0.5
_VARIED = 0.1
"""How far the numbers of a vector are moved apart that are all the same: converters fold a vector of one number into a scalar,
and a trained network's they cannot fold (EdgeNeXt's layer scales, of which LiteRT loads no int8)."""
_SPREAD = 2.0
"""Standard deviation of logits over images: probabilities are then neither equal nor certain."""


@torch.no_grad()
def spread(network: Network, batches: Sequence[Tensor]) -> None:
    """Open the branches, measure BatchNorm on the images, and rescale the head, in place; leaves it in eval mode.

    Args:
        batches: float [B, 3, H, W] in [-1, 1), of one size, B >= 2.
    """
    for parameter in _closed(network):
        parameter.fill_(_OPEN)
    for parameter in _uniform(network):
        parameter.add_(torch.linspace(-_VARIED, _VARIED, parameter.numel()).view_as(parameter))
    recalibrate(network, batches)
    network.eval()
    logits = torch.cat([network(batch) for batch in batches])
    deviation = float(logits.std(dim=0).mean())
    if not deviation > 0:
        return
    scale = _SPREAD / deviation
    for head in network.classifiers:
        for layer in _last_layers(head):
            layer.weight.mul_(scale)
            if layer.bias is not None:
                layer.bias.sub_(logits.mean(dim=0)).mul_(scale)


def _closed(network: nn.Module) -> list[nn.Parameter]:
    """Weights of norms and scales of layers that begin at zero, or nearly."""
    norms = [module.weight for module in network.modules() if isinstance(module, _BatchNorm) and module.affine]
    scales = [
        parameter
        for name, parameter in network.named_parameters()
        if "gamma" in name.rpartition(".")[2] or "scale" in name.rpartition(".")[2]
    ]
    return [parameter for parameter in (*norms, *scales) if float(parameter.abs().max()) < _NEARLY_ZERO]


def _uniform(network: nn.Module) -> list[nn.Parameter]:
    """Vectors of one number, as norms, layer scales and biases begin: one for each channel."""
    vectors = [one for one in network.parameters() if 1 < one.numel() == max(one.shape, default=0)]
    return [vector for vector in vectors if bool((vector == vector.flatten()[0]).all())]


def _last_layers(head: nn.Module) -> list[nn.Linear | nn.Conv2d]:
    """The layers whose outputs are the logits."""
    layers = [module for module in head.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    return layers[-1:]
