"""TFLite (LiteRT) by litert-torch; int8 by ai-edge-quantizer.

A .tflite file is a flatbuffer: `tflite_graph` fits the ends on it and finds the temperature in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetl.backends import contract, tflite_graph
from edgetl.backends.conversion import converting
from edgetl.files import write_whole

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn

    from edgetl.lint.graph import Graph

__all__ = ["export", "operators", "quantize", "set_temperature", "with_batch"]

_NAME = "tflite"

LEFT_FLOAT: tuple[str, ...] = ("HARD_SWISH", "GELU", "DIV")
"""Operators that stay float inside an int8 artefact. XNNPACK takes none of them in int8: the graph would fall into some 20
partitions and run slower than float32 (MobileNetV3-L: 1.8 times its time; with these left float 0.46 times). Of an int8 DIV
LiteRT moreover refuses a divisor that rounds to 0, as those of linear attention do (EfficientViT, EdgeNeXt; LiteRT 2.3). An
artefact that holds them is not integer-only: NPUs and microcontrollers want a ReLU or ReLU6 backbone."""


def export(network: nn.Module, image_size: int, folder: Path, stem: str) -> Path:
    """Write `folder/stem.tflite`: float32, temperature 1."""
    path = folder / f"{stem}.tflite"
    with converting(_NAME, "export"):
        import litert_torch
        import torch

        wrapped = litert_torch.to_channel_last_io(contract.frozen(network), args=[0]).eval()
        converted = litert_torch.convert(wrapped, (torch.zeros(1, image_size, image_size, 3),))
        # Not by way of a file: litert-converter 0.5 writes it in C++, which ends the process where the disk is full.
        model = tflite_graph.load(converted.model_content())
        tflite_graph.shorten_names(model)
        tflite_graph.attach_ends(model)
        write_whole(path, tflite_graph.packed(model), sync=True)
    return path


def quantize(network: nn.Module, exported: Path, calibration: npt.NDArray[np.uint8], folder: Path, stem: str) -> Path:
    """Write `folder/stem.tflite`: static int8 of `exported`, weights per channel, ranges from `calibration`.

    calibration: uint8 [N, H, W, 3], in the input's own units.
    """
    path = folder / f"{stem}.tflite"
    with converting(_NAME, "quantize"):
        from ai_edge_quantizer import qtyping, quantizer, recipe

        model = tflite_graph.load(exported)
        tflite_graph.detach_ends(model)
        work = quantizer.Quantizer(tflite_graph.packed(model))
        work.load_quantization_recipe(recipe.static_wi8_ai8())
        # The logits leave in float: temperature and softmax are computed there, and an int8 softmax would leave
        # 256 distinct probabilities.
        for operator in (*LEFT_FLOAT, "OUTPUT"):
            work.update_quantization_recipe(
                regex=".*", operation_name=qtyping.TFLOperationName[operator], algorithm_key="no_quantize"
            )
        statistics = work.calibrate({tflite_graph.SIGNATURE: _samples(model, calibration)}, num_threads=1)
        # The input's range is known, not estimated: scale 1/128 and zero point 0 make image - 128 the int8 tensor.
        full = statistics[tflite_graph.input_name(model)]
        full["min"][...], full["max"][...] = -1.0, 127 / 128
        quantized = work.quantize(statistics, enable_progress_report=False).quantized_model
        model = tflite_graph.load(quantized)
        tflite_graph.attach_ends(model)
        write_whole(path, tflite_graph.packed(model), sync=True)
    return path


def _samples(model: Any, calibration: npt.NDArray[np.uint8]) -> list[dict[str, npt.NDArray[np.float32]]]:
    name = tflite_graph.input_argument(model)
    return [{name: contract.normalized(image[None])} for image in calibration]


def set_temperature(path: Path, temperature: float) -> None:
    """Divide the logits of the finished artefact by `temperature` from now on; replaces an earlier value."""
    value = contract.checked(temperature)
    with converting(_NAME, "set the temperature"):
        model = tflite_graph.load(path)
        tflite_graph.write_temperature(model, value)
        write_whole(path, tflite_graph.packed(model), sync=True)


def with_batch(path: Path, batch: int, folder: Path) -> Path:
    """Write the finished artefact again for `batch` images at a time."""
    with converting(_NAME, f"write it for a batch of {batch}"):
        model = tflite_graph.load(path)
        tflite_graph.write_batch(model, batch)
        write_whole(folder / path.name, tflite_graph.packed(model))
    return folder / path.name


def operators(path: Path) -> Graph:
    """The operators of an artefact."""
    with converting(_NAME, "read the operators"):
        from edgetl.backends import tflite_operators

        return tflite_operators.operators(path)
