"""The smallest honest model of the contract, written by hand in each format; all three compute the same function.

uint8 [1, 8, 8, 3] -> (x - 128) / 128 -> 3x3 convolution -> mean -> fully connected -> softmax -> float32 [1, 3].
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
from onnx import TensorProto, helper, numpy_helper
from openvino import opset13 as ops

_CONVERTED = Path(__file__).with_name("tiny.tflite")
SIZE, CLASSES, FEATURES = 8, 3, 4
_RANDOM = np.random.default_rng(7)
KERNEL = _RANDOM.normal(size=(FEATURES, 3, 3, 3)).astype(np.float32)
MATRIX = _RANDOM.normal(size=(FEATURES, CLASSES)).astype(np.float32) * 8


def image(seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """uint8 [1, 8, 8, 3]"""
    return np.random.default_rng(seed).integers(0, 256, (1, SIZE, SIZE, 3)).astype(np.uint8)


def write_onnx(path: Path) -> Path:
    """One .onnx file."""
    constants = {
        "scale": np.float32(1 / 128),
        "zero": np.uint8(128),
        "kernel": KERNEL,
        "matrix": MATRIX,
        "axes": np.array([2, 3], np.int64),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["image", "scale", "zero"], ["x"]),
        helper.make_node("Transpose", ["x"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "kernel"], ["features"]),
        helper.make_node("ReduceMean", ["features", "axes"], ["pooled"], keepdims=0),
        helper.make_node("MatMul", ["pooled", "matrix"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, SIZE, SIZE, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, CLASSES])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def write_openvino(path: Path) -> Path:
    """An .xml with its .bin."""
    pixels = ops.parameter([1, SIZE, SIZE, 3], np.uint8, name="image")
    x = ops.multiply(
        ops.subtract(ops.convert(pixels, "f32"), ops.constant(np.float32(128))), ops.constant(np.float32(1 / 128))
    )
    planes = ops.transpose(x, ops.constant(np.array([0, 3, 1, 2])))
    features = ops.convolution(planes, ops.constant(KERNEL), [1, 1], [0, 0], [0, 0], [1, 1])
    pooled = ops.reduce_mean(features, ops.constant(np.array([2, 3])), keep_dims=False)
    probabilities = ops.softmax(ops.matmul(pooled, ops.constant(MATRIX), False, False), 1)
    openvino.save_model(openvino.Model([probabilities], [pixels], "tiny"), path, compress_to_fp16=False)
    return path


def probabilities(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The function itself: float32 [1, 3] of uint8 [1, 8, 8, 3]."""
    planes = ((pixels[0].astype(np.float32) - 128) / 128).transpose(2, 0, 1)
    windows = np.lib.stride_tricks.sliding_window_view(planes, (3, 3), axis=(1, 2))
    scores = np.exp(np.einsum("chwij,fcij->fhw", windows, KERNEL).mean((1, 2)) @ MATRIX)
    return np.asarray(scores[None] / scores.sum(), np.float32)


def write_tflite(path: Path) -> Path:
    """One .tflite file: tiny.tflite beside this file, which `convert` made, as a .tflite file can only be converted."""
    return Path(shutil.copy(_CONVERTED, path))


def convert() -> None:
    """Write tiny.tflite anew: python tests/tiny_models.py"""
    import litert_torch
    import torch

    class Tiny(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = torch.nn.Parameter(torch.from_numpy(KERNEL))
            self.matrix = torch.nn.Parameter(torch.from_numpy(MATRIX))

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            x = (pixels.float() - 128) / 128
            features = torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), self.kernel)
            return torch.softmax(features.mean((2, 3)) @ self.matrix, 1)

    litert_torch.convert(Tiny().eval(), (torch.from_numpy(image()),)).export(str(_CONVERTED))


WRITERS = {"onnx": write_onnx, "openvino": write_openvino, "tflite": write_tflite}
SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "tflite": ".tflite"}
OPTIONS = {"onnx": {}, "openvino": {"INFERENCE_PRECISION_HINT": "f32"}, "tflite": {}}

if __name__ == "__main__":
    convert()
