"""The backends: one entry a file format, which says what a device runs it with and where the host finds the rest.

Nothing else lists them: the recipe's `export`, the build's stages, the manifest, doctor, completion and the report's legend
read this table. An entry is light: its modules are loaded when a file is opened or written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .accelerators import CPU, Accelerator
from .records import dataclass

if TYPE_CHECKING:
    from .bundle_files import Place
    from .sessions import Session

__all__ = ["BACKENDS", "Backend"]


@dataclass(frozen=True)
class Backend:
    """A file format and the runtime that opens it.

    name: as recipes and manifests write it. title: as a report does. about: what it is, in a few words.
    suffix: of the file that the runtime opens; what belongs to it lies beside it under the same name.
    distribution: what pip installs to run it.
    session: module with `open_session`, `accelerators` and `version`, relative to this package or absolute.
    converter: module that writes such files (`edgetl.backends.Converter`); a device has none.
    tools: distributions whose versions decide the bytes that are written.
    accelerators: what its sessions can run on, on a machine that has it.
    runtime_options: for a precision, what a session must be given so that it computes what the file says.
    """

    name: str
    title: str
    about: str
    suffix: str
    distribution: str
    session: str
    converter: str
    tools: tuple[str, ...] = ()
    accelerators: tuple[str, ...] = ("cpu",)
    runtime_options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def open_session(
        self, path: Place, threads: int, options: Mapping[str, str], accelerator: Accelerator = CPU
    ) -> Session:
        """Load one file; `options` are the runtime's own, by name.

        Raises:
            MissingRuntime: the runtime is not installed.
            MissingAccelerator: the accelerator is not there or does not compute everything, and no fallback is allowed.
            IntegrityError: the file does not load, or has other ends than the contract.
        """
        if accelerator.name not in self.accelerators:
            raise accelerator.missing(self.accelerators, self.name)
        session: Session = self._module().open_session(path, threads, options, accelerator)
        return session

    def there(self) -> tuple[str, ...]:
        """Those of `accelerators` that this machine and the installed runtime have.

        Raises:
            MissingRuntime: it is not installed.
        """
        there: tuple[str, ...] = self._module().accelerators()
        return there

    def version(self) -> str:
        """Version of the installed runtime.

        Raises:
            MissingRuntime: it is not installed.
        """
        return str(self._module().version())

    def _module(self) -> Any:
        return import_module(self.session, __package__)


_ENTRIES = (
    Backend(
        name="onnx",
        title="ONNX",
        about="ONNX for ONNX Runtime",
        suffix=".onnx",
        distribution="onnxruntime",
        session=".sessions.onnx",
        converter="edgetl.backends.onnx",
        tools=("onnx", "onnxruntime", "onnxscript", "torch"),
        accelerators=("cpu", "cuda", "tensorrt"),
    ),
    Backend(
        name="openvino",
        title="OpenVINO",
        about="OpenVINO IR",
        suffix=".xml",
        distribution="openvino",
        session=".sessions.openvino",
        converter="edgetl.backends.openvino",
        tools=("openvino", "nncf", "torch"),
        accelerators=("cpu", "gpu", "npu"),
        runtime_options={
            # OpenVINO computes bf16 by default on CPUs that have it, and nothing in the file can pin it.
            "fp32": {"INFERENCE_PRECISION_HINT": "f32"},
            # What int8 leaves in float would follow: a tenth faster on such a CPU (MobileNetV3-L), but it agrees less
            # with float (0.926 against 0.932) and gives other probabilities on other CPUs.
            "int8": {"INFERENCE_PRECISION_HINT": "f32"},
        },
    ),
    Backend(
        name="tflite",
        title="TFLite",
        about="TFLite for LiteRT",
        suffix=".tflite",
        distribution="ai-edge-litert",
        session=".sessions.tflite",
        converter="edgetl.backends.tflite",
        tools=("litert-torch", "litert-converter", "ai-edge-litert", "ai-edge-quantizer", "torch"),
    ),
)

BACKENDS: dict[str, Backend] = {backend.name: backend for backend in _ENTRIES}
"""By name, in the order of reports."""
