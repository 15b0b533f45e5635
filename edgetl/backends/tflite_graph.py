"""Surgery on a .tflite flatbuffer, through the object API that is generated from TFLite's schema.

Why the temperature is a DIV by a named constant and not SOFTMAX's own `beta`: XNNPACK delegates a softmax only when
beta is 1, and a constant that never went through the converter or the quantizer was neither folded nor rounded by it.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgetl.backends.contract import DIVISOR, INPUT, OFFSET, OUTPUT, TEMPERATURE

__all__ = [
    "SIGNATURE",
    "attach_ends",
    "detach_ends",
    "input_argument",
    "input_name",
    "load",
    "packed",
    "shorten_names",
    "write_batch",
    "write_temperature",
]

SIGNATURE = "serving_default"
_LOGITS = "logits"
_ALIGNMENT = 16  # `force_align: 16` of Buffer.data in TFLite's schema


def load(source: Path | bytes | bytearray) -> Any:
    """A file or its bytes as schema objects (ModelT), with every constant inside them."""
    from ai_edge_litert import schema_py_generated as schema

    content = bytearray(source.read_bytes() if isinstance(source, Path) else source)
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers:
        # The quantizer appends constants behind the flatbuffer; 0 and 1 mean "inside", as in TFLite's schema.
        if buffer.offset > 1:
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return model


def packed(model: Any) -> bytearray:
    """Schema objects as the bytes of a file; the same objects give the same bytes."""
    import flatbuffers  # type: ignore[import-untyped]

    class Builder(flatbuffers.Builder):  # type: ignore[misc]
        def CreateNumpyVector(self, x: npt.NDArray[Any]) -> Any:  # noqa: N802 (flatbuffers' name)
            # The generated Python code forgets force_align, and runtimes map weights straight from the file.
            if x.dtype == np.uint8:
                self.Prep(_ALIGNMENT, x.size)
            return super().CreateNumpyVector(x)

    builder = Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytearray(builder.Output())


def shorten_names(model: Any) -> None:
    """Keep of each tensor's name its number and the last layer: the full module paths are a fifth of an int8 file."""
    for number, tensor in enumerate(model.subgraphs[0].tensors):
        layer = tensor.name.decode().rsplit("/", 1)[-1].split(";", 1)[0]
        tensor.name = f"{number}.{layer}".encode()


def input_name(model: Any) -> str:
    """Name of the input tensor."""
    graph = model.subgraphs[0]
    return str(graph.tensors[graph.inputs[0]].name.decode())


def input_argument(model: Any) -> str:
    """Name of the input in the signature."""
    return str(model.signatureDefs[0].inputs[0].name.decode())


def attach_ends(model: Any) -> None:
    """Turn float or int8 [1, H, W, 3] -> logits into uint8 image -> probabilities, in place, temperature 1.

    A float body gets DEQUANTIZE (scale 1/128, zero point 128). An int8 body whose input has scale 1/128 and zero point
    0 gets QUANTIZE, which only flips the sign bit: the image is the quantized tensor.
    """
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    body, logits = graph.inputs[0], graph.outputs[0]
    assert graph.tensors[logits].type == schema.TensorType.FLOAT32, "the logits must leave in float"
    integer = graph.tensors[body].type == schema.TensorType.INT8
    if integer:
        scale, zero = graph.tensors[body].quantization.scale, graph.tensors[body].quantization.zeroPoint
        assert np.allclose(scale, 1 / DIVISOR, rtol=1e-6), f"input scale {scale}"
        assert (zero == 0).all(), f"input zero point {zero}"
        # The quantizer computes range / 255 in float32; written exactly, the runtime sees equal scales.
        graph.tensors[body].quantization.scale = np.array([1 / DIVISOR], np.float32)
    graph.tensors[body].name, graph.tensors[logits].name = b"normalized", _LOGITS.encode()

    image = _tensor(model, INPUT, graph.tensors[body].shape, schema.TensorType.UINT8)
    graph.tensors[image].quantization = _affine(1 / DIVISOR, OFFSET)
    temperature = _tensor(model, TEMPERATURE, [1], schema.TensorType.FLOAT32, np.ones(1, np.float32))
    shape = graph.tensors[logits].shape
    scaled = _tensor(model, "scaled", shape, schema.TensorType.FLOAT32)
    probabilities = _tensor(model, OUTPUT, shape, schema.TensorType.FLOAT32)
    codes = schema.BuiltinOperator
    enter = _operator(model, codes.QUANTIZE if integer else codes.DEQUANTIZE, [image], body)
    divide = _operator(model, codes.DIV, [logits, temperature], scaled)
    divide.builtinOptionsType, divide.builtinOptions = schema.BuiltinOptions.DivOptions, schema.DivOptionsT()
    softmax = _operator(model, codes.SOFTMAX, [scaled], probabilities)
    softmax.builtinOptionsType, softmax.builtinOptions = schema.BuiltinOptions.SoftmaxOptions, schema.SoftmaxOptionsT()
    softmax.builtinOptions.beta = 1.0
    graph.operators = [enter, *graph.operators, divide, softmax]
    _sign(model, INPUT, image, OUTPUT, probabilities)


def detach_ends(model: Any) -> None:
    """Undo `attach_ends` on a float model: float [1, H, W, 3] -> logits again, in place, for the quantizer."""
    graph = model.subgraphs[0]
    enter, *body, divide, _ = graph.operators
    graph.operators = body
    kept = len(graph.tensors) - 4  # image, temperature, scaled and probabilities were appended last
    graph.tensors = graph.tensors[:kept]
    del model.buffers[-4:]
    _sign(model, "normalized", int(enter.outputs[0]), _LOGITS, int(divide.inputs[0]))


def write_temperature(model: Any, temperature: float) -> None:
    """Replace the divisor in a finished model, in place."""
    divisors = [tensor for tensor in model.subgraphs[0].tensors if tensor.name == TEMPERATURE.encode()]
    if len(divisors) != 1:
        raise ValueError(f"got {len(divisors)} tensors named {TEMPERATURE!r}, expected 1: not an artefact of this kit")
    model.buffers[divisors[0].buffer].data = _bytes(np.array([temperature], np.float32))


def write_batch(model: Any, batch: int) -> None:
    """Let a finished model for one image take `batch` at a time, in place.

    Every tensor that is computed and begins with 1 begins with the batch, and so do the shapes that operators are told:
    RESHAPE's target, SLICE's size, the target of BROADCAST_TO. Interpreters infer all shapes again when they allocate, and
    refuse what does not fit.
    """
    from ai_edge_litert import schema_py_generated as schema

    graph, codes = model.subgraphs[0], schema.BuiltinOperator
    told = {codes.RESHAPE: 1, codes.SLICE: 2, codes.BROADCAST_TO: 1}
    computed = {int(tensor) for operator in graph.operators for tensor in operator.outputs} | set(
        map(int, graph.inputs)
    )
    for number in computed:
        tensor = graph.tensors[number]
        for shape in (tensor.shape, tensor.shapeSignature):
            if shape is not None and len(shape) and shape[0] == 1:
                shape[0] = batch
    for operator in graph.operators:
        entry = model.operatorCodes[operator.opcodeIndex]
        place = told.get(max(entry.builtinCode, entry.deprecatedBuiltinCode))
        if place is not None and len(operator.inputs) > place:
            operator.inputs[place] = _shape_for(model, int(operator.inputs[place]), batch)
        if isinstance(operator.builtinOptions, schema.ReshapeOptionsT) and operator.builtinOptions.newShape is not None:
            operator.builtinOptions.newShape = _batched(operator.builtinOptions.newShape, batch)


def _shape_for(model: Any, number: int, batch: int) -> int:
    """A constant that begins with the batch instead of 1, as a new tensor: others may read the old one."""
    graph = model.subgraphs[0]
    content = model.buffers[graph.tensors[number].buffer].data if number >= 0 else None
    if content is None or not len(content):
        return number
    old = np.frombuffer(bytes(content), "<i4")
    if old[0] != 1:
        return number
    tensor, buffer = copy.copy(graph.tensors[number]), copy.copy(model.buffers[graph.tensors[number].buffer])
    buffer.data = np.frombuffer(_batched(old, batch).astype("<i4").tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor.buffer = len(model.buffers) - 1
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _batched(shape: npt.NDArray[np.int32], batch: int) -> npt.NDArray[np.int32]:
    new = np.array(shape, np.int32)
    if len(new) and new[0] == 1:
        new[0] = batch
    return new


def _sign(model: Any, input_name: str, image: int, output_name: str, output: int) -> None:
    """Make the two tensors the model's only input and output, under these names."""
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    graph.inputs, graph.outputs = np.array([image], np.int32), np.array([output], np.int32)
    signature.signatureKey = SIGNATURE.encode()
    for entry, name, tensor in ((signature.inputs[0], input_name, image), (signature.outputs[0], output_name, output)):
        entry.name, entry.tensorIndex = name.encode(), tensor


def _tensor(model: Any, name: str, shape: Any, kind: int, content: npt.NDArray[np.float32] | None = None) -> int:
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = None if content is None else _bytes(content)
    model.buffers.append(buffer)
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type = name.encode(), np.array(shape, np.int32), kind
    tensor.buffer, tensor.hasRank = len(model.buffers) - 1, True
    model.subgraphs[0].tensors.append(tensor)
    return len(model.subgraphs[0].tensors) - 1


def _operator(model: Any, code: int, inputs: list[int], output: int) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    known = [entry.builtinCode for entry in model.operatorCodes]
    if code not in known:
        entry = schema.OperatorCodeT()
        # The deprecated field is what runtimes read for the codes below 127, and these are.
        entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, code, 1
        model.operatorCodes.append(entry)
        known.append(code)
    operator = schema.OperatorT()
    operator.opcodeIndex = known.index(code)
    operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
    return operator


def _affine(scale: float, zero_point: int) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    quantization = schema.QuantizationParametersT()
    quantization.scale, quantization.zeroPoint = np.array([scale], np.float32), np.array([zero_point], np.int64)
    return quantization


def _bytes(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(values.astype("<f4").tobytes(), np.uint8)
