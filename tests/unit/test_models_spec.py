"""Networks saved as JSON and safetensors come back as they were, and nothing else comes back."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from torch import nn

from edgetl.errors import EdgetlError, IntegrityError
from edgetl.models import spec
from edgetl.models.backbones import create

_IMAGE = torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("network")
    spec.save(create("mobilenetv3_small_100", 3, attention="eca")[0], folder)
    return folder


@pytest.fixture(scope="module")
def norms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("norms")
    spec.save(create("convnext_atto", 3)[0], folder)
    return folder


def _edited(saved: Path, folder: Path, **fields: Any) -> Path:
    document = json.loads((saved / "architecture.json").read_text(encoding="utf-8"))
    document.update(fields)
    (folder / "architecture.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "weights.safetensors").write_bytes((saved / "weights.safetensors").read_bytes())
    return folder


@pytest.mark.parametrize(
    ("backbone", "attention", "activation"),
    [
        ("mobilenetv3_small_100", "coord", None),
        ("mobilenetv3_small_100", "none", "relu6"),
        ("mobilenetv4_conv_small", "cbam", None),
        ("tf_efficientnet_lite0", None, "silu"),
    ],
)
def test_round_trip_is_bit_equal(tmp_path: Path, backbone: str, attention: str | None, activation: str | None) -> None:
    torch.manual_seed(1)
    network, _ = create(backbone, 5, attention=attention, activation=activation)
    network(torch.randn(4, 3, 64, 64))  # BatchNorm statistics that are not the initial ones
    spec.save(network, tmp_path)
    twin = spec.load(tmp_path)
    assert twin.architecture == network.architecture
    assert not twin.training
    with torch.inference_mode():
        assert torch.equal(network.eval()(_IMAGE), twin(_IMAGE))


def test_channels_last_networks_keep_their_values(tmp_path: Path) -> None:
    network = create("mobilenetv3_small_100", 3)[0].to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    spec.save(network, tmp_path)
    expected = network.state_dict()
    assert all(torch.equal(expected[name], tensor) for name, tensor in spec.load(tmp_path).state_dict().items())


def test_loading_and_saving_leave_random_numbers_alone(saved: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    spec.save(spec.load(saved), tmp_path)
    assert torch.equal(torch.rand(1), expected)


def test_same_network_gives_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    spec.save(spec.load(saved), tmp_path)
    for name in ("architecture.json", "weights.safetensors"):
        assert (tmp_path / name).read_bytes() == (saved / name).read_bytes()


def test_a_change_that_the_format_cannot_say_is_refused(tmp_path: Path) -> None:
    network, _ = create("mobilenetv3_small_100", 3)
    network.body.add_module("conv_stem", nn.Conv2d(3, 16, 5, 2, 2, bias=False))
    with pytest.raises(EdgetlError, match="cannot describe"):
        spec.save(network, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"schema": 2}, "schema: got 2, expected 1"),
        ({"schema": None}, "schema: got None"),
        ({"extra": 1}, "extra"),
        ({"backbone": "hf-hub:someone/something"}, "expected the name of a timm model"),
        ({"backbone": None}, "backbone: got None"),
        ({"classes": True}, "classes: got True"),
        ({"classes": 0}, "classes: got 0"),
        ({"classes": 10**12}, "classes: got"),
        ({"classes": 4}, "does not belong"),
        ({"attention": "coord"}, "does not belong"),
        ({"attention": "all"}, "attention: got 'all'"),
        ({"sizes": {"conv_stem": {"out_channels": 10**9}}}, "expected 1 to 16"),
        ({"sizes": {"conv_stem": {"out_channels": -8}}}, "expected 1 to 16"),
        ({"sizes": {"conv_stem": {"out_channels": 8}}}, "does not belong"),
        ({"sizes": {"conv_stem": {"kernel_size": 1}}}, "no such size"),
        ({"sizes": {"nowhere": {"out_channels": 8}}}, "no such size"),
        ({"sizes": {"blocks.0.0.conv_dw": {"groups": 3}}}, "groups do not divide"),
        ({"sizes": {"conv_stem": 8}}, "expected a mapping"),
        ({"sizes": {"conv_stem": {}}}, None),
    ],
)
def test_documents_that_do_not_add_up(saved: Path, tmp_path: Path, fields: dict[str, Any], words: str | None) -> None:
    folder = _edited(saved, tmp_path, **fields)
    if words is None:
        spec.load(folder)
        return
    with pytest.raises(IntegrityError, match=words):
        spec.load(folder)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"stages.0.blocks.0": {"gamma": [48]}}, r"got \[48\], expected at most \[40\]"),
        ({"stages.0.blocks.0": {"gamma": 8}}, "got 8, expected 1 numbers"),
        ({"stages.0.blocks.0": {"gamma": [8, 8]}}, "expected 1 numbers"),
        ({"stages.0.blocks.0": {"gamma": [True]}}, "expected at most"),
        ({"stages.0.blocks.0": {"gamma": [0]}}, "expected at most"),
        ({"stages.0.blocks.0": {"gamma": [8]}}, "does not belong"),
        ({"stages.0.blocks.0": {"drop_path": 1}}, "no such size"),
        ({"stages.0.blocks.0": {"__class__": 1}}, "no such size"),
        ({"stages.0.blocks.0": {"forward": 1}}, "no such size"),
        ({"stages.0.blocks.0.norm": {"normalized_shape": 8}}, "expected 1 numbers"),
        ({"stages.0.blocks.0.norm": {"normalized_shape": [8]}}, "does not belong"),
        ({"stages.0.blocks.0.norm": {"weight": [8]}}, "no such size"),
        ({"stages.0.blocks.0.norm": {"eps": [8]}}, "no such size"),
        ({"stages.0.blocks.0.conv_dw": {"weight": [8, 1, 7, 7]}}, "no such size"),
        ({"stages.0.blocks.0.conv_dw": {"stride": [1, 1]}}, "no such size"),
        ({"stages.0.blocks.0.conv_dw": {"groups": 1}}, "weight would grow"),
    ],
)
def test_sizes_of_any_layer_may_shrink_and_do_nothing_else(
    tmp_path: Path, norms: Path, sizes: dict[str, Any], words: str
) -> None:
    folder = _edited(norms, tmp_path, sizes=sizes)
    with pytest.raises(IntegrityError, match=words):
        spec.load(folder)


def test_missing_and_damaged_files(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"architecture\.json"):
        spec.load(tmp_path)
    folder = _edited(saved, tmp_path)
    (folder / "weights.safetensors").write_bytes((saved / "weights.safetensors").read_bytes()[:-100])
    with pytest.raises(IntegrityError, match=r"weights\.safetensors"):
        spec.load(folder)
    (folder / "architecture.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(IntegrityError, match=r"architecture\.json"):
        spec.load(folder)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=st.sampled_from(["schema", "backbone", "classes", "attention", "activation", "sizes", "eps"]), value=_JSON)
@example(field="sizes", value={"": {}})
@example(field="sizes", value={"no such layer": {}})
def test_any_json_either_loads_or_is_an_integrity_error(saved: Path, tmp_path: Path, field: str, value: object) -> None:
    folder = _edited(saved, tmp_path, **{field: value})
    with contextlib.suppress(IntegrityError):  # every other exception fails the test
        spec.load(folder)
