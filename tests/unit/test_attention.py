"""Attention in every kind of backbone: where it goes, that it is called there, and that nothing else changes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from edgetl.backends import contract
from edgetl.errors import UsageError
from edgetl.models import prune, spec
from edgetl.models.architecture import Network, plain
from edgetl.models.attention import ATTENTION
from edgetl.models.attention.blocks import places
from edgetl.models.backbones import create

_SIZE = 64
_IMAGES = torch.linspace(-1, 1, 2 * 3 * _SIZE * _SIZE).view(2, 3, _SIZE, _SIZE).sin()

_BLOCKS = {
    "convnext_atto": ("stages.0.blocks.0 to stages.3.blocks.1", 12),
    "cspresnet50": ("stages.0.blocks.0 to stages.3.blocks.1", 13),
    "darknet17": ("stages.0.blocks.0 to stages.4.blocks.0", 5),
    "densenet121": ("features.denseblock1.denselayer1 to features.denseblock4.denselayer16", 58),
    "dla34": ("level2.tree1 to level5.tree2", 12),
    "edgenext_xx_small": ("stages.0.blocks.0 to stages.3.blocks.0", 9),
    "fasternet_t0": ("stages.0.blocks.0 to stages.3.blocks.1", 13),
    "fastvit_t8": ("stages.0.blocks.0 to stages.3.blocks.1", 10),
    "gernet_s": ("stages.0.0 to stages.4.0", 14),
    "hgnetv2_b0": ("stages.0.blocks.0 to stages.3.blocks.0", 5),
    "inception_next_atto": ("stages.0.blocks.0 to stages.3.blocks.1", 12),
    "mobileone_s0": ("stages.0.1 to stages.3.1", 21),
    "mobilevit_xxs": ("stages.0.0 to stages.4.0", 7),
    "nf_resnet26": ("stages.0.0 to stages.3.1", 8),
    "regnetx_002": ("s1.b1 to s4.b7", 13),
    "repvgg_a0": ("stages.0.0 to stages.3.0", 21),
    "resnet18": ("layer1.0 to layer4.1", 8),
    "resnetv2_18": ("stages.0.blocks.0 to stages.3.blocks.1", 8),
    "skresnet18": ("layer1.0 to layer4.1", 8),
    "starnet_s050": ("stages.0.1 to stages.3.1", 6),
    "swiftformer_xs": ("stages.0.blocks.0 to stages.3.blocks.2", 12),
    "vovnet39a": ("stages.0.blocks.0 to stages.3.blocks.1", 6),
}
"""Backbones without squeeze-and-excite in their blocks: the first and the last block with attention, and how many."""


class _Nothing(nn.Module):
    """Attention that lets nothing through: a residual block with it is its shortcut."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.zeros_like(image)


def _awake(network: Network, dtype: torch.dtype = torch.float32) -> Network:
    """The network with statistics and norms as after a training: a fresh one computes almost a constant."""
    network = network.to(dtype)
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.momentum = None
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    network.train()(torch.randn(8, 3, _SIZE, _SIZE, dtype=dtype))
    return network.eval()


@pytest.mark.parametrize("backbone", _BLOCKS)
def test_attention_is_called_at_the_end_of_each_block(backbone: str) -> None:
    network, _ = create(backbone, 3, attention="eca")
    blocks, number = _BLOCKS[backbone]
    assert network.placement.said.startswith(f"eca after the last convolution of {number} blocks ({blocks})")
    called: list[str] = []
    for name in network.placement.placed:
        layer = network.body.get_submodule(name)
        layer.register_forward_hook(lambda *_, name=name: called.append(name))
    network.eval()(_IMAGES)
    assert sorted(called) == sorted(network.placement.placed)
    assert len(called) == number + (backbone == "fastvit_t8")  # its last convolution has squeeze-and-excite


@pytest.mark.parametrize("backbone", _BLOCKS)
def test_the_place_was_empty(backbone: str) -> None:
    """Stochastic depth that a backbone has of itself would be lost."""
    body = plain(backbone, 3)
    for place in places(body):
        slot = getattr(body.get_submodule(place.block), place.slot.rpartition(".")[2])
        assert place.behind or slot is None or type(slot) is nn.Identity


@pytest.mark.parametrize(
    ("backbone", "block", "rectified"),
    [
        ("convnext_atto", "stages.0.blocks.0", False),
        ("dla34", "level2.tree2", True),
        ("edgenext_xx_small", "stages.0.blocks.0", False),
        ("fasternet_t0", "stages.0.blocks.0", False),
        ("gernet_s", "stages.2.1", True),
        ("inception_next_atto", "stages.0.blocks.0", False),
        ("regnetx_002", "s4.b2", True),
        ("resnet18", "layer1.0", True),
        ("resnetv2_18", "stages.0.blocks.1", False),
        ("starnet_s050", "stages.0.1", False),
        ("swiftformer_xs", "stages.0.blocks.0", False),
    ],
)
def test_without_what_attention_lets_through_a_block_is_its_shortcut(
    backbone: str, block: str, rectified: bool
) -> None:
    """So it sees all of the branch, and nothing of the shortcut."""
    network = _awake(create(backbone, 3, attention="eca")[0])  # with biases: what comes after attention would be seen
    for name in network.placement.placed:
        network.body.set_submodule(name, _Nothing())
    seen: list[tuple[Tensor, Tensor]] = []
    network.body.get_submodule(block).register_forward_hook(
        lambda _, given, result: seen.append((given[0].clone(), result))
    )
    network.eval()(_IMAGES)
    ((given, result),) = seen
    assert given.std() > 0
    assert torch.equal(result, given.relu() if rectified else given)


@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("backbone", ["convnext_atto", "densenet121", "dla34", "repvgg_a0", "resnet18"])
def test_round_trip_is_bit_equal(tmp_path: Path, backbone: str, attention: str) -> None:
    torch.manual_seed(0)
    network, _ = create(backbone, 3, attention=attention)
    spec.save(network, tmp_path)
    twin = spec.load(tmp_path)
    assert twin.placement == network.placement
    with torch.inference_mode():
        assert torch.equal(network.eval()(_IMAGES), twin(_IMAGES))


@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("backbone", ["fastvit_t8", "mobileone_s0", "repvgg_a0", "repvit_m0_9", "starnet_s050"])
def test_merged_branches_compute_the_same(monkeypatch: pytest.MonkeyPatch, backbone: str, attention: str) -> None:
    """In float64: in single precision rounding alone is 1e-3 in a network without a training."""
    torch.manual_seed(0)
    network = _awake(create(backbone, 3, attention=attention)[0], torch.float64)
    monkeypatch.setattr(nn.Module, "float", lambda module: module)
    torch.set_default_dtype(torch.float64)  # timm's merged convolutions are made in the default one
    try:
        merged = contract.frozen(network)
    finally:
        torch.set_default_dtype(torch.float32)
    assert len(merged.state_dict()) < len(network.state_dict()) or backbone == "starnet_s050"
    kind = type(network.body.get_submodule(network.placement.placed[-1])) if network.placement.placed else None
    if kind is not None:
        alive = sum(isinstance(module, kind) for module in merged.modules())
        assert alive == sum(isinstance(module, kind) for module in network.modules())
    expected = network(_IMAGES.double())
    assert torch.allclose(merged(_IMAGES.double()), expected, rtol=1e-7, atol=1e-7 * expected.abs().max().item())


@pytest.mark.parametrize("attention", ["none", "se", "eca", "cbam", "coord"])
@pytest.mark.parametrize("backbone", ["densenet121", "dla34", "hgnetv2_b0"])
def test_tensors_find_their_layers_behind_which_attention_was_put(
    tmp_path: Path, backbone: str, attention: str
) -> None:
    torch.manual_seed(0)
    body = plain(backbone, 3)
    torch.save(body.state_dict(), tmp_path / "w.pth")
    network, used = create(backbone, 3, weights=str(tmp_path / "w.pth"), attention=attention)
    own = {name for name in body.state_dict() if not name.endswith("num_batches_tracked")}
    assert used.loaded == len(own)
    for name in network.placement.placed:
        network.body.set_submodule(name, nn.Identity())
    with torch.inference_mode():
        assert torch.equal(network.eval()(_IMAGES), body.eval()(_IMAGES))


@pytest.mark.parametrize("backbone", ["vit_tiny_patch16_224", "vgg11_bn", "hgnet_tiny", "mixer_s32_224"])
def test_what_has_no_block_for_it_is_named(backbone: str) -> None:
    with pytest.raises(UsageError, match=r"no block with a place for 'coord'") as refused:
        create(backbone, 3, attention="coord")
    assert "ViT, Swin, VGG and Inception" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("backbone", "attention", "said"),
    [
        (
            "mobilenetv3_small_100",
            "coord",
            "coord in place of squeeze-and-excite in 9 blocks (blocks.0.0 to blocks.4.2)",
        ),
        ("mobilenetv3_small_100", "none", "squeeze-and-excite taken away from 9 blocks (blocks.0.0 to blocks.4.2)"),
        ("mobilenetv3_small_100", "se", "se where the backbone has it, in 9 blocks (blocks.0.0 to blocks.4.2)"),
        ("mobilenetv3_small_100", None, ""),
        ("mobilenetv2_100", "eca", "eca before the last convolution of 17 blocks (blocks.0.0 to blocks.6.0)"),
        ("resnet18", "none", ""),
    ],
)
def test_where_it_is_is_said(backbone: str, attention: str | None, said: str) -> None:
    assert create(backbone, 3, attention=attention)[0].placement.said == said


_FROZEN = {
    "mobilenetv3_small_100": "739ae3194f9a1261",
    "mobilenetv2_100": "adf401e5e865224b",
    "mobilenetv4_conv_small": "42ae34cd582cbd23",
    "tf_efficientnet_lite0": "644ef645fb5b8e1e",
    "efficientnet_b0": "f425cb48ab4ac405",
    "repvit_m0_9": "4037c3637acabe44",
    "mnasnet_050": "03d8a58c2dce03f2",
    "lcnet_050": "7717ec13ee42ad59",
    "ghostnet_050": "cab048e200f57b6b",
    "mobileone_s4": "4f46d73383e8b822",
}


@pytest.mark.parametrize("backbone", _FROZEN)
def test_backbones_that_could_have_attention_before_have_it_where_they_had_it(backbone: str) -> None:
    """By the names and shapes of all tensors, which is what files of networks hold. The digests are those of before."""
    digest = hashlib.sha256()
    for attention in (None, "none", *list(ATTENTION)[:4]):
        tensors = create(backbone, 3, attention=attention)[0].body.state_dict()
        digest.update(repr([(name, tuple(tensor.shape)) for name, tensor in tensors.items()]).encode())
    assert digest.hexdigest()[:16] == _FROZEN[backbone]


@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("backbone", ["resnet18", "repvgg_a0"])
def test_training_from_random_weights_is_stable(backbone: str, attention: str) -> None:
    torch.manual_seed(0)
    network, _ = create(backbone, 2, attention=attention)
    images, labels = torch.randn(16, 3, 32, 32), torch.arange(16) % 2
    images += labels.view(-1, 1, 1, 1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(12):
        loss = nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert max(losses) < 2
    assert losses[-1] < 0.8 * losses[0]


def test_squeeze_and_excite_behind_a_block_is_that_of_the_paper() -> None:
    network, _ = create("resnet18", 3, attention="se")
    assert network.body.get_submodule("layer4.1.se.conv_reduce").out_channels == 512 // 16
    assert network.body.get_submodule("layer1.0.se.conv_reduce").out_channels == 8  # the grid that pruning rounds to


@pytest.mark.parametrize("attention", ["se", "cbam", "coord"])  # eca takes minutes
def test_pruning_takes_attention_behind_blocks_along(tmp_path: Path, attention: str) -> None:
    network, _ = create("resnet18", 3, attention=attention)
    report = prune.prune_to_macs(network.eval(), _SIZE, 0.6)
    assert report.share <= 0.6
    spec.save(network, tmp_path)
    with torch.inference_mode():
        assert torch.equal(network(_IMAGES), spec.load(tmp_path)(_IMAGES))
