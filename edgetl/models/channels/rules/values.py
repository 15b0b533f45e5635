"""Rules for what computes values from values in place: activations, sums, reductions, pooling, padding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgetl.models.channels.bonds import NO_ATOM
from edgetl.models.channels.rules.table import Dims, known, none, rule, tensors

if TYPE_CHECKING:
    from edgetl.models.channels.trace import Tracer

__all__ = ["elementwise"]


@rule("copy_", "_to_copy", "lift_fresh", "where")
def elementwise(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    """Tensors that are broadcast against each other."""
    out = out[0] if isinstance(out, (tuple, list)) else out
    dims: Dims = none(out.shape)
    seen = [False] * out.ndim
    for value in tensors(args):
        shift = out.ndim - value.ndim
        for index, atoms in enumerate(tracer.of(value)):
            if value.shape[index] == 1 != out.shape[index + shift] or tracer.expanded(value, index):
                continue
            if not seen[index + shift]:
                dims[index + shift], seen[index + shift] = atoms, True
            elif dims[index + shift] is not atoms:
                tracer.bonds.join(dims[index + shift], atoms)
                # What has no atoms holds back what has them, and is held back itself from here on.
                dims[index + shift] = known(dims[index + shift], atoms)
    return dims


@rule("clone", "alias", "detach", "contiguous", "dropout", "_softmax", "_log_softmax", "cumsum", "view_as_real")
@rule("zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like", "new_empty_strided")
@rule(
    "as_strided_",
    "native_dropout",
    "hardtanh",
    "hardswish",
    "hardsigmoid",
    "softplus",
    "elu",
    "leaky_relu",
    "gelu",
    "mish",
)
def _same(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    first = out[0] if isinstance(out, (tuple, list)) else out
    dims = tracer.of(args[0])
    return dims if len(dims) == first.ndim else none(first.shape)


@rule("_prelu_kernel", "prelu")
def _prelu(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    value, weight = args
    dims = tracer.of(value)
    if weight.ndim == 1 and weight.numel() > 1:
        tracer.bonds.join(dims[1], tracer.of(weight)[0])
        return dims
    return elementwise(tracer, args, out)


@rule("mean", "sum", "amax", "amin", "prod", "var", "std", "var_mean", "std_mean", "logsumexp", "linalg_vector_norm")
@rule("norm", "max", "min", "any", "all", "argmax", "argmin", "median", "aminmax")
def _reduction(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    first = out[0] if isinstance(out, (tuple, list)) else out
    others = [value for value in tensors(args[1:]) if value.ndim]
    if others:  # max and min of two tensors
        return elementwise(tracer, args, first)
    dims = tracer.of(args[0])
    if first.ndim == 0:
        return []
    gone = tracer.reduced(args)
    kept: Dims = [None if index in gone else atoms for index, atoms in enumerate(dims)]
    if first.ndim == len(dims):
        return kept
    return [atoms for index, atoms in enumerate(dims) if index not in gone]


@rule("avg_pool1d", "avg_pool2d", "max_pool2d_with_indices", "max_pool2d", "max_pool1d", "_adaptive_avg_pool2d")
@rule("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "upsample_nearest2d", "upsample_nearest1d")
@rule("upsample_bilinear2d", "_upsample_bilinear2d_aa", "upsample_bicubic2d", "_upsample_bicubic2d_aa")
@rule("upsample_linear1d", "_upsample_nearest_exact2d", "reflection_pad2d", "replication_pad2d", "mkldnn_max_pool2d")
def _spatial(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    first = out[0] if isinstance(out, (tuple, list)) else out
    dims = tracer.of(args[0])
    kept = dims[: len(dims) - (1 if "1d" in tracer.name else 2)]
    for atoms in dims[len(kept) :]:
        tracer.bonds.pin(atoms)
    return [*kept, *none(first.shape[len(kept) :])]


@rule("constant_pad_nd", "pad")
def _padded(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    dims = list(tracer.of(args[0]))
    for index, start in enumerate(range(0, len(args[1]), 2)):
        before, after = args[1][start : start + 2]
        atoms = dims[-1 - index]
        if atoms is None or (before, after) == (0, 0):
            continue
        if before < 0 or after < 0:
            atoms = atoms[max(0, -before) : len(atoms) - max(0, -after)]
        dims[-1 - index] = np.pad(atoms, (max(0, before), max(0, after)), constant_values=NO_ATOM)
    return dims
