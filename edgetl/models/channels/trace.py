"""Run a network once and write down which channels depend on each other.

Every tensor that an operation reads or writes is followed on the level of ATen, so that how the network is written does
not matter: modules, functions, lone parameters, views and slices all end there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from edgetl.models.channels.bonds import IMAGE, OUTPUTS, Atoms, Bonds, Broken
from edgetl.models.channels.rules import Dims, Rule, none, rule_of
from edgetl.models.channels.sizes import numbers_of

__all__ = ["Trace", "Tracer", "names_of", "run", "tensors_of"]

_SPLITS = {"split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "unbind"}
_UNFORESEEN = (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError)
_RESHAPING = {"reshape", "view", "unflatten"}


@dataclass
class Trace:
    """What a run of a network told.

    atoms: of each dimension of each parameter and buffer, by name. image: of its channels. choices: which way was taken
    where there were several. numbers: for each module, the sizes of channel dimensions it was seen to work with, and
    their atoms (None: no channels). rows: the same for several sizes at once, as in a split. coupled: what may have to
    keep the same length, and whether no number of the module says it. kinds: names of operations and an atom they met.
    """

    atoms: dict[str, Dims] = field(default_factory=dict)
    image: Atoms | None = None
    choices: list[int] = field(default_factory=list)
    numbers: dict[str, list[tuple[int, Atoms | None]]] = field(default_factory=dict)
    rows: dict[str, list[tuple[tuple[int, ...], Dims]]] = field(default_factory=dict)
    coupled: list[tuple[Atoms, Atoms, bool]] = field(default_factory=list)
    kinds: list[tuple[str, Atoms]] = field(default_factory=list)


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers that a saved network has, by name, those of several names once."""
    saved = network.state_dict().keys()
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    return {name: tensor for name, tensor in tensors.items() if name in saved}


def run(network: nn.Module, image: Tensor, bonds: Bonds, held: Trace | None = None, keep: Any = None) -> Trace:
    """Trace one run in eval mode.

    Args:
        image: [1, 3, H, W].
        bonds: what collects the bonds, or holds the network to those of another.
        held: the trace of the whole network, for one that was pruned: its atoms and choices are taken.
        keep: atoms -> [n] whether each is still there.

    Raises:
        Broken: the network is at odds with its bonds.
    """
    trace = Trace()
    tracer = Tracer(network, bonds, trace, held)
    kernels = {f"{name}.weight" for name, module in network.named_modules() if isinstance(module, _ConvNd)}
    for name, tensor in tensors_of(network).items():
        if held is None:
            lone = tensor.ndim if name not in kernels else 2
            dims: Dims = [
                bonds.fresh(size) if size > 1 and dim < lone else None for dim, size in enumerate(tensor.shape)
            ]
        else:
            dims = [None if atoms is None else atoms[keep(atoms)] for atoms in held.atoms[name]]
            if any(d is not None and len(d) != size for d, size in zip(dims, tensor.shape, strict=True)):
                raise Broken(f"{name}: has another shape")
        trace.atoms[name] = dims
        tracer.give(tensor, dims)
    channels = bonds.fresh(image.shape[1]) if held is None else held.image
    assert channels is not None
    trace.image = channels
    tracer.give(image, [None, channels, None, None])
    bonds.pin(channels, IMAGE)
    # In inference mode operations arrive whole, before they fall into those that have rules.
    with torch.inference_mode(False), torch.no_grad(), tracer.watching(), _Calls(tracer), tracer:
        output = network(image)
    for value in tree_iter(output):
        if isinstance(value, Tensor):
            for atoms in tracer.of(value):
                bonds.pin(atoms, OUTPUTS)
    return trace


def names_of(network: nn.Module) -> dict[str, str]:
    """Every name of every tensor of `tensors_of`, and the one it has there: tied weights have several names."""
    first = {id(tensor): name for name, tensor in tensors_of(network).items()}
    every = (*network.named_parameters(remove_duplicate=False), *network.named_buffers(remove_duplicate=False))
    return {name: first[id(tensor)] for name, tensor in every if id(tensor) in first}


class Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]  # its __init_subclass__ is untyped
    """Follows atoms through the operations of one run; what rules ask."""

    def __init__(self, network: nn.Module, bonds: Bonds, trace: Trace, held: Trace | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bonds, self.name = bonds, ""
        self._network, self._trace = network, trace
        self._replayed = None if held is None else iter(held.choices)
        self._dims: dict[int, tuple[Tensor, Dims]] = {}  # the tensor too, or its id would be given to another
        self._expanded: set[tuple[int, int]] = set()
        self._inside: list[tuple[str, list[Tensor]]] = []
        self._kwargs: Mapping[str, Any] = {}
        self._asked: tuple[int, ...] = ()

    def give(self, tensor: Tensor, dims: Dims) -> None:
        """Write down the atoms of a tensor."""
        self._dims[id(tensor)] = (tensor, dims)

    def of(self, tensor: Tensor) -> Dims:
        """The atoms of a tensor's dimensions."""
        found = self._dims.get(id(tensor))
        return none(tensor.shape) if found is None else found[1]

    def expand(self, tensor: Tensor, dims: set[int]) -> None:
        """The tensor repeats one value along these dimensions, to the size of what it will meet."""
        self._expanded.update((id(tensor), index) for index in dims)

    def expanded(self, tensor: Tensor, index: int) -> bool:
        """Whether it does along this one."""
        return (id(tensor), index) in self._expanded

    def choose(self, way: int) -> int:
        """Take a way, or the one that the whole network's trace took here."""
        if self._replayed is not None:
            way = next(self._replayed, way)
        self._trace.choices.append(way)
        return way

    def number(self, size: int, atoms: Atoms | None) -> None:
        """The running module works with a dimension of this size."""
        self._trace.numbers.setdefault(self._module, []).append((size, atoms))

    def row(self, sizes: tuple[int, ...], dims: Dims) -> None:
        """The running module works with several sizes at once."""
        self._trace.rows.setdefault(self._module, []).append((sizes, dims))

    def asked(self, out: Tensor) -> tuple[int, ...]:
        """The sizes that the network itself wrote for a reshape, -1 among them; () where it wrote none."""
        return self._asked if len(self._asked) == out.ndim else ()

    def couple(self, atoms: Atoms) -> None:
        """A reshape asks for as many channels as the running module's input has: perhaps it read them there."""
        if not self._inside:
            return
        numbers = numbers_of(self._network.get_submodule(self._module)).values()
        for value in self._inside[-1][1]:
            for others in self.of(value):
                if others is not None and len(others) == len(atoms):
                    self._trace.coupled.append((atoms, others, len(atoms) not in numbers))

    def reduced(self, args: tuple[Any, ...]) -> set[int]:
        """The dimensions that a reduction takes away; all of them where none is named."""
        dim = self._kwargs.get("dim")
        for value in args[1:]:
            named = type(value) is int and "norm" not in self.name  # a norm's number is its order
            if dim is None and (named or isinstance(value, (list, tuple))):
                dim = value
        if dim is None or dim == []:
            return set(range(args[0].ndim))
        return {index % args[0].ndim for index in ([dim] if isinstance(dim, int) else dim)}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and follow its atoms."""
        out = func(*args, **(kwargs or {}))
        self._kwargs = kwargs or {}
        self.name = func.overloadpacket.__name__
        self.bonds.where = f"{self.name} in {self._module or 'the network'}"
        if self.name in _SPLITS:
            self._split(args, out)
            return out
        first = out[0] if isinstance(out, (tuple, list)) and out else out
        inputs = [value for value in tree_iter((args, kwargs)) if isinstance(value, Tensor)]
        if isinstance(first, Tensor) and any(id(value) in self._dims for value in inputs):
            masks = [value for value in self._kwargs.values() if isinstance(value, Tensor)]
            self._follow(rule_of(func), (*args, *masks), out, first, inputs)
        return out

    def _follow(self, rule: Rule | None, args: Any, out: Any, first: Tensor, inputs: list[Tensor]) -> None:
        """What has no rule, or is used as its rule does not foresee, holds back its inputs."""
        try:
            if rule is not None:
                self._give(first, rule(self, args, out))
                return
        except Broken:
            if self._replayed is not None:
                raise
        except _UNFORESEEN:
            pass
        self.bonds.where += " is not known"
        for value in inputs:
            for atoms in self.of(value):
                self.bonds.pin(atoms)
        self.give(first, none(first.shape))

    def _give(self, tensor: Tensor, dims: Dims) -> None:
        for index, (size, atoms) in enumerate(zip(tensor.shape, dims, strict=True)):
            if atoms is not None and len(atoms) != size:
                raise Broken(f"{self.bonds.where}: {size} channels where there should be {len(atoms)}")
            if atoms is not None and size == 1:
                self.bonds.pin(atoms)
                dims = [*dims[:index], None, *dims[index + 1 :]]
        self.give(tensor, dims)
        for atoms in dims:
            if atoms is not None:
                self._trace.kinds.append((self.name, atoms[:1]))
                break

    def _split(self, args: Any, out: Any) -> None:
        dims = self.of(args[0])
        position = 1 if self.name == "unbind" else 2
        along = int(args[position] if len(args) > position else self._kwargs.get("dim", 0)) % args[0].ndim
        atoms = dims[along]
        if self.name == "unbind":
            self.bonds.pin(atoms)
            for value in out:
                self._give(value, [*dims[:along], *dims[along + 1 :]])
            return
        sizes = tuple(int(value.shape[along]) for value in out)
        parts = [None] * len(sizes) if atoms is None else np.split(atoms, np.cumsum(sizes)[:-1])
        if atoms is not None:
            self.row(sizes, list(parts))
            self.number(len(atoms), atoms)
            for size, part in zip(sizes, parts, strict=True):
                self.number(size, part)
            named = self.name != "split" and _has(self._network.get_submodule(self._module), sizes)
            if not self.choose(int(named or len(set(sizes)) > 1)):
                for part in parts[1:]:
                    self.bonds.join(parts[0], part)
        for value, part in zip(out, parts, strict=True):
            self._give(value, [*dims[:along], part, *dims[along + 1 :]])

    @property
    def _module(self) -> str:
        return self._inside[-1][0] if self._inside else ""

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Know which module runs."""
        hooks = []
        for name, module in self._network.named_modules():
            hooks.append(module.register_forward_pre_hook(lambda _, args, name=name: self._enter(name, args)))
            hooks.append(module.register_forward_hook(lambda *_: self._leave()))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _enter(self, name: str, args: Any) -> None:
        self._inside.append((name, [value for value in args if isinstance(value, Tensor)]))

    def _leave(self) -> None:
        self._inside.pop()


class _Calls(TorchFunctionMode):
    """Remembers the sizes that the network itself asks a reshape for: ATen sees them with -1 filled in."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self._tracer = tracer

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note the sizes and go on."""
        asked: tuple[int, ...] = ()
        if getattr(func, "__name__", "") in _RESHAPING:
            asked = tuple(value for value in tree_iter(args[1:]) if isinstance(value, int))
        self._tracer._asked = asked
        return func(*args, **(kwargs or {}))


def _has(module: nn.Module, sizes: tuple[int, ...]) -> bool:
    return any(isinstance(value, (tuple, list)) and tuple(value) == sizes for value in vars(module).values())
