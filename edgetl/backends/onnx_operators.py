"""The operators of an ONNX file; quantize-dequantize pairs become what their neighbours take and give."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

from edgetl.lint.graph import FLOAT, Graph, Kind, graph_of

__all__ = ["operators"]

_QUANTIZE, _DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


def operators(path: Path) -> Graph:
    """The graph of a file."""
    import onnx

    return _Reading(onnx.shape_inference.infer_shapes(onnx.load(path)).graph).graph()


class _Reading:
    """One look at a graph, whose tensors have names."""

    def __init__(self, graph: Any) -> None:
        from onnx import helper

        self._nodes = graph.node
        self._types: dict[str, str] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        for value in (*graph.input, *graph.value_info, *graph.output):
            tensor = value.type.tensor_type
            self._types[value.name] = helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
            self._shapes[value.name] = tuple(axis.dim_value for axis in tensor.shape.dim)
        self._shapes |= {constant.name: tuple(constant.dims) for constant in graph.initializer}
        self._constant = {constant.name for constant in graph.initializer}
        self._dequantized: dict[str, str] = {}
        self._readers: dict[str, list[Any]] = {}
        for node in self._nodes:
            if node.op_type == _DEQUANTIZE:
                self._dequantized[node.output[0]] = node.input[0]
            if node.input and all(name in self._constant for name in node.input if name):
                self._constant.update(node.output)  # of weights, their scales
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self._constant.update(name for node in self._nodes if node.op_type == "Constant" for name in node.output)
        self._ends = {value.name for value in graph.output}

    def graph(self) -> Graph:
        """All operators but those that only change how a number is written, and those of constants."""
        rows: list[tuple[Kind, list[int], int, int]] = []
        source: dict[str, int] = {}
        for node in self._nodes:
            if node.output[0] in self._constant:
                continue
            after = [source[name] for name in node.input if name in source]
            if node.op_type in (_QUANTIZE, _DEQUANTIZE):
                source.update((name, after[0]) for name in node.output if after)
                continue
            elements = sum(prod(self._shapes.get(name, ())) for name in node.output if name)
            rows.append((self._kind(node), after, elements, self._macs(node)))
            source.update((name, len(rows) - 1) for name in node.output)
        return graph_of(rows)

    def _kind(self, node: Any) -> Kind:
        weighted = node.op_type in _WEIGHTED and node.input[1] in self._constant
        read = [name for name in node.input if name and name not in self._constant]
        taken = {self._taken(name) for name in read}
        if weighted and node.input[1] not in self._dequantized:
            taken = {FLOAT}
        takes = taken.pop() if len(taken) == 1 else "mixed"
        return Kind(node.op_type, takes, self._given(node.output[0]), weighted, "")

    def _taken(self, name: str) -> str:
        return "int8" if name in self._dequantized else self._types.get(name, FLOAT)

    def _given(self, name: str) -> str:
        readers = self._readers.get(name, [])
        quantized = bool(readers) and all(reader.op_type == _QUANTIZE for reader in readers)
        return "int8" if quantized and name not in self._ends else self._types.get(name, FLOAT)

    def _macs(self, node: Any) -> int:
        """Of one multiplication for each output and each number that it is made of."""
        if node.op_type not in _WEIGHTED:
            return 0
        first, second, output = (self._shapes.get(name, ()) for name in (node.input[0], node.input[1], node.output[0]))
        if not first or not second:
            return 0
        if node.op_type == "Conv":
            return prod(output) * prod(second[1:])
        if node.op_type == "ConvTranspose":
            return prod(first) * prod(second[1:])
        return prod(output) * first[-1]
