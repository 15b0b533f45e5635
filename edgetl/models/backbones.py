"""From the names in a recipe to a network with weights."""

from __future__ import annotations

from edgetl.models import weights as sources
from edgetl.models.architecture import Architecture, Network, assemble, only_size
from edgetl.models.weights import WeightsUsed

__all__ = ["Network", "WeightsUsed", "create"]


def create(
    backbone: str,
    classes: int,
    weights: str = "none",
    attention: str | None = None,
    activation: str | None = None,
    image_size: int | None = None,
    *,
    resizes: bool = False,
) -> tuple[Network, WeightsUsed]:
    """Build a network, in training mode, on the CPU.

    What no source fills is drawn from torch's global generator: seed it first.

    Args:
        backbone: a timm name, e.g. mobilenetv3_large_100.
        classes: number of outputs.
        weights: package | hub | none | the path of a file (see `edgetl.models.weights`).
        attention: none | se | eca | cbam | coord, or None for what the backbone has.
        activation: relu | relu6 | hard_swish | silu, or None for what the backbone has.
        image_size: side of the pictures that it will see: one that takes a single size is made for it, where timm can.
        resizes: whether pictures of other sizes are resized to `image_size` by the network itself.

    Returns:
        The network (float32 [B, 3, H, W] in [-1, 1) to logits [B, classes]), and what it started from.

    Raises:
        UsageError: an unknown name, or weights that do not fit.
        EnvironmentFault: the weights' package or the hub is missing.
        IntegrityError: the weights' file is damaged.
    """
    side = image_size if resizes or only_size(backbone) is not None else None
    network = assemble(Architecture(backbone, classes, attention, activation, side))
    return network, sources.load(network, sources.find(backbone, weights))
