"""Surgery on an ONNX graph: the ends, the temperature, and what must not travel in the file."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgetl.backends.contract import DIVISOR, INPUT, OFFSET, OUTPUT, TEMPERATURE

__all__ = ["LOGITS", "NORMALIZED", "affine", "attach_ends", "packed", "write_batch", "write_temperature"]

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


def write_batch(model: Any, batch: int) -> None:
    """Let a finished model for one image take `batch` at a time, in place.

    Only the ends and the shapes that the file states need another number: Reshape's target and Resize's sizes, which
    begin with the batch. All other shapes follow.
    """
    graph = model.graph
    for end in (*graph.input, *graph.output):
        end.type.tensor_type.shape.dim[0].dim_value = batch
    del graph.value_info[:]
    for node in graph.node:
        place = {"Reshape": 1, "Resize": 3}.get(node.op_type)
        if place is not None and len(node.input) > place and node.input[place]:
            node.input[place] = _shape_for(graph, node.input[place], batch)


def _shape_for(graph: Any, name: str, batch: int) -> str:
    """Name of a constant shape that begins with the batch instead of 1; `name` itself where there is nothing to change.

    A new one each time: others may read the old one.
    """
    from onnx import numpy_helper

    (constant,) = [tensor for tensor in graph.initializer if tensor.name == name] or [None]
    if constant is None:
        return name  # computed from other shapes, which follow
    shape = numpy_helper.to_array(constant).copy()
    if len(shape) == 0 or shape[0] != 1:
        return name
    shape[0] = batch
    new = f"{name}.batch{batch}"
    if not any(tensor.name == new for tensor in graph.initializer):
        graph.initializer.append(numpy_helper.from_array(shape, new))
    return new


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
