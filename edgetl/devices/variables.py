"""`${NAME}` in the paths of target files, replaced from the environment when they are used."""

from __future__ import annotations

import os
import re

from edgetl.errors import RecipeError

__all__ = ["replaced"]

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def replaced(text: str, field: str, place: str) -> str:
    """The text of a target's field with the values of its variables.

    Raises:
        RecipeError: one of them is not set.
    """
    for name in _VARIABLE.findall(text):
        if not os.environ.get(name):
            raise RecipeError(
                f"{field}: the environment variable {name} is not set", place=place, hint="docs/devices.md"
            )
    return _VARIABLE.sub(lambda match: os.environ[match[1]], text)
