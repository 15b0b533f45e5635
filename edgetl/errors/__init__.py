"""The tree of edgetl's errors and the exit code of each branch.

EdgetlError
├── GateFailed            1    a gate said no: the build is complete but must not ship
├── ArtifactError         1    a file of the bundle cannot be made, or does not work in its own runtime
├── RecipeError           2    the recipe or a target file is wrong
├── DataError             2    the data set is wrong
├── UsageError            2    a command line, or the arguments of a call, are wrong
├── TrainingDiverged      2    a training's numbers became infinite: the recipe or its images ask too much
├── EnvironmentFault      3    missing package, memory, disk, network
├── DeviceError           4    a target device did not do its part
├── MissingAccelerator    4    a runtime has no such accelerator
├── WorkerError           4    a model that is being measured died or hung
├── IntegrityError        5    a file is not what its manifest says
├── Bug                  70    edgetl itself is wrong (sysexits.h calls it EX_SOFTWARE; 1 already says "a gate")
└── Interrupted         130    the user pressed Ctrl-C

Third-party errors are translated into these once, at the boundary, with `raise ... from exc`.
"""

from __future__ import annotations

from edgetl.runtime.errors import (
    EdgetlError,
    IntegrityError,
    MissingAccelerator,
    MissingRuntime,
    UnreadableImage,
    UsageError,
    WorkerError,
)

__all__ = [
    "ArtifactError",
    "Bug",
    "DataError",
    "DeviceError",
    "EdgetlError",
    "EnvironmentFault",
    "GateFailed",
    "IntegrityError",
    "Interrupted",
    "MissingAccelerator",
    "MissingRuntime",
    "RecipeError",
    "TrainingDiverged",
    "UnreadableImage",
    "UsageError",
    "WorkerError",
    "out_of_memory",
]

# What torch, oneDNN and the C++ library say in a plain RuntimeError when an allocation fails.
_NO_MEMORY = ("DefaultCPUAllocator", "bad_alloc", "out of memory", "could not create a memory object")


class GateFailed(EdgetlError):
    """A gate said no."""

    exit_code = 1


class ArtifactError(EdgetlError):
    """A file cannot be made, or does not work in its own runtime: what is wrong with one, and not with the others."""


class RecipeError(EdgetlError):
    """The recipe or a target file is wrong."""

    exit_code = 2


class DataError(EdgetlError):
    """The data set is wrong."""

    exit_code = 2


class TrainingDiverged(EdgetlError):
    """A training's loss, gradient or outputs are not finite."""

    exit_code = 2


class EnvironmentFault(EdgetlError):
    """The machine lacks something: a package, memory, disk, the network."""

    exit_code = 3


class DeviceError(EdgetlError):
    """A target device did not do its part."""

    exit_code = 4


class Bug(EdgetlError):
    """What no user should be able to cause."""

    exit_code = 70


class Interrupted(EdgetlError):
    """The user pressed Ctrl-C."""

    exit_code = 130


def out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on the CPU or a GPU; PyTorch's own class is known by its name, without importing it."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)
