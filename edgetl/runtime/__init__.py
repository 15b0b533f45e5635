"""The device side of edgetl: a bundle's models with numpy and one inference runtime.

    from edgetl import runtime  # or `import edgetl_runtime`, its own wheel

    with runtime.load("bundle") as model:
        print(model.predict("picture.png").label)

Loaded when it is first used, as in `edgetl`: the host's side asks this package for its errors alone.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import (
        EdgetlError,
        IntegrityError,
        MissingAccelerator,
        MissingRuntime,
        UnreadableImage,
        UsageError,
        WorkerError,
    )
    from .loading import load
    from .predicting import Model, Prediction

__all__ = [
    "EdgetlError",
    "IntegrityError",
    "MissingAccelerator",
    "MissingRuntime",
    "Model",
    "Prediction",
    "UnreadableImage",
    "UsageError",
    "WorkerError",
    "load",
]

_HOMES = {"load": "loading", "Model": "predicting", "Prediction": "predicting"}

if not TYPE_CHECKING:  # a checker would take any name for one of ours

    def __getattr__(name):
        """Import a public name when it is first used (PEP 562)."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(_import_module(f".{_HOMES.get(name, 'errors')}", __name__), name)

    def __dir__():
        return sorted({*globals(), *__all__})
