"""Pictures from their original files, through the code that runs on the device: what every reported number is measured on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.data.records import Record
from edgetl.recipe import Data
from edgetl.runtime.preprocessing import Preprocessing, Resize, preprocess

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

_CHUNK = 64


def preprocessing_of(data: Data) -> Preprocessing:
    """What stands between a picture file and the input of every artefact of a recipe."""
    return Preprocessing(Resize(data.resize.mode, data.resize.kernel, data.image_size, data.image_size))


def batches(
    root: Path, records: Sequence[Record], preprocessing: Preprocessing
) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Decode and resize pictures, some ahead of their use.

    Yields:
        The index of the first record and uint8 [n, H, W, 3] with n <= 64, in the order of the records.

    Raises:
        UnreadableImage: a file that could be read when the data stage ran cannot be read any more.
    """
    import numpy as np

    with ThreadPoolExecutor(2) as pool:
        decode = [pool.submit(preprocess, root / record.image, preprocessing) for record in records[:_CHUNK]]
        for start in range(0, len(records), _CHUNK):
            ahead = records[start + _CHUNK : start + 2 * _CHUNK]
            following = [pool.submit(preprocess, root / record.image, preprocessing) for record in ahead]
            yield start, np.stack([future.result() for future in decode])
            decode = following
