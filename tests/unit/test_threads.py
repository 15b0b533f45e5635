"""How many threads a training is taken up with: the checkpoint's number, but for a person's own setting."""

from __future__ import annotations

import pytest
import torch

from edgetl.training import threads
from edgetl.training.threads import ThreadCount


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    """A machine on which nobody has set anything."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "usable_cores", lambda: 8)


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_a_variable_of_now_wins(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "3")
    torch.set_num_threads(3)
    for before in (ThreadCount(8, "8 cores"), ThreadCount(1, "OMP_NUM_THREADS=1")):
        assert before.to_go_on_with() == ThreadCount(3, f"{name}=3")


def test_other_cores_do_not_change_the_number() -> None:
    torch.set_num_threads(8)
    before = ThreadCount(4, "4 cores")
    assert before.to_go_on_with() == before


def test_a_variable_of_then_holds_where_none_is_set_now() -> None:
    torch.set_num_threads(8)
    before = ThreadCount(1, "OMP_NUM_THREADS=1")
    assert before.to_go_on_with() == before


def test_on_the_same_cores_another_number_was_set_in_python() -> None:
    torch.set_num_threads(2)
    assert ThreadCount(8, "8 cores").to_go_on_with() == ThreadCount(2, "8 cores")


def test_the_number_holds_for_a_block() -> None:
    with ThreadCount(2, "").used():
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 1
