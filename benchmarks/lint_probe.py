"""Which operators XNNPACK takes, in float32 and in int8: the source of edgetl/lint/rules/xnnpack.yaml.

    python -m benchmarks.lint_probe

A network of every operator that image networks are made of is converted by litert-torch; each of its operators then becomes
a file of its own, as it is and with 8-bit tensors, which LiteRT opens: either its delegate is there afterwards, or it is not.
"""

from __future__ import annotations

import copy
import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

_SCALES = {"LOGISTIC": (1 / 256, -128), "SOFTMAX": (1 / 256, -128), "TANH": (1 / 128, 0)}
"""What TFLite's int8 specification prescribes for an output; anything else is written with one scale everywhere."""
_PLAIN = (1 / 16, 0)


def main() -> None:
    """Print JSON: for each operator and type true, false, "some" where that differs, or why the file does not load."""
    from edgetl.backends import tflite_graph

    model = tflite_graph.load(_converted())
    found: dict[str, dict[str, Any]] = {}
    for place in range(len(model.subgraphs[0].operators)):
        for kind in ("float32", "int8"):
            single, name = _single(model, place, kind)
            taken = _delegated(bytes(tflite_graph.packed(single)))
            known = found.setdefault(name, {})
            known[kind] = taken if known.get(kind, taken) == taken else "some"
    print(json.dumps({"ai-edge-litert": version("ai-edge-litert"), "operators": dict(sorted(found.items()))}, indent=1))


def _converted() -> bytes:
    import litert_torch
    import torch
    from torch import nn
    from torch.nn import functional

    class Everything(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.depth = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=8)
            self.up, self.head = nn.ConvTranspose2d(8, 8, 2, stride=2), nn.Linear(8, 4)
            self.prelu, self.norm = nn.PReLU(8), nn.LayerNorm(8)

        def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
            x = self.depth(self.stem(image))
            unary = [
                *(functional.hardswish(x), functional.gelu(x), functional.gelu(x, approximate="tanh")),
                *(functional.hardsigmoid(x), functional.sigmoid(x), functional.silu(x), functional.relu(x)),
                *(functional.relu6(x), functional.leaky_relu(x, 0.1), functional.elu(x), torch.tanh(x), self.prelu(x)),
                *(
                    x + 1.5,
                    x * 1.5,
                    1.5 - x,
                    torch.maximum(x, torch.tensor(0.5)),
                    torch.exp(x),
                    torch.abs(x),
                    -x,
                    torch.sqrt(torch.abs(x)),
                    torch.rsqrt(torch.abs(x) + 1),
                ),
                *(
                    functional.max_pool2d(x, 3, 2, 1),
                    functional.avg_pool2d(x, 3, 1, 1),
                    torch.pow(x, 2),
                    torch.log(x + 9),
                ),
                *(
                    functional.softplus(x),
                    torch.cos(x),
                    torch.floor(x),
                    torch.clamp(x, -2, 3),
                    functional.pad(x, (1, 0), value=1.0),
                ),
                *(functional.max_pool2d(x, 2), functional.avg_pool2d(x, 2), functional.pad(x, (1, 1, 1, 1))),
                *(functional.interpolate(x, scale_factor=2.0), x.mean((2, 3), keepdim=True), x.mean(1), x.sum((2, 3))),
                *(functional.interpolate(x, scale_factor=2.0, mode="bilinear"), functional.pixel_shuffle(x, 2)),
                *(x.amax((2, 3)), x.permute(0, 2, 3, 1) * 2, x.reshape(1, -1) + 1, self.up(x)),
            ]
            tokens = x.flatten(2).transpose(1, 2)
            attention = torch.softmax(tokens @ tokens.transpose(1, 2), dim=-1) @ tokens
            y = functional.hardswish(x)
            binary = [x + y, x * y, x - y, x / (y + 2), torch.maximum(x, y), torch.minimum(x, y), torch.cat([x, y], 1)]
            pieces = [*x.split(4, dim=1), x[:, :, ::2], x[:, :, 1:], *x.chunk(2, dim=2)]
            norms = [self.norm(tokens), functional.normalize(tokens, dim=-1)]
            return [*unary, attention, *binary, *pieces, *norms, self.head(x.mean((2, 3)))]

    wrapped = litert_torch.to_channel_last_io(Everything().eval(), args=[0]).eval()
    return bytes(litert_torch.convert(wrapped, (torch.zeros(1, 8, 8, 3),)).model_content())


def _single(model: Any, place: int, kind: str) -> tuple[Any, str]:
    """A model of one operator of another, and its name."""
    from ai_edge_litert import schema_py_generated as schema

    single = copy.deepcopy(model)
    graph = single.subgraphs[0]
    operator = graph.operators[place]
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    code = single.operatorCodes[operator.opcodeIndex]
    name = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
    inputs = [int(tensor) for tensor in operator.inputs if tensor >= 0]
    read = [tensor for tensor in inputs if not _has_data(single, graph.tensors[tensor])]
    written = [int(tensor) for tensor in operator.outputs]
    if kind == "int8":
        for number, tensor in enumerate([*inputs, *written]):
            bias = number == 2 and name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
            _quantize(single, graph.tensors[tensor], name if tensor in written else "", bias=bias)
    if name == "FULLY_CONNECTED" and len(read) > 1:
        name += " of two inputs"
    graph.operators = [operator]
    graph.inputs, graph.outputs = np.array(read, np.int32), np.array(written, np.int32)
    single.signatureDefs = []
    return single, name


def _quantize(model: Any, tensor: Any, name: str, *, bias: bool) -> None:
    """Make a float tensor one of 8 bits (32 of a bias); its constants become ones."""
    from ai_edge_litert import schema_py_generated as schema

    if tensor.type != schema.TensorType.FLOAT32:
        return
    scale, zero = (_PLAIN[0] ** 2, 0) if bias else _SCALES.get(name, _PLAIN)
    tensor.type = schema.TensorType.INT32 if bias else schema.TensorType.INT8
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = np.array([scale], np.float32), np.array([zero], np.int64)
    if _has_data(model, tensor):
        buffer = model.buffers[tensor.buffer]
        buffer.data = np.ones(len(buffer.data) // 4, np.int32 if bias else np.int8).view(np.uint8)


def _has_data(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _delegated(content: bytes) -> bool | str:
    """Whether LiteRT gives the one operator to its delegate; what it says where it does not load."""
    from ai_edge_litert.interpreter import Interpreter

    from edgetl.runtime.sessions.tflite import _without_greeting

    with tempfile.TemporaryDirectory() as folder, _without_greeting():
        path = Path(folder) / "one.tflite"
        path.write_bytes(content)
        try:
            interpreter = Interpreter(model_path=str(path), num_threads=1)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as exc:
            return str(exc).splitlines()[0][:120]
        return any(operator["op_name"] == "DELEGATE" for operator in interpreter._get_ops_details())


if __name__ == "__main__":
    main()
