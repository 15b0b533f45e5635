"""Blocks of timm without squeeze-and-excite: where attention goes in each.

The papers of all four kinds put it after a block's last convolution and its norm, before the addition (SE: Hu et al.,
2018; CBAM: Woo et al., 2018; ECA: Wang et al., 2020; coordinate attention: Hou et al., 2021). timm's blocks call
something there already: an empty slot for attention, or stochastic depth. A layer put into it leaves the names of all
tensors as they are. Blocks without such a slot get it behind the layer that comes last, which then has another name.

In a layer scale's block (ConvNeXt, EdgeNeXt, FastViT) the slot is behind the scale, before the addition too. Blocks that
attend themselves (of MobileViT, EdgeNeXt, FastViT, EfficientFormer) get nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

__all__ = ["Place", "places"]


@dataclass(frozen=True)
class _Block:
    """slot: the attribute that is called with the block's result, or the last layer itself (`behind`).

    last: the layer that says how many channels there are.
    """

    slot: str
    last: str
    behind: bool = False


@dataclass(frozen=True)
class Place:
    """block, slot: names inside the body. behind: the slot holds the last layer, which stays, before the attention."""

    block: str
    slot: str
    channels: int
    behind: bool


_BLOCKS = {
    "byobnet.BasicBlock": _Block("attn_last", "conv2_kxk.conv"),
    "byobnet.BottleneckBlock": _Block("attn_last", "conv3_1x1.conv"),
    "byobnet.DarkBlock": _Block("attn_last", "conv2_kxk.conv"),
    "byobnet.EdgeBlock": _Block("attn_last", "conv2_1x1.conv"),
    "byobnet.MobileOneBlock": _Block("attn", "conv_kxk.0.conv"),
    "byobnet.RepVggBlock": _Block("attn", "conv_kxk.conv"),
    "convnext.ConvNeXtBlock": _Block("drop_path", "conv_dw"),
    "cspnet.BottleneckBlock": _Block("attn3", "conv3.conv"),
    "cspnet.DarkBlock": _Block("drop_path", "conv2.conv"),
    "cspnet.EdgeBlock": _Block("drop_path", "conv2.conv"),
    "densenet.DenseLayer": _Block("conv2", "conv2", behind=True),
    "dla.DlaBasic": _Block("bn2", "bn2", behind=True),
    "dla.DlaBottle2neck": _Block("bn3", "bn3", behind=True),
    "dla.DlaBottleneck": _Block("bn3", "bn3", behind=True),
    "edgenext.ConvBlock": _Block("drop_path", "conv_dw"),
    "efficientformer.MetaBlock2d": _Block("drop_path2", "mlp.fc2"),
    "fasternet.MLPBlock": _Block("drop_path", "mlp.3"),
    "fastvit.RepMixerBlock": _Block("drop_path", "mlp.fc2"),
    "hgnet.HighPerfGpuBlock": _Block("aggregation", "aggregation.1.conv", behind=True),
    "inception_next.MetaNeXtBlock": _Block("drop_path", "mlp.fc2"),
    "nfnet.NormFreeBlock": _Block("attn_last", "conv3"),
    "regnet.Bottleneck": _Block("drop_path", "conv3.conv"),
    "res2net.Bottle2neck": _Block("se", "conv3"),
    "resnet.BasicBlock": _Block("se", "conv2"),
    "resnet.Bottleneck": _Block("se", "conv3"),
    "resnetv2.Bottleneck": _Block("drop_path", "conv3"),
    "resnetv2.PreActBasic": _Block("drop_path", "conv2"),
    "resnetv2.PreActBottleneck": _Block("drop_path", "conv3"),
    "sknet.SelectiveKernelBasic": _Block("se", "conv2.conv"),
    "sknet.SelectiveKernelBottleneck": _Block("se", "conv3.conv"),
    "starnet.Block": _Block("drop_path", "dwconv2.conv"),
    "swiftformer.ConvEncoder": _Block("drop_path", "pwconv2"),
    "vovnet.OsaBlock": _Block("attn", "conv_concat.conv"),
}
"""timm's block, by file and class."""


def places(body: nn.Module) -> Iterator[Place]:
    """Where attention goes in a network without squeeze-and-excite, in the order of its blocks.

    A stem is no block. Of MobileOne's pairs only the pointwise half is the end of a block. HGNet's first version has
    attention of its own kind in each block and gets nothing.
    """
    for name, module in body.named_modules():
        kind = type(module)
        block = _BLOCKS.get(f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}")
        if block is None or name.split(".")[0] == "stem":
            continue
        last: Any = module.get_submodule(block.last)
        if kind.__name__ == "MobileOneBlock" and last.groups > 1:
            continue
        if kind.__name__ == "HighPerfGpuBlock" and type(module.get_submodule("aggregation.1")).__name__ == "EseModule":
            continue
        channels = last.num_features if isinstance(last, nn.modules.batchnorm._BatchNorm) else last.out_channels
        yield Place(name, f"{name}.{block.slot}", channels, block.behind)
