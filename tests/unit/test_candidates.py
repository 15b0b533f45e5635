"""Candidates are those that looking at every pair in every orientation gives, however they are blocked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.cluster.hierarchy import DisjointSet

from edgetl.data.near_duplicates import candidates as module
from edgetl.data.near_duplicates.candidates import candidates, root
from edgetl.data.near_duplicates.spectra import oriented, spectra
from edgetl.data.near_duplicates.thumbnails import turned

Pixels = npt.NDArray[np.uint8]
_COUNT = 40


def _frames() -> list[Pixels]:
    """Frames of two scenes, more or less noisy, some of them turned, and pictures of their own."""
    generator = np.random.default_rng(0)
    coarse = generator.normal(128, 60, (12, 8, 8))
    scenes = np.kron(coarse, np.ones((8, 8)))
    frames = []
    for number in range(_COUNT):
        scene = scenes[number % 2] if number < 30 else scenes[number % 10 + 2]
        noisy = scene + generator.normal(0, 5 + number if number < 24 else 25 * (number - 20), (64, 64))
        frames.append(np.ascontiguousarray(turned(np.clip(noisy, 0, 255).astype(np.uint8), number % 5)))
    return frames


def _expected(
    frames: list[Pixels], groups: npt.NDArray[np.int64], known: list[tuple[int, int]]
) -> dict[int, list[tuple[float, int, int]]]:
    """(correlation, second, turn) of the eight best candidates of each first picture, the best one first."""
    found = spectra(np.stack(frames)).astype(float)
    best: dict[int, list[tuple[float, int, int]]] = {}
    for first in range(len(frames)):
        for second in range(first + 1, len(frames)):
            values = [(found[first] * oriented(found[second, None], turn)).sum() for turn in range(8)]
            if max(values) >= 0.93 and groups[first] != groups[second] and (first, second) not in known:
                best.setdefault(first, []).append((max(values), second, int(np.argmax(values))))
    return {first: sorted(of, reverse=True)[:8] for first, of in best.items()}


@pytest.mark.parametrize("few", [-1, 10, 10**6])
@pytest.mark.parametrize("block", [7, 13, 39, 40, 41])
def test_they_are_the_best_of_all_pairs(block: int, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    monkeypatch.setattr(module, "_FEW", few)
    frames, known = _frames(), DisjointSet([0, 2])
    known.merge(0, 2)
    groups = np.arange(_COUNT)
    groups[4] = groups[6]
    expected = _expected(frames, groups, [(0, 2)])
    assert sorted(map(len, expected.values()))[:: len(expected) - 1] == [1, 8], "few and more than enough"
    done = 0
    for stop, pairs, turns in candidates(_COUNT, frames.__getitem__, groups, known):
        assert stop == min(done + block, _COUNT)
        ours: dict[int, list[tuple[int, int]]] = {}
        for first, second, turn in zip(*pairs.tolist(), turns.tolist(), strict=True):
            assert done <= first < stop
            ours.setdefault(first, []).append((second, turn))
        assert ours == {
            first: [(second, turn) for _, second, turn in of] for first, of in expected.items() if done <= first < stop
        }
        ranks = [
            ours[first].index((second, turn))
            for first, second, turn in zip(*pairs.tolist(), turns.tolist(), strict=True)
        ]
        assert ranks == sorted(ranks), "the best one of every picture comes before the second one of any"
        done = stop
    assert done == _COUNT


def test_without_pictures_there_are_none() -> None:
    assert list(candidates(0, [].__getitem__, np.empty(0, np.int64), DisjointSet())) == []


def test_what_is_connected_has_one_root_and_others_stand_for_themselves() -> None:
    known = DisjointSet([3, 8, 9])
    known.merge(3, 8)
    assert root(known, 3) == root(known, 8) != root(known, 9)
    assert root(known, 5) == 5
