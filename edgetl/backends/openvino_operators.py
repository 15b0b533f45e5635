"""The operators of an OpenVINO IR as it is stored; what its plugin makes of them only compiling tells. All shapes are fixed."""

from __future__ import annotations

from collections import defaultdict
from math import prod
from pathlib import Path
from typing import Any

from edgetl.lint.graph import FLOAT, Graph, Kind, graph_of

__all__ = ["operators"]

_QUANTIZE = "FakeQuantize"
_WEIGHTED = frozenset({"Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul"})
_TYPES = {"f32": FLOAT, "f16": "float16", "i8": "int8", "u8": "uint8", "i32": "int32", "i64": "int64"}
_PASSES = frozenset(
    {
        "Transpose",
        "Reshape",
        "Squeeze",
        "Unsqueeze",
        "Relu",
        "MaxPool",
        "VariadicSplit",
        "Split",
        "Slice",
        "Concat",
        "Pad",
    }
)
"""Behind these an 8-bit tensor is one still, without a quantizer of its own (OpenVINO's low precision transformations)."""


def operators(path: Path) -> Graph:
    """The graph of a file. A convolution's bias belongs to it; quantizers become what their neighbours take and give."""
    import openvino

    return _Reading(openvino.Core().read_model(path).get_ordered_ops()).graph()


class _Reading:
    """One look at a model's nodes in order; nodes are told apart by their names, which are unique."""

    def __init__(self, nodes: list[Any]) -> None:
        self._nodes = [node for node in nodes if node.get_type_name() not in ("Parameter", "Result")]
        self._constant: set[str] = set()
        self._readers: dict[str, list[Any]] = defaultdict(list)
        for node in nodes:
            if node.get_type_name() in ("Constant", "ShapeOf") or (node.inputs() and self._of_constants(node)):
                self._constant.add(_name(node))
            for before in _before(node):
                self._readers[_name(before)].append(node)
        self._eight: set[str] = set()  # names of nodes behind which a tensor is quantized

    def graph(self) -> Graph:
        """All operators."""
        rows: list[tuple[Kind, list[int], int, int]] = []
        source: dict[str, int] = {}
        for node in self._nodes:
            name, kind = _name(node), node.get_type_name()
            if name in self._constant:
                continue
            after = [source[_name(before)] for before in _before(node) if _name(before) in source]
            if kind == _QUANTIZE:
                self._eight.add(name)
            if kind == _QUANTIZE or self._is_bias(node):
                source.update({name: after[0]} if after else {})
                continue
            takes = self._takes(node)
            if kind in _PASSES and takes == "int8":
                self._eight.add(name)
            given = "int8" if self._is_quantized(node) or name in self._eight else _type(node)
            rows.append((Kind(kind, takes, given, self._weighted(node), ""), after, _size(node), self._macs(node)))
            source[name] = len(rows) - 1
        return graph_of(rows)

    def _of_constants(self, node: Any) -> bool:
        return all(_name(before) in self._constant for before in _before(node))

    def _weighted(self, node: Any) -> bool:
        return node.get_type_name() in _WEIGHTED and _name(_before(node)[1]) in self._constant

    def _takes(self, node: Any) -> str:
        read = [before for before in _before(node) if _name(before) not in self._constant]
        taken = {"int8" if _name(before) in self._eight else _type(before) for before in read}
        if self._weighted(node) and not _eight_bits(_before(node)[1]):
            taken = {FLOAT}
        return taken.pop() if len(taken) == 1 else "mixed"

    def _is_bias(self, node: Any) -> bool:
        """An addition of constants to what has weights, and to nothing else."""
        before = _before(node)
        return (
            node.get_type_name() == "Add"
            and self._weighted(before[0])
            and _name(before[1]) in self._constant
            and len(self._readers[_name(before[0])]) == 1
        )

    def _is_quantized(self, node: Any) -> bool:
        readers = self._readers[_name(node)]
        if len(readers) == 1 and self._is_bias(readers[0]):
            return self._is_quantized(readers[0])
        return bool(readers) and all(reader.get_type_name() == _QUANTIZE for reader in readers)

    def _macs(self, node: Any) -> int:
        if node.get_type_name() not in _WEIGHTED:
            return 0
        first, second = (list(before.get_output_shape(0)) for before in _before(node)[:2])
        if node.get_type_name() == "MatMul":
            return _size(node) * int(first[-1])
        grouped = node.get_type_name() == "GroupConvolution"  # weights [groups, out, in, H, W]; else [out, in, H, W]
        inputs = first if node.get_type_name() == "ConvolutionBackpropData" else list(node.get_output_shape(0))
        return int(prod(inputs) * prod(second[2 if grouped else 1 :]))


def _name(node: Any) -> str:
    return str(node.get_name())


def _before(node: Any) -> list[Any]:
    return [port.get_source_output().get_node() for port in node.inputs()]


def _type(node: Any) -> str:
    name = node.get_output_element_type(0).get_type_name()
    return str(_TYPES.get(name, name))


def _size(node: Any) -> int:
    return sum(prod(output.get_shape()) for output in node.outputs())


def _eight_bits(weights: Any) -> bool:
    """Whether a constant expression starts from 8-bit numbers."""
    while weights.get_type_name() != "Constant":
        weights = _before(weights)[0]
    return _type(weights) in ("int8", "uint8")
