"""The same work on every picture of a data set, several at once: as many as the memory bears."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from edgetl.console.progress import Progress
from edgetl.errors import UnreadableImage
from edgetl.runtime.decoding import FORMATS

__all__ = ["each_picture"]

_THREADS = 8
_AHEAD = 256
"""Pictures that are handed out: bounds how long Ctrl-C waits."""
_PIXELS = 50_000_000
"""Pixels of the pictures that are being decoded: some 400 MB."""


def each_picture(
    root: Path,
    images: Sequence[str],
    work: Callable[[int], None],
    unreadable: Mapping[str, str],
    progress: Progress,
    label: str = "images",
) -> list[tuple[int, str]]:
    """Decode and use every picture; the numbers of those where that cannot be done, with the reason.

    Args:
        images: paths below the root.
        work: called with the number of each picture, in several threads.
        unreadable: pictures that are known to be, with the reason: they are not tried.
        label: what progress calls it.
    """
    room = _Room()

    def attempt(number: int) -> str | None:
        image = images[number]
        if image in unreadable:
            return unreadable[image]
        try:
            with room.for_one_of(_size(root / image)):
                work(number)
        except UnreadableImage as exc:
            return exc.message
        except MemoryError:
            return "needs more memory than there is"
        return None

    failures: list[tuple[int, str]] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(images), _AHEAD):
            numbers = range(start, min(start + _AHEAD, len(images)))
            reasons = zip(numbers, pool.map(attempt, numbers), strict=True)
            failures += [(number, reason) for number, reason in reasons if reason is not None]
            progress.advance(label, numbers.stop, len(images))
    return failures


def _size(path: Path) -> int:
    """Pixels of a picture, as its header says; 0 where it does not: whoever decodes it finds out why."""
    with contextlib.suppress(Exception), Image.open(path, formats=FORMATS) as image:
        return image.width * image.height
    return 0


class _Room:
    """Lets pictures in while all that are in have at most `_PIXELS`; a larger one waits until it is alone."""

    def __init__(self) -> None:
        self._free = _PIXELS
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def for_one_of(self, pixels: int) -> Iterator[None]:
        pixels = min(pixels, _PIXELS)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()
