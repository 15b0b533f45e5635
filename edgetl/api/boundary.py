"""The border of the Python API: what a machine refuses, and Ctrl-C, leave it as errors of ours.

What is no user's doing, a bug, leaves it as it is, with its traceback.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from edgetl.errors.translation import refused

__all__ = ["boundary"]

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def boundary(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Have a function raise `edgetl.errors` for whatever a user can cause or meet."""

    @functools.wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except (KeyboardInterrupt, MemoryError, RuntimeError, OSError, ImportError) as exc:
            error = refused(exc)
            if error is None:
                raise
            raise error from exc

    return call
