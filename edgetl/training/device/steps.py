"""Steps that are recorded once as a CUDA graph and replayed, so that the host only says when.

A compact network's step is some thousand small kernels: launched one by one, with a look at the loss after each step, they
leave a large GPU idle most of the time. Here everything random of an epoch is drawn before it, learning rate, decay of the
average and blend lie on the device as numbers, and losses and the first bad step are written down there, to be read at the
next checkpoint. On a CPU, where tests run it, the same step is computed as it stands.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgetl.data.augment import Augment
from edgetl.errors import out_of_memory
from edgetl.errors.wording import first_line
from edgetl.runtime.preprocessing import DIVISOR, OFFSET
from edgetl.training.batches import drawing_rows, epoch_order, unlabelled_numbers
from edgetl.training.device import augment, mixing
from edgetl.training.device.pictures import fit, placed
from edgetl.training.device.record import Record
from edgetl.training.device.shrinking import Shrink
from edgetl.training.diagnostics import diverged, naming_memory
from edgetl.training.ema import decay_at
from edgetl.training.job import Job
from edgetl.training.objective import Objective
from edgetl.training.state import State
from edgetl.training.step import CLIP_NORM, seed_generators
from edgetl.training.steps import Rate

__all__ = ["DeviceSteps", "can_train"]

_WARM = 3
"""Steps before the recording: libraries choose and set up their kernels in the first ones."""
_AHEAD = 8
"""Steps that may wait on the device; more would make Ctrl-C and the progress late."""


def can_train(job: Job, scaler: Any) -> bool:
    """Whether a job can be trained so: without a scaler of gradients, and with an augmentation that has a twin here."""
    return scaler is None and (job.data.augment is None or isinstance(job.data.augment, Augment))


@cache
def _recorder(device: torch.device) -> torch.cuda.Stream:
    """The stream that records: one for all, since libraries keep working memory for each."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _generator(device: torch.device) -> torch.Generator:
    """What dropout draws from."""
    index = torch.cuda.current_device() if device.index is None else device.index
    generator: torch.Generator = torch.cuda.default_generators[index]
    return generator


class _Inputs:
    """What a step reads, always from the same places: a recording knows nothing else.

    pixels: uint8 [B + U, H, W, 3], the last U without labels; labels: int64 [B]; drawn: float [B + U, K], of the augmentation.
    rate, decay: of this step; index: int64, its number in the epoch.
    kept: float [H, W], share: what mixup and CutMix leave of each picture and label.
    """

    def __init__(self, job: Job, unlabelled: int, size: tuple[int, int], device: torch.device) -> None:
        """unlabelled: U."""
        pictures, whole = job.batch_size + unlabelled, job.data.images.shape[1:3]
        self.pixels = torch.zeros((pictures, *whole, 3), dtype=torch.uint8, device=device)
        self.labels = torch.zeros(job.batch_size, dtype=torch.int64, device=device)
        self.drawn = torch.zeros((pictures, augment.COLUMNS), device=device)
        self.rate, self.decay, self.share = (torch.zeros((), device=device) for _ in range(3))
        self.index = torch.zeros((), dtype=torch.int64, device=device)
        self.kept = torch.zeros(size, device=device)


class DeviceSteps:
    """See `edgetl.training.steps.Steps`; of one process alone, on one device, without a gradient scaler.

    Attributes:
        pictures: those of training and validation, on the device where they and the unlabelled ones fit.
        waited: always 0: batches are made ready ahead of the device, and nobody looks when it takes them.
        note: why the step could not be recorded and is launched kernel by kernel; empty where it could.
    """

    def __init__(self, job: Job, state: State, device: torch.device, precision: torch.dtype | None = None) -> None:
        """precision: of the forward passes, torch.bfloat16; None is float32."""
        self._job, self._state, self._device = job, state, device
        resident = device.type != "cuda" or fit(job.data, device)
        self._source, self.pictures, self._further = placed(job.data, device, resident)
        self.waited, self.note = 0.0, ""
        # Without its cache, which would keep a copy of the weights that no replay renews.
        self._objective = Objective(
            job,
            device,
            lambda: torch.autocast(device.type, precision, enabled=precision is not None, cache_enabled=False),
        )
        for group in state.optimizer.param_groups:
            group["lr"] = torch.zeros((), device=device)
        self._whole: tuple[int, int] = tuple(job.data.images.shape[1:3])  # type: ignore[assignment]
        unlabelled = unlabelled_numbers(job.data, job.batch_size, job.seed, 1).shape[1]
        self._inputs = _Inputs(job, unlabelled, self._whole, device)
        self._record = Record(device)
        self._shrink: Shrink | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._ready_for: tuple[object, ...] = ()
        self._under_way: deque[torch.cuda.Event] = deque()
        self._at: tuple[int, NDArray[np.int64]] = (0, np.empty(0, dtype=np.int64))

    def epoch(self, epoch: int, start: int, size: tuple[int, int] | None, rate: Rate) -> Iterator[tuple[float, float]]:
        """See `Steps`."""
        job, state, inputs = self._job, self._state, self._inputs
        batch = job.batch_size
        order = epoch_order(job.data, job.seed, epoch)[: job.batches * batch]
        self._at = epoch, order
        rows = order.reshape(-1, batch)[start:]
        numbers = unlabelled_numbers(job.data, batch, job.seed, epoch)[start:]
        labels = self._sent(job.data.labels[rows])
        drawn = None if job.data.augment is None else self._sent(self._drawn(rows, numbers, epoch))
        updates = 0 if state.average is None else state.average.updates
        steps = range(start, job.batches)
        rates = self._sent(np.array([rate(index) for index in steps], dtype=np.float32))
        decays = self._sent(np.array([self._decay(updates + index - start + 1) for index in steps], dtype=np.float32))
        further = f" and {numbers.shape[1]} without labels" if numbers.size else ""
        with naming_memory(job.label, lambda: f"epoch {epoch}, with batches of {batch} images{further}"):
            for place, pixels in enumerate(self._pixels(rows, numbers)):
                index = start + place
                torch.cat(pixels, out=inputs.pixels)
                inputs.labels.copy_(labels[place])
                inputs.rate.copy_(rates[place])
                inputs.decay.copy_(decays[place])
                inputs.index.fill_(index)
                if drawn is not None:
                    inputs.drawn.copy_(drawn[place])
                self._make_ready(size, job.freezes(epoch))
                if job.settings.mixup > 0 or job.settings.cutmix > 0:
                    kept, share = mixing.drawn(job.settings, *(size or self._whole), job.seed, epoch, index)
                    inputs.kept.copy_(self._sent(kept))
                    inputs.share.copy_(self._sent(share))
                seed_generators(job.seed, epoch, index, 0, self._device)
                if self._graph is None:
                    self._compute()
                else:
                    self._graph.replay()
                if state.average is not None:
                    state.average.updates += 1
                self._hold_back()
                yield 0.0, 0.0

    def settle(self) -> tuple[float, float]:
        """See `Steps`."""
        label, distil, bad = self._record.read()
        if bad is not None:
            index, loss = bad
            epoch, order = self._at
            size = self._job.batch_size
            rows = order[index * size : (index + 1) * size]
            raise diverged(self._job.label, epoch, index, rows, self._job.data, loss)
        return label, distil

    def release(self) -> None:
        """See `Steps`."""
        self._graph, self._ready_for = None, ()
        self._state.optimizer.zero_grad(set_to_none=True)

    def _sent(self, values: NDArray[np.generic] | Tensor) -> Tensor:
        """On the device, without waiting for what it computes."""
        tensor = values if isinstance(values, Tensor) else torch.from_numpy(np.ascontiguousarray(values))
        return tensor.pin_memory().to(self._device, non_blocking=True) if self._device.type == "cuda" else tensor

    def _pixels(self, rows: NDArray[np.int64], numbers: NDArray[np.int64]) -> Iterator[tuple[Tensor, ...]]:
        """Of each batch, uint8 [B, H, W, 3] by `rows` [batches, B], and [U, H, W, 3] by `numbers` [batches, U] where U > 0."""
        labelled = self._source.batches(rows.ravel(), rows.shape[1])
        if self._further is None or not numbers.size:
            return zip(labelled, strict=True)
        return zip(labelled, self._further.batches(numbers.ravel(), numbers.shape[1]), strict=True)

    def _drawn(self, rows: NDArray[np.int64], numbers: NDArray[np.int64], epoch: int) -> NDArray[np.float32]:
        """What the augmentation does to each picture of each batch, float32 [batches, B + U, K]."""
        data, seed = self._job.data, self._job.seed
        assert isinstance(data.augment, Augment)
        pictures = np.concatenate([rows, drawing_rows(data, numbers)], axis=1)
        drawn = augment.draw(data.augment.strength, pictures.ravel(), seed, epoch, self._whole)
        return drawn.reshape(*pictures.shape, augment.COLUMNS)

    def _decay(self, updates: int) -> float:
        average = self._state.average
        return 0.0 if average is None else decay_at(average.decay, updates)

    def _hold_back(self) -> None:
        """Wait until no more than `_AHEAD` steps are waiting on the device."""
        if self._device.type != "cuda":
            return
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        self._under_way.append(event)
        if len(self._under_way) > _AHEAD:
            self._under_way.popleft().synchronize()

    def _make_ready(self, size: tuple[int, int] | None, frozen: bool) -> None:
        """Record the step anew where pictures of another size come, or other parameters learn."""
        if self._ready_for == (size, frozen):
            return
        self.release()
        self._ready_for = size, frozen
        self._shrink = None if size is None else Shrink(self._whole, size, self._device)
        self._inputs.kept = torch.ones(size or self._whole, device=self._device)
        self._inputs.share.fill_(1.0)
        if self._device.type == "cuda" and not self.note:
            self._capture()

    def _capture(self) -> None:
        """Record a step, and leave everything that it changes as it was."""
        before = [tensor.clone() for tensor in self._changing()]
        recorder = _recorder(self._device)
        recorder.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(recorder):
            for _ in range(_WARM):
                self._compute()
        torch.cuda.synchronize(self._device)
        gc.collect()  # not while recording: it may free what belongs to the device
        # A recording that ends badly leaves the device's generator in it for good, and every dropout after it would fail
        # (torch 2.11: CUDAGraph::capture_end raises before the generators' epilogues).
        generator = _generator(self._device)
        clean = generator.clone_state()
        graph = torch.cuda.CUDAGraph()
        self._state.optimizer.zero_grad(set_to_none=True)
        try:
            # The outer block gives the stream back also where a recording ends badly, which the inner one does not. Other
            # threads, which read pictures, may go on calling the device meanwhile.
            with (
                torch.cuda.stream(recorder),
                torch.cuda.graph(graph, stream=recorder, capture_error_mode="thread_local"),
            ):
                self._compute()
            self._graph = graph
        except RuntimeError as exc:
            if out_of_memory(exc):
                raise
            generator.graphsafe_set_state(clean)
            self.note = f"the step could not be recorded and is launched kernel by kernel: {first_line(exc)}"
            self._state.optimizer.zero_grad(set_to_none=True)
        after = self._changing()
        for tensor, kept in zip(after, before, strict=False):
            tensor.copy_(kept)
        for tensor in after[len(before) :]:  # the optimizer's state, which the first step makes
            tensor.zero_()

    def _changing(self) -> list[Tensor]:
        """All that a step changes.

        Apart from autograd: a copy of a parameter would keep the node that adds up its gradient, on the stream of the copy,
        and no other stream could record a step with it.
        """
        state, average = self._state, self._state.average
        networks = [state.network] if average is None else [state.network, average.network]
        of_networks = [tensor for network in networks for tensor in (*network.parameters(), *network.buffers())]
        of_networks += [] if state.hints is None else state.hints.parameters()
        moments = [value for kept in state.optimizer.state.values() for value in kept.values()]
        return [tensor.detach() for tensor in (*of_networks, *self._record.tensors(), *moments)]

    def _compute(self) -> None:
        """One step from the inputs; every line of it is a kernel, and none waits for one."""
        state, inputs = self._state, self._inputs
        state.optimizer.zero_grad(set_to_none=True)
        images, labels = self._batch()
        losses = self._objective(state.network, images, labels)
        losses.total.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(state.parameters(), CLIP_NORM, foreach=True)
        self._record.note(losses, norm, inputs.index)
        for group in state.optimizer.param_groups:
            group["lr"].copy_(inputs.rate * group["lr_scale"])
        state.optimizer.step()
        if state.average is not None:
            state.average.move(state.network, inputs.decay)

    @torch.no_grad()
    def _batch(self) -> tuple[Tensor, Tensor]:
        """float [B + U, 3, H, W] in [-1, 1), channels last, and labels [B] or [B, C], as the network is taught them."""
        job, inputs = self._job, self._inputs
        if job.data.augment is None:
            images = inputs.pixels.permute(0, 3, 1, 2).float()
        else:
            images = augment.apply(inputs.pixels, inputs.drawn)
        if self._shrink is not None:
            images = self._shrink(images)
        images, labels = images.sub(OFFSET).div(DIVISOR), inputs.labels
        if job.settings.mixup > 0 or job.settings.cutmix > 0:
            # Only what has a label can be blended with its label.
            batch = job.batch_size
            blended, labels = mixing.blend(images[:batch], labels, job.data.classes, inputs.kept, inputs.share)
            images = torch.cat([blended, images[batch:]])
        return images.contiguous(memory_format=torch.channels_last), labels
