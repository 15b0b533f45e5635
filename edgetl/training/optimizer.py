"""Which parameters learn, and how fast: AdamW's parameter groups, and the epochs in which only the classifier learns.

Every parameter is in the optimizer from the first step to the last, so its state has one layout for checkpoints; one
that is held fixed has no gradient, and AdamW passes it over.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from edgetl.config.training import Training
from edgetl.models.architecture import Network


def adamw(
    network: nn.Module, settings: Training, hints: nn.Module | None = None, capturable: bool = False
) -> torch.optim.AdamW:
    """AdamW over `parameter_groups`, before any freezing; those of hints, which no freezing holds, come last.

    capturable: its steps can be recorded as a CUDA graph.
    """
    groups = parameter_groups(network, settings)
    if hints is not None:
        groups.append({"params": list(hints.parameters()), "weight_decay": settings.weight_decay, "lr_scale": 1.0})
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True, capturable=capturable)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share of `rate`."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_scale"]


def parameter_groups(network: nn.Module, settings: Training) -> list[dict[str, Any]]:
    """Every parameter once, in groups of one weight decay and one `lr_scale`.

    Norms and biases have no weight decay, which would only shrink what should be free. With `layer_decay` d below 1 the
    classifier has the whole learning rate, the block before it d, the one before that d * d and so on down to the stem
    (Bao et al., 2022, https://arxiv.org/abs/2106.08254). What a block is, timm says for each backbone by
    the names of its modules, which attention and pruning leave alone.
    """
    free = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if settings.layer_decay == 1:
        groups = [
            {"params": [p for p in free if p.ndim > 1], "weight_decay": settings.weight_decay, "lr_scale": 1.0},
            {"params": [p for p in free if p.ndim <= 1], "weight_decay": 0.0, "lr_scale": 1.0},
        ]
        return [group for group in groups if group["params"]]
    from timm.optim import param_groups_layer_decay

    body = network.body if isinstance(network, Network) else network
    decayed: list[dict[str, Any]] = param_groups_layer_decay(
        body, weight_decay=settings.weight_decay, layer_decay=settings.layer_decay
    )
    return decayed


def hold_backbone(network: nn.Module, held: bool) -> None:
    """Let only the classifier learn (`held`), or everything again; call after `network.train()`.

    Held means held: without gradients, and in inference mode, so that BatchNorm keeps the statistics that the weights
    were trained with, and dropout and stochastic depth do not blur what the classifier sees.
    """
    network.requires_grad_(not held)
    if held:
        network.eval()
        for classifier in _classifiers(network):
            classifier.requires_grad_(True).train()


def _classifiers(network: nn.Module) -> tuple[nn.Module, ...]:
    """A network's classifiers; of another module the last layer that has parameters."""
    if isinstance(network, Network):
        return network.classifiers
    layers = [module for module in network.modules() if next(module.parameters(recurse=False), None) is not None]
    return (layers[-1],)
