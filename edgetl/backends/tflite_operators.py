"""The operators of a .tflite file."""

from __future__ import annotations

from functools import cache
from math import prod
from pathlib import Path
from typing import Any

from edgetl.backends import tflite_graph
from edgetl.lint.graph import Graph, Kind, graph_of

__all__ = ["operators"]

_SCALES = {"ADD": (2**-10, 2**8), "SUB": (2**-10, 2**8), "MUL": (2**-16, 2**8)}
"""Within these XNNPACK wants the scale of an 8-bit input, or of MUL the product of both, over the output's (its delegate's
CheckTensorsInputOutputScale and CheckTensorsInputProductOutputScale)."""
_WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL"})


def operators(path: Path) -> Graph:
    """The graph of a file."""
    model = tflite_graph.load(path)
    graph = model.subgraphs[0]
    source: dict[int, int] = {}
    rows: list[tuple[Kind, list[int], int, int]] = []
    for place, operator in enumerate(graph.operators):
        entry = model.operatorCodes[operator.opcodeIndex]
        name = _names("BuiltinOperator")[max(entry.builtinCode, entry.deprecatedBuiltinCode)]
        inputs = [int(tensor) for tensor in operator.inputs if tensor >= 0]
        outputs = [graph.tensors[int(tensor)] for tensor in operator.outputs]
        read = [tensor for tensor in inputs if not _constant(model, graph.tensors[tensor])]
        weighted = name in _WEIGHTED and len(read) < len(inputs)
        taken = {_type(graph.tensors[tensor]) for tensor in read}
        takes = taken.pop() if len(taken) == 1 else "mixed"
        after = [source[tensor] for tensor in read if tensor in source]
        detail = "scales" if _apart(name, [graph.tensors[tensor] for tensor in inputs], outputs[0]) else ""
        macs = _macs(name, [graph.tensors[tensor] for tensor in inputs], outputs[0]) if weighted else 0
        rows.append(
            (Kind(name, takes, _type(outputs[0]), weighted, detail), after, sum(map(_size, outputs)), macs),
        )
        source.update((int(tensor), place) for tensor in operator.outputs)
    return graph_of(rows)


@cache
def _names(enumeration: str) -> dict[int, str]:
    """Of the values of an enumeration of TFLite's schema."""
    from ai_edge_litert import schema_py_generated as schema

    return {value: name for name, value in vars(getattr(schema, enumeration)).items() if isinstance(value, int)}


def _type(tensor: Any) -> str:
    return _names("TensorType")[tensor.type].lower()


def _constant(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _apart(name: str, inputs: list[Any], output: Any) -> bool:
    """Whether the scales of 8-bit arithmetic lie outside `_SCALES`."""
    tensors = [*inputs, output]
    if name not in _SCALES or any(_type(tensor) != "int8" or tensor.quantization is None for tensor in tensors):
        return False
    *scales, written = (float(tensor.quantization.scale[0]) for tensor in tensors)
    low, high = _SCALES[name]
    quotients = [prod(scales) / written] if name == "MUL" else [scale / written for scale in scales]
    return not all(low <= quotient < high for quotient in quotients)


def _sides(tensor: Any) -> list[int]:
    return [int(side) for side in tensor.shape] if tensor.shape is not None else []


def _size(tensor: Any) -> int:
    return prod(_sides(tensor))


def _macs(name: str, inputs: list[Any], output: Any) -> int:
    """One multiplication for each output and each number that it is made of; weights are [out, H, W, in], [out, in]."""
    if name == "TRANSPOSE_CONV":  # output shape, weights, input
        return _size(inputs[2]) * _size(inputs[1]) // int(inputs[1].shape[3])
    weights = inputs[1].shape
    if name == "DEPTHWISE_CONV_2D":  # [1, H, W, out]
        return _size(output) * int(weights[1]) * int(weights[2])
    if name == "BATCH_MATMUL":
        return _size(output) * int(inputs[0].shape[-1])
    return _size(output) * prod(int(side) for side in weights[1:])
