"""Several processes of one launcher (`torchrun`, `accelerate launch`) that train together.

The first process does everything; the others only join its training stages. Between those they wait for its orders
(`pipeline.follow`). Inside a training every process takes its share of each batch, and all of them walk in step:

- gradients are averaged over one flat buffer, always in the same order, so that a resumed run has the same bits (PyTorch's
  DistributedDataParallel regroups its buffers after the first step, and forgets parameters that thaw later);
- whatever ends one process ends all with the same error (`Processes.together`).

What is said and decided goes over gloo, which waits for as long as the first process computes something else.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from edgetl.errors import EdgetlError, EnvironmentFault, Interrupted

if TYPE_CHECKING:
    from torch import Tensor

_PATIENCE = timedelta(days=30)
_told: list[EdgetlError] = []
"""Errors that all processes know of; the first one says them."""
_talking: list[Any] = []
"""The group for talking, once there is one."""


def launched() -> int:
    """How many processes the launcher started; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def follows() -> bool:
    """Whether this process is one of the others, not the first."""
    return launched() > 1 and int(os.environ.get("RANK", "0")) > 0


@dataclass(frozen=True)
class Processes:
    """Those that train together; alone, everything here does nothing.

    index: of this process; count: of all.
    """

    index: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and says things."""
        return self.index == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace every tensor by its mean over the processes, in place."""
        if self.count == 1 or not tensors:
            return
        import torch
        import torch.distributed as dist

        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with _reaching():
            dist.all_reduce(flat)
        parts = torch.split(flat.div_(self.count), [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))

    def copy_first(self, tensors: Sequence[Tensor]) -> None:
        """Replace every tensor by that of the first process, in place."""
        if self.count == 1:
            return
        import torch.distributed as dist

        with _reaching():
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def mean(self, values: list[float]) -> list[float]:
        """Mean of each value over the processes, the same on all of them."""
        if self.count == 1:
            return values
        import torch
        import torch.distributed as dist

        total = torch.tensor(values, dtype=torch.float64)
        with _reaching():
            dist.all_reduce(total, group=_talk())
        mean: list[float] = (total / self.count).tolist()
        return mean

    def wait(self) -> None:
        """Go on when all are here."""
        self.mean([0.0])

    def gathered(self, value: Any) -> list[Any]:
        """What every process has, in their order."""
        if self.count == 1:
            return [value]
        import torch.distributed as dist

        found: list[Any] = [None] * self.count
        with _reaching():
            dist.all_gather_object(found, value, group=_talk())
        return found

    @contextmanager
    def together(self) -> Iterator[None]:
        """An error of one process in the block becomes the error of all; all must enter and leave it."""
        failure: EdgetlError | None = None
        try:
            yield
        except EdgetlError as exc:
            if self.count == 1:
                raise
            failure = exc
        if self.mean([float(failure is not None)]) == [0.0]:
            return
        everybody = self.gathered(failure)
        error: EdgetlError = failure or next(one for one in everybody if one is not None)
        _told.append(error)
        raise error


@contextmanager
def leading() -> Iterator[None]:
    """For the first process, around its whole work: the others end with it, and with its exit code."""
    if launched() == 1:
        yield
        return
    code = 1
    _join()
    try:
        yield
        code = 0
    except EdgetlError as exc:
        code = exc.exit_code
        raise
    finally:
        _end(code)


def order(stage: str, folders: Mapping[str, Path], scratch: Path, root: Path) -> None:
    """Tell the other processes to join a stage: the folders it reads, its checkpoints, and where the images are."""
    if launched() > 1:
        with _reaching():
            _broadcast({"stage": stage, "folders": dict(folders), "scratch": scratch, "root": root})


def follow(join: Callable[[dict[str, Any]], None]) -> NoReturn:
    """For the others: call `join` with every order, until the first process ends; exits with the code of that one."""
    _join()
    try:
        while True:
            with _reaching():
                received = _broadcast(None)
            if "end" in received:
                _leave()
                raise SystemExit(received["end"])
            join(received)
    except EdgetlError as exc:
        if exc in _told:
            raise SystemExit(exc.exit_code) from exc
        raise
    except KeyboardInterrupt:
        raise SystemExit(Interrupted.exit_code) from None


def _broadcast(message: dict[str, Any] | None) -> dict[str, Any]:
    """The first process's message; None on the others."""
    import torch.distributed as dist

    held: list[Any] = [message]
    dist.broadcast_object_list(held, 0, group=_talk())
    received: dict[str, Any] = held[0]
    return received


def _end(code: int) -> None:
    # Where an error ended all of them, the others are gone, and there is nobody to tell.
    with contextlib.suppress(RuntimeError):
        _broadcast({"end": code})
    _leave()


@contextmanager
def _reaching() -> Iterator[None]:
    """Translate what torch says when another process is gone."""
    try:
        yield
    except RuntimeError as exc:
        raise EnvironmentFault(
            "another process of this training ended or cannot be reached",
            hint="its own message says why; all of them must see the same store",
        ) from exc


def _join() -> None:
    """Wait until all processes are there."""
    import torch
    import torch.distributed as dist

    if not dist.is_initialized():
        gpu, place = torch.cuda.is_available(), int(os.environ.get("LOCAL_RANK", "0"))
        if gpu:
            if place >= torch.cuda.device_count():
                raise EnvironmentFault(
                    f"got {place + 1} processes or more on this machine, expected one for each of its "
                    f"{torch.cuda.device_count()} GPUs",
                    hint="start as many processes as there are GPUs",
                )
            torch.cuda.set_device(place)
        dist.init_process_group("nccl" if gpu else "gloo")
    _talk()


def _talk() -> Any:
    """The gloo group for what is said and decided; all processes must ask for it for the first time together."""
    import torch.distributed as dist

    if not _talking:
        _talking.append(dist.new_group(backend="gloo", timeout=_PATIENCE))
    return _talking[0]


def _leave() -> None:
    import torch.distributed as dist

    _talking.clear()
    if dist.is_initialized():
        dist.destroy_process_group()
