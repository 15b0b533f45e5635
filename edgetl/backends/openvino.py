"""OpenVINO IR straight from PyTorch; int8 by nncf.

nncf works on the float NCHW body and the ends are fitted afterwards: through a uint8 model it leaves ShapeOf and
Broadcast chains behind and the result is slower.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetl.backends import contract
from edgetl.backends.conversion import converting
from edgetl.files import write_whole
from edgetl.runtime import signal_stack

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn

    from edgetl.lint.graph import Graph

__all__ = ["export", "operators", "quantize", "set_temperature", "with_batch"]

_NAME = "openvino"

_COUNTED = re.compile(r"^[A-Z][A-Za-z]*_\d+(?=/|$)")


def export(network: nn.Module, image_size: int, folder: Path, stem: str) -> Path:
    """Write `folder/stem.xml` and `folder/stem.bin`: float32, temperature 1."""
    with converting(_NAME, "export"):
        return _save(_with_ends(_body(network, image_size)), folder / f"{stem}.xml")


def quantize(network: nn.Module, exported: Path, calibration: npt.NDArray[np.uint8], folder: Path, stem: str) -> Path:
    """Write `folder/stem.xml` and `.bin`: static int8 of `network`, weights per channel, ranges from `calibration`.

    Squeeze-and-excitation blocks keep float activations; every weight is int8.

    calibration: uint8 [N, H, W, 3], in the input's own units.
    """
    with converting(_NAME, "quantize"), signal_stack.kept():
        import nncf

        quantized = nncf.quantize(
            _body(network, calibration.shape[1]),
            nncf.Dataset([contract.normalized(image.transpose(2, 0, 1)[None]) for image in calibration]),
            # On a MobileNetV3-S of HAM10000, agreement with float is 0.93; PERFORMANCE (symmetric activations): 0.92.
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(calibration),
        )
        _state_input_range(quantized)
        # nncf computes squeeze-and-excitation blocks in float, for accuracy, and leaves their weights in float32 as
        # well: half the file of a MobileNetV3. Stored as int8 they cost neither agreement nor time (nncf 3.4).
        quantized = nncf.compress_weights(quantized, mode=nncf.CompressWeightsMode.INT8_SYM)
        return _save(_with_ends(quantized), folder / f"{stem}.xml")


def set_temperature(path: Path, temperature: float) -> None:
    """Divide the logits of the finished artefact by `temperature` from now on; replaces an earlier value."""
    value = contract.checked(temperature)
    with converting(_NAME, "set the temperature"):
        import openvino

        model = openvino.Core().read_model(path)
        divisors = [node for node in model.get_ops() if node.get_friendly_name() == contract.TEMPERATURE]
        if len(divisors) != 1:
            raise ValueError(
                f"got {len(divisors)} nodes named {contract.TEMPERATURE!r}, expected 1: not an artefact of ours"
            )
        _replace(divisors[0], value)
        _save(model, path)


def with_batch(path: Path, batch: int, folder: Path) -> Path:
    """Write the finished artefact again for `batch` images at a time."""
    with converting(_NAME, f"write it for a batch of {batch}"):
        import openvino

        model = openvino.Core().read_model(path)
        shape = [batch, *list(model.input(0).get_partial_shape())[1:]]
        model.reshape(openvino.PartialShape(shape))
        return _save(model, folder / path.name)


def operators(path: Path) -> Graph:
    """The operators of an artefact."""
    with converting(_NAME, "read the operators"):
        from edgetl.backends import openvino_operators

        return openvino_operators.operators(path)


def _body(network: nn.Module, image_size: int) -> Any:
    import openvino
    import torch

    shape = [1, 3, image_size, image_size]
    return openvino.convert_model(contract.frozen(network), example_input=torch.zeros(shape), input=shape)


def _with_ends(body: Any) -> Any:
    """float [1, 3, H, W] -> logits, into uint8 image -> probabilities, temperature 1."""
    import openvino
    from openvino import opset13 as ops

    begin = openvino.preprocess.PrePostProcessor(body)
    begin.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    begin.input().model().set_layout(openvino.Layout("NCHW"))
    # One scalar each, not one per channel: so the plugin can recognise the uint8 tensor as a quantized one.
    affine = begin.input().preprocess().convert_element_type(openvino.Type.f32)
    affine.mean(float(contract.OFFSET)).scale(float(contract.DIVISOR))
    body = begin.build()
    # The tail comes last: `build` folds constants, and the temperature would lose its name.
    logits = body.output(0).get_node().input_value(0)
    probabilities = ops.softmax(ops.divide(logits, _constant(1.0, contract.TEMPERATURE)), axis=-1)
    model = openvino.Model([ops.result(probabilities)], body.get_parameters(), "edgetl")
    for end, name in ((model.input(0), contract.INPUT), (model.output(0), contract.OUTPUT)):
        end.set_names({name})
        end.get_node().set_friendly_name(name)
    return model


def _state_input_range(model: Any) -> None:
    """The input's range is known, not estimated: 256 levels from -1 to 127/128 are exactly the bytes of the image.

    (On that MobileNetV3-S the estimated range costs 3 points of agreement.)
    """
    (reader,) = model.input(0).get_target_inputs()
    quantizer = reader.get_node()
    assert quantizer.get_type_name() == "FakeQuantize", f"the body begins with {quantizer.get_type_name()}"
    low, high = -contract.OFFSET / contract.DIVISOR, (255 - contract.OFFSET) / contract.DIVISOR
    for port, value in ((1, low), (2, high), (3, low), (4, high)):
        constant = quantizer.input_value(port).get_node()
        quantizer.input(port).replace_source_output(_constant(value, constant.get_friendly_name()).output(0))


def _constant(value: float, name: str) -> Any:
    import numpy as np
    from openvino import opset13 as ops

    constant = ops.constant(np.array(value, np.float32))
    constant.set_friendly_name(name)
    return constant


def _replace(constant: Any, value: float) -> None:
    new = _constant(value, constant.get_friendly_name())
    for reader in constant.output(0).get_target_inputs():
        reader.replace_source_output(new.output(0))


def _save(model: Any, path: Path) -> Path:
    import openvino

    # Nodes that nobody named carry a counter of the process: numbered anew, the same model gives the same bytes.
    for number, node in enumerate(model.get_ordered_ops()):
        name = node.get_friendly_name()
        node.set_friendly_name(_COUNTED.sub(f"{node.get_type_name()}_{number}", name))
    with tempfile.TemporaryDirectory() as scratch:
        aside = Path(scratch) / path.name
        openvino.save_model(model, aside, compress_to_fp16=False)  # True is its default, and "fp32" means fp32
        for suffix in (".bin", ".xml"):
            write_whole(path.with_suffix(suffix), aside.with_suffix(suffix).read_bytes(), sync=True)
    return path
