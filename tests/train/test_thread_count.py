"""The bits of a network hang on the number of threads that its training began with, and on nothing else that a machine does."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from tiny_training import STEPS, same, tiny_network, train
from torch import nn

from edgetl.console.progress import Silent
from edgetl.training import sharing, threads
from edgetl.training.yielding import SETTINGS, sleeping

pytestmark = pytest.mark.usefixtures("one_thread")


class _Watching(Silent):
    """Notes with how many threads steps are computed and what is said, and presses Ctrl-C at a step."""

    def __init__(self, stop: int = 0) -> None:
        self._stop = stop
        self.counts: set[int] = set()
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def advance(self, label: str, done: int, total: int) -> None:
        self.counts.add(torch.get_num_threads())
        if done == self._stop:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the suite runs with, nobody has set a number of threads."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", *SETTINGS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)


@pytest.fixture(scope="module")
def two_threads(tmp_path_factory: pytest.TempPathFactory) -> nn.Module:
    """A network that two threads trained in one go."""
    with pytest.MonkeyPatch.context() as patched:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            patched.delenv(name, raising=False)
        before, network = torch.get_num_threads(), tiny_network()
        torch.set_num_threads(2)
        fitted = train(network, tmp_path_factory.mktemp("two"))
        torch.set_num_threads(before)
    assert {entry["threads"] for entry in fitted.history} == {2}
    return network


def _stopped(checkpoints: Path) -> None:
    """Begin with two threads, and stop in the second epoch; the first one has its checkpoint."""
    torch.set_num_threads(2)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_network(), checkpoints, _Watching(stop=STEPS + 2))


def test_a_training_is_taken_up_with_the_threads_that_it_began_with(
    tmp_path: Path, two_threads: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stopped(tmp_path / "stopped")
    torch.set_num_threads(1)
    monkeypatch.setattr(threads, "usable_cores", lambda: 1)
    network, alone, progress = tiny_network(99), tiny_network(), _Watching()
    train(network, tmp_path / "stopped", progress)
    assert progress.counts == {2}
    assert same(network, two_threads)
    train(alone, tmp_path / "alone")
    assert not same(alone, two_threads), "or this test shows nothing"
    assert torch.get_num_threads() == 1, "what comes after the training has its own number"


def test_a_persons_own_number_wins_and_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _stopped(tmp_path)
    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    progress = _Watching()
    fitted = train(tiny_network(99), tmp_path, progress)
    assert progress.counts == {1}
    assert [entry["threads"] for entry in fitted.history] == [2, 1, 1, 1]
    assert "threads until here 2, from here on 1 (OMP_NUM_THREADS=1)" in progress.said[1]


def test_yielding_changes_no_bit(tmp_path: Path, two_threads: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    class Restless:
        """Others come and go with every few looks."""

        def __init__(self, cores: Collection[int]) -> None:
            self._others = itertools.cycle([1.0] * 3 + [0.0] * 9)
            self._cores = cores

        def look(self, held: Collection[int]) -> dict[int, float]:
            others = next(self._others)
            return dict.fromkeys(self._cores, 0.0) | {min(self._cores): others}

    switched = []

    @contextmanager
    def noted(threads: int, cores: int) -> Iterator[None]:
        switched.append(threads)
        with sleeping(threads, cores):
            yield

    monkeypatch.setattr(sharing, "sleeping", noted)
    monkeypatch.setattr(sharing, "OtherLoad", Restless)
    monkeypatch.setattr(sharing, "_LOOK_SECONDS", 0.001)
    torch.set_num_threads(2)
    network = tiny_network()
    train(network, tmp_path)
    assert len(switched) > 2
    assert same(network, two_threads)
