"""Converters: from a PyTorch network to files that one inference runtime loads, all with the same ends (`contract`).

    onnx       ONNX by PyTorch, int8 by onnxruntime
    openvino   OpenVINO IR by OpenVINO, int8 by nncf
    tflite     TFLite by litert-torch, int8 by ai-edge-quantizer

The table of the backends is `edgetl.runtime.backends.BACKENDS`; an entry names the module here that is its `Converter`.
Importing one is cheap: the tools load inside its functions.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from edgetl.runtime.backends import BACKENDS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn

    from edgetl.lint.graph import Graph

__all__ = ["Converter", "converter"]


class Converter(Protocol):
    """What a backend's module on the host offers."""

    def export(self, network: nn.Module, image_size: int, folder: Path, stem: str) -> Path:
        """Write the float32 artefact `folder/stem.*` with the contract's ends, temperature 1; its main file.

        network: float NCHW [B, 3, H, W] in [-1, 1) -> logits [B, classes]; not changed.

        Raises:
            EdgetlError: the converter failed; names backend and reason.
        """

    def quantize(
        self, network: nn.Module, exported: Path, calibration: npt.NDArray[np.uint8], folder: Path, stem: str
    ) -> Path:
        """Write the int8 artefact `folder/stem.*`, post-training, temperature 1; its main file.

        network, exported: the same function twice; a backend starts from the one that its quantizer takes.
        calibration: uint8 [N, H, W, 3], training images as the input takes them.

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

    def with_batch(self, path: Path, batch: int, folder: Path) -> Path:
        """Write a finished artefact, which takes one image, once more for `batch` at a time: uint8 [batch, H, W, 3] in.

        The same name in another folder, for measuring throughput; its main file. Whether it computes the same is for the
        caller to see.

        Raises:
            EdgetlError: it cannot be had; names backend and reason.
        """

    def operators(self, path: Path) -> Graph | None:
        """The operators of a finished artefact, without running it; None where that cannot be told.

        Raises:
            EdgetlError: the file cannot be read.
        """


def converter(backend: str) -> Converter:
    """The converter of a backend of the table."""
    return cast(Converter, import_module(BACKENDS[backend].converter))
