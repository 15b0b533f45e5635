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
      "image_size": 224,                        left out where it takes pictures as they come
      "eps": {"bn1": 0.001}                     left out where no norm has another eps than timm's, as in older files
    }

`edgetl.models.resize` says which sizes there are: those of convolutions, linear layers and norms (`"normalized_shape":
[48]`), of every other parameter and buffer (`"gamma": [48]`), and the numbers of channels and heads that blocks keep
(`"num_heads": 3`).

Loading builds the fresh network, shrinks what is listed and fills in every tensor, strictly: the tensors have the same
bits, and so has what the network computes in the same memory format. Sizes and the tensors they give may only shrink,
so a damaged or hostile file cannot ask for more memory than the backbone itself, and names of backbones that timm would
fetch from elsewhere are refused. Nothing is downloaded and nothing is executed.

The tensors have timm's names: unpruned, with its backbone's own attention and activation, a network loads into plain
timm.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from edgetl.errors import EdgetlError, IntegrityError, UsageError
from edgetl.models import norms
from edgetl.models.architecture import Architecture, Network, assemble
from edgetl.models.resize import SizeError, Sizes, changed, resize

__all__ = ["load", "save"]

_SCHEMA: Final = 1
_JSON: Final = "architecture.json"
_TENSORS: Final = "weights.safetensors"
_FIELDS: Final = {"schema": int, "backbone": str, "classes": int, "attention": str, "activation": str, "sizes": dict}
_MAY_BE_NULL: Final = ("attention", "activation")
_SIDE, _EPS = "image_size", "eps"
"""Fields that may be left out."""
_MOST_SIDE: Final = 4096
_MOST_CLASSES: Final = 100_000


def save(network: nn.Module, folder: Path) -> None:
    """Write the two files into an existing folder.

    Args:
        network: a `Network`, as `backbones.create` and `load` give it; on any device, in any memory format.

    Raises:
        EdgetlError: a layer was changed that the format has no words for; nothing is written.
    """
    assert isinstance(network, Network), "only networks that know their architecture can be rebuilt"
    fresh = _fresh(network.architecture)
    sizes = changed(fresh.body, network.body)
    try:
        resize(fresh.body, sizes)
    except SizeError as exc:
        raise _beyond_words(network, str(exc)) from exc
    # Contiguous copies: safetensors takes neither channels_last nor shared storage.
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in network.body.state_dict().items()
    }
    if _shapes(fresh.body.state_dict()) != _shapes(tensors):
        raise _beyond_words(network, "tensors differ from what their layers say")
    document = {"schema": _SCHEMA, **asdict(network.architecture), "sizes": sizes}
    if document[_SIDE] is None:
        del document[_SIDE]
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
        resize(network.body, sizes)
        norms.give(network.body, eps)
        tensors = load_file(folder / _TENSORS)
    except UsageError as exc:
        raise IntegrityError(exc.message, place=_JSON, hint="the file was written by another version of timm") from exc
    except SizeError as exc:
        raise IntegrityError(f"sizes: {exc}", place=_JSON) from exc
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


def _beyond_words(network: Network, why: str) -> EdgetlError:
    return EdgetlError(
        f"{network.architecture.backbone} was changed in a way that {_JSON} cannot describe: {why}",
        hint="only sizes may differ from the fresh network, and only be smaller",
    )


def _fresh(architecture: Architecture) -> Network:
    # The initial weights are thrown away; the caller's random numbers must not shift because of them.
    with torch.random.fork_rng(devices=[]):
        return assemble(architecture)


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}


def _parse(path: Path) -> tuple[Architecture, Sizes, dict[str, object]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise IntegrityError(f"cannot be read ({type(exc).__name__}: {exc})", place=_JSON) from exc
    if not isinstance(document, dict) or document.get("schema") != _SCHEMA:
        got = document.get("schema") if isinstance(document, dict) else type(document).__name__
        hint = "another version of edgetl wrote it"
        raise IntegrityError(f"schema: got {got!r}, expected {_SCHEMA}", place=_JSON, hint=hint)
    side, eps = document.pop(_SIDE, None), document.pop(_EPS, {})
    if side is not None and not (type(side) is int and 1 <= side <= _MOST_SIDE):
        raise IntegrityError(f"image_size: got {side!r}, expected 1 to {_MOST_SIDE}", place=_JSON)
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
    names = document["backbone"], document["classes"], document["attention"], document["activation"]
    return Architecture(*names, side), document["sizes"], eps
