"""The same work on many pictures: several at once, within the memory there is, and what fails is named."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgetl.console.progress import Silent
from edgetl.data import parallel
from edgetl.data.parallel import each_picture
from edgetl.errors import UnreadableImage


def test_what_cannot_be_decoded_is_named_with_the_reason_in_order(tmp_path: Path) -> None:
    done: list[int] = []

    def work(number: int) -> None:
        if number == 3:
            raise MemoryError
        if number == 1:
            raise UnreadableImage("is odd", place="somewhere")
        done.append(number)

    images = [f"{number}.png" for number in range(300)]
    failures = each_picture(tmp_path, images, work, {"2.png": "is known"}, Silent())
    assert failures == [(1, "is odd"), (2, "is known"), (3, "needs more memory than there is")]
    assert sorted(done) == [0, *range(4, 300)]


def test_other_errors_are_not_the_pictures_fault(tmp_path: Path) -> None:
    def work(number: int) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        each_picture(tmp_path, ["a.png"], work, {}, Silent())


def test_pixels_at_once_are_bounded_and_a_larger_picture_goes_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "_PIXELS", 1000)
    sides = [10, 20, 30, 40] * 10  # 100 to 1600 pixels
    images = [f"{number}.png" for number in range(len(sides))]
    for image, side in zip(images, sides, strict=True):
        Image.fromarray(np.zeros((side, side, 3), np.uint8)).save(tmp_path / image)
    lock = threading.Lock()
    inside: set[int] = set()
    seen: list[set[int]] = []

    def work(number: int) -> None:
        with lock:
            inside.add(number)
            seen.append(set(inside))
        time.sleep(0.002)
        with lock:
            inside.remove(number)

    assert each_picture(tmp_path, images, work, {}, Silent()) == []
    pixels = [[sides[number] ** 2 for number in together] for together in seen]
    assert all(sum(together) <= 1000 or together == [1600] for together in pixels)
    assert max(map(len, pixels)) > 1


def test_pictures_are_told_as_they_are_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_AHEAD", 4)
    told: list[tuple[str, int, int]] = []

    class Heard(Silent):
        def advance(self, label: str, done: int, total: int) -> None:
            told.append((label, done, total))

    done: list[int] = []
    each_picture(tmp_path, [f"{number}.png" for number in range(10)], done.append, {}, Heard())
    assert told == [("images", 4, 10), ("images", 8, 10), ("images", 10, 10)]
    assert sorted(done) == list(range(10))


def test_a_picture_that_fails_gives_its_room_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_PIXELS", 100)
    for number in range(30):
        Image.fromarray(np.zeros((10, 10, 3), np.uint8)).save(tmp_path / f"{number}.png")

    def work(number: int) -> None:
        raise MemoryError

    assert len(each_picture(tmp_path, [f"{number}.png" for number in range(30)], work, {}, Silent())) == 30
