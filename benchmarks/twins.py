"""Twins of a bundle that are worse in one known way: a file with more work in it, a file that its delegate takes in pieces."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgetl.backends import tflite_graph
from edgetl.files import sha256_of
from edgetl.runtime.manifest import NAME, Artifact, Manifest
from edgetl.runtime.sessions import open_artifact

__all__ = ["differences", "more_work", "off_the_delegate", "twin"]


def twin(bundle: Path, folder: Path, name: str, change: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """A copy of a bundle with another file behind one artefact, whole in itself; what `change` says of that file.

    Args:
        name: of the artefact.
        change: rewrites the file at this path.
    """
    shutil.copytree(bundle, folder)
    artifact = Manifest.load(folder).artifact(name)
    said = change(folder / artifact.path)
    content = json.loads((folder / NAME).read_text(encoding="utf-8"))
    (entry,) = [entry for entry in content["artifacts"] if entry["name"] == name]
    content["files"][entry["path"]] = entry["sha256"] = sha256_of(folder / entry["path"])
    entry["bytes"] = sum((folder / path).stat().st_size for path in (entry["path"], *entry["companions"]))
    (folder / NAME).write_text(json.dumps(content, indent=1), encoding="utf-8")
    return said


def differences(bundle: Path, other: Path, name: str) -> dict[str, Any]:
    """How far an artefact of two bundles agrees on their golden pictures and as many random ones."""
    manifest = Manifest.load(bundle)
    golden = np.load(bundle / manifest.golden.tensors)
    random = np.random.default_rng(0).integers(0, 256, (64, *golden.shape[1:]), np.uint8)
    images = np.concatenate([golden, random])
    outputs = []
    for folder in (bundle, other):
        its: Artifact = Manifest.load(folder).artifact(name)
        session = open_artifact(folder, its)
        outputs.append(np.concatenate([session.run(image[None]) for image in images]))
    same = outputs[0].argmax(axis=1) == outputs[1].argmax(axis=1)
    return {
        "images": len(images),
        "max_abs_diff": float(np.abs(outputs[0] - outputs[1]).max()),
        "top1_agreement": float(same.mean()),
    }


def more_work(path: Path, layers: int) -> dict[str, Any]:
    """Give an ONNX file's first `layers` pointwise convolutions a sibling each, whose result is added times zero.

    The sibling's weights are others (half of the layer's), or the runtime would find that both are one.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(path)
    weights = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    nodes, done = [], 0
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((1, 1, 1, 1), np.float32), "twin_zero"))
    for node in model.graph.node:
        nodes.append(node)
        weight = weights.get(node.input[1]) if node.op_type == "Conv" else None
        if weight is None or done == layers or weight.shape[2:] != (1, 1) or weight.shape[1] < 16:
            continue
        result, sibling, nothing = node.output[0], f"twin_{done}", f"twin_{done}_zero"
        model.graph.initializer.append(numpy_helper.from_array(weight / 2, f"{sibling}_weight"))
        node.output[0] = f"{result}_alone"
        again = helper.make_node("Conv", [node.input[0], f"{sibling}_weight"], [sibling])
        again.attribute.extend(node.attribute)
        nodes.append(again)
        nodes.append(helper.make_node("Mul", [sibling, "twin_zero"], [nothing]))
        nodes.append(helper.make_node("Add", [f"{result}_alone", nothing], [result]))
        done += 1
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return {"layers": done}


def off_the_delegate(path: Path, share: float) -> dict[str, Any]:
    """Make hard-swishes of a .tflite file int8, so that XNNPACK leaves at least this share of the operators to TFLite.

    edgetl writes DEQUANTIZE, HARD_SWISH, QUANTIZE, which XNNPACK takes; the one int8 operator that stands for the three
    is what a converter writes by itself, and XNNPACK refuses it.

    Raises:
        ValueError: the file has too few of them.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = tflite_graph.load(path)
    graph, codes = model.subgraphs[0], schema.BuiltinOperator
    kinds = [model.operatorCodes[operator.opcodeIndex].builtinCode for operator in graph.operators]
    makers = {int(operator.outputs[0]): place for place, operator in enumerate(graph.operators)}
    users: dict[int, list[int]] = {}
    for place, operator in enumerate(graph.operators):
        for tensor in operator.inputs:
            users.setdefault(int(tensor), []).append(place)
    found = []
    for place, operator in enumerate(graph.operators):
        before, after = makers.get(int(operator.inputs[0])), users.get(int(operator.outputs[0]), [])
        alone = before is not None and users[int(operator.inputs[0])] == [place] and len(after) == 1
        if kinds[place] == codes.HARD_SWISH and alone and kinds[after[0]] == codes.QUANTIZE:
            assert before is not None
            if kinds[before] == codes.DEQUANTIZE:
                found.append((before, place, after[0]))
    total = len(graph.operators)
    wanted = math.ceil(share * total / (1 + 2 * share))  # each takes two operators away
    if len(found) < wanted:
        raise ValueError(f"{path.name}: {len(found)} hard-swishes can be made int8, {wanted} are needed")
    gone = set()
    for enter, place, leave in found[:wanted]:
        operator = graph.operators[place]
        operator.inputs, operator.outputs = graph.operators[enter].inputs, graph.operators[leave].outputs
        gone |= {enter, leave}
    graph.operators = [operator for place, operator in enumerate(graph.operators) if place not in gone]
    path.write_bytes(tflite_graph.packed(model))
    return {"operators": len(graph.operators), "off": wanted, "share": wanted / len(graph.operators)}
