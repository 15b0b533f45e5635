"""Checkpoints that people have: torchvision's names and eps, the nesting of trainers, and what does not fit."""

from __future__ import annotations

import argparse
import copy
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from edgetl.backends import contract
from edgetl.config.training import Distil, Student, Teacher
from edgetl.errors import IntegrityError, UsageError
from edgetl.models import norms, spec, tensor_files, torchvision_weights
from edgetl.models.architecture import Network, plain
from edgetl.models.backbones import create
from edgetl.models.torchvision_names import TORCHVISION
from edgetl.stages.common import preflight

_IMAGES = torch.linspace(-1, 1, 2 * 3 * 64 * 64).mul(9).sin().view(2, 3, 64, 64)


def _torchvision(backbone: str, classes: int = 11) -> Any:
    """torchvision's own network, with statistics so small that its eps counts."""
    from torchvision import models

    torch.manual_seed(0)
    network = models.get_model(TORCHVISION[backbone], weights=None, num_classes=classes)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.mul_(0.3)
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None
                module.weight.uniform_(0.8, 1.2)
                module.bias.normal_(std=0.1)
            if hasattr(module, "layer_scale"):
                module.layer_scale.uniform_(0.5, 1.0)
        network.train()(torch.randn(8, 3, 64, 64))
    return network.eval()


def _prefixed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"module.{name}": tensor for name, tensor in state.items()}


def _near(computed: Tensor, expected: Tensor) -> bool:
    spread = (expected[0] - expected[1]).abs().max()
    assert spread > 0.01 * expected.abs().max(), "an output that does not depend on the image proves nothing"
    return bool((computed - expected).abs().max() < 1e-4 * spread)


@pytest.mark.parametrize(
    "backbone",
    [
        "convnext_tiny",
        "densenet121",
        "efficientnet_b0",
        "efficientnetv2_s",
        "mnasnet_050",
        "mobilenetv2_100",
        "mobilenetv3_large_100",
        "mobilenetv3_small_100",
        "regnetx_004_tv",
        "regnety_004",
        "resnet18",
    ],
)
def test_torchvision_checkpoints_compute_what_torchvision_computes(tmp_path: Path, backbone: str) -> None:
    theirs = _torchvision(backbone)
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    network, used = create(backbone, 11, weights=str(tmp_path / "w.pth"))
    assert (used.source, used.detail, used.skipped) == ("file", "w.pth", 0)
    with torch.inference_mode():
        assert _near(network.eval()(_IMAGES), theirs(_IMAGES))


@pytest.mark.parametrize("backbone", [name for name in TORCHVISION if not re.search(r"_(080|160|320)|vgg", name)])
def test_every_network_of_the_table_has_the_same_tensors(backbone: str) -> None:
    reference = torchvision_weights._reference(backbone)
    with torch.device("meta") if "regnet" not in backbone else torch.device("cpu"):
        own = plain(backbone, 1000).state_dict()
    theirs = reference.state_dict()
    pairs = zip(
        [name for name in own if "tracked" not in name], torchvision_weights._in_timms_order(reference), strict=True
    )
    for mine, other in pairs:
        assert own[mine].numel() == theirs[other].numel(), (mine, other)
        assert mine.rpartition(".")[2] in (other.rpartition(".")[2], "gamma"), (mine, other)


def test_names_that_have_no_order_find_their_places_too(tmp_path: Path) -> None:
    """A .safetensors file sorts its tensors."""
    theirs = _torchvision("mobilenetv3_small_100")
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    network, _ = create("mobilenetv3_small_100", 11, weights=str(tmp_path / "w.safetensors"))
    with torch.inference_mode():
        assert _near(network.eval()(_IMAGES), theirs(_IMAGES))


def test_densenets_of_old_have_other_names(tmp_path: Path) -> None:
    state = _torchvision("densenet121").state_dict()
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", name): tensor for name, tensor in state.items()}
    assert set(old) != set(state)
    torch.save(old, tmp_path / "w.pth")
    network, used = create("densenet121", 11, weights=str(tmp_path / "w.pth"))
    assert used.skipped == 0
    name = "features.denseblock4.denselayer16.norm2.running_var"
    assert torch.equal(network.body.state_dict()[name], state[name])


@pytest.fixture(scope="module")
def other_eps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder, theirs = tmp_path_factory.mktemp("torchvision"), _torchvision("mobilenetv3_small_100")
    torch.save(theirs.state_dict(), folder / "mobilenet_v3_small.pth")
    return folder / "mobilenet_v3_small.pth", theirs


def _from(file: Path, **options: Any) -> Network:
    return create("mobilenetv3_small_100", 11, weights=str(file), **options)[0].eval()


def test_eps_travels_with_the_network(tmp_path: Path, other_eps: tuple[Path, Any]) -> None:
    file, theirs = other_eps
    network = _from(file)
    assert set(norms.of(network.body).values()) == {1e-3}
    spec.save(network, tmp_path)
    document = json.loads((tmp_path / "architecture.json").read_text(encoding="utf-8"))
    assert document["eps"]["bn1"] == 1e-3
    twin = spec.load(tmp_path)
    with torch.inference_mode():
        assert torch.equal(twin(_IMAGES), network(_IMAGES))
        assert _near(contract.frozen(copy.deepcopy(twin))(_IMAGES), theirs(_IMAGES))


def test_without_its_eps_it_is_another_network(other_eps: tuple[Path, Any]) -> None:
    file, theirs = other_eps
    network = _from(file)
    norms.give(network.body, dict.fromkeys(norms.of(network.body), 1e-5))
    with torch.inference_mode():
        assert not _near(network(_IMAGES), theirs(_IMAGES))


def test_attention_that_is_new_keeps_its_own_eps(other_eps: tuple[Path, Any]) -> None:
    network = _from(other_eps[0], attention="coord")
    eps = norms.of(network.body)
    assert {value for name, value in eps.items() if ".se." in name} == {1e-5}
    assert {value for name, value in eps.items() if ".se." not in name} == {1e-3}


def test_files_of_before_eps_still_load_and_are_written_as_before(tmp_path: Path) -> None:
    spec.save(create("mobilenetv3_small_100", 3)[0], tmp_path)
    document = json.loads((tmp_path / "architecture.json").read_text(encoding="utf-8"))
    assert list(document) == ["schema", "backbone", "classes", "attention", "activation", "sizes"]
    assert set(norms.of(spec.load(tmp_path).body).values()) == {1e-5}


@pytest.mark.parametrize(
    "eps", [{"bn1": 0.0}, {"bn1": 2.0}, {"bn1": True}, {"bn1": "1"}, {"nowhere": 1e-3}, [1e-3], 1e-3]
)
def test_eps_that_cannot_be_is_an_integrity_error(tmp_path: Path, eps: Any) -> None:
    spec.save(create("mobilenetv3_small_100", 3)[0], tmp_path)
    file = tmp_path / "architecture.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | {"eps": eps}), encoding="utf-8")
    with pytest.raises(IntegrityError, match="eps: "):
        spec.load(tmp_path)


def test_another_number_of_classes_is_said(other_eps: tuple[Path, Any]) -> None:
    network, used = create("mobilenetv3_small_100", 3, weights=str(other_eps[0]))
    assert (used.loaded, used.skipped) == (208, 2)
    assert used.said == (
        "mobilenet_v3_small.pth fills 208 of 208 tensors beside the classifier's; it has torchvision's names and its eps;"
        " its classifier of 11 classes is left out unless the data have as many"
    )
    assert network.body.get_submodule("classifier").weight.shape[0] == 3  # type: ignore[index]


@pytest.mark.parametrize(
    "nest",
    [
        lambda state: {"state_dict": state, "arch": "resnet18", "args": argparse.Namespace(lr=0.1, model="resnet18")},
        lambda state: {"model": state, "optimizer": {"state": {}}, "epoch": 3},
        lambda state: {"model_ema": {"n_averaged": torch.tensor(5), **_prefixed(state)}, "model": {}},
        lambda state: _prefixed(state),
    ],
)
@pytest.mark.parametrize("theirs", [False, True])
def test_what_trainers_write_is_read(tmp_path: Path, nest: Any, theirs: bool) -> None:
    backbone = "mobilenetv3_small_100"
    state = _torchvision(backbone).state_dict() if theirs else plain(backbone, 11).state_dict()
    torch.save(nest(dict(state)), tmp_path / "w.pt")
    assert create(backbone, 11, weights=str(tmp_path / "w.pt"))[1].skipped == 0


@pytest.mark.parametrize(
    ("file", "backbone", "words"),
    [
        ("resnet18", "resnet34", r"80 are missing \(layer1\.2\.conv1\.weight"),
        ("resnet18", "mobilenetv3_small_100", r"missing \(conv_stem\.weight.*are unknown \(conv1\.weight"),
        (
            "mobilenetv3_small_100",
            "mobilenetv3_large_100",
            r"missing \(conv_stem.*unknown \(features\.0\.0\.weight",
        ),
    ],
)
def test_what_did_not_fit_is_named_in_one_line(tmp_path: Path, file: str, backbone: str, words: str) -> None:
    torch.save(_torchvision(file).state_dict(), tmp_path / "w.pth")
    with pytest.raises(UsageError, match=words) as refused:
        create(backbone, 11, weights=str(tmp_path / "w.pth"))
    assert "\n" not in refused.value.message
    assert refused.value.message.startswith(f"weights: w.pth does not fit {backbone}: ")


def test_another_shape_is_named(tmp_path: Path) -> None:
    state = plain("mobilenetv3_small_100", 3).state_dict()
    torch.save(state | {"bn1.weight": torch.ones(8)}, tmp_path / "w.pth")
    with pytest.raises(UsageError, match=r"1 are of another shape \(bn1\.weight is 8, not 16\)"):
        create("mobilenetv3_small_100", 3, weights=str(tmp_path / "w.pth"))


def test_what_is_too_large_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"tensor": torch.zeros(100_000)}, tmp_path / "w.pth")
    monkeypatch.setattr(tensor_files, "_MOST_BYTES", 200_000)
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(UsageError, match=r"w\.pth holds .* at most"):
        create("mobilenetv3_small_100", 3, weights=str(tmp_path / "w.pth"))


def test_preflight_says_where_attention_is_and_what_weights_fill(other_eps: tuple[Path, Any]) -> None:
    student = Student(backbone="resnet18", attention="eca")
    teacher = Teacher(backbone="mobilenetv3_small_100", weights=str(other_eps[0]))
    data = SimpleNamespace(image_size=64)
    recipe = SimpleNamespace(targets=(), student=student, teachers=(teacher,), data=data, distil=Distil())
    said: list[str] = []
    preflight.check(cast("Any", SimpleNamespace(recipe=recipe, project=None)), said.append)
    assert said == [
        "student resnet18: eca after the last convolution of 8 blocks (layer1.0 to layer4.1)",
        "teacher mobilenetv3_small_100: mobilenet_v3_small.pth fills 208 of 208 tensors beside the classifier's; it has"
        " torchvision's names and its eps; its classifier of 11 classes is left out unless the data have as many",
    ]
