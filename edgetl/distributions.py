"""Which version of a distribution is installed, also where another one gives the same package."""

from __future__ import annotations

from importlib import metadata

__all__ = ["installed"]

_INSTEAD = {"onnxruntime": ("onnxruntime-gpu",), "ai-edge-litert": ("tflite-runtime",)}
"""Distributions that bring the same package, with other accelerators or for other machines."""


def installed(distribution: str) -> str:
    """Its version; of one that stands in for it "VERSION (NAME)".

    Raises:
        importlib.metadata.PackageNotFoundError: neither it nor one instead of it.
    """
    for name in (distribution, *_INSTEAD.get(distribution, ())):
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        return version if name == distribution else f"{version} ({name})"
    raise metadata.PackageNotFoundError(distribution)
