"""Rules for what has weights, and for products: convolutions, norms, linear layers, attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from edgetl.models.channels.bonds import WIDTH_OF_GROUPS, Atoms
from edgetl.models.channels.rules.table import Dims, join_rows, known, rule, tensors

if TYPE_CHECKING:
    from edgetl.models.channels.trace import Tracer

__all__: list[str] = []


@rule("convolution", "_convolution", "mkldnn_convolution", "cudnn_convolution", "convolution_overrideable")
def _convolution(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    value, weight, bias = args[:3]
    transposed, groups = bool(args[6]), int(args[8])
    inputs = tracer.of(value)
    first, second = tracer.of(weight)[:2]
    for atoms in tracer.of(weight)[2:]:
        tracer.bonds.pin(atoms)
    if groups == 1:
        tracer.bonds.join(inputs[1], second if not transposed else first)
        channels = first if not transposed else second
    else:
        channels = _grouped(tracer, inputs[1], first, second, groups, transposed, out.shape[1])
    if bias is not None:
        tracer.bonds.join(channels, tracer.of(bias)[0])
    spatial: Dims = []
    for index in range(2, value.ndim):  # ECA convolves along the channels themselves
        same = out.shape[index] == value.shape[index]
        spatial.append(inputs[index] if same else None)
        if not same:
            tracer.bonds.pin(inputs[index])
    return [inputs[0], channels, *spatial]


def _grouped(
    tracer: Tracer,
    inputs: Atoms | None,
    first: Atoms | None,
    second: Atoms | None,
    groups: int,
    transposed: bool,
    outputs: int,
) -> Atoms | None:
    """Whole groups go where there are many small ones (depthwise above all), else the same channels of each group."""
    if first is None or inputs is None:
        for atoms in (inputs, first, second):
            tracer.bonds.pin(atoms)
        return None if transposed else first
    whole = tracer.choose(int(groups >= len(inputs) // groups))
    into = first.reshape(groups, -1) if transposed else inputs.reshape(groups, -1)
    if transposed:
        tracer.bonds.join(inputs, first)
    if whole:
        tracer.bonds.pin(second, WIDTH_OF_GROUPS)
        join_rows(tracer, into.T)
        if transposed:
            return np.repeat(into[:, 0], outputs // groups)
        join_rows(tracer, np.concatenate([into[:, :1], first.reshape(groups, -1)], axis=1).T)
        return first
    if transposed:
        join_rows(tracer, into)
        return None if second is None else np.tile(second, groups)
    for row in into:
        tracer.bonds.join(row, second)
    join_rows(tracer, first.reshape(groups, -1))
    return first


@rule("native_batch_norm", "_native_batch_norm_legit_no_training", "_native_batch_norm_legit", "cudnn_batch_norm")
@rule("batch_norm", "_batch_norm_no_update", "_batch_norm_with_update", "miopen_batch_norm")
def _batch_norm(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    dims = tracer.of(args[0])
    for value in args[1:5]:
        if isinstance(value, Tensor):
            tracer.bonds.join(dims[1], tracer.of(value)[0])
    return dims


@rule("native_layer_norm", "layer_norm", "_fused_rms_norm", "rms_norm")
def _layer_norm(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    dims = tracer.of(args[0])
    shape = tuple(args[1])
    tracer.row(shape, dims[-len(shape) :])
    for value in tensors(args[2:4]):
        for one, other in zip(dims[-len(shape) :], tracer.of(value), strict=True):
            tracer.bonds.join(one, other)
    return dims


@rule("native_group_norm")
def _group_norm(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    value, weight, bias = args[:3]
    groups = int(args[7])
    dims = tracer.of(value)
    for affine in (weight, bias):
        if affine is not None:
            tracer.bonds.join(dims[1], tracer.of(affine)[0])
    if dims[1] is not None:
        tracer.number(value.shape[1], dims[1])
        if groups > 1:
            join_rows(tracer, dims[1].reshape(groups, -1))
    return dims


@rule("mm", "bmm", "matmul")
def _product(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    one, other = tracer.of(args[0]), tracer.of(args[1])
    tracer.bonds.join(one[-1], other[-2])
    batch: Dims = []
    for left, right in zip(one[:-2], other[:-2], strict=True):
        tracer.bonds.join(left, right)
        batch.append(known(left, right))
    return [*batch, one[-2], other[-1]]


@rule("addmm", "baddbmm")
def _added_product(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    dims = _product(tracer, args[1:3], out)
    bias = tracer.of(args[0])
    for index in range(1, len(bias) + 1):
        if args[0].shape[-index] > 1 or out.shape[-index] == 1:
            tracer.bonds.join(dims[-index], bias[-index])
    return dims


@rule("linear")
def _linear(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    dims, (outputs, inputs) = tracer.of(args[0]), tracer.of(args[1])
    tracer.bonds.join(dims[-1], inputs)
    if len(args) > 2 and args[2] is not None:
        tracer.bonds.join(outputs, tracer.of(args[2])[0])
    return [*dims[:-1], outputs]


@rule("mv", "dot")
def _vector_product(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    one, other = tracer.of(args[0]), tracer.of(args[1])
    tracer.bonds.join(one[-1], other[-1])
    return one[:-1]


@rule("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention")
@rule("_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention")
@rule("_scaled_dot_product_attention_math", "_scaled_dot_product_fused_attention_overrideable")
def _attention(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    query, key, value = (tracer.of(tensor) for tensor in args[:3])
    tracer.bonds.join(query[-1], key[-1])
    for index in range(len(query) - 2):
        tracer.bonds.join(query[index], key[index])
        tracer.bonds.join(query[index], value[index])
    for mask in tensors(args[3:]):
        for index, atoms in enumerate(tracer.of(mask)[:-2]):
            if mask.shape[index] > 1:
                tracer.bonds.join(query[index], atoms)
        for atoms in tracer.of(mask)[-2:]:
            tracer.bonds.pin(atoms)
    return [*query[:-1], value[-1]]
