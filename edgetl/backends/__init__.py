"""Backends: from a PyTorch network to files that one inference runtime loads, all with the same edges (`edges`).

    onnx       ONNX by PyTorch, int8 by onnxruntime
    openvino   OpenVINO IR by OpenVINO, int8 by nncf
    tflite     TFLite by litert-torch, int8 by ai-edge-quantizer

A backend is a module with the members of `Backend`. Importing one is cheap: converters load inside its functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgetl.backends import onnx, openvino, tflite

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn

__all__ = ["BACKENDS", "Backend"]


class Backend(Protocol):
    """What every backend's module offers.

    NAME: as in recipes and manifests.
    TOOLS: distributions whose versions decide the bytes that are written.
    RUNTIME_OPTIONS: for a precision, what a session must be given so that it computes what the file says.
    """

    NAME: str
    TOOLS: tuple[str, ...]
    RUNTIME_OPTIONS: Mapping[str, Mapping[str, str]]

    def export(self, network: nn.Module, image_size: int, folder: Path, stem: str) -> Path:
        """Write the float32 artefact `folder/stem.*` with the contract's edges, temperature 1; its main file.

        network: float NCHW [B, 3, H, W] in [-1, 1) -> logits [B, classes]; not changed.

        Raises:
            EdgetlError: the converter failed; names backend and reason.
        """

    def quantize(
        self, network: nn.Module, exported: Path, calibration: npt.NDArray[np.uint8], folder: Path, stem: str
    ) -> Path:
        """Write the int8 artefact `folder/stem.*`, post-training, temperature 1; its main file.

        network, exported: the same function twice; a backend starts from the one that its quantizer takes.
        calibration: uint8 [N, H, W, 3], training images as the edges take them.

        Raises:
            EdgetlError: the quantizer failed; names backend and reason.
        """

    def set_temperature(self, path: Path, temperature: float) -> None:
        """Bake the divisor of the logits into a finished artefact, in place; replaces an earlier one.

        temperature: finite, above 0.

        Raises:
            ValueError: it is not.
            EdgetlError: the file holds no temperature.
        """


BACKENDS: dict[str, Backend] = {"onnx": onnx, "openvino": openvino, "tflite": tflite}
