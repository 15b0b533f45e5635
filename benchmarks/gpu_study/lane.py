"""One training on the device: a step is a CUDA graph that reads all of an epoch's numbers from tensors filled before it.

Nothing is drawn inside the graph and nothing is read back, so the host only replays it, and several lanes share the GPU on
streams of their own. On a CPU the same step runs as it stands.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from benchmarks.gpu_study import augment
from edgetl.models.architecture import Network
from edgetl.training.hints import Hints, heard, hint_loss, hints_between
from edgetl.training.losses import DISTIL_LOSSES
from edgetl.training.optimizer import parameter_groups

_AHEAD = 12  # steps of a lane that may wait on the device
_WARM = 3
_CLIP_NORM = 5.0
_RECALIBRATION = 1024
Factor = Callable[[int], float]


@dataclass(frozen=True)
class Arrays:
    """uint8 [N, H, W, 3] and int64 [N] on the device; rows of each split, int64."""

    images: Tensor
    labels: Tensor
    train: Tensor
    val: Tensor
    test: Tensor
    classes: int

    def to(self, device: torch.device) -> Arrays:
        """The same on another device."""
        images, labels, train, val, test = (
            tensor.to(device) for tensor in (self.images, self.labels, self.train, self.val, self.test)
        )
        return Arrays(images, labels, train, val, test, self.classes)


@dataclass(frozen=True)
class Settings:
    """As in a recipe; `teachers` are asked where `weight` is above 0, and `hints` come from the first of them."""

    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    batch: int = 128
    ema: float = 0.999
    strength: augment.Strength = augment.STRONG
    mixup: float = 0.0
    loss: str = "dist"
    weight: float = 0.0
    temperature: float = 2.0
    teachers: tuple[nn.Module, ...] = ()
    layer_decay: float = 1.0
    hints: float = 0.0


class Lane:
    """A network under training; `steps` of an epoch, `train`, `logits`, and the state to come back to."""

    def __init__(self, network: nn.Module, data: Arrays, settings: Settings, seed: int) -> None:
        self.data, self.settings, self.seed = data, settings, seed
        self.device = data.images.device
        self.cuda = self.device.type == "cuda"
        self.stream = torch.cuda.Stream() if self.cuda else None  # type: ignore[no-untyped-call]
        self.network = laid_out(network, self.device, torch.channels_last).train()
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.hints = self._hints()
        groups = parameter_groups(self.network, settings)  # type: ignore[arg-type]
        if self.hints is not None:
            groups.append({"params": list(self.hints.parameters()), "weight_decay": settings.weight_decay})
        for group in groups:
            group["lr"] = torch.tensor(0.0, device=self.device)
        self.optimizer = torch.optim.AdamW(
            groups, lr=torch.tensor(0.0, device=self.device), fused=True, capturable=self.cuda
        )
        self.steps = max(1, len(data.train) // settings.batch)
        counts = torch.bincount(data.labels[data.train], minlength=data.classes).float()
        self.shift = (counts / counts.sum()).log()
        self._tables()
        self.graphs: dict[int, Any] = {}
        self.updates = self.epoch = 0
        self._events: list[Any] = []
        if self.cuda:
            torch.cuda.synchronize()  # what was made above lies on another stream

    def _hints(self) -> Hints | None:
        """Projections, made on the CPU, of copies of the networks."""
        settings, side = self.settings, int(self.data.images.shape[1])
        if settings.hints == 0:
            return None
        student, teacher = (
            laid_out(copy.deepcopy(network), torch.device("cpu"), torch.contiguous_format)
            for network in (self.network, settings.teachers[0])
        )
        hints = hints_between(cast(Network, student), teacher, side, side, settings.hints, self.seed)
        hints.to(self.device)
        return hints

    def _tables(self) -> None:
        count, device = self.steps * self.settings.batch, self.device
        self.rows = torch.zeros(count, dtype=torch.int64, device=device)
        self.places = torch.zeros(count, 2, 3, device=device)
        self.colours = torch.zeros(count, 3, 4, device=device)
        self.blend, self.rate, self.decay = (torch.zeros(self.steps, device=device) for _ in range(3))
        # Of one place: a scalar would be read back to index.
        self.index = torch.zeros(1, dtype=torch.int64, device=device)
        self.within = torch.arange(self.settings.batch, device=device)
        self.label_loss = torch.zeros((), device=device)

    def on_stream(self) -> Any:
        """Where the lane's work has to be asked for."""
        return torch.cuda.stream(self.stream) if self.cuda else nullcontext()

    def _step(self, size: int) -> None:
        settings, index = self.settings, self.index
        places = index * settings.batch + self.within
        rows = self.rows[places]
        images = augment.apply(self.data.images[rows], self.places[places], self.colours[places])
        if size != images.shape[-1]:
            images = F.interpolate(images, size=(size, size), mode="bilinear", antialias=True)
            images = images.contiguous(memory_format=torch.channels_last)
        labels = self.data.labels[rows]
        if settings.mixup > 0:
            share = self.blend.index_select(0, index)
            images = images * share + images.roll(1, 0) * (1 - share)
            hot = F.one_hot(labels, self.data.classes).float()
            labels = hot * share + hot.roll(1, 0) * (1 - share)
        ours = None
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.cuda, cache_enabled=False):
            if self.hints is None:
                logits = self.network(images)
            else:
                logits, ours = cast(Network, self.network).with_features(images)
        logits = logits.float()
        loss = label_loss = F.cross_entropy(logits + self.shift, labels)
        if settings.weight > 0:
            with (
                torch.no_grad(),
                torch.autocast(self.device.type, torch.bfloat16, enabled=self.cuda, cache_enabled=False),
            ):
                targets = torch.stack([teacher(images).float() for teacher in settings.teachers]).mean(0)
            distil = DISTIL_LOSSES[settings.loss].function()
            loss = loss + settings.weight * distil(logits, targets, settings.temperature, labels)
        if self.hints is not None and ours is not None:
            with (
                torch.no_grad(),
                torch.autocast(self.device.type, torch.bfloat16, enabled=self.cuda, cache_enabled=False),
            ):
                _, theirs = heard(settings.teachers[0], images)
            loss = loss + settings.hints * hint_loss(self.hints(ours.float(), [each.float() for each in theirs]))
        loss.backward()  # type: ignore[no-untyped-call]
        learned = list(self.network.parameters())
        parameters = [*learned, *(self.hints.parameters() if self.hints is not None else ())]
        nn.utils.clip_grad_norm_(parameters, _CLIP_NORM, foreach=True)
        rate, decay = (table.index_select(0, index).reshape(()) for table in (self.rate, self.decay))
        for group in self.optimizer.param_groups:
            group["lr"].copy_(rate * group.get("lr_scale", 1.0))
        self.optimizer.step()
        torch._foreach_zero_([parameter.grad for parameter in parameters if parameter.grad is not None])
        averaged: list[Tensor] = list(self.average.parameters())
        towards = torch._foreach_sub([p.detach() for p in learned], averaged)
        torch._foreach_mul_(towards, 1 - decay)
        torch._foreach_add_(averaged, towards)
        self.label_loss.copy_(label_loss.detach())
        self.index += 1

    def _run(self, size: int) -> None:
        if not self.cuda:
            self._step(size)
            return
        if size not in self.graphs:
            self._capture(size)
        self.graphs[size].replay()

    def _capture(self, size: int) -> None:
        before, index = self.state(), self.index.clone()
        self.index.zero_()
        for _ in range(_WARM):
            self._step(size)
            self.index.zero_()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
            self._step(size)
        self.graphs[size] = graph
        self.restore(before)
        self.index.copy_(index)

    def _fill(self, factors: list[float]) -> None:
        settings, count = self.settings, self.steps * self.settings.batch
        generator = torch.Generator(self.device)
        generator.manual_seed(int(np.random.SeedSequence((self.seed, self.epoch)).generate_state(1)[0]))
        order = torch.randperm(len(self.data.train), device=self.device, generator=generator)
        self.rows.copy_(
            self.data.train[order[:count]] if len(order) >= count else self.data.train[order.repeat(count)[:count]]
        )
        places, colours = augment.draw(count, settings.strength, generator)
        self.places.copy_(places)
        self.colours.copy_(colours)
        random = np.random.default_rng((self.seed, self.epoch))
        if settings.mixup > 0:
            self._upload(self.blend, random.beta(settings.mixup, settings.mixup, self.steps))
        self._upload(self.rate, [settings.learning_rate * factor for factor in factors])
        updates = [self.updates + step + 1 for step in range(self.steps)]
        self._upload(self.decay, [min(settings.ema, (1 + update) / (10 + update)) for update in updates])
        self.index.zero_()
        self.updates += self.steps

    def _upload(self, table: Tensor, values: Any) -> None:
        table.copy_(torch.as_tensor(np.asarray(values), dtype=torch.float32).to(self.device))

    def train(self, epochs: int, factor: Factor, small: int = 0) -> Iterator[bool | None]:
        """Train `epochs` more, the first `small` of them on pictures of three quarters of the side.

        Yields whether it may go on at once; False while the device has enough of it to do.

        Args:
            factor: of the peak rate by the step, counted from the first of these epochs.
        """
        full = int(self.data.images.shape[1])
        for epoch in range(epochs):
            size = full * 3 // 4 if epoch < small else full
            with self.on_stream():
                self._fill([factor(epoch * self.steps + step) for step in range(self.steps)])
            for _ in range(self.steps):
                with self.on_stream():
                    self._run(size)
                yield from self._queued()
            self.epoch += 1

    def _queued(self) -> Iterator[bool | None]:
        if not self.cuda:
            yield True
            return
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(self.stream)
        self._events.append(event)
        while len(self._events) > _AHEAD and not self._events[0].query():
            yield False
        if len(self._events) > _AHEAD:
            self._events.pop(0)
        yield True

    def state(self) -> list[Tensor]:
        """A copy of all that training changes."""
        return [tensor.clone() for tensor in self._tensors()]

    def restore(self, state: list[Tensor]) -> None:
        """Go back to a copy; optimizer state that it does not have yet becomes zero."""
        with torch.no_grad():
            tensors = self._tensors()
            for tensor, kept in zip(tensors, state, strict=False):
                tensor.copy_(kept)
            for tensor in tensors[len(state) :]:
                tensor.zero_()

    def _tensors(self) -> list[Tensor]:
        networks = [
            *self.network.parameters(),
            *self.network.buffers(),
            *self.average.parameters(),
            *self.average.buffers(),
        ]
        moments = [
            value for state in self.optimizer.state.values() for value in state.values() if isinstance(value, Tensor)
        ]
        projections = [] if self.hints is None else list(self.hints.parameters())
        return networks + projections + moments

    def judged(self) -> nn.Module:
        """A copy of the averaged network, its BatchNorm measured on training images."""
        with self.on_stream():
            network = copy.deepcopy(self.average).eval()
            generator = torch.Generator(self.device).manual_seed(self.seed)
            order = torch.randperm(len(self.data.train), device=self.device, generator=generator)
            rows = self.data.train[order[: min(_RECALIBRATION, len(order))]]
            norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
            with torch.inference_mode():
                for norm in norms:
                    norm.train()
                for number, some in enumerate(torch.split(rows, self.settings.batch)):
                    for norm in norms:
                        norm.momentum = 1 / (number + 1)  # a plain average, without reading a counter back
                    network(augment.plain(self.data.images[some]))
            for norm in norms:
                norm.momentum = 0.1
            return network.eval()

    def logits(self, network: nn.Module, rows: Tensor) -> Tensor:
        """float32 [len(rows), C], on the device."""
        with self.on_stream(), torch.inference_mode():
            return torch.cat(
                [network(augment.plain(self.data.images[some])) for some in torch.split(rows, 512)]
            ).float()


def laid_out(network: nn.Module, device: torch.device, memory_format: torch.memory_format) -> nn.Module:
    """The network itself, moved; torch's stubs do not know that a module takes a memory format."""
    moved: nn.Module = network.to(device, memory_format=memory_format)  # type: ignore[call-overload]
    return moved


def with_teachers(settings: Settings, teachers: list[nn.Module], **changes: Any) -> Settings:
    """The settings with these networks as teachers."""
    return replace(settings, teachers=tuple(teacher.eval().requires_grad_(False) for teacher in teachers), **changes)
