"""Several processes walk in step: what each does with the others' numbers, and when it ends with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from edgetl.errors import DataError, EdgetlError, EnvironmentFault, Interrupted
from edgetl.training import distributed
from edgetl.training.distributed import Processes, follow, follows, launched, leading, order


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(dist, "new_group", lambda **options: options)
    yield
    distributed._talking.clear()
    distributed._told.clear()


def _other(monkeypatch: pytest.MonkeyPatch, values: list[Tensor]) -> None:
    """A second process that has these tensors, one for each sum."""
    theirs = iter(values)

    def add(tensor: Tensor, group: object = None) -> None:
        assert (group is None) is (tensor.dtype == torch.float32), "gradients go where they are, what is said over gloo"
        tensor.add_(next(theirs))

    monkeypatch.setattr(dist, "all_reduce", add)


@pytest.mark.parametrize(
    ("world", "rank", "count", "other"),
    [(None, None, 1, False), ("1", "0", 1, False), ("2", "0", 2, False), ("2", "1", 2, True), ("2", None, 2, False)],
)
def test_a_launcher_says_how_many_there_are(
    world: str | None, rank: str | None, count: int, other: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("WORLD_SIZE", world), ("RANK", rank)):
        if value is not None:
            monkeypatch.setenv(name, value)
    assert (launched(), follows()) == (count, other)


def test_one_process_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*arguments: Any, **options: Any) -> None:
        pytest.fail("there is nobody")

    for name in ("all_reduce", "broadcast", "all_gather_object", "broadcast_object_list"):
        monkeypatch.setattr(dist, name, never)
    one = Processes()
    assert (one.index, one.count, one.first) == (0, 1, True)
    tensors = [torch.ones(2)]
    one.average(tensors)
    one.copy_first(tensors)
    one.wait()
    assert tensors[0].tolist() == [1.0, 1.0]
    assert (one.mean([1.5, 2.5]), one.gathered("mine")) == ([1.5, 2.5], ["mine"])
    order("distil", {}, Path("scratch"), Path("root"))
    with leading():
        pass
    with pytest.raises(DataError), one.together():
        raise DataError("mine")


def test_means_are_over_all(monkeypatch: pytest.MonkeyPatch) -> None:
    _other(monkeypatch, [torch.tensor([3.0, 5.0], dtype=torch.float64)])
    assert Processes(0, 2).mean([1.0, -1.0]) == [2.0, 2.0]


def test_gradients_are_averaged_over_one_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = [torch.tensor([[1.0, 2.0]]), torch.tensor(3.0)]
    _other(monkeypatch, [torch.tensor([5.0, 4.0, 9.0])])
    Processes(1, 2).average(tensors)
    assert [tensor.tolist() for tensor in tensors] == [[[3.0, 3.0]], 6.0]
    Processes(1, 2).average([])  # the other process would be asked a second time


def test_statistics_are_those_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dist, "broadcast", lambda tensor, source: tensor.fill_(10.0 + source))
    tensors = [torch.zeros(2), torch.zeros(1)]
    Processes(1, 2).copy_first(tensors)
    assert [tensor.tolist() for tensor in tensors] == [[10.0, 10.0], [10.0]]


def _gathering(monkeypatch: pytest.MonkeyPatch, index: int, theirs: object) -> None:
    def gather(values: list[object], ours: object, group: dict[str, object]) -> None:
        assert group["backend"] == "gloo"
        values[:] = [ours, theirs] if index == 0 else [theirs, ours]

    monkeypatch.setattr(dist, "all_gather_object", gather)


def test_values_come_in_the_order_of_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    _gathering(monkeypatch, 1, "first")
    assert Processes(1, 2).gathered("second") == ["first", "second"]


@pytest.mark.parametrize(("ours", "theirs"), [(True, False), (False, True), (True, True), (False, False)])
def test_an_error_of_one_is_the_error_of_all(ours: bool, theirs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = DataError("mine"), DataError("other")
    _other(monkeypatch, [torch.tensor([float(theirs)], dtype=torch.float64)])
    _gathering(monkeypatch, 1, other if theirs else None)

    def block() -> None:
        with Processes(1, 2).together():
            if ours:
                raise mine

    if not (ours or theirs):
        block()
        return
    with pytest.raises(DataError, match="mine" if ours else "other"):
        block()
    assert distributed._told == [mine if ours else other], "the first process says it, the others do not"


def test_another_process_that_is_gone_is_the_environments_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("Connection closed by peer")

    two = Processes(0, 2)
    asks: dict[str, Callable[[], object]] = {
        "all_reduce": lambda: two.mean([0.0]),
        "broadcast": lambda: two.copy_first([torch.zeros(1)]),
        "all_gather_object": lambda: two.gathered(1),
    }
    for name, ask in asks.items():
        monkeypatch.setattr(dist, name, gone)
        with pytest.raises(EnvironmentFault, match="another process of this training ended"):
            ask()
    with pytest.raises(EnvironmentFault, match="another process"):
        two.average([torch.zeros(1)])


class _Line:
    """What the first process says to the others."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, messages: list[dict[str, Any]] | None = None) -> None:
        self.sent: list[dict[str, Any]] = []
        self.joined = self.left = 0
        self._messages = iter(messages or [])
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setattr(dist, "is_initialized", lambda: self.joined > self.left)
        monkeypatch.setattr(dist, "init_process_group", self._join)
        monkeypatch.setattr(dist, "destroy_process_group", self._leave)
        monkeypatch.setattr(dist, "broadcast_object_list", self._tell)

    def _join(self, backend: str) -> None:
        assert backend == ("nccl" if torch.cuda.is_available() else "gloo")
        self.joined += 1

    def _leave(self) -> None:
        self.left += 1

    def _tell(self, held: list[Any], source: int, group: dict[str, object]) -> None:
        assert (source, group["backend"]) == (0, "gloo")
        if held[0] is None:
            held[0] = next(self._messages)
        else:
            self.sent.append(held[0])


@pytest.mark.parametrize(
    ("error", "code"), [(None, 0), (DataError("wrong"), 2), (EnvironmentFault("no room"), 3), (KeyError("a bug"), 1)]
)
def test_the_others_end_with_the_first_and_its_code(
    error: Exception | None, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = _Line(monkeypatch)

    def work() -> None:
        with leading():
            order("distil", {"data": Path("a")}, Path("scratch"), Path("root"))
            if error is not None:
                raise error

    if error is None:
        work()
    else:
        with pytest.raises(type(error)):
            work()
    told = {"stage": "distil", "folders": {"data": Path("a")}, "scratch": Path("scratch"), "root": Path("root")}
    assert line.sent == [told, {"end": code}]
    assert (line.joined, line.left) == (1, 1)


@pytest.mark.parametrize("code", [0, 3])
def test_the_others_join_every_stage_until_the_end(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    line = _Line(monkeypatch, [{"stage": "teach"}, {"stage": "distil"}, {"end": code}])
    joined: list[str] = []
    with pytest.raises(SystemExit) as ended:
        follow(lambda received: joined.append(received["stage"]))
    assert (joined, ended.value.code) == (["teach", "distil"], code)
    assert (line.joined, line.left) == (1, 1)


@pytest.mark.parametrize(("known", "ends"), [(True, SystemExit), (False, DataError)])
def test_an_error_that_all_know_is_not_said_twice(
    known: bool, ends: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    _Line(monkeypatch, [{"stage": "teach"}])
    error = DataError("wrong")
    if known:
        distributed._told.append(error)

    def join(received: dict[str, Any]) -> None:
        raise error

    with pytest.raises(ends) as ended:
        follow(join)
    if known:
        assert ended.value.code == error.exit_code  # type: ignore[attr-defined]


def test_ctrl_c_ends_another_process_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    _Line(monkeypatch, [{"stage": "teach"}])

    def join(received: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        follow(join)
    assert ended.value.code == Interrupted.exit_code


@pytest.mark.parametrize(("place", "refused"), [("1", False), ("2", True), ("3", True)])
def test_each_process_needs_a_gpu_where_there_are_some(
    place: str, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    taken: list[int] = []
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setenv("LOCAL_RANK", place)
    line = _Line(monkeypatch, [{"end": 0}])
    with pytest.raises(EdgetlError if refused else SystemExit) as ended:
        follow(lambda received: None)
    assert taken == ([] if refused else [int(place)])
    assert line.joined == (not refused)
    if refused:
        assert f"got {int(place) + 1} processes or more on this machine" in str(ended.value)
        assert "2 GPUs" in str(ended.value)


def test_the_environment_is_left_as_it_was() -> None:
    assert "WORLD_SIZE" not in os.environ
