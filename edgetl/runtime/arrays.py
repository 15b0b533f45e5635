"""Arrays in .npy files: golden tensors, and pixels that a device decoded itself."""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from .bundle_files import Place
from .errors import IntegrityError, UnreadableImage

# What numpy raises for a damaged header, which it reads as a Python literal.
_NO_ARRAY = (OSError, ValueError, EOFError, OverflowError, TokenError, SyntaxError, RecursionError, MemoryError)


def array(file: Place, dtype: Any) -> npt.NDArray[Any]:
    """What a .npy file holds, mapped: a header that promises more than the file holds is an error and no allocation.

    Raises:
        IntegrityError: it is none, or holds another type.
    """
    try:
        found: npt.NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    except _NO_ARRAY as exc:
        raise IntegrityError(f"is not a .npy file: {exc}", place=str(file)) from exc
    if not isinstance(found, np.ndarray) or found.dtype != dtype:
        raise IntegrityError(f"does not hold {np.dtype(dtype).name}", place=str(file))
    return found


def pixels_of(file: Path) -> Path | npt.NDArray[np.uint8]:
    """What to predict of a file that a person names: the pixels of a .npy file, which need no Pillow; or itself.

    Raises:
        UnreadableImage: it ends in .npy and holds no uint8.
    """
    if file.suffix.lower() != ".npy" or not file.is_file():  # decoding says what is wrong with what is none
        return file
    try:
        return array(file, np.uint8)
    except IntegrityError as exc:
        raise UnreadableImage(exc.message, place=exc.place, hint="numpy.save(FILE, uint8 [height, width, 3])") from exc
