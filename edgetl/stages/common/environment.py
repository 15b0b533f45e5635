"""Environment variables that change what a tool computes: those that are set are part of the keys of stages that use it.

On an AVX-512 CPU each of torch's, numpy's, OpenCV's and OpenVINO's was seen to change bits of a convolution, a product or a
warp, but for those of the GPU, which are taken from NVIDIA's and PyTorch's documentation. onnxruntime and LiteRT have none.

Left out: counts of threads and how they wait (OMP_NUM_THREADS, KMP_BLOCKTIME), which device computes
(CUDA_VISIBLE_DEVICES), and a launcher's (WORLD_SIZE, ACCELERATE_*): those are provenance, as the machine is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

__all__ = ["VARIABLES", "that_count"]

_ONEDNN = tuple(f"{prefix}_{name}" for prefix in ("ONEDNN", "DNNL") for name in ("DEFAULT_FPMATH_MODE", "MAX_CPU_ISA"))

VARIABLES: Mapping[str, tuple[str, ...]] = {
    "litert-torch": ("LITERT_TORCH_FULL_TFL_DECOMPS",),
    "numpy": ("NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "OPENBLAS_CORETYPE"),
    "opencv-python-headless": ("OPENCV_CPU_DISABLE", "OPENCV_IPP"),
    "openvino": (*_ONEDNN, "OV_CPU_MAX_ISA"),
    "timm": ("TIMM_FUSED_ATTN",),
    "torch": (
        *_ONEDNN,
        "ATEN_CPU_CAPABILITY",
        "CUBLAS_WORKSPACE_CONFIG",
        "MKL_CBWR",
        "MKL_ENABLE_INSTRUCTIONS",
        "NVIDIA_TF32_OVERRIDE",
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
        "TORCH_BLAS_PREFER_CUBLASLT",
        "TORCH_CUDNN_USE_HEURISTIC_MODE_B",
        "TORCH_CUDNN_V8_API_DISABLED",
        "TORCH_LINALG_PREFER_CUSOLVER",
    ),
}
"""Names by the distribution that reads them."""


def that_count(tools: Iterable[str], environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that are set and change what any of these distributions computes, by name."""
    names = sorted({name for tool in tools for name in VARIABLES.get(tool, ())})
    return {name: environment[name] for name in names if environment.get(name)}
