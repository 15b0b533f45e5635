"""What a network is: a timm body, and the four values that rebuild it.

`Network` wraps the body instead of being one, so that the recipe travels through deep copies, averaging, pruning and
exporters, while the tensors keep timm's names (`network.body.state_dict()` loads into plain timm when attention and
activation are untouched).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgetl.errors import UsageError
from edgetl.errors.wording import did_you_mean, one_line
from edgetl.models import activations
from edgetl.models.attention.placement import Placement, place
from edgetl.models.feature_maps import feature_map

__all__ = ["Architecture", "Network", "assemble", "only_size", "plain", "require_size"]


@dataclass(frozen=True)
class Architecture:
    """Everything that decides a fresh network's modules and their sizes.

    backbone: a timm name, with or without a weights tag (`mobilenetv3_small_100.lamb_in1k`).
    classes: outputs of the last layer.
    attention: a name of ATTENTION, none, or None for what the backbone has.
    activation: relu | relu6 | hard_swish | silu, or None for what the backbone has.
    image_size: side of the pictures that the network takes; others are resized to it. None: as they come.
    """

    backbone: str
    classes: int
    attention: str | None = None
    activation: str | None = None
    image_size: int | None = None


class Network(nn.Module):
    """A classifier and the architecture it was built from.

    Maps float32 [B, 3, H, W] in [-1, 1), that is (uint8 - 128) / 128, to logits float32 [B, classes].

    placement: where its attention is; follows from the architecture.
    """

    def __init__(self, architecture: Architecture, body: nn.Module, placement: Placement) -> None:
        super().__init__()
        self.architecture = architecture
        self.body = body
        self.placement = placement

    def forward(self, image: Tensor) -> Tensor:
        """Logits float32 [B, classes] of images float32 [B, 3, H, W]."""
        logits: Tensor = self.body(self._resized(image))
        return logits

    def with_features(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The logits that `forward` gives, and the last feature map [B, K, h, w] that the head makes them of, in one pass.

        Raises:
            UsageError: the backbone has no such map.
        """
        body: Any = self.body
        image = self._resized(image)
        features = body.forward_features(image)
        return body.forward_head(features), feature_map(body, features, image.shape[-2], image.shape[-1])

    def _resized(self, image: Tensor) -> Tensor:
        """The pictures in the size that the body takes."""
        side = self.architecture.image_size
        if side is None or image.shape[-2:] == (side, side):
            return image
        return functional.interpolate(image, (side, side), mode="bilinear", antialias=True, align_corners=False)

    @property
    def classifiers(self) -> tuple[nn.Module, ...]:
        """What timm calls the classifier: its last linear layer (two of them in RepViT) has the classes as outputs.

        LeViT has a second, distilled one beside it.
        """
        body: Any = self.body
        head: nn.Module | tuple[nn.Module, ...] = body.get_classifier()
        return head if isinstance(head, tuple) else (head,)


def only_size(backbone: str) -> int | None:
    """The side of the only pictures that a backbone takes as timm makes it, such as 224 of a ViT; None where it takes any."""
    settings = timm.get_pretrained_cfg(backbone, allow_unregistered=True)
    return int(settings.input_size[-1]) if settings is not None and settings.fixed_input_size else None


def plain(backbone: str, classes: int, image_size: int | None = None) -> nn.Module:
    """timm's own network with fresh weights.

    Args:
        image_size: side of its pictures, for a backbone that takes one size only and can be made for another.

    Raises:
        UsageError: timm does not know the backbone; the message has the nearest names. Names that timm would fetch from
            elsewhere (`hf-hub:`, `local-dir:`) are unknown too.
    """
    if not timm.is_model(backbone):
        near = did_you_mean(backbone.split(".")[0], timm.list_models(), most=3)
        raise UsageError(
            f"backbone: got {backbone!r}, expected the name of a timm model",
            hint=near or "timm.list_models('mobilenet*') lists names",
        )
    body = _made(backbone, classes, image_size)
    _calm_classifier(body)
    return body


def _made(backbone: str, classes: int, image_size: int | None) -> nn.Module:
    made: nn.Module
    if image_size is not None and only_size(backbone) not in (None, image_size):
        try:
            made = timm.create_model(backbone, pretrained=False, num_classes=classes, img_size=image_size)
        except TypeError:  # timm makes it for its own size alone; whoever runs it will see
            pass
        except (AssertionError, ValueError, RuntimeError) as exc:
            raise UsageError(
                f"{backbone} cannot be made for pictures of {image_size} x {image_size}: {one_line(exc)}",
                hint="many take multiples of 32 alone",
            ) from exc
        else:
            return made
    made = timm.create_model(backbone, pretrained=False, num_classes=classes)
    return made


def _calm_classifier(body: Any) -> None:
    """Start the last layer near zero.

    timm draws the weights of MobileNets and EfficientNets from +-1 / sqrt(outputs), made for 1000 classes: with seven of
    them the first logits are in the tens and a small network does not recover within a few epochs (timm 1.0.31,
    `_init_weight_goog`).
    """
    head = body.get_classifier()
    if isinstance(head, nn.Linear):
        nn.init.normal_(head.weight, std=0.01)
        if head.bias is not None:
            nn.init.zeros_(head.bias)


def assemble(architecture: Architecture) -> Network:
    """A fresh network in training mode; its weights are drawn from torch's global generator.

    Raises:
        UsageError: an unknown name, or a backbone without a place for the attention.
    """
    body = plain(architecture.backbone, architecture.classes, architecture.image_size)
    placement = place(body, architecture.attention)
    if architecture.activation is not None:
        activations.replace(body, architecture.activation)
    return Network(architecture, body, placement)


@torch.no_grad()
def require_size(network: Network, image_size: int, hint: str) -> None:
    """Raises UsageError, with the hint, where the network does not take pictures of that size."""
    training = network.training
    network.eval()
    try:
        network(torch.zeros(1, 3, image_size, image_size))
    except Exception as exc:  # whatever the code of a network raises when its sizes do not fit
        backbone = network.architecture.backbone
        only = only_size(backbone)
        why = f"it takes {only} x {only} alone" if only not in (None, image_size) else one_line(exc)
        raise UsageError(f"{backbone} does not take pictures of {image_size} x {image_size}: {why}", hint=hint) from exc
    finally:
        network.train(training)
