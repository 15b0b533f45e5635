"""Lets `import torchvision` succeed beside a torch build that its extension was not compiled for.

PyPI's torchvision is linked against CUDA. Beside a CPU-only torch its extension cannot load, nothing registers the
operators `torchvision::nms` and `torchvision::qnms`, and `import torchvision` (and so `import timm`) dies with
"operator torchvision::nms does not exist". Declaring the two schemas first is enough for everything that edgetl uses;
`torchvision.ops.nms` itself stays unusable. A matching torchvision keeps its own operators: then nothing is declared.

Delete this when torchvision's import no longer needs its extension (still does in 0.28): https://github.com/pytorch/vision
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["ensure", "install"]

_OPERATORS = ("nms", "qnms")


def install() -> None:
    """Call `ensure` when torchvision is first imported, by whomever: until then, torch need not be loaded."""
    sys.meta_path.insert(0, _BeforeTorchvision())


class _BeforeTorchvision(MetaPathFinder):
    """Finds nothing itself."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname == "torchvision":
            ensure()


@cache
def ensure() -> torch.library.Library | None:
    """Make torchvision importable.

    Returns:
        The library that holds the declared schemas, or None when nothing had to be declared. The cache keeps it alive:
        torch drops the schemas with the object.
    """
    # Looking for torchvision below would call this again.
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _BeforeTorchvision)]
    if "torchvision" in sys.modules or _extension_loads():
        return None
    import torch

    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in _OPERATORS:
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    return library


def _extension_loads() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return True  # torchvision is missing altogether: its own ImportError says so better
    folder = Path(spec.submodule_search_locations[0])
    extensions = [*folder.glob("_C*.so"), *folder.glob("_C*.pyd"), *folder.glob("_C*.dylib")]
    if not extensions:
        return False
    import torch

    try:
        torch.ops.load_library(extensions[0])  # type: ignore[no-untyped-call]
    except OSError:  # an unresolved symbol or a missing libcudart
        return False
    return True
