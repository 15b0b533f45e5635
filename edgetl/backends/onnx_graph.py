"""Surgery on an ONNX graph: the ends, the temperature, and what must not travel in the file."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgetl.backends.contract import DIVISOR, INPUT, OFFSET, OUTPUT, TEMPERATURE

__all__ = ["LOGITS", "NORMALIZED", "affine", "attach_ends", "packed", "write_temperature"]

NORMALIZED = "normalized"  # where the body begins: float32 [1, 3, H, W]
LOGITS = "logits"  # where it ends: float32 [1, classes]


def affine() -> dict[str, Any]:
    """The input's scalar affine as a pair of quantization parameters."""
    return {"scale": np.array(1 / DIVISOR, np.float32), "zero_point": np.array(OFFSET, np.uint8)}


def attach_ends(model: Any) -> None:
    """Turn float [1, 3, H, W] -> logits into uint8 image -> probabilities, in place, temperature 1.

    A quantized body begins with QuantizeLinear; it is taken out, because the image, turned to channels first, already
    is its result.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    height, width = [axis.dim_value for axis in graph.input[0].type.tensor_type.shape.dim[2:]]
    classes = graph.output[0].type.tensor_type.shape.dim[1].dim_value
    quantizers = [node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == NORMALIZED]
    before = [helper.make_node("Transpose", [INPUT], ["planes"], name="planes", perm=[0, 3, 1, 2])]
    if quantizers:
        _bypass(graph, quantizers, "planes")
    else:
        graph.initializer.extend(numpy_helper.from_array(value, f"{INPUT}_{key}") for key, value in affine().items())
        dequantize = ["planes", f"{INPUT}_scale", f"{INPUT}_zero_point"]
        before.append(helper.make_node("DequantizeLinear", dequantize, [NORMALIZED], name=NORMALIZED))
    graph.initializer.append(numpy_helper.from_array(np.array(1, np.float32), TEMPERATURE))
    after = [
        helper.make_node("Div", [LOGITS, TEMPERATURE], ["scaled"], name="scaled"),
        helper.make_node("Softmax", ["scaled"], [OUTPUT], name=OUTPUT, axis=-1),
    ]
    body = list(graph.node)
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend([*before, *body, *after])
    graph.input.append(helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [1, height, width, 3]))
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [1, classes]))


def _bypass(graph: Any, quantizers: list[Any], replacement: str) -> None:
    from onnx import numpy_helper

    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in quantizers:
        scale, zero_point = (numpy_helper.to_array(constants[name]) for name in node.input[1:3])
        assert scale == 1 / DIVISOR, f"input scale {scale}"
        assert (zero_point, zero_point.dtype) == (OFFSET, np.uint8), f"input zero point {zero_point}"
        for reader in graph.node:
            reader.input[:] = [replacement if name == node.output[0] else name for name in reader.input]
        graph.node.remove(node)


def write_temperature(model: Any, temperature: float) -> None:
    """Replace the divisor in a finished model, in place."""
    from onnx import numpy_helper

    divisors = [tensor for tensor in model.graph.initializer if tensor.name == TEMPERATURE]
    if len(divisors) != 1:
        raise ValueError(
            f"got {len(divisors)} initializers named {TEMPERATURE!r}, expected 1: not an artefact of this kit"
        )
    divisors[0].CopyFrom(numpy_helper.from_array(np.array(temperature, np.float32), TEMPERATURE))


def packed(model: Any) -> bytes:
    """The bytes of a file: checked, and without the exporter's notes.

    PyTorch writes the stack trace of every node, with the absolute paths of the machine that exported it, into
    `metadata_props` (PyTorch 2.13).
    """
    import onnx

    graph = model.graph
    del graph.value_info[:]
    for noted in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        del noted.metadata_props[:]
        noted.doc_string = ""
    graph.name = "edgetl"
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))
