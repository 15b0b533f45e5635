"""The networks that timm and torchvision both have: timm's name and torchvision's. Imports nothing.

`edgetl.models.torchvision_weights` gives the tensors of the one the names of the other. In all of them the two compute
the same, to the last digits of float32: tests/unit/test_weights.py. EfficientNets of timm with tf_ before their name pad
otherwise and are others.
"""

from __future__ import annotations

__all__ = ["TORCHVISION"]

_REGNETX = {
    "004_tv": "400mf",
    "008": "800mf",
    "016": "1_6gf",
    "032": "3_2gf",
    "080": "8gf",
    "160": "16gf",
    "320": "32gf",
}
_REGNETY = {
    "004": "400mf",
    "008_tv": "800mf",
    "016": "1_6gf",
    "032": "3_2gf",
    "080_tv": "8gf",
    "160": "16gf",
    "320": "32gf",
}

TORCHVISION: dict[str, str] = {
    **{f"convnext_{size}": f"convnext_{size}" for size in ("tiny", "small", "base", "large")},
    **{f"densenet{depth}": f"densenet{depth}" for depth in (121, 161, 169, 201)},
    **{f"efficientnet_b{size}": f"efficientnet_b{size}" for size in range(8)},
    **{f"efficientnetv2_{size}": f"efficientnet_v2_{size}" for size in ("s", "m", "l")},
    "mnasnet_050": "mnasnet0_5",
    "mnasnet_075": "mnasnet0_75",
    "mnasnet_100": "mnasnet1_0",
    "mobilenetv2_100": "mobilenet_v2",
    "mobilenetv3_large_100": "mobilenet_v3_large",
    "mobilenetv3_small_100": "mobilenet_v3_small",
    # timm has RegNets of its own widths beside those with _tv behind their names.
    **{f"regnetx_{size}": f"regnet_x_{name}" for size, name in _REGNETX.items()},
    **{f"regnety_{size}": f"regnet_y_{name}" for size, name in _REGNETY.items()},
    **{f"resnet{depth}": f"resnet{depth}" for depth in (18, 34, 50, 101, 152)},
    "resnext50_32x4d": "resnext50_32x4d",
    "resnext101_32x8d": "resnext101_32x8d",
    "resnext101_64x4d": "resnext101_64x4d",
    **{f"vgg{depth}{norm}": f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")},
    "wide_resnet50_2": "wide_resnet50_2",
    "wide_resnet101_2": "wide_resnet101_2",
}
"""timm's name -> the function of torchvision.models."""
