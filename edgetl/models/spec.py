"""Networks as two files, without pickle: `architecture.json` says what to build, `weights.safetensors` what to fill in.

    {
      "schema": 1,
      "backbone": "mobilenetv3_small_100",      a timm name
      "classes": 7,
      "attention": "coord",                     null: the backbone's own
      "activation": null,                       null: the backbone's own
      "sizes": {                                only what pruning changed, by module name inside the body
        "blocks.1.0.conv_pw": {"out_channels": 48},
        "blocks.1.0.bn1": {"num_features": 48},
        "blocks.1.0.conv_dw": {"in_channels": 48, "out_channels": 48, "groups": 48},
        "classifier": {"in_features": 640}
      },
      "eps": {"bn1": 0.001}                     left out where no norm has another eps than timm's, as in older files
    }

Loading builds the fresh network, shrinks the listed layers and fills in every tensor, strictly: the tensors have the
same bits, and so has what the network computes in the same memory format. Sizes may only shrink, so a damaged or
hostile file cannot ask for more memory than the backbone itself, and names of backbones that timm would fetch from
elsewhere are refused. Nothing is downloaded and nothing is executed.

The tensors have timm's names: unpruned, with its backbone's own attention and activation, a network loads into plain
timm.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from edgetl.errors import EdgetlError, IntegrityError, UsageError
from edgetl.models import norms
from edgetl.models.architecture import Architecture, Network, assemble

__all__ = ["load", "save"]

_SCHEMA: Final = 1
_JSON: Final = "architecture.json"
_TENSORS: Final = "weights.safetensors"
_FIELDS: Final = {"schema": int, "backbone": str, "classes": int, "attention": str, "activation": str, "sizes": dict}
_MAY_BE_NULL: Final = ("attention", "activation")
_EPS: Final = "eps"
_MOST_CLASSES: Final = 100_000

# timm's norm with a fused activation is a _BatchNorm but no BatchNorm2d.
_RESIZABLE: Final[tuple[tuple[type[nn.Module], tuple[str, ...]], ...]] = (
    (_ConvNd, ("in_channels", "out_channels", "groups")),
    (_BatchNorm, ("num_features",)),
    (nn.Linear, ("in_features", "out_features")),
)


def save(network: nn.Module, folder: Path) -> None:
    """Write the two files into an existing folder.

    Args:
        network: a `Network`, as `backbones.create` and `load` give it; on any device, in any memory format.

    Raises:
        EdgetlError: a layer was changed that the format has no words for; nothing is written.
    """
    assert isinstance(network, Network), "only networks that know their architecture can be rebuilt"
    fresh = _fresh(network.architecture)
    sizes = _changed_sizes(fresh.body, network.body)
    _resize(fresh.body, sizes)
    # Contiguous copies: safetensors takes neither channels_last nor shared storage.
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in network.body.state_dict().items()
    }
    if _shapes(fresh.body.state_dict()) != _shapes(tensors):
        raise EdgetlError(
            f"{network.architecture.backbone} was changed in a way that {_JSON} cannot describe",
            hint="only the sizes of convolutions, BatchNorm and linear layers may differ from the fresh network",
        )
    document = {"schema": _SCHEMA, **asdict(network.architecture), "sizes": sizes}
    if eps := norms.changed(fresh.body, network.body):
        document[_EPS] = eps
    (folder / _JSON).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    save_file(tensors, folder / _TENSORS)


def load(folder: Path) -> Network:
    """Rebuild what `save` wrote, bit for bit, in eval mode, on the CPU; torch's random state is left as it was.

    Raises:
        IntegrityError: a file is missing, damaged, of another schema, or the two do not belong together.
    """
    architecture, sizes, eps = _parse(folder / _JSON)
    try:
        network = _fresh(architecture)
        _resize(network.body, sizes)
        norms.give(network.body, eps)
        tensors = load_file(folder / _TENSORS)
    except UsageError as exc:
        raise IntegrityError(exc.message, place=_JSON, hint="the file was written by another version of timm") from exc
    except ValueError as exc:
        raise IntegrityError(str(exc), place=_JSON) from exc
    except (OSError, SafetensorError) as exc:
        raise IntegrityError(f"cannot be read ({exc})", place=_TENSORS) from exc
    try:
        network.body.load_state_dict(tensors, strict=True)
    except RuntimeError as exc:
        reason = str(exc).splitlines()[1].strip()[:200]
        raise IntegrityError(f"does not belong to {_JSON}: {reason}", place=_TENSORS) from exc
    return network.eval()


def _fresh(architecture: Architecture) -> Network:
    # The initial weights are thrown away; the caller's random numbers must not shift because of them.
    with torch.random.fork_rng(devices=[]):
        return assemble(architecture)


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}


def _sizes_of(module: nn.Module) -> dict[str, int]:
    for kind, attributes in _RESIZABLE:
        if isinstance(module, kind):
            return {attribute: getattr(module, attribute) for attribute in attributes}
    return {}


def _changed_sizes(fresh: nn.Module, pruned: nn.Module) -> dict[str, dict[str, int]]:
    changed: dict[str, dict[str, int]] = {}
    original = dict(fresh.named_modules())
    for name, module in pruned.named_modules():
        before = _sizes_of(original[name]) if name in original else {}
        different = {key: size for key, size in _sizes_of(module).items() if before.get(key) != size}
        if different:
            changed[name] = different
    return changed


def _resize(body: nn.Module, sizes: dict[str, dict[str, int]]) -> None:
    """Give layers other sizes, in place; their tensors become uninitialised.

    Raises:
        IntegrityError: a layer that is not there, a size that it does not have, or one that grows.
    """
    modules: dict[str, Any] = dict(body.named_modules())
    for name, wanted in sizes.items():
        before = _sizes_of(modules[name]) if name in modules else {}
        for key, size in wanted.items():
            if type(size) is not int or not 1 <= size <= before.get(key, 0):
                limit = f"1 to {before[key]}" if key in before else "no such size"
                raise IntegrityError(f"sizes: {name}.{key}: got {size!r}, expected {limit}", place=_JSON)
            setattr(modules[name], key, size)
        if not before:
            raise IntegrityError(f"sizes: {name!r}: no layer of this name has sizes", place=_JSON)
        _reallocate(modules[name], name)


def _reallocate(module: nn.Module, name: str) -> None:
    if isinstance(module, _ConvNd):
        if module.in_channels % module.groups or module.out_channels % module.groups:
            raise IntegrityError(f"sizes: {name}: groups do not divide the channels", place=_JSON)
        shape = (module.out_channels, module.in_channels // module.groups, *module.kernel_size)
        outputs = module.out_channels
    elif isinstance(module, nn.Linear):
        shape, outputs = (module.out_features, module.in_features), module.out_features
    else:
        assert isinstance(module, _BatchNorm)
        shape, outputs = (module.num_features,), module.num_features
    tensors = {"weight": shape, "bias": (outputs,), "running_mean": (outputs,), "running_var": (outputs,)}
    for attribute, size in tensors.items():
        tensor = getattr(module, attribute, None)
        if isinstance(tensor, nn.Parameter):
            setattr(module, attribute, nn.Parameter(tensor.new_empty(size)))
        elif isinstance(tensor, Tensor):
            setattr(module, attribute, tensor.new_empty(size))


def _parse(path: Path) -> tuple[Architecture, dict[str, dict[str, int]], dict[str, object]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise IntegrityError(f"cannot be read ({type(exc).__name__}: {exc})", place=_JSON) from exc
    if not isinstance(document, dict) or document.get("schema") != _SCHEMA:
        got = document.get("schema") if isinstance(document, dict) else type(document).__name__
        hint = "another version of edgetl wrote it"
        raise IntegrityError(f"schema: got {got!r}, expected {_SCHEMA}", place=_JSON, hint=hint)
    eps = document.pop(_EPS, {})
    if not isinstance(eps, dict):
        raise IntegrityError("eps: expected a mapping of norms to numbers", place=_JSON)
    if set(document) != set(_FIELDS):
        odd = sorted(set(document) ^ set(_FIELDS))
        raise IntegrityError(f"got other fields than {', '.join(_FIELDS)}: {', '.join(odd)}", place=_JSON)
    for field, kind in _FIELDS.items():
        value = document[field]
        if not (type(value) is kind or (value is None and field in _MAY_BE_NULL)):
            raise IntegrityError(f"{field}: got {value!r}, expected a {kind.__name__}", place=_JSON)
    if not 1 <= document["classes"] <= _MOST_CLASSES:
        raise IntegrityError(f"classes: got {document['classes']}, expected 1 to {_MOST_CLASSES}", place=_JSON)
    if not all(isinstance(sizes, dict) for sizes in document["sizes"].values()):
        raise IntegrityError("sizes: expected a mapping of layers to their sizes", place=_JSON)
    names = (document[field] for field in ("backbone", "classes", "attention", "activation"))
    return Architecture(*names), document["sizes"], eps
