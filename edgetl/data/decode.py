"""Pictures from their original files, through the code that runs on the device: what every reported number is measured on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.data.records import Record
from edgetl.errors import DataError, UnreadableImage
from edgetl.errors.wording import indented
from edgetl.files import sha256_of
from edgetl.runtime.preprocessing import Preprocessing, preprocess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

_CHUNK = 64


def batches(
    root: Path, records: Sequence[Record], preprocessing: Preprocessing, digests: Mapping[str, str] | None = None
) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Decode and resize pictures, some ahead of their use.

    Args:
        digests: the sha256 that each file must have, by its path; None takes files as they are.

    Yields:
        The index of the first record and uint8 [n, H, W, 3] with n <= 64, in the order of the records.

    Raises:
        DataError: files that cannot be read, or have another content, all of them in one error.
    """
    import numpy as np

    from edgetl.data.images import all_unreadable

    unreadable: list[str] = []
    changed: list[str] = []

    def decoded(record: Record) -> npt.NDArray[np.uint8] | None:
        path = root / record.image
        try:
            pixels = preprocess(path, preprocessing)
        except UnreadableImage as exc:
            unreadable.append(f"{record.image}: {exc.message}")
            return None
        if digests is not None and sha256_of(path) != digests[record.image]:
            changed.append(record.image)
            return None
        return pixels

    with ThreadPoolExecutor(2) as pool:
        following = [pool.submit(decoded, record) for record in records[:_CHUNK]]
        for start in range(0, len(records), _CHUNK):
            futures = following
            following = [pool.submit(decoded, record) for record in records[start + _CHUNK : start + 2 * _CHUNK]]
            images = [image for future in futures if (image := future.result()) is not None]
            if not (unreadable or changed):  # once one is broken, the others are only looked at to be named with it
                yield start, np.stack(images)
    if unreadable:
        raise all_unreadable(sorted(unreadable), root)
    if changed:
        raise _all_changed(sorted(changed), root)


def _all_changed(images: Sequence[str], root: Path) -> DataError:
    return DataError(
        f"{len(images)} images changed while the build ran:{indented(images)}",
        place=str(root),
        hint="build again: what depends on them is computed anew",
    )
